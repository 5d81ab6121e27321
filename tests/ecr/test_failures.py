"""What is said when AWS cannot be asked, refuses, or answers what it should not."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    ACCOUNT,
    CALL,
    HOST,
    PUBLIC,
    PUBLIC_CALL,
    ROLE,
    Helper,
    Run,
    in_namespaces,
    self_signed,
    without_keys,
    write,
)
from kit import FIPS as FIPS_HOST
from proxy import Proxy

from docker_credential_ecr.ecr import replies


@dataclasses.dataclass
class How:
    """How the executable is asked where something is wrong."""

    host: str = HOST
    wrap: Sequence[str] = ()  # what goes before it
    beside: contextlib.AbstractContextManager[object] = dataclasses.field(
        default_factory=contextlib.nullcontext
    )  # what there must be meanwhile


SetUp = Callable[[dict[str, str], Path, FakeAWS], How | None]

# What can go wrong. Each sets it up, and returns how to ask where that is not the usual way.


def no_credentials(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)


def sso(
    env: dict[str, str], home: Path, *, expires: str | None = None, legacy: bool = False
) -> None:
    without_keys(env)
    env["AWS_PROFILE"] = "dev"
    start = "https://example.awsapps.com/start"
    profile = "sso_account_id = 123456789012\nsso_role_name = dev\n"
    if legacy:
        profile += f"sso_start_url = {start}\nsso_region = us-east-1\n"
    else:
        profile += "sso_session = company\n"
        profile += f"[sso-session company]\nsso_start_url = {start}\nsso_region = us-east-1\n"
    write(home / ".aws" / "config", f"[profile dev]\n{profile}")
    if expires:
        name = hashlib.sha1((start if legacy else "company").encode()).hexdigest()
        document = {
            "startUrl": start,
            "region": "us-east-1",
            "accessToken": "SSO-CANARY",
            "expiresAt": expires,
        }
        write(home / ".aws" / "sso" / "cache" / f"{name}.json", json.dumps(document))


def sso_expired(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2020-01-01T00:00:00Z")


def sso_expired_older_form(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2020-01-01T00:00:00Z", legacy=True)


def sso_never_opened(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home)


def sso_expired_behind_a_role(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2020-01-01T00:00:00Z")
    env["AWS_PROFILE"] = "app"
    with (home / ".aws" / "config").open("a") as file:
        file.write(f"[profile app]\nrole_arn = {ROLE}\nsource_profile = dev\n")


def sso_expired_of_a_rule(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2020-01-01T00:00:00Z")
    del env["AWS_PROFILE"]
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nprofile = "dev"\n')


def sso_ended_at_aws(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2099-01-01T00:00:00Z")
    aws.fault("GetRoleCredentials", status=401, code="UnauthorizedException", message="CANARY")


def sso_without_the_role(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    sso(env, home, expires="2099-01-01T00:00:00Z")
    aws.fault("GetRoleCredentials", status=403, code="ForbiddenException", message="CANARY")


def our_config(env: dict[str, str], home: Path, text: str) -> None:
    env["AWS_ECR_CONFIG_FILE"] = write(home / "config.toml", text)


def no_such_profile(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_PROFILE"] = "nope"


def no_such_profile_of_a_rule(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nprofile = "nope"\n')


def no_such_source_profile(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    write(home / ".aws" / "config", f"[default]\nrole_arn = {ROLE}\nsource_profile = nope\n")


def denied(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, code="AccessDeniedException", message="CANARY")


def denied_public(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    aws.fault(PUBLIC_CALL, code="AccessDeniedException", message="CANARY")
    return How(PUBLIC)


def role_of_a_profile(env: dict[str, str], home: Path) -> None:
    without_keys(env)
    env["AWS_PROFILE"] = "app"
    write(
        home / ".aws" / "config",
        f"[profile app]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
    )


def role_denied(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    role_of_a_profile(env, home)
    aws.fault("AssumeRole", status=403, code="AccessDenied", message="CANARY")


def role_of_a_rule_denied(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\n')
    aws.fault("AssumeRole", status=403, code="AccessDenied", message="CANARY")


def role_that_is_none(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    role_of_a_profile(env, home)
    text = (home / ".aws" / "config").read_text()
    (home / ".aws" / "config").write_text(text.replace(ROLE, "puller"))


def web_identity(env: dict[str, str], home: Path) -> None:
    without_keys(env)
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")


def web_identity_denied(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    web_identity(env, home)
    aws.fault("AssumeRoleWithWebIdentity", status=403, code="AccessDenied", message="CANARY")


def web_identity_invalid(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    web_identity(env, home)
    aws.fault("AssumeRoleWithWebIdentity", code="InvalidIdentityToken", message="CANARY")


def web_identity_without_its_file(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    web_identity(env, home)
    (home / "token").unlink()


def keys_expired(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_SESSION_TOKEN"] = "SESSION-CANARY"
    aws.fault(CALL, code="ExpiredTokenException", message="CANARY")


def keys_unknown(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, code="UnrecognizedClientException", message="CANARY")


def keys_wrong(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, code="InvalidSignatureException", message="The signature does not match CANARY")


def keys_half(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    del env["AWS_SECRET_ACCESS_KEY"]


def clock_slow(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    message = "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z CANARY"
    aws.fault(CALL, code="InvalidSignatureException", message=message)


def clock_fast(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    message = "Signature not yet current: 20260101T020000Z is still later than CANARY"
    aws.fault(CALL, code="InvalidSignatureException", message=message)


def clock_off(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, status=403, code="RequestTimeTooSkewed", message="CANARY")


def no_network() -> How:
    return How(wrap=in_namespaces("--net"))


def no_route(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    env["AWS_ENDPOINT_URL"] = "http://192.0.2.1:8080"  # RFC 5737: nobody's
    return no_network()


def no_name(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    return no_network()


def packets_are_lost(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    """A port whose queue is full answers no connection, as a firewall that drops."""
    stack = contextlib.ExitStack()
    port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)).getsockname()[1]
    for _ in range(4):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)  # noqa: FBT003 - the name is the function's
        client.connect_ex(("127.0.0.1", port))
    env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    return How(beside=stack)


def nobody_listens(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"


def proxy_down(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    del env["AWS_ENDPOINT_URL"]
    env["HTTPS_PROXY"] = "http://user:PROXY-CANARY@127.0.0.1:1"


def behind(env: dict[str, str], answer: str) -> How:
    """Let requests go through a proxy that refuses with this status line."""
    proxy = Proxy(answer=answer)
    env["HTTPS_PROXY"] = proxy.url
    return How(beside=proxy)


def proxy_refuses(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    return behind(env, "403 Forbidden CANARY")


def proxy_wants_a_user(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    return behind(env, "407 Proxy Authentication Required")


def tls_unknown(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    server = FakeAWS(tls=self_signed(home, "IP:127.0.0.1"))
    env["AWS_ENDPOINT_URL"] = server.url
    return How(beside=server)


def tls_of_something_else(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ENDPOINT_URL"] = aws.url.replace("http:", "https:")


def ca_bundle_missing(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ENDPOINT_URL"] = aws.url.replace("http:", "https:")
    env["AWS_CA_BUNDLE"] = str(home / "nothing.pem")


def throttled(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ECR_TIMEOUT"] = "4"
    aws.fault(CALL, code="ThrottlingException", message="CANARY")


def server_error(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, status=500, code="ServerException", message="CANARY")


def dropped(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    aws.fault(CALL, drop=True)


def hanging(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ECR_TIMEOUT"] = "4"
    aws.fault(CALL, hang=True)


def hanging_process(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    env["AWS_ECR_TIMEOUT"] = "4"
    write(home / ".aws" / "config", "[default]\ncredential_process = sleep 20\n")


def a_failing_process(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    script = write(home / "process.py", "import sys\nprint('CANARY')\nsys.exit('CANARY')\n")
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")


def a_babbling_process(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    a_failing_process(env, home, aws)
    write(home / "process.py", "print('CANARY')\n")


def a_process_that_is_not_there(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    write(home / ".aws" / "config", "[default]\ncredential_process = /no/such/process CANARY\n")


def imds_without_tokens(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    del env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_V1_DISABLED"] = "true"
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    aws.fault("MetadataToken", status=403)


def container_refuses(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CONTAINER-CANARY"
    aws.fault("ContainerCredentials", status=403, body=b'{"message": "CANARY"}')


def aws_config_broken(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    write(home / ".aws" / "config", "[default\nCANARY\n")


def our_config_broken(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    our_config(env, home, 'CANARY = "\n')


def timeout_broken(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ECR_TIMEOUT"] = "soon"


def timeout_too_long(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ECR_TIMEOUT"] = "601"


def retry_mode_broken(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_RETRY_MODE"] = "CANARY"


def login_session(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    without_keys(env)
    env["AWS_PROFILE"] = "dev"
    write(
        home / ".aws" / "config",
        "[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/me\nregion = us-east-1\n",
    )


def fips_with_an_endpoint(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    return How(FIPS_HOST)


def fips_with_an_endpoint_for_ecr(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    env["AWS_ENDPOINT_URL_ECR"] = "https://user:CANARY@ecr.example.com/fips?CANARY"
    return How(FIPS_HOST)


def fips_with_an_endpoint_of_a_profile(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    write(home / ".aws" / "config", f"[default]\nendpoint_url = {aws.url}\n")
    return How(FIPS_HOST)


def fips_with_an_endpoint_of_a_rule(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    del env["AWS_ENDPOINT_URL"]
    our_config(env, home, f'[[registry]]\nmatch = "{FIPS_HOST}"\nendpoint_url = "{aws.url}"\n')
    return How(FIPS_HOST)


def fips_dual_stack_with_an_endpoint(env: dict[str, str], home: Path, aws: FakeAWS) -> How:
    return How(f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws")


LOGIN = "run: aws sso login --profile dev"


@dataclasses.dataclass(frozen=True)
class Failure:
    """What goes wrong, and what must be said of it; ``{host}`` stands for the registry's."""

    set_up: SetUp
    _: dataclasses.KW_ONLY
    start: str = 'cannot get a token for "{host}": '  # of the reason, on stdout and stderr
    reason: str  # what comes next in it
    hint: str = ""  # part of one of the hints
    whole_hint: str = ""  # or one of the hints in full


