"""The kubelet's CredentialProviderRequest and CredentialProviderResponse.

A drop-in for the cloud provider's ``ecr-credential-provider``. The kubelet starts it for each image
with pipes on all three descriptors and no ``HOME``, decodes the answer strictly, kills it after 60
seconds, and logs stderr; pod events never show it. Shapes:
https://kubernetes.io/docs/reference/config-api/kubelet-credentialprovider.v1/
"""

import time

from . import registry, tokens
from .cache import Token
from .errors import HelperError, NoCredentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

GROUP = "credentialprovider.kubelet.k8s.io"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
REQUEST_LIMIT = 256 << 10  # bytes, 256 KiB; a service account token is a few KiB
DEADLINE = 28.0  # seconds for everything; the kubelet gives up after 60, people wait for pods
ROLE_ANNOTATION = "eks.amazonaws.com/ecr-role-arn"  # on the service account
ROLE_VARIABLE = "AWS_ECR_ROLE_ARN"  # where no annotation names a role
SESSION_NAME_LENGTH = 64  # characters, sts:AssumeRoleWithWebIdentity
SHORT = 60  # seconds that the kubelet keeps an answer whose token is due for renewal
NOT_OURS = 300  # seconds that it keeps "not ours": a rule may be added
_USER = "AWS"


def run(
    read: "Callable[[int], bytes]",
    environ: "Mapping[str, str]",
    write: "Callable[[int, bytes], None]",
) -> int:
    """Answer one request of the kubelet; return the exit code.

    ``read`` returns all of stdin, up to a limit in bytes; ``write`` writes to a descriptor. An
    error is one line on stderr, the reason and the hints: the kubelet's log has one line for it.
    """
    import json

    try:
        # All of it in a thread: whatever hangs, an answer or an error is out in time.
        response, token = tokens.within(
            DEADLINE, lambda stages: _converse(read, environ, stages), "the kubelet"
        )
    except HelperError as error:
        line = "; ".join([f"error: {error.reason}", *(f"hint: {hint}" for hint in error.hints)])
        write(2, f"docker-credential-ecr: {line}\n".encode("utf-8", "replace"))
        return 1
    write(1, json.dumps(response).encode("ascii"))
    if token is not None:
        tokens.renew_behind(token, environ)
    return 0


def _converse(
    read: "Callable[[int], bytes]", environ: "Mapping[str, str]", stages: list[str]
) -> "tuple[dict[str, Any], Token | None]":
    """Return the response to one request, and the node's token to renew behind it, if any."""
    stages.append("reading the request")
    request = _request(read(REQUEST_LIMIT))
    stages.append("looking for a token")
    server = _server(request["image"])
    host = registry.host_of(server) if server else None
    token = None
    of_node = True
    keep = NOT_OURS
    if host is not None:
        limited = {**environ, "AWS_ECR_TIMEOUT": str(min(tokens.timeout_of(environ), DEADLINE - 2))}
        try:
            if request.get("serviceAccountToken") and _role(request, environ):
                of_node = False
                token = _of_service_account(host, request, limited)
            else:
                token = tokens.authorize(host, limited)
        except NoCredentials:
            found = registry.parse(host)
            if found is None or found.service != "ecr-public":
                raise
            keep = SHORT  # pulled anonymously, until there are credentials
    auth = {}
    if token is not None:
        auth[server] = {"username": _USER, "password": token.secret}
        now = int(time.time())
        keep = max(min(token.expires - now, max(token.refresh - now, SHORT)), 0)
    response = {
        "apiVersion": request["apiVersion"],
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "cacheDuration": _go_duration(keep),
        "auth": auth,
    }
    return response, token if of_node else None


