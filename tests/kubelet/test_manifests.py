"""What is applied to a cluster: Kubernetes' own types, validation and authorizer say it is right."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from fake_aws import FakeAWS
from kit import HOST, OTHER_REGION, PUBLIC, Helper
from node import KUBERNETES, kubernetes_says

PULL_SECRET = KUBERNETES / "image-pull-secret.yaml"


def test_the_manifest_is_kubernetes_own(kubernetes: Path) -> None:
    """Each document is decoded strictly, and validated as the API server does."""
    said = kubernetes_says(kubernetes, PULL_SECRET)

    assert said["kinds"] == ["ServiceAccount", "Role", "RoleBinding", "CronJob"]


def test_a_wrong_field_is_seen(kubernetes: Path, tmp_path: Path) -> None:
    """The judge judges: a misspelt field, and a mount of a volume that is not there."""
    text = PULL_SECRET.read_text()
    for right, wrong in (
        ("backoffLimit", "backofLimit"),
        ("name: scratch\n              e", "name: x\n              e"),
    ):
        assert right in text
        manifest = tmp_path / "wrong.yaml"
        manifest.write_text(text.replace(right, wrong))
        done = subprocess.run(
            [kubernetes, manifest], input="[]", capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, wrong
        assert "unknown field" in done.stderr or "Not found" in done.stderr


def test_the_role_is_for_one_secret(kubernetes: Path) -> None:
    """What kubectl patch does is allowed, for that secret; nothing else is, nor for another."""
    name = "ecr-pull"
    allowed = [("get", "secrets", name), ("patch", "secrets", name)]
    refused = [
        *((verb, "secrets", name) for verb in ("update", "delete", "create", "list", "watch")),
        ("get", "secrets", "another"),
        ("patch", "secrets", "another"),
        ("list", "secrets", ""),
        ("get", "configmaps", name),
        ("create", "pods", ""),
    ]
    questions = [
        {"verb": verb, "resource": resource, "name": name}
        for verb, resource, name in (*allowed, *refused)
    ]

    said = kubernetes_says(kubernetes, PULL_SECRET, questions)["allowed"]

    assert said == [True] * len(allowed) + [False] * len(refused)


def test_what_the_job_writes_patches_the_secret(
    kubernetes: Path, aws: FakeAWS, helper: Helper, tmp_path: Path
) -> None:
    """The command of the init container, run: its file makes the secret one with our logins."""
    patch = tmp_path / "patch.json"
    command = _command()
    assert command[:2] == ["docker-credential-ecr", "token"]
    arguments = [word.replace("/between/patch.json", str(patch)) for word in command[1:]]
    done = helper(*arguments, OTHER_REGION, PUBLIC, env={"AWS_ECR_DISABLE_CACHE": "true"})
    assert (done.status, done.stdout) == (0, "")
    assert patch.stat().st_mode & 0o777 == 0o600

    secret = kubernetes_says(kubernetes, PULL_SECRET, [], patch, "ecr-pull")["secret"]

    (config,) = (json.loads(base64.b64decode(value)) for value in secret.values())
    assert set(secret) == {".dockerconfigjson"}
    assert set(config["auths"]) == {HOST, OTHER_REGION, PUBLIC}
    for login in config["auths"].values():
        user, _, password = base64.b64decode(login["auth"]).decode().partition(":")
        assert user == "AWS"
        assert password in aws.issued
        assert password not in done.stderr


def _command() -> list[str]:
    """Return the init container's command, as it stands in the manifest."""
    block = PULL_SECRET.read_text().partition("name: token\n")[2].partition("command:\n")[2]
    lines = block.partition("env:\n")[0].splitlines()
    words = (line.strip().removeprefix("- ").partition(" #")[0] for line in lines)
    return [word for word in words if word]
