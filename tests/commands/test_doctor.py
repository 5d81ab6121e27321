"""doctor: twelve broken set-ups, each found by name, with the hint that mends it."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from fake_aws import FakeAWS
from kit import (
    EXECUTABLE,
    HOST,
    ROLE,
    Helper,
    as_user,
    failing,
    login,
    need,
    need_root,
    self_signed,
    without,
    without_keys,
    write,
)
from loopback import Handler, Server
from proxy import Proxy

from docker_credential_ecr import __version__

OTHER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
NAMES = [
    *("executable", "docker", "auths", "config", "variables", "fallback"),
    *("registry name", "credentials"),
    *("cache", "log", "endpoint", "proxy", "clock", "identity", "token", "registry"),
]


NO_HTTP = -1  # in place of a status


class Registry(Server):
    """A registry of one path: ``/v2/``, for whoever brings a token that the loopback AWS issued."""

    def __init__(self, aws: FakeAWS, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.aws = aws
        self.status = 0  # answered in place of its own, if any
        self.speak_tls(str(folder / "cert"), str(folder / "key"))

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(Handler):
    server: Registry

    def do_GET(self) -> None:
        basic = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(basic).decode().partition(":")
        accepted = user == "AWS" and password in self.server.aws.issued
        status = self.server.status or (200 if accepted else 401)
        if status == NO_HTTP:
            self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
            return
        elsewhere = {"Location": "https://elsewhere.example.com/"} if status == 302 else {}
        self.send(status, b"", headers=elsewhere)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the names of the registries, which is its own authority."""
    folder = tmp_path_factory.mktemp("certificate")
    self_signed(folder, f"DNS:{HOST}", f"DNS:{OTHER}", "DNS:images.example.com")
    return folder


@pytest.fixture
def registry(aws: FakeAWS, certificate: Path) -> Iterator[Registry]:
    with Registry(aws, certificate) as server:
        yield server


@pytest.fixture
def tunnel(registry: Registry) -> Iterator[Proxy]:
    """A proxy that takes every host to the registry: the names of ECR are not on this machine."""
    with Proxy(registry.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def config(home: Path) -> Path:
    path = home / ".docker" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"credHelpers": {HOST: "ecr"}}))
    return path


@pytest.fixture
def whole(
    helper: Helper, env: dict[str, str], config: Path, certificate: Path, tunnel: Proxy
) -> Helper:
    """A set-up in which nothing is wrong, but that the loopback AWS is an endpoint setting."""
    env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    env["SSL_CERT_FILE"] = str(certificate / "cert")
    env["HTTPS_PROXY"] = tunnel.url
    return helper


class Report:
    """What doctor said, by the name of the check."""

    def __init__(self, helper: Helper, *arguments: str, wrap: tuple[str, ...] = ()) -> None:
        done = helper("doctor", "--json", *arguments, wrap=wrap)
        assert done.stderr == ""
        self.status = done.status
        self.text = done.stdout
        self.json = json.loads(done.stdout)
        self.checks = {check["name"]: check for check in self.json["checks"]}
        assert self.json["ok"] is (done.status == 0)

    def states(self, *states: str) -> list[str]:
        return [check["name"] for check in self.json["checks"] if check["state"] in states]

    def expect(self, name: str, state: str, message: str, hint: str) -> None:
        check = self.checks[name]
        assert check["state"] == state, self.text
        assert message in check["message"], self.text
        assert any(hint in one for one in check["hints"]), self.text


def test_nothing_is_wrong(whole: Helper, aws: FakeAWS, tunnel: Proxy) -> None:
    """A set-up that works is ok from end to end, and every check is there in its order."""
    report = Report(whole)
    assert report.status == 0, report.text
    assert [check["name"] for check in report.json["checks"]] == NAMES
    assert report.states("error", "skipped") == []
    assert report.states("warning") == ["endpoint"]
    assert (report.json["registry"], report.json["version"]) == (HOST, __version__)
    assert tunnel.asked == [f"{HOST}:443"]
    assert report.checks["credentials"]["message"] == "from the environment variables"
    assert aws.count("GetAuthorizationToken") == 1