FAILURES = [
    Failure(
        no_credentials,
        start="",
        reason='no AWS credentials for "{host}"',
        hint="run: aws configure",
    ),
    Failure(sso_expired, reason='the SSO session of profile "dev" has expired', whole_hint=LOGIN),
    Failure(
        sso_expired_older_form,
        reason='the SSO session of profile "dev" has expired',
        whole_hint=LOGIN,
    ),
    Failure(
        sso_never_opened,
        reason='the SSO session of profile "dev" has expired or was never',
        whole_hint=LOGIN,
    ),
    Failure(sso_expired_behind_a_role, reason="the SSO session", whole_hint=LOGIN),
    Failure(sso_expired_of_a_rule, reason='the SSO session of profile "dev"', whole_hint=LOGIN),
    Failure(sso_ended_at_aws, reason="the SSO session", whole_hint=LOGIN),
    Failure(sso_without_the_role, reason="the SSO session", whole_hint=LOGIN),
    Failure(
        no_such_profile, reason='there is no AWS profile "nope"', hint="aws configure list-profiles"
    ),
    Failure(
        no_such_profile_of_a_rule,
        reason='there is no AWS profile "nope"',
        hint="aws configure --profile nope",
    ),
    Failure(no_such_source_profile, reason="the AWS configuration", hint="run: aws configure list"),
    Failure(
        denied,
        reason="access denied to GetAuthorizationToken",
        hint="allow ecr:GetAuthorizationToken",
    ),
    Failure(
        denied_public,
        reason="access denied to GetAuthorizationToken",
        hint="sts:GetServiceBearerToken",
    ),
    Failure(
        role_denied, reason=f'the role "{ROLE}" cannot be assumed', hint="allow sts:AssumeRole in"
    ),
    Failure(
        role_of_a_rule_denied,
        reason=f'the role "{ROLE}" cannot be assumed',
        hint="allow sts:AssumeRole in",
    ),
    Failure(
        role_that_is_none,
        reason='a setting of the role "puller" is not valid',
        hint="check role_arn",
    ),
    Failure(
        web_identity_denied,
        reason=f'the role "{ROLE}" cannot be assumed',
        hint="allow sts:AssumeRoleWithWebIdentity in",
    ),
    Failure(
        web_identity_invalid,
        reason=f'the role "{ROLE}" cannot be assumed',
        hint="the identity token",
    ),
    Failure(web_identity_without_its_file, reason='"/', hint="AWS_WEB_IDENTITY_TOKEN_FILE"),
    Failure(keys_expired, reason="the AWS credentials have expired", hint="get new ones"),
    Failure(
        keys_unknown,
        reason="AWS does not accept the access key",
        hint="aws sts get-caller-identity",
    ),
    Failure(
        keys_wrong, reason="AWS does not accept the access key", hint="aws sts get-caller-identity"
    ),
    Failure(keys_half, reason="the credentials are incomplete", hint="AWS_SECRET_ACCESS_KEY"),
    Failure(
        clock_slow, reason="AWS refused the time of the request", hint="set this machine's clock"
    ),
    Failure(
        clock_fast, reason="AWS refused the time of the request", hint="set this machine's clock"
    ),
    Failure(
        clock_off, reason="AWS refused the time of the request", hint="set this machine's clock"
    ),
    Failure(no_route, reason='"192.0.2.1:8080" cannot be reached', hint="check the route"),
    Failure(
        no_name,
        reason='the name "api.ecr.us-east-1.amazonaws.com" cannot be resolved',
        hint="check DNS",
    ),
    Failure(
        packets_are_lost, start="", reason="did not answer in time", hint="needs VPC endpoints"
    ),
    Failure(nobody_listens, reason='"127.0.0.1:1" refused the connection', hint="VPC endpoints"),
    Failure(proxy_down, reason='the proxy "127.0.0.1:1" refused', hint="check HTTPS_PROXY"),
    Failure(proxy_refuses, reason="the proxy", hint="check HTTPS_PROXY"),
    Failure(proxy_wants_a_user, reason="the proxy", hint="check HTTPS_PROXY"),
    Failure(tls_unknown, reason="TLS with", hint="AWS_CA_BUNDLE"),
    Failure(tls_of_something_else, reason="TLS with", hint="AWS_CA_BUNDLE"),
    Failure(
        ca_bundle_missing,
        reason="AWS_CA_BUNDLE names",
        hint="correct AWS_CA_BUNDLE, or remove it",
    ),
    Failure(throttled, reason="AWS throttles this account's calls", hint="try again in a minute"),
    Failure(
        server_error,
        reason="GetAuthorizationToken failed with status 500",
        hint="try again in a minute",
    ),
    Failure(dropped, reason="the connection to", hint="try again"),
    Failure(
        hanging,
        start="",
        reason='no answer for "{host}" within 4 s, while calling "127.0.0.1:',
        hint="AWS_ECR_TIMEOUT",
    ),
    Failure(
        hanging_process,
        start="",
        reason='no answer for "{host}" within 4 s, while looking for',
        hint="AWS_ECR_TIMEOUT",
    ),
    Failure(
        a_failing_process,
        reason='the credential source "custom-process"',
        hint="credential_process by hand",
    ),
    Failure(
        a_babbling_process,
        reason="what a credential source gave cannot be read",
        hint="credential_process by hand",
    ),
    Failure(
        a_process_that_is_not_there,
        reason='"/no/such/process": no such file',
        hint="credential_process",
    ),
    Failure(
        container_refuses,
        reason="the container's credential endpoint refused",
        hint="AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    Failure(
        imds_without_tokens,
        reason="the instance metadata service",
        hint="--http-put-response-hop-limit 2",
    ),
    Failure(aws_config_broken, reason="the AWS configuration", hint="run: aws configure list"),
    Failure(our_config_broken, start="", reason="", hint="correct that line"),
    Failure(
        timeout_broken,
        start="",
        reason="AWS_ECR_TIMEOUT is not a number",
        hint="unset AWS_ECR_TIMEOUT",
    ),
    Failure(
        timeout_too_long,
        start="",
        reason="AWS_ECR_TIMEOUT is not a number",
        hint="unset AWS_ECR_TIMEOUT",
    ),
    Failure(
        retry_mode_broken, reason='"InvalidRetryModeError"', hint="run: aws ecr get-login-password"
    ),
    Failure(login_session, reason="a login session", hint="botocore[crt]"),
    Failure(
        fips_with_an_endpoint,
        start="",
        reason='"{host}" is a FIPS registry',
        hint="unset AWS_ENDPOINT_URL",
    ),
    Failure(
        fips_with_an_endpoint_for_ecr,
        start="",
        reason='"{host}" is a FIPS registry, but the configured endpoint "ecr.example.com" is not',
        hint="unset AWS_ENDPOINT_URL",
    ),
    Failure(
        fips_with_an_endpoint_of_a_profile,
        start="",
        reason='"{host}" is a FIPS registry',
        hint="endpoint_url",
    ),
    Failure(
        fips_with_an_endpoint_of_a_rule,
        start="",
        reason='"{host}" is a FIPS registry',
        hint="endpoint_url",
    ),
    Failure(
        fips_dual_stack_with_an_endpoint,
        start="",
        reason='"{host}" is a FIPS registry',
        hint="endpoint_url",
    ),
]


