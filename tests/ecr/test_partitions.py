"""Where a request goes: by botocore's rules, the user's settings, and never to another partition."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any, Self

import botocore.awsrequest
import botocore.session
import pytest
from fake_aws import FakeAWS
from kit import ACCOUNT, HOST, Helper, self_signed, without_keys, write

from docker_credential_ecr import registry
from docker_credential_ecr.deadline import Deadline
from docker_credential_ecr.ecr import inquiry

CALL = "GetAuthorizationToken"
ROLE = "arn:aws:iam::123456789012:role/puller"
FLAGS = [(fips, dual) for fips in ("", "true") for dual in ("", "true")]
# A region of the sovereign cloud's partition that no botocore knows yet.
UNKNOWN = f"{ACCOUNT}.dkr.ecr.eusc-fr-east-1.amazonaws.eu"


def requested(session: Any, region: str) -> str | None:
    """Return the URL that a session requests a token of, or None if it knows of none."""
    seen: list[str] = []

    def send(request: Any, **_: object) -> Any:
        seen.append(request.url)
        return botocore.awsrequest.AWSResponse(request.url, 500, {}, None)

    with contextlib.suppress(Exception):
        client = session.create_client("ecr", region_name=region)
        client.meta.events.register("before-send", send)
        client.get_authorization_token()
    return seen[0] if seen else None


@pytest.mark.parametrize(("fips", "dual_stack"), FLAGS)
def test_what_is_surveyed_is_what_botocore_requests(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, fips: str, dual_stack: str
) -> None:
    """For each partition, with FIPS and dual-stack by variables: not what ``meta`` says."""
    env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "CANARY"}
    env |= {"AWS_MAX_ATTEMPTS": "1"}
    env |= {"AWS_USE_FIPS_ENDPOINT": fips} if fips else {}
    env |= {"AWS_USE_DUALSTACK_ENDPOINT": dual_stack} if dual_stack else {}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    stock = botocore.session.Session()

    for region in registry.REGIONS:
        where = registry.parse(registry.private_host(ACCOUNT, region))
        assert where is not None
        found = inquiry.survey(where, None, env, Deadline(25, "a test"), offline=True)

        # Its older tables know no dual-stack endpoint of some partitions, its rule sets do.
        assert requested(stock, region) in (None, found.endpoint)
        assert f".{region}." in found.endpoint
        assert found.endpoint == found.plain_endpoint


def test_doctor_names_the_endpoint_that_is_requested(helper: Helper) -> None:
    """For an isolated region's dual-stack ``meta.endpoint_url`` has another domain."""
    host = f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov"
    keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "CANARY"}

    said = helper("doctor", "--offline", host, env={**keys, "AWS_USE_DUALSTACK_ENDPOINT": "true"})

    assert "ecr.us-iso-east-1.api.aws.ic.gov" in said.stdout


def test_an_endpoint_of_a_services_section(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """A profile's ``services`` names one endpoint for a service, and the call goes there."""
    del env["AWS_ENDPOINT_URL"]
    write(
        home / ".aws" / "config",
        f"[default]\nservices = local\n[services local]\necr =\n  endpoint_url = {aws.url}\n",
    )

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 1


def test_an_endpoint_of_a_services_section_is_ignored_for_fips(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """A FIPS registry is refused there as with every endpoint that is none of FIPS."""
    del env["AWS_ENDPOINT_URL"]
    write(
        home / ".aws" / "config",
        f"[default]\nservices = local\n[services local]\necr =\n  endpoint_url = {aws.url}\n",
    )

    said = helper.get(f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com")

    assert "is a FIPS registry, but the configured endpoint" in said.stdout
    assert aws.requests == 0


class Refusing:
    """A proxy that counts who connects, and refuses."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self.asked.append(connection.recv(1 << 16))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@pytest.mark.parametrize("flavour", ["", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"])
@pytest.mark.parametrize("role", ["", "of a rule", "of a profile"])
def test_a_region_that_botocore_does_not_know(
    env: dict[str, str], helper: Helper, home: Path, flavour: str, role: str
) -> None:
    """It would ask another partition's host, with a signed request: nobody is asked at all."""
    env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY"}
    if flavour:
        env[flavour] = "true"
    if role == "of a rule":
        rule = f'[[registry]]\nmatch = "{UNKNOWN}"\nrole_arn = "{ROLE}"\n'
        env["AWS_ECR_CONFIG_FILE"] = write(home / "config.toml", rule)
    elif role:
        without_keys(env)
        write(
            home / ".aws" / "config",
            f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
            "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
        )
    with Refusing() as proxy:
        said = helper.get(UNKNOWN, env={"HTTPS_PROXY": proxy.url})

        assert proxy.asked == []
    assert said.status == 1
    assert 'the AWS library does not know the region "eusc-fr-east-1"' in said.stdout
    assert "pip install --upgrade botocore" in said.stderr


def test_a_region_that_botocore_does_not_know_with_an_endpoint(
    aws: FakeAWS, helper: Helper
) -> None:
    """Who names the endpoint is served: it goes where the user says."""
    assert helper.get(UNKNOWN).secret in aws.issued


# What a certificate authority is trusted by.

SETTINGS = ["AWS_CA_BUNDLE", "ca_bundle", "REQUESTS_CA_BUNDLE"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return (certificate, key) of a server on the loopback."""
    return self_signed(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


def trust(setting: str, path: str, env: dict[str, str], home: Path) -> None:
    if setting == "ca_bundle":
        write(home / ".aws" / "config", f"[default]\nca_bundle = {path}\n")
    else:
        env[setting] = path


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("setting", SETTINGS)
def test_authorities_that_are_empty_are_as_if_unset(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, setting: str, blank: str
) -> None:
    """A variable that a script left empty breaks nothing."""
    trust(setting, blank, env, home)

    assert helper.get().secret in aws.issued


@pytest.mark.parametrize("setting", SETTINGS)
def test_authorities_behind_an_empty_setting(
    env: dict[str, str], helper: Helper, home: Path, certificate: tuple[str, str], setting: str
) -> None:
    """What comes after an empty setting in botocore's order counts."""
    env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY"}
    for other in SETTINGS[: SETTINGS.index(setting)]:
        trust(other, "", env, home)
    trust(setting, certificate[0], env, home)
    with FakeAWS(tls=certificate) as server:
        env["AWS_ENDPOINT_URL"] = server.url

        assert helper.get().secret in server.issued


@pytest.mark.parametrize("setting", SETTINGS)
def test_authorities_that_name_no_file(
    env: dict[str, str], helper: Helper, home: Path, certificate: tuple[str, str], setting: str
) -> None:
    """The error names the setting and the file: neither is TLS broken nor the network."""
    env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY"}
    trust(setting, f"{home}/nothing.pem", env, home)
    with FakeAWS(tls=certificate) as server:
        said = helper.get(HOST, env={"AWS_ENDPOINT_URL": server.url})

    assert f'{setting} names "{home}/nothing.pem", and there is no such file' in said.stdout
    assert f"correct {setting}, or remove it" in said.stderr
