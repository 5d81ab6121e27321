"""The checks of what is far away: AWS, what is on the way there, and the registry."""

from ...errors import HelperError, Unavailable, one_line
from .. import survey, system
from . import probe
from .context import (
    ERROR,
    OK,
    SKIPPED,
    WARNING,
    Finding,
    Skip,
    clock_offset,
    credentials,
    host,
    issued_token,
    rule,
    server,
    shown_token,
    target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .context import Context

_SKEW = 300  # seconds by which AWS lets a clock be wrong (Signature Version 4)
_SKEW_SEEN = 60  # seconds worth a word
_HTTP_OK = 200
_HTTP_REFUSALS = (401, 403)
# What AWS's library calls the sources of credentials, in words.
_SOURCES = {
    "env": "the environment variables",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the AWS config file",
    "assume-role": "a role that is assumed",
    "assume-role-with-web-identity": "a role that is assumed with a web identity",
    "sso": "an SSO session",
    "login": "an AWS login session",
    "custom-process": "a credential_process",
    "container-role": "the container's role",
    "iam-role": "the instance's role",
}


def aws_credentials(context: "Context") -> "Iterator[Finding]":
    """Check that AWS's library finds credentials."""
    where = context.need(target, "the registry is not known")
    found = context.find(credentials)
    chosen = context.find(rule)
    if found.method:
        source = _SOURCES.get(found.method, f'"{one_line(found.method)}"')
        profile = f', profile "{one_line(found.profile)}"' if found.profile else ""
        role = f', then the role "{chosen.role_arn}"' if chosen and chosen.role_arn else ""
        yield Finding(OK, f"from {source}{profile}{role}")
    elif context.offline:
        yield Finding(SKIPPED, "none in the environment and files; the network was not asked")
    elif where.service == "ecr-public":
        yield Finding(
            WARNING,
            "no AWS credentials: ECR Public serves anonymously, within tighter limits",
            "run: aws configure, or aws configure sso",
        )
    else:
        yield Finding(
            ERROR,
            "no AWS credentials: none in the environment, the AWS files, a container or the "
            "instance metadata service",
            "run: aws configure, or aws configure sso",
            f"or name a profile: {system.name_profile()} or a [[registry]] rule in config.toml",
        )


def endpoint(context: "Context") -> "Iterator[Finding]":
    """Check that the API can be reached, and is AWS's own, not that of a left-over setting."""
    found = context.need(credentials, "the endpoint is not known: see credentials")
    shown = _authority(found.endpoint)
    origin = _origin_of_endpoint(context)
    hints = [f"if that is not meant: {origin}"] if origin else []
    if not context.offline:
        try:
            context.find(clock_offset)
        except HelperError as error:
            yield Finding(
                ERROR,
                f'"{shown}" cannot be reached: {error.reason}',
                *hints,
                "check DNS and the route: without internet access this network needs VPC "
                "endpoints for ECR and STS, or HTTPS_PROXY",
            )
            return
    if origin:
        said = f'the API is called at "{shown}", because of a setting of yours'
        yield Finding(WARNING, said, *hints)
    else:
        yield Finding(OK, f'"{shown}"')


def proxy(context: "Context") -> "Iterator[Finding]":
    """Check that the proxy on the way to the API answers."""
    found = context.need(credentials, "the endpoint is not known: see credentials")
    origin, url = probe.proxy_for(found.endpoint, context.environ)
    if not url:
        yield Finding(OK, "none for this endpoint")
        return
    shown = _authority(url)
    if not context.offline:
        try:
            probe.connect(url)
        except HelperError as error:
            yield Finding(
                ERROR,
                f'the proxy "{shown}" of {origin} does not answer: {error.reason}',
                f"check {origin}, or exempt AWS: NO_PROXY=.amazonaws.com",
            )
            return
    yield Finding(OK, f'"{shown}", by {origin}')


def clock(context: "Context") -> "Iterator[Finding]":
    """Check that this machine's clock is right enough for AWS."""
    unknown = "the service's time is not known"
    skew = None if context.offline else context.need(clock_offset, unknown)
    if skew is None:
        raise Skip(unknown)
    if abs(skew) <= _SKEW_SEEN:
        yield Finding(OK, "agrees with AWS's")
        return
    yield Finding(
        ERROR if abs(skew) > _SKEW else WARNING,
        f"this machine's clock is {int(abs(skew)) // 60} min {'slow' if skew > 0 else 'fast'}; "
        f"AWS refuses requests beyond {_SKEW // 60} min",
        f"set it: {system.set_clock()}",
    )


def identity(context: "Context") -> "Iterator[Finding]":
    """Check that STS says who we are."""
    context.need_network()
    _need_credentials(context)
    chosen = context.find(rule)
    try:
        who = survey.caller(context.environ, chosen.profile if chosen is not None else None)
    except Unavailable as error:
        # ECR may well answer where STS cannot be reached.
        yield Finding(WARNING, error.reason, *error.hints)
        return
    yield Finding(OK, f'"{one_line(who.arn)}"')


def token(context: "Context") -> "Iterator[Finding]":
    """Check that AWS issues a token now, and that it is what Docker is given."""
    import time

    context.need_network()
    _need_credentials(context)
    issued = context.find(issued_token)
    if issued is None:
        raise Skip("this is not an ECR registry")
    shown = context.find(shown_token)
    if shown is issued:
        ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(issued.expires))
        yield Finding(OK, f"AWS gave one, valid until {ends}")
    else:
        yield Finding(
            WARNING,
            "AWS gave one, but a login of your own answers in its place",
            f"run: docker logout {context.find(server)}",
        )


