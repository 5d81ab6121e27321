"""A new token from AWS: one call for all who wait for it, its schedule, and keeping it.

Behind the one lazy import of ``tokens``: a hit never comes here.
"""

import os
import sys
import time

from . import RENEWAL, cache, keeping, registry
from .cache import Token
from .deadline import Deadline, Stuck
from .errors import (
    CredentialsNotFound,
    Denied,
    Ended,
    HelperError,
    NoCredentials,
    Unavailable,
    one_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .ecr.replies import Issued
    from .settings import Rule

TIMEOUT = 25.0  # seconds for everything: the kubelet kills at 60, people sooner
TIMEOUT_LIMIT = 600.0  # seconds, the most that AWS_ECR_TIMEOUT may ask for
LOCK_SHARE = 0.35  # of the time-out; a lock that cannot be had by then is done without
# Seconds between two looks for the token that another process is fetching: from, to. They grow, as
# a herd of 200 that looks every 20 ms leaves no processor to the one that fetches.
_POLL_FROM, _POLL_TO = 0.02, 0.3
# Of the time-out, for a renewal while a valid token is at hand: 1.5 of 25 s. With the start of the
# process nobody waits longer than 2 s for AWS to come back.
SPARE_SHARE = 0.06
KEEP_LIMIT = 2.0  # seconds for writing the cache; an answer does not wait longer for a disk
MARGIN = 600  # seconds before expiry at which a token is renewed before it is served

# The share of a token's life after which it is renewed behind the answer: drawn from here, so
# that nodes that booted together do not call together. benchmarks/fleet.py shows the effect.
_REFRESH_FROM, _REFRESH_TO = 0.42, 0.72
# The same for credentials that end before that: the share of their remaining life.
_EARLY_FROM, _EARLY_TO = 0.75, 0.95
# The share of the rest of a token's life for which one renewal keeps others away, and the least
# seconds: benchmarks/fleet.py shows what an outage costs.
_PAUSE_FROM, _PAUSE_TO, _PAUSE_LEAST = 1 / 16, 1 / 8, 10
_READING = "reading the cache"  # a stage, like the next
_CONFIGURING = "reading the configuration file"
_DESCRIPTORS = 1 << 20  # the most that are closed: macOS without a limit says 2**63 - 1, no C int
# Variables that may hold a path relative to where the caller is.
_PATH_VARIABLES = (
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_FILE", "BOTO_CONFIG"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE"),
    *("REQUESTS_CA_BUNDLE", "AWS_DATA_PATH", "AWS_LOGIN_CACHE_DIRECTORY"),
)


def before_answer(
    token: Token | None,
    host: str,
    environ: "Mapping[str, str]",
    deadline: Deadline | None = None,
) -> Token | None:
    """Return a token for ``host`` that is not yet due, or ``token``, which is, if nobody answers.

    While ``token`` is valid one process in some minutes asks AWS, for a share of the time:
    in an outage nobody waits, and AWS is left alone. ``None`` if the host is not ours. Raises
    ``HelperError``; ``CredentialsNotFound`` where the client may go on anonymously.
    """
    whole = deadline or Deadline(timeout_of(environ), f'"{host}"')
    if token is None:
        return renew(host, environ, whole)
    folder = cache.directory(environ)
    if folder is None or not _claim(folder, token, unwritable=True):
        return token
    try:
        return renew(host, environ, whole.within(SPARE_SHARE * whole.left), spare=True)
    except (Unavailable, NoCredentials, Ended, CredentialsNotFound):
        if time.time() < token.expires:
            return token
        raise
    except HelperError:
        keeping.release(folder, token)
        raise


def renew(
    host: str,
    environ: "Mapping[str, str]",
    deadline: Deadline | None = None,
    *,
    newer_than: float = 0,
    spare: bool = False,
) -> Token | None:
    """Return a token for ``host`` that is not yet due, from AWS or from who asked AWS just now.

    ``newer_than`` (epoch seconds) refuses tokens issued up to then; ``spare`` says that a valid one
    is at hand, so that AWS need not be asked again when it fails. ``None`` if the host is not ours.
    Raises as ``before_answer`` does.
    """
    import gc

    gc.disable()  # this process lives for half a second: collecting costs more than it frees
    whole = deadline or Deadline(timeout_of(environ), f'"{host}"')

    def work(environ: "Mapping[str, str]") -> Token | None:
        from .ecr import sources

        whole.doing(_CONFIGURING)
        # First of all: a file that changes while it is read must not vouch for what was in it.
        conditions = sources.conditions(environ)
        found = target(host, environ)
        if found is None:
            return None
        return _Renewal(host, found, conditions, environ, whole, spare=spare).run(newer_than)

    try:
        return whole.run(lambda: work(environ))
    except Stuck:  # a disk that hangs under the cache breaks no pull
        return whole.run(lambda: work({**environ, "AWS_ECR_DISABLE_CACHE": "1"}))


