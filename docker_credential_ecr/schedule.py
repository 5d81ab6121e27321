"""When a token is renewed, and by whom: drawn at random, so that nodes do not call together."""

import os
import time

from . import claims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Token

MARGIN = 600  # seconds before expiry at which a token is renewed before it is served
# The share of a token's life after which it is renewed behind the answer: drawn from here, so
# that nodes that booted together do not call together. benchmarks/fleet.py shows the effect.
_REFRESH_FROM, _REFRESH_TO = 0.42, 0.72
# The same for credentials that end before that: the share of their remaining life.
_EARLY_FROM, _EARLY_TO = 0.75, 0.95
# The share of the rest of a token's life for which one renewal keeps others away, and the least
# seconds: benchmarks/fleet.py shows what an outage costs.
_PAUSE_FROM, _PAUSE_TO, _PAUSE_LEAST = 1 / 16, 1 / 8, 10


def times(issued: int, expires: int, credentials_end: float | None, draw: float) -> tuple[int, int]:
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
    return min(max(share * (expires - now), _PAUSE_LEAST), claims.CLAIM_LIMIT)


def claim(folder: str, token: "Token", *, unwritable: bool) -> bool:
    """Return whether the caller is the one to renew ``token`` now, while it is valid.

    ``unwritable`` is the answer where no claim can be written. See ``claims.claim``.
    """
    now = time.time()
    life = pause(now, token.expires, draw())
    return claims.claim(folder, token, now, life, unwritable=unwritable)


def draw() -> float:
    """Return a random number from 0 up to 1 (``random`` costs 10 ms to import)."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
