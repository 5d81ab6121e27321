"""botocore's errors in our words: reason, hints, and whether an old token may serve.

Of what AWS itself has answered ``refusals`` speaks; here is all else that may go wrong. A message
takes names, never the request.
"""

import errno
import os
import sys

from .. import server_url
from ..errors import Ended, HelperError, NoCredentials, Refused, Unavailable, one_line
from .names import ENDPOINT_HINT, PROXY_HINT, Names
from .refusals import not_aws, of_reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROCESS_HINT = "run the profile's credential_process by hand and see what it prints"
_ROUTE_HINT = (
    "check the route: a subnet without internet access needs VPC endpoints for ECR and STS"
)
_UNPARSED = "ResponseParserError"  # botocore.parsers has it, which is not loaded for a name
# This machine's own trouble, and nobody's refusal: no descriptor, no memory, no process to be had,
# a disk that fails.
_TROUBLE = frozenset(
    (
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS),
        *(errno.EIO, errno.ENOSPC, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)),
    )
)


_NO_URL = ("Invalid endpoint", "Invalid IPv6 URL", "Port ")  # how what they say of a URL begins


class TooLarge(Exception):
    """What came is larger than anything that AWS says."""


class NotKeys(Exception):
    """What a source gave for keys cannot be any: no text, or nothing that a header may hold."""


class NoTerminal(Exception):
    """A code of a device (MFA) is needed, and nobody is there to type it."""


def no_credentials(names: Names) -> HelperError:
    """Return what to say when no source offers credentials."""
    if names.profile:
        return _of_machine(None, names) or NoCredentials(
            f'no AWS credentials for {names.wanted}: none in the profile "{names.profile}", the '
            "environment, a container or the instance metadata service",
            f"run: aws configure{names.flag}, or aws configure sso{names.flag}",
        )
    return _of_machine(None, names) or NoCredentials(
        f"no AWS credentials for {names.wanted}: none in the environment, the AWS files, "
        "a container or the instance metadata service",
        "run: aws configure, or aws configure sso",
        "or name a profile: AWS_PROFILE=... or a [[registry]] rule in config.toml",
    )


def explain(error: Exception, names: Names, *, looking: bool) -> HelperError:
    """Return our error for one of botocore's.

    ``looking`` says that it came up while credentials were looked for, so that what could not be
    understood came from one of their sources.
    """
    for explained in (
        *(_of_machine, _of_keys, _of_endpoint, _of_terminal, _of_authorities, _of_network),
        *(of_reply, _of_session, _of_configuration, _of_system),
    ):
        if (found := explained(error, names)) is not None:
            return found
    return _not_readable(names) if looking else not_aws(Refused, names)


def _not_readable(names: Names) -> HelperError:
    return Refused(
        f"{names.trying}: what a credential source{names.named} gave cannot be read",
        _PROCESS_HINT,
        "or see where credentials come from: aws configure list" + names.flag,
    )


def _of_machine(error: Exception | None, names: Names) -> HelperError | None:
    """Return what to say when this machine is in trouble: nobody has refused."""
    # Who could not read AWS's files asked as somebody else, or did not ask, whatever came of it.
    cause = names.unreadable or _cause(error)
    if isinstance(cause, MemoryError):
        what = "out of memory"
    elif isinstance(cause, OSError) and (cause is names.unreadable or cause.errno in _TROUBLE):
        what = str(cause.strerror).lower()
        if cause.filename:
            what = f'"{one_line(str(cause.filename))}": {what}'
    else:
        return None
    return Unavailable(
        f"{names.trying}: {what}, on this machine",
        "try again, and check its memory, its disks and the limits of its processes: ulimit -a",
    )


def _of_terminal(error: Exception, names: Names) -> HelperError | None:
    """Return what to say when a code must be typed, and nobody can."""
    if not isinstance(error, NoTerminal):
        return None
    host = f" {names.host}" if names.host else ""
    return Ended(
        f"{names.trying}: the role{names.role_named} needs an MFA code, and there is no terminal "
        "to type it",
        f"run it once in a terminal: docker-credential-ecr refresh{host}",
        "or use credentials that need none, such as aws configure sso",
    )


