"""Authorization tokens on disk, each with the conditions under which it may be served.

One directory per registry host, one file per identity: ``<cache>/<host>/<name>``. An entry carries
its own conditions, so a reader needs no knowledge of AWS, and takes no lock::

    docker-credential-ecr 1
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
    file 1790000000123456789 1024 5551 /home/me/.aws/config
    absent /home/me/.aws/credentials
    boot 3c0e...

    "the secret as a JSON string literal"

``issued`` to ``expires`` are epoch seconds (see ``Token``); ``scope``, ``identity``, ``source`` and
``replaced`` (a residue of the secret that this one took the place of) only inform; the rest are
conditions, and all of them must hold. A key that a reader does not know makes the entry as if
absent, and so does anything odd about the file: owner, mode, link, size, format, times.

Every ``get`` passes here: at module level this imports only what the interpreter has loaded.
"""

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

APPLICATION = "docker-credential-ecr"
MAGIC = "docker-credential-ecr 1"
LOGIN = "login"  # the name of an entry that `docker login` made: no conditions, wins over the rest
ENTRY_LIMIT = 128 << 10  # bytes, 128 KiB; a token is about 2,700 characters
ENTRIES_PER_HOST = 64  # identities kept for one host; the oldest go first
TOKEN_LIFE = 12 * 3600  # seconds, the longest that ECR gives (GetAuthorizationToken)
LEFTOVER_AGE = 600  # seconds; no process of ours lives so long
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_FOLDER_MODE = 0o700  # the owner only: these are credentials
_FILE_MODE = 0o600
_POSIX = os.name == "posix"
# O_NONBLOCK: a FIFO in the place of an entry must not hang a pull.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class Token:
    """An authorization token for one registry host, with the times that govern it.

    ``secret`` is the password for the user ``AWS``. All times are epoch seconds: before ``refresh``
    serve it, from there renew it behind the answer, from ``renew`` on renew it before answering,
    from ``expires`` on never serve it.
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
        self.host = host
        self.secret = secret
        self.issued = issued
        self.refresh = refresh
        self.renew = renew
        self.expires = expires
        self.name = name
        self.scope = scope
        self.identity = identity
        self.source = source
        self.replaced = replaced
        self.conditions = conditions

    def __repr__(self) -> str:
        return f"<Token for {self.host!r}, expires {self.expires}>"

    @property
    def is_login(self) -> bool:
        """Whether the user gave it with `docker login`, rather than we to the user."""
        return self.name == LOGIN


def directory(environ: "Mapping[str, str]") -> str | None:
    """Return the cache directory, or ``None`` if there is none: switched off, or no home.

    ``AWS_ECR_CACHE_DIR``, else what platformdirs says. Its rule for POSIX is applied here, as
    importing platformdirs costs more than a whole hit; a test holds the two equal.
    """
    if environ.get("AWS_ECR_DISABLE_CACHE"):
        return None
    chosen = environ.get("AWS_ECR_CACHE_DIR")
    if chosen:
        path = os.path.expanduser(chosen)
        return path if os.path.isabs(path) else None
    if not _POSIX:  # pragma: no cover - Windows
        from platformdirs import user_cache_dir

        return user_cache_dir(APPLICATION, appauthor=False)
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):  # unset, or as good as unset
            try:
                import pwd

                home = pwd.getpwuid(os.getuid()).pw_dir
            except (ImportError, KeyError):
                return None
        base = home.rstrip("/") + ("/Library/Caches" if sys.platform == "darwin" else "/.cache")
    return f"{base}/{APPLICATION}" if os.path.isabs(base) else None


def lookup(folder: str, host: str, environ: "Mapping[str, str]", now: float) -> Token | None:
    """Return the token that may be served for ``host`` now, or ``None``. Never raises OSError.

    A login wins over an issued token, a newer token over an older one.
    """
    best: Token | None = None
    for token in entries(folder, host):
        better = best is None or (token.is_login, token.issued) > (best.is_login, best.issued)
        if better and token.issued <= now < token.expires and holds(token.conditions, environ):
            best = token
    return best


def hosts(folder: str) -> list[str]:
    """Return the registry hosts that the cache has a directory for."""
    try:
        return sorted(name for name in os.listdir(folder) if name[0] != ".")
    except OSError:
        return []


def entries(folder: str, host: str) -> "Iterator[Token]":
    """Yield every well-formed entry of ``host``, whether or not it may be served now."""
    place = f"{folder}/{host}"
    try:
        state = os.lstat(place)
        # A directory that others may write to could hold what others put there.
        if not stat.S_ISDIR(state.st_mode) or (
            _POSIX and (state.st_mode & 0o022 or state.st_uid != os.geteuid())
        ):
            return
        names = os.listdir(place)
    except OSError:
        return
    for name in names:
        if name[0] != "." and (token := _read(place, name, host)) is not None:
            yield token


def holds(  # noqa: C901, PLR0911, PLR0912 - one case a kind of condition
    conditions: "Sequence[str]", environ: "Mapping[str, str]"
) -> bool:
    """Return whether every condition of an entry holds in ``environ`` and on this machine."""
    for line in conditions:
        kind, _, rest = line.partition(" ")
        if kind == "env":
            name, _, value = rest.partition("=")
            if environ.get(name) != value:
                return False
        elif kind == "unset":
            if rest in environ:
                return False
        elif kind == "file":
            mtime, _, rest = rest.partition(" ")
            size, _, rest = rest.partition(" ")
            inode, _, path = rest.partition(" ")
            if state_of(path) != f"file {mtime} {size} {inode} {path}":
                return False
        elif kind == "absent":
            if state_of(rest) != line:
                return False
        elif kind == "boot":
            if boot_id() != rest:
                return False
        elif kind == "residue":
            name, _, residue = rest.partition(" ")
            if name not in environ or residue_of(environ[name]) != residue:
                return False
        else:
            return False
    return True


def state_of(path: str) -> str:
    """Return the condition line that says what ``path`` is now: ``file ...`` or ``absent ...``.

    A path that cannot be examined counts as neither, and its line never holds.
    """
    try:
        state = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"absent {path}"
    except (OSError, ValueError):
        return f"unknown {path}"
    return f"file {state.st_mtime_ns} {state.st_size} {state.st_ino} {path}"


def boot_id() -> str:
    """Return the kernel's boot id, or an empty string where there is none."""
    try:
        descriptor = os.open(_BOOT_ID, os.O_RDONLY)
        try:
            return os.read(descriptor, 64).decode("ascii").strip()
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return ""