def target(
    host: str, environ: "Mapping[str, str]"
) -> "tuple[registry.Registry, Rule | None] | None":
    """Return the registry behind ``host`` and the user's rule for it, or ``None``: not ours."""
    from . import settings

    return settings.load(environ).behind(host)


def for_service_account(
    host: str,
    environ: "Mapping[str, str]",
    deadline: Deadline,
    *,
    role_arn: "Callable[[], str]",
    session_name: str,
    identity_token: str,
) -> Token | None:
    """Return a token for a pod's own identity, which never touches the disk.

    ``identity_token`` is the service account's JWT; ``role_arn`` is called where a role is assumed.
    ``None`` if the host is not ours. Raises ``HelperError``.
    """

    def work() -> Token | None:
        deadline.doing(_CONFIGURING)
        found = target(host, environ)
        if found is None:
            return None
        from .ecr import request

        where, rule = found
        asked = time.time()
        issued = request.fetch_with_web_identity(
            where,
            rule,
            environ,
            deadline,
            role_arn=role_arn(),
            session_name=session_name,
            identity_token=identity_token,
        )
        # The role's session ends within the hour, a private token does not, and ECR takes it to its
        # own end: the kubelet, which needs an answer at each start of a pod, may keep it as long.
        end = issued.credentials_end if where.service == "ecr-public" else None
        return _token(issued, host, where, asked, credentials_end=end)

    return deadline.run(work)


def keep_login(host: str, secret: str, environ: "Mapping[str, str]") -> None:
    """Keep a login that the user made, until it expires or is erased.

    A secret that we issued is not a login: `docker login` without arguments stores what `get`
    answered, and keeping that would outlive every renewal. Raises ``HelperError``.
    """
    begun = time.time()
    again = f"run: aws ecr get-login-password | docker login -u AWS --password-stdin {host}"
    if not cache.is_plain(secret):
        raise HelperError(f'the password for "{host}" is not one of ECR: they are base64', again)
    folder = cache.directory(environ)
    if folder is None:
        why, variable = keeping.no_directory(environ)
        raise HelperError(
            f'the login of "{host}" cannot be kept: {why}',
            f"unset {variable}" if variable else "set AWS_ECR_CACHE_DIR to a directory",
            "or set AWS_ECR_IGNORE_CREDS_STORAGE=true to accept logins without keeping them",
        )
    residue = cache.residue_of(secret)
    for token in cache.entries(folder, host):
        if not token.is_login and residue in (cache.residue_of(token.secret), token.replaced):
            return
    now = int(begun)
    expires = _expiration(secret, now)
    if expires <= now:
        raise HelperError(f'the password for "{host}" has expired', again)
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
    if not keeping.write(folder, login, begun):
        raise HelperError(
            f'the login of "{host}" cannot be written below "{one_line(folder)}"',
            "check that the directory can be written and the disk is not full",
            "or set AWS_ECR_CACHE_DIR to another directory",
        )


def start(token: Token, environ: "Mapping[str, str]") -> None:
    """Start a process that renews ``token``, unless somebody else has just now.

    It holds none of the caller's descriptors, is in a session of its own, and lets signals through.
    """
    folder = cache.directory(environ)
    # Where no claim can be written, no new token can be kept either.
    if folder is None or not _claim(folder, token, unwritable=False):
        return
    # How this program was started, without its arguments.
    begin = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    argv = [*begin, RENEWAL, token.host, str(token.issued)]
    argv[0] = sys.executable or argv[0]
    try:
        if os.name == "nt":  # pragma: no cover - Windows
            _spawn_on_windows(argv)
        else:
            null = os.open(os.devnull, os.O_RDWR)
            os.posix_spawn(
                argv[0],
                argv,
                dict(environ),
                file_actions=[(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)],
                setsid=True,
                setsigmask=(),
            )
    except (OSError, NotImplementedError):
        pass  # renewed before the answer instead, when the time comes


