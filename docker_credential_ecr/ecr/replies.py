"""What AWS gave: checked before it leaves, as an endpoint may be anybody's."""

import time

from .. import USER, cache, registry
from ..errors import Refused
from .explanation import NotKeys
from .names import ENDPOINT_HINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..registry import Registry

PASSWORD_LIMIT = 64 << 10  # characters; AWS names no limit, 2,700 were seen


class Issued:
    """What AWS issued. Times are epoch seconds; ``conditions`` are those that this source adds."""

    __slots__ = ("conditions", "credentials_end", "expires", "password", "source")

    def __init__(
        self,
        password: str,
        expires: float,
        *,
        credentials_end: float | None,
        source: str,
        conditions: "Sequence[str]",
    ) -> None:
        self.password = password
        self.expires = expires
        self.credentials_end = credentials_end
        self.source = source
        self.conditions = tuple(conditions)

    def __repr__(self) -> str:
        return f"<Issued by way of {self.source!r}>"


def check_keys(access_key: object, secret_key: object, token: object) -> None:
    """Raise ``NotKeys`` unless a request can be signed with these; ``token`` may be absent.

    botocore takes whatever it is given, and stumbles over it when it asks ECR.
    """
    given = [access_key, secret_key] if token is None else [access_key, secret_key, token]
    if not all(isinstance(text, str) and text.isprintable() for text in given):
        raise NotKeys


def keys_of(answer: "Mapping[str, Any]") -> "tuple[dict[str, str], float]":
    """Return the keys that STS gave for a role, as botocore takes them, and their end.

    Raises ``NotKeys``.
    """
    credentials = answer["Credentials"]
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    check_keys(*(credentials[name] for name in names))
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }, credentials["Expiration"].timestamp()


def checked(answer: "Mapping[str, Any]", where: "Registry") -> tuple[str, float]:
    """Return (password, expiry) of a GetAuthorizationToken answer that is one. Raises Refused."""
    import base64

    try:
        data = answer["authorizationData"]
        if where.service == "ecr":
            (data,) = data[:1]
        plain = base64.b64decode(data["authorizationToken"], validate=True).decode("ascii")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _not_ecrs(where, "it holds no authorization token") from None
    user, _, password = plain.partition(":")
    if user != USER or not cache.is_plain(password):
        raise _not_ecrs(where, "its token is not for the user AWS")
    if len(password) > PASSWORD_LIMIT:
        raise _not_ecrs(where, "its token is too long")
    if where.service == "ecr":  # ECR Public names none
        proxy = registry.parse(str(data.get("proxyEndpoint") or ""))
        if proxy is None or proxy.service != "ecr":
            raise _not_ecrs(where, "it is for no registry of ECR")
        if proxy.region != where.region:
            raise _not_ecrs(where, "it is for another region")
    expires = _timestamp(data.get("expiresAt"))
    if expires is None:
        raise _not_ecrs(where, "its token has no expiry")
    if expires <= time.time():
        raise _not_ecrs(where, "its token has expired", "set this machine's clock")
    return password, expires


def _not_ecrs(where: "Registry", problem: str, hint: str | None = None) -> Refused:
    return Refused(f'the reply for "{where.host}" is not ECR\'s: {problem}', hint or ENDPOINT_HINT)


def _timestamp(moment: "Any") -> float | None:
    try:
        return float(moment.timestamp())
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None
