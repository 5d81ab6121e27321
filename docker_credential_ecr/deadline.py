"""The time that one answer may take: what is left of it, and what is being done meanwhile.

A name look-up or a disk cannot be interrupted. So what may hang runs in a thread, which is left
behind when the time is up: afterwards the process must leave with ``os._exit``. Only what asks AWS
passes here, never a hit.
"""

import os
import threading
import time

from . import PROGRAM
from .errors import HelperError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

TIMEOUT = 25.0  # seconds for everything: the kubelet kills at 60, people sooner
TIMEOUT_LIMIT = 600.0  # seconds, the most that AWS_ECR_TIMEOUT may ask for
# Seconds: a wait that a signal must end is cut into these (Windows delivers Ctrl-C in between), and
# a step with a limit of its own is looked at as often.
_SLICE = 0.25
PATIENCE = 2.0  # seconds after which a person at a terminal is told what is waited for


class Stuck(Unavailable):
    """A step with a limit of its own, such as reading a disk, took longer than that."""


class Deadline:
    """When an answer must be out, what it is about, and the step that is being taken.

    ``stage`` is what messages say after "while", such as ``reading the cache``; ``spent`` is how
    many of the ``seconds`` have passed already.
    """

    __slots__ = ("_end", "_settled", "_stage_end", "seconds", "stage", "subject")

    def __init__(self, seconds: float, subject: str, *, spent: float = 0) -> None:
        self.seconds = seconds
        self.subject = subject
        self.stage = "starting"
        self._end = time.monotonic() + seconds - spent
        self._stage_end = self._end
        self._settled: list[object] = []

    @property
    def left(self) -> float:
        """The seconds that are left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """Return the deadline of a part: in ``seconds``, and never later than this one."""
        return Deadline(min(seconds, self.left), self.subject)

    def doing(self, stage: str, limit: float | None = None) -> None:
        """Say what is about to be done, and the seconds that it may take if there is a limit."""
        self.stage = stage
        self._stage_end = self._end if limit is None else time.monotonic() + limit

    def settle(self, value: object, limit: float) -> None:
        """Give ``run`` its value now; what is still done may take ``limit`` seconds more."""
        self._settled.append(value)
        self._stage_end = time.monotonic() + limit

    def run(self, work: "Callable[[], T]") -> "T":
        """Return what ``work`` returns, or what it has settled on.

        Raises what ``work`` raises, ``Stuck`` if a step took longer than its limit, and
        ``Unavailable`` when the time is up. Without a thread to be had ``work`` runs in line.
        """
        values: list[T] = []
        errors: list[BaseException] = []
        self._settled.clear()

        def attempt() -> None:
            try:
                values.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=attempt, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: RLIMIT_NPROC, pids.max
            attempt()
        else:
            self._wait(thread)
        if values:
            return values[0]
        if self._settled:
            return self._settled[0]  # type: ignore[return-value]  # work settles on what it returns
        if errors:
            raise errors[0]
        raise self._overdue()

    def _wait(self, thread: threading.Thread) -> None:
        told = ""
        speak = time.monotonic() + PATIENCE
        while thread.is_alive():
            if told != self.stage and time.monotonic() > speak:
                told = self.stage
                self._tell(told)
            end = self._stage_end if self._settled else min(self._stage_end, self._end)
            left = end - time.monotonic()
            if left <= 0:
                return
            thread.join(min(left, _SLICE))

    def _tell(self, stage: str) -> None:
        """Say on a terminal, and nowhere else, what takes so long."""
        try:
            if os.isatty(2):
                os.write(
                    2, f"{PROGRAM}: {self.subject}: still {stage}\n".encode("utf-8", "replace")
                )
        except OSError:
            pass  # nobody reads it

    def _overdue(self) -> Unavailable:
        left = self.left
        if left > 0:
            return Stuck(f"no answer for {self.subject} while {self.stage}")
        return Unavailable(
            f"no answer for {self.subject} within {self.seconds:g} s, while {self.stage}",
            "check the network, the proxy and VPC endpoint settings, and that file systems respond",
            "set AWS_ECR_TIMEOUT to a larger number of seconds if the service is only slow",
        )


def timeout_of(environ: "Mapping[str, str]") -> float:
    """Return the seconds that an answer may take: ``AWS_ECR_TIMEOUT`` or 25."""
    text = environ.get("AWS_ECR_TIMEOUT")
    if not text:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= TIMEOUT_LIMIT:
        raise HelperError(
            "AWS_ECR_TIMEOUT is not a number of seconds from 1 to 600",
            "unset AWS_ECR_TIMEOUT, or set it to a number such as 25",
        )
    return seconds
