#!/bin/sh
# Take back the names that after-install.sh offered; an upgrade keeps them.
set -eu

case ${1:-remove} in
    upgrade | failed-upgrade | 1) exit 0 ;; # dpkg's words; rpm's number of those that stay
esac
for name in docker-credential-ecr-login ecr-credential-provider; do
    link=/usr/bin/$name
    if command -v update-alternatives >/dev/null; then
        update-alternatives --remove "$name" /usr/bin/docker-credential-ecr
    elif [ "$(readlink "$link" || true)" = docker-credential-ecr ]; then
        rm -f "$link"
    fi
done
