#!/bin/sh
# Put the kubelet's credential provider on this node. Running it again changes nothing but versions.
#
#   install-node.sh [--bin-dir DIR] [--config FILE] [--venv DIR] [--package SPEC] [--service-accounts]
#                   [--dry-run] [--uninstall]
#
# --package is what pip installs: docker-credential-ecr, or a wheel for nodes without a network.
# Restart the kubelet afterwards; its flags are the caller's business (README.md beside this file).
# Only what this script made is replaced or removed: its links, a configuration with its mark, a
# virtual environment with its mark.
set -eu

bin_dir=/usr/local/lib/kubelet-credential-providers
config=/etc/kubernetes/ecr-credential-provider.yaml
venv=/opt/docker-credential-ecr
package=docker-credential-ecr
source=credential-provider-config.yaml
dry_run=
uninstall=
here=$(dirname -- "$0")

fail() {
    printf 'install-node: error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'install-node: hint: %s\n' "$2" >&2
    exit 1
}

run() {
    if [ -n "$dry_run" ]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --bin-dir | --config | --venv | --package)
        [ $# -ge 2 ] || fail "\"$1\" needs a value"
        case $1 in
        --bin-dir) bin_dir=$2 ;;
        --config) config=$2 ;;
        --venv) venv=$2 ;;
        --package) package=$2 ;;
        esac
        shift 2
        ;;
    --service-accounts) source=credential-provider-config-service-accounts.yaml; shift ;;
    --dry-run) dry_run=yes; shift ;;
    --uninstall) uninstall=yes; shift ;;
    *) fail "\"$1\" is not an option" "read the first lines of this file" ;;
    esac
done

names="ecr-credential-provider ecr-credential-provider-sa"
program=$venv/bin/docker-credential-ecr
mark="# Installed by docker-credential-ecr's install-node.sh, which replaces and removes this file."
venv_mark=$venv/.install-node

case $venv in
/*) ;;
*) fail "\"$venv\" is not an absolute path" "give --venv one: links point to it" ;;
esac

is_our_config() {
    [ "$(head -n 1 -- "$config" 2>/dev/null)" = "$mark" ]
}

write_config() {
    temporary=$config.new
    { printf '%s\n' "$mark" && cat -- "$here/$source"; } >"$temporary"
    chmod 0644 "$temporary"
    if cmp -s -- "$temporary" "$config"; then
        rm -f -- "$temporary"
    else
        mv -f -- "$temporary" "$config"
    fi
}

if [ -n "$uninstall" ]; then
    for name in $names; do
        # Only a link of ours: AWS's own plugin has the same name.
        if [ "$(readlink -- "$bin_dir/$name" 2>/dev/null || true)" = "$program" ]; then
            run rm -f -- "$bin_dir/$name"
        fi
    done
    if is_our_config; then run rm -f -- "$config"; fi
    if [ -f "$venv_mark" ]; then run rm -rf -- "$venv"; fi
    exit 0
fi

python=
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    # Without ensurepip (Debian's python3-venv) a virtual environment is left half made.
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "no Python 3.11 or newer with venv" "install python3.11 and python3.11-venv"

for name in $names; do
    there=$(readlink -- "$bin_dir/$name" 2>/dev/null || true)
    if { [ -e "$bin_dir/$name" ] || [ -L "$bin_dir/$name" ]; } && [ "$there" != "$program" ]; then
        fail "\"$bin_dir/$name\" is another program" "move it away, or choose another --bin-dir"
    fi
done
if [ -e "$config" ] && ! is_our_config; then
    fail "\"$config\" is another's configuration" "move it away, or choose another --config"
fi
if [ -e "$venv" ] && [ ! -f "$venv_mark" ]; then
    fail "\"$venv\" is not of this script's making" "remove it, or choose another --venv"
fi

run mkdir -p -- "$venv" "$bin_dir" "$(dirname -- "$config")"
run touch -- "$venv_mark"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || run "$python" -m venv "$venv"
run "$venv/bin/python" -m pip install --quiet --upgrade "$package"
for name in $names; do
    # A link that is right stays: a pull may need it at any moment.
    [ "$(readlink -- "$bin_dir/$name" || true)" = "$program" ] || run ln -s -- "$program" "$bin_dir/$name"
done
if [ -n "$dry_run" ]; then
    printf 'would write: %s\n' "$config"
else
    write_config
fi
printf 'kubelet flags: --image-credential-provider-bin-dir=%s --image-credential-provider-config=%s\n' \
    "$bin_dir" "$config"
