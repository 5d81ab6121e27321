"""The kubelet's CredentialProviderRequest and CredentialProviderResponse.

A drop-in for the cloud provider's ``ecr-credential-provider``. The kubelet starts it for each image
with pipes on all three descriptors and no ``HOME``, decodes the answer strictly, kills it after 60
seconds, and logs stderr; pod events never show it. Shapes:
https://kubernetes.io/docs/reference/config-api/kubelet-credentialprovider.v1/
"""

import time

from . import PROGRAM, USER, herd, keys, registry, renewal, server_url, tokens
from .deadline import Deadline, timeout_of
from .errors import Answer, CredentialsNotFound, HelperError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .cache import Token

GROUP = "credentialprovider.kubelet.k8s.io"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
REQUEST_LIMIT = 256 << 10  # bytes, 256 KiB; a service account token is a few KiB
DEADLINE = 28.0  # seconds for everything; the kubelet gives up after 60, people wait for pods
ROLE_ANNOTATION = "eks.amazonaws.com/ecr-role-arn"  # on the service account
ANNOTATION_VARIABLE = "AWS_ECR_ROLE_ANNOTATION"  # the key of one more annotation that may name it
ROLE_VARIABLE = "AWS_ECR_ROLE_ARN"  # where there is no annotation
SESSION_VARIABLE = "AWS_ECR_ROLE_SESSION_NAME"  # in place of one that tells the service account
NODE_VARIABLE = "AWS_ECR_NODE_IDENTITY"  # whether the node's identity answers for any pod
SHORT = 60  # seconds that the kubelet keeps an answer whose token is due for renewal
NOT_OURS = 300  # seconds that it keeps "not ours": a rule may be added


def converse(read: "Callable[[int], bytes]", environ: "Mapping[str, str]") -> Answer:
    """Answer one request of the kubelet.

    ``read`` returns all of stdin, up to a limit in bytes. Raises ``HelperError``, which ``failure``
    makes an answer of. What may hang is done in a thread: an answer or an error is out in time.
    """
    import json

    whole = Deadline(DEADLINE, "the kubelet", spent=herd.waited(environ))
    whole.doing("reading the request")
    request = whole.run(lambda: _request(read(REQUEST_LIMIT)))
    server = _server(request["image"])
    host = server_url.host_of(server) if server else None
    token = None
    of_node = not (request.get("serviceAccountToken") and _role(request, environ)[1])
    keep = NOT_OURS
    if "AWS_ECR_LOG" in environ:
        from . import trace

        trace.note(environ, "kubelet", host=host, of="node" if of_node else "service account")
    if host is not None:
        # Two seconds are for what comes after, so that the error names the host.
        seconds = timeout_of(environ) - herd.waited(environ)
        deadline = Deadline(min(seconds, whole.left - 2), f'"{host}"')
        try:
            behind = _behind(host, environ, deadline)
            if of_node and not node_answers(environ):
                _refuse(behind, request, environ, deadline)
            elif of_node:
                token = tokens.authorize(behind, environ, deadline)
            else:
                token = _of_service_account(behind, request, environ, deadline)
        except CredentialsNotFound:
            keep = SHORT  # pulled anonymously, until there are credentials
    auth = {}
    if token is not None:
        auth[server] = {"username": USER, "password": token.secret}
        now = int(time.time())
        keep = max(min(token.expires - now, max(token.refresh - now, SHORT)), 0)
    response = {
        "apiVersion": request["apiVersion"],
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "cacheDuration": _go_duration(keep),
        "auth": auth,
    }
    return Answer(json.dumps(response).encode("ascii"), behind=token if of_node else None)


def failure(error: HelperError) -> Answer:
    """Return the answer that says ``error``: one line, as the kubelet's log has one for it.

    Without a newline: klog would break its own line at it, and ours would name no image.
    """
    line = "; ".join([f"error: {error.reason}", *(f"hint: {hint}" for hint in error.hints)])
    return Answer(stderr=f"{PROGRAM}: {line}".encode("utf-8", "replace"), status=1)


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


