"""Reasons that say what is the matter: who was denied what, whose profile, which command."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, ROLE, Helper, without_keys, write

from docker_credential_ecr.ecr import explanation

WHO = "arn:aws:sts::123456789012:assumed-role/ci/me@work"
ACTION = "ecr:GetAuthorizationToken"
DENIED = f"User: {WHO} is not authorized to perform: {ACTION} on resource: * "


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            f"because no identity-based policy allows the {ACTION} action",
            ", because no identity-based policy allows it",
        ),
        (
            "with an explicit deny in a service control policy: arn:aws:organizations::CANARY",
            ", with an explicit deny in a service control policy",
        ),
        ("CANARY", ""),
    ],
)
def test_who_was_denied_what(aws: FakeAWS, helper: Helper, more: str, said: str) -> None:
    """AWS's own sentence is kept: who, which action, by which kind of policy; and no more of it."""
    aws.fault(CALL, code="AccessDeniedException", message=DENIED + more)
    done = helper.get()
    assert done.stdout == (
        f'cannot get a token for "{HOST}": access denied to GetAuthorizationToken: "{WHO}" is not '
        f"allowed {ACTION}{said}\n"
    )
    assert "CANARY" not in done.stderr
    assert "docker-credential-ecr doctor" not in done.stderr


def test_an_empty_profile(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """Who has named a profile that holds nothing is not told to name one."""
    without_keys(helper.env)
    write(home / ".aws" / "config", "[profile dev]\nregion = us-east-1\n")
    done = helper.get(env={"AWS_PROFILE": "dev"})
    assert 'none in the profile "dev"' in done.stdout
    assert "run: aws configure --profile dev" in done.stderr
    assert "name a profile" not in done.stderr


def test_a_role_whose_source_has_nothing(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """A profile whose role is assumed with keys that are not there: the source of them is named."""
    without_keys(helper.env)
    text = f"[profile app]\nrole_arn = {ROLE}\ncredential_source = Environment\n"
    write(home / ".aws" / "config", text)
    done = helper.get(env={"AWS_PROFILE": "app"})
    assert done.stdout == (
        f'cannot get a token for "{HOST}": the credential source "Environment" of profile "app" '
        "failed\n"
    )
    assert "hint: run: aws sts get-caller-identity --profile app" in done.stderr
    assert aws.requests == 0


@pytest.mark.parametrize("arguments", [("configure",), ("token",), ("refresh",), ("doctor",)])
def test_an_account_of_nine_digits(helper: Helper, arguments: tuple[str, ...]) -> None:
    """An account has twelve digits: that is what is said of another number of them."""
    host = HOST.removeprefix("123")
    done = helper(*arguments, host)
    assert done.status == 1
    assert "its account has 9 digits, and not 12" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/me/.local/share/pipx/venvs/docker-credential-ecr", "pipx inject "),
        (r"C:\Users\me\pipx\venvs\docker-credential-ecr", "pipx inject "),
        ("/home/me/.local/share/uv/tools/docker-credential-ecr", "uv tool install "),
        ("/usr", "pip install "),
    ],
)
def test_how_awscrt_is_added(prefix: str, command: str) -> None:
    """The command is that of whoever made the environment."""
    assert explanation.add_crt(prefix).startswith(command)


@pytest.mark.parametrize(
    "url",
    [
        *("x", "ftp://CANARY", "http://a b", "http://CANARY:99999", "http://[::1"),
        f"http://{'a' * 64}.example.com",
    ],
)
def test_an_endpoint_that_is_no_url(aws: FakeAWS, helper: Helper, url: str) -> None:
    """Nobody was asked, so no reply and no network is to blame; the setting is named, not shown."""
    done = helper.get(env={"AWS_ENDPOINT_URL": url})
    assert done.stdout == f'cannot get a token for "{HOST}": the configured endpoint is not a URL\n'
    assert "check what AWS_ENDPOINT_URL" in done.stderr
    assert "CANARY" not in done.stderr
    assert not aws.calls


@pytest.mark.parametrize("end", ["\udcff", "\n"], ids=["no text", "a line break"])
def test_a_secret_key_that_is_none(aws: FakeAWS, helper: Helper, end: str) -> None:
    """A secret key that can be none is what is wrong, and not AWS's reply."""
    done = helper.get(env={"AWS_SECRET_ACCESS_KEY": "CANARY" + end})
    assert done.stdout == (
        f'cannot get a token for "{HOST}": what a credential source gave cannot be read\n'
    )
    assert "CANARY" not in done.stderr
    assert not aws.calls
