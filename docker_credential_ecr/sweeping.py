"""Removing from the cache what has had its time, and nothing that does not bear a name of ours."""

import os
import time

from . import cache, claims, keeping
from .cache import Folder

ENTRIES_PER_HOST = 64  # identities kept for one host; the oldest go first
HOSTS = 1024  # directories that one sweep looks at; what is left waits for the next


def sweep(folder: str) -> None:
    """Remove what has had its time, of every host: entries, claims, marks, temporaries, locks."""
    now = time.time()
    for host in cache.hosts(folder)[:HOSTS]:
        try:
            place = keeping.opened(folder, host)
        except OSError:
            continue
        try:
            left = _sweep(place, now)
        except OSError:
            continue
        finally:
            place.close()
        if not left:
            _remove_folder(folder, host)
    for locks in (claims.LOCKS, claims.FRONTS):
        _sweep_locks(folder, locks, now)


def _sweep(place: Folder, now: float) -> bool:
    """Remove what has had its time in a host's directory; return whether anything is left."""
    kept = []
    left = False
    for name in place.names():
        if not keeping.is_ours(name):
            left = True
            continue
        try:
            since = keeping.age(place, name, now)
        except OSError:
            continue
        # A temporary has a writer for as long as a process may live, all else as long as a token.
        limit = keeping.LEFTOVER_AGE if keeping.is_temporary(name) else cache.TOKEN_LIFE
        if not -claims.CLAIM_LIMIT <= since <= limit:
            left |= not keeping.remove(place, name)
            continue
        left = True
        if cache.is_entry(name) and name != cache.LOGIN:
            kept.append((-since, name))
    for _, name in sorted(kept)[: max(0, len(kept) - ENTRIES_PER_HOST)]:
        keeping.remove(place, name)
    return left


def _sweep_locks(folder: str, locks: str, now: float) -> None:
    try:
        place = keeping.opened(folder, locks)
    except OSError:
        return
    try:
        for name in filter(cache.is_entry, place.names()):
            # A lock that somebody holds was used a moment ago.
            if not -keeping.LEFTOVER_AGE <= now - place.state(name).st_mtime <= cache.TOKEN_LIFE:
                keeping.remove(place, name)
    except OSError:
        pass
    finally:
        place.close()


def _remove_folder(folder: str, host: str) -> None:
    try:
        whole = Folder(folder, private=False)
        try:
            os.rmdir(whole.prefix + host, dir_fd=whole.descriptor)
        finally:
            whole.close()
    except OSError:
        pass  # somebody has just written there