def check(answer: Run, reason: str, cache: Path, *, hint: str = "", whole_hint: str = "") -> None:
    """Hold a failure to the law of output; ``reason`` and ``hint`` are parts of what it says."""
    said, *rest = answer.stdout.split("\n")
    assert answer.status == 1
    assert rest == [""], "one line on stdout"
    assert reason in said
    assert said[0] == '"' or said[0].islower() or said.startswith("AWS_")
    assert not said.endswith(".")
    error, *hints = answer.stderr.splitlines()
    assert error == f"docker-credential-ecr: error: {said}"
    assert hints, "a hint says what to do"
    assert all(line.startswith("docker-credential-ecr: hint: ") for line in hints)
    actions = [line.removeprefix("docker-credential-ecr: hint: ") for line in hints]
    assert hint in " | ".join(actions)
    assert not whole_hint or whole_hint in actions
    assert "Traceback" not in answer.stderr
    assert "CANARY" not in answer.stdout + answer.stderr
    assert not any(path.is_file() for path in cache.glob("[!.]*/*"))


@pytest.mark.parametrize(
    "failure",
    FAILURES,
    ids=lambda failure: failure.set_up.__name__,
)
def test_a_failure_says_what_to_do(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, failure: Failure
) -> None:
    """The registry, what was tried, and an action; no trace, no body, no secret; nothing kept."""
    helper.env["AWS_MAX_ATTEMPTS"] = "1"
    how = failure.set_up(helper.env, home, aws) or How()
    with how.beside:
        answer = helper.get(how.host, wrap=how.wrap)

    reason = (failure.start + failure.reason).format(host=how.host)
    check(answer, reason, cache, hint=failure.hint, whole_hint=failure.whole_hint)
    assert how.host != FIPS_HOST or aws.requests == 0


