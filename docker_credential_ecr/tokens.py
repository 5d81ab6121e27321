"""The policy: answer from the cache, or fetch once for all who wait, keep, fall back.

A token has four ages (``cache.Token``): before ``refresh`` it is served as it is; until ``renew``
it is served, and renewed behind the answer; until ``expires`` it is renewed first, and served only
if nobody could be asked; after that never.

A hit passes here: at module level this imports ``os``, ``sys``, ``time`` and our own lower floors.
"""

import os
import sys
import time

from . import cache, registry
from .cache import Token
from .errors import HelperError, NoCredentials, Unavailable, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    T = TypeVar("T")

    from .ecr import Issued
    from .settings import Rule

# Seconds for everything, lock and credentials included: the kubelet kills at 60, people sooner.
TIMEOUT = 25.0
TIMEOUT_LIMIT = 600.0  # seconds, the most that AWS_ECR_TIMEOUT may ask for
LOCK_SHARE = 0.7  # of the time-out; a lock that cannot be had by then is done without
PATIENCE = 0.8  # of the time-out, after which a throttled call is not tried again
# Seconds between two looks for the token that another process is fetching: from, to. They grow, as
# a herd of 200 that looks every 20 ms leaves no processor to the one that fetches.
_POLL_FROM, _POLL_TO = 0.02, 0.3
KEEP_LIMIT = 2.0  # seconds for writing the cache; an answer does not wait longer for a disk
LEAVE = 1.0  # seconds after an answer to start its renewal in: clients wait until we have left
MARGIN = 600  # seconds before expiry at which a token is renewed before it is served
CLAIM_LIFE = 300  # seconds until a renewal behind the answer that did not succeed is tried again

# The share of a token's life after which it is renewed behind the answer: drawn from here, so
# that nodes that booted together do not call together. benchmarks/fleet.py shows the effect.
_REFRESH_FROM, _REFRESH_TO = 0.42, 0.72
# The same for credentials that end before that: the share of their remaining life.
_EARLY_FROM, _EARLY_TO = 0.75, 0.95

RENEWAL = "renew"  # the executable's own action, for the process behind an answer


def authorize(host: str, environ: "Mapping[str, str]") -> Token | None:
    """Return the token to answer with for ``host``, or ``None`` if the host is not ours.

    A token past its ``refresh`` time is returned as it is: the caller answers with it and then
    calls ``renew_behind``, unless that is switched off.
    Raises ``HelperError`` when the host is ours and cannot be answered.
    """
    folder = cache.directory(environ)
    now = time.time()
    token = cache.lookup(folder, host, environ, now) if folder else None
    if token is not None:
        due = token.renew if renews_behind(environ) else token.refresh
        if now < due or token.is_login:
            return token
    try:
        return renew(host, environ)
    except (Unavailable, NoCredentials):
        if token is None or time.time() >= token.expires:
            raise
        return token


def renew(
    host: str,
    environ: "Mapping[str, str]",
    *,
    newer_than: float = 0,
    timeout: float | None = None,
) -> Token | None:
    """Return a token for ``host`` that is not yet due, from AWS or from who asked AWS just now.

    ``newer_than`` (epoch seconds) refuses tokens issued up to then. ``timeout`` is in seconds.
    ``None`` if the host is not ours. Raises ``HelperError``.
    """
    import gc

    gc.disable()  # this process lives for half a second: collecting costs more than it frees
    limit = timeout_of(environ) if timeout is None else timeout
    return within(
        limit, lambda stages: _renew(host, environ, newer_than, limit, stages), f'"{host}"'
    )