def test_people_read_it_too(whole: Helper) -> None:
    """Without --json, each finding is a line, its hints below; no colour where no terminal is."""
    done = whole("doctor", HOST)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("  ")]
    assert [line[9:].partition(":")[0] for line in lines] == NAMES
    assert lines[0] == f'ok       executable: "{EXECUTABLE}", version {__version__}'
    assert "         hint: if that is not meant: unset AWS_ENDPOINT_URL\n" in done.stdout
    assert "\033" not in done.stdout
    assert (done.status, done.stderr) == (0, "")


def test_no_key_and_no_token_is_shown(whole: Helper, aws: FakeAWS) -> None:
    """Neither the report nor the JSON holds a key, a token or a password."""
    for arguments in (("doctor",), ("doctor", "--json")):
        done = whole(*arguments)
        assert "CANARY" not in done.stdout + done.stderr
        assert "SECRET" not in done.stdout + done.stderr
        for secret in aws.issued:
            assert secret not in done.stdout
            assert base64.b64encode(f"AWS:{secret}".encode()).decode() not in done.stdout


def test_offline_asks_nobody(whole: Helper, aws: FakeAWS, tunnel: Proxy) -> None:
    """--offline makes no request, and says what it left out."""
    report = Report(whole, "--offline")
    assert report.status == 0
    assert report.states("skipped") == ["clock", "identity", "token", "registry"]
    assert (aws.requests, tunnel.asked) == (0, [])


def test_offline_asks_no_metadata(whole: Helper, aws: FakeAWS, env: dict[str, str]) -> None:
    """--offline does not even ask the instance metadata for credentials."""
    env["AWS_EC2_METADATA_DISABLED"] = "false"
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    report = Report(whole, "--offline")
    assert aws.requests == 0
    assert "credentials" in report.states("skipped")
    report = Report(whole)
    assert report.checks["credentials"]["message"] == "from the instance's role"
    assert report.status == 0, report.text


# The twelve set-ups of which people report that pulls fail.


def test_1_missing_cred_helpers(whole: Helper, config: Path) -> None:
    """Docker does not ask us: no entry, another registry's, no file, or another helper."""
    for text in ('{"credHelpers": {}}', f'{{"credHelpers": {{"{OTHER}": "ecr"}}}}', None):
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text)
        report = Report(whole, HOST)
        assert report.states("error") == ["docker"]
        message = f'Docker does not ask this helper for "{HOST}"'
        report.expect("docker", "error", message, f"run: docker-credential-ecr configure {HOST}")
    config.write_text(json.dumps({"credHelpers": {HOST: "ecr-login"}}))
    message = f'Docker asks another helper for "{HOST}": "ecr-login"'
    Report(whole, HOST).expect(
        "docker", "error", message, f"docker-credential-ecr configure {HOST}"
    )
    config.write_text("{}")
    message = "Docker asks this helper for no registry"
    Report(whole, "--offline").expect("docker", "error", message, "docker-credential-ecr configure")


def test_2_helper_not_on_path(whole: Helper, env: dict[str, str]) -> None:
    """Docker does not find the executable."""
    env["PATH"] = "/usr/bin:/bin"
    report = Report(whole)
    assert report.states("error") == ["executable"]
    hint = f'export PATH="{EXECUTABLE.parent}:$PATH"'
    report.expect("executable", "error", '"docker-credential-ecr" is not on PATH', hint)


def test_3_wrong_profile(whole: Helper, env: dict[str, str]) -> None:
    """The profile that is asked for does not exist."""
    env["AWS_PROFILE"] = "nowhere"
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    report = Report(whole)
    assert report.states("error") == ["credentials"]
    report.expect("credentials", "error", 'no AWS profile "nowhere"', "aws configure list-profiles")