def data(**changes: object) -> dict[str, object]:
    """Return a reply of GetAuthorizationToken, with changes."""
    token = base64.b64encode(b"AWS:c2VjcmV0CANARY").decode()
    entry = {
        "authorizationToken": token,
        "expiresAt": 4102444800,  # 2100
        "proxyEndpoint": f"https://{HOST}",
        **changes,
    }
    return {name: value for name, value in entry.items() if value is not None}


def reply(*entries: dict[str, object]) -> bytes:
    return json.dumps({"authorizationData": list(entries)}).encode()


REPLIES = [
    ("html", b"<html>CANARY</html>", "it holds no authorization token"),
    ("no body", b"", "it holds no authorization token"),
    ("an empty object", b"{}", "it holds no authorization token"),
    ("a list", b"[]", "the reply is not AWS's"),
    ("a string", b'"CANARY"', "the reply is not AWS's"),
    ("null", b'{"authorizationData": null}', "it holds no authorization token"),
    ("text for data", b'{"authorizationData": "CANARY"}', "the reply is not AWS's"),
    ("no token at all", reply(), "it holds no authorization token"),
    ("no token", reply(data(authorizationToken=None)), "it holds no authorization token"),
    ("an empty token", reply(data(authorizationToken="")), "its token is not for the user AWS"),
    ("no base64", reply(data(authorizationToken="CANARY!")), "it holds no authorization token"),
    (
        "no password",
        reply(data(authorizationToken="QVdTOg==")),
        "its token is not for the user AWS",
    ),
    (
        "another user",
        reply(data(authorizationToken=base64.b64encode(b"you:CANARY").decode())),
        "its token is not for the user AWS",
    ),
    (
        "a quote",
        reply(data(authorizationToken=base64.b64encode(b'AWS:CANARY"').decode())),
        "its token is not for the user AWS",
    ),
    (
        "a line break",
        reply(data(authorizationToken=base64.b64encode(b"AWS:CANARY\n").decode())),
        "its token is not for the user AWS",
    ),
    (
        "too long",
        reply(data(authorizationToken=base64.b64encode(b"AWS:" + b"x" * 70_000).decode())),
        "its token is too long",
    ),
    (
        "another region",
        reply(data(proxyEndpoint=f"https://{HOST.replace('us-east-1', 'us-west-2')}")),
        "it is for another region",
    ),
    ("no expiry", reply(data(expiresAt=None)), "its token has no expiry"),
    ("an old expiry", reply(data(expiresAt=1)), "its token has expired"),
]


