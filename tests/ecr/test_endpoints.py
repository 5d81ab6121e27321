"""Which endpoint is called: that of the host, in its flavour, region and partition."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

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
    Helper,
    self_signed,
)
from kit import FIPS as FIPS_HOST
from proxy import Proxy

from docker_credential_ecr.ecr import session

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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return (certificate, key) of a server that is every endpoint of the table."""
    return self_signed(tmp_path_factory.mktemp("tls"), *(f"DNS:{api}" for _, api in ENDPOINTS))


@pytest.fixture
def keys(env: dict[str, str]) -> None:
    """A static key, and the network as it is: no endpoint is overridden."""
    env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
    env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY-static"
    env["AWS_MAX_ATTEMPTS"] = "1"


@pytest.mark.server
@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("host", "api"), ENDPOINTS, ids=[host for host, _ in ENDPOINTS])
def test_the_endpoint_is_that_of_the_host(
    env: dict[str, str], helper: Helper, certificate: tuple[str, str], host: str, api: str
) -> None:
    """FIPS host to FIPS endpoint, dual-stack to dual-stack, in the host's region and partition.

    Seen twice: in what a proxy is asked to connect to, and in the request that arrives there.
    """
    env["AWS_CA_BUNDLE"] = certificate[0]
    with FakeAWS(tls=certificate) as server, Proxy(server.port) as proxy:
        env["HTTPS_PROXY"] = proxy.url

        secret = helper.get(host).secret

        assert proxy.asked == [f"{api}:443"]
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
def test_the_lean_session_resolves_as_botocores_own(region: str) -> None:
    """What is left out to be fast changes no endpoint: requests go where botocore's own go."""

    def requested(
        of: Any, service: str, operation: str, *, fips: bool, dual_stack: bool
    ) -> list[str] | None:
        seen: list[str] = []

        def send(request: Any, **_: object) -> Any:
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

    ours = session.load(None, {})
    stock = botocore.session.Session()
    services = {"ecr": "get_authorization_token", "sts": "get_caller_identity"}
    if region == "us-east-1":
        services["ecr-public"] = "get_authorization_token"
    for service, operation in services.items():
        for fips in (False, True):
            for dual_stack in (False, True):
                asked, expected = (
                    requested(of, service, operation, fips=fips, dual_stack=dual_stack)
                    for of in (ours, stock)
                )
                assert expected in (None, asked)


def test_an_endpoint_of_the_users_own_is_called(
    aws: FakeAWS, helper: Helper, home: Path, env: dict[str, str]
) -> None:
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