def behind_answer(host: str, environ: "Mapping[str, str]", issued: int) -> None:
    """Renew the token of ``host`` that was issued at ``issued``: the process behind an answer.

    Raises ``HelperError``, for nobody to read.
    """
    if os.name == "posix":
        os.umask(0o077)  # of the caller, who knows what it was
        if not any(_is_relative(environ.get(name, "")) for name in _PATH_VARIABLES):
            os.chdir("/")  # the caller's directory may be unmounted meanwhile
        # Whatever the caller's parent had open.
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), _DESCRIPTORS))
    renew(host, environ, newer_than=issued, spare=True)


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


def pause(now: float, expires: int, draw: float) -> float:
    """Return for how many seconds nobody else renews a token that is valid until ``expires``.

    Should the renewal fail, that is the pause before the next: a share of what is left, so that in
    an outage calls are few while there is time, and each node comes back at a time of its own.
    ``draw`` is a random number from 0 up to 1.
    """
    share = _PAUSE_FROM + (_PAUSE_TO - _PAUSE_FROM) * draw
    return min(max(share * (expires - now), _PAUSE_LEAST), keeping.CLAIM_LIMIT)


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


class _Renewal:
    """One token for one host and one identity: found, copied, or fetched and kept."""

    def __init__(
        self,
        host: str,
        target: "tuple[registry.Registry, Rule | None]",
        conditions: "Sequence[str]",
        environ: "Mapping[str, str]",
        deadline: Deadline,
        *,
        spare: bool,
    ) -> None:
        self.host = host
        self.where, self.rule = target
        self.environ = environ
        self.deadline = deadline
        self.spare = spare
        self.begun = time.time()
        self.folder = cache.directory(environ)
        self.identity = self.rule.identity if self.rule is not None else ""
        self.conditions = conditions
        self.name = _name(self.identity, self.conditions)

    def run(self, newer_than: float) -> Token:
        """Return a token issued after ``newer_than`` that is not due. Raises ``HelperError``."""
        if self.folder is None or not cache.is_keepable(self.conditions):
            return self._fetch()
        token = self._awaited(self.folder, newer_than)
        if token is not None:
            return token
        try:
            token = self._fetch()
        except Denied:
            self._forget(self.folder)
            raise
        # What AWS gave is answered with, whatever becomes of the cache: a disk may hang, too.
        self.deadline.settle(token, KEEP_LIMIT)
        self._keep(self.folder, token)
        return token

    def _awaited(self, folder: str, newer_than: float) -> Token | None:
        """Return the token that another process has fetched, or ``None`` if we are to do that.

        The first who holds the lock asks AWS; the others look again until it has.
        """
        self.deadline.doing(_READING, cache.DISK_LIMIT)
        lock = keeping.lock(folder, _file_name(f"{self.where.scope}\n{self.identity}\n{self.name}"))
        end = time.monotonic() + LOCK_SHARE * self.deadline.left
        pause = _POLL_FROM
        held = False
        while True:
            self.deadline.doing(_READING, cache.DISK_LIMIT)
            token = self._found(folder, newer_than) or self._copied(folder, newer_than)
            if token is not None or held or time.monotonic() > end:
                return token
            self.deadline.doing("waiting for another process that asks AWS for the same")
            held = lock is None or _take(lock)  # then look once more: who had it before has written
            if not held:
                time.sleep(pause * (0.5 + draw()))
                pause = min(1.5 * pause, _POLL_TO)

    def _found(self, folder: str, newer_than: float) -> Token | None:
        now = time.time()
        token = cache.lookup(folder, self.host, self.environ, now)
        return token if token is not None and _is_fresh(token, now, newer_than) else None

    def _copied(self, folder: str, newer_than: float) -> Token | None:
        """Copy the token of another host that this identity may use here: it is the region's."""
        now = time.time()
        for other in cache.hosts(folder):
            for token in cache.entries(folder, other) if other != self.host else ():
                if (
                    not token.is_login
                    and token.scope == self.where.scope
                    and token.identity == self.identity
                    and token.serves_at(now)
                    and _is_fresh(token, now, newer_than)
                    and cache.holds(token.conditions, self.environ)
                    and keeping.may_copy(folder, token, self.host)
                ):
                    copy = _with(token, host=self.host, replaced="")
                    keeping.write(folder, copy, self.begun)
                    return copy
        return None

    def _fetch(self) -> Token:
        from .ecr import request

        asked = time.time()
        try:
            issued = request.fetch(
                self.where, self.rule, self.environ, self.deadline, once=self.spare
            )
        except NoCredentials:
            if self.where.service == "ecr-public":
                raise CredentialsNotFound from None  # served anonymously, within tighter limits
            raise
        token = _token(issued, self.host, self.where, asked, credentials_end=issued.credentials_end)
        return _with(token, identity=self.identity, name=self.name)

    def _keep(self, folder: str, token: Token) -> None:
        """Keep ``token``, unless a file that chose its identity has changed meanwhile."""
        from .ecr import sources

        self.deadline.doing("writing the cache", KEEP_LIMIT)
        conditions = (*self.conditions, *token.conditions)
        # The files as they are now must be the files that were read.
        if sources.conditions(self.environ) != self.conditions or not cache.holds(
            conditions, self.environ
        ):
            return
        old = [t for t in cache.entries(folder, self.host) if t.name == self.name]
        replaced = cache.residue_of(old[0].secret) if old else ""
        keeping.write(folder, _with(token, conditions=conditions, replaced=replaced), self.begun)
        for kept in old:
            keeping.release(folder, kept)
        keeping.sweep(folder)

    def _forget(self, folder: str) -> None:
        """Remove the tokens of this identity: AWS does not know it any more."""
        for host in cache.hosts(folder):
            for token in cache.entries(folder, host):
                if token.name == self.name and token.scope == self.where.scope:
                    keeping.forget(folder, token)


