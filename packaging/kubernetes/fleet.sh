#!/bin/sh
# Put the kubelet's credential provider on the node whose root is mounted at /host: install-node.sh,
# run there with the options that this is given. What a DaemonSet's container runs, again and again:
# the kubelet is restarted only when its configuration has changed, as it reads that at its start.
#
# FLEET_RESTART  the unit to restart, such as kubelet.service; empty: it is only said
# FLEET_SETTINGS a config.toml for the node, at /etc/xdg/docker-credential-ecr; empty: none
set -eu
umask 022

host=${FLEET_HOST:-/host}
here=$(cd -- "$(dirname -- "$0")" && pwd)
stage=/run/docker-credential-ecr # of the node: a tmpfs, also where its root is read-only
settings=/etc/xdg/docker-credential-ecr/config.toml
mark="# Written by docker-credential-ecr's fleet.sh, which replaces and removes this file."

fail() {
    printf 'fleet: error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'fleet: hint: %s\n' "$2" >&2
    exit 1
}

clean() {
    rm -rf -- "$host$stage" "$host$settings.new"
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

config=/etc/kubernetes/ecr-credential-provider.yaml # as install-node.sh has it
previous=
for word; do
    [ "$previous" != --config ] || config=$word
    previous=$word
done

state() { # what the kubelet reads at its start
    [ ! -f "$host$config" ] || sha256sum <"$host$config"
}

[ -d "$host/etc" ] || fail "\"$host\" is not the root of a node" "mount / of the node there"

put_settings() {
    if [ -e "$host$settings" ] && [ "$(head -n 1 -- "$host$settings")" != "$mark" ]; then
        fail "\"$settings\" on the node is another's" "move it away, or give the chart no settings"
    fi
    if [ -z "${FLEET_SETTINGS-}" ]; then
        rm -f -- "$host$settings"
        return
    fi
    if ! { mkdir -p -- "$host$(dirname -- "$settings")" &&
        { printf '%s\n' "$mark" && cat -- "$FLEET_SETTINGS"; } >"$host$settings.new" &&
        mv -f -- "$host$settings.new" "$host$settings"; }; then
        fail "\"$settings\" on the node cannot be written" "its root may be read-only"
    fi
}

before=$(state)
clean
mkdir -p -- "$host$stage"
cp -- "$here/docker-credential-ecr" "$here/install-node.sh" "$here"/*.yaml "$host$stage/"
put_settings
# What it says of a root that is read-only, or of another's plugin, is the container's last word.
chroot "$host" /bin/sh "$stage/install-node.sh" --file "$stage/docker-credential-ecr" "$@"
if [ "$before" = "$(state)" ]; then
    echo 'unchanged: the kubelet runs on'
elif [ -z "${FLEET_RESTART-}" ]; then
    echo 'changed: restart the kubelet'
else
    # The node's systemd is the first process, and its mounts have systemctl.
    nsenter --target 1 --mount -- systemctl restart "$FLEET_RESTART"
    printf 'changed: restarted %s\n' "$FLEET_RESTART"
fi
