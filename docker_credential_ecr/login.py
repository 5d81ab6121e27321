"""A login that the user made with `docker login`, kept until it expires or is erased."""

import time

from . import cache, keeping
from .cache import Token
from .errors import HelperError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def keep(host: str, secret: str, environ: "Mapping[str, str]") -> None:
    """Keep a login that the user made, until it expires or is erased.

    A secret that `get` answers with is not a login: `docker login` without arguments stores it, and
    keeping that would outlive every renewal. One that we issued to another identity is: somebody
    gave it on purpose. Raises ``HelperError``.
    """
    begun = time.time()
    again = f"run: aws ecr get-login-password | docker login -u AWS --password-stdin {host}"
    if not cache.is_plain(secret):
        reason = f'the password for "{host}" is not an ECR password: those are base64'
        raise HelperError(reason, again)
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
        known = residue in (cache.residue_of(token.secret), token.replaced)
        if known and not token.is_login and cache.holds(token.conditions, environ):
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