def test_3_wrong_profile_of_a_rule(whole: Helper, home: Path) -> None:
    """The profile that a rule names does not exist."""
    path = home / ".config" / "docker-credential-ecr" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nprofile = "nowhere"\n')
    report = Report(whole)
    assert "rule 1 answers" in report.checks["config"]["message"]
    assert "profile=nowhere" in report.checks["config"]["message"]
    report.expect("credentials", "error", 'no AWS profile "nowhere"', "aws configure list-profiles")


def test_4_expired_sso(whole: Helper, env: dict[str, str], home: Path) -> None:
    """The SSO session is over: the hint is the very command for that profile."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\n"
        "sso_role_name = puller\n[sso-session corp]\nsso_region = us-east-1\n"
        "sso_start_url = https://corp.awsapps.com/start\n"
    )
    env["AWS_PROFILE"] = "work"
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    report = Report(whole)
    assert report.states("error") == ["credentials"]
    report.expect("credentials", "error", "SSO session", "run: aws sso login --profile work")


def test_5_denied(whole: Helper, aws: FakeAWS) -> None:
    """The identity may not fetch tokens: the action that is missing is named."""
    aws.fault("GetAuthorizationToken", status=400, code="AccessDeniedException")
    report = Report(whole)
    assert report.states("error") == ["token"]
    assert "user/AKIATEST" in report.checks["identity"]["message"]
    report.expect("token", "error", "access denied", "ecr:GetAuthorizationToken")
    assert report.checks["registry"]["state"] == "skipped"


def test_6_endpoint_override(whole: Helper, env: dict[str, str], aws: FakeAWS) -> None:
    """A left-over endpoint setting leads nowhere, or to somebody else: the variable is named."""
    env["AWS_ENDPOINT_URL_STS"] = aws.url
    env["AWS_ENDPOINT_URL_ECR"] = "http://127.0.0.1:9"
    report = Report(whole)
    message = '"127.0.0.1:9" cannot be reached: connection refused'
    report.expect("endpoint", "error", message, "unset AWS_ENDPOINT_URL_ECR")
    env["AWS_ENDPOINT_URL_ECR"] = aws.url
    aws.fault("GetAuthorizationToken", body=b"<html>hello</html>")
    report = Report(whole)
    report.expect("endpoint", "warning", aws.url[7:], "unset AWS_ENDPOINT_URL_ECR")
    report.expect("token", "error", "the reply", "AWS_ENDPOINT_URL_ECR")


def test_6_endpoint_override_in_files(
    whole: Helper, env: dict[str, str], aws: FakeAWS, home: Path
) -> None:
    """An endpoint setting of a rule, or of the AWS config file, is named as such."""
    del env["AWS_ENDPOINT_URL"]
    env["AWS_ENDPOINT_URL_STS"] = aws.url
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(f"[default]\nendpoint_url = {aws.url}\n")
    Report(whole).expect("endpoint", "warning", aws.url[7:], "AWS config file")
    path = home / "rules.toml"
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nendpoint_url = "{aws.url}"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    Report(whole).expect("endpoint", "warning", aws.url[7:], "the rule in config.toml")


def test_7_proxy_down(whole: Helper, env: dict[str, str]) -> None:
    """The proxy does not answer: the variable is named, the password in it is not."""
    env["HTTP_PROXY"] = "http://user:CANARY@127.0.0.1:9"
    report = Report(whole)
    message = 'the proxy "127.0.0.1:9" of HTTP_PROXY does not answer: connection refused'
    report.expect("proxy", "error", message, "NO_PROXY=")
    assert "CANARY" not in report.text
    report = Report(whole, "--offline")
    assert report.checks["proxy"]["message"] == '"127.0.0.1:9", by HTTP_PROXY'
    env["NO_PROXY"] = "127.0.0.1"
    report = Report(whole)
    assert report.checks["proxy"]["message"] == "none for this endpoint"
    assert report.status == 0, report.text


@pytest.mark.parametrize(("offset", "side"), [("+1h", "fast"), ("-1h", "slow")])
def test_8_clock_off(whole: Helper, offset: str, side: str) -> None:
    """The clock of this machine is an hour off."""
    report = Report(whole, wrap=(need("faketime"), "-f", offset))
    message = rf"this machine's clock is (59|60) min {side}"
    assert re.match(message, report.checks["clock"]["message"]), report.text
    report.expect("clock", "error", "AWS refuses requests", "timedatectl set-ntp true")


def test_8_clock_off_by_two_minutes(whole: Helper) -> None:
    """A clock that AWS still bears with is a warning."""
    report = Report(whole, wrap=(need("faketime"), "-f", "+130s"))
    report.expect("clock", "warning", "clock is 2 min fast", "timedatectl")
    assert report.status == 0, report.text


def test_9_bad_config(whole: Helper, home: Path) -> None:
    """Our own file cannot be used: file, key and what is allowed are named."""
    path = home / ".config" / "docker-credential-ecr" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nprofil = "x"\n')
    report = Report(whole)
    message = f'"{path}": [[registry]] number 1 has an unknown key "profil"'
    report.expect("config", "error", message, "allowed there: match, profile")
    path.write_text("[[registry]\n")
    Report(whole).expect("config", "error", "is not valid TOML at line 1", "correct that line")


def test_10_cache_world_readable(whole: Helper, cache: Path) -> None:
    """Others may read the tokens: the directory is named, with the command that closes it."""
    assert whole.get().status == 0
    (entry,) = (cache / HOST).iterdir()
    for path in (entry, cache / HOST, cache):
        mode = path.stat().st_mode
        path.chmod(mode | 0o044)
        report = Report(whole, "--offline")
        assert report.states("error") == ["cache"]
        message = f'"{path}" can be read'
        report.expect("cache", "error", message, f"run: chmod -R go= '{cache}'")
        path.chmod(mode)
    assert Report(whole, "--offline").status == 0


def test_11_shadowing_auths(whole: Helper, config: Path) -> None:
    """A login beside the helper: clients that do not know helpers use it, and it ends."""
    config.write_text(
        json.dumps(
            {"credHelpers": {HOST: "ecr"}, "auths": {f"https://{HOST}": {"auth": "Q0FOQVJZ"}}}
        )
    )
    report = Report(whole)
    message = f'auths has a login of its own for "https://{HOST}"'
    report.expect("auths", "warning", message, f"run: docker logout https://{HOST}")
    assert "Q0FOQVJZ" not in report.text
    assert report.status == 0, report.text


@pytest.mark.parametrize("status", [401, 403])
def test_12_registry_refuses(whole: Helper, registry: Registry, status: int) -> None:
    """AWS gave a token, and the registry does not take it."""
    registry.status = status
    report = Report(whole)
    assert report.states("error") == ["registry"]
    message = f'"{HOST}" refuses the token, with status {status}'
    report.expect("registry", "error", message, f"docker-credential-ecr refresh {HOST}")


# Beside the twelve.


def test_a_login_in_the_way(whole: Helper) -> None:
    """A stale docker login wins over our token: what removes it is named."""
    assert whole("store", stdin=login("stale")).status == 0
    report = Report(whole)
    report.expect("token", "warning", "a login of your own answers", f"docker logout {HOST}")
    report.expect("registry", "error", "refuses the token, with status 401", "")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_something_else_answers(whole: Helper, registry: Registry, status: int) -> None:
    """What stands in front of the registry is no registry; the token follows no redirect."""
    registry.status = status
    message = f"does not answer as a registry, with status {status}"
    Report(whole).expect("registry", "error", message, "check what stands in front of it")


def test_what_answers_speaks_no_http(whole: Helper, registry: Registry) -> None:
    """What is no HTTP at all is said in the library's one word for it, without what it said."""
    registry.status = NO_HTTP
    report = Report(whole)
    message = f'"{HOST}" cannot be reached: badstatusline'
    report.expect("registry", "error", message, "check DNS and the route")
    assert "OpenSSH" not in report.text


