"""What AWS has answered in place of what was asked for, in our words.

Nothing of a reply is shown but its error code, and what ``_DENIAL`` and ``_BECAUSE`` let through of
a denial: a body may hold a secret.
"""

from ..errors import Denied, Ended, HelperError, Refused, Unavailable, one_line
from .names import ENDPOINT_HINT, PROXY_HINT, Names
from .retries import THROTTLED, TRANSIENT, code_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CODE_LENGTH = 64  # characters of an error code that is shown; AWS's longest has 38
_CODE_SIGNS = frozenset(".:_-")  # in it, besides letters and digits
_REDIRECTION = range(300, 400)  # HTTP: AWS's services that we ask never send one
_PROXY_PASSWORD = 407  # HTTP: a proxy wants one
_SERVER_ERROR = 500  # HTTP: from here on it is the server's fault
_TOO_MANY = 429  # HTTP

_INVALID_KEYS = frozenset(
    (
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "OptInRequired",
        "AuthFailure",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "IncompleteSignature",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    )
)
_EXPIRED = frozenset(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"))
_SKEWED = frozenset(("RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"))
_DENIED = frozenset(
    ("AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation")
)
# What only the services that give credentials say: of a web identity (STS), of a role (SSO).
_DENIED_ROLE = frozenset(("InvalidIdentityToken", "IDPRejectedClaim", "ForbiddenException"))


def is_elsewhere(status: int) -> bool:
    """Whether a reply of this HTTP status has nothing that AWS decided, whatever its body says."""
    return status in _REDIRECTION or status == _PROXY_PASSWORD or status >= _SERVER_ERROR


def not_aws(kind: type[HelperError], names: Names) -> HelperError:
    """Return what to say of a reply that cannot come from AWS."""
    return kind(f"{names.trying}: the reply is not AWS's", ENDPOINT_HINT, PROXY_HINT)


def of_reply(error: "Any", names: Names) -> HelperError | None:
    """Return what to say when AWS answered with an error."""
    import botocore.exceptions as aws

    if not isinstance(error, aws.ClientError):
        return None
    trying = names.trying
    code = code_of(error.response)
    operation = one_line(str(error.operation_name))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLED or status == _TOO_MANY:
        return Unavailable(
            f"{trying}: AWS throttles this account's calls of {operation}",
            "try again in a minute; the cache must be writable, so that each node calls rarely",
        )
    if status >= _SERVER_ERROR or code in TRANSIENT:
        failure = f"status {status}" if status >= _SERVER_ERROR else f'"{code}"'
        return Unavailable(f"{trying}: {operation} failed with {failure}", "try again in a minute")
    if is_elsewhere(status) or code in ("", str(status)):  # the latter is botocore's, for none
        return not_aws(Unavailable if is_elsewhere(status) else Refused, names)
    return _of_code(error, code if _is_code(code) else str(status), names)


def _of_code(  # noqa: PLR0911 - one case a cause
    error: "Any", code: str, names: Names
) -> HelperError:
    """Return what to say when AWS refused, by its code; of one that is none, the status."""
    trying, named = names.trying, names.named
    operation = one_line(str(error.operation_name))
    if _is_skewed(error, code):
        return Refused(
            f"{trying}: AWS refused the time of the request",
            "set this machine's clock: timedatectl set-ntp true",
        )
    if code in _EXPIRED:
        return Ended(
            f"{trying}: the AWS credentials{named} have expired",
            "get new ones: unset AWS_SESSION_TOKEN and the keys that came with it, or log in again",
        )
    if operation in ("AssumeRole", "AssumeRoleWithWebIdentity"):
        return _of_role(operation, code, names)
    if operation == "GetRoleCredentials":
        return _refusal(code)(
            f"{trying}: the SSO session{named} does not give this role ({code})",
            f"run: {names.sso_login}",
        )
    if code in _INVALID_KEYS:
        return Denied(
            f"{trying}: AWS does not accept the access key{named} ({code})",
            "check the key: aws sts get-caller-identity" + names.flag,
        )
    if code in _DENIED:
        return _of_policy(operation, error, names)
    return Refused(
        f"{trying}: AWS refused {operation} ({code})",
        "run: aws ecr get-login-password" + names.flag,
    )


def _of_role(operation: str, code: str, names: Names) -> HelperError:
    if operation == "AssumeRole":
        hint = "and in the caller's own policy; check role_arn and external_id"
    else:
        hint = "and check role_arn, external_id and the identity token"
    return _refusal(code)(
        f"{names.trying}: the role{names.role_named} cannot be assumed ({code})",
        f"allow sts:{operation} in the role's trust policy for this identity",
        hint,
    )


def _refusal(code: str) -> type[HelperError]:
    """Return the kind of a refusal of credentials: only a code that we know costs a token."""
    return Denied if code in _INVALID_KEYS | _DENIED | _DENIED_ROLE else Refused


# What AWS says of a denial: only these parts of it are shown, in these forms and no others.
_DENIAL = (
    r"User: (?P<who>arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[\w+=,.@/-]{1,150}) is not authorized to "
    r"perform: (?P<action>[a-z-]{2,20}:[A-Za-z]{2,40})\b"
)
_BECAUSE = (
    r"because (no (?:identity-based|resource-based|session|VPC endpoint) policy allows|"
    r"no (?:permissions boundary|service control policy|resource control policy) allows)|"
    r"(with an explicit deny in an? (?:identity-based|resource-based|session|VPC endpoint|service "
    r"control|resource control) policy|with an explicit deny in a permissions boundary)"
)


def _denial(error: "Any") -> str:
    """Return who was denied which action, and by which kind of policy, as far as AWS says so."""
    import re

    message = str(error.response.get("Error", {}).get("Message", ""))
    found = re.search(_DENIAL, message, re.ASCII)
    if found is None:
        return ""
    because = re.search(_BECAUSE, message[found.end() :], re.ASCII)
    why = ""
    if because is not None:
        why = f", because {because[1]} it" if because[1] else f", {because[2]}"
    return f': "{found["who"]}" is not allowed {found["action"]}{why}'


def _of_policy(operation: str, error: "Any", names: Names) -> HelperError:
    if names.service == "ecr-public":
        actions = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
    elif operation == "GetAuthorizationToken":
        actions = "ecr:GetAuthorizationToken"
    else:
        actions = operation
    return Denied(
        f"{names.trying}: access denied to {operation}{names.named}{_denial(error)}",
        f'allow {actions} on resource "*" in the policy of this identity',
        "see which identity it is: aws sts get-caller-identity" + names.flag,
    )


def _is_code(text: str) -> bool:
    """Whether ``text`` can be an error code: whatever else a reply calls one is not shown."""
    return (
        len(text) <= _CODE_LENGTH
        and text.isascii()
        and any(sign.isalpha() for sign in text)
        and all(sign.isalnum() or sign in _CODE_SIGNS for sign in text)
    )


def _is_skewed(error: "Any", code: str) -> bool:
    """Whether AWS refused a request for its time: a signature may be wrong for that alone."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return code in _SKEWED or (
        code in ("InvalidSignatureException", "SignatureDoesNotMatch")
        and ("expired" in message or "not yet current" in message)
    )
