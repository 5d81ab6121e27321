"""A registry and a rule in, an authorization token out: the only module that knows boto3.

It also knows which inputs botocore chooses an identity by (``conditions``), as the cache records
them, and turns botocore's errors into ours. Nothing here touches the disk cache.

botocore is boto3's own core; ``import boto3`` itself is left out, as it loads the transfer manager
of another service, which costs more than the rest of a miss (benchmarks/README.md).
"""

import os
import time

from . import cache
from .errors import HelperError, NoCredentials, Refused, Unavailable, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from .registry import Registry
    from .settings import Rule

CONNECT_TIMEOUT = 5  # seconds; the whole answer has 25
READ_TIMEOUT = 10  # seconds
PASSWORD_LIMIT = 64 << 10  # characters; AWS names no limit, 2,700 were seen
THROTTLE_PAUSE = 8.0  # seconds, the longest pause between two tries while AWS throttles us

# Every variable by which botocore chooses an identity or an endpoint, and ours that do the same.
# Secrets are not among them: an access key id names its key.
# Sources: botocore's configprovider.py, credentials.py and utils.py.
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
# The services that an answer may need: for the token, for roles, for SSO and login sessions.
_SERVICES = ("ecr", "ecr-public", "signin", "sso", "sso-oidc", "sts")
_LOOKING = "looking for AWS credentials"  # a stage
_UNPARSED = "ResponseParserError"  # botocore.parsers has it, which is not loaded for a name
_MACHINE = "iam-role"  # botocore's name for credentials from the instance metadata service

