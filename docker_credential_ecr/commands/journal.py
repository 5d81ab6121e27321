"""What `configure` changed in which file, so that `configure --remove` brings back the very bytes.

A file of the user's state directory remembers, for each configuration file, the digest of what we
left there and the edits that lead back. It holds fragments of layout and names of helpers: never
the text of the configuration file, in which there may be passwords.
"""

import os

from ..errors import HelperError, one_line
from . import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .jsontext import Edit

FILE_NAME = "configure.json"


class Draft:
    """A text file that is being changed. ``text`` is ``None`` for a file that is not there."""

    __slots__ = ("path", "text", "undo", "was")

    def __init__(self, path: str, text: str | None) -> None:
        self.path = path
        self.was = text
        self.text = text
        self.undo: list[Edit] = []

    @property
    def changed(self) -> bool:
        """Whether the file is to be written, or removed."""
        return self.text != self.was

    def edit(self, edit: "Edit") -> None:
        """Make one change, and remember how it is taken back."""
        text = self.text or ""
        self.undo.append(jsontext.inverse(text, edit))
        self.text = jsontext.apply(text, edit)

    def save(self) -> None:
        """Write the file in one step, with the mode it has, where a link points. See ``write``."""
        if self.text is None:
            path = os.path.realpath(self.path)
            try:
                os.unlink(path)
            except OSError as error:
                raise _unwritable(path, error) from None
        elif self.changed:
            write(self.path, self.text)


class Journal:
    """The memory of all drafts that were saved."""

    __slots__ = ("_data", "_path")

    def __init__(self) -> None:
        import json

        from platformdirs import user_state_dir

        self._path = ""
        self._data: dict[str, Any] = {}
        try:
            folder = user_state_dir("docker-credential-ecr", appauthor=False)
            self._path = os.path.join(folder, FILE_NAME)
            with open(self._path, encoding="utf-8") as file:
                data = json.load(file)
        except (OSError, ValueError, RuntimeError):  # RuntimeError: no home
            return  # nothing is remembered: --remove then takes out what it finds
        if isinstance(data, dict):
            self._data = data

    def displaced(self, path: str) -> dict[str, str]:
        """Return what was replaced in the file: the name of a helper, by the place it had."""
        return dict(self._entry(path).get("displaced", {}))

    def record(self, draft: Draft, displaced: "dict[str, str | None]") -> None:
        """Remember how to take ``draft`` back, and what it displaced (``None``: nothing any more).

        A journal that cannot be written is done without.
        """
        path = os.path.realpath(draft.path)
        entry = self._entry(path)
        steps = entry.get("steps", [])
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
        found = self._data.get(os.path.realpath(path))
        return found if isinstance(found, dict) else {}

    def _keep(self) -> None:
        import json

        if not self._path:
            return
        try:
            write(self._path, json.dumps(self._data, indent=1) + "\n")
        except HelperError:
            pass


def write(path: str, text: str) -> None:
    """Write ``text`` to ``path`` in one step: readers see the old file or the new one.

    A link stays a link, the mode and the owner stay; a new file is for its owner only.
    """
    import contextlib

    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    beside = f"{target}.{os.getpid()}.tmp"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        try:
            state = os.stat(target)
        except FileNotFoundError:
            state = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(beside, flags, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                if state is not None and os.name == "posix":
                    if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                        with contextlib.suppress(PermissionError):  # not root: it is ours then
                            os.fchown(file.fileno(), state.st_uid, state.st_gid)
                    os.fchmod(file.fileno(), state.st_mode & 0o7777)
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise _unwritable(target, error) from None


def _unwritable(path: str, error: OSError) -> HelperError:
    folder = one_line(os.path.dirname(path))
    return HelperError(
        f'cannot write "{one_line(path)}": {error.strerror}',
        f'make the directory "{folder}" writable for you',
    )


def _digest(text: str | None) -> str:
    import hashlib

    if text is None:
        return "absent"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