def residue_of(secret: str) -> str:
    """Return a number that changes with ``secret`` and does not give it away.

    The remainder of division by the Mersenne prime 2**61 - 1: a hash module costs more to load
    than the whole lookup.
    """
    return str(int.from_bytes(secret.encode("utf-8", "surrogateescape"), "big") % (2**61 - 1))


def write(folder: str, token: Token) -> bool:
    """Keep ``token``; return whether it is on disk now. Never raises OSError.

    Written beside its place with mode 0600 from birth, flushed, and renamed over it.
    """
    lines = [
        MAGIC,
        f"host {token.host}",
        f"issued {token.issued}",
        f"refresh {token.refresh}",
        f"renew {token.renew}",
        f"expires {token.expires}",
        *(
            f"{key} {value}"
            for key, value in (
                ("scope", token.scope),
                ("identity", token.identity),
                ("source", token.source),
                ("replaced", token.replaced),
            )
            if value
        ),
        *token.conditions,
        "",
        f'"{token.secret}"',
        "",
    ]
    place = f"{folder}/{token.host}"
    # Dot: readers pass over it. The process id keeps two writers apart, the rename decides.
    beside = f"{place}/.{token.name}.{os.getpid()}"
    try:
        data = "\n".join(lines).encode("utf-8", "surrogateescape")
        if not is_plain(token.secret) or len(data) > ENTRY_LIMIT:
            return False
        if any("\n" in line for line in lines):
            return False  # a path or a value that the format cannot say
        make_private(place)
        _sweep(place, token.name)
        try:
            descriptor = os.open(
                beside,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                _FILE_MODE,
            )
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(beside, f"{place}/{token.name}")
        except OSError:
            _remove(beside)
            raise
    except (OSError, ValueError):
        return False
    return True


def erase(folder: str, host: str) -> None:
    """Remove every token of ``host``, and its copies under other hosts. Never raises OSError."""
    secrets = {token.secret for token in entries(folder, host)}
    place = f"{folder}/{host}"
    try:
        if not os.path.islink(place):
            for name in os.listdir(place):
                _remove(f"{place}/{name}")
            os.rmdir(place)
    except OSError:
        pass
    for other in hosts(folder) if secrets else ():
        for token in entries(folder, other):
            if token.secret in secrets:
                _remove(f"{folder}/{other}/{token.name}")


