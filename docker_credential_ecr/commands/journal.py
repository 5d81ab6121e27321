"""What `configure` changed in which file, so that `configure --remove` brings back the very bytes.

A file of the user's state directory remembers, for each configuration file, the digest of what we
left there and the edits that lead back. It holds fragments of layout and names of helpers: never
the text of the configuration file, in which there may be passwords. Beside it lies the lock that
keeps two runs of `configure` apart.
"""

import os

from .. import PROGRAM, cache
from ..errors import HelperError
from . import jsontext, system, textfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from filelock import FileLock

    from .textfile import Draft

FILE_NAME = "configure.json"
LOCK_NAME = "configure.lock"
_PATIENCE = 5  # seconds for the lock: forty runs at once take less than two
_SIZE_LIMIT = 8 << 20  # bytes, 8 MiB: a step is some hundred bytes


def folder(environ: "Mapping[str, str]") -> str | None:
    """Return the user's state directory, or ``None`` where we keep nothing.

    That is where there is no home, and where another user's home is given, as with sudo: what we
    made there would be in that user's way.
    """
    found = _place(environ)
    if found is None or os.name != "posix":
        return found
    above = found
    while not os.path.exists(above):
        above = os.path.dirname(above)
    try:
        return found if os.stat(above).st_uid == os.geteuid() else None
    except OSError:
        return None  # what cannot be looked at cannot be judged


class Alone:
    """The lock that keeps other runs of `configure` out, as a context.

    Its value says whether they are certain to be out. Without a lock to be had in time the command
    goes on: it looks at every file again before it is replaced.
    """

    __slots__ = ("_lock", "_place")

    def __init__(self, environ: "Mapping[str, str]") -> None:
        self._place = folder(environ)
        self._lock: FileLock | None = None

    def __enter__(self) -> bool:
        from filelock import FileLock, Timeout

        path = os.path.join(self._place or "", LOCK_NAME)
        if self._place is None or not _is_lock(self._place, path):
            return False
        lock = FileLock(path, mode=0o600, fallback_to_soft=False)
        try:
            lock.acquire(timeout=_PATIENCE)
        except (Timeout, OSError, NotImplementedError):
            return False
        self._lock = lock
        return True

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            try:
                self._lock.release()
            except OSError:
                pass  # it ends with us, which is soon


class Journal:
    """The memory of all drafts that were saved."""

    __slots__ = ("_data", "_path")

    def __init__(self, environ: "Mapping[str, str]") -> None:
        place = folder(environ)
        self._path = os.path.join(place, FILE_NAME) if place is not None else ""
        # Nothing may be remembered: --remove then takes out what it finds.
        self._data = _read(self._path) if self._path else {}

    def displaced(self, path: str) -> dict[str, str]:
        """Return what was replaced in the file: the name of a helper, by the place it had."""
        return dict(self._entry(path).get("displaced", {}))

    def record(self, draft: "Draft", displaced: "dict[str, str | None]") -> None:
        """Remember how to take ``draft`` back, and what it displaced (``None``: nothing any more).

        A journal that cannot be written is done without.
        """
        path = os.path.realpath(draft.path)
        entry = self._entry(path)
        steps = list(entry.get("steps", []))
        before, after = _digest(draft.was), _digest(draft.text)
        known = next((n for n, step in enumerate(steps) if step["before"] == after), None)
        if known is not None:
            del steps[known:]  # back to where we were
        else:
            if steps and steps[-1]["after"] != before:
                steps = []  # somebody else wrote in between: no way leads back there
            steps.append({"before": before, "after": after, "undo": draft.undo})
        names = {**entry.get("displaced", {}), **displaced}
        names = {place: name for place, name in names.items() if name is not None}
        if steps or names:
            self._data[path] = {"steps": steps, "displaced": names}
        else:
            self._data.pop(path, None)
        self._keep()

    def states_before(self, path: str, text: str) -> "list[str | None]":
        """Return what the file was before each of our changes, the latest first.

        Empty if the file is not what we left. ``None`` stands for no file.
        """
        entry = self._entry(path)
        found: list[str | None] = []
        current: str | None = text
        for step in reversed(entry.get("steps", [])):
            if current is None or step["after"] != _digest(current):
                break
            for start, end, old in reversed(step["undo"]):
                current = jsontext.apply(current, (start, end, old))
            if step["before"] == _digest(None):
                current = None
            elif step["before"] != _digest(current):
                break
            found.append(current)
        return found

    def _entry(self, path: str) -> "dict[str, Any]":
        found: dict[str, Any] = self._data.get(os.path.realpath(path), {})
        return found

    def _keep(self) -> None:
        import json

        if not self._path:
            return
        textfile.sweep(self._path, alone=False)
        try:
            textfile.write(self._path, json.dumps(self._data, indent=1) + "\n")
        except HelperError:
            pass


def _place(environ: "Mapping[str, str]") -> str | None:
    """Return what platformdirs calls the user's state directory; a test holds the two equal."""
    if not system.IS_LINUX:  # pragma: no cover - macOS, Windows and others
        from platformdirs import user_state_dir

        try:
            return user_state_dir(PROGRAM, appauthor=False)
        except RuntimeError:  # no home
            return None
    chosen = environ.get("XDG_STATE_HOME", "").strip()
    if os.path.isabs(chosen):
        return os.path.join(chosen, PROGRAM)
    home = cache.home(environ)
    return os.path.join(home, ".local", "state", PROGRAM) if home else None


def _is_lock(place: str, path: str) -> bool:
    """Make the lock's file, and say whether it is one: no link, no second name, no other owner."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        textfile.make_folder(place)
        descriptor = os.open(path, flags, 0o600)
        try:
            return not cache.file_fault(os.fstat(descriptor))
        finally:
            cache.close(descriptor)
    except OSError:
        return False


def _read(path: str) -> "dict[str, Any]":
    """Return what is remembered, without the entries that are not of our making."""
    import json

    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(_SIZE_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {place: entry for place, entry in data.items() if _is_entry(entry)}


def _is_entry(entry: "Any") -> bool:
    if not isinstance(entry, dict):
        return False
    steps, names = entry.get("steps"), entry.get("displaced")
    return (
        isinstance(steps, list)
        and all(map(_is_step, steps))
        and isinstance(names, dict)
        and all(isinstance(name, str) for name in names.values())
    )


def _is_step(step: "Any") -> bool:
    return (
        isinstance(step, dict)
        and isinstance(step.get("before"), str)
        and isinstance(step.get("after"), str)
        and isinstance(step.get("undo"), list)
        and all(
            isinstance(edit, list) and list(map(type, edit)) == [int, int, str]
            for edit in step["undo"]
        )
    )


def _digest(text: str | None) -> str:
    import hashlib

    if text is None:
        return "absent"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