def _behind(host: str, environ: "Mapping[str, str]", deadline: Deadline) -> str:
    """Return the host of the registry that answers for ``host``: another one where it is mirrored.

    What is kept is that registry's. An entry of ``host`` would be served to Docker, which would
    send the token there.
    """
    if registry.parse(host) is not None:
        return host  # nothing stands in for ECR: the file need not be read
    from . import settings

    deadline.doing("reading the configuration file")
    mirror = deadline.run(lambda: settings.load(environ)).mirror_of(host)
    return host if mirror is None else mirror.registry


def _role(request: "Mapping[str, Any]", environ: "Mapping[str, str]") -> tuple[str, object]:
    """Return what names the role to assume, and what it says: nothing is the node's identity.

    The first annotation that is there decides: an empty one asks for the node's identity, as with
    the cloud provider's plugin, also where the variable has a role for the others.
    """
    annotations = request.get("serviceAccountAnnotations") or {}
    for key in (ROLE_ANNOTATION, environ.get(ANNOTATION_VARIABLE)):
        if key and key in annotations:
            return f'the annotation "{one_line(key)}"', annotations[key]
    return f'"{ROLE_VARIABLE}"', environ.get(ROLE_VARIABLE)


def node_answers(environ: "Mapping[str, str]") -> bool:
    """Whether the node's identity may answer: what is no word for yes is a no, as it shuts."""
    return environ.get(NODE_VARIABLE, "").lower() in ("", "true", "1", "yes", "on")


def _refuse(
    host: str, request: "Mapping[str, Any]", environ: "Mapping[str, str]", deadline: Deadline
) -> None:
    """Raise for a registry that no role is to be assumed for; other hosts are not ours at all."""
    deadline.doing("reading the configuration file")
    if deadline.run(lambda: renewal.target(host, environ)) is None:
        return
    why = f'no service account token came with the request for "{host}"'
    hint = f'give the pod a service account with the annotation "{ROLE_ANNOTATION}"'
    if request.get("serviceAccountToken"):
        why = f'{_role(request, environ)[0]} names no role for "{host}"'
        hint = "set it to the ARN of a role, such as arn:aws:iam::123456789012:role/puller"
    raise HelperError(
        f'{why}, and "{NODE_VARIABLE}" keeps the node\'s identity from answering',
        hint,
        f"or let the node pull for every pod: remove {NODE_VARIABLE} from the provider's env",
    )


def _checked_role(request: "Mapping[str, Any]", environ: "Mapping[str, str]") -> str:
    where, role = _role(request, environ)
    if isinstance(role, str) and keys.is_role_arn(role):
        return role
    raise HelperError(
        f"{where} is not the ARN of a role",
        "set it to an ARN such as arn:aws:iam::123456789012:role/puller",
    )


def _of_service_account(
    host: str, request: "Mapping[str, Any]", environ: "Mapping[str, str]", deadline: Deadline
) -> "Token | None":
    identity_token = request["serviceAccountToken"]
    name = environ.get(SESSION_VARIABLE)
    if name and not keys.SESSION_NAME.fits(name):
        lengths = keys.SESSION_NAME.lengths
        raise HelperError(
            f'"{SESSION_VARIABLE}" is not the name of a role session',
            f"set it to {lengths[0]} to {lengths[-1]} letters, digits and "
            f"{' '.join(keys.SESSION_NAME.extra)}, or unset it",
        )
    return renewal.for_service_account(
        host,
        environ,
        deadline,
        role_arn=lambda: _checked_role(request, environ),
        session_name=name or session_name(identity_token),
        identity_token=identity_token,
    )


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
    clean = "".join(c if keys.SESSION_NAME.takes(c) else "-" for c in name)
    longest = keys.SESSION_NAME.lengths[-1]
    if len(clean) > longest:
        import hashlib

        digest = hashlib.sha256(clean.encode()).hexdigest()[:8]
        clean = f"{clean[: longest - len(digest) - 1]}-{digest}"
    return clean or PROGRAM


def _go_duration(seconds: int) -> str:
    """Return whole seconds as Go writes a duration: ``5h4m3s``."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s"