def _token(
    issued: "Issued",
    host: str,
    where: registry.Registry,
    asked: float,
    *,
    credentials_end: float | None,
) -> Token:
    """Return the token for ``host`` that ECR issued, with the times that govern it.

    It counts as issued when it was ``asked`` for (epoch seconds): a logout between the two is after
    it, however late the reply was read.
    """
    now = int(asked)
    expires = min(int(issued.expires), now + cache.TOKEN_LIFE)
    if where.service == "ecr-public" and credentials_end is not None:
        # A private token outlives its credentials, a public one ends with them (clients.md).
        expires = min(expires, int(credentials_end))
    refresh, renew_at = schedule(now, expires, credentials_end, draw())
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


def _with(token: Token, **changes: object) -> Token:
    fields = {name: getattr(token, name) for name in Token.__slots__}
    return Token(**{**fields, **changes})


def _claim(folder: str, token: Token, *, unwritable: bool) -> bool:
    now = time.time()
    life = pause(now, token.expires, draw())
    return keeping.claim(folder, token, now, life, unwritable=unwritable)


def _is_fresh(token: Token, now: float, newer_than: float) -> bool:
    return token.issued > newer_than and (now < token.refresh or token.is_login)


def _is_relative(path: str) -> bool:
    return bool(path) and not path.startswith(("/", "~"))


def draw() -> float:
    """Return a random number from 0 up to 1 (``random`` costs 10 ms to import)."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _name(identity: str, conditions: "Sequence[str]") -> str:
    """Return the entry's file name: one for each identity source, whatever its files hold now."""
    return _file_name("\n".join((identity, *map(cache.subject, conditions))))


def _file_name(text: str) -> str:
    """Return a short name for ``text``, the same in every process."""
    return f"{int(cache.residue_of(text)):0{cache.NAME_LENGTH}x}"


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
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return latest


def _take(descriptor: int) -> bool:
    """Whether the lock on ``descriptor`` is ours now, or cannot be had here by anybody.

    Importing filelock costs more than all else that a waiter does. So the kernel is asked first: of
    a herd one is to import it, and the others leave it the processors. What we hold by then is the
    very lock that filelock takes, on the same descriptor.
    """
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass  # Windows, or a file system without: filelock knows
    try:
        from filelock import lock_descriptor

        return bool(lock_descriptor(descriptor, blocking=False))
    except (ImportError, OSError, ValueError):  # no lock to be had here: done without
        return True


def _spawn_on_windows(argv: list[str]) -> None:  # pragma: no cover - Windows
    import subprocess

    if sys.platform == "win32":
        # A console without a window: what the renewal starts would else be given one with.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        # Out of the caller's job, which may end with it; CI agents make jobs that let nobody out.
        for more in (subprocess.CREATE_BREAKAWAY_FROM_JOB, 0):
            try:
                subprocess.Popen(  # noqa: S603 - our own executable
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    close_fds=True,
                    creationflags=flags | more,
                )
            except PermissionError:
                continue
            return