def keep_login(host: str, secret: str, environ: "Mapping[str, str]") -> None:
    """Keep a login that the user made, until it expires or is erased.

    A secret that we issued is not a login: `docker login` without arguments stores what `get`
    answered, and keeping that would outlive every renewal. Raises ``HelperError``.
    """
    folder = cache.directory(environ)
    if folder is None:
        raise HelperError(
            f'the login of "{host}" cannot be kept: the cache is switched off, or there is no home',
            "unset AWS_ECR_DISABLE_CACHE, or set AWS_ECR_CACHE_DIR to a directory",
            "or set AWS_ECR_IGNORE_CREDS_STORAGE=true to accept logins without keeping them",
        )
    residue = cache.residue_of(secret)
    for token in cache.entries(folder, host):
        if not token.is_login and (token.secret == secret or token.replaced == residue):
            return
    now = int(time.time())
    expires = _expiration(secret, now)
    if expires <= now:
        raise HelperError(
            f'the password for "{host}" has expired',
            f"run: aws ecr get-login-password | docker login -u AWS --password-stdin {host}",
        )
    login = Token(
        host=host,
        name=cache.LOGIN,
        secret=secret,
        issued=now,
        refresh=expires,
        renew=expires,
        expires=expires,
        source="docker login",
    )
    if not cache.write(folder, login):
        raise HelperError(
            f'the login of "{host}" cannot be written below "{one_line(folder)}"',
            "check that the directory can be written and the disk is not full",
            "or set AWS_ECR_CACHE_DIR to another directory",
        )


def renews_behind(environ: "Mapping[str, str]") -> bool:
    """Whether a token that is due may be renewed behind the answer."""
    return environ.get("AWS_ECR_BACKGROUND_REFRESH", "").lower() not in ("false", "0", "no", "off")


def renew_behind(token: Token, environ: "Mapping[str, str]") -> None:
    """Start a process that renews ``token``, if it is due and nobody else has. Never raises.

    The process holds none of the caller's descriptors and is in a session of its own.
    """
    now = time.time()
    if token.is_login or now < token.refresh or not renews_behind(environ):
        return
    # It touches the disk, which may hang. The bare thread, as threading costs a third of a hit.
    import _thread

    started = _thread.allocate_lock()
    started.acquire()

    def start() -> None:
        try:
            _start_renewal(token, environ, now)
        finally:
            started.release()

    _thread.start_new_thread(start, ())
    started.acquire(timeout=LEAVE)


def _start_renewal(token: Token, environ: "Mapping[str, str]", now: float) -> None:
    folder = cache.directory(environ)
    life = CLAIM_LIFE + os.urandom(1)[0]  # spread the retries of a fleet
    if folder is None or not cache.claim(folder, token, now, life):
        return
    # How this program was started, without its arguments.
    start = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    argv = [*start, RENEWAL, token.host, str(token.issued)]
    argv[0] = sys.executable or argv[0]
    try:
        if os.name == "nt":  # pragma: no cover - Windows
            _spawn_on_windows(argv)
        else:
            null = os.open(os.devnull, os.O_RDWR)
            os.posix_spawn(
                argv[0],
                argv,
                dict(os.environ),
                file_actions=[(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)],
                setsid=True,
            )
    except (OSError, NotImplementedError):
        pass  # renewed before the answer instead, when the time comes


