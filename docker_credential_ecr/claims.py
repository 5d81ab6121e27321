"""Who of many processes asks AWS: claims on a renewal that nobody waits for, and locks.

Like ``keeping`` these do not raise ``OSError``.
"""

import os
import time

from . import cache
from .cache import Token
from .keeping import CLAIM, NEW, make, opened, remove, set_time

CLAIM_LIMIT = 1800  # seconds that a claim lasts at most
LOCKS = ".locks"
FRONTS = ".fronts"  # locks, too, of the native front: see herd
_NEWBORN = 10  # seconds in which a claim that was made gets its time


def claim(folder: str, token: Token, now: float, life: float, *, unwritable: bool) -> bool:
    """Return whether the caller may renew ``token`` while it is valid: one in ``life`` seconds.

    A claim is a file beside the entry, so it works between processes; its time of modification is
    when it ends. Where none can be written, and so nobody has one, the answer is ``unwritable``.
    """
    name = f".{token.name}{CLAIM}"
    try:
        place = opened(folder, token.host)
    except OSError:
        return unwritable
    try:
        for _ in range(2):
            try:
                descriptor = place.open(name, NEW)
            except FileExistsError:
                # By our clock, and not a file server's: we have set it. One that ends later than
                # any of ours does is of a clock that was wrong.
                # One that was made this moment does not have its time yet.
                if -_NEWBORN < place.state(name).st_mtime - now <= CLAIM_LIMIT:
                    return False
                if not remove(place, name):
                    break
            else:
                cache.close(descriptor)
                set_time(place, name, now + min(life, CLAIM_LIMIT))
                return True
    except FileNotFoundError:
        return False  # its owner is done
    except OSError:
        pass
    finally:
        place.close()
    return unwritable


def release(folder: str, token: Token) -> None:
    """Give a claim back: the next one may try at once."""
    try:
        place = opened(folder, token.host)
    except OSError:
        return
    remove(place, f".{token.name}{CLAIM}")
    place.close()


def lock(folder: str, name: str) -> int | None:
    """Return a descriptor of the file that is locked to be the one who asks AWS, or ``None``.

    ``name`` is 16 hexadecimal digits. The lock is the kernel's: it ends with its holder.
    """
    try:
        place = make(folder, LOCKS)
        try:
            descriptor = place.open(name, os.O_RDWR | os.O_CREAT)
            if cache.file_fault(os.fstat(descriptor)):
                cache.close(descriptor)
                return None
            set_time(place, name, time.time())  # in use: not to be swept
        finally:
            place.close()
    except OSError:
        return None
    return descriptor