def _request(data: bytes) -> "dict[str, Any]":
    """Return a request that is one. What came is never quoted: it may hold a token."""
    import json

    hint = "run it from the kubelet, or pipe a CredentialProviderRequest to it"
    if not data.strip():
        raise HelperError("no request on stdin", hint)
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        raise HelperError("the request is not JSON", hint) from None
    if not isinstance(request, dict) or request.get("kind") != "CredentialProviderRequest":
        raise HelperError('the request\'s kind is not "CredentialProviderRequest"', hint)
    group, _, version = str(request.get("apiVersion", "")).partition("/")
    if group != GROUP or version not in VERSIONS:
        known = ", ".join(f'"{GROUP}/{version}"' for version in VERSIONS)
        raise HelperError(
            "the request's apiVersion is not known",
            f"set the provider's apiVersion in the CredentialProviderConfig to one of {known}",
        )
    image = request.get("image")
    if not isinstance(image, str) or not image:
        raise HelperError("the request names no image", hint)
    if version != "v1":
        # Service accounts came with v1 (KEP-4412): older versions do not know the fields.
        request.pop("serviceAccountToken", None)
        request.pop("serviceAccountAnnotations", None)
    token = request.get("serviceAccountToken") or ""
    annotations = request.get("serviceAccountAnnotations") or {}
    if not isinstance(token, str) or not isinstance(annotations, dict):
        raise HelperError("the request's service account fields are not of their type", hint)
    return request


def _server(image: str) -> str:
    """Return the registry of an image as the kubelet matches it, or nothing for Docker Hub's.

    The part before the first slash is a host if it could not be a path: it has a dot or a colon,
    or is localhost (distribution/reference).
    """
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return ""


def _role(request: "Mapping[str, Any]", environ: "Mapping[str, str]") -> object:
    """Return what should be the ARN of the role to assume, or nothing: the node's identity."""
    annotations = request.get("serviceAccountAnnotations") or {}
    return annotations.get(ROLE_ANNOTATION) or environ.get(ROLE_VARIABLE)


def _checked_role(request: "Mapping[str, Any]", environ: "Mapping[str, str]") -> str:
    role = _role(request, environ)
    if isinstance(role, str) and _is_role(role):
        return role
    annotated = (request.get("serviceAccountAnnotations") or {}).get(ROLE_ANNOTATION)
    where = f'the annotation "{ROLE_ANNOTATION}"' if annotated else f'"{ROLE_VARIABLE}"'
    raise HelperError(
        f"{where} is not the ARN of a role",
        "set it to an ARN such as arn:aws:iam::123456789012:role/puller",
    )


def _is_role(arn: str) -> bool:
    if not arn.isascii() or not arn.isprintable() or " " in arn:
        return False
    # A role's path may hold colons.
    word, _, service, region, account, resource = (*arn.split(":", 5), *[""] * 5)[:6]
    return (word, service, region) == ("arn", "iam", "") and (
        account.isdecimal() and resource.startswith("role/")
    )


def _of_service_account(
    host: str, request: "Mapping[str, Any]", environ: "Mapping[str, str]"
) -> Token | None:
    """Return a token for a pod's own identity. It never touches the disk."""
    from . import ecr

    limit = tokens.timeout_of(environ)
    identity_token = request["serviceAccountToken"]

    def work(stages: list[str]) -> Token | None:
        found = tokens.target(host, environ)
        if found is None:
            return None
        where, rule = found
        issued = ecr.fetch_with_web_identity(
            where,
            rule,
            environ,
            stages,
            until=time.monotonic() + tokens.PATIENCE * limit,
            role_arn=_checked_role(request, environ),
            session_name=session_name(identity_token),
            identity_token=identity_token,
        )
        return tokens.token_of(issued, host, where)

    return tokens.within(limit, work, f'"{host}"')


def session_name(identity_token: str) -> str:
    """Return the role session's name: namespace and service account, as CloudTrail will show it.

    The claims are read unverified: they name the session and decide nothing; STS verifies the
    token. Characters that STS does not take become ``-``; a long name ends in a digest.
    """
    import base64
    import json

    name = ""
    try:
        payload = identity_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        pod = claims["kubernetes.io"]
        parts = (pod["namespace"], pod["serviceaccount"]["name"])
        if all(isinstance(part, str) and part for part in parts):
            name = "+".join(parts)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_+=,.@-") else "-" for c in name)
    if len(clean) > SESSION_NAME_LENGTH:
        import hashlib

        digest = hashlib.sha256(clean.encode()).hexdigest()[:8]
        clean = f"{clean[: SESSION_NAME_LENGTH - 9]}-{digest}"
    return clean or "docker-credential-ecr"


def _go_duration(seconds: int) -> str:
    """Return whole seconds as Go writes a duration: ``5h4m3s``."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s"
