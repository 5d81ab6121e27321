# bash completion for docker-credential-ecr
_docker_credential_ecr() {
    local current=${COMP_WORDS[COMP_CWORD]} words=
    if ((COMP_CWORD == 1)); then
        words='configure doctor status token refresh completion kubelet get store erase list version --help --version'
    else
        case ${COMP_WORDS[1]} in
        configure) words='-h --help --all --regions --remove --mirrors --dry-run' ;;
        doctor) words='-h --help --kubelet --config --bin-dir --offline --json' ;;
        status) words='-h --help --json' ;;
        token) words='-h --help --header --password --docker-config --secret-patch' ;;
        refresh) words='-h --help' ;;
        completion) words='-h --help bash zsh fish' ;;
        esac
        case ${COMP_WORDS[1]} in
        configure | doctor | token | refresh)
            [[ $current == -* ]] || words+=" $(docker-credential-ecr list 2>/dev/null | tr '{,}' '\n\n\n' | sed -n 's|^ *"\(https://\)\{0,1\}\([0-9A-Za-z][0-9A-Za-z._:-]*\)": *"AWS" *$|\2|p')" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _docker_credential_ecr docker-credential-ecr