def schedule(
    issued: int, expires: int, credentials_end: float | None, draw: float
) -> tuple[int, int]:
    """Return (refresh, renew) for a token, all in epoch seconds.

    ``credentials_end`` is when the credentials that fetched it end, ``None`` if never;
    ``draw`` is a random number from 0 up to 1.
    """
    life = expires - issued
    renew_at: float = expires - min(MARGIN, life // 10)
    if credentials_end is not None:
        renew_at = min(renew_at, credentials_end)
    renew_at = max(renew_at, issued)
    refresh = issued + life * (_REFRESH_FROM + (_REFRESH_TO - _REFRESH_FROM) * draw)
    if refresh >= renew_at:
        share = _EARLY_FROM + (_EARLY_TO - _EARLY_FROM) * draw
        refresh = issued + (renew_at - issued) * share
    return int(refresh), int(renew_at)


def draw() -> float:
    """Return a random number from 0 up to 1 (``random`` costs 10 ms to import)."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


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


def within(timeout: float, work: "Callable[[list[str]], T]", subject: str) -> "T":
    """Return what ``work`` returns, or raise ``Unavailable`` after ``timeout`` seconds.

    ``work`` runs in a thread, as name look-ups and disks cannot be interrupted, and appends to the
    list it is given what it is about to do. Afterwards the process must leave with ``os._exit``.
    """
    import threading

    stages: list[str] = []
    values: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            values.append(work(stages))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not values:
        stage = stages[-1] if stages else "starting"
        raise Unavailable(
            f"no answer for {subject} within {timeout:g} s, while {stage}",
            "check the network, the proxy and VPC endpoint settings, and that file systems respond",
            "set AWS_ECR_TIMEOUT to a larger number of seconds if the service is only slow",
        )
    return values[0]


def token_of(issued: "Issued", host: str, where: registry.Registry) -> Token:
    """Return the token for ``host`` that ECR issued just now, with the times that govern it."""
    now = int(time.time())
    expires = min(int(issued.expires), now + cache.TOKEN_LIFE)
    refresh, renew_at = schedule(now, expires, issued.credentials_end, draw())
    return Token(
        host=host,
        secret=issued.password,
        issued=now,
        refresh=refresh,
        renew=renew_at,
        expires=expires,
        scope=where.scope,
        source=issued.source,
        conditions=issued.conditions,
    )


def target(
    host: str, environ: "Mapping[str, str]"
) -> "tuple[registry.Registry, Rule | None] | None":
    """Return the registry behind ``host`` and the user's rule for it, or ``None``: not ours."""
    from . import settings

    rule = settings.load(environ).rule_for(host)
    found = registry.parse(rule.registry if rule is not None and rule.registry else host)
    return None if found is None else (found, rule)


def _renew(
    host: str,
    environ: "Mapping[str, str]",
    newer_than: float,
    limit: float,
    stages: list[str],
) -> Token | None:
    started = time.monotonic()
    until = started + PATIENCE * limit
    stages.append("reading the configuration file")
    # Conditions first: a file that changes while it is read must not vouch for what was in it.
    from . import ecr

    before = ecr.conditions(environ)
    found = target(host, environ)
    if found is None:
        return None
    where, rule = found
    identity = _identity(rule)
    folder = cache.directory(environ)
    if folder is None:
        return _fetch(host, where, rule, environ, stages, identity=identity, until=until)
    name = _name(identity, before)
    lock = _lock(folder, f"{where.scope}\n{identity}\n{name}")
    stages.append("waiting for another process that asks AWS for the same")
    patience = limit * LOCK_SHARE
    pause = _POLL_FROM
    held = False
    while True:
        now = time.time()
        token = cache.lookup(folder, host, environ, now)
        if token is None or not _is_fresh(token, now, newer_than):
            token = _copy(
                folder,
                host,
                environ,
                scope=where.scope,
                identity=identity,
                now=now,
                newer_than=newer_than,
            )
        if token is not None:
            return token
        if held or time.monotonic() - started > patience:
            break
        held = lock is None or lock()  # then look once more: who had it before has written
        if not held:
            time.sleep(pause * (0.5 + draw()))
            pause = min(1.5 * pause, _POLL_TO)
    token = _fetch(host, where, rule, environ, stages, identity=identity, until=until)
    try:
        # What AWS gave is answered with, whatever becomes of the cache: a disk may hang, too.
        within(KEEP_LIMIT, lambda _: _keep(folder, token, name, before, environ), f'"{host}"')
    except Unavailable:
        pass
    return token


def _keep(
    folder: str, token: Token, name: str, before: "list[str]", environ: "Mapping[str, str]"
) -> None:
    """Write ``token`` to the cache, unless a file that chose its identity has changed meanwhile."""
    from . import ecr

    old = next((t for t in cache.entries(folder, token.host) if t.name == name), None)
    token.name = name
    token.replaced = cache.residue_of(old.secret) if old is not None else ""
    # The files as they are now must be the files that were read.
    if ecr.conditions(environ) == before and cache.holds(token.conditions, environ):
        token.conditions = (*before, *token.conditions)
        cache.write(folder, token)


def _fetch(
    host: str,
    where: registry.Registry,
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    stages: list[str],
    *,
    identity: str,
    until: float,
) -> Token:
    from . import ecr

    token = token_of(ecr.fetch(where, rule, environ, stages, until=until), host, where)
    token.identity = identity
    return token


def _is_fresh(token: Token, now: float, newer_than: float) -> bool:
    return token.issued > newer_than and (now < token.refresh or token.is_login)


def _copy(
    folder: str,
    host: str,
    environ: "Mapping[str, str]",
    *,
    scope: str,
    identity: str,
    now: float,
    newer_than: float,
) -> Token | None:
    """Copy the token of another host that this identity may use here: ECR binds it to a region."""
    for other in cache.hosts(folder):
        for token in cache.entries(folder, other) if other != host else ():
            if (
                not token.is_login
                and token.scope == scope
                and token.identity == identity
                and token.issued <= now
                and _is_fresh(token, now, newer_than)
                and cache.holds(token.conditions, environ)
            ):
                token.host = host
                token.replaced = ""
                cache.write(folder, token)
                return token
    return None


def _identity(rule: "Rule | None") -> str:
    """Return the text that tells the identities of one environment apart: what the rule chooses."""
    if rule is None:
        return ""
    endpoint = f" endpoint={rule.endpoint_url}" if rule.endpoint_url else ""
    return rule.identity + endpoint


def _name(identity: str, conditions: "Sequence[str]") -> str:
    """Return the entry's file name: one for each identity source, whatever its files hold now."""
    sources = []
    for line in conditions:
        kind, _, rest = line.partition(" ")
        sources.append(rest.split(" ", 3)[-1] if kind == "file" else rest)
    return _file_name("\n".join((identity, *sources)))


def _expiration(secret: str, now: int) -> int:
    """Return when an ECR password ends, in epoch seconds: it says so itself.

    It is base64 of a JSON object with ``expiration``. Where that cannot be read, 12 hours from now;
    never later than that.
    """
    import base64
    import json

    latest = now + cache.TOKEN_LIFE
    try:
        return min(int(json.loads(base64.b64decode(secret))["expiration"]), latest)
    except (ValueError, KeyError, TypeError):
        return latest


def _lock(folder: str, key: str) -> "Callable[[], bool] | None":
    """Return a function that tries to take the lock for ``key``, or ``None`` if there can be none.

    The lock is the kernel's: it ends with the process that holds it, however that ends.
    """
    place = f"{folder}/.locks"
    path = f"{place}/{_file_name(key)}"
    try:
        cache.make_private(place)
    except (OSError, ValueError):
        return None

    kept: list[object] = []  # the lock lives as long as its object: until this process ends

    def take() -> bool:
        descriptor = _reserve(path)
        if descriptor is None:
            return False
        try:
            from filelock import FileLock, Timeout
        except ImportError:  # pragma: no cover - a broken installation
            return True
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        try:
            lock = FileLock(path, mode=0o600, fallback_to_soft=False)
            kept.append(lock)
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except (OSError, NotImplementedError, ValueError):
            pass  # no lock to be had here: done without
        return True

    return take


def _reserve(path: str) -> int | None:
    """Return a descriptor that keeps others away from the lock, or ``None`` if they have it.

    -1 where that cannot be told without the library. Importing filelock costs more than all else
    that a waiter does: of a herd only one is to import it, and the rest to leave it the processors.
    filelock itself then decides who fetches; this only tells who is worth the import.
    """
    try:
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except (ImportError, AttributeError, OSError):
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return None if isinstance(error, BlockingIOError) else -1
    return descriptor


def _file_name(text: str) -> str:
    """Return a short name for ``text``, the same in every process."""
    return f"{int(cache.residue_of(text)):016x}"


def _spawn_on_windows(argv: list[str]) -> None:  # pragma: no cover - Windows
    import subprocess

    flags = 0
    for name in ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP", "CREATE_BREAKAWAY_FROM_JOB"):
        flags |= getattr(subprocess, name, 0)
    subprocess.Popen(  # noqa: S603 - our own executable
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        creationflags=flags,
    )
