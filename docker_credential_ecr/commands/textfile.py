"""A text file of the user's that is changed in one step: readers see the old one or the new one.

A link stays a link; mode, owner, access lists and extended attributes stay. A new file is for its
owner only. A secret goes into a new file, and never where a link leads. What is written beside the
file until then has a name of our own form, so that a run that was killed leaves nothing that the
next one does not know.
"""

import os
import stat
import sys
import time

from .. import cache, keeping
from ..errors import HelperError, one_line
from . import jsontext, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .jsontext import Edit

_SUFFIX = ".docker-credential-ecr"
_RANDOM = 8  # bytes; not the process id, which is no name across containers
_LEFTOVER_AGE = 60  # seconds; writing such a file takes a few milliseconds
_UNREAD = object()


class Changed(HelperError):
    """Another program changed the file since it was read: nothing has been written."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f'"{one_line(path)}" is being changed by another program', "run the command again"
        )


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
        """Write the file, or remove it.

        Raises ``Changed`` if it is no longer what it was, and ``HelperError`` if it cannot be done.
        """
        if self.changed:
            _replace(self.path, self.text, self.was)

    def take_back(self) -> None:
        """Make the file again what it was before ``save``. Raises as ``save`` does."""
        if self.changed:
            _replace(self.path, self.was, self.text)


def write(path: str, text: str) -> None:
    """Write a file that only we write. Raises ``HelperError`` if it cannot be done."""
    _replace(path, text, _UNREAD)


def refuse_unless_private(path: str) -> None:
    """Raise ``HelperError`` if what is at ``path`` is nothing to keep a secret in."""
    hint = "name a file of your own, or one that is not there yet"
    if os.path.basename(path) in ("", os.curdir, os.pardir):
        raise HelperError(f'"{one_line(path)}" is not a file', hint)
    try:
        state = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return  # what comes after says what is wrong with the folder
    except OSError as error:
        raise HelperError(f'cannot read "{one_line(path)}": {error.strerror}', hint) from None
    if stat.S_ISLNK(state.st_mode) or cache.is_reparse_point(state):
        what = "is a link, which is not followed with a secret"
    elif not stat.S_ISREG(state.st_mode):
        what = "is not a file"
    elif os.name == "posix" and state.st_uid != os.geteuid():
        what = "belongs to another user"
    else:
        return
    raise HelperError(f'"{one_line(path)}" {what}', hint)


def write_secret(path: str, text: str) -> None:
    """Write a file for ourselves alone, whatever was there. Raises ``HelperError``.

    It is a new one, 0600 and ours from birth: who has the old one open reads the old one. What is
    at its name is replaced and never followed, also if it comes there after the look at it.
    """
    refuse_unless_private(path)
    folder, name = os.path.split(path)
    target = os.path.join(os.path.realpath(folder), name)
    sweep(target, alone=False)
    _replace(target, text, _UNREAD, bare=True)


def make_folder(folder: str) -> None:
    """Make a directory and those above it, for the owner only."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    if above != folder:  # pragma: no branch - Windows, a drive that is not there
        make_folder(above)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return  # made meanwhile, or no directory: what follows says so
    if os.name == "posix" and os.geteuid() == 0:
        place = os.stat(above)
        if place.st_uid != 0:
            os.chown(folder, place.st_uid, place.st_gid, follow_symlinks=False)


def sweep(path: str, *, alone: bool) -> None:
    """Remove what a run that was killed left beside a file; the logins of the user are in it.

    ``alone``: no other run of ours can be at it now. Else what is new stays.
    """
    folder, name = os.path.split(os.path.realpath(path))
    limit = time.time() - (0 if alone else _LEFTOVER_AGE)
    try:
        found = [other for other in os.listdir(folder) if _is_ours(other, name)]
    except OSError:
        return
    for other in found:
        beside = os.path.join(folder, other)
        try:
            state = os.lstat(beside)
            if stat.S_ISREG(state.st_mode) and state.st_mtime <= limit:
                os.unlink(beside)
        except OSError:
            pass  # gone meanwhile, or another user's


def _replace(path: str, text: str | None, was: object, *, bare: bool = False) -> None:
    """Replace what ``path`` leads to; ``bare``: what is at ``path``, and keep nothing of it."""
    target = path if bare else os.path.realpath(path)
    try:
        if text is None:
            _still(target, was)
            keeping.again(lambda: os.unlink(target))
        else:
            make_folder(os.path.dirname(target))
            _write(target, text.encode("utf-8"), was, bare=bare)
    except OSError as error:
        hint = f'make the directory "{one_line(os.path.dirname(target))}" writable for you'
        if system.IS_WINDOWS and isinstance(error, PermissionError):  # pragma: no cover
            hint = f"close the program that has it open, or {hint}"
        raise HelperError(f'cannot write "{one_line(target)}": {error.strerror}', hint) from None


def _write(target: str, data: bytes, was: object, *, bare: bool) -> None:
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name}.{os.urandom(_RANDOM).hex()}{_SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(beside, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if not bare:
                _dress(file.fileno(), target)
            elif os.name == "posix":
                os.fchmod(file.fileno(), 0o600)  # a umask may have taken more
            os.fsync(file.fileno())
        # Docker takes no lock: between this look and the rename are some microseconds, in which a
        # login could be lost. There is no exchange of files that is to be had everywhere.
        _still(target, was)
        keeping.again(lambda: os.replace(beside, target))
    except BaseException:
        try:
            os.unlink(beside)
        except FileNotFoundError:
            # Another run took it for a leftover: that run is at the same file.
            raise Changed(target) from None
        raise


def _still(target: str, was: object) -> None:
    """Raise ``Changed`` unless the file says what it said (``None``: is not there)."""
    if was is _UNREAD:
        return
    try:
        with open(target, "rb") as file:
            now: bytes | None = file.read()
    except (FileNotFoundError, NotADirectoryError):
        now = None
    if now != (was.encode("utf-8") if isinstance(was, str) else None):
        raise Changed(target)


def _dress(descriptor: int, target: str) -> None:
    """Give the new file what the old one has: owner, mode, access lists, extended attributes."""
    if os.name != "posix":  # pragma: no cover - Windows
        return
    try:
        state = os.stat(target)
    except FileNotFoundError:
        # What root makes in a user's directory is the user's, as if made by its owner.
        place = os.stat(os.path.dirname(target))
        if os.geteuid() == 0 and place.st_uid != 0:
            os.fchown(descriptor, place.st_uid, place.st_gid)
        return
    if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, state.st_uid, state.st_gid)
        except PermissionError:
            pass  # not root: it is ours then
    os.fchmod(descriptor, stat.S_IMODE(state.st_mode))
    if sys.platform == "linux":  # pragma: no branch - macOS, Windows and others
        _copy_attributes(descriptor, target)


def _copy_attributes(descriptor: int, target: str) -> None:
    # Access lists are among them: system.posix_acl_access.
    try:
        names = os.listxattr(target)
    except OSError:
        return  # a file system without them
    for name in names:
        try:
            os.setxattr(descriptor, name, os.getxattr(target, name))
        except OSError:
            pass  # one that only the system may set


def _is_ours(name: str, target: str) -> bool:
    start = f".{target}."
    middle = name.removeprefix(start).removesuffix(_SUFFIX)
    return (
        name == f"{start}{middle}{_SUFFIX}"
        and len(middle) == 2 * _RANDOM
        and set(middle) <= set("0123456789abcdef")
    )
