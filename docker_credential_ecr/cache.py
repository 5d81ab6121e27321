"""Authorization tokens on disk, each with the conditions under which it may be served.

One directory per registry host, one file per identity: ``<cache>/<host>/<name>``, where ``<name>``
is 16 hexadecimal digits, or ``login``. An entry carries its own conditions, so a reader needs no
knowledge of AWS, and takes no lock::

    docker-credential-ecr 2
    host 123456789012.dkr.ecr.us-east-1.amazonaws.com
    issued 1795000000
    refresh 1795018900
    renew 1795042600
    expires 1795043200
    scope ecr us-east-1
    identity profile=prod
    source assume-role
    replaced 1764237612763
    env AWS_PROFILE=prod
    unset AWS_ACCESS_KEY_ID
    residue AWS_CONTAINER_AUTHORIZATION_TOKEN 1764237612763
    file 1790000000123456789 1790000000123456789 1024 5551 2049 /home/me/.aws/config
    absent /home/me/.aws/credentials
    boot 3c0e...
    booted 1794990000 6f1c...

    "the secret as a JSON string literal"

The first line names the format: an entry of another one is as if absent. Then come the fields, each
at most once, in any order. ``host`` and ``issued`` to ``expires`` (epoch seconds in ASCII digits,
see ``Token``) must be there; ``scope``, ``identity``, ``source`` and ``replaced`` (a residue of the
secret that this one took the place of) only inform. The first line that is no field begins the
conditions, and all of them must hold: a kind that a reader does not know never does. ``file`` gives
the times of modification and of change in nanoseconds, size, inode and device. ``boot`` is the
kernel's own name for this boot; where it has none, ``booted`` gives the time and the machine.

Anything odd about the file makes it as if absent: owner, mode, link, size, format, times. So does
anything odd about its directory, which is opened once, without following a link, and judged as it
was opened: all that is done in it is done by that descriptor.

Every ``get`` passes here: at module level this imports only what the interpreter has loaded. The
writer's half is ``keeping``.
"""

import os
import stat
import sys

from . import PROGRAM, server_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

MAGIC = f"{PROGRAM} 2"
LOGIN = "login"  # the name of an entry that `docker login` made: no conditions, wins over the rest
ENTRY_LIMIT = 128 << 10  # bytes, 128 KiB; a token is about 2,700 characters
TOKEN_LIFE = 12 * 3600  # seconds, the longest that ECR gives (GetAuthorizationToken)
DISK_LIMIT = 2.0  # seconds; a disk that takes longer to be read hangs, and is done without
NAME_LENGTH = 16  # hexadecimal digits of an entry's name: 61 bits
FILE_MODE = 0o600  # the owner only: these are credentials
TIMES = ("issued", "refresh", "renew", "expires")  # fields, in the order in which they come
_TIME_LENGTH = 12  # digits of a time in epoch seconds, far beyond what a clock can say
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Seconds by which the time of a boot may be another later: clocks are set, and drift for the hours
# that a token lives. No other boot is so near: to carry the token it came after this one's.
_BOOT_DRIFT = 60
_POSIX = os.name == "posix"
_HEXADECIMAL = frozenset("0123456789abcdef")
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT, Windows' links and junctions
_SLICE = 0.25  # seconds; on Windows a wait lets no Ctrl-C through before it ends
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# O_NONBLOCK: a FIFO in the place of an entry must not hang a pull.
_READ_FLAGS = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)
_FOLDER_FLAGS = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_DIRECTORY", 0)


