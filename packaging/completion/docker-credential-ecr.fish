# fish completion for docker-credential-ecr
complete -c docker-credential-ecr -f
complete -c docker-credential-ecr -n __fish_use_subcommand -a configure -d 'have Docker ask this helper'
complete -c docker-credential-ecr -n __fish_use_subcommand -a doctor -d 'check everything, from PATH to the registry'
complete -c docker-credential-ecr -n __fish_use_subcommand -a status -d 'show the tokens on disk'
complete -c docker-credential-ecr -n __fish_use_subcommand -a token -d 'print a token for the registry\'s HTTP API'
complete -c docker-credential-ecr -n __fish_use_subcommand -a refresh -d 'get new tokens now'
complete -c docker-credential-ecr -n __fish_use_subcommand -a completion -d 'print a completion script for a shell'
complete -c docker-credential-ecr -n __fish_use_subcommand -a 'kubelet get store erase list version'
complete -c docker-credential-ecr -n __fish_use_subcommand -l help -s h
complete -c docker-credential-ecr -n __fish_use_subcommand -l version
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure' -l all -d 'have Docker ask for every registry'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure' -l regions -d 'without a registry: the regions, in place of yours'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure' -l remove -d 'take back what this command did: for the named registries, or all'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure' -l dry-run -d 'write nothing'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from doctor' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from doctor' -l offline -d 'only what can be seen on this machine'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from doctor' -l json -d 'print the findings as JSON'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from status' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from status' -l json -d 'print a JSON list'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from token' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from token' -l header -d 'print the whole header, for curl -H @-'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from token' -l password -d 'print the password of the user AWS, for --password-stdin'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from token' -l docker-config -d 'print a Docker configuration with the logins of all REGISTRY'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from refresh' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from completion' -s h -l help -d 'show the help'
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
function __docker_credential_ecr_registries
    docker-credential-ecr list 2>/dev/null | tr '{,}' '\n\n\n' | sed -n 's|^ *"\(https://\)\{0,1\}\([0-9A-Za-z][0-9A-Za-z._:-]*\)": *"AWS" *$|\2|p'
end
complete -c docker-credential-ecr -n '__fish_seen_subcommand_from configure doctor token refresh' -a '(__docker_credential_ecr_registries)'
