"""Keeping tokens on disk: the writer's half of ``cache``, whose docstring is the format.

Beside entries a host's directory holds ``.<name>.<16 hexadecimal digits>``, an entry that is being
written; ``.<name>.renewal``, a claim; and ``.erased``, the mark of a logout. ``<cache>/.locks/``
and ``.fronts/`` hold locks. Nothing that is not named so is ever removed, and nothing is reached by
a link.

What cannot be kept is done without: these functions say so and do not raise ``OSError``.
"""

import errno
import os
import time

from . import cache, server_url
from .cache import Folder, Token
from .errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEFTOVER_AGE = 600  # seconds; no process of ours lives so long
TRIES = 50  # of 10 ms: Windows lets nobody replace what somebody else is reading
_WAIT = 0.01  # seconds between two of them
_POSIX = os.name == "posix"
_REMAKES = 10  # times that a directory is made again: sweeps are rare
_MASK = 0o077  # for all that we make: whatever the caller's umask is
_ERASED = ".erased"
CLAIM = ".renewal"
_NOT_OURS = (None, errno.ELOOP)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def no_directory(environ: "Mapping[str, str]") -> tuple[str, str]:
    """Return why there is no cache directory, and the variable to do something about it with."""
    if environ.get("AWS_ECR_DISABLE_CACHE"):
        return "the cache is switched off", "AWS_ECR_DISABLE_CACHE"
    name = "AWS_ECR_CACHE_DIR"
    if environ.get(name):
        return f'{name} is not an absolute path: "{one_line(environ[name])}"', name
    return "there is no home directory", ""


def write(folder: str, token: Token, begun: float) -> bool:
    """Keep ``token``; return whether that succeeded.

    Written beside its place with mode 0600 from birth, flushed, and renamed over it. What was
    ``begun`` (epoch seconds) before the host was erased is not kept, and that is a success, too:
    the user's last word was another.
    """
    data = _format(token)
    return data is not None and _in_folder(
        folder, token.host, lambda place: _write(place, token.name, data, begun)
    )


def _write(place: Folder, name: str, data: bytes, begun: float) -> None:
    if begun <= _erased_at(place):
        return
    _put(place, name, data)
    # Erasing marks first and removes then: one of the two of us sees the other.
    if begun <= _erased_at(place):
        remove(place, name)


def _in_folder(folder: str, host: str, work: "Callable[[Folder], None]") -> bool:
    """Do ``work`` in a host's directory, made if need be; return whether that succeeded.

    A sweep may take the directory while it is still empty: then it is made again.
    """
    for _ in range(_REMAKES):
        try:
            place = make(folder, host)
            try:
                work(place)
            finally:
                place.close()
        except FileNotFoundError:
            continue
        except OSError:
            return False
        else:
            return True
    return False


def may_copy(folder: str, token: Token, host: str) -> bool:
    """Whether a token of another host may serve ``host``: not if it is older than a logout."""
    try:
        place = opened(folder, host)
    except FileNotFoundError:
        return True
    except OSError as error:
        return error.errno is None  # none of ours, as ``Folder`` has judged: no mark of ours either
    try:
        return token.issued > _erased_at(place)
    except OSError:
        return False
    finally:
        place.close()


def erase(folder: str, host: str) -> bool:
    """Remove every token of ``host``, and its copies under other hosts; return whether all went.

    Leaves a mark with the time: what is older, or was begun before, is not kept for this host.
    """
    try:
        Folder(folder, private=False).close()
    except OSError as error:
        return _is_none_of_ours(error)
    secrets: set[str] = set()
    try:
        secrets |= {token.secret for token in cache.entries(folder, host, strict=True)}
        known = True
    except OSError:
        known = False
    marked = _in_folder(folder, host, _mark)
    gone = _clear(folder, host)
    try:
        for other in cache.hosts(folder, strict=True) if secrets else ():
            for token in cache.entries(folder, other, strict=True):
                if token.secret in secrets:
                    gone &= forget(folder, token)
    except OSError:
        return False
    if not marked:  # a full disk has room now
        gone &= _in_folder(folder, host, _mark) and _clear(folder, host)
    return known and gone