class Token:
    """An authorization token for one registry host, with the times that govern it.

    ``secret`` is the password for the user ``AWS``. All times are epoch seconds: before ``refresh``
    serve it, from there renew it behind the answer, from ``renew`` on renew it before answering,
    from ``expires`` on never serve it. Never changed once made.
    """

    __slots__ = (
        "conditions",
        "expires",
        "host",
        "identity",
        "issued",
        "name",
        "refresh",
        "renew",
        "replaced",
        "scope",
        "secret",
        "source",
    )

    def __init__(
        self,
        *,
        host: str,
        secret: str,
        issued: int,
        refresh: int,
        renew: int,
        expires: int,
        name: str = "",
        scope: str = "",
        identity: str = "",
        source: str = "",
        replaced: str = "",
        conditions: "Sequence[str]" = (),
    ) -> None:
        self.host: Final = host
        self.secret: Final = secret
        self.issued: Final = issued
        self.refresh: Final = refresh
        self.renew: Final = renew
        self.expires: Final = expires
        self.name: Final = name
        self.scope: Final = scope
        self.identity: Final = identity
        self.source: Final = source
        self.replaced: Final = replaced
        self.conditions: Final = tuple(conditions)

    def __repr__(self) -> str:
        return f"<Token for {self.host!r}, expires {self.expires}>"

    @property
    def is_login(self) -> bool:
        """Whether the user gave it with `docker login`, rather than we to the user."""
        return self.name == LOGIN

    def serves_at(self, now: float) -> bool:
        """Whether ``now`` (epoch seconds) is within its life.

        A login says itself when it ends; when it began counts only for what AWS gave us.
        """
        return (self.issued <= now or self.is_login) and now < self.expires


class Folder:
    """A directory of ours, judged as it was opened.

    What is done in it is done by its descriptor, so a link that takes its place later leads nobody
    anywhere. Where the system has no such calls (Windows) it is done by its path.
    """

    __slots__ = ("descriptor", "prefix")

    def __init__(self, name: str, within: "Folder | None" = None, *, private: bool = True) -> None:
        """Open ``name``, a path or the name of a directory in ``within``.

        Raises ``OSError`` if it is none, is a link, or has another owner; if it is to be
        ``private``, also if others may write to it: they could have put there what it holds.
        """
        self.descriptor: int | None = None
        self.prefix = ""
        if _POSIX:
            try:
                self.descriptor = os.open(
                    name, _FOLDER_FLAGS, dir_fd=None if within is None else within.descriptor
                )
            except OSError:
                # Of a link Linux says ENOTDIR, others ELOOP: that of the whole cache may be one
                # that the user made.
                if within is not None or not os.path.islink(name):
                    raise
                from . import links

                self.descriptor = links.opened(name)
            state = os.fstat(self.descriptor)
        else:  # pragma: no cover - Windows
            path = name if within is None else within.prefix + name
            self.prefix = path + os.sep
            state = os.lstat(path)
        fault = folder_fault(state, private=private)
        if fault:
            self.close()
            raise PermissionError(fault)

    def names(self) -> list[str]:
        """Return the names in it. Raises ``OSError``, like all that follows."""
        return os.listdir(self.prefix if self.descriptor is None else self.descriptor)

    def state(self, name: str) -> os.stat_result:
        """Return the state of a name, never of what it links to."""
        return os.stat(self.prefix + name, dir_fd=self.descriptor, follow_symlinks=False)

    def open(self, name: str, flags: int) -> int:
        """Return a descriptor of a file, which is never reached by a link; new ones are 0600."""
        path = self.prefix + name
        if self.descriptor is None and not flags & os.O_EXCL:  # pragma: no cover - Windows
            try:  # no O_NOFOLLOW there
                if is_reparse_point(os.lstat(path)):
                    raise PermissionError("is a link")
            except FileNotFoundError:
                pass  # it may be about to be made
        return os.open(path, flags | _NO_FOLLOW, FILE_MODE, dir_fd=self.descriptor)

    def close(self) -> None:
        """Close it. Never raises: nothing was written by this descriptor."""
        if self.descriptor is not None:  # pragma: no branch - Windows
            close(self.descriptor)


def is_reparse_point(state: os.stat_result) -> bool:
    """Whether the state is that of a link or a junction of Windows."""
    return bool(getattr(state, "st_file_attributes", 0) & _REPARSE_POINT)


def folder_fault(state: os.stat_result, *, private: bool = True) -> str:
    """Return what is wrong with a directory of that state, or an empty string. See ``Folder``."""
    if not stat.S_ISDIR(state.st_mode):  # pragma: no cover - Windows
        return "is not a directory"
    if is_reparse_point(state):  # pragma: no cover - Windows
        return "is a link"
    if _POSIX and state.st_uid != os.geteuid():
        return "belongs to another user"
    if _POSIX and private and state.st_mode & 0o022:
        return "can be changed by others"
    return ""


