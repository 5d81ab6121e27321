#!/bin/sh
# Put the kubelet's credential provider on this node: see --help.
#
# Everything is made beside its place and then renamed: a kubelet may call it at any moment, and a
# failure leaves what was there. Below PREFIX, releases/ID is what was installed, named by its hash;
# current is a link to the one in use; config is the configuration as it was written, by which a
# person's changes are seen; places is where the rest was put. The release before stays until the
# next one: it may still run. Two of these scripts at once wait for each other.
set -eu
umask 022

usage() {
    cat <<'EOF'
Usage: install-node.sh [SOURCE] [OPTION]...

Put the kubelet's credential provider on this node: an executable, its two names and a
configuration. Running it again keeps the mode and what a person changed.

SOURCE, the executable:
  --executable FILE     one that is installed, as by a package: its two names link to it
                        (/usr/bin/docker-credential-ecr, if it is there and no SOURCE is given)
  --file FILE           one file that runs by itself: copied below PREFIX; needs no Python
  --wheel FILE          a wheel, with the wheels that it needs in the same directory: a virtual
                        environment below PREFIX, without a network; needs Python 3.11 or newer
  --requirements FILE   what the wheel needs, with versions and hashes

OPTION:
  --service-accounts    the configuration in which pods pull as their own role, and the node's
                        identity answers for the rest
  --service-accounts-only  the one in which nothing but pods' own roles answers
  --node-identity       the one in which the node's identity answers (without any: as it is)
  --bin-dir DIR         the kubelet's plugin directory
  --config FILE         the configuration; "none" where something else writes it
  --hosts-dir DIR       containerd's directory of hosts.toml files, which gets one for each
                        [[mirror]] of config.toml (/etc/containerd/certs.d); "none" for no file
  --prefix DIR          where the executable is installed
  --replace             put another's plugin or configuration aside; --uninstall puts it back
  --dry-run             say what would be done
  --uninstall           remove what this script made, and put back what it replaced
  --help                this text

The directories and the configuration are remembered below PREFIX: running it again, and
--uninstall, need them no more.
EOF
}

bin_dir=
config=
prefix=/opt/docker-credential-ecr
hosts_dir=
packaged=/usr/bin/docker-credential-ecr
kind=
source=
mode=
dry_run=
uninstall=
replace=
requirements=
temporary=
here=$(dirname -- "$0")
names="ecr-credential-provider ecr-credential-provider-sa"
mark="# Installed by docker-credential-ecr's install-node.sh, which replaces and removes this file."
# SHA-256 of the configurations that the installers before this one wrote: nobody has edited these.
shipped_before="
53a62dc236bc8c0363d750ddf330f050e95e79e33a3c36501d4460c5b13134ad
9e615c052777579104464f7af8b1ef054d4b3c229fc6a7fc63163227e2f637da
bc1379be71dc84bc86cb24ca097040a7c411957f5fce25ee4fb890066a499531
ee7a3f8a9ad658a95dce80231ef73781a6aef07b83558a9f5e4759cd4b5b4955
2f2c3fcb79b5e6676798233796e20bce2693746aff7651043739565d6e77d9a7"

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

clean() {
    [ -z "$temporary" ] || rm -rf -- "$temporary"
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

choose() { # KIND FILE
    [ -z "$kind" ] || fail "\"--$kind\" and \"--$1\" are two sources" "give one of them"
    kind=$1
    source=$2
}

while [ $# -gt 0 ]; do
    case $1 in
    --bin-dir | --config | --prefix | --hosts-dir | --executable | --file | --wheel | --requirements)
        [ -n "${2-}" ] || fail "\"$1\" needs a value"
        case $1 in
        --bin-dir) bin_dir=$2 ;;
        --config) config=$2 ;;
        --prefix) prefix=$2 ;;
        --hosts-dir) hosts_dir=$2 ;;
        --requirements) requirements=$2 ;;
        *) choose "${1#--}" "$2" ;;
        esac
        shift 2
        continue
        ;;
    --service-accounts) mode=-service-accounts ;;
    --service-accounts-only) mode=-service-accounts-only ;;
    --node-identity) mode=node ;;
    --replace) replace=yes ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) fail "\"$1\" is not an option" "run: $0 --help" ;;
    esac
    shift
done

