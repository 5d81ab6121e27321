"""token --docker-config: logins for what cannot run a helper, and when they end."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import ACCOUNT, HOST, OTHER_REGION, PUBLIC, Helper, age_all


def passwords(text: str) -> dict[str, str]:
    """Return the password of each host in a Docker configuration, which holds nothing else."""
    document = json.loads(text)
    assert set(document) == {"auths"}
    found = {}
    for host, login in document["auths"].items():
        assert set(login) == {"auth"}
        user, _, found[host] = base64.b64decode(login["auth"]).decode().partition(":")
        assert user == "AWS"
    return found


def test_a_docker_configuration(aws: FakeAWS, helper: Helper) -> None:
    """It has a login for each registry that is named, which Docker reads without a helper."""
    said = helper("token", "--docker-config", HOST, f"https://{OTHER_REGION}", PUBLIC)

    assert said.status == 0
    found = passwords(said.stdout)
    assert set(found) == {HOST, OTHER_REGION, PUBLIC}
    assert set(found.values()) <= set(aws.issued)


def test_the_end_is_said(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A warning on stderr names the login that ends first, and when; it holds no secret."""
    helper("token", HOST)
    age_all(cache, 3600)
    said = helper("token", "--docker-config", OTHER_REGION, HOST)

    warning, hint = said.stderr.splitlines()
    assert f'the login for "{HOST}" ends at ' in warning
    assert " UTC, in 10 h " in warning
    assert hint.startswith("docker-credential-ecr: hint: make a new one")
    assert not any(secret in said.stderr for secret in aws.issued)


def test_without_a_registry_it_is_the_default_one(aws: FakeAWS, helper: Helper) -> None:
    """Like the other forms: the registry of the account and the region."""
    said = helper("token", "--docker-config", env={"AWS_DEFAULT_REGION": "us-east-1"})

    assert list(passwords(said.stdout)) == [f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"]


def test_one_that_fails_leaves_no_half(aws: FakeAWS, helper: Helper) -> None:
    """Nothing is printed unless every login is there: a file with some would hide the rest."""
    said = helper("token", "--docker-config", HOST, "ghcr.io")

    assert said.status == 1
    assert said.stdout == ""
    assert "ghcr.io" in said.stderr


def test_the_other_forms_take_one_registry(aws: FakeAWS, helper: Helper) -> None:
    """Two tokens without a name would not say whose they are."""
    said = helper("token", "--password", HOST, PUBLIC)

    assert said.status == 1
    assert said.stdout == ""
    assert "only --docker-config and --secret-patch take more than one registry" in said.stderr


def test_a_patch_is_no_other_form(aws: FakeAWS, helper: Helper, tmp_path: Path) -> None:
    """One form at a time, and nothing is written if two are asked for or a login is missing."""
    patch = tmp_path / "patch.json"
    for arguments in (
        [f"--secret-patch={patch}", "--header", HOST],
        [f"--secret-patch={patch}", "ghcr.io"],
    ):
        said = helper("token", *arguments)
        assert (said.status, said.stdout) == (1, "")
        assert not patch.exists()


@pytest.mark.parametrize("more", [(), ("--header",), ("--password",), ("--docker-config",)])
def test_an_empty_file_had_the_secret_printed(
    aws: FakeAWS, helper: Helper, more: tuple[str, ...]
) -> None:
    """--secret-patch "$FILE" with a variable that is empty: an error, and no secret on stdout."""
    said = helper("token", "--secret-patch", "", *more, HOST)

    assert (said.status, said.stdout) == (1, "")
    assert said.stderr.startswith("docker-credential-ecr: error: ")
    assert aws.requests == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", ""),
        ("token", "--docker-config", HOST, ""),
        ("refresh", ""),
        ("configure", ""),
        ("configure", "--remove", ""),
        ("configure", "--regions", ""),
        ("doctor", ""),
        ("doctor", "--kubelet", "--config", "", "--bin-dir", ""),
        ("completion", ""),
    ],
    ids=" ".join,
)
def test_no_empty_word_means_that_none_was_given(
    aws: FakeAWS, helper: Helper, arguments: tuple[str, ...]
) -> None:
    """An empty name or value is an error in every command; no secret, and AWS is not asked."""
    said = helper(*arguments)

    assert said.status == 1
    assert aws.requests == 0
    if arguments[:2] != ("doctor", "--kubelet"):
        assert said.stdout == ""
        assert said.stderr.startswith("docker-credential-ecr: error: ")
