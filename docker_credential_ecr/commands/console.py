"""Where a command speaks: answers to stdout, everything else to stderr under the program's name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from ..errors import HelperError

PROGRAM = "docker-credential-ecr"
COLOURS = {"ok": "32", "warning": "33", "error": "31", "skipped": "2"}  # ECMA-48, SGR


class Console:
    """The two streams and the environment of one command."""

    __slots__ = ("environ", "stderr", "stdout")

    def __init__(self, stdout: "TextIO", stderr: "TextIO", environ: "Mapping[str, str]") -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.environ = environ

    def answer(self, text: str) -> None:
        """Write a line of the answer."""
        self.stdout.write(f"{text}\n")

    def error(self, error: "HelperError") -> None:
        """Report an error that does not end the command."""
        self._report("error", error.reason, error.hints)

    def warn(self, reason: str, *hints: str) -> None:
        """Report what works now and will surprise later."""
        self._report("warning", reason, hints)

    def progress(self, text: str) -> None:
        """Say how far a long command is, on a terminal only."""
        if self.stderr.isatty():
            self.stderr.write(f"{PROGRAM}: {text}\n")
            self.stderr.flush()

    def coloured(self, state: str) -> str:
        """Return ``state`` in its colour if stdout is a terminal that should have any."""
        plain = self.environ.get("NO_COLOR") or self.environ.get("TERM") == "dumb"
        if plain or not self.stdout.isatty():
            return state
        return f"\033[{COLOURS[state]}m{state}\033[0m"

    def _report(self, kind: str, reason: str, hints: tuple[str, ...]) -> None:
        self.stdout.flush()
        self.stderr.write(f"{PROGRAM}: {kind}: {reason}\n")
        for hint in hints:
            self.stderr.write(f"{PROGRAM}: hint: {hint}\n")