def claim(folder: str, token: Token, now: float, life: float) -> bool:
    """Return whether the caller may renew ``token`` behind the answer: once in ``life`` seconds.

    The claim is a file beside the entry, so it works between processes and costs one system call.
    """
    path = f"{folder}/{token.host}/.{token.name}.renewal"
    for _ in range(2):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))
        except FileExistsError:
            try:
                if 0 <= now - os.stat(path).st_mtime < life:
                    return False
            except OSError:
                continue  # its owner is done: one more try
            _remove(path)
        except OSError:
            return False  # a directory that cannot be written keeps no new token either
        else:
            return True
    return False


def make_private(folder: str) -> None:
    """Make ``folder``, a directory of our own, for the owner only; narrow it if it is wider.

    The directory around it, if we make that too, is for the owner only as well. One that was there
    is the user's: its mode stays.
    """
    # Two steps: makedirs gives the mode to the last directory alone.
    os.makedirs(os.path.dirname(folder), _FOLDER_MODE, exist_ok=True)
    os.makedirs(folder, _FOLDER_MODE, exist_ok=True)
    if _POSIX:
        state = os.lstat(folder)
        if stat.S_ISDIR(state.st_mode) and state.st_mode & 0o077:
            os.chmod(folder, _FOLDER_MODE)


def _read(place: str, name: str, host: str) -> Token | None:
    try:
        descriptor = os.open(f"{place}/{name}", _READ_FLAGS)
    except (OSError, ValueError):
        return None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > ENTRY_LIMIT:
            return None
        if _POSIX and (state.st_mode & 0o077 or state.st_uid != os.geteuid() or state.st_nlink > 1):
            return None
        data = os.read(descriptor, state.st_size)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return _parse(data, name, host)


def _parse(data: bytes, name: str, host: str) -> Token | None:
    head, blank, tail = data.decode("utf-8", "surrogateescape").partition("\n\n")
    lines = head.split("\n")
    secret = tail[1:-2]
    if not blank or tail != f'"{secret}"\n' or not secret or lines[0] != MAGIC:
        return None
    fields: dict[str, str] = {}
    first = len(lines)
    for number, line in enumerate(lines[1:], 1):
        key, _, value = line.partition(" ")
        if key not in _FIELDS:
            first = number
            break
        fields[key] = value
    try:
        token = Token(
            name=name,
            secret=secret,
            host=fields["host"],
            issued=int(fields["issued"]),
            refresh=int(fields["refresh"]),
            renew=int(fields["renew"]),
            expires=int(fields["expires"]),
            scope=fields.get("scope", ""),
            identity=fields.get("identity", ""),
            source=fields.get("source", ""),
            replaced=fields.get("replaced", ""),
            conditions=lines[first:],
        )
    except (KeyError, ValueError):
        return None
    ordered = token.issued <= token.refresh <= token.renew <= token.expires
    if not ordered or token.expires - token.issued > TOKEN_LIFE or token.host != host:
        return None
    # Issued tokens without a condition would be served to any identity.
    if not is_plain(secret) or not (token.conditions or token.is_login):
        return None
    return token


_FIELDS = frozenset(
    ("host", "issued", "refresh", "renew", "expires", "scope", "identity", "source", "replaced")
)


def is_plain(secret: str) -> bool:
    """Whether ``secret`` needs no JSON escape, as base64 does not: the format holds no other."""
    return (
        secret.isascii()
        and secret.isprintable()
        and '"' not in secret
        and "\\" not in secret
        and bool(secret)
    )


def _sweep(place: str, keep: str) -> None:
    """Remove what has had its time: expired entries, left-over temporary files, the oldest."""
    from time import time

    now = time()
    kept = []
    for name in os.listdir(place):
        path = f"{place}/{name}"
        try:
            modified = os.lstat(path).st_mtime
        except OSError:
            continue
        # A temporary file has a writer for as long as a process may take, an entry has its life.
        limit = LEFTOVER_AGE if name[0] == "." else TOKEN_LIFE
        if now - modified > limit:
            _remove(path)
        elif name not in (keep, LOGIN) and name[0] != ".":
            kept.append((modified, path))
    for _, path in sorted(kept)[: max(0, len(kept) - ENTRIES_PER_HOST)]:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
