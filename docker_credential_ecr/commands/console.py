"""Where a command speaks: answers to stdout, everything else to stderr under the program's name."""

from ..errors import HelperError, has_left, lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_PIECE = 1000  # characters: what fits into the stream's buffer of 8 KiB, in any encoding
COLOURS = {"ok": "32", "warning": "33", "error": "31", "skipped": "2"}  # ECMA-48, SGR


class Console:
    """The two streams and the environment of one command."""

    __slots__ = ("environ", "stderr", "stdout")

    def __init__(self, stdout: "TextIO", stderr: "TextIO", environ: "Mapping[str, str]") -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.environ = environ
        reconfigure = getattr(stdout, "reconfigure", None)
        if reconfigure is not None:
            # What a program reads is the same everywhere: UTF-8, and no CR on Windows. A terminal
            # keeps its encoding, and is shown \x.. for what it has no letter for.
            encoding = None if stdout.isatty() else "utf-8"
            reconfigure(encoding=encoding, errors="backslashreplace", newline="\n")

    def answer(self, text: str) -> None:
        """Write a line of the answer. Raises ``HelperError`` if it cannot be written."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write a part of the answer, and hand it over. Raises ``HelperError`` if that fails."""
        try:
            for start in range(0, len(text), _PIECE):
                self.stdout.write(text[start : start + _PIECE])
                self._flush()
        except OSError as error:
            if has_left(error):
                raise BrokenPipeError from None  # a reader that has left, in Windows' words, too
            raise HelperError(
                f'the answer cannot be written: "{error.strerror}"', "check where its stdout goes"
            ) from None

    def error(self, error: HelperError) -> None:
        """Report an error that does not end the command."""
        self._report("error", error.reason, error.hints)

    def warn(self, reason: str, *hints: str) -> None:
        """Report what works now and will surprise later."""
        self._report("warning", reason, hints)

    def progress(self, text: str) -> None:
        """Say how far a long command is, on a terminal only."""
        if self.stderr.isatty():
            from .. import PROGRAM

            self.stderr.write(f"{PROGRAM}: {text}\n")
            self.stderr.flush()

    def coloured(self, state: str) -> str:
        """Return ``state`` in its colour if stdout is a terminal that should have any."""
        plain = self.environ.get("NO_COLOR") or self.environ.get("TERM") == "dumb"
        if plain or not self.stdout.isatty():
            return state
        return f"\033[{COLOURS[state]}m{state}\033[0m"

    def _report(self, kind: str, reason: str, hints: tuple[str, ...]) -> None:
        try:
            self.stderr.write("".join(f"{line}\n" for line in lines(kind, reason, hints)))
            self.stderr.flush()
        except OSError:
            pass  # nobody reads it

    def _flush(self) -> None:
        while True:
            try:
                self.stdout.flush()
            except BlockingIOError:  # its owner has set it not to block
                import select

                select.select([], [self.stdout], [])
            else:
                return


def span(seconds: float) -> str:
    """Return a length of time for people: the two largest units of it."""
    minutes = int(abs(seconds)) // 60
    if minutes < 1:
        return f"{int(abs(seconds))} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
