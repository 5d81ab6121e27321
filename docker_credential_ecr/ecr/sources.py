"""What chooses an identity or an endpoint, as conditions: variables, files, and profiles.

Read from botocore's configprovider.py, configloader.py, credentials.py and utils.py. How a
condition is written is ``cache``'s alone.
"""

import os
import time

from .. import cache
from ..errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Chain = Sequence[tuple[str, Mapping[str, str]]]

# Every variable by which botocore chooses an identity or an endpoint, and ours that do the same.
# Secrets are not among them: an access key id names its key.
VARIABLES = (
    "HOME",
    "USERPROFILE",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CREDENTIAL_FILE",
    "BOTO_CONFIG",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_IMDS_USE_IPV6",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
    "AWS_ENDPOINT_URL_SIGNIN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_DATA_PATH",
    "AWS_ECR_CONFIG_FILE",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
)
# The same, but secrets: who knows a container's URI gets its credentials. Only a residue is kept.
SECRET_VARIABLES = (
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ENVIRONMENT = "env"  # botocore's name for keys in variables
_MACHINE = "iam-role"  # botocore's name for credentials from the instance metadata service
# What a file is that is not there, or not for us: no trouble of this machine's.
_NO_TROUBLE = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError),
    BlockingIOError,
)
# Sources of credentials that are asked over the network.
NETWORK = ("container-role", _MACHINE)


def conditions(environ: "Mapping[str, str]") -> list[str]:
    """Return the conditions that hold for every identity here."""
    from .. import settings

    lines = [cache.variable(name, environ) for name in VARIABLES]
    lines += [cache.residue(name, environ) for name in SECRET_VARIABLES]
    files = [
        *(_expanded_state(path) for path in _aws_files(environ)),
        *(cache.state_of(path) for path in settings.paths(environ)),
    ]
    if "BOTO_CONFIG" in environ:
        files.append(_expanded_state(environ["BOTO_CONFIG"]))
    else:
        files += [_expanded_state(path) for path in ("/etc/boto.cfg", "~/.boto")]
    if environ.get("AWS_CREDENTIAL_FILE"):
        files.append(cache.state_of(os.path.expanduser(environ["AWS_CREDENTIAL_FILE"])))
    files += [
        cache.state_of(environ[name])
        for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        if environ.get(name)
    ]
    return [*lines, *dict.fromkeys(files)]


def decide_alone(lines: "Sequence[str]", environ: "Mapping[str, str]") -> bool:
    """Whether no source that has nothing will have something while these ``conditions`` hold.

    Nobody is asked: the machine's identity is switched off, and a container's, where a variable
    names it, has an answer or an error. And whoever comes may read the files that this process
    may: they are not there, or were read. Below a HOME that is no absolute path they are others in
    each directory. Source: botocore's utils.py, IMDSFetcher.
    """
    files = [cache.subject(line) for line in lines if line.startswith("file ")]
    return (
        environ.get("AWS_EC2_METADATA_DISABLED", "false").lower() == "true"
        and os.path.isabs(environ.get("HOME", ""))
        and cache.is_keepable(lines)
        and all(os.access(path, os.R_OK) for path in files)
    )


def of_account(account: str, environ: "Mapping[str, str]") -> list[str]:
    """Return the conditions of an account's own registries: the variables of that account alone."""
    from .. import settings

    return [cache.variable(name + account, environ) for name in settings.PREFIXES if account]


def without_account(conditions: "Sequence[str]") -> list[str]:
    """Return ``conditions`` less those of an account's own registries."""
    from .. import settings

    starts = tuple(f"{kind} {name}" for kind in ("env", "unset") for name in settings.PREFIXES)
    return [line for line in conditions if not line.startswith(starts)]


def of_chain(chain: "Chain") -> list[str]:
    """Return the conditions that the profiles in use add, before credentials are looked for."""
    return [
        cache.state_of(profile["web_identity_token_file"])
        for _, profile in chain
        if profile.get("web_identity_token_file")
    ]