def file_fault(state: os.stat_result) -> str:
    """Return what is wrong with an entry's or a lock's file of that state, or an empty string."""
    if not stat.S_ISREG(state.st_mode):
        return "is not a file"
    if _POSIX and state.st_uid != os.geteuid():
        return "belongs to another user"
    if _POSIX and state.st_mode & 0o077:
        return "can be read or changed by others"
    if _POSIX and state.st_nlink > 1:  # 0: replaced since it was opened, and still whole
        return "has another name, too"
    return ""


def close(descriptor: int) -> None:
    """Close what was only read: a failure there changes nothing."""
    try:
        os.close(descriptor)
    except OSError:
        pass


def in_time(work: "Callable[[], object]", limit: float) -> bool:
    """Do ``work``, which may never end, as disks hang; return whether it ended in ``limit`` s.

    Raises what ``work`` raises. Without a thread to be had it is done in line. The bare thread:
    ``threading`` costs a third of a hit.
    """
    import _thread

    ended = _thread.allocate_lock()
    ended.acquire()
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
        finally:
            ended.release()

    try:
        _thread.start_new_thread(attempt, ())
    except RuntimeError:  # RLIMIT_NPROC, pids.max
        attempt()
    while not (done := ended.acquire(timeout=min(limit, _SLICE))) and limit > _SLICE:
        limit -= _SLICE
    if errors:
        raise errors[0]
    return done


def home(environ: "Mapping[str, str]") -> str | None:
    """Return the home directory, an absolute path without a slash at its end, or ``None``."""
    found = environ.get("HOME" if _POSIX else "USERPROFILE", "")
    if not os.path.isabs(found):  # unset, or as good as unset
        try:
            import pwd

            found = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):
            return None
    return found.rstrip("/") if os.path.isabs(found) else None


def expanded(path: str, environ: "Mapping[str, str]") -> str:
    """Return ``path`` with ``~`` or ``~user`` at its start replaced, where that is known."""
    first, slash, rest = path.partition("/")
    if first != "~":
        return os.path.expanduser(path) if first[:1] == "~" else path
    place = home(environ)
    return path if place is None else f"{place}{slash}{rest}" or "/"


def directory(environ: "Mapping[str, str]") -> str | None:
    """Return the cache directory, or ``None`` if there is none: switched off, or no home.

    ``AWS_ECR_CACHE_DIR``, else what platformdirs says. Its rules are applied here, as importing
    platformdirs costs more than a whole hit; a test on each system holds the two equal.
    """
    if environ.get("AWS_ECR_DISABLE_CACHE"):
        return None
    chosen = environ.get("AWS_ECR_CACHE_DIR")
    if chosen:
        path = expanded(chosen, environ)
        return path if is_fixed(path) else None
    if not _POSIX:  # pragma: no cover - Windows
        return _windows_directory(environ)
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        place = home(environ)
        if place is None:
            return None
        base = place + ("/Library/Caches" if sys.platform == "darwin" else "/.cache")
    return f"{base}/{PROGRAM}"


def is_fixed(path: str) -> bool:
    r"""Whether ``path`` is the same place from everywhere, and one that ours can lie below.

    On Windows: with a drive and a root, or on a share. What begins with ``\\?\`` is taken to the
    letter there, without the slashes and names that every other path may have.
    """
    if not _POSIX:  # pragma: no cover - Windows
        drive, rest = os.path.splitdrive(path)
        return bool(drive) and rest[:1] in ("\\", "/") and drive[2:3] not in ("?", ".")
    return os.path.isabs(path)


def _windows_directory(environ: "Mapping[str, str]") -> str | None:  # pragma: no cover - Windows
    base = environ.get("LOCALAPPDATA", "")
    # Without that variable platformdirs asks the shell; the other one is its own, and comes first.
    if "WIN_PD_OVERRIDE_LOCAL_APPDATA" in environ or not is_fixed(base):
        from platformdirs import user_cache_dir

        try:
            base = user_cache_dir(PROGRAM, appauthor=False)
        except (OSError, ValueError, RuntimeError):  # no profile
            return None
        return base if is_fixed(base) else None
    return os.path.join(base, PROGRAM, "Cache")


def lookup(folder: str, host: str, environ: "Mapping[str, str]", now: float) -> Token | None:
    """Return the token that may be served for ``host`` now, or ``None``. Never raises OSError.

    A login wins over an issued token, a newer token over an older one, and of two that were issued
    in one second the one whose name comes first.
    """
    best: Token | None = None
    for token in entries(folder, host):
        better = best is None or (token.is_login, token.issued) > (best.is_login, best.issued)
        if better and token.serves_at(now) and holds(token.conditions, environ):
            best = token
    return best