_THROTTLED = frozenset(
    (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
    )
)
_INVALID_KEYS = frozenset(
    (
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
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
_DENIED = frozenset(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"))


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


def conditions(environ: "Mapping[str, str]") -> list[str]:
    """Return the conditions, as ``cache`` writes them, that hold for every identity here."""
    from . import settings

    lines = [
        f"env {name}={environ[name]}" if name in environ else f"unset {name}" for name in VARIABLES
    ]
    for name in SECRET_VARIABLES:
        if name in environ:
            lines.append(f"residue {name} {cache.residue_of(environ[name])}")
        else:
            lines.append(f"unset {name}")
    files = [
        _expanded(environ.get("AWS_CONFIG_FILE", "~/.aws/config")),
        _expanded(environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")),
        *settings.paths(environ),
    ]
    if "BOTO_CONFIG" in environ:
        files.append(_expanded(environ["BOTO_CONFIG"]))
    else:
        files += ["/etc/boto.cfg", _expanded("~/.boto")]
    files += [
        environ[name]
        for name in (
            "AWS_CREDENTIAL_FILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        )
        if environ.get(name)
    ]
    lines += [
        # A path with a variable in it depends on more than we record: it is never a condition.
        f"unknown {path}" if "$" in path else cache.state_of(path)
        for path in dict.fromkeys(files)
    ]
    return lines


def fetch(
    registry: "Registry",
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    stages: list[str],
    *,
    until: float,
) -> Issued:
    """Ask ECR for an authorization token.

    ``until`` (``time.monotonic()``) ends the tries while AWS throttles. What is about to be done
    is appended to ``stages``. Raises ``HelperError``.
    """
    request = _Request(registry, rule, environ, stages, until)
    with request.explained():
        session = request.session
        stages.append(_LOOKING)
        chain = _profile_chain(session)
        added = [cache.state_of(path) for path in _token_files(chain)]
        credentials = session.get_credentials()
        if credentials is None:
            raise _no_credentials(registry)
        credentials.get_frozen_credentials()
        source = str(credentials.method)
        end = _end_of(credentials)
        keys: dict[str, str] = {}
        if rule is not None and rule.role_arn:
            keys, end = request.assume_role(rule)
            source = f"assume-role by way of {source}"
        if _is_of_machine(source, chain):
            # For this boot only: an image of the disk must not carry the token to another machine.
            # Where there is no boot id (not Linux) machines cannot be told apart: not kept.
            added.append(f"boot {cache.boot_id() or 'unknown'}")
        password, expires = request.token(keys)
    return Issued(password, expires, credentials_end=end, source=source, conditions=added)


def fetch_with_web_identity(
    registry: "Registry",
    rule: "Rule | None",
    environ: "Mapping[str, str]",
    stages: list[str],
    *,
    until: float,
    role_arn: str,
    session_name: str,
    identity_token: str,
) -> Issued:
    """Ask ECR for a token as a role that ``identity_token`` (a JWT) lets us assume.

    For the kubelet's service accounts: nothing of it may be kept on disk. Raises ``HelperError``.
    """
    request = _Request(registry, rule, environ, stages, until)
    with request.explained():
        keys, end = request.assume_role_with_web_identity(role_arn, session_name, identity_token)
        password, expires = request.token(keys)
    return Issued(password, expires, credentials_end=end, source="service-account", conditions=())


def caller(environ: "Mapping[str, str]", profile: str | None = None) -> tuple[str, str, str, str]:
    """Return (account, ARN, region, credential method) of the default identity, from STS.

    Raises ``HelperError``; an empty region if none is configured.
    """
    from .registry import Registry

    session = _session(profile)
    region = session.get_config_variable("region") or environ.get("AWS_REGION") or ""
    where = Registry("sts", "sts", "", region or "us-east-1", fips=False, dual_stack=False)
    request = _Request(where, None, environ, [], time.monotonic(), session=session)
    with request.explained():
        credentials = session.get_credentials()
        if credentials is None:
            raise _no_credentials(where)
        answer = request.client("sts").get_caller_identity()
        return (
            str(answer["Account"]),
            str(answer["Arn"]),
            str(region),
            str(credentials.method),
        )


class _Request:
    """One request: the session that makes it, and the words for what goes wrong in it."""

    def __init__(
        self,
        registry: "Registry",
        rule: "Rule | None",
        environ: "Mapping[str, str]",
        stages: list[str],
        until: float,
        *,
        session: "Any" = None,
    ) -> None:
        self.registry = registry
        self.rule = rule
        self.environ = environ
        self.stages = stages
        self.until = until
        self.profile = rule.profile if rule is not None else None
        self._session = session

    @property
    def session(self) -> "Any":
        if self._session is None:
            self.stages.append("loading the AWS library")
            self._session = _session(self.profile)
            if not self._session.get_config_variable("region"):
                # For STS, which has no region of its own; botocore does not read AWS_REGION.
                region = self.environ.get("AWS_REGION") or self.registry.region
                self._session.set_config_variable("region", region)
        return self._session

    def explained(self) -> "Any":
        """Return a context in which botocore's errors are raised as ours."""
        from contextlib import contextmanager

        @contextmanager
        def context() -> "Iterator[None]":
            try:
                yield
            except HelperError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever botocore raises is explained
                raise _explain(error, self) from None

        return context()

    def client(
        self, service: str, keys: "Mapping[str, str] | None" = None, *, signed: bool = True
    ) -> "Any":
        """Return a client in the registry's region; unsigned it looks for no credentials."""
        import botocore
        import botocore.config

        ours = service == self.registry.service
        endpoint = self.rule.endpoint_url if self.rule is not None and ours else None
        client = self.session.create_client(
            service,
            region_name=self.registry.region,
            endpoint_url=endpoint,
            config=botocore.config.Config(
                signature_version=None if signed else botocore.UNSIGNED,
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                # The host's own flavour; where it has none, what the user configured for AWS.
                use_fips_endpoint=True if ours and self.registry.fips else None,
                use_dualstack_endpoint=True if ours and self.registry.dual_stack else None,
            ),
            **(keys or {}),
        )
        client.meta.events.register("before-send", self._note_endpoint)
        if ours and self.registry.fips:
            client.meta.events.register("before-send", self._refuse_plain_endpoint)
        return client

    def _note_endpoint(self, request: "Any", **_: "Any") -> None:
        self.stages.append(f'calling "{_host(request.url)}"')

    def _refuse_plain_endpoint(self, request: "Any", **_: "Any") -> None:
        """Keep a request for a FIPS registry from a configured endpoint: botocore sends it."""
        host = _host(request.url)
        if "fips" not in host:
            raise Refused(
                f'"{self.registry.host}" is a FIPS registry, but the configured endpoint '
                f'"{host}" is not a FIPS endpoint',
                "unset AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and endpoint_url for this registry,"
                " or set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
                "or name the endpoint of a FIPS interface (its name has ecr-fips in it)",
            )

    def assume_role(self, rule: "Rule") -> "tuple[dict[str, str], float]":
        arguments: dict[str, Any] = {
            "RoleArn": rule.role_arn,
            "RoleSessionName": rule.session_name or cache.APPLICATION,
        }
        if rule.external_id:
            arguments["ExternalId"] = rule.external_id
        if rule.duration:
            arguments["DurationSeconds"] = rule.duration
        return _keys(self.client("sts").assume_role(**arguments)["Credentials"])

    def assume_role_with_web_identity(
        self, role_arn: str, session_name: str, identity_token: str
    ) -> "tuple[dict[str, str], float]":
        answer = self.client("sts", signed=False).assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName=session_name, WebIdentityToken=identity_token
        )
        return _keys(answer["Credentials"])

    def token(self, keys: "Mapping[str, str]") -> tuple[str, float]:
        """Return (password, expiry in epoch seconds) from GetAuthorizationToken, checked."""
        import botocore.exceptions

        client = self.client(self.registry.service, keys)
        pause = 0.5  # seconds, doubled at every try, drawn from zero up to it
        while True:
            try:
                return _checked(client.get_authorization_token(), self.registry)
            except botocore.exceptions.ClientError as error:
                pause = min(2 * pause, THROTTLE_PAUSE)
                wait = pause * int.from_bytes(os.urandom(2), "big") / 65536
                if _code(error) not in _THROTTLED or time.monotonic() + wait > self.until:
                    raise
                self.stages.append("waiting, as AWS throttles this account")
                time.sleep(wait)


def _session(profile: str | None) -> "Any":
    """Return a botocore session that reads only the data files of the services that we call.

    Left alone, it lists 440 service folders and parses an endpoints.json of 1.2 MB, a third of the
    time that a client takes. The loader is a component that botocore lets its user register; one
    with data paths of the user's own (AWS_DATA_PATH, ~/.aws/models) is left as it is.
    """
    import botocore.loaders
    import botocore.session

    session = botocore.session.Session(profile=profile)

    class Loader(botocore.loaders.Loader):  # type: ignore[misc]
        """botocore's data loader, for the services that we call."""

        def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - theirs
            return list(_SERVICES)

        def load_data_with_path(self, name: str) -> "tuple[Any, str]":
            if name != "endpoints":
                return super().load_data_with_path(name)  # type: ignore[no-any-return]
            partitions, path = super().load_data_with_path("partitions")
            return _endpoints(partitions), path

    own = os.path.expanduser(botocore.loaders.Loader.CUSTOMER_DATA_PATH)
    if session.get_config_variable("data_path") or os.path.isdir(own):
        return session
    session.register_component("data_loader", Loader())
    return session


def _endpoints(partitions: "Mapping[str, Any]") -> "dict[str, Any]":
    """Return what botocore's endpoints.json says, without its services.

    The endpoint of a request comes from its service's rule set; this gives the partitions' regions
    and names, which partitions.json (7 KB) has too. A test compares every endpoint with boto3's.
    """
    return {
        "version": 3,
        "partitions": [
            {
                "partition": partition["id"],
                "dnsSuffix": partition["outputs"]["dnsSuffix"],
                "regionRegex": partition["regionRegex"],
                "regions": {region: {} for region in partition["regions"]},
                "defaults": {
                    "hostname": "{service}.{region}.{dnsSuffix}",
                    "protocols": ["https"],
                    "signatureVersions": ["v4"],
                    "variants": [
                        {
                            "tags": tags,
                            "hostname": "{service}" + fips + ".{region}.{dnsSuffix}",
                            "dnsSuffix": partition["outputs"][suffix],
                        }
                        for tags, fips, suffix in (
                            (["fips"], "-fips", "dnsSuffix"),
                            (["dualstack"], "", "dualStackDnsSuffix"),
                            (["dualstack", "fips"], "-fips", "dualStackDnsSuffix"),
                        )
                    ],
                },
                "services": {},
            }
            for partition in partitions["partitions"]
        ],
    }


def _expanded(path: str) -> str:
    return os.path.expanduser(path)


def _profile_chain(session: "Any") -> "list[tuple[str, Mapping[str, str]]]":
    """Return (name, settings) of the profile in use and of its source profiles, in order."""
    profiles = session.full_config.get("profiles", {})
    name = session.get_config_variable("profile") or "default"
    chain: list[tuple[str, Mapping[str, str]]] = []
    while name in profiles and name not in (seen for seen, _ in chain):
        chain.append((name, profiles[name]))
        name = profiles[name].get("source_profile", "")
    return chain


def _token_files(chain: "Sequence[tuple[str, Mapping[str, str]]]") -> list[str]:
    return [
        profile["web_identity_token_file"]
        for _, profile in chain
        if profile.get("web_identity_token_file")
    ]


def _is_of_machine(source: str, chain: "Sequence[tuple[str, Mapping[str, str]]]") -> bool:
    """Whether the identity comes, at its root, from the instance metadata service."""
    return source.endswith(_MACHINE) or any(
        profile.get("credential_source", "").lower() == "ec2instancemetadata"
        for _, profile in chain
    )


def _end_of(credentials: "Any") -> float | None:
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


def _keys(credentials: "Mapping[str, Any]") -> "tuple[dict[str, str], float]":
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }, credentials["Expiration"].timestamp()


def _checked(answer: "Mapping[str, Any]", registry: "Registry") -> tuple[str, float]:
    """Return (password, expiry) of a GetAuthorizationToken answer that is one."""
    import base64

    from .registry import parse

    problem = "it holds no authorization token"
    try:
        data = answer["authorizationData"]
        if registry.service == "ecr":
            (data,) = data[:1]
        plain = base64.b64decode(data["authorizationToken"], validate=True).decode("ascii")
        user, _, password = plain.partition(":")
        problem = "its token is not for the user AWS"
        if user == "AWS" and password and cache.is_plain(password):
            problem = "its token is too long"
            if len(password) <= PASSWORD_LIMIT:
                problem = "it is for another region"
                proxy = parse(data.get("proxyEndpoint") or "")
                if proxy is None or proxy.region == registry.region:
                    problem = "its token has no expiry"
                    expires = float(data["expiresAt"].timestamp())
                    problem = "its token has expired"
                    if expires > time.time():
                        return password, expires
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    hints = ["check what AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and endpoint_url point to"]
    if problem == "its token has expired":
        hints = ["set this machine's clock"]
    raise Refused(f'the reply for "{registry.host}" is not ECR\'s: {problem}', *hints)


def _code(error: "Any") -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _host(url: str) -> str:
    """Return the host of a URL for a message, without user info, path or query."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
    return one_line(authority.rpartition("@")[2])


def _no_credentials(registry: "Registry") -> NoCredentials:
    return NoCredentials(
        f'no AWS credentials for "{registry.host}": none in the environment, the AWS files, '
        "a container or the instance metadata service",
        "run: aws configure, or aws configure sso",
        "or name a profile: AWS_PROFILE=... or a [[registry]] rule in config.toml",
    )


def _explain(error: Exception, request: _Request) -> HelperError:  # noqa: C901, PLR0911, PLR0912 - one case a cause
    """Return our error for one of botocore's: reason, hints, and whether an old token may serve."""
    import botocore.exceptions as aws

    host = request.registry.host
    subject = f'cannot get a token for "{host}"'
    profile = _profile_name(request)
    named = f' of profile "{profile}"' if profile else ""
    flag = f" --profile {profile}" if profile else ""
    if isinstance(error, aws.ClientError):
        return _explain_refusal(error, request, subject, named, flag)
    if isinstance(error, aws.NoCredentialsError):
        return _no_credentials(request.registry)
    if isinstance(error, aws.ProfileNotFound):
        name = one_line(str(error.kwargs.get("profile", "")))
        return Refused(
            f'{subject}: there is no AWS profile "{name}"',
            "see the profiles there are: aws configure list-profiles",
            f"or make it: aws configure --profile {name}",
        )
    if isinstance(error, aws.UnauthorizedSSOTokenError | aws.SSOError | aws.TokenRetrievalError):
        return Refused(
            f"{subject}: the SSO session{named} has expired or was never opened",
            f"run: {_sso_login(request)}",
        )
    if isinstance(error, aws.LoginError):
        return Refused(
            f"{subject}: the login session{named} has expired",
            "run: aws login" + flag,
        )
    if isinstance(error, aws.MissingDependencyException):
        return Refused(
            f"{subject}: a login session{named} needs the package awscrt",
            "run: pip install 'botocore[crt]', in the environment of this program",
        )
    if isinstance(error, aws.PartialCredentialsError):
        missing = one_line(str(error.kwargs.get("cred_var", "")))
        return Refused(
            f'{subject}: the credentials are incomplete, "{missing}" is missing',
            "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or unset both",
        )
    if isinstance(error, aws.MetadataRetrievalError):
        return Unavailable(
            f"{subject}: the instance metadata service gives no session token",
            "in a container, allow two hops: aws ec2 modify-instance-metadata-options"
            " --http-put-response-hop-limit 2 --instance-id ID",
            "check AWS_EC2_METADATA_SERVICE_ENDPOINT and AWS_EC2_METADATA_V1_DISABLED",
        )
    if isinstance(error, aws.CredentialRetrievalError):
        return _explain_source(error, subject, named, flag)
    if isinstance(error, aws.ParamValidationError):
        return Refused(
            f"{subject}: a setting of the role{_role(request)} is not valid",
            "check role_arn, role_session_name, external_id and the identity token's file",
        )
    if isinstance(error, aws.ConfigParseError | aws.InvalidConfigError):
        path = one_line(str(getattr(error, "kwargs", {}).get("path", "")))
        where = f' "{path}"' if path else named
        return Refused(
            f"{subject}: the AWS configuration{where} is not valid",
            "run: aws configure list" + flag,
        )
    if isinstance(error, aws.ProxyConnectionError):
        return Unavailable(
            f'{subject}: the proxy "{_host(str(error.kwargs.get("proxy_url", "")))}" refused',
            "check HTTPS_PROXY, or exempt the endpoint with NO_PROXY=.amazonaws.com",
        )
    if isinstance(error, aws.SSLError):
        return Unavailable(
            f'{subject}: TLS with "{_endpoint(error)}" failed',
            "if a proxy inspects TLS, name its certificate authority: AWS_CA_BUNDLE=/path/ca.pem",
            "else check this machine's clock and certificates",
        )
    if isinstance(error, aws.ConnectTimeoutError | aws.ReadTimeoutError):
        return Unavailable(
            f'{subject}: "{_endpoint(error)}" did not answer in time',
            "check the route: a subnet without internet access needs VPC endpoints for ECR and STS",
            "if this network has a proxy, set HTTPS_PROXY",
        )
    if isinstance(error, aws.EndpointConnectionError):
        return _explain_connection(error, subject)
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return Unavailable(
            f'{subject}: the connection to "{_endpoint(error)}" broke',
            "try again, and check the network and proxy settings",
        )
    if isinstance(error, OSError) and error.filename:
        return Refused(
            f'{subject}: "{one_line(str(error.filename))}": {str(error.strerror).lower()}',
            "correct the setting that names it: AWS_WEB_IDENTITY_TOKEN_FILE,"
            " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, or credential_process of the profile",
        )
    # Other than botocore's own, it is the library that stumbles over what it was told.
    if isinstance(error, aws.BotoCoreError | OSError) and type(error).__name__ != _UNPARSED:
        hint = "run: aws ecr get-login-password" + flag
        return Refused(f'{subject}: "{type(error).__name__}"', hint)
    if request.stages[-1:] == [_LOOKING]:
        return Refused(
            f"{subject}: what a credential source{named} gave cannot be read",
            "run the profile's credential_process by hand and see what it prints",
            "or see where credentials come from: aws configure list" + flag,
        )
    return Refused(
        f"{subject}: the reply is not AWS's",
        "check what AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and endpoint_url point to",
    )


def _explain_source(error: "Any", subject: str, named: str, flag: str) -> HelperError:
    """Return what to say of a credential source that failed: its message may hold its output."""
    provider = one_line(str(error.kwargs.get("provider", "")))
    if provider == "container-role":
        # botocore has one error for an agent that refuses and for one that does not answer.
        refused = "non 200 response 4" in str(error.kwargs.get("error_msg", ""))
        return (Refused if refused else Unavailable)(
            f"{subject}: the container's credential endpoint "
            + ("refused" if refused else "does not answer"),
            "check AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
            " and the agent behind it",
        )
    hint = "run the profile's credential_process by hand and see what it prints"
    if provider != "custom-process":
        hint = "run: aws sts get-caller-identity" + flag
    return Refused(f'{subject}: the credential source "{provider}"{named} failed', hint)


def _explain_refusal(  # noqa: C901, PLR0911 - one case a cause
    error: "Any", request: _Request, subject: str, named: str, flag: str
) -> HelperError:
    code = one_line(_code(error))[:64]
    operation = one_line(str(error.operation_name))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = str(error.response.get("Error", {}).get("Message", ""))
    if code in _THROTTLED:
        return Unavailable(
            f"{subject}: AWS throttles this account's calls of {operation}",
            "try again in a minute; the cache must be writable, so that each node calls rarely",
        )
    if status >= 500:  # noqa: PLR2004 - HTTP: the server's fault
        return Unavailable(
            f"{subject}: {operation} failed with status {status}", "try again in a minute"
        )
    skewed = code in _SKEWED or (
        code in ("InvalidSignatureException", "SignatureDoesNotMatch")
        and ("expired" in message or "not yet current" in message)
    )
    if skewed:
        return Refused(
            f"{subject}: AWS refused the time of the request",
            "set this machine's clock: timedatectl set-ntp true",
        )
    if code in _EXPIRED:
        return Refused(
            f"{subject}: the AWS credentials{named} have expired",
            "get new ones: unset AWS_SESSION_TOKEN and the keys that came with it, or log in again",
        )
    if operation in ("AssumeRole", "AssumeRoleWithWebIdentity"):
        action = f"sts:{operation}"
        return Refused(
            f"{subject}: the role{_role(request)} cannot be assumed ({code})",
            f"allow {action} in the role's trust policy for this identity",
            "and check role_arn, external_id and the identity token"
            if operation == "AssumeRoleWithWebIdentity"
            else "and in the caller's own policy; check role_arn and external_id",
        )
    if operation == "GetRoleCredentials":
        return Refused(
            f"{subject}: the SSO session{named} does not give this role ({code})",
            f"run: {_sso_login(request)}",
        )
    if code in _INVALID_KEYS:
        return Refused(
            f"{subject}: AWS does not accept the access key{named} ({code})",
            "check the key: aws sts get-caller-identity" + flag,
        )
    if code in _DENIED:
        actions = "ecr:GetAuthorizationToken"
        if request.registry.service == "ecr-public":
            actions = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
        elif operation != "GetAuthorizationToken":
            actions = f"{operation}"
        return Refused(
            f"{subject}: access denied to {operation}{named}",
            f'allow {actions} on resource "*" in the policy of this identity',
            "see which identity it is: docker-credential-ecr doctor",
        )
    return Refused(
        f"{subject}: AWS refused {operation} ({code})",
        "run: aws ecr get-login-password" + flag,
    )


def _explain_connection(error: "Any", subject: str) -> HelperError:
    endpoint = _endpoint(error)
    cause = str(error.kwargs.get("error", ""))
    if any(word in cause for word in ("resolve", "getaddrinfo", "Name or service", "nodename")):
        return Unavailable(
            f'{subject}: the name "{endpoint}" cannot be resolved',
            "check DNS, and that the region exists and is enabled",
            "if this network has a proxy, set HTTPS_PROXY",
        )
    what = "refused the connection" if "refused" in cause else "cannot be reached"
    return Unavailable(
        f'{subject}: "{endpoint}" {what}',
        "check the route: a subnet without internet access needs VPC endpoints for ECR and STS",
        "if this network has a proxy, set HTTPS_PROXY",
    )


def _endpoint(error: "Any") -> str:
    return _host(str(error.kwargs.get("endpoint_url", ""))) or "the endpoint"


def _role(request: _Request) -> str:
    arn = request.rule.role_arn if request.rule is not None else None
    if not arn:
        chain = _profile_chain(request.session)
        arn = next((profile["role_arn"] for _, profile in chain if "role_arn" in profile), "")
    arn = arn or request.environ.get("AWS_ROLE_ARN", "")
    return f' "{one_line(arn)}"' if arn else ""


def _profile_name(request: _Request) -> str:
    try:
        name = request.profile or request.session.get_config_variable("profile") or ""
    except Exception:  # noqa: BLE001 - a message must not fail because of its decoration
        name = ""
    return one_line(str(name))


def _sso_login(request: _Request) -> str:
    """Return the command that renews the SSO session: of the profile in the chain that has one."""
    try:
        chain = _profile_chain(request.session)
    except Exception:  # noqa: BLE001 - a message must not fail because of its decoration
        chain = []
    for name, profile in chain:
        if "sso_session" in profile or "sso_start_url" in profile:
            return "aws sso login" + (f" --profile {one_line(name)}" if name != "default" else "")
    return "aws sso login"