def test_the_registry_is_not_reached(whole: Helper, env: dict[str, str]) -> None:
    """DNS or the route fail at the registry only: the VPC endpoint it needs is named."""
    del env["HTTPS_PROXY"]
    report = Report(whole)
    message = f'"{HOST}" cannot be reached'
    report.expect("registry", "error", message, "com.amazonaws.us-east-1.ecr.dkr")


def test_an_unknown_authority(whole: Helper, env: dict[str, str]) -> None:
    """A registry whose certificate nobody vouches for is told from one that is not there."""
    del env["SSL_CERT_FILE"]
    assert "self-signed certificate" in Report(whole).checks["registry"]["message"]


def test_no_credentials(whole: Helper, env: dict[str, str]) -> None:
    """No AWS credentials anywhere."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    report = Report(whole)
    assert report.states("error") == ["credentials"]
    report.expect("credentials", "error", "no AWS credentials", "run: aws configure")
    report = Report(whole, "public.ecr.aws")
    assert report.checks["credentials"]["state"] == "warning"


def test_credentials_name_their_profile(whole: Helper, env: dict[str, str], home: Path) -> None:
    """Method and profile are shown, and the role that a rule then assumes."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = CANARY\n"
    )
    path = home / "rules.toml"
    role = "arn:aws:iam::123456789012:role/puller"
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nprofile = "prod"\nrole_arn = "{role}"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    report = Report(whole)
    assert report.status == 0, report.text
    assert report.checks["credentials"]["message"] == (
        f'from the shared credentials file, profile "prod", then the role "{role}"'
    )
    assert "user/AKIAPROD" in report.checks["identity"]["message"]
    assert "CANARY" not in report.text