def _clear(folder: str, host: str) -> bool:
    """Remove what a host's directory holds but for the mark, and return whether it is gone.

    A young temporary has a writer, who looks for the mark once it is in its place.
    """
    now = time.time()
    try:
        place = opened(folder, host)
        try:
            names = [name for name in place.names() if is_ours(name) and name != _ERASED]
            past = [n for n in names if not is_temporary(n) or age(place, n, now) > LEFTOVER_AGE]
            left = [name for name in past if not remove(place, name)]
            return not left
        finally:
            place.close()
    except FileNotFoundError:
        return True
    except OSError:
        return False


def forget(folder: str, token: Token) -> bool:
    """Remove the entry that ``token`` was read from; return whether it is gone."""
    try:
        place = opened(folder, token.host)
    except OSError as error:
        return _is_none_of_ours(error)
    try:
        remove(place, f".{token.name}{CLAIM}")
        return remove(place, token.name)
    finally:
        place.close()


def _format(token: Token) -> bytes | None:
    """Return an entry's bytes, or ``None`` for what the format cannot say."""
    inform = ("scope", "identity", "source", "replaced")
    lines = [
        cache.MAGIC,
        *(f"{key} {getattr(token, key)}" for key in ("host", *cache.TIMES)),
        *(f"{key} {value}" for key in inform if (value := getattr(token, key))),
        *token.conditions,
        "",
        f'"{token.secret}"',
        "",
    ]
    try:
        data = "\n".join(lines).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    # A path or a value may hold a line break, which would begin another line.
    fits = len(data) <= cache.ENTRY_LIMIT and data.count(b"\n") == len(lines) - 1
    named = cache.is_entry(token.name) and server_url.host_of(token.host) == token.host
    return data if fits and named and cache.is_plain(token.secret) else None


def _put(place: Folder, name: str, data: bytes) -> None:
    # Drawn, not the process id: containers that share a cache have equal ones.
    beside = f".{name.removeprefix('.')}.{os.urandom(8).hex()}"
    try:
        descriptor = place.open(beside, NEW)
        try:
            if _POSIX:  # pragma: no branch - Windows
                os.fchmod(descriptor, cache.FILE_MODE)  # a umask may have taken the owner's part
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)  # where a file server says that it could not write
        set_time(place, beside, time.time())  # by our clock, and not a file server's
        again(lambda: _rename(place, beside, name))
    except OSError:
        remove(place, beside)
        raise


def _rename(place: Folder, old: str, new: str) -> None:
    """Put a file in another's place, in one step."""
    os.replace(
        place.prefix + old,
        place.prefix + new,
        src_dir_fd=place.descriptor,
        dst_dir_fd=place.descriptor,
    )


def set_time(place: Folder, name: str, when: float) -> None:
    """Give a file a time of modification, in epoch seconds."""
    if place.descriptor is None:  # pragma: no cover - Windows
        os.utime(place.prefix + name, (when, when))
    else:
        os.utime(name, (when, when), dir_fd=place.descriptor, follow_symlinks=False)


def _narrow(place: Folder) -> None:
    """Take a directory from all but its owner, if that is not so."""
    if place.descriptor is not None and os.fstat(place.descriptor).st_mode & 0o077:
        os.fchmod(place.descriptor, 0o700)


def _mark(place: Folder) -> None:
    """Say in ``place`` that all of it has been erased now. Raises ``OSError``."""
    _put(place, _ERASED, f"{time.time()}\n".encode())