def _of_session(error: Exception, names: Names) -> HelperError | None:
    """Return what to say of a session that has ended, or of a source that failed."""
    import botocore.exceptions as aws

    trying, named = names.trying, names.named
    if isinstance(error, aws.NoCredentialsError):
        return no_credentials(names)
    if isinstance(error, aws.UnauthorizedSSOTokenError | aws.SSOError | aws.TokenRetrievalError):
        return Ended(
            f"{trying}: the SSO session{named} has expired or was never opened",
            f"run: {names.sso_login}",
        )
    if isinstance(error, _named(aws, "LoginError")):
        return Ended(
            f"{trying}: the login session{named} has expired", "run: aws login" + names.flag
        )
    if isinstance(error, aws.MetadataRetrievalError):
        return Unavailable(
            f"{trying}: the instance metadata service gives no session token",
            "in a container, allow two hops: aws ec2 modify-instance-metadata-options"
            " --http-put-response-hop-limit 2 --instance-id ID",
            "check AWS_EC2_METADATA_SERVICE_ENDPOINT and AWS_EC2_METADATA_V1_DISABLED",
        )
    if isinstance(error, aws.CredentialRetrievalError):
        return _of_source(error, names)
    return None


def _of_source(error: "Any", names: Names) -> HelperError:
    """Return what to say of a credential source that failed: its message may hold its output."""
    provider = one_line(str(error.kwargs.get("provider", "")))
    if provider == "container-role":
        # botocore has one error for an agent that refuses and for one that does not answer.
        refused = "non 200 response 4" in str(error.kwargs.get("error_msg", ""))
        return (Refused if refused else Unavailable)(
            f"{names.trying}: the container's credential endpoint "
            + ("refused" if refused else "does not answer"),
            "check AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
            " and the agent behind it",
        )
    hint = _PROCESS_HINT
    if provider != "custom-process":
        hint = "run: aws sts get-caller-identity" + names.flag
    return Refused(f'{names.trying}: the credential source "{provider}"{names.named} failed', hint)


def _of_configuration(error: Exception, names: Names) -> HelperError | None:
    """Return what to say of a setting that cannot be right."""
    import botocore.exceptions as aws

    trying, named = names.trying, names.named
    if isinstance(error, aws.ProfileNotFound):
        name = one_line(str(error.kwargs.get("profile", "")))
        return Refused(
            f'{trying}: there is no AWS profile "{name}"',
            "see which profiles there are: aws configure list-profiles",
            f"or make it: aws configure --profile {name}",
        )
    if isinstance(error, aws.MissingDependencyException):
        return Refused(
            f"{trying}: a login session{named} needs the package awscrt",
            f"run: {add_crt(sys.prefix)}",
            "or have the AWS CLI give the keys, in a profile of their own: credential_process = "
            f"aws configure export-credentials{names.flag} --format process",
        )
    if isinstance(error, aws.PartialCredentialsError):
        missing = one_line(str(error.kwargs.get("cred_var", "")))
        return Refused(
            f'{trying}: the credentials are incomplete, "{missing}" is missing',
            "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or unset both",
        )
    if isinstance(error, aws.ParamValidationError):
        return Refused(
            f"{trying}: a setting of the role{names.role_named} is not valid",
            "check role_arn, role_session_name, external_id and the identity token's file",
        )
    if isinstance(error, aws.ConfigParseError | aws.InvalidConfigError):
        path = one_line(str(getattr(error, "kwargs", {}).get("path", "")))
        where = f' "{path}"' if path else named
        return Refused(
            f"{trying}: the AWS configuration{where} is not valid",
            "run: aws configure list" + names.flag,
        )
    return None


def _of_keys(error: Exception, names: Names) -> HelperError | None:
    """Return what to say of keys, or a token, with which no request can be made."""
    # http.client's only plain ValueError is for a header with a line break.
    wrapped = _cause(error)
    unsendable = wrapped is not error and type(wrapped) is ValueError
    return _not_readable(names) if unsendable or isinstance(error, NotKeys) else None


def _of_endpoint(error: Exception, names: Names) -> HelperError | None:
    """Return what to say of an endpoint that is no URL: nobody was asked."""
    from urllib3.exceptions import LocationValueError

    # botocore and urllib.parse have no classes of their own for it.
    unusable = type(error) is ValueError and str(error).startswith(_NO_URL)
    if not unusable and not isinstance(_cause(error), LocationValueError):
        return None
    return Refused(f"{names.trying}: the configured endpoint is not a URL", ENDPOINT_HINT)


