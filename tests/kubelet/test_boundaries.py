"""The kubelet: how much it may ask, and how long it keeps what, to the second."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from kit import ELSEWHERE, HOST, ROLE, Helper, entries

from docker_credential_ecr import kubelet

LIMIT = 256 << 10  # bytes of a request


def request(**more: object) -> str:
    return json.dumps(
        {
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "kind": "CredentialProviderRequest",
            "image": f"{HOST}/app:1",
            **more,
        }
    )


def seconds(duration: str) -> int:
    found = re.fullmatch(r"(\d+)h(\d+)m(\d+)s", duration)
    assert found is not None
    hours, minutes, rest = map(int, found.groups())
    assert minutes < 60
    assert rest < 60
    return 3600 * hours + 60 * minutes + rest


def test_a_request_of_256_kib(helper: Helper, aws: FakeAWS) -> None:
    """So much is read, and not a byte more."""
    assert helper("kubelet", stdin=request().ljust(LIMIT)).status == 0
    answer = helper("kubelet", stdin=request().ljust(LIMIT + 1))
    assert answer.status == 1
    assert "longer than 256 KiB" in answer.stderr


@pytest.mark.parametrize("of", ["node", "service account"])
def test_the_trace_says_for_whom(helper: Helper, aws: FakeAWS, tmp_path: Path, of: str) -> None:
    """With AWS_ECR_LOG set, the kubelet's question is its first line: the host, and whose pull."""
    log = tmp_path / "trace"
    pod = {"serviceAccountToken": "e30.e30.e30", "serviceAccountAnnotations": {}}
    helper.env.update(AWS_ECR_LOG=str(log), AWS_ECR_ROLE_ARN=ROLE)

    asked = request(**(pod if of == "service account" else {}))
    assert helper("kubelet", stdin=asked).status == 0
    assert re.match(rf'\S+ \d+ kubelet host={HOST} of="?{of}"?\n', log.read_text())


@pytest.mark.parametrize(
    ("refresh", "expires", "kept"),
    [
        (3600, 7200, 3600),
        (3661, 7200, 3661),
        (120, 7200, 120),
        (61, 7200, 61),
        (30, 7200, 60),
        (-30, 7200, 60),
        (-30, 700, 60),
        (-30, 40, 40),
        (7200, 7200, 7200),
    ],
)
def test_how_long_a_token_is_kept(
    helper: Helper,
    aws: FakeAWS,
    env: dict[str, str],
    cache: Path,
    refresh: int,
    expires: int,
    kept: int,
) -> None:
    """Until it is due, for a minute if it is, and never past its end."""
    helper.get()
    env["AWS_ECR_BACKGROUND_REFRESH"] = "true"
    aws.fault("GetAuthorizationToken", status=503)  # what is on disk is all there is
    (entry,) = entries(cache)
    now = int(time.time())
    times = {
        "issued": now + expires - 12 * 3600,
        "refresh": now + refresh,
        "renew": now + max(refresh, expires - 600),
        "expires": now + expires,
    }
    text = entry.read_text()
    for name, value in times.items():
        text = re.sub(rf"^{name} \d+$", f"{name} {value}", text, flags=re.MULTILINE)
    entry.write_text(text)

    answer = helper("kubelet", stdin=request(), env={"AWS_ECR_TIMEOUT": "10"})

    assert answer.status == 0, answer
    found = seconds(json.loads(answer.stdout)["cacheDuration"])
    # What is left has become less meanwhile, a minute is one.
    spent = 0 if kept == 60 else 30
    assert kept - spent <= found <= kept


def test_how_long_nothing_is_kept(helper: Helper, aws: FakeAWS) -> None:
    """A host that is not ours may become it: after five minutes the kubelet asks again."""
    answer = json.loads(helper("kubelet", stdin=request(image=f"{ELSEWHERE}/app:1")).stdout)
    assert (answer["auth"], seconds(answer["cacheDuration"])) == ({}, 300)


@pytest.mark.parametrize("image", [HOST, "app", "app:1", f"library/{HOST}/app", f"app@{HOST}/x"])
def test_images_of_docker_hub(helper: Helper, aws: FakeAWS, image: str) -> None:
    """What stands before the first slash is a host only if there is a slash."""
    answer = json.loads(helper("kubelet", stdin=request(image=image)).stdout)
    assert answer["auth"] == {}
    assert aws.requests == 0


def token(namespace: str, account: str, padding: int = 0) -> str:
    claims = {
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}},
        "x": "x" * padding,
    }
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


@pytest.mark.parametrize("padding", range(5))
def test_a_payload_of_any_length(padding: int) -> None:
    """Base64 without its padding is read whatever its length."""
    assert kubelet.session_name(token("shop", "cart", padding)) == "shop+cart"


def test_names_of_64_characters() -> None:
    """A session's name of 64 characters is whole; of a longer one the end is a digest."""
    longest = kubelet.session_name(token("n" * 31, "a" * 32))
    assert longest == f"{'n' * 31}+{'a' * 32}"
    assert len(longest) == 64

    names = {kubelet.session_name(token("n" * 31, f"{'a' * 32}{end}")) for end in "bcd"}
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(r"n{31}\+a{23}-[0-9a-f]{8}", name)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("", "a"), "docker-credential-ecr"),
        (("n", ""), "docker-credential-ecr"),
        ((1, "a"), "docker-credential-ecr"),
        (("n", ["a"]), "docker-credential-ecr"),
        (("n s", "ä"), "n-s+-"),
        (("n", "a_=,.@-+"), "n+a_=,.@-+"),
    ],
)
def test_names_that_are_none(parts: tuple[Any, Any], name: str) -> None:
    """Two texts that are not empty make a name; what STS does not take becomes a dash."""
    assert kubelet.session_name(token(*parts)) == name


def test_a_token_without_a_role_is_the_nodes(helper: Helper, aws: FakeAWS) -> None:
    """Neither a role without a token, nor a token without a role, is a pod's own identity."""
    annotations = {"eks.amazonaws.com/ecr-role-arn": ROLE}
    for more in (
        {"serviceAccountToken": "a.b.c"},
        {"serviceAccountAnnotations": annotations},
        {"serviceAccountToken": "", "serviceAccountAnnotations": annotations},
        {"serviceAccountToken": None, "serviceAccountAnnotations": None},
    ):
        answer = json.loads(helper("kubelet", stdin=request(**more)).stdout)
        assert answer["auth"][HOST]["password"] in aws.issued
    assert aws.count("AssumeRoleWithWebIdentity") == 0


@pytest.mark.parametrize(
    "more",
    [
        {"serviceAccountToken": ["a"]},
        {"serviceAccountAnnotations": ["a"]},
        {"serviceAccountToken": 1, "serviceAccountAnnotations": {}},
        {"image": ""},
        {"image": 1},
        {"image": None},
        {"kind": "CredentialProviderResponse"},
        {"apiVersion": "credentialprovider.kubelet.k8s.io/v2"},
        {"apiVersion": "kubelet.k8s.io/v1"},
        {"apiVersion": 1},
    ],
    ids=str,
)
def test_requests_that_are_none(helper: Helper, aws: FakeAWS, more: dict[str, object]) -> None:
    """Whatever is not of its type is an error of one line, and nobody is asked."""
    answer = helper("kubelet", stdin=request(**more))

    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr.startswith("docker-credential-ecr: error: ")
    assert "\n" not in answer.stderr
    assert "defect" not in answer.stderr
    assert aws.requests == 0
