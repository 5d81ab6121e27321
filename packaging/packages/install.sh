#!/bin/sh
# Install what lies beside this script, where there is no package manager: see --help.
#
# Every file is copied beside its place and then renamed: a client may call the program at any moment,
# and a failure leaves what was there.
set -eu
umask 022

usage() {
    cat <<'END'
Usage: install.sh [--prefix DIR] [--update | --remove]

Install docker-credential-ecr, its manual page and its completions below DIR (/usr/local).

  --prefix DIR   where; with "$HOME/.local" nobody needs to be root
  --update       replace what is installed there
  --remove       remove what this script installed there; tokens and configuration stay
END
}

fail() { # REASON HINT
    printf 'install.sh: error: %s\n' "$1" >&2
    printf 'install.sh: hint: %s\n' "$2" >&2
    exit 1
}

prefix=/usr/local
action=install
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -gt 1 ] || fail 'a directory is missing after "--prefix"' 'install.sh --help'
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --update | --remove) action=${1#--} ;;
        --help | -h)
            usage
            exit
            ;;
        *) fail "no such option: \"$1\"" 'install.sh --help' ;;
    esac
    shift
done
case $prefix in
    /*) ;;
    *) fail "not an absolute path: \"$prefix\"" "install.sh --prefix \"\$PWD/$prefix\"" ;;
esac

program=docker-credential-ecr
executable=$prefix/bin/$program
list=$prefix/share/doc/$program/installed # paths below the prefix, one a line

if [ "$action" = remove ]; then
    [ -f "$list" ] || fail "nothing that this script installed is below \"$prefix\"" \
        "install.sh --prefix DIR --remove"
    while IFS= read -r path; do
        rm -f "$prefix/$path"
    done <"$list"
    rm -f "$list"
    rmdir "$prefix/share/doc/$program"
    printf 'removed from %s\n' "$prefix"
    exit
fi

source=$(cd "$(dirname "$0")" && pwd)
if ! "$source/bin/$program" version >/dev/null 2>&1; then
    fail "the executable does not run here, a $(uname -s) on $(uname -m)" \
        'take the archive of this system and processor'
fi
if [ -e "$executable" ] || [ -L "$executable" ]; then
    if [ "$action" = install ]; then
        fail "there already: \"$executable\"" 'install.sh --update'
    fi
    if [ ! -f "$list" ]; then
        fail "not installed by this script: \"$executable\"" 'remove it by what installed it'
    fi
fi

new=
trap '[ -z "$new" ] || rm -f "$new"' EXIT
put() { # PATH
    mkdir -p "$(dirname "$prefix/$1")" || stop
    new=$prefix/$1.new.$$
    cp "$source/$1" "$new" || stop
    mv -f "$new" "$prefix/$1" || stop
    new=
}
stop() {
    fail "\"$prefix\" cannot be written" "install.sh --prefix \"\$HOME/.local\""
}

files=$(cd "$source" && find bin share -type f | sort)
mkdir -p "$(dirname "$list")" 2>/dev/null || stop
# First the list, so that whatever happens --remove knows of each file.
printf '%s\n' "$files" >"$list" 2>/dev/null || stop
for path in $files; do # none of our names has a space
    put "$path"
done
"$executable" version
case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) printf '%s\n' "add it to PATH: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
