"""What can be learnt from AWS without a token: who the caller is, and where requests would go."""

from . import session, sources
from .request import LOOKING, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..deadline import Deadline
    from ..registry import Registry
    from ..rule import Rule


class Caller:
    """Who the default identity is, as STS says; ``region`` is empty if none is configured."""

    __slots__ = ("account", "arn", "method", "region")

    def __init__(self, account: str, arn: str, region: str, method: str) -> None:
        self.account = account
        self.arn = arn
        self.region = region
        self.method = method  # botocore's name of the credentials' source


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


def caller(
    environ: "Mapping[str, str]", deadline: "Deadline", profile: str | None = None
) -> Caller:
    """Return who the identity of ``profile``, or the default one, is. Raises ``HelperError``."""
    request = Request(environ, deadline, profile=profile)
    method, _, _ = request.identify()
    answer = request.explained(lambda: request.client("sts").get_caller_identity())
    region = request.configured_region
    return Caller(str(answer["Account"]), str(answer["Arn"]), region, method)


def survey(
    where: "Registry",
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    deadline: "Deadline",
    *,
    offline: bool,
) -> Survey:
    """Return what would be done for ``where``. Raises ``HelperError``.

    The credentials are obtained, but not used; ``offline`` asks only sources on this machine.
    """
    request = Request(environ, deadline, where=where, rule=rule)

    def work() -> Survey:
        opened = request.session
        deadline.doing(LOOKING)
        if offline:
            chain = opened.get_component("credential_provider")
            present = [provider.METHOD for provider in chain.providers]
            for source in sources.NETWORK:
                if source in present:
                    chain.remove(source)
        credentials = opened.get_credentials()
        if credentials is not None and not offline:
            credentials.get_frozen_credentials()
        endpoint = request.endpoint()
        opened.set_config_variable("ignore_configured_endpoint_urls", "true")
        request.rule = None
        return Survey(
            str(credentials.method) if credentials is not None else "",
            str(request.profile or opened.get_config_variable("profile") or ""),
            endpoint,
            request.endpoint(),
            session.authorities(opened, environ)[1],
        )

    return request.explained(work, looking=True)