remembered() { # WHAT DEFAULT: what an installation has for it, with an x behind, as newlines would go
    if [ -f "$prefix/places/$1" ]; then cat -- "$prefix/places/$1"; else printf '%s' "$2"; fi
    printf x
}

place() { # WHAT GIVEN DEFAULT: set $place; the place that is given must be that of the installation
    place=$2
    while [ "$place" != "${place%/}" ]; do place=${place%/}; done
    there=$(remembered "$1" "$3")
    there=${there%x}
    if [ -n "$place" ] && [ -f "$prefix/places/$1" ] && [ "$place" != "$there" ]; then
        fail "\"$place\" is not the --$1 of this installation, which is \"$there\"" \
            "leave --$1 out, or run first: $0 --uninstall"
    fi
    [ -n "$place" ] || place=$there
    case $1$place in
    prefix/* | bin-dir/* | config/* | hosts-dir/* | confignone | hosts-dirnone) ;;
    *) fail "\"$2\" is not an absolute path" "start it at the root" ;;
    esac
}

place prefix "$prefix" ""
prefix=$place
path=$prefix
while [ ! -d "$path" ]; do path=$(dirname -- "$path"); done
[ "$path" != "$prefix" ] || path=$(dirname -- "$path")
# Two at once would remove what the other makes. A lock that ends with its holder leaves no file.
if command -v flock >/dev/null; then
    exec 9<"$path"
    flock -n 9 || {
        printf 'waiting for another run of this script\n'
        flock 9
    }
fi
place bin-dir "$bin_dir" /usr/local/lib/kubelet-credential-providers
bin_dir=$place
place config "$config" /etc/kubernetes/ecr-credential-provider.yaml
config=$place
place hosts-dir "$hosts_dir" /etc/containerd/certs.d
hosts_dir=$place
installed=$prefix/current/bin/docker-credential-ecr
before=$prefix/bin/docker-credential-ecr # where the installer before this one had it

check_program() { # FILE, as what it is of
    case $("$1" --version 2>/dev/null || true) in
    "docker-credential-ecr "*) ;;
    *) fail "\"$2\" is not docker-credential-ecr" "check the file: a download may have failed" ;;
    esac
}

there_is() { # FILE: also a link that leads nowhere
    [ -e "$1" ] || [ -L "$1" ]
}

aside() { # FILE: where what was there before us is kept
    printf '%s/.%s.before-docker-credential-ecr' "$(dirname -- "$1")" "$(basename -- "$1")"
}

is_our_link() { # FILE
    there=$(readlink -- "$1" 2>/dev/null || true)
    [ -n "$there" ] || return 1
    [ "$there" = "$installed" ] || [ "$there" = "$before" ] ||
        grep -qxF -- "$there" "$prefix/links" 2>/dev/null
}

is_marked() { # FILE
    [ "$(head -n 1 -- "$1" 2>/dev/null)" = "$mark" ]
}

next() { # KEPT: what KEPT is about to be, while FILE is replaced
    printf '%s/.%s.new' "$(dirname -- "$1")" "$(basename -- "$1")"
}

is_edited() { # FILE KEPT: whether a person changed FILE, which we wrote as KEPT
    if [ -f "$2" ]; then
        if cmp -s -- "$2" "$1" || cmp -s -- "$(next "$2")" "$1"; then return 1; fi
        return 0
    fi
    if cmp -s -- "$(next "$2")" "$1"; then return 1; fi
    hash=$(tail -n +2 -- "$1" | sha256sum | cut -d ' ' -f 1)
    case $shipped_before in
    *"$hash"*) return 1 ;;
    esac
}

put_back_or_remove() { # FILE
    if there_is "$(aside "$1")"; then
        run mv -f -- "$(aside "$1")" "$1"
    else
        run rm -f -- "$1"
    fi
}

take_back() { # FILE KEPT
    if is_marked "$1"; then
        if is_edited "$1" "$2"; then
            printf 'kept, as it was edited: %s\n' "$1"
        else
            put_back_or_remove "$1"
        fi
    fi
    if is_marked "$1.new"; then run rm -f -- "$1.new"; fi
}

take_back_hosts() { # SOURCE
    take_back "$hosts_dir/$1/hosts.toml" "$prefix/hosts/$1"
    run rm -f -- "$prefix/hosts/$1" "$(next "$prefix/hosts/$1")"
    [ -n "$dry_run" ] || rmdir -- "$hosts_dir/$1" 2>/dev/null || true # unless something is in it
}

if [ -n "$uninstall" ]; then
    for name in $names; do
        if is_our_link "$bin_dir/$name"; then put_back_or_remove "$bin_dir/$name"; fi
    done
    take_back "$config" "$prefix/config"
    for kept in "$prefix"/hosts/*; do
        if [ -f "$kept" ]; then take_back_hosts "$(basename -- "$kept")"; fi
    done
    if [ -f "$prefix/.install-node" ]; then run rm -rf -- "$prefix"; fi
    exit 0
fi

# What could be wrong is asked first, while nothing has been changed.
if [ -z "$kind" ]; then
    if [ -x "$installed" ]; then
        kind=installed
    elif [ -x "$(tail -n 1 -- "$prefix/links" 2>/dev/null)" ]; then
        choose executable "$(tail -n 1 -- "$prefix/links")"
    elif [ -x "$packaged" ]; then
        choose executable "$packaged"
    else
        fail "no executable is installed, and no SOURCE is given" "run: $0 --help"
    fi
fi
case $kind in
executable)
    case $source in
    /*) ;;
    *) fail "\"$source\" is not an absolute path" "links lead to it: start it at the root" ;;
    esac
    if [ ! -f "$source" ] || [ ! -x "$source" ]; then
        fail "\"$source\" is not an executable file" "check --executable"
    fi
    step=$source
    for _ in 1 2 3 4 5 6 7 8; do
        for name in $names; do
            [ "$step" != "$bin_dir/$name" ] || fail "\"$source\" leads to \"$step\", which would lead to it" \
                "name the executable itself"
        done
        [ -L "$step" ] || break
        case $(readlink -- "$step") in
        /*) step=$(readlink -- "$step") ;;
        *) step=$(dirname -- "$step")/$(readlink -- "$step") ;;
        esac
    done
    check_program "$source" "$source"
    ;;
file) [ -f "$source" ] || fail "there is no file \"$source\"" "check --file" ;;
wheel)
    [ -f "$source" ] || fail "there is no file \"$source\"" "check --wheel"
    [ -f "$requirements" ] || fail "there is no file \"$requirements\"" \
        "give --requirements: what the wheel needs, with hashes"
    ;;
esac
for name in $names; do
    if there_is "$bin_dir/$name" && ! is_our_link "$bin_dir/$name" && [ -z "$replace" ]; then
        fail "\"$bin_dir/$name\" is another program" \
            "give --replace (--uninstall puts it back), or another --bin-dir"
    fi
done
if [ "$config" != none ]; then
    if there_is "$config" && [ ! -f "$config" ]; then
        fail "\"$config\" is not a file" "name a file, which may be new in a directory: --config DIR/ecr.yaml"
    fi
    if there_is "$config" && ! is_marked "$config" && [ -z "$replace" ]; then
        fail "\"$config\" is another's configuration" \
            "give --replace (--uninstall puts it back), or another --config"
    fi
    is=node
    if is_marked "$config" && grep -q '^ *tokenAttributes:' "$config"; then
        is=-service-accounts
        [ "$(grep -c '^ *- name: ecr-credential-provider' "$config")" -gt 1 ] || is=$is-only
    fi
    [ -n "$mode" ] || mode=$is
    if [ "$mode" != "$is" ] && is_marked "$config" && is_edited "$config" "$prefix/config"; then
        fail "\"$config\" was edited: another mode would lose that" "move it away, and run this again"
    fi
    [ "$mode" != node ] || mode=
    configuration=$here/credential-provider-config$mode.yaml
    [ -f "$configuration" ] || fail "there is no file \"$configuration\"" "keep it beside this script"
fi
# An empty one may be what an interrupted run has left.
if [ ! -f "$prefix/.install-node" ] && there_is "$prefix" &&
    ! { [ -d "$prefix" ] && [ -z "$(ls -A -- "$prefix")" ]; }; then
    fail "\"$prefix\" is not of this script's making" "remove it, or choose another --prefix"
fi
for path in "$prefix" "$bin_dir" "$(dirname -- "$config")"; do
    [ "$path" != . ] || continue
    while [ ! -d "$path" ]; do path=$(dirname -- "$path"); done
    [ -w "$path" ] || fail "\"$path\" cannot be written" \
        "choose another directory: its file system may be read-only"
done

make_file() { # RELEASE
    cp -- "$source" "$1/bin/docker-credential-ecr" && chmod 0755 "$1/bin/docker-credential-ecr"
}

make_wheel() { # RELEASE
    python=
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        # Without ensurepip (Debian's python3-venv) a virtual environment is left half made.
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "no Python 3.11 or newer with venv" \
        "install python3.11 and python3.11-venv, or give --file"
    "$python" -m venv "$1" || return
    set -- "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps
    "$@" --find-links "$(dirname -- "$source")" --require-hashes --requirement "$requirements" &&
        "$@" "$source"
}

tab=$(printf '\t')
mirrors= # SOURCE, REGISTRY and PREFIX with tabs between: a line for each

find_mirrors() { # EXECUTABLE, which reads config.toml as the kubelet's environment lets it
    home=$(sed -n '/name: HOME$/{n;s/^ *value: //p;}' "${configuration:-/dev/null}" | head -n 1)
    if ! mirrors=$(env -i HOME="${home:-/root}" PATH="$PATH" "$1" configure --mirrors); then
        fail "\"$1\" cannot say which mirrors there are" "see what stands above"
    fi
    mirrors=$(printf '%s\n' "$mirrors" | grep "^[a-z0-9._-]*${tab}[a-z0-9.-]*${tab}[a-z0-9./_-]*\$" || true)
    [ "$hosts_dir" != none ] || return 0
    for mirrored in $(printf '%s\n' "$mirrors" | cut -f 1); do
        file=$hosts_dir/$mirrored/hosts.toml
        if there_is "$file" && ! is_marked "$file" && [ -z "$replace" ]; then
            fail "\"$file\" is another's" \
                "give --replace (--uninstall puts it back), or --hosts-dir none"
        fi
    done
}

provider_config() {
    printf '%s\n' "$mirrors" | awk -F "$tab" '
        FNR == NR { if ($1 != "") sources[++count] = $1; next }
        /^ *defaultCacheDuration:/ { for (n = 1; n <= count; n++) printf "      - \"%s\"\n", sources[n] }
        { print }
    ' - "$configuration"
}

hosts_toml() { # SOURCE REGISTRY PREFIX
    url=https://$2/v2${3:+/$3}
    cat <<EOF
# Images of $1 come from $2, and from nowhere else. Another host in this file,
# or no server, would be sent the token of ECR where the first lacks an image.
server = "$url"
capabilities = ["pull", "resolve"]
override_path = true
[host."$url"]
  capabilities = ["pull", "resolve"]
  override_path = true
EOF
}

put_link() { # TARGET LINK: at once, whatever is there
    [ "$(readlink -- "$2" 2>/dev/null || true)" != "$1" ] || return 0
    if [ -n "$dry_run" ]; then
        printf 'would link: %s to %s\n' "$2" "$1"
        return
    fi
    temporary=$2.new
    rm -f -- "$temporary"
    if ! { ln -s -- "$1" "$temporary" && mv -Tf -- "$temporary" "$2"; }; then
        fail "\"$2\" cannot be written" "see what stands above"
    fi
    temporary=
}

put_aside() { # FILE, whose name is never without a file
    [ -n "$dry_run" ] || there_is "$(aside "$1")" || cp -a -- "$1" "$(aside "$1")"
}

run mkdir -p -- "$prefix"
run touch -- "$prefix/.install-node" # first of all: what is made from here on is ours
run mkdir -p -- "$prefix/releases" "$prefix/places" "$bin_dir"
[ "$config" = none ] || run mkdir -p -- "$(dirname -- "$config")"

remember() { # WHAT PLACE
    [ -z "$dry_run" ] || return 0
    [ ! -f "$prefix/places/$1" ] || return 0
    temporary=$prefix/places/.$1
    if ! { printf '%s' "$2" >"$temporary" && mv -f -- "$temporary" "$prefix/places/$1"; }; then
        fail "\"$temporary\" cannot be written" "see what stands above"
    fi
    temporary=
}

remember bin-dir "$bin_dir"
remember config "$config"
remember hosts-dir "$hosts_dir"
target=$installed
case $kind in
installed) find_mirrors "$installed" ;;
executable)
    target=$source
    find_mirrors "$target"
    [ -n "$dry_run" ] || grep -qxF -- "$target" "$prefix/links" 2>/dev/null ||
        printf '%s\n' "$target" >>"$prefix/links"
    ;;
file | wheel)
    id=$(cat -- "$source" ${requirements:+"$requirements"} | sha256sum | cut -c 1-16)
    release=$prefix/releases/$id
    if [ -e "$release/.whole" ]; then
        :
    elif [ -n "$dry_run" ]; then
        printf 'would install: %s in %s\n' "$source" "$release"
    else
        rm -rf -- "$release"
        temporary=$release
        mkdir -p -- "$release/bin"
        if ! { "make_$kind" "$release" && [ -x "$release/bin/docker-credential-ecr" ]; }; then
            fail "\"$source\" cannot be installed in \"$release\"" "see what stands above"
        fi
        check_program "$release/bin/docker-credential-ecr" "$source"
        touch -- "$release/.whole"
        temporary=
    fi
    [ ! -x "$release/bin/docker-credential-ecr" ] || find_mirrors "$release/bin/docker-credential-ecr"
    last=$(readlink -- "$prefix/current" 2>/dev/null || true)
    put_link "releases/$id" "$prefix/current"
    for release in "$prefix"/releases/*; do
        case $release in
        "$prefix/releases/$id" | "$prefix/$last" | "$prefix/releases/*") ;;
        *) run rm -rf -- "$release" ;;
        esac
    done
    ;;
esac
for name in $names; do
    if there_is "$bin_dir/$name" && ! is_our_link "$bin_dir/$name"; then put_aside "$bin_dir/$name"; fi
    put_link "$target" "$bin_dir/$name"
done

# What the installer before this one made: a process of it has ended by the second time.
if [ -n "${last-}" ] && [ -e "$prefix/pyvenv.cfg" ]; then
    for name in bin include lib lib64 pyvenv.cfg share; do run rm -rf -- "${prefix:?}/$name"; done
fi

put_file() { # FILE KEPT COMMAND...: FILE gets what the command says, and is kept as KEPT
    file=$1
    kept=$2
    shift 2
    if [ -n "$dry_run" ]; then
        printf 'would write: %s, unless it was edited\n' "$file"
        return
    fi
    mkdir -p -- "$(dirname -- "$file")" "$(dirname -- "$kept")"
    temporary=$file.new
    if ! { { printf '%s\n' "$mark" && "$@"; } >"$temporary"; }; then
        fail "\"$temporary\" cannot be written" "see what stands above"
    fi
    chmod 0644 "$temporary"
    if is_marked "$file" && is_edited "$file" "$kept"; then
        if cmp -s -- "$temporary" "$kept"; then
            printf 'kept, as it was edited: %s\n' "$file" # and has nothing to learn
            clean
        else
            printf 'kept, as it was edited: %s; the new one is %s.new\n' "$file" "$file"
        fi
        temporary=
        return
    fi
    if there_is "$file" && ! is_marked "$file"; then put_aside "$file"; fi
    # Whenever it is interrupted, the file is what one of the two records says.
    if ! cp -- "$temporary" "$(next "$kept")"; then
        fail "\"$(next "$kept")\" cannot be written" "see what stands above"
    fi
    if cmp -s -- "$temporary" "$file"; then clean; else mv -f -- "$temporary" "$file"; fi
    temporary=
    mv -f -- "$(next "$kept")" "$kept"
}

[ "$config" = none ] || put_file "$config" "$prefix/config" provider_config
if [ "$hosts_dir" != none ]; then
    while IFS=$tab read -r mirrored registry of; do
        [ -z "$mirrored" ] ||
            put_file "$hosts_dir/$mirrored/hosts.toml" "$prefix/hosts/$mirrored" \
                hosts_toml "$mirrored" "$registry" "$of"
    done <<EOF
$mirrors
EOF
    for kept in "$prefix"/hosts/*; do # of what is no mirror any more
        name=$(basename -- "$kept")
        [ ! -f "$kept" ] || printf '%s\n' "$mirrors" | cut -f 1 | grep -qxF -- "$name" || take_back_hosts "$name"
    done
fi
printf 'kubelet flags: --image-credential-provider-bin-dir=%s' "$bin_dir"
[ "$config" = none ] || printf ' --image-credential-provider-config=%s' "$config"
printf '\n'