def _erased_at(place: Folder) -> float:
    """Return when the tokens of a host were erased last, in epoch seconds; 0 if they were not.

    One from the future was made by a wrong clock. Raises ``OSError`` if it cannot be read.
    """
    try:
        descriptor = place.open(_ERASED, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return 0.0
    try:
        when = float(os.read(descriptor, 64))
    except ValueError:
        when = os.fstat(descriptor).st_mtime  # it is ours by its name, whatever it holds
    finally:
        cache.close(descriptor)
    return when if when <= time.time() else 0.0


def opened(folder: str, host: str) -> Folder:
    """Return a directory of the cache. Raises ``OSError`` if there is none, or none of ours."""
    whole = Folder(folder, private=False)
    try:
        return Folder(host, whole)
    finally:
        whole.close()


def make(folder: str, name: str) -> Folder:
    """Return the directory ``name`` of the cache, made if need be, for the owner only.

    The same goes for the cache, and for what leads to it, where we make that. Raises ``OSError``.
    """
    mask = os.umask(_MASK)  # of this process alone, and it makes nothing else meanwhile
    try:
        try:
            whole = Folder(folder, private=False)
        except FileNotFoundError:
            _make_path(folder)
            whole = Folder(folder, private=False)
        try:
            try:
                place = Folder(name, whole, private=False)
            except FileNotFoundError:
                try:
                    os.mkdir(whole.prefix + name, 0o700, dir_fd=whole.descriptor)
                except FileExistsError:
                    pass  # another process was faster
                place = Folder(name, whole, private=False)
        finally:
            whole.close()
    finally:
        os.umask(mask)
    try:
        _narrow(place)
    except OSError:
        place.close()
        raise
    return place


def _make_path(folder: str) -> None:
    """Make ``folder`` and what is missing above it, if what is there is ours or the system's.

    With sudo and a user's HOME we would leave directories there that their owner cannot use.
    """
    missing, above = [folder], os.path.dirname(folder)
    while not os.path.isdir(above) and above != missing[-1]:  # a drive that is not there
        missing.append(above)
        above = os.path.dirname(above)
    if _POSIX and os.stat(above).st_uid not in (0, os.geteuid()):
        raise PermissionError("belongs to another user")
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # another process was faster


def _is_none_of_ours(error: OSError) -> bool:
    """Whether a directory could not be opened as it is not there, or not one that we serve from.

    ``Folder`` gives no number where it has judged. All else may pass, and tokens lie there.
    """
    return isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno in _NOT_OURS


def is_ours(name: str) -> bool:
    """Whether a file in a host's directory bears a name that we give."""
    if name == _ERASED or cache.is_entry(name):
        return True
    entry, _, end = name[1:].partition(".")
    # Version 1.0 named temporaries by process ids.
    ends = end == CLAIM[1:] or cache.is_entry(end) or (end.isascii() and end.isdigit())
    return name[:1] == "." and ends and (cache.is_entry(entry) or entry == _ERASED[1:])


def is_temporary(name: str) -> bool:
    """Whether a name of ours is that of an entry or a mark which is being written."""
    return name[0] == "." and name != _ERASED and not name.endswith(CLAIM)


def age(place: Folder, name: str, now: float) -> float:
    """Return for how many seconds a file has not changed. Raises ``OSError``."""
    return now - place.state(name).st_mtime


def remove(place: Folder, name: str) -> bool:
    """Remove a file; return whether it is gone, or on Windows at least empty."""
    try:
        again(lambda: os.unlink(place.prefix + name, dir_fd=place.descriptor))
    except FileNotFoundError:
        pass
    except OSError:
        return not _POSIX and _empty(place, name)
    return True


def _empty(place: Folder, name: str) -> bool:  # pragma: no cover - Windows
    """Empty a file that somebody holds open, which forbids no writing; return whether that is done.

    An empty entry is no entry, and its secret is gone from the disk.
    """
    try:
        cache.close(place.open(name, os.O_WRONLY | os.O_TRUNC))
    except OSError:
        return False
    return True


def again(work: "Callable[[], None]") -> None:
    """Do ``work``, for half a second if Windows denies it: a reader has the file open."""
    for _ in range(0 if _POSIX else TRIES):  # pragma: no cover - Windows
        try:
            return work()
        except PermissionError:
            time.sleep(_WAIT)
    return work()