def hosts(folder: str, *, strict: bool = False) -> list[str]:
    """Return the registry hosts that the cache has a directory for.

    Raises ``OSError`` only if it is to be ``strict``: for who must know that these are all.
    """
    try:
        place = Folder(folder, private=False)
        try:
            return sorted(name for name in place.names() if server_url.host_of(name) == name)
        finally:
            place.close()
    except OSError:
        if strict:
            raise
        return []


def entries(folder: str, host: str, *, strict: bool = False) -> list[Token]:
    """Return every well-formed entry of ``host``, by name, whether or not it may be served now.

    Raises ``OSError`` only if it is to be ``strict``: for who must know that these are all.
    """
    found: list[Token] = []
    try:
        # Others may write beside our directories, as in /tmp, but to none of them.
        whole = Folder(folder, private=False)
        try:
            place = Folder(host, whole)
        finally:
            whole.close()
        try:
            for name in sorted(filter(is_entry, place.names())):
                token = read(place, name, host, strict=strict)
                if token is not None:
                    found.append(token)
        finally:
            place.close()
    except FileNotFoundError:
        pass
    except OSError:
        if strict:
            raise
    return found


def is_entry(name: str) -> bool:
    """Whether ``name`` is one that we give to entries."""
    return name == LOGIN or (len(name) == NAME_LENGTH and _HEXADECIMAL.issuperset(name))


def read(place: Folder, name: str, host: str, *, strict: bool = False) -> Token | None:
    """Return the entry ``name`` of ``host``, or ``None`` if anything about it is odd.

    Raises ``OSError`` only if it is to be ``strict`` and what is there cannot be read.
    """
    try:
        descriptor = place.open(name, _READ_FLAGS)
    except OSError as error:
        if strict and not isinstance(error, FileNotFoundError):
            raise
        return None
    try:
        state = os.fstat(descriptor)
        if file_fault(state) or state.st_size > ENTRY_LIMIT:
            return None
        data = os.read(descriptor, state.st_size)
        while len(data) < state.st_size and (more := os.read(descriptor, state.st_size)):
            data += more
    except OSError:
        if strict:
            raise
        return None
    finally:
        close(descriptor)
    return _parse(data, name, host)


def _parse(data: bytes, name: str, host: str) -> Token | None:
    head, blank, tail = data.decode("utf-8", "surrogateescape").partition("\n\n")
    lines = head.split("\n")
    secret = tail[1:-2]
    if not blank or tail != f'"{secret}"\n' or not is_plain(secret) or lines[0] != MAGIC:
        return None
    fields: dict[str, str] = {}
    first = len(lines)
    for number, line in enumerate(lines[1:], 1):
        key, _, value = line.partition(" ")
        if key not in _FIELDS:
            first = number
            break
        if key in fields:
            return None
        fields[key] = value
    times = [_time(fields.get(key, "")) for key in TIMES]
    issued, refresh, renew, expires = times
    # -1 stands for a time that is none: issued is the least of them.
    ordered = 0 <= issued <= refresh <= renew <= expires <= issued + TOKEN_LIFE
    conditions = lines[first:]
    # Issued tokens without a condition would be served to any identity.
    if not ordered or fields.get("host") != host or not (conditions or name == LOGIN):
        return None
    return Token(
        host=host,
        secret=secret,
        issued=issued,
        refresh=refresh,
        renew=renew,
        expires=expires,
        name=name,
        scope=fields.get("scope", ""),
        identity=fields.get("identity", ""),
        source=fields.get("source", ""),
        replaced=fields.get("replaced", ""),
        conditions=conditions,
    )


_FIELDS = frozenset(("host", *TIMES, "scope", "identity", "source", "replaced"))


def _time(text: str) -> int:
    # int() itself takes signs, blanks, underscores and the digits of any script.
    fits = text.isascii() and text.isdigit() and len(text) <= _TIME_LENGTH
    return int(text) if fits else -1


def is_plain(secret: str) -> bool:
    """Whether ``secret`` needs no JSON escape, as base64 does not: the format holds no other."""
    return (
        secret.isascii()
        and secret.isprintable()
        and '"' not in secret
        and "\\" not in secret
        and bool(secret)
    )


