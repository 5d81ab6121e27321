"""Mirrors: names of other registries that a node pulls from ECR. The kubelet is told, Docker never."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from kit import ACCOUNT, CALL, HOST, PUBLIC, PUBLIC_CALL, ROLE, Helper, login, write

HUB = "docker.io"
MIRROR = f'[[mirror]]\nsource = "{HUB}"\nregistry = "{HOST}"\nprefix = "docker-hub"\n'


@pytest.fixture
def config(home: Path) -> Path:
    """A config.toml that says: images of Docker Hub come from ECR."""
    path = home / ".config" / "docker-credential-ecr" / "config.toml"
    write(path, MIRROR)
    return path


def ask(helper: Helper, image: str, **more: object) -> dict[str, Any]:
    """Ask as the kubelet does; return what the answer says of credentials."""
    request = {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": image,
        **more,
    }
    run = helper("kubelet", stdin=json.dumps(request))
    assert (run.status, run.stderr) == (0, ""), run
    return dict(json.loads(run.stdout)["auth"])


def test_the_kubelet_is_answered_with_the_registrys_token(
    helper: Helper, aws: FakeAWS, config: Path, cache: Path
) -> None:
    """Under the image's own name, from the registry's own entry: one call, and none kept for the source."""
    auth = ask(helper, f"{HUB}/library/demo")
    assert list(auth) == [HUB]
    assert auth[HUB]["username"] == "AWS"
    assert aws.issued[auth[HUB]["password"]] == ("AKIATEST", "us-east-1")
    assert ask(helper, f"{HOST}/app")[HOST] == auth[HUB]
    assert aws.count(CALL) == 1
    assert not (cache / HUB).exists()
    assert ask(helper, "quay.io/team/app") == {}


def test_docker_is_never_answered(helper: Helper, aws: FakeAWS, config: Path) -> None:
    """Docker would send the token to the source: neither get nor list knows it, store refuses."""
    ask(helper, f"{HUB}/library/demo")
    calls = aws.requests
    for server in (HUB, f"https://{HUB}", "https://index.docker.io/v1/", "registry-1.docker.io"):
        run = helper.get(server)
        assert (run.status, run.stdout) == (1, "credentials not found in native keychain\n")
    assert json.loads(helper("list").stdout) == {HOST: "AWS"}
    assert helper("store", stdin=login("SECRET-CANARY", server=HUB)).status == 1
    for command in ("configure", "token", "refresh"):
        run = helper(command, HUB)
        assert run.status == 1
        assert f'"{HUB}" is a [[mirror]], which is for the kubelet alone' in run.stderr
    assert aws.requests == calls


def test_a_rule_says_who_asks(helper: Helper, aws: FakeAWS, config: Path) -> None:
    """The [[registry]] rule of the registry behind it answers, as for the registry itself."""
    rule = f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\n'
    config.write_text(MIRROR + rule)
    ask(helper, f"{HUB}/library/demo")
    assert aws.count("AssumeRole") == aws.count(CALL) == 1


def test_a_pods_own_role_pulls_through_a_mirror(
    helper: Helper, aws: FakeAWS, config: Path, cache: Path
) -> None:
    """With a service account's token the role of its annotation asks; nothing is kept on disk."""
    more = {
        "serviceAccountToken": "e30.e30.e30",
        "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": ROLE},
    }
    auth = ask(helper, f"{HUB}/library/demo", **more)
    assert aws.count("AssumeRoleWithWebIdentity") == 1
    assert aws.issued[auth[HUB]["password"]][0] != "AKIATEST"
    assert not (cache / HOST).exists()


def test_ecr_public_may_stand_behind_one(helper: Helper, aws: FakeAWS, config: Path) -> None:
    """Images of Docker Hub from ECR Public, with the token of ECR Public."""
    config.write_text(MIRROR.replace(HOST, PUBLIC))
    assert list(ask(helper, f"{HUB}/library/demo")) == [HUB]
    assert aws.count(PUBLIC_CALL) == 1


def test_the_installer_is_told(helper: Helper, config: Path) -> None:
    """The command configure --mirrors prints them for install-node.sh, and prints alone."""
    config.write_text(MIRROR + f'[[mirror]]\nsource = "quay.io"\nregistry = "{PUBLIC}"\n')
    run = helper("configure", "--mirrors")
    assert (
        run.stdout
        == f"{HUB}\t{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com\tdocker-hub\nquay.io\t{PUBLIC}\t\n"
    )
    assert helper("configure", "--mirrors", HOST).status == 1