@pytest.mark.parametrize("reply_", REPLIES, ids=[name for name, *_ in REPLIES])
def test_a_reply_that_is_not_ecrs(
    aws: FakeAWS, helper: Helper, cache: Path, reply_: tuple[str, bytes, str]
) -> None:
    """What the service returned is checked before it leaves: none of it is passed on or shown."""
    _, body, problem = reply_
    aws.fault(CALL, body=body)

    answer = helper.get(env={"AWS_MAX_ATTEMPTS": "1"})

    hint = "set this machine's clock" if "expired" in problem else "check what AWS_ENDPOINT_URL"
    check(answer, problem, cache, hint=hint)
    assert HOST in answer.stdout


@pytest.mark.parametrize(
    "endpoint", [f"https://{HOST}", f"https://{ACCOUNT}.dkr-ecr.us-east-1.on.aws"]
)
def test_a_reply_for_a_registry_of_the_region(aws: FakeAWS, helper: Helper, endpoint: str) -> None:
    """ECR names a registry of the region that was asked, in whichever form."""
    aws.fault(CALL, body=reply(data(proxyEndpoint=endpoint)))

    assert helper.get().secret == "c2VjcmV0CANARY"


@pytest.mark.parametrize("endpoint", [None, "", "https://vpce.example.com", f"https://{PUBLIC}"])
def test_a_reply_for_no_registry_of_ecr(
    aws: FakeAWS, helper: Helper, cache: Path, endpoint: str | None
) -> None:
    """A token whose proxy endpoint is no private registry is refused: it is not ECR's."""
    aws.fault(CALL, body=reply(data(proxyEndpoint=endpoint)))

    check(helper.get(), "it is for no registry of ECR", cache, hint="check what AWS_ENDPOINT_URL")


