"""The trace for support: ``AWS_ECR_LOG`` names a file, or ``-`` for stderr. Off unless set.

One line an event: what was asked for, whether the disk had it and which condition failed, who was
asked, how long that took, what was kept. ``AWS_ECR_LOG_FORMAT=json`` makes each line a JSON object.

Never a secret: events name hosts, files, variables without their values, and errors, which hold
none. Never in the way: a log that cannot be written, or hangs, is done without. Loaded only while
the variable is set: whoever notes something looks at that first, see ``VARIABLE``.
"""

import os
import time

from . import cache
from .errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .cache import Token

VARIABLE = "AWS_ECR_LOG"
STDERR = "-"
LIMIT = 1.0  # seconds for a line; a disk or a pipe that takes longer hangs, and gets no more
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PLAIN = frozenset("=\"'\\ ")  # what a value must not hold to stand without quotes
_given_up: list[str] = []  # the logs that could not be written: not tried again


def note(environ: "Mapping[str, str]", event: str, **facts: object) -> None:
    """Write the line of an event, with its ``facts``. Never raises."""
    chosen = environ.get(VARIABLE)
    if not chosen or chosen in _given_up:
        return
    try:
        line = _line(event, facts, as_json=environ.get("AWS_ECR_LOG_FORMAT") == "json")
        if not cache.in_time(lambda: _append(environ, line), LIMIT):
            _given_up.append(chosen)
    except Exception:  # noqa: BLE001 - no pull is broken by a log
        _given_up.append(chosen)


def fault(environ: "Mapping[str, str]") -> str:
    """Return what is wrong with the file that the trace goes to, or an empty string."""
    if environ.get(VARIABLE, STDERR) == STDERR:
        return ""
    path = _path(environ)
    if not cache.is_fixed(path):
        return "is not an absolute path"
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        there = os.path.isdir(os.path.dirname(path))
        return "" if there else "is in a directory that does not exist"
    except (OSError, ValueError):
        return "cannot be examined"
    return _fault_of(state)


def looked_up(
    folder: str | None, host: str, token: "Token | None", environ: "Mapping[str, str]"
) -> None:
    """Note what the disk had for ``host``, and for each entry why it was not that. Never raises."""
    try:
        now = time.time()
        if token is not None:
            note(environ, "hit", host=host, **_of(token, now))
            return
        if folder is None:
            note(environ, "miss", host=host, why="no cache directory, or it is switched off")
            return
        kept = cache.entries(folder, host)
        if not kept:
            note(environ, "miss", host=host, why="nothing is kept for it")
        for entry in kept:
            why = "it has expired"
            if entry.serves_at(now):
                why = f"does not hold: {_failed(entry, environ)}"
            note(environ, "miss", host=host, entry=entry.name, why=why)
    except Exception:  # noqa: BLE001, S110 - no pull is broken by a log
        pass


def kept(environ: "Mapping[str, str]", token: "Token", *, written: bool) -> None:
    """Note that a token was written, or could not be. Never raises."""
    event = "kept" if written else "not kept"
    note(environ, event, host=token.host, **_of(token, time.time()))


def watch(events: "Any", environ: "Mapping[str, str]") -> None:
    """Note each call that a botocore session makes: ``events`` are the session's own."""
    begun: list[float] = []

    def sent(**_: "Any") -> None:
        begun[:] = [time.monotonic()]

    def received(
        response_dict: "Any" = None, exception: "Any" = None, event_name: str = "", **_: "Any"
    ) -> None:
        facts: dict[str, object] = {"call": event_name.partition(".")[2]}
        if begun:
            facts["ms"] = round(1000 * (time.monotonic() - begun[0]))
        if response_dict is not None:
            facts["status"] = response_dict.get("status_code")
        if exception is not None:
            facts["failed"] = type(exception).__name__  # its text may quote a URL
        note(environ, "called", **facts)

    events.register("before-send", sent)
    events.register("response-received", received)


def _failed(entry: "Token", environ: "Mapping[str, str]") -> str:
    """Return the first condition that does not hold, without the value of a variable."""
    for line in entry.conditions:
        if not cache.holds((line,), environ):
            kind, _, rest = line.partition(" ")
            if kind in ("file", "absent"):
                return f"{kind} {cache.subject(line)}"
            if kind == "residue":
                return f"{kind} {rest.partition(' ')[0]}"
            return f"{kind} {rest.partition('=')[0]}" if kind in ("env", "unset") else kind
    return "nothing"  # it changed meanwhile


def _of(token: "Token", now: float) -> "dict[str, object]":
    return {
        "entry": token.name,
        "source": token.source,
        "scope": token.scope,
        "due_in": int(token.refresh - now),
        "ends_in": int(token.expires - now),
    }


def _line(event: str, facts: "Mapping[str, object]", *, as_json: bool) -> bytes:
    now = time.time()
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    if as_json:
        import json

        whole = {"time": when, "pid": os.getpid(), "event": event, **facts}
        return json.dumps(whole).encode("ascii") + b"\n"
    parts = [when, str(os.getpid()), event]
    for name, value in facts.items():
        text = one_line(str(value))
        quoted = not text or not _PLAIN.isdisjoint(text)
        shown = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if quoted else text
        parts.append(f"{name}={shown}")
    return " ".join(parts).encode("ascii") + b"\n"


def _path(environ: "Mapping[str, str]") -> str:
    return cache.expanded(environ[VARIABLE], environ)


def _append(environ: "Mapping[str, str]", line: bytes) -> None:
    """Add a line to stderr, or to a file of the user's own, which is no link and born 0600."""
    if environ[VARIABLE] == STDERR:
        os.write(2, line)
        return
    if wrong := fault(environ):
        raise PermissionError(wrong)
    descriptor = os.open(_path(environ), _FLAGS, cache.FILE_MODE)
    try:
        if wrong := _fault_of(os.fstat(descriptor)):
            raise PermissionError(wrong)
        os.write(descriptor, line)  # in one call: many processes write here
    finally:
        cache.close(descriptor)


def _fault_of(state: os.stat_result) -> str:
    """Return what is wrong with a log of that state. Its mode may be wider: it holds no secret."""
    import stat

    if not stat.S_ISREG(state.st_mode) or cache.is_reparse_point(state):
        return "is a link, or not a file"
    if os.name == "posix" and state.st_uid != os.geteuid():
        return "belongs to another user"
    if os.name == "posix" and state.st_nlink > 1:
        return "has another name, too"
    return ""
