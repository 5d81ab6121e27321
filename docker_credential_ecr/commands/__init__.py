"""What people type: configure, doctor, status, token, refresh, completion.

The law of output: what was asked for goes to stdout, everything said to a person beside it goes to
stderr, each line of that with the program's name. argparse lives here and nowhere else.

No command imports another: what they share are the rooms ``console``, ``registries``, ``docker``
and ``system``.
"""

import os

from .. import ACTIONS, PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol, TextIO

    from ..errors import HelperError
    from .console import Console

    class Command(Protocol):
        """A module of this package that is a command."""

        SUMMARY: str
        DESCRIPTION: str
        EXAMPLE: str

        @staticmethod
        def arguments(parser: argparse.ArgumentParser) -> None:
            """Add what the command takes."""

        @staticmethod
        def run(arguments: argparse.Namespace, console: Console) -> int:
            """Carry the command out and return the exit code."""


NAMES = ("configure", "doctor", "status", "token", "refresh", "completion")
USAGE = f"""\
usage: {PROGRAM} <get|store|erase|list|version>     for Docker, see credHelpers
       {PROGRAM} kubelet                            for the kubelet
       {PROGRAM} <{"|".join(NAMES[:4])}|...> [--help]
"""
EXAMPLE = f"""\
example:
  {PROGRAM} configure 123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker pull 123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1
"""
_FLAGS = ("-h", "--help", "-v", "--version")
_WORD_LENGTH = 20  # characters of a word that is shown; the longest command has 10
WIDTH = 80  # columns of --help, whatever the terminal: the man page and the tests compare it


def run(
    argv: "Sequence[str]",
    stdout: "TextIO | None",
    stderr: "TextIO | None",
    environ: "Mapping[str, str]",
) -> int:
    """Carry out the command in ``argv`` (without the program) and return the exit code.

    A stream is ``None`` where it is closed. Raises ``HelperError``; what was written until then
    has been handed over.
    """
    from .console import Console

    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        return _carry_out(argv, Console(stdout or nowhere, stderr or nowhere, environ))


def _carry_out(argv: "Sequence[str]", console: "Console") -> int:
    from ..errors import HelperError, one_line

    if not argv:
        console.write(USAGE)  # as Docker's own helpers do
        return 1
    if argv[0] not in (*NAMES, *_FLAGS):
        raise _unknown(argv[0])
    parser = make_parser(console.write)
    try:
        arguments, unknown = parser.parse_known_args(list(argv))
    except SystemExit as done:  # --help and --version; errors are raised as ours
        return int(done.code or 0)
    if unknown:
        what = "an option" if unknown[0].startswith("-") else "an argument"
        raise HelperError(
            f'{arguments.command} does not have {what} "{one_line(unknown[0])}"',
            f"see: {PROGRAM} {arguments.command} --help",
        )
    return module(arguments.command).run(arguments, console)


def _unknown(word: str) -> "HelperError":
    """Return what to say of a word that is no command."""
    import difflib

    from ..errors import HelperError

    if word in ACTIONS:  # with more words, else it would not come here
        hint = f"what it is about comes on stdin: echo HOST | {PROGRAM} {word}"
        return HelperError(f'"{word}" takes no argument', hint)
    see = f"see: {PROGRAM} --help"
    if not word.isascii() or not word.replace("-", "").isalpha() or len(word) > _WORD_LENGTH:
        return HelperError("what you typed is not a command", see)  # and may hold a secret
    known = (*NAMES, *ACTIONS, "kubelet", *_FLAGS)
    nearest = difflib.get_close_matches(word.lower(), known, 1)
    hints = [f"did you mean: {PROGRAM} {nearest[0]}"] if nearest else []
    what = "an option" if word.startswith("-") else "a command"
    return HelperError(f'"{word}" is not {what}', *hints, see)


def module(name: str) -> "Command":
    """Return the module of a command."""
    from importlib import import_module

    command: Command = import_module(f".{name}", __package__)  # type: ignore[assignment]
    return command


def make_parser(write: "Callable[[str], None]") -> "argparse.ArgumentParser":
    """Return the parser of the whole command line, whose help goes to ``write``."""
    import argparse
    import functools

    from .. import __version__
    from ..errors import HelperError, one_line

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> "typing.NoReturn":  # type: ignore[name-defined]  # noqa: F821
            raise HelperError(one_line(message), f"see: {self.prog} --help")

        def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002
            write(message)

    formatter = functools.partial(
        argparse.RawDescriptionHelpFormatter, width=WIDTH, max_help_position=24
    )
    summaries = "".join(f"  {name:<12}{module(name).SUMMARY}\n" for name in NAMES)
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [-h] [-v] COMMAND ...",
        description="A Docker credential helper for Amazon ECR.\n\n"
        f"commands:\n{summaries}\n"
        "for programs:\n"
        "  kubelet     the kubelet's image credential provider\n"
        f"  {', '.join(ACTIONS)}\n"
        "              Docker's protocol, see credHelpers in its configuration",
        epilog=EXAMPLE,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-v",
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="show the version and exit",
    )
    subparsers = parser.add_subparsers(
        dest="command",
        prog=PROGRAM,
        metavar="COMMAND",
        required=True,
        parser_class=Parser,
        help=argparse.SUPPRESS,  # listed above: argparse breaks the lines of short names
    )
    for name in NAMES:
        command = module(name)
        subparser = subparsers.add_parser(
            name,
            description=command.DESCRIPTION,
            epilog=f"example:\n{command.EXAMPLE}",
            formatter_class=formatter,
            allow_abbrev=False,
        )
        command.arguments(subparser)
    return parser
