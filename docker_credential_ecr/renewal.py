"""A new token from AWS: one call for all who wait for it, its schedule, and keeping it.

Behind the one lazy import of ``tokens``: a hit never comes here.
"""

import time

from . import cache, claims, herd, keeping, registry, schedule, sweeping
from .cache import Token
from .deadline import Deadline, Stuck, timeout_of
from .errors import (
    CredentialsNotFound,
    Denied,
    Ended,
    HelperError,
    NoCredentials,
    Unavailable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .ecr.replies import Issued
    from .rule import Rule

LOCK_SHARE = 0.35  # of the time-out; a lock that cannot be had by then is done without
# Seconds between two looks for the token that another process is fetching: from, to. They grow, as
# a herd of 200 that looks every 20 ms leaves no processor to the one that fetches.
_POLL_FROM, _POLL_TO = 0.02, 0.3
# Of the time-out, for a renewal while a valid token is at hand: 1.5 of 25 s. With the start of the
# process nobody waits longer than 2 s for AWS to come back.
SPARE_SHARE = 0.06
KEEP_LIMIT = 2.0  # seconds for writing the cache; an answer does not wait longer for a disk

_READING = "reading the cache"  # a stage, like the next
_CONFIGURING = "reading the configuration file"


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
    whole = deadline or _deadline(host, environ)
    if token is None:
        return renew(host, environ, whole)
    folder = cache.directory(environ)
    if folder is None or not schedule.claim(folder, token, unwritable=True):
        return token
    try:
        return renew(host, environ, whole.within(SPARE_SHARE * whole.left), spare=True)
    except (Unavailable, NoCredentials, Ended, CredentialsNotFound):
        if time.time() < token.expires:
            return token
        raise
    except HelperError:
        claims.release(folder, token)
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
    whole = deadline or _deadline(host, environ)

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
    except HelperError as error:
        _note(environ, "failed", host=host, why=error.reason)
        raise


def _note(environ: "Mapping[str, str]", event: str, **facts: object) -> None:
    if "AWS_ECR_LOG" in environ:
        from . import trace

        trace.note(environ, event, **facts)


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


def _deadline(host: str, environ: "Mapping[str, str]") -> Deadline:
    return Deadline(timeout_of(environ), f'"{host}"', spent=herd.waited(environ))


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
        from .ecr import sources

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
        # Not in the name: registries of other accounts share the token, and the call.
        self.of_account = sources.of_account(self.where.account, environ)

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
        lock = claims.lock(folder, _file_name(f"{self.where.scope}\n{self.identity}\n{self.name}"))
        begun = time.monotonic()
        end = begun + LOCK_SHARE * self.deadline.left
        pause = _POLL_FROM
        held = False
        while True:
            self.deadline.doing(_READING, cache.DISK_LIMIT)
            token = self._found(folder, newer_than) or self._copied(folder, newer_than)
            if token is not None or held or time.monotonic() > end:
                waited = time.monotonic() - begun
                if token is not None:
                    _note(self.environ, "found", host=self.host, waited_ms=round(1000 * waited))
                return token
            self.deadline.doing("waiting for another process that asks AWS for the same")
            held = lock is None or _take(lock)  # then look once more: who had it before has written
            if not held:
                time.sleep(pause * (0.5 + schedule.draw()))
                pause = min(1.5 * pause, _POLL_TO)

    def _found(self, folder: str, newer_than: float) -> Token | None:
        now = time.time()
        token = cache.lookup(folder, self.host, self.environ, now)
        return token if token is not None and _is_fresh(token, now, newer_than) else None

    def _copied(self, folder: str, newer_than: float) -> Token | None:
        """Copy the token of another host that this identity may use here: it is the region's."""
        from .ecr import sources

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
                    conditions = (*sources.without_account(token.conditions), *self.of_account)
                    copy = _with(token, host=self.host, replaced="", conditions=conditions)
                    keeping.write(folder, copy, self.begun)
                    _note(self.environ, "copied", host=self.host, of=other)
                    return copy
        return None

    def _fetch(self) -> Token:
        from .ecr import request, sources

        asked = time.time()
        try:
            issued = request.fetch(
                self.where, self.rule, self.environ, self.deadline, once=self.spare
            )
        except NoCredentials as error:
            if self.where.service == "ecr-public":
                raise CredentialsNotFound from None  # served anonymously, within tighter limits
            if sources.decide_alone(self.conditions, self.environ):
                error.conditions = self.conditions
            raise
        token = _token(issued, self.host, self.where, asked, credentials_end=issued.credentials_end)
        took = round(1000 * (time.time() - asked))
        _note(self.environ, "issued", host=self.host, source=issued.source, ms=took)
        return _with(token, identity=self.identity, name=self.name)

    def _keep(self, folder: str, token: Token) -> None:
        """Keep ``token``, unless a file that chose its identity has changed meanwhile."""
        self.deadline.doing("writing the cache", KEEP_LIMIT)
        conditions = (*self.conditions, *self.of_account, *token.conditions)
        # The files as they are now must be the files that were read.
        if not cache.holds(conditions, self.environ):
            _note(self.environ, "not kept", host=self.host, why="its conditions changed meanwhile")
            return
        old = [t for t in cache.entries(folder, self.host) if t.name == self.name]
        replaced = cache.residue_of(old[0].secret) if old else ""
        token = _with(token, conditions=conditions, replaced=replaced)
        written = keeping.write(folder, token, self.begun)
        if "AWS_ECR_LOG" in self.environ:
            from . import trace

            trace.kept(self.environ, token, written=written)
        for kept in old:
            claims.release(folder, kept)
        sweeping.sweep(folder)

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
    refresh, renew_at = schedule.times(now, expires, credentials_end, schedule.draw())
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


def _is_fresh(token: Token, now: float, newer_than: float) -> bool:
    return token.issued > newer_than and (now < token.refresh or token.is_login)


def _name(identity: str, conditions: "Sequence[str]") -> str:
    """Return the entry's file name: one for each identity source, whatever its files hold now."""
    return _file_name("\n".join((identity, *map(cache.subject, conditions))))


def _file_name(text: str) -> str:
    """Return a short name for ``text``, the same in every process."""
    return f"{int(cache.residue_of(text)):0{cache.NAME_LENGTH}x}"


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
