"""What the native front hands on: the lock of its herd, and the time that it has waited.

Of the fronts that find nothing on the disk one goes on in Python, and the others wait until its
lock is released. What it comes to is written into the lock's file, for them to say the same::

    1795000000123456789 1 57 212 0
    no AWS credentials ...

First the time at which that was known (nanoseconds), the exit code and the lengths of what follows
(bytes): stdout, stderr, and the conditions under which who comes just afterwards would fail in the
same way. packaging/native/front/herd.c reads it.
"""

import os

from . import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .errors import Answer

# Three numbers: the process that it is meant for, which its children are not; the lock's
# descriptor, -1 if there is none; the milliseconds.
VARIABLE = "DOCKER_CREDENTIAL_ECR_FRONT"
SAID_LIMIT = 8192  # bytes, 8 KiB; an error is a few lines


def waited(environ: "Mapping[str, str]") -> float:
    """Return the seconds that the front has waited, which come off what an answer may take."""
    return _handed_on(environ)[1]


def tell(answer: "Answer", environ: "Mapping[str, str]") -> None:
    """Say to those who wait for this process what it came to. Never raises ``OSError``."""
    import time

    descriptor, _ = _handed_on(environ)
    # A success is for nobody else to read: what they may have of it is on the disk.
    stdout, stderr = (answer.stdout, answer.stderr) if answer.status else (b"", b"")
    lines = "".join(f"{line}\n" for line in answer.conditions)
    conditions = lines.encode("utf-8", "surrogateescape")
    if len(stdout) + len(stderr) + len(conditions) > SAID_LIMIT // 2:
        conditions = b""
    lengths = f"{len(stdout)} {len(stderr)} {len(conditions)}"
    said = f"{time.time_ns()} {answer.status} {lengths}\n".encode() + stdout + stderr + conditions
    try:
        if len(said) <= SAID_LIMIT and not cache.file_fault(os.fstat(descriptor)):
            os.write(descriptor, said)
    except OSError:
        pass  # they ask themselves


def _handed_on(environ: "Mapping[str, str]") -> tuple[int, float]:
    """Return the lock's descriptor, and the seconds."""
    try:
        process, descriptor, milliseconds = map(int, environ.get(VARIABLE, "").split())
    except ValueError:
        return -1, 0.0
    return (descriptor, milliseconds / 1000) if process == os.getpid() else (-1, 0.0)
