"""A registry and a rule in, an authorization token out.

Whatever botocore raises here leaves as one of our errors: ``Request.explained`` is the only gate.
"""

from .. import PROGRAM, registry, server_url
from ..errors import HelperError, Refused
from . import explanation, session, sources
from .names import Names
from .replies import Issued, check_keys, checked, keys_of
from .retries import Retries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from ..deadline import Deadline
    from ..registry import Registry
    from ..rule import Rule

    T = TypeVar("T")

CONNECT_TIMEOUT = 5  # seconds; the whole answer has 25
READ_TIMEOUT = 10  # seconds
LOOKING = "looking for AWS credentials"  # a stage
_LEAST = 0.1  # seconds for a connection or an answer: none at all would mean without end
# What botocore's rules make of a region that they do not know: a host of the commercial partition.
_COMMERCIAL = ("amazonaws.com", "api.aws")
_COMMERCIAL_SUFFIXES = tuple(f".{domain}" for domain in _COMMERCIAL)


def fetch(
    where: "Registry",
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    deadline: "Deadline",
    *,
    once: bool = False,
) -> Issued:
    """Ask ECR for an authorization token, and no longer than ``deadline`` says.

    ``once`` is for who has a valid token at hand: AWS that fails is not asked again. Raises
    ``HelperError``.
    """
    request = Request(environ, deadline, where=where, rule=rule, once=once)
    method, end, conditions = request.identify()
    keys: dict[str, str] = {}
    if rule is not None and rule.role_arn:
        keys, end = request.assume_role(rule)
        method = f"assume-role with {method}"
    password, expires = request.token(keys)
    return Issued(password, expires, credentials_end=end, source=method, conditions=conditions)


def fetch_with_web_identity(
    where: "Registry",
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    deadline: "Deadline",
    *,
    role_arn: str,
    session_name: str,
    identity_token: str,
) -> Issued:
    """Ask ECR for a token as a role that ``identity_token`` (a JWT) lets us assume.

    For the kubelet's service accounts: nothing of it may be kept on disk. Raises ``HelperError``.
    """
    request = Request(environ, deadline, where=where, rule=rule)
    keys, end = request.assume_role_with_web_identity(role_arn, session_name, identity_token)
    password, expires = request.token(keys)
    return Issued(password, expires, credentials_end=end, source="service-account", conditions=())


class _Stop(Exception):
    """Raised in the place of a request."""