def _of_authorities(error: Exception, names: Names) -> HelperError | None:
    """Return what to say when there is no file of certificate authorities to trust."""
    import botocore.exceptions as aws

    setting, path = names.authorities
    if isinstance(error, aws.SSLError) and path and not os.path.isfile(path):
        return Unavailable(
            f'{names.trying}: {setting} names "{one_line(path)}", and there is no such file',
            f"correct {setting}, or remove it",
        )
    return None


def _of_network(error: Exception, names: Names) -> HelperError | None:
    """Return what to say when nobody answered."""
    import botocore.exceptions as aws

    trying = names.trying
    if isinstance(error, aws.ProxyConnectionError):
        proxy = server_url.shown(str(error.kwargs.get("proxy_url", "")))
        return Unavailable(
            f'{trying}: the proxy "{proxy}" refused',
            "check HTTPS_PROXY, or exempt the endpoint with NO_PROXY=.amazonaws.com",
        )
    if isinstance(error, aws.SSLError):
        return Unavailable(
            f'{trying}: TLS with "{_endpoint(error)}" failed',
            "if a proxy inspects TLS, name its certificate authority: AWS_CA_BUNDLE=/path/ca.pem",
            "else check this machine's clock and certificates",
        )
    if isinstance(error, aws.ConnectTimeoutError | aws.ReadTimeoutError):
        return Unavailable(
            f'{trying}: "{_endpoint(error)}" did not answer in time', _ROUTE_HINT, PROXY_HINT
        )
    if isinstance(error, aws.EndpointConnectionError):
        return _of_connection(error, names)
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError) and not isinstance(
        _cause(error), TooLarge
    ):
        return Unavailable(
            f'{trying}: the connection to "{_endpoint(error)}" broke',
            "try again, and check the network and proxy settings",
        )
    return None


def _of_system(error: Exception, names: Names) -> HelperError | None:
    """Return what to say when a file or the library itself fails, or a reply is none of AWS's."""
    import botocore.exceptions as aws

    if isinstance(_cause(error), TooLarge):
        return Refused(f"{names.trying}: a reply is larger than any of AWS's", ENDPOINT_HINT)

    if isinstance(error, OSError) and error.filename:
        return Refused(
            f'{names.trying}: "{one_line(str(error.filename))}": {str(error.strerror).lower()}',
            "correct the setting that names it: AWS_WEB_IDENTITY_TOKEN_FILE,"
            " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, or credential_process of the profile",
        )
    # Other than botocore's own, it is the library that stumbles over what it was told.
    if isinstance(error, aws.BotoCoreError | OSError) and type(error).__name__ != _UNPARSED:
        hint = "run: aws ecr get-login-password" + names.flag
        return Refused(f'{names.trying}: "{type(error).__name__}"', hint)
    return None


def _of_connection(error: "Any", names: Names) -> HelperError:
    endpoint = _endpoint(error)
    cause = str(error.kwargs.get("error", ""))
    if any(word in cause for word in ("resolve", "getaddrinfo", "Name or service", "nodename")):
        return Unavailable(
            f'{names.trying}: the name "{endpoint}" cannot be resolved',
            "check DNS, and that the region exists and is enabled",
            PROXY_HINT,
        )
    what = "refused the connection" if "refused" in cause else "cannot be reached"
    return Unavailable(f'{names.trying}: "{endpoint}" {what}', _ROUTE_HINT, PROXY_HINT)


def add_crt(prefix: str) -> str:
    """Return the command that adds awscrt to the environment in ``prefix``."""
    folders = prefix.replace("\\", "/")
    if "/pipx/venvs/" in folders:
        return "pipx inject docker-credential-ecr 'botocore[crt]'"
    if "/uv/tools/" in folders:
        return "uv tool install 'docker-credential-ecr[login]'"
    return "pip install 'botocore[crt]', in the environment of this program"


def _cause(error: object) -> object:
    """Return the exception that botocore's HTTP session has wrapped, else the error itself."""
    return getattr(error, "kwargs", {}).get("error", error)


def _endpoint(error: "Any") -> str:
    return server_url.shown(str(error.kwargs.get("endpoint_url", ""))) or "the endpoint"


def _named(library: "Any", name: str) -> "tuple[type[Exception], ...]":
    """Return an exception class of ``library``, for ``isinstance``: older versions lack some."""
    found = getattr(library, name, None)
    return () if found is None else (found,)
