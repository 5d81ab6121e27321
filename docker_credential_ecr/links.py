"""A cache that a link of the user's own leads to."""

import os
import stat

_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | os.O_NOFOLLOW


def opened(path: str) -> int:
    """Return a descriptor of the directory that a link of our own leads to. Raises ``OSError``.

    Whoever else can make links there would choose which directory of ours is the cache.
    """
    if not hasattr(os, "O_PATH"):
        return _beside(path)
    link = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        state = os.fstat(link)
        if not stat.S_ISLNK(state.st_mode) or state.st_uid != os.geteuid():
            raise NotADirectoryError(path)
        target = os.readlink("", dir_fd=link)
    finally:
        os.close(link)
    return os.open(os.path.join(os.path.dirname(path), target), _FLAGS)


def _beside(path: str) -> int:
    """Do the same where a link cannot be read by its own descriptor, as on macOS.

    There the directory that it lies in must be one in which nobody else can exchange it.
    """
    folder, name = os.path.split(path)
    above = os.open(folder, _FLAGS & ~os.O_NOFOLLOW)
    try:
        place = os.fstat(above)
        state = os.stat(name, dir_fd=above, follow_symlinks=False)
        if place.st_uid not in (0, os.geteuid()) or place.st_mode & 0o022:
            raise PermissionError("can be replaced by others")
        if not stat.S_ISLNK(state.st_mode) or state.st_uid != os.geteuid():
            raise NotADirectoryError(path)
        return os.open(os.readlink(name, dir_fd=above), _FLAGS, dir_fd=above)
    finally:
        os.close(above)
