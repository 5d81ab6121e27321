"""The real AWS library behind the executable: which endpoint it calls, and what it says when that fails."""

import base64
import contextlib
import hashlib
import json
import socket
import socketserver
import subprocess
import sys
import threading

import botocore.awsrequest
import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from fake_aws import FakeAWS
from kit import (
    ACCOUNT,
    CALL,
    HOST,
    PUBLIC,
    PUBLIC_CALL,
    ROLE,
    in_namespaces,
    need,
    without_keys,
    write,
)
from kit import FIPS as FIPS_HOST

from docker_credential_ecr.ecr import request, session

# Host of the registry, host of the API. Source: the endpoints that the AWS CLI calls, by the rule
# sets that it shares with botocore.
ENDPOINTS = [
    (HOST, "api.ecr.us-east-1.amazonaws.com"),
    (FIPS_HOST, "api.ecr-fips.us-east-1.amazonaws.com"),
    (f"{ACCOUNT}.dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
    (f"{ACCOUNT}.dkr-ecr-fips.us-east-2.on.aws", "ecr-fips.us-east-2.api.aws"),
    (f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com", "api.ecr.eu-central-1.amazonaws.com"),
    (f"{ACCOUNT}.dkr.ecr.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com"),
    (
        f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "api.ecr-fips.us-gov-west-1.amazonaws.com",
    ),
    (f"{ACCOUNT}.dkr-ecr.us-gov-east-1.on.aws", "ecr.us-gov-east-1.api.aws"),
    (f"{ACCOUNT}.dkr-ecr-fips.us-gov-east-1.on.aws", "ecr-fips.us-gov-east-1.api.aws"),
    (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
    (
        f"{ACCOUNT}.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
        "ecr.cn-northwest-1.api.amazonwebservices.com.cn",
    ),
    (f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu"),
    (
        f"{ACCOUNT}.dkr.ecr-fips.eusc-de-east-1.amazonaws.eu",
        "api.ecr-fips.eusc-de-east-1.amazonaws.eu",
    ),
    (
        f"{ACCOUNT}.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu",
        "ecr.eusc-de-east-1.api.amazonwebservices.eu",
    ),
    (f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov"),
    (f"{ACCOUNT}.dkr.ecr-fips.us-iso-east-1.c2s.ic.gov", "api.ecr-fips.us-iso-east-1.c2s.ic.gov"),
    (f"{ACCOUNT}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
    (
        f"{ACCOUNT}.dkr.ecr-fips.us-isob-east-1.sc2s.sgov.gov",
        "api.ecr-fips.us-isob-east-1.sc2s.sgov.gov",
    ),
    (f"{ACCOUNT}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
    (
        f"{ACCOUNT}.dkr.ecr-fips.eu-isoe-west-1.cloud.adc-e.uk",
        "api.ecr-fips.eu-isoe-west-1.cloud.adc-e.uk",
    ),
    (
        f"{ACCOUNT}.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
        "api.ecr.us-isof-south-1.csp.hci.ic.gov",
    ),
    (
        f"{ACCOUNT}.dkr.ecr-fips.us-isof-south-1.csp.hci.ic.gov",
        "api.ecr-fips.us-isof-south-1.csp.hci.ic.gov",
    ),
    (PUBLIC, "api.ecr-public.us-east-1.amazonaws.com"),
    ("ecr-public.aws.com", "ecr-public.us-east-1.api.aws"),
]


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that records where it is asked to connect to, and connects to ``port`` instead.

    Without a port it refuses, with the status line ``answer``.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, port=None, answer="403 Forbidden"):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.port = port
        self.answer = answer
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return super().__enter__()

    def __exit__(self, *args):
        self.shutdown()
        super().__exit__(*args)


class Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.asked.append(self.rfile.readline().decode().split()[:2])
        while self.rfile.readline().strip():
            pass
        if self.server.port is None:
            self.wfile.write(f"HTTP/1.1 {self.server.answer}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(there, self.connection), daemon=True)
            back.start()
            pump(self.connection, there)
            back.join()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return (certificate, key) of a server that is every endpoint of the table."""
    need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    names = ",".join(f"DNS:{api}" for _, api in ENDPOINTS)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"]
        + ["-keyout", folder / "key", "-out", folder / "cert"],
        check=True,
        capture_output=True,
    )
    return str(folder / "cert"), str(folder / "key")


@pytest.fixture
def keys(env):
    """A static key, and the network as it is: no endpoint is overridden."""
    env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
    env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY-static"
    env["AWS_MAX_ATTEMPTS"] = "1"


@pytest.mark.server
@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("host", "api"), ENDPOINTS, ids=[host for host, _ in ENDPOINTS])
def test_the_endpoint_is_that_of_the_host(env, helper, certificate, host, api):
    """FIPS host to FIPS endpoint, dual-stack to dual-stack, in the host's region and partition.

    Seen twice: in what a proxy is asked to connect to, and in the request that arrives there.
    """
    env["AWS_CA_BUNDLE"] = certificate[0]
    with FakeAWS(tls=certificate) as server, Proxy(server.port) as proxy:
        env["HTTPS_PROXY"] = proxy.url

        secret = helper.get(host).secret

        assert proxy.asked == [["CONNECT", f"{api}:443"]]
        [call] = server.calls
        assert call.host == api
        assert call.region == server.issued[secret][1]
        assert f".{call.region}." in api


@pytest.mark.parametrize(
    "region",
    [
        *("us-east-1", "eu-central-1", "ap-southeast-7", "us-gov-west-1", "us-gov-east-1"),
        *("cn-north-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1"),
        *("us-isof-south-1", "us-nowhere-1"),
    ],
)
def test_the_lean_session_resolves_as_botocores_own(region):
    """What is left out to be fast changes no endpoint: requests go where botocore's own go."""

    def requested(of, service, operation, fips, dual_stack):
        seen = []

        def send(request, **_):
            seen.append(request.url)
            return botocore.awsrequest.AWSResponse(request.url, 500, {}, None)

        try:
            client = of.create_client(
                service,
                region_name=region,
                aws_access_key_id="AKIATEST",
                aws_secret_access_key="SECRET-CANARY",
                config=botocore.config.Config(
                    use_fips_endpoint=fips or None,
                    use_dualstack_endpoint=dual_stack or None,
                    retries={"total_max_attempts": 1},
                ),
            )
            client.meta.events.register("before-send", send)
            with contextlib.suppress(Exception):
                getattr(client, operation)()
        except botocore.exceptions.EndpointVariantError:
            return None  # botocore's older tables know no such endpoint, its rule sets do
        return seen

    ours = session.load(None)
    stock = botocore.session.Session()
    services = {"ecr": "get_authorization_token", "sts": "get_caller_identity"}
    if region == "us-east-1":
        services["ecr-public"] = "get_authorization_token"
    for service, operation in services.items():
        for fips in (False, True):
            for dual_stack in (False, True):
                how = (service, operation, fips, dual_stack)
                assert requested(stock, *how) in (None, requested(ours, *how))


def test_an_endpoint_of_the_users_own_is_called(aws, helper, home, env):
    """AWS_ENDPOINT_URL_ECR, a profile's endpoint_url and a rule's are each where the call goes."""
    del env["AWS_ENDPOINT_URL"]
    for number in range(3):
        host = HOST.replace("us-east-1", f"us-east-{number + 1}")
        changes = {}
        if number == 0:
            changes["AWS_ENDPOINT_URL_ECR"] = aws.url
        elif number == 1:
            (home / ".aws").mkdir()
            (home / ".aws" / "config").write_text(f"[default]\nendpoint_url = {aws.url}\n")
        else:
            (home / ".aws" / "config").unlink()
            changes["AWS_ECR_CONFIG_FILE"] = str(home / "config.toml")
            (home / "config.toml").write_text(
                f'[[registry]]\nmatch = "{host}"\nendpoint_url = "{aws.url}"\n'
            )
        assert helper.get(host, env=changes).secret in aws.issued
        assert aws.count(CALL) == number + 1


# What can go wrong. Each sets it up and returns what the executable is run with, if anything.


def no_credentials(env, home, aws):
    without_keys(env)


def sso(env, home, *, expires=None, legacy=False):
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


def sso_expired(env, home, aws):
    sso(env, home, expires="2020-01-01T00:00:00Z")


def sso_expired_older_form(env, home, aws):
    sso(env, home, expires="2020-01-01T00:00:00Z", legacy=True)


def sso_never_opened(env, home, aws):
    sso(env, home)


def sso_expired_behind_a_role(env, home, aws):
    sso(env, home, expires="2020-01-01T00:00:00Z")
    env["AWS_PROFILE"] = "app"
    with (home / ".aws" / "config").open("a") as file:
        file.write(f"[profile app]\nrole_arn = {ROLE}\nsource_profile = dev\n")


def sso_expired_of_a_rule(env, home, aws):
    sso(env, home, expires="2020-01-01T00:00:00Z")
    del env["AWS_PROFILE"]
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nprofile = "dev"\n')


def sso_ended_at_aws(env, home, aws):
    sso(env, home, expires="2099-01-01T00:00:00Z")
    aws.fault("GetRoleCredentials", status=401, code="UnauthorizedException", message="CANARY")


def sso_without_the_role(env, home, aws):
    sso(env, home, expires="2099-01-01T00:00:00Z")
    aws.fault("GetRoleCredentials", status=403, code="ForbiddenException", message="CANARY")


def our_config(env, home, text):
    env["AWS_ECR_CONFIG_FILE"] = write(home / "config.toml", text)


def no_such_profile(env, home, aws):
    env["AWS_PROFILE"] = "nope"


def no_such_profile_of_a_rule(env, home, aws):
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nprofile = "nope"\n')


def no_such_source_profile(env, home, aws):
    without_keys(env)
    write(home / ".aws" / "config", f"[default]\nrole_arn = {ROLE}\nsource_profile = nope\n")


def denied(env, home, aws):
    aws.fault(CALL, code="AccessDeniedException", message="CANARY")


def denied_public(env, home, aws):
    aws.fault(PUBLIC_CALL, code="AccessDeniedException", message="CANARY")
    return {"host": PUBLIC}


def role_of_a_profile(env, home):
    without_keys(env)
    env["AWS_PROFILE"] = "app"
    write(
        home / ".aws" / "config",
        f"[profile app]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
    )


def role_denied(env, home, aws):
    role_of_a_profile(env, home)
    aws.fault("AssumeRole", status=403, code="AccessDenied", message="CANARY")


def role_of_a_rule_denied(env, home, aws):
    our_config(env, home, f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\n')
    aws.fault("AssumeRole", status=403, code="AccessDenied", message="CANARY")


def role_that_is_none(env, home, aws):
    role_of_a_profile(env, home)
    text = (home / ".aws" / "config").read_text()
    (home / ".aws" / "config").write_text(text.replace(ROLE, "puller"))


def web_identity(env, home):
    without_keys(env)
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")


def web_identity_denied(env, home, aws):
    web_identity(env, home)
    aws.fault("AssumeRoleWithWebIdentity", status=403, code="AccessDenied", message="CANARY")


def web_identity_invalid(env, home, aws):
    web_identity(env, home)
    aws.fault("AssumeRoleWithWebIdentity", code="InvalidIdentityToken", message="CANARY")


def web_identity_without_its_file(env, home, aws):
    web_identity(env, home)
    (home / "token").unlink()


def keys_expired(env, home, aws):
    env["AWS_SESSION_TOKEN"] = "SESSION-CANARY"
    aws.fault(CALL, code="ExpiredTokenException", message="CANARY")


def keys_unknown(env, home, aws):
    aws.fault(CALL, code="UnrecognizedClientException", message="CANARY")


def keys_wrong(env, home, aws):
    aws.fault(CALL, code="InvalidSignatureException", message="The signature does not match CANARY")


def keys_half(env, home, aws):
    del env["AWS_SECRET_ACCESS_KEY"]


def clock_slow(env, home, aws):
    message = "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z CANARY"
    aws.fault(CALL, code="InvalidSignatureException", message=message)


def clock_fast(env, home, aws):
    message = "Signature not yet current: 20260101T020000Z is still later than CANARY"
    aws.fault(CALL, code="InvalidSignatureException", message=message)


def clock_off(env, home, aws):
    aws.fault(CALL, status=403, code="RequestTimeTooSkewed", message="CANARY")


def no_network():
    return {"wrap": in_namespaces("--net")}


def no_route(env, home, aws):
    env["AWS_ENDPOINT_URL"] = "http://192.0.2.1:8080"  # RFC 5737: nobody's
    return no_network()


def no_name(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    return no_network()


def packets_are_lost(env, home, aws):
    """A port whose queue is full answers no connection, as a firewall that drops."""
    stack = contextlib.ExitStack()
    port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)).getsockname()[1]
    for _ in range(4):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)  # noqa: FBT003 - the name is the function's
        client.connect_ex(("127.0.0.1", port))
    env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    return stack


def nobody_listens(env, home, aws):
    env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"


def proxy_down(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    env["HTTPS_PROXY"] = "http://user:PROXY-CANARY@127.0.0.1:1"


def proxy_refuses(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    return Proxy(answer="403 Forbidden CANARY")


def proxy_wants_a_user(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    return Proxy(answer="407 Proxy Authentication Required")


def tls_unknown(env, home, aws):
    certificate = home / "cert"
    need("openssl")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", home / "key", "-out", certificate],
        check=True,
        capture_output=True,
    )
    server = FakeAWS(tls=(str(certificate), str(home / "key")))
    env["AWS_ENDPOINT_URL"] = server.url
    return server


def tls_of_something_else(env, home, aws):
    env["AWS_ENDPOINT_URL"] = aws.url.replace("http:", "https:")


def ca_bundle_missing(env, home, aws):
    env["AWS_ENDPOINT_URL"] = aws.url.replace("http:", "https:")
    env["AWS_CA_BUNDLE"] = str(home / "nothing.pem")


def throttled(env, home, aws):
    env["AWS_ECR_TIMEOUT"] = "4"
    aws.fault(CALL, code="ThrottlingException", message="CANARY")


def server_error(env, home, aws):
    aws.fault(CALL, status=500, code="ServerException", message="CANARY")


def dropped(env, home, aws):
    aws.fault(CALL, drop=True)


def hanging(env, home, aws):
    env["AWS_ECR_TIMEOUT"] = "4"
    aws.fault(CALL, hang=True)


def hanging_process(env, home, aws):
    without_keys(env)
    env["AWS_ECR_TIMEOUT"] = "4"
    write(home / ".aws" / "config", "[default]\ncredential_process = sleep 20\n")


def a_failing_process(env, home, aws):
    without_keys(env)
    script = write(home / "process.py", "import sys\nprint('CANARY')\nsys.exit('CANARY')\n")
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")


def a_babbling_process(env, home, aws):
    a_failing_process(env, home, aws)
    write(home / "process.py", "print('CANARY')\n")


def a_process_that_is_not_there(env, home, aws):
    without_keys(env)
    write(home / ".aws" / "config", "[default]\ncredential_process = /no/such/process CANARY\n")


def imds_without_tokens(env, home, aws):
    without_keys(env)
    del env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_V1_DISABLED"] = "true"
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    aws.fault("MetadataToken", status=403)


def container_refuses(env, home, aws):
    without_keys(env)
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CONTAINER-CANARY"
    aws.fault("ContainerCredentials", status=403, body=b'{"message": "CANARY"}')


def aws_config_broken(env, home, aws):
    write(home / ".aws" / "config", "[default\nCANARY\n")


def our_config_broken(env, home, aws):
    our_config(env, home, 'CANARY = "\n')


def timeout_broken(env, home, aws):
    env["AWS_ECR_TIMEOUT"] = "soon"


def timeout_too_long(env, home, aws):
    env["AWS_ECR_TIMEOUT"] = "601"


def retry_mode_broken(env, home, aws):
    env["AWS_RETRY_MODE"] = "CANARY"


def login_session(env, home, aws):
    without_keys(env)
    env["AWS_PROFILE"] = "dev"
    write(
        home / ".aws" / "config",
        "[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/me\nregion = us-east-1\n",
    )


def fips_with_an_endpoint(env, home, aws):
    return {"host": FIPS_HOST}


def fips_with_an_endpoint_for_ecr(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    env["AWS_ENDPOINT_URL_ECR"] = "https://user:CANARY@ecr.example.com/fips?CANARY"
    return {"host": FIPS_HOST}


def fips_with_an_endpoint_of_a_profile(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    write(home / ".aws" / "config", f"[default]\nendpoint_url = {aws.url}\n")
    return {"host": FIPS_HOST}


def fips_with_an_endpoint_of_a_rule(env, home, aws):
    del env["AWS_ENDPOINT_URL"]
    our_config(env, home, f'[[registry]]\nmatch = "{FIPS_HOST}"\nendpoint_url = "{aws.url}"\n')
    return {"host": FIPS_HOST}


def fips_dual_stack_with_an_endpoint(env, home, aws):
    return {"host": f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws"}


TRYING = 'cannot get a token for "{host}": '
LOGIN = "run: aws sso login --profile dev"
# What is wrong; what the reason says, with TRYING before it unless it starts with a dash, or after
# an operand if it starts with a tilde; and what a hint says, in full if it starts with an equals.
FAILURES = [
    (no_credentials, '-no AWS credentials for "{host}"', "run: aws configure"),
    (sso_expired, 'the SSO session of profile "dev" has expired', f"={LOGIN}"),
    (sso_expired_older_form, 'the SSO session of profile "dev" has expired', f"={LOGIN}"),
    (sso_never_opened, 'the SSO session of profile "dev" has expired or was never', f"={LOGIN}"),
    (sso_expired_behind_a_role, "the SSO session", f"={LOGIN}"),
    (sso_expired_of_a_rule, 'the SSO session of profile "dev"', f"={LOGIN}"),
    (sso_ended_at_aws, "the SSO session", f"={LOGIN}"),
    (sso_without_the_role, "the SSO session", f"={LOGIN}"),
    (no_such_profile, 'there is no AWS profile "nope"', "aws configure list-profiles"),
    (no_such_profile_of_a_rule, 'there is no AWS profile "nope"', "aws configure --profile nope"),
    (no_such_source_profile, "the AWS configuration", "run: aws configure list"),
    (denied, "access denied to GetAuthorizationToken", "allow ecr:GetAuthorizationToken"),
    (denied_public, "access denied to GetAuthorizationToken", "sts:GetServiceBearerToken"),
    (role_denied, f'the role "{ROLE}" cannot be assumed', "allow sts:AssumeRole in"),
    (role_of_a_rule_denied, f'the role "{ROLE}" cannot be assumed', "allow sts:AssumeRole in"),
    (role_that_is_none, 'a setting of the role "puller" is not valid', "check role_arn"),
    (
        web_identity_denied,
        f'the role "{ROLE}" cannot be assumed',
        "allow sts:AssumeRoleWithWebIdentity in",
    ),
    (web_identity_invalid, f'the role "{ROLE}" cannot be assumed', "the identity token"),
    (web_identity_without_its_file, '"/', "AWS_WEB_IDENTITY_TOKEN_FILE"),
    (keys_expired, "the AWS credentials have expired", "get new ones"),
    (keys_unknown, "AWS does not accept the access key", "aws sts get-caller-identity"),
    (keys_wrong, "AWS does not accept the access key", "aws sts get-caller-identity"),
    (keys_half, "the credentials are incomplete", "AWS_SECRET_ACCESS_KEY"),
    (clock_slow, "AWS refused the time of the request", "set this machine's clock"),
    (clock_fast, "AWS refused the time of the request", "set this machine's clock"),
    (clock_off, "AWS refused the time of the request", "set this machine's clock"),
    (no_route, '"192.0.2.1:8080" cannot be reached', "check the route"),
    (no_name, 'the name "api.ecr.us-east-1.amazonaws.com" cannot be resolved', "check DNS"),
    (packets_are_lost, "~did not answer in time", "needs VPC endpoints"),
    (nobody_listens, '"127.0.0.1:1" refused the connection', "VPC endpoints"),
    (proxy_down, 'the proxy "127.0.0.1:1" refused', "check HTTPS_PROXY"),
    (proxy_refuses, "the proxy", "check HTTPS_PROXY"),
    (proxy_wants_a_user, "the proxy", "check HTTPS_PROXY"),
    (tls_unknown, "TLS with", "AWS_CA_BUNDLE"),
    (tls_of_something_else, "TLS with", "AWS_CA_BUNDLE"),
    (ca_bundle_missing, "", "AWS_CA_BUNDLE"),
    (throttled, "AWS throttles this account's calls", "try again in a minute"),
    (server_error, "GetAuthorizationToken failed with status 500", "try again in a minute"),
    (dropped, "the connection to", "try again"),
    (hanging, '-no answer for "{host}" within 4 s, while calling "127.0.0.1:', "AWS_ECR_TIMEOUT"),
    (hanging_process, '-no answer for "{host}" within 4 s, while looking for', "AWS_ECR_TIMEOUT"),
    (a_failing_process, 'the credential source "custom-process"', "credential_process by hand"),
    (
        a_babbling_process,
        "what a credential source gave cannot be read",
        "credential_process by hand",
    ),
    (a_process_that_is_not_there, '"/no/such/process": no such file', "credential_process"),
    (
        container_refuses,
        "the container's credential endpoint refused",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    (imds_without_tokens, "the instance metadata service", "--http-put-response-hop-limit 2"),
    (aws_config_broken, "the AWS configuration", "run: aws configure list"),
    (our_config_broken, "-", "correct that line"),
    (timeout_broken, "-AWS_ECR_TIMEOUT is not a number", "unset AWS_ECR_TIMEOUT"),
    (timeout_too_long, "-AWS_ECR_TIMEOUT is not a number", "unset AWS_ECR_TIMEOUT"),
    (retry_mode_broken, '"InvalidRetryModeError"', "run: aws ecr get-login-password"),
    (login_session, "a login session", "botocore[crt]"),
    (fips_with_an_endpoint, '-"{host}" is a FIPS registry', "unset AWS_ENDPOINT_URL"),
    (
        fips_with_an_endpoint_for_ecr,
        '-"{host}" is a FIPS registry, but the configured endpoint "ecr.example.com" is not',
        "unset AWS_ENDPOINT_URL",
    ),
    (fips_with_an_endpoint_of_a_profile, '-"{host}" is a FIPS registry', "endpoint_url"),
    (fips_with_an_endpoint_of_a_rule, '-"{host}" is a FIPS registry', "endpoint_url"),
    (fips_dual_stack_with_an_endpoint, '-"{host}" is a FIPS registry', "endpoint_url"),
]


def check(answer, reason, hint, cache):
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
    if hint.startswith("="):
        assert hint[1:] in actions
    else:
        assert hint in " | ".join(actions)
    assert "Traceback" not in answer.stderr
    assert "CANARY" not in answer.stdout + answer.stderr
    assert not any(path.is_file() for path in cache.glob("[!.]*/*"))


@pytest.mark.parametrize("failure", FAILURES, ids=[fail.__name__ for fail, *_ in FAILURES])
def test_a_failure_says_what_to_do(aws, helper, home, cache, failure):
    """The registry, what was tried, and an action; no trace, no body, no secret; nothing kept."""
    fail, reason, hint = failure
    env = helper.env
    env["AWS_MAX_ATTEMPTS"] = "1"
    made = fail(env, home, aws)
    how = made if isinstance(made, dict) else {}
    host = how.setdefault("host", HOST)
    with contextlib.ExitStack() as stack:
        if made is not None and made is not how:
            stack.enter_context(made)
            if isinstance(made, Proxy):
                env["HTTPS_PROXY"] = made.url

        answer = helper.get(**how)

    whole = reason[1:] if reason[:1] in ("-", "~") else TRYING + reason
    check(answer, whole.format(host=host), hint, cache)
    assert how["host"] != FIPS_HOST or aws.requests == 0


def data(**changes):
    """Return a reply of GetAuthorizationToken, with changes."""
    token = base64.b64encode(b"AWS:c2VjcmV0CANARY").decode()
    entry = {
        "authorizationToken": token,
        "expiresAt": 4102444800,  # 2100
        "proxyEndpoint": f"https://{HOST}",
        **changes,
    }
    return {name: value for name, value in entry.items() if value is not None}


def reply(*entries):
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
def test_a_reply_that_is_not_ecrs(aws, helper, cache, reply_):
    """What the service returned is checked before it leaves: none of it is passed on or shown."""
    _, body, problem = reply_
    aws.fault(CALL, body=body)

    answer = helper.get(env={"AWS_MAX_ATTEMPTS": "1"})

    hint = "set this machine's clock" if "expired" in problem else "check what AWS_ENDPOINT_URL"
    check(answer, problem, hint, cache)
    assert HOST in answer.stdout


@pytest.mark.parametrize("endpoint", [None, "", f"https://{HOST}", "https://vpce.example.com"])
def test_a_reply_with_another_endpoint(aws, helper, endpoint):
    """ECR's proxy endpoint is checked where it names a registry, and else does not matter."""
    aws.fault(CALL, body=reply(data(proxyEndpoint=endpoint)))

    assert helper.get().secret == "c2VjcmV0CANARY"


def test_a_token_that_ends_sooner(aws, helper, cache):
    """A token of less than 12 hours is kept for as long as it lives."""
    aws.token_life = 1800
    helper.get()

    [entry] = (cache / HOST).iterdir()
    times = dict(line.split(" ") for line in entry.read_text().splitlines()[2:6])
    life = int(times["expires"]) - int(times["issued"])
    assert 1700 < life <= 1800
    assert int(times["refresh"]) < int(times["renew"]) < int(times["expires"])


def test_a_token_that_claims_to_live_for_ever(aws, helper, cache):
    """A longer life than ECR gives is not believed."""
    aws.token_life = 1000 * 3600
    helper.get()

    [entry] = (cache / HOST).iterdir()
    times = dict(line.split(" ") for line in entry.read_text().splitlines()[2:6])
    assert int(times["expires"]) - int(times["issued"]) == 12 * 3600


def test_throttling_that_passes(aws, env, helper):
    """A burst of throttling is waited out, within the time-out."""
    env["AWS_MAX_ATTEMPTS"] = "1"
    aws.fault(CALL, code="ThrottlingException", times=2)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 3


def test_a_server_error_that_passes(aws, helper):
    """What fails once at the service is tried again."""
    aws.fault(CALL, status=500, code="ServerException", times=1)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2


def test_what_will_not_heal_is_not_tried_again(aws, helper):
    """A refusal costs one call: BuildKit repeats a failing get by itself, many times."""
    aws.fault(CALL, code="AccessDeniedException")

    assert helper.get().status == 1
    assert aws.count(CALL) == 1


def test_an_error_code_that_is_new(aws, helper, cache):
    """A code that nobody has met is named, its message is not."""
    aws.fault(CALL, code="SomethingNew", message="CANARY")

    check(helper.get(), "AWS refused GetAuthorizationToken (SomethingNew)", "run: aws ecr", cache)


def test_what_is_issued_is_not_shown(capsys):
    """The repr of what AWS issued names its source and holds no secret."""
    issued = request.Issued("CANARY", 0, credentials_end=None, source="env", conditions=())

    assert repr(issued) == "<Issued by way of 'env'>"
