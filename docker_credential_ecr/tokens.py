"""The policy: serve what is on disk, or renew it first.

A token has four ages (``cache.Token``): before ``refresh`` it is served as it is; until ``renew``
it is served, and renewed behind the answer; until ``expires`` it is renewed first, and served only
if nobody could be asked; after that never.

A hit passes here: at module level this imports ``time`` and our own lower floors. What a hit does
not need is ``renewal``.
"""

import time

from . import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cache import Token
    from .deadline import Deadline

LEAVE = 1.0  # seconds after an answer to start its renewal in: clients wait until we have left


def served(host: str, environ: "Mapping[str, str]") -> "Token | None":
    """Return the token on disk that may be served for ``host`` now, due or not, or ``None``.

    It waits for the disk: a thread that would not costs a hit 2 %. Who must not wait for ever asks
    under a deadline, with ``authorize``.
    """
    folder = cache.directory(environ)
    token = None if folder is None else cache.lookup(folder, host, environ, time.time())
    if "AWS_ECR_LOG" in environ:
        from . import trace

        trace.looked_up(folder, host, token, environ)
    return token


def renewed(
    token: "Token | None",
    host: str,
    environ: "Mapping[str, str]",
    deadline: "Deadline | None" = None,
) -> "Token | None":
    """Return what to answer with for ``host``, where ``token`` is what ``served`` has found.

    Past its ``refresh`` time it is returned as it is: the caller answers with it and then calls
    ``renew_behind``, unless that is switched off. ``None`` if the host is not ours.
    Raises ``HelperError`` when the host is ours and cannot be answered.
    """
    if token is not None:
        due = token.renew if renews_behind(environ) else token.refresh
        if token.is_login or time.time() < due:
            return token
    from . import renewal

    return renewal.before_answer(token, host, environ, deadline)


def authorize(
    host: str, environ: "Mapping[str, str]", deadline: "Deadline | None" = None
) -> "Token | None":
    """Return the token to answer with for ``host``: ``served``, then ``renewed``.

    A disk that hangs counts as empty after ``cache.DISK_LIMIT`` seconds.
    """
    found: list[Token | None] = []
    cache.in_time(lambda: found.append(served(host, environ)), cache.DISK_LIMIT)
    return renewed(found[0] if found else None, host, environ, deadline)


def renews_behind(environ: "Mapping[str, str]") -> bool:
    """Whether a token that is due may be renewed behind the answer."""
    return environ.get("AWS_ECR_BACKGROUND_REFRESH", "").lower() not in ("false", "0", "no", "off")


def renew_behind(token: "Token", environ: "Mapping[str, str]") -> None:
    """Start a process that renews ``token``, if it is due and nobody else has. Never raises.

    It comes after the answer, and nothing may change that any more: what fails here is done
    before the answer instead, when the time comes.
    """
    if token.is_login or time.time() < token.refresh or not renews_behind(environ):
        return
    try:
        from . import behind

        cache.in_time(lambda: behind.start(token, environ), LEAVE)
    except Exception:  # noqa: BLE001, S110 - the answer is out
        pass
