"""Which names of files depend on more than is recorded: those that an expansion would change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import Helper, write

CALL = "GetAuthorizationToken"
KEYS = "[default]\naws_access_key_id = AKIA{}\naws_secret_access_key = SECRET-CANARY\n"


@pytest.mark.parametrize("folder", ["ci-agent$", "$", "a$-b", "100%", "$NOBODY_SET_THIS/x"])
def test_a_dollar_that_expands_to_nothing_switches_nothing_off(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, folder: str
) -> None:
    """A service account's name ends in a dollar: its token is kept, and seen to change."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    path = home / folder / "credentials"
    env["AWS_SHARED_CREDENTIALS_FILE"] = write(path, KEYS.format("ONE"))

    first = helper.get().secret
    assert helper.get().secret == first
    write(path, KEYS.format("OTHER"))
    second = helper.get().secret

    assert [aws.issued[secret][0] for secret in (first, second)] == ["AKIAONE", "AKIAOTHER"]
    assert aws.count(CALL) == 2


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"])
def test_a_variable_that_expands_is_never_a_condition(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, name: str
) -> None:
    """Botocore expands variables in these: the file depends on more than its name, each get asks."""
    write(home / "one" / "config", "[default]\nregion = us-east-1\n")
    env[name] = "$WHERE/config"
    env["WHERE"] = str(home / "one")

    assert helper.get().secret != helper.get().secret
    assert aws.count(CALL) == 2


def test_another_value_of_such_a_variable_is_another_identity(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """With another value of the variable the other file's keys are used: no stale identity."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    env["AWS_SHARED_CREDENTIALS_FILE"] = "${WHERE}/credentials"
    for name in ("ONE", "OTHER"):
        write(home / name / "credentials", KEYS.format(name))

    secrets = [helper.get(env={"WHERE": f"{home}/{name}"}).secret for name in ("ONE", "OTHER")]

    assert [aws.issued[secret][0] for secret in secrets] == ["AKIAONE", "AKIAOTHER"]


def test_a_token_file_with_a_dollar_is_opened_as_it_is_named(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """Botocore expands nothing in the name of a web identity's token file: it is a condition."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    env["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/puller"
    token = home / "$HOME" / "token"
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(token, "WEB-IDENTITY-CANARY")

    first = helper.get().secret
    assert helper.get().secret == first
    write(token, "ANOTHER-CANARY")

    assert helper.get().secret != first


# What Windows expands, told by its own os.path, which every system has.
WINDOWS = """
import ntpath, os, sys
os.path.expandvars = ntpath.expandvars
from docker_credential_ecr import cache
from docker_credential_ecr.ecr import sources
print(cache.is_keepable(sources.conditions({**os.environ, sys.argv[1]: sys.argv[2]})))
"""


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (r"C:\Users\me\config", True),
        (r"%WHERE%\config", False),
        (r"$WHERE\config", False),
        (r"%NOBODY_SET_THIS%\config", True),
        (r"C:\100%\config", True),
        (r"\\server\share$\config", True),
        (r"C:\Users\ci-agent$\config", True),
    ],
)
def test_percent_signs_on_windows(env: dict[str, str], name: str, path: str, kept: bool) -> None:
    """On Windows botocore expands %NAME% as well; a share's dollar expands to nothing there."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", WINDOWS, name, path],
        env={**env, "WHERE": "somewhere"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == str(kept)


# How much is read of a reply.


@pytest.mark.parametrize(
    "operation",
    [CALL, "AssumeRole", "GetRoleCredentials", "MetadataRole", "ContainerCredentials"],
)
def test_a_reply_without_measure(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, operation: str
) -> None:
    """Whoever answers, its reply is read up to a limit, and never shown."""
    if operation != CALL:
        del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    if operation == "AssumeRole":
        write(
            home / ".aws" / "config",
            "[default]\nrole_arn = arn:aws:iam::123456789012:role/puller\nsource_profile = base\n"
            "[profile base]\naws_access_key_id = AKIA\naws_secret_access_key = SECRET-CANARY\n",
        )
    elif operation == "GetRoleCredentials":
        write(
            home / ".aws" / "config",
            "[default]\nsso_session = company\nsso_account_id = 123456789012\n"
            "sso_role_name = dev\n[sso-session company]\nsso_start_url = https://example.com/\n"
            "sso_region = us-east-1\n",
        )
        token = '{"accessToken": "SSO-CANARY", "expiresAt": "2099-01-01T00:00:00Z"}'
        name = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511"  # SHA-1 of "company"
        write(home / ".aws" / "sso" / "cache" / f"{name}.json", token)
    elif operation == "MetadataRole":
        del env["AWS_EC2_METADATA_DISABLED"]
        env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    elif operation == "ContainerCredentials":
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    aws.fault(operation, body=b"CANARY" * (2 << 20))  # 12 MiB

    said = helper.get(env={"AWS_ECR_TIMEOUT": "20"})

    assert said.status == 1
    assert "a reply is larger than any of AWS's" in said.stdout
    assert "CANARY" not in said.stdout + said.stderr
    assert aws.count(operation) == 1


def test_a_reply_of_the_usual_size(env: dict[str, str], helper: Helper) -> None:
    """The limit is far above what AWS says."""
    with FakeAWS(password="x" * 60_000) as aws:  # characters; the password itself may have 65,536
        env |= {"AWS_ENDPOINT_URL": aws.url, "AWS_ACCESS_KEY_ID": "AKIA"}
        env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY"

        assert helper.get().secret == "x" * 60_000


@pytest.mark.parametrize("where", ["relative", "."])
def test_a_relative_home_is_another_in_each_directory(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, where: str
) -> None:
    """Botocore reads below it, from where the caller stands: no token for another's keys."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    env |= {"AWS_ECR_CACHE_DIR": str(home / "cache"), "HOME": where}
    for name in ("ONE", "OTHER"):
        write(home / name / where / ".aws" / "credentials", KEYS.format(name))

    def get(name: str) -> str:
        return helper.get(wrap=("env", "--chdir", str(home / name))).secret

    secrets = [get(name) for name in ("ONE", "ONE", "OTHER", "ONE")]

    keys = [aws.issued[secret][0].removeprefix("AKIA") for secret in secrets]
    assert keys == ["ONE", "ONE", "OTHER", "ONE"]
    assert secrets[1] == secrets[0]
