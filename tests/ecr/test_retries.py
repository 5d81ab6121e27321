"""How often and how long AWS is asked: one policy, ours, whatever botocore's own default is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOUR, Helper, age_all, without_keys, write

CALL = "GetAuthorizationToken"
ROLE = "arn:aws:iam::123456789012:role/puller"
THROTTLED = {"status": 400, "code": "ThrottlingException"}


def test_a_fault_is_asked_of_three_times(aws: FakeAWS, helper: Helper) -> None:
    """Of a service that fails with 500, one get makes three calls, in about a second."""
    aws.fault(CALL, status=500, code="ServerException")

    started = time.monotonic()
    assert helper.get().status == 1

    assert aws.count(CALL) == 3
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_in_the_middle_heals(aws: FakeAWS, helper: Helper, status: int) -> None:
    """Two failures of whatever kind, then an answer: the user sees nothing of them."""
    aws.fault(CALL, status=status, code="Unknown", times=2)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 3


def test_throttling_is_asked_of_three_times(
    aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """While AWS throttles without end, one get makes three calls, and not five times three."""
    env["AWS_ECR_TIMEOUT"] = "60"
    aws.fault(CALL, **THROTTLED)

    said = helper.get()

    assert said.status == 1
    assert "AWS throttles this account's calls of GetAuthorizationToken" in said.stdout
    assert aws.count(CALL) == 3


def test_too_many_requests_is_throttling_whatever_its_code(aws: FakeAWS, helper: Helper) -> None:
    """Status 429 alone says that there were too many."""
    aws.fault(CALL, status=429, code="SomethingNew", times=1)

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2


def test_a_role_and_the_token_share_the_tries(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """All services of an answer together are asked again twice: STS fails once, ECR without end."""
    without_keys(env)
    env["AWS_PROFILE"] = "app"
    write(
        home / ".aws" / "config",
        f"[profile app]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
    )
    aws.fault("AssumeRole", status=500, code="InternalFailure", times=1)
    aws.fault(CALL, status=500, code="ServerException")

    assert helper.get().status == 1

    assert aws.count("AssumeRole") == 2
    assert aws.count(CALL) == 2


@pytest.mark.parametrize("operation", ["AssumeRole", "GetRoleCredentials"])
def test_what_a_credential_source_asks_is_bounded_too(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, operation: str
) -> None:
    """STS and SSO are asked by botocore's own providers: three calls while they fail."""
    without_keys(env)
    if operation == "AssumeRole":
        profile = f"role_arn = {ROLE}\nsource_profile = base\n"
    else:
        profile = "sso_session = company\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        token = '{"accessToken": "SSO-CANARY", "expiresAt": "2099-01-01T00:00:00Z"}'
        name = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511"  # of the session: SHA-1 of "company"
        write(home / ".aws" / "sso" / "cache" / f"{name}.json", token)
    write(
        home / ".aws" / "config",
        f"[default]\n{profile}[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n"
        "[sso-session company]\nsso_start_url = https://example.com/\nsso_region = us-east-1\n",
    )
    aws.fault(operation, status=500, code="InternalFailure")

    assert helper.get().status == 1

    assert aws.count(operation) == 3
    assert aws.count(CALL) == 0


@pytest.mark.parametrize("operation", ["MetadataToken", "ContainerCredentials"])
def test_a_metadata_service_that_fails_is_left_alone(
    aws: FakeAWS, env: dict[str, str], helper: Helper, operation: str
) -> None:
    """The instance's and the container's service are asked at most three times as well."""
    without_keys(env)
    if operation == "MetadataToken":
        del env["AWS_EC2_METADATA_DISABLED"]
        env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    else:
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    aws.fault("*", status=500, code="InternalFailure")

    assert helper.get().status == 1

    assert 0 < aws.requests <= 3


def test_what_aws_asks_us_to_wait_is_waited(aws: FakeAWS, helper: Helper) -> None:
    """``x-amz-retry-after`` is in milliseconds, and the pause is not shorter."""
    aws.fault(CALL, **THROTTLED, times=1, headers={"x-amz-retry-after": "2500"})

    started = time.monotonic()
    assert helper.get().secret in aws.issued

    assert time.monotonic() - started > 2.5
    assert aws.count(CALL) == 2


