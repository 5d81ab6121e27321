"""What is said: an answer, or what went wrong, with a reason for the reader and hints to act on.

A reason is one lower-case line that quotes its operand and ends without a full stop.
A hint is an action: a command to run or a setting to change.
Neither ever holds a secret, a line that could not be parsed, or the body of a response.
"""

import os

from . import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .cache import Token

# The protocol's own sentences: clients compare them to the letter
# (docker/docker-credential-helpers, credentials/error.go).
NOT_FOUND = "credentials not found in native keychain"
NO_SERVER_URL = "no credentials server URL"
NO_USERNAME = "no credentials username"


class HelperError(Exception):
    """A failure that a person can act on.

    ``reason`` is one line; ``hints`` is a tuple of lines, each an action. While all ``conditions``
    hold the same failure would come again; without any nothing is known of that.
    """

    conditions: "Sequence[str]" = ()

    def __init__(self, reason: str, *hints: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hints = hints


class ProtocolError(HelperError):
    """One of the protocol's own sentences: for the client alone, stderr stays empty."""


class CredentialsNotFound(ProtocolError):
    """The host is not ours, or may be read anonymously: the client goes on without us."""

    def __init__(self) -> None:
        super().__init__(NOT_FOUND)


class Unavailable(HelperError):
    """Nobody answered, or not now: network, throttling, a 5xx. An old valid token may serve."""


class NoCredentials(HelperError):
    """No source offered AWS credentials. Nobody refused: an old valid token may serve."""


class Ended(HelperError):
    """A session or a key has merely ended. Nobody refused: an old valid token may serve."""


class Refused(HelperError):
    """AWS, or the configuration, said no: an old token must not be served."""


class Denied(Refused):
    """AWS refuses the identity itself: its tokens on disk go, too."""


class Answer:
    """What a conversation says: bytes for stdout and stderr, the exit code, the token to renew.

    ``behind`` is renewed once all is said, which changes nothing of it any more. ``conditions`` are
    those of the failure that is told.
    """

    __slots__ = ("behind", "conditions", "status", "stderr", "stdout")

    def __init__(
        self,
        stdout: bytes = b"",
        *,
        status: int = 0,
        stderr: bytes = b"",
        behind: "Token | None" = None,
    ) -> None:
        self.stdout = stdout
        self.status = status
        self.stderr = stderr
        self.behind = behind
        self.conditions: Sequence[str] = ()


def report(kind: str, error: HelperError) -> bytes:
    """Return what stderr gets of ``error``: its ``lines``, encoded."""
    return "".join(f"{line}\n" for line in lines(kind, error.reason, error.hints)).encode(
        "utf-8", "replace"
    )


def lines(kind: str, reason: str, hints: "Iterable[str]" = ()) -> list[str]:
    """Return what people read of an error or a warning (``kind``): the reason, then each hint."""
    return [f"{PROGRAM}: {kind}: {reason}", *(f"{PROGRAM}: hint: {hint}" for hint in hints)]


def has_left(error: OSError) -> bool:
    """Whether ``error`` says that the reader of a pipe has left: on Windows it is EINVAL."""
    import errno

    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)


def one_line(text: str) -> str:
    """Return ``text`` with every control and non-ASCII character as ``?``, for a terminal."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)