def test_sts_is_not_reached(whole: Helper, aws: FakeAWS) -> None:
    """Where STS does not answer and ECR does, that is a warning: static keys need no STS."""
    aws.fault("GetCallerIdentity", status=503, code="ServiceUnavailable")
    report = Report(whole)
    assert report.checks["identity"]["state"] == "warning"
    assert report.status == 0, report.text


def test_sts_refuses(whole: Helper, aws: FakeAWS) -> None:
    """Where STS does not know the key, the reason stands under the identity."""
    aws.fault("GetCallerIdentity", status=403, code="InvalidClientTokenId")
    message = "AWS does not accept the access key"
    Report(whole).expect("identity", "error", message, "aws sts get-caller-identity")
    aws.clear()
    aws.fault("GetCallerIdentity", status=403, code="AccessDenied")
    message = "access denied to GetCallerIdentity"
    Report(whole).expect("identity", "error", message, "allow GetCallerIdentity")


def test_an_older_version_first_on_path(whole: Helper, env: dict[str, str], home: Path) -> None:
    """Another version that Docker finds first is named, and so is one that does not run."""
    path = home / "bin" / "docker-credential-ecr"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'docker-credential-ecr (docker_credential_ecr) 0.9.0'\n")
    path.chmod(0o755)
    env["PATH"] = f"{path.parent}:{env['PATH']}"
    message = f'"{path}" is version 0.9.0, this is {__version__}'
    Report(whole, "--offline").expect("executable", "warning", message, "export PATH=")
    path.write_text("#!/bin/sh\nexit 1\n")
    Report(whole, "--offline").expect("executable", "error", "does not run", "pip install")


