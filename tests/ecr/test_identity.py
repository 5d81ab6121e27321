"""Who refuses, and who has merely ended: the class of a failure decides what becomes of a token."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import botocore.exceptions
import pytest
from fake_aws import FakeAWS
from kit import HOST, HOUR, Helper, age_all, need, without_keys, write

from docker_credential_ecr.ecr import explanation, names
from docker_credential_ecr.errors import Denied, Ended, HelperError, Refused, Unavailable

CALL = "GetAuthorizationToken"
ROLE = "arn:aws:iam::123456789012:role/puller"
NAMES = names.Names(host=HOST, service="ecr", profile="", role="", sso_login="aws sso login")


# Asks as a renewal does, and says what came of it: the kind of error and its reason.
ASK = f"""
import os
from docker_credential_ecr import deadline, registry
from docker_credential_ecr.ecr import request
try:
    request.fetch(
        registry.parse("{HOST}"), None, os.environ, deadline.Deadline(25, "a test")
    )
except Exception as error:
    print(type(error).__name__, error.reason, *error.hints)
else:
    print("Issued")
"""


def fetch(env: dict[str, str]) -> tuple[str, str]:
    """Return the kind of what a request for a token comes to, and what is said."""
    done = subprocess.run(
        [sys.executable, "-Pc", ASK], env=env, capture_output=True, text=True, check=True
    )
    kind, _, said = done.stdout.partition(" ")
    return kind, said


def a_role(env: dict[str, str], home: Path) -> None:
    without_keys(env)
    write(
        home / ".aws" / "config",
        f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
    )


def a_web_identity(env: dict[str, str], home: Path) -> None:
    without_keys(env)
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")


def an_sso_session(env: dict[str, str], home: Path) -> None:
    without_keys(env)
    write(
        home / ".aws" / "config",
        "[default]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        "[sso-session company]\nsso_start_url = https://example.com/\nsso_region = us-east-1\n",
    )
    token = '{"accessToken": "SSO-CANARY", "expiresAt": "2099-01-01T00:00:00Z"}'
    name = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511"  # of the session: SHA-1 of "company"
    write(home / ".aws" / "sso" / "cache" / f"{name}.json", token)


def nothing(env: dict[str, str], home: Path) -> None:
    pass


# Who is asked how; what AWS says; what that is.
# Whose identity, which call fails, with which status and code, and what that is.
Verdict = tuple[Callable[[dict[str, str], Path], None], str, int, str, type[HelperError]]
VERDICTS: list[Verdict] = [
    (nothing, CALL, 400, "AccessDeniedException", Denied),
    (nothing, CALL, 400, "UnrecognizedClientException", Denied),
    (nothing, CALL, 400, "InvalidSignatureException", Denied),
    (nothing, CALL, 403, "InvalidClientTokenId", Denied),
    (nothing, CALL, 400, "ExpiredTokenException", Ended),
    (nothing, CALL, 400, "RequestExpired", Refused),
    (nothing, CALL, 400, "SomethingNew", Refused),
    (nothing, CALL, 400, "ThrottlingException", Unavailable),
    (nothing, CALL, 429, "SomethingNew", Unavailable),
    (nothing, CALL, 500, "ServerException", Unavailable),
    (nothing, CALL, 400, "RequestTimeout", Unavailable),
    (a_role, "AssumeRole", 403, "AccessDenied", Denied),
    (a_role, "AssumeRole", 400, "ExpiredToken", Ended),
    (a_role, "AssumeRole", 503, "ServiceUnavailable", Unavailable),
    (a_web_identity, "AssumeRoleWithWebIdentity", 403, "AccessDenied", Denied),
    (a_web_identity, "AssumeRoleWithWebIdentity", 400, "InvalidIdentityToken", Denied),
    (a_web_identity, "AssumeRoleWithWebIdentity", 400, "ExpiredTokenException", Ended),
    (a_web_identity, "AssumeRoleWithWebIdentity", 400, "IDPCommunicationError", Unavailable),
    (a_web_identity, "AssumeRoleWithWebIdentity", 403, "IDPRejectedClaim", Denied),
    (a_role, "AssumeRole", 403, "RegionDisabledException", Refused),
    (a_role, "AssumeRole", 302, "AccessDenied", Unavailable),
    (a_role, "AssumeRole", 407, "AccessDenied", Unavailable),
    (an_sso_session, "GetRoleCredentials", 403, "ForbiddenException", Denied),
    (an_sso_session, "GetRoleCredentials", 403, "SomethingNew", Refused),
    (an_sso_session, "GetRoleCredentials", 302, "ForbiddenException", Unavailable),
    (an_sso_session, "GetRoleCredentials", 401, "UnauthorizedException", Ended),
    (an_sso_session, "GetRoleCredentials", 429, "TooManyRequestsException", Unavailable),
]


@pytest.mark.parametrize("verdict", VERDICTS, ids=[f"{v[1]}-{v[2]}-{v[3]}" for v in VERDICTS])
def test_what_an_error_of_aws_is(
    aws: FakeAWS, env: dict[str, str], home: Path, verdict: Verdict
) -> None:
    """A refused identity, a session that has ended, a mistake, nobody there: four kinds."""
    identity, operation, status, code, kind = verdict
    identity(env, home)
    env["AWS_MAX_ATTEMPTS"] = "1"
    aws.fault(operation, status=status, code=code, message="CANARY")

    came, said = fetch(env)

    assert came == kind.__name__, said
    assert "CANARY" not in said
    assert aws.calls[-1].operation == operation


TROUBLE = [
    OSError(errno.EMFILE, "Too many open files", "/etc/a"),
    OSError(errno.EIO, "Input/output error", "/etc/a"),
    OSError(errno.EAGAIN, "Resource temporarily unavailable"),
    MemoryError(),
    botocore.exceptions.HTTPClientError(error=MemoryError()),
    botocore.exceptions.HTTPClientError(error=OSError(errno.EMFILE, "Too many open files")),
]


@pytest.mark.parametrize("looking", [False, True])
@pytest.mark.parametrize("error", TROUBLE, ids=[str(error) or "memory" for error in TROUBLE])
def test_trouble_of_this_machine_is_no_refusal(error: Exception, looking: bool) -> None:
    """No descriptor, no memory, a disk that fails: nobody has refused, an old token may serve."""
    said = explanation.explain(error, NAMES, looking=looking)

    assert type(said) is Unavailable
    assert said.reason.endswith(", on this machine")


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_that_cannot_be_read_is_not_an_identity_without_it(
    aws: FakeAWS, env: dict[str, str], variable: str
) -> None:
    """Botocore takes a file that a disk does not give for one that is not there: we do not."""
    without_keys(env)
    env[variable] = "/proc/self/mem"  # which opens, and fails to be read: EIO

    came, said = fetch(env)

    assert came == "Unavailable"
    assert "input/output error, on this machine" in said
    assert aws.requests == 0


def test_a_file_that_is_not_there_is_no_trouble(aws: FakeAWS, env: dict[str, str]) -> None:
    """Without the file there is nobody to ask as, and that is said."""
    without_keys(env)
    env["AWS_CONFIG_FILE"] = "/no/such/file"

    assert fetch(env)[0] == "NoCredentials"
    assert aws.requests == 0


@pytest.mark.parametrize("descriptors", range(6, 16))
def test_without_descriptors_a_valid_token_still_serves(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, cache: Path, descriptors: int
) -> None:
    """Wherever the last descriptor goes, a renewal that cannot be made refuses nobody."""
    need("prlimit")
    a_role(env, home)
    token = helper.get().secret
    age_all(cache, 12 * HOUR - 300)  # five minutes before its end

    said = helper.get(wrap=("prlimit", f"--nofile={descriptors}"))

    assert said.status != 0 or said.secret in {token, *aws.issued}
    assert helper.get().secret in {token, *aws.issued}
    assert said.status == 0 or "refused" not in said.stdout


def test_nobody_asked_for_a_registry_called_sts(helper: Helper) -> None:
    """Without credentials `token` and `doctor` name what they are for: no registry is invented."""
    said = helper("token")

    assert said.status == 1
    assert "no AWS credentials for the caller's identity: " in said.stderr
    assert '"sts"' not in said.stderr + helper("doctor", "--offline").stdout


def test_the_callers_identity_that_is_refused(aws: FakeAWS, helper: Helper) -> None:
    """A refusal of GetCallerIdentity is said of the caller's identity, not of a registry."""
    aws.fault("GetCallerIdentity", status=403, code="InvalidClientTokenId", message="CANARY")

    said = helper("token")

    assert said.status == 1
    assert "cannot get the caller's identity: AWS does not accept the access key" in said.stderr