def of_credentials(method: str, chain: "Chain", environ: "Mapping[str, str]") -> list[str]:
    """Return the conditions that credentials add which came by ``method`` (botocore's name)."""
    added = []
    of_machine = method.endswith(_MACHINE) or any(
        profile.get("credential_source", "").lower() == "ec2instancemetadata"
        for _, profile in chain
    )
    if of_machine:
        # For this boot only: an image of the disk must not carry the token to another machine.
        added.append(cache.boot())
    for _, profile in chain if method != _ENVIRONMENT else ():
        program = _program(profile.get("credential_process", ""))
        if program and not os.path.dirname(program):
            added.append(cache.variable("PATH", environ))  # which chooses the program
        elif program and not os.path.isabs(program):
            added.append(cache.unknown(program))  # the caller's directory does, and is not ours
    return added


def _program(command: str) -> str:
    """Return the program that a ``credential_process`` names, as botocore splits it."""
    import botocore.compat

    try:
        return str(next(iter(botocore.compat.compat_shell_split(command)), ""))
    except ValueError:
        return ""  # an open quote: botocore has said so


def unreadable(environ: "Mapping[str, str]") -> OSError | None:
    """Return why one of the AWS files cannot be read here and now, or ``None`` if all can.

    botocore takes such a file for one that is not there, which would make another identity.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # it may be a FIFO
    for path in _aws_files(environ):
        try:
            descriptor = os.open(os.path.expanduser(os.path.expandvars(path)), flags)
            try:
                os.read(descriptor, 1)
            finally:
                os.close(descriptor)
        except (*_NO_TROUBLE, ValueError):
            pass
        except OSError as error:
            return error
    return None


def chain_of(session: "Any") -> "list[tuple[str, Mapping[str, str]]]":
    """Return (name, settings) of the profile in use and of its source profiles, in order."""
    profiles = session.full_config.get("profiles", {})
    name = session.get_config_variable("profile") or "default"
    chain: list[tuple[str, Mapping[str, str]]] = []
    while name in profiles and name not in (seen for seen, _ in chain):
        chain.append((name, profiles[name]))
        name = profiles[name].get("source_profile", "")
    return chain


def role_of(chain: "Chain", environ: "Mapping[str, str]") -> str:
    """Return the ARN of the role that the profiles in use, or else the environment, assume."""
    of_profile = next((profile["role_arn"] for _, profile in chain if "role_arn" in profile), "")
    return of_profile or environ.get("AWS_ROLE_ARN", "")


def sso_login(chain: "Chain") -> str:
    """Return the command that renews the SSO session: of the profile in the chain that has one."""
    for name, profile in chain:
        if "sso_session" in profile or "sso_start_url" in profile:
            return "aws sso login" + (f" --profile {one_line(name)}" if name != "default" else "")
    return "aws sso login"


def end_of(credentials: "Any") -> float | None:
    """Return when ``credentials`` end, in epoch seconds, or ``None`` if they say nothing of it.

    botocore tells only whether they end within so many seconds: the answer is found by halving.
    """
    needed: Callable[..., bool] | None = getattr(credentials, "refresh_needed", None)
    low, high = 0, cache.TOKEN_LIFE  # seconds; an end after the token's own does not matter
    if needed is None or not needed(refresh_in=high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if needed(refresh_in=middle):
            high = middle
        else:
            low = middle
    return time.time() + low


def _aws_files(environ: "Mapping[str, str]") -> tuple[str, str]:
    """Return the names of AWS's two files, as the user wrote them."""
    return (
        environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
        environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    )


def _expanded_state(path: str) -> str:
    """Return the condition of a file in whose name botocore expands variables and a tilde.

    So it does for AWS's own files and for boto's (configloader.py, ``$NAME``, on Windows ``%NAME%``
    too), and for no others. A tilde is what HOME says, even if that is no absolute path: then the
    file is another one in each directory, and so is its condition's.
    """
    # One that depends on more variables than we record: it never holds.
    if os.path.expandvars(path) != path:
        return cache.unknown(path)
    return cache.state_of(os.path.expanduser(path))