def test_the_fallback_is_checked(
    whole: Helper, env: dict[str, str], home: Path, config: Path
) -> None:
    """A fallback that is not installed is an error; none, where Docker asks for all, a warning."""
    path = home / "rules.toml"
    path.write_text('[fallback]\nhelper = "nowhere"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    message = '"docker-credential-nowhere" is not on PATH'
    Report(whole, "--offline").expect("fallback", "error", message, "install")
    path.write_text("")
    config.write_text('{"credsStore": "ecr"}')
    report = Report(whole, HOST, "--offline")
    report.expect("fallback", "warning", "none answers for other hosts", "[fallback] helper")
    program = write(home / "bin" / "docker-credential-vault", "#!/bin/sh\n", 0o755)
    env["PATH"] = f"{home}/bin:{env['PATH']}"
    path.write_text('[fallback]\nhelper = "vault"\n')
    found = Report(whole, HOST, "--offline").checks["fallback"]
    assert (found["state"], found["message"]) == ("ok", f'"{program}" answers for other hosts')
    assert report.checks["docker"]["state"] == "ok"


def test_the_cache_is_checked(whole: Helper, env: dict[str, str], cache: Path, home: Path) -> None:
    """A cache that is switched off, in nobody's home, no directory, or another user's, is named."""
    env["AWS_ECR_DISABLE_CACHE"] = "1"
    message = "the cache is switched off"
    Report(whole, "--offline").expect("cache", "warning", message, "unset AWS_ECR_DISABLE_CACHE")
    del env["AWS_ECR_DISABLE_CACHE"]
    env["AWS_ECR_CACHE_DIR"] = "tokens"
    message = 'tokens are not kept: AWS_ECR_CACHE_DIR is not an absolute path: "tokens"'
    Report(whole, "--offline").expect("cache", "warning", message, "unset AWS_ECR_CACHE_DIR")
    del env["AWS_ECR_CACHE_DIR"]
    cache.parent.mkdir()
    cache.write_text("")
    Report(whole, "--offline").expect("cache", "error", "is not a directory", f"rm '{cache}'")
    cache.unlink()
    cache.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(cache, 65534, 65534)
        Report(whole, "--offline").expect("cache", "error", "belongs to another user", "chown")
        os.chown(cache, 0, 0)
    cache.chmod(0o500)
    wrap = without("dac_override")
    report = Report(whole, "--offline", wrap=wrap)
    report.expect("cache", "warning", "cannot be written", f"chmod u+rwx '{cache}'")


def test_a_user_without_a_home(whole: Helper, env: dict[str, str]) -> None:
    """Who has no home has no cache: what names a directory for it is said."""
    need_root("be a user without a home")
    env["HOME"] = ""
    report = Report(whole, "--offline", HOST, wrap=as_user(4321))
    message = "tokens are not kept: there is no home directory"
    report.expect("cache", "warning", message, "set HOME, or AWS_ECR_CACHE_DIR")


@pytest.mark.parametrize("what", ["entry", "folder"])
def test_what_goes_while_doctor_looks(whole: Helper, cache: Path, what: str) -> None:
    """An entry, or a host's directory, that a sweep takes meanwhile is no fault of the cache."""
    assert whole.get().status == 0
    (entry,) = (cache / HOST).iterdir()
    wrap = failing("newfstatat", "ENOENT", entry if what == "entry" else entry.parent)
    assert Report(whole, "--offline", wrap=wrap).checks["cache"]["state"] == "ok"


@pytest.mark.parametrize("where", ["a file", "-"])
def test_the_trace_is_checked(whole: Helper, env: dict[str, str], home: Path, where: str) -> None:
    """A trace that can be written is said to be on, and where it goes."""
    env["AWS_ECR_LOG"] = str(home / "log") if where == "a file" else where
    done = whole("doctor", "--offline", "--json", HOST)
    (found,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "log")
    assert found["state"] == "ok"
    assert found["message"].endswith(f'sends a line for each event to "{env["AWS_ECR_LOG"]}"')


def test_a_mapped_name(
    whole: Helper, config: Path, env: dict[str, str], home: Path, tunnel: Proxy
) -> None:
    """A name of the user's own is checked at its own host and port, with the registry behind it."""
    name = "images.example.com"
    config.write_text(json.dumps({"credHelpers": {f"{name}:8443": "ecr"}}))
    report = Report(whole)
    message = f'"{name}" is not an ECR registry, and no rule maps it'
    report.expect("registry name", "error", message, "add a [[registry]] rule")
    path = home / "rules.toml"
    path.write_text(f'[[registry]]\nmatch = "{name}"\nregistry = "{OTHER}"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    report = Report(whole)
    assert report.status == 0, report.text
    assert report.checks["registry name"]["message"] == (
        f'"{name}", in front of "{OTHER}": ECR, eu-west-1'
    )
    assert tunnel.asked == [f"{name}:8443"]


def test_the_default_registry(whole: Helper, config: Path, env: dict[str, str]) -> None:
    """With nothing named, the registry is that of the account and the region."""
    config.write_text('{"credsStore": "ecr"}')
    env["AWS_DEFAULT_REGION"] = "us-east-1"
    report = Report(whole)
    assert report.json["registry"] == HOST
    assert report.status == 0, report.text
    del env["AWS_DEFAULT_REGION"]
    report = Report(whole)
    report.expect("registry name", "error", "no AWS region is configured", "set AWS_REGION")
    env["AWS_PROFILE"] = "nowhere"
    report = Report(whole)
    report.expect("registry name", "error", 'no AWS profile "nowhere"', "list-profiles")
    assert report.states("error") == ["registry name"]


@pytest.mark.parametrize("variable", ["", "AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("source", ["source_profile = keys", "web_identity_token_file = {}"])
def test_sts_has_a_region_of_somebodys(
    whole: Helper, aws: FakeAWS, home: Path, env: dict[str, str], variable: str, source: str
) -> None:
    """STS is asked in either variable's region, else the registry's: never "you must specify one".

    botocore reads AWS_DEFAULT_REGION alone, and a profile with a role has no registry to go by.
    """
    without_keys(env)
    web_token = write(home / "token", "a.b.c")
    write(
        home / ".aws" / "config",
        f"[profile puller]\nrole_arn = {ROLE}\n{source.format(web_token)}\n"
        "[profile keys]\naws_access_key_id = AKIAKEYS\naws_secret_access_key = secret\n",
    )
    env["AWS_PROFILE"] = "puller"
    if variable:
        env[variable] = "eu-west-1"
    report = Report(whole, HOST)
    assert report.status == 0, report.text
    pull = whole.get()
    assert pull.status == 0, pull.stderr
    asked = {
        call.region for call in aws.calls if call.operation in ("AssumeRole", "GetCallerIdentity")
    }
    assert asked == {"eu-west-1" if variable else "us-east-1"}


def test_docker_file_is_broken(whole: Helper, config: Path) -> None:
    """A Docker configuration that is not JSON is one finding, and the rest goes on."""
    config.write_text('{"auths": CANARY}')
    report = Report(whole, HOST)
    assert report.states("error") == ["docker"]
    assert "line 1, column 11" in report.checks["docker"]["message"]
    assert "CANARY" not in report.text


def test_an_unusable_name(whole: Helper) -> None:
    """What is no host is refused, and not repeated: it may hold a password."""
    done = whole("doctor", "https://user:CANARY@registry.example.com")
    assert (done.status, done.stdout) == (1, "")
    assert "hint: write a host" in done.stderr
    assert "CANARY" not in done.stderr


def test_colour_is_for_terminals(whole: Helper, env: dict[str, str]) -> None:
    """On a terminal the states are coloured, unless NO_COLOR is set or the terminal is dumb."""

    def shown() -> str:
        command = f"{EXECUTABLE} doctor --offline"
        argv = [need("script"), "--quiet", "--return", "--command", command, "/dev/null"]
        done = subprocess.run(
            argv, env=whole.env, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return done.stdout.decode()

    env["TERM"] = "xterm"
    assert "\033[32mok\033[0m       executable" in shown()
    env["NO_COLOR"] = "1"
    assert "ok       executable" in shown()
    assert "\033" not in shown()
    del env["NO_COLOR"]
    env["TERM"] = "dumb"
    assert "\033" not in shown()