def test_a_wait_beyond_the_time_out_is_not_begun(
    aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """Who is asked to wait for longer than there is time says so at once."""
    env["AWS_ECR_TIMEOUT"] = "10"
    aws.fault(CALL, **THROTTLED, headers={"x-amz-retry-after": "60000"})

    started = time.monotonic()
    said = helper.get()

    assert "AWS throttles" in said.stdout
    assert time.monotonic() - started < 8
    assert aws.count(CALL) == 1


@pytest.mark.parametrize("asked", ["", "-5", "soon", "1e9", "9" * 400])
def test_a_wait_that_makes_no_sense(
    aws: FakeAWS, env: dict[str, str], helper: Helper, asked: str
) -> None:
    """A header that is no number is as if it were not there; no number is too large to judge."""
    env["AWS_ECR_TIMEOUT"] = "10"
    aws.fault(CALL, status=500, code="X", times=1, headers={"x-amz-retry-after": asked})

    said = helper.get()

    assert aws.count(CALL) == (1 if asked.isdecimal() else 2)
    assert (said.status == 0) is not asked.isdecimal()


@pytest.mark.parametrize("calls", [1, 2, 7])
def test_the_users_number_of_attempts_wins(
    aws: FakeAWS, env: dict[str, str], helper: Helper, calls: int
) -> None:
    """AWS_MAX_ATTEMPTS counts the calls of a service that fails."""
    env["AWS_MAX_ATTEMPTS"] = str(calls)
    env["AWS_ECR_TIMEOUT"] = "100"  # the pauses between seven calls take up to 47 seconds
    aws.fault(CALL, status=500, code="ServerException")

    assert helper.get().status == 1
    assert aws.count(CALL) == calls


def test_the_profiles_number_of_attempts_wins(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """So does ``max_attempts`` in the AWS config file."""
    write(home / ".aws" / "config", "[default]\nmax_attempts = 2\n")
    aws.fault(CALL, status=500, code="ServerException")

    assert helper.get().status == 1
    assert aws.count(CALL) == 2


@pytest.mark.parametrize(("mode", "calls"), [("legacy", 5), ("standard", 3)])
def test_a_retry_mode_of_the_users_is_botocores_to_keep(
    aws: FakeAWS, env: dict[str, str], helper: Helper, mode: str, calls: int
) -> None:
    """AWS_RETRY_MODE hands it over: botocore's own number of calls, and ours not on top."""
    env["AWS_RETRY_MODE"] = mode
    aws.fault(CALL, status=500, code="ServerException")

    assert helper.get().status == 1
    assert aws.count(CALL) == calls


def test_attempts_that_are_no_number(aws: FakeAWS, env: dict[str, str], helper: Helper) -> None:
    """A setting that is no number is named; nobody is asked."""
    env["AWS_MAX_ATTEMPTS"] = "many"

    said = helper.get()

    assert "the number of attempts that is configured for AWS is not a number" in said.stdout
    assert "correct AWS_MAX_ATTEMPTS" in said.stderr
    assert aws.requests == 0


def test_a_service_that_hangs_is_asked_within_the_time(
    aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """No try goes beyond the time-out, and each is a call that is counted."""
    env["AWS_ECR_TIMEOUT"] = "4"
    aws.fault(CALL, hang=True)

    started = time.monotonic()
    assert helper.get().status == 1

    assert time.monotonic() - started < 8
    assert aws.count(CALL) == 1


@pytest.mark.parametrize(
    "fault",
    [{"status": 500, "code": "ServerException"}, THROTTLED, {"hang": True}, {"drop": True}],
    ids=["500", "throttled", "hang", "drop"],
)
def test_with_a_valid_token_at_hand_nobody_waits(
    aws: FakeAWS, helper: Helper, cache: Path, fault: dict[str, object]
) -> None:
    """A renewal that must come first gives up after two seconds, and the old token serves."""
    token = helper.get().secret
    age_all(cache, 12 * HOUR - 300)  # five minutes before its end
    aws.fault(CALL, **fault)

    started = time.monotonic()
    assert helper.get().secret == token

    assert time.monotonic() - started < 5  # two, and the start of an interpreter
    assert 1 <= aws.count(CALL) - 1 <= 5


def test_an_identity_provider_that_is_slow_is_no_refusal(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """IDPCommunicationError says that STS could not reach it: it is asked again, like a fault."""
    without_keys(env)
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")
    aws.fault("AssumeRoleWithWebIdentity", code="IDPCommunicationError", times=2)

    assert helper.get().secret in aws.issued
    assert aws.count("AssumeRoleWithWebIdentity") == 3