class Request:
    """One request: the session that makes it, and the names by which its failures are explained.

    ``where`` is the registry that it is for, ``None`` if it asks who the caller is.
    """

    def __init__(
        self,
        environ: "Mapping[str, str]",
        deadline: "Deadline",
        *,
        where: "Registry | None" = None,
        rule: "Rule | None" = None,
        profile: str | None = None,
        once: bool = False,
    ) -> None:
        self.environ = environ
        self.deadline = deadline
        self.where = where
        self.rule = rule
        self.profile = rule.profile if rule is not None else profile
        self.once = once
        self.configured_region = ""  # known once the session is there
        self._session: Any = None

    @property
    def session(self) -> "Any":
        """The session of botocore that makes it, loaded at the first look. Raises ``Refused``."""
        if self._session is None:
            self.deadline.doing("loading the AWS library")
            opened = session.load(self.profile, self.environ)
            # botocore does not read AWS_REGION.
            region = opened.get_config_variable("region") or self.environ.get("AWS_REGION") or ""
            self.configured_region = str(region)
            # For STS, which has no region of its own.
            opened.set_config_variable("region", region or self.region)
            self._limit(opened)
            self._session = opened
        return self._session

    def _limit(self, opened: "Any") -> None:
        """Set how long and how often ``opened`` asks, whichever client of it: STS and SSO, too."""
        import botocore.config

        mode = self.environ.get("AWS_RETRY_MODE") or opened.get_scoped_config().get("retry_mode")
        retries: dict[str, Any] = {"mode": mode}
        if not mode:
            try:
                calls = opened.get_config_variable("max_attempts")
            except ValueError:
                raise Refused(
                    "the number of attempts that is configured for AWS is not a number",
                    "correct AWS_MAX_ATTEMPTS, or max_attempts in the AWS config file",
                ) from None
            if calls is None and self.once:
                calls = 1
            opened.register("needs-retry", Retries(self.deadline, calls).needs_retry)
            retries = {"mode": "standard", "total_max_attempts": 1}
        left = max(self.deadline.left, _LEAST)
        opened.set_default_client_config(
            botocore.config.Config(
                connect_timeout=min(CONNECT_TIMEOUT, left),
                read_timeout=min(READ_TIMEOUT, left),
                retries=retries,
            )
        )
        opened.register("before-send", self._before_send)
        if "AWS_ECR_LOG" in self.environ:
            from .. import trace

            trace.watch(opened, self.environ)

    @property
    def region(self) -> str:
        """The region that is asked: the registry's, or any for who only asks STS."""
        if self.where is not None:
            return self.where.region
        return self.configured_region or "us-east-1"

    def explained(self, work: "Callable[[], T]", *, looking: bool = False) -> "T":
        """Return what ``work`` returns; what it raises of botocore's is raised as ours.

        ``looking`` says that it looks for credentials: what it stumbles over came from a source.
        """
        try:
            return work()
        except HelperError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever botocore raises is explained
            raise explanation.explain(error, self.names(), looking=looking) from None

    def names(self) -> Names:
        """Return the names in a message, which must not fail because of its decoration."""
        chain: sources.Chain = ()
        profile = self.profile
        authorities = ("", "")
        try:
            if self._session is not None:
                profile = profile or self._session.get_config_variable("profile")
                chain = sources.chain_of(self._session)
                authorities = session.authorities(self._session, self.environ)
        except Exception:  # noqa: BLE001, S110 - what is wrong with it is being explained
            pass
        of_rule = self.rule.role_arn if self.rule is not None else None
        return Names(
            host=self.where.host if self.where is not None else "",
            service=self.where.service if self.where is not None else "sts",
            profile=str(profile or ""),
            role=of_rule or sources.role_of(chain, self.environ),
            sso_login=sources.sso_login(chain),
            authorities=authorities,
            unreadable=sources.unreadable(self.environ),
        )

    def identify(self) -> tuple[str, float | None, list[str]]:
        """Find credentials; return their source's name, their end, and the conditions they add."""

        def work() -> tuple[str, float | None, list[str]]:
            opened = self.session
            self.deadline.doing(LOOKING)
            chain = sources.chain_of(opened)
            # Before they are read: a file that changes meanwhile must not vouch for what it held.
            added = sources.of_chain(chain)
            credentials = opened.get_credentials()
            if credentials is None:
                raise explanation.no_credentials(self.names())
            found = credentials.get_frozen_credentials()
            check_keys(found.access_key, found.secret_key, found.token)
            method = str(credentials.method)
            added += sources.of_credentials(method, chain, self.environ)
            return method, sources.end_of(credentials), added

        return self.explained(work, looking=True)

    def client(
        self, service: str, keys: "Mapping[str, str] | None" = None, *, signed: bool = True
    ) -> "Any":
        """Return a client in the registry's region; unsigned it looks for no credentials."""
        import botocore
        import botocore.config

        where = self.where if self.where is not None and self.where.service == service else None
        endpoint = self.rule.endpoint_url if self.rule is not None and where is not None else None
        return self.session.create_client(
            service,
            region_name=self.region,
            endpoint_url=endpoint,
            config=botocore.config.Config(
                signature_version=None if signed else botocore.UNSIGNED,
                parameter_validation=where is None,  # a registry's token is asked without any
                # The host's own flavour; where it has none, what the user configured for AWS.
                use_fips_endpoint=True if where is not None and where.fips else None,
                use_dualstack_endpoint=True if where is not None and where.dual_stack else None,
            ),
            **(keys or {}),
        )

    def endpoint(self) -> str:
        """Return the URL of the endpoint that the registry's token is asked of, without asking.

        What botocore would request, which is not always what ``meta.endpoint_url`` says.
        """
        found: list[str] = []

        def stop(request: "Any", **_: "Any") -> None:
            found.append(request.url)
            raise _Stop

        client = self.client(self.where.service if self.where else "sts", signed=False)
        client.meta.events.register("before-send", stop)
        try:
            client.get_authorization_token()
        except _Stop:
            pass
        return found[0]

    def _before_send(self, request: "Any", **_: "Any") -> None:
        """Note where a request goes, and keep it from another partition's host."""
        endpoint = server_url.shown(request.url)
        self.deadline.doing(f'calling "{endpoint}"')
        for region in endpoint.split("."):
            domain = registry.domain(region)
            if domain and domain not in _COMMERCIAL and endpoint.endswith(_COMMERCIAL_SUFFIXES):
                raise Refused(
                    f'the AWS library does not know the region "{region}": it would ask '
                    f'"{endpoint}", in another partition than "{domain}"',
                    "get a newer one: pip install --upgrade botocore, or a newer release of this"
                    " program",
                    "or name the endpoint: endpoint_url in the registry's rule in config.toml",
                )

    def _refuse_plain_endpoint(self, request: "Any", **_: "Any") -> None:
        """Keep a request for a FIPS registry from a configured endpoint: botocore sends it."""
        endpoint = server_url.shown(request.url)
        if self.where is not None and "fips" not in endpoint:
            raise Refused(
                f'"{self.where.host}" is a FIPS registry, but the configured endpoint '
                f'"{endpoint}" is not a FIPS endpoint',
                "unset AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and endpoint_url for this registry,"
                " or set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
                "or name the endpoint of a FIPS interface (its name has ecr-fips in it)",
            )

    def assume_role(self, rule: "Rule") -> "tuple[dict[str, str], float]":
        """Return the keys of the rule's role, and their end in epoch seconds."""
        arguments: dict[str, Any] = {
            "RoleArn": rule.role_arn,
            "RoleSessionName": rule.session_name or PROGRAM,
        }
        if rule.external_id:
            arguments["ExternalId"] = rule.external_id
        if rule.duration:
            arguments["DurationSeconds"] = rule.duration
        return self.explained(lambda: keys_of(self.client("sts").assume_role(**arguments)))

    def assume_role_with_web_identity(
        self, role_arn: str, session_name: str, identity_token: str
    ) -> "tuple[dict[str, str], float]":
        """Return the keys of a role that a JWT lets us assume, and their end in epoch seconds."""

        def work() -> "tuple[dict[str, str], float]":
            sts = self.client("sts", signed=False)
            return keys_of(
                sts.assume_role_with_web_identity(
                    RoleArn=role_arn, RoleSessionName=session_name, WebIdentityToken=identity_token
                )
            )

        return self.explained(work)

    def token(self, keys: "Mapping[str, str]") -> tuple[str, float]:
        """Return (password, expiry in epoch seconds) from GetAuthorizationToken, checked."""
        where = self.where
        if where is None:
            raise TypeError("no registry to ask a token for")

        def work() -> tuple[str, float]:
            client = self.client(where.service, keys)
            if where.fips:
                client.meta.events.register("before-send", self._refuse_plain_endpoint)
            return checked(client.get_authorization_token(), where)

        return self.explained(work)