def registry(context: "Context") -> "Iterator[Finding]":
    """Check that the registry accepts the token."""
    context.need_network()
    none = "there is no token to show the registry"
    _need_credentials(context, none)
    shown = context.need(shown_token, none)
    if shown is None:
        raise Skip(none)
    name = context.find(server)
    try:
        status = probe.registry_status(name, shown.secret, context.environ)
    except HelperError as error:
        yield Finding(
            ERROR,
            f'"{name}" cannot be reached: {error.reason}',
            "check DNS and the route: without internet access this network needs the VPC "
            f"endpoint com.amazonaws.{context.find(target).region}.ecr.dkr, or HTTPS_PROXY",
        )
        return
    if status in _HTTP_REFUSALS:
        yield Finding(
            ERROR,
            f'"{name}" refuses the token, with status {status}',
            "see which identity it is for, and get a new one: "
            f"docker-credential-ecr refresh {context.find(host)}",
            "check the account in the registry's name, and VPC endpoint policies",
        )
    elif status != _HTTP_OK:
        yield Finding(
            ERROR,
            f'"{name}" does not answer as a registry, with status {status}',
            "check what stands in front of it: a proxy, or a mapping in config.toml",
        )
    else:
        yield Finding(OK, f'"{name}" accepts the token')


def _need_credentials(
    context: "Context", why_not: str = "there are no AWS credentials to ask with"
) -> None:
    if not context.need(credentials, why_not).method:
        raise Skip(why_not)


def _origin_of_endpoint(context: "Context") -> str:
    """Return how the user's endpoint setting is taken back, or an empty string without one."""
    found, chosen = context.find(credentials), context.find(rule)
    if found.endpoint == found.plain_endpoint:
        return ""
    if chosen is not None and chosen.endpoint_url:
        return "remove endpoint_url from the rule in config.toml"
    service = context.find(target).service.upper().replace("-", "_")
    for variable in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
        if context.environ.get(variable):
            return system.unset(variable)
    return (
        "remove endpoint_url from the AWS config file, or set "
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"
    )


def _authority(url: str) -> str:
    """Return host and port of a URL, without user info."""
    authority = url.rpartition("://")[2].partition("/")[0]
    return one_line(authority.rpartition("@")[2])
