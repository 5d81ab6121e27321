"""token --docker-config: logins for what cannot run a helper, and when they end."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import ACCOUNT, HOST, OTHER_REGION, PUBLIC, Helper, Run, age_all, need_root


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


def test_a_file_that_others_can_read_kept_its_mode(
    aws: FakeAWS, helper: Helper, tmp_path: Path
) -> None:
    """A file that is there becomes its owner's alone, whatever it was; no reader of the old has it."""
    patch = tmp_path / "patch.json"
    other = tmp_path / "other"
    patch.write_text("old")
    patch.chmod(0o644)
    other.hardlink_to(patch)
    with patch.open() as before:
        said = helper("token", f"--secret-patch={patch}", HOST)

        assert (said.status, said.stdout) == (0, "")
        assert before.read() == other.read_text() == "old"
    assert stat.S_IMODE(patch.stat().st_mode) == 0o600
    assert ".dockerconfigjson" in patch.read_text()
    assert {path.name for path in tmp_path.iterdir()} >= {"patch.json", "other"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".patch")]


@pytest.mark.parametrize("mask", ["000", "0277"])
def test_a_patch_is_private_whatever_the_umask(
    aws: FakeAWS, helper: Helper, tmp_path: Path, mask: str
) -> None:
    """A new file can be read by its owner, and by nobody else."""
    patch = tmp_path / "patch.json"
    wrap = ("sh", "-c", f'umask {mask}; exec "$@"', "-")
    said = helper("token", f"--secret-patch={patch}", HOST, wrap=wrap)

    assert said.status == 0
    assert stat.S_IMODE(patch.stat().st_mode) == 0o600


def test_what_a_killed_run_left_is_removed(aws: FakeAWS, helper: Helper, tmp_path: Path) -> None:
    """The half that a run wrote beside the file holds logins: the next one takes it away."""
    left = tmp_path / f".patch.json.{'0' * 16}.docker-credential-ecr"
    left.write_text("logins")
    os.utime(left, (0, 0))
    assert helper("token", f"--secret-patch={tmp_path / 'patch.json'}", HOST).status == 0
    assert not left.exists()


@pytest.mark.parametrize("to", ["file", "nothing"])
def test_a_link_was_followed(aws: FakeAWS, helper: Helper, tmp_path: Path, to: str) -> None:
    """Where a link lies in its place nothing is written: neither there nor where it leads."""
    patch, target = tmp_path / "patch.json", tmp_path / "target"
    patch.symlink_to(target)
    if to == "file":
        target.write_text("mine")
    said = helper("token", f"--secret-patch={patch}", HOST)

    assert_refused(said, f'"{patch}" is a link')
    assert aws.requests == 0
    assert patch.is_symlink()
    assert not target.exists() or target.read_text() == "mine"


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "stdout", "nothing/", "nothing/.."])
def test_what_is_no_file_is_refused(
    aws: FakeAWS, helper: Helper, tmp_path: Path, kind: str
) -> None:
    """A pipe, a directory, a socket or a descriptor: nothing is written to it, or over it.

    All are made here: as root a regression would replace what is in /dev, for the whole machine.
    """
    path, name = tmp_path / kind.partition("/")[0], f"{tmp_path}/{kind}"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "stdout":
        path.symlink_to("/proc/self/fd/1")  # what /dev/stdout is
    before = [(e.name, e.lstat().st_mode, e.lstat().st_ino) for e in tmp_path.iterdir()]
    said = helper("token", f"--secret-patch={name}", HOST)

    assert_refused(said, f'"{name}" is {"a link" if kind == "stdout" else "not a file"}')
    assert before == [(e.name, e.lstat().st_mode, e.lstat().st_ino) for e in tmp_path.iterdir()]


def test_another_users_file_was_written(aws: FakeAWS, helper: Helper, tmp_path: Path) -> None:
    """Root's logins are not for whoever has left a file in the way; a new one is root's own."""
    need_root("give files away")
    folder = tmp_path / "theirs"
    folder.mkdir()
    patch = folder / "patch.json"
    patch.write_text("theirs")
    for path in (folder, patch):
        os.chown(path, 4242, 4242)
    said = helper("token", f"--secret-patch={patch}", HOST)
    assert_refused(said, f'"{patch}" belongs to another user')
    assert patch.read_text() == "theirs"

    patch.unlink()
    assert helper("token", f"--secret-patch={patch}", HOST).status == 0
    state = patch.stat()
    assert (state.st_uid, stat.S_IMODE(state.st_mode)) == (0, 0o600)


def assert_refused(said: Run, reason: str) -> None:
    assert (said.status, said.stdout) == (1, "")
    assert said.stderr.startswith(f"docker-credential-ecr: error: {reason}")
    assert "\ndocker-credential-ecr: hint: " in said.stderr
