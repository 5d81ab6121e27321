"""What AWS's library would do for a registry, found out without asking for a token.

It goes by way of ``ecr``, which alone knows that library.
"""

from .. import ecr, tokens
from ..errors import HelperError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..registry import Registry
    from ..settings import Rule

# Sources of credentials that are asked over the network.
_NETWORK_SOURCES = ("container-role", "iam-role")


class Survey:
    """Where credentials come from (``method``, empty if nowhere), and where requests go."""

    __slots__ = ("authorities", "endpoint", "method", "plain_endpoint", "profile")

    def __init__(
        self, method: str, profile: str, endpoint: str, plain_endpoint: str, authorities: str
    ) -> None:
        self.method = method
        self.profile = profile
        self.endpoint = endpoint
        self.plain_endpoint = plain_endpoint  # without the user's endpoint settings
        self.authorities = authorities  # a file of certificates, or empty


class Caller:
    """Who AWS says that we are."""

    __slots__ = ("account", "arn", "region")

    def __init__(self, account: str, arn: str, region: str) -> None:
        self.account = account
        self.arn = arn
        self.region = region


def survey(
    where: "Registry", rule: "Rule | None", environ: "Mapping[str, str]", *, offline: bool
) -> Survey:
    """Return what would be done for ``where``. Raises ``HelperError``.

    The credentials are obtained, but not used; ``offline`` asks only sources on this machine.
    """

    def work(stages: list[str]) -> Survey:
        request = ecr._Request(where, rule, environ, stages, 0)  # noqa: SLF001
        with request.explained():
            session = request.session
            stages.append("looking for AWS credentials")
            if offline:
                chain = session.get_component("credential_provider")
                present = [provider.METHOD for provider in chain.providers]
                for source in _NETWORK_SOURCES:
                    if source in present:
                        chain.remove(source)
            credentials = session.get_credentials()
            if credentials is not None and not offline:
                credentials.get_frozen_credentials()
            endpoint = request.client(where.service).meta.endpoint_url
            session.set_config_variable("ignore_configured_endpoint_urls", "true")
            request.rule = None
            return Survey(
                str(credentials.method) if credentials is not None else "",
                str(request.profile or session.get_config_variable("profile") or ""),
                endpoint,
                request.client(where.service).meta.endpoint_url,
                str(session.get_config_variable("ca_bundle") or ""),
            )

    return tokens.within(tokens.timeout_of(environ), work, f'"{where.host}"')


def caller(environ: "Mapping[str, str]", profile: str | None = None) -> Caller:
    """Return whom STS says that we are. Raises ``HelperError``."""

    def work(stages: list[str]) -> Caller:
        from ..registry import Registry

        stages.append("asking STS for the identity")
        where = Registry("sts", "sts", "", "us-east-1", fips=False, dual_stack=False)
        with ecr._Request(where, None, environ, stages, 0).explained():  # noqa: SLF001
            return Caller(*ecr.caller(environ, profile)[:3])

    try:
        return tokens.within(tokens.timeout_of(environ), work, "the caller's identity")
    except HelperError as error:
        error.reason = error.reason.removeprefix('cannot get a token for "sts": ')
        raise
