"""completion: a script for the shell, made from what each command adds to the command line."""

from .. import ACTIONS, PROGRAM
from . import NAMES, module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .console import Console

    Commands = dict[str, tuple[str, list[tuple[tuple[str, ...], str]]]]

SUMMARY = "print a completion script for a shell"
DESCRIPTION = """\
Print a script that completes commands, options and the registries with a token
on disk."""
EXAMPLE = """\
  source <(docker-credential-ecr completion bash)
  docker-credential-ecr completion zsh >"${fpath[1]}/_docker-credential-ecr"
  docker-credential-ecr completion fish >
    ~/.config/fish/completions/docker-credential-ecr.fish
"""
SHELLS = ("bash", "zsh", "fish")
_TAKE_REGISTRIES = ("configure", "doctor", "token", "refresh")
# Known registries: what `list` says, one a line. Part of that comes from the fallback helper, so
# only what can be a host, with a port, goes on to the shell.
_REGISTRIES = (
    f"{PROGRAM} list 2>/dev/null | tr '{{,}}' '\\n\\n\\n' | sed -n "
    """'s|^ *"\\(https://\\)\\{0,1\\}\\([0-9A-Za-z][0-9A-Za-z._:-]*\\)": *"AWS" *$|\\2|p'"""
)


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out."""
    console.write(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """Return the completion script of a shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


class _Options:
    """Takes the place of a parser, and notes the options that a command adds."""

    def __init__(self) -> None:
        self.found: list[tuple[tuple[str, ...], str]] = [(("-h", "--help"), "show the help")]

    def add_argument(self, *names: str, help: str, **_: object) -> None:  # noqa: A002 - argparse's
        if names[0].startswith("-"):
            self.found.append((names, help.partition(";")[0]))

    def add_mutually_exclusive_group(self) -> "_Options":
        return self


def commands() -> "Commands":
    """Return, for each command, its summary, and its options with their help."""
    found = {}
    for name in NAMES:
        command, options = module(name), _Options()
        command.arguments(options)  # type: ignore[arg-type] # all that they call
        found[name] = command.SUMMARY, options.found
    return found


def _bash(commands: "Commands") -> str:
    cases = "".join(
        f"        {name}) words='{' '.join(flag for flags, _ in options for flag in flags)}"
        f"{' ' + ' '.join(SHELLS) if name == 'completion' else ''}' ;;\n"
        for name, (_, options) in commands.items()
    )
    return f"""\
# bash completion for {PROGRAM}
_docker_credential_ecr() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=
    if ((COMP_CWORD == 1)); then
        words='{" ".join((*NAMES, "kubelet", *ACTIONS))} --help --version'
    else
        case ${{COMP_WORDS[1]}} in
{cases}        esac
        case ${{COMP_WORDS[1]}} in
        {" | ".join(_TAKE_REGISTRIES)})
            [[ $current == -* ]] || words+=" $({_REGISTRIES})" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _docker_credential_ecr {PROGRAM}
"""


def _zsh(commands: "Commands") -> str:
    def quoted(text: str) -> str:
        for character in "[]:":
            text = text.replace(character, f"\\{character}")
        return text.replace("'", "'\\''")

    listed = "".join(
        f"        '{name}:{quoted(summary)}'\n" for name, (summary, _) in commands.items()
    )
    cases = ""
    for name, (_, options) in commands.items():
        specs = [f"'{flag}[{quoted(text)}]'" for flags, text in options for flag in flags]
        if name in _TAKE_REGISTRIES:
            specs.append("'*:registry:_docker_credential_ecr_registries'")
        if name == "completion":
            specs.append(f"'1:shell:({' '.join(SHELLS)})'")
        joined = " \\\n            ".join(specs)
        cases += f"    {name})\n        _arguments \\\n            {joined} ;;\n"
    return f"""\
#compdef {PROGRAM}
# zsh completion for {PROGRAM}
_docker_credential_ecr_registries() {{
    local -a registries
    registries=(${{(f)"$({_REGISTRIES})"}})
    compadd -a registries
}}
_docker_credential_ecr() {{
    local -a commands
    if ((CURRENT == 2)); then
        commands=(
{listed}        )
        _describe command commands
        compadd -- kubelet {" ".join(ACTIONS)} --help --version
        return
    fi
    shift words
    ((CURRENT--))
    case ${{words[1]}} in
{cases}    esac
}}
if [[ ${{funcstack[1]}} == _docker-credential-ecr ]]; then
    _docker_credential_ecr "$@"
else
    compdef _docker_credential_ecr {PROGRAM}
fi
"""


def _fish(commands: "Commands") -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    start = f"complete -c {PROGRAM}"
    lines = [f"# fish completion for {PROGRAM}", f"{start} -f"]
    lines += [
        f"{start} -n __fish_use_subcommand -a {name} -d {quoted(summary)}"
        for name, (summary, _) in commands.items()
    ]
    lines += [
        f"{start} -n __fish_use_subcommand -a '{' '.join(('kubelet', *ACTIONS))}'",
        f"{start} -n __fish_use_subcommand -l help -s h",
        f"{start} -n __fish_use_subcommand -l version",
    ]
    for name, (_, options) in commands.items():
        seen = f"{start} -n '__fish_seen_subcommand_from {name}'"
        for flags, text in options:
            kinds = [f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in flags]
            lines.append(f"{seen} {' '.join(kinds)} -d {quoted(text)}")
        if name == "completion":
            lines.append(f"{seen} -a '{' '.join(SHELLS)}'")
    lines += [
        "function __docker_credential_ecr_registries",
        f"    {_REGISTRIES}",
        "end",
        (
            f"{start} -n '__fish_seen_subcommand_from {' '.join(_TAKE_REGISTRIES)}' "
            "-a '(__docker_credential_ecr_registries)'"
        ),
    ]
    return "\n".join(lines) + "\n"