# The grammar of conditions. Each is one line; these functions write and read all of them.


def holds(  # noqa: C901, PLR0911 - one case a kind of condition
    conditions: "Sequence[str]", environ: "Mapping[str, str]"
) -> bool:
    """Return whether every condition of an entry holds in ``environ`` and on this machine."""
    # Most of them say that a variable is not set, and os.environ raises an error for each of these.
    names = frozenset(environ)
    for line in conditions:
        kind, _, rest = line.partition(" ")
        if kind == "env":
            name, _, value = rest.partition("=")
            if name not in names or environ[name] != value:
                return False
        elif kind == "unset":
            if rest in names:
                return False
        elif kind in ("file", "absent"):
            if state_of(subject(line)) != line:
                return False
        elif kind in ("boot", "booted"):
            if not _is_this_boot(line):
                return False
        elif kind == "residue":
            if residue(rest.partition(" ")[0], environ) != line:
                return False
        else:
            return False
    return True


def variable(name: str, environ: "Mapping[str, str]") -> str:
    """Return the condition that the variable ``name`` is as it is now."""
    return f"env {name}={environ[name]}" if name in environ else f"unset {name}"


def residue(name: str, environ: "Mapping[str, str]") -> str:
    """Return the same condition for a variable that is secret, which does not give it away."""
    return f"residue {name} {residue_of(environ[name])}" if name in environ else f"unset {name}"


def state_of(path: str) -> str:
    """Return the condition that ``path`` is what it is now: ``file ...`` or ``absent ...``.

    For a path that cannot be examined one that never holds.
    """
    try:
        state = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"absent {path}"
    except (OSError, ValueError):
        return unknown(path)
    # The time of change is the kernel's: cp -p, tar and touch -r cannot set it.
    return (
        f"file {state.st_mtime_ns} {state.st_ctime_ns} {state.st_size} {state.st_ino}"
        f" {state.st_dev} {path}"
    )


def boot() -> str:
    """Return the condition that this is the machine, and that it is not started anew.

    Where neither the kernel nor the clocks can tell, one that never holds.
    """
    found = ""
    try:
        # Wine shows Windows programs its own machine's /proc.
        if not _POSIX:  # pragma: no cover - Windows
            raise FileNotFoundError(_BOOT_ID)
        descriptor = os.open(_BOOT_ID, os.O_RDONLY)
        try:
            found = os.read(descriptor, 64).decode("ascii").strip()
        finally:
            close(descriptor)
    except (OSError, ValueError):
        pass
    if found:
        return f"boot {found}"
    from . import machine

    when, name = machine.booted()
    return f"booted {when} {name}" if name else unknown("boot")


def _is_this_boot(line: str) -> bool:
    now = boot()
    if not (line.startswith("booted ") and now.startswith("booted ")):
        return line == now
    then, _, machine = line.removeprefix("booted ").partition(" ")
    when, _, ours = now.removeprefix("booted ").partition(" ")
    return machine == ours and abs(_time(then) - _time(when)) <= _BOOT_DRIFT


def unknown(what: str) -> str:
    """Return a condition that never holds."""
    return f"unknown {what}"


def is_keepable(conditions: "Sequence[str]") -> bool:
    """Whether a token with these conditions could ever be served from the disk."""
    return not any(line.startswith("unknown ") or "\n" in line for line in conditions)


def subject(line: str) -> str:
    """Return what a condition is about, whatever it says of it: a path, or a variable's setting."""
    kind, _, rest = line.partition(" ")
    return rest.split(" ", 5)[-1] if kind == "file" else rest


def variables(conditions: "Sequence[str]") -> dict[str, str]:
    """Return the variables that must be set for conditions to hold, and their values."""
    settings = [line.partition(" ")[2] for line in conditions if line.startswith("env ")]
    return {name: value for name, _, value in (setting.partition("=") for setting in settings)}


def residue_of(secret: str) -> str:
    """Return a number that changes with ``secret`` and does not give it away.

    The remainder of division by the Mersenne prime 2**61 - 1: a hash module costs more to load
    than the whole lookup.
    """
    return str(int.from_bytes(secret.encode("utf-8", "surrogateescape"), "big") % (2**61 - 1))