def test_a_token_that_ends_sooner(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A token of less than 12 hours is kept for as long as it lives."""
    aws.token_life = 1800
    asked = time.time()
    helper.get()
    took = time.time() - asked

    [entry] = (cache / HOST).iterdir()
    times = dict(line.split(" ") for line in entry.read_text().splitlines()[2:6])
    life = int(times["expires"]) - int(times["issued"])
    assert 1700 < life <= 1801 + took  # it counts as issued when it was asked for
    assert int(times["refresh"]) < int(times["renew"]) < int(times["expires"])


def test_a_token_that_claims_to_live_for_ever(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A longer life than ECR gives is not believed."""
    aws.token_life = 1000 * 3600
    helper.get()

    [entry] = (cache / HOST).iterdir()
    times = dict(line.split(" ") for line in entry.read_text().splitlines()[2:6])
    assert int(times["expires"]) - int(times["issued"]) == 12 * 3600


def test_throttling_that_passes(aws: FakeAWS, helper: Helper) -> None:
    """A burst of throttling is waited out, within the time-out."""
    aws.fault(CALL, code="ThrottlingException", times=2)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 3


def test_a_server_error_that_passes(aws: FakeAWS, helper: Helper) -> None:
    """What fails once at the service is tried again."""
    aws.fault(CALL, status=500, code="ServerException", times=1)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2


def test_what_will_not_heal_is_not_tried_again(aws: FakeAWS, helper: Helper) -> None:
    """A refusal costs one call: BuildKit repeats a failing get by itself, many times."""
    aws.fault(CALL, code="AccessDeniedException")

    assert helper.get().status == 1
    assert aws.count(CALL) == 1


def test_an_error_code_that_is_new(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A code that nobody has met is named, its message is not."""
    aws.fault(CALL, code="SomethingNew", message="CANARY")

    reason = "AWS refused GetAuthorizationToken (SomethingNew)"
    check(helper.get(), reason, cache, hint="run: aws ecr")


def test_what_is_issued_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The repr of what AWS issued names its source and holds no secret."""
    issued = replies.Issued("CANARY", 0, credentials_end=None, source="env", conditions=())

    assert repr(issued) == "<Issued by way of 'env'>"
