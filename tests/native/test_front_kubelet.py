"""The kubelet's request for the node's identity, answered by the front with Python's bytes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import vectors
from fake_aws import FakeAWS
from front import DEBUG, DUE, LATE, SECRET, Probe, keep_login, keep_token, kubelets
from kit import ELSEWHERE, HOST, HOUR, ROLE, Helper, Run
from vectors import Vector

# Those whose request names a host as an image does.
CASES = [
    case
    for case in vectors.all_of("entries", "ages", "logins", "choices", "environments")
    if case.get("needs") not in ("root", "user") and case.get("request") == HOST
]
ODD = [
    "",
    "{",
    "[]",
    "{}",
    "null",
    kubelets() + "x",
    kubelets().replace('"image"', '"imagE"'),
    kubelets().replace(HOST, HOST.replace(".", "\\u002e")),
    kubelets().replace("CredentialProviderRequest", "CredentialProviderResponse"),
    kubelets(version="v2"),
    kubelets(image=""),
    kubelets(image="alpine"),
    kubelets(image="library/alpine"),
    kubelets(image=HOST),
    kubelets(image=f"{ELSEWHERE}/x"),
    kubelets(image=f"{HOST}@evil.com/x"),
    kubelets(image="localhost/x"),
    kubelets(image="/x"),
    kubelets().replace(f'"{HOST}/app:1"', "7"),
    kubelets(kind=None),
    kubelets(serviceAccountToken=""),
    kubelets(serviceAccountToken="x.y.z"),
    kubelets(serviceAccountAnnotations={}),
    kubelets().replace("{", '{"image":"a.b/c",', 1),
    kubelets(image="é.example.com/x"),
    " " * 70_000 + kubelets(),
    " " * 300_000,
    kubelets() + " " * 300_000,
    f"{kubelets():262145}x",
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_decides_as_for_docker(tmp_path: Path, probe: Probe, case: Vector) -> None:
    """Each vector: the same token at the same second."""
    vectors.build(case, tmp_path)
    environ = vectors.environment(case, tmp_path)
    answer, reason = probe(
        kubelets().encode(), environ, int(case.get("now")), tmp_path, kubelet=True
    )

    decision = {"": "served", DUE: "due", LATE: "late"}.get(reason, "absent")
    assert decision == case.get("expect"), reason
    if answer is not None:
        assert json.loads(answer)["auth"] == {
            HOST: {"username": "AWS", "password": json.loads(case.get("stdout"))["Secret"]}
        }


@pytest.mark.parametrize(
    "vector", [vector for vector in vectors.all_of("hosts") if vector.get("host")], ids=str
)
def test_it_knows_a_registry_as_the_vector_says(
    tmp_path: Path, probe: Probe, vector: Vector
) -> None:
    """Only a registry of ECR's is answered for: what another host mirrors the configuration says."""
    host = vector.get("host")
    keep_login(tmp_path, host)
    environ = {"AWS_ECR_CACHE_DIR": str(tmp_path)}
    asked = kubelets(f"{host}:443/x").encode()
    answer, reason = probe(asked, environ, int(time.time()), kubelet=True)

    if vector.get("expect") == "registry":
        assert answer is not None
    elif "." in host:
        assert reason == "the host may be a mirror of a registry"


@pytest.mark.parametrize(
    ("refresh", "renew", "keep"),
    [
        (HOUR + 62, 10 * HOUR, "1h1m2s"),
        (61, HOUR, "0h1m1s"),
        (59, HOUR, "0h1m0s"),
        (0, HOUR, "0h1m0s"),
        (-HOUR, HOUR, "0h1m0s"),
        (11 * HOUR, 11 * HOUR, "11h0m0s"),
    ],
)
def test_how_long_the_answer_is_kept(
    tmp_path: Path, probe: Probe, refresh: int, renew: int, keep: str
) -> None:
    """Until the token is due, and a minute at least."""
    now = int(time.time())
    keep_token(tmp_path, refresh, renew)
    answer, _ = probe(kubelets().encode(), {"AWS_ECR_CACHE_DIR": str(tmp_path)}, now, kubelet=True)

    assert answer is not None
    kept = json.loads(answer)["cacheDuration"]
    assert seconds(keep) <= seconds(kept) <= seconds(keep) + 1 or kept == keep


def seconds(duration: str) -> int:
    hours, minutes, rest = (int(part) for part in duration[:-1].replace("h", "m").split("m"))
    return 3600 * hours + 60 * minutes + rest


def both(helper: Helper, built: Path, asked: str) -> tuple[Run, Run]:
    """Return what Python and the front say, with Python asked again to say the same.

    An answer says for how many seconds it is good: no second has passed between them.
    """
    ours = built / "docker-credential-ecr"
    python = helper.path
    while True:
        before, helper.path = helper("kubelet", stdin=asked), ours
        found, helper.path = helper("kubelet", stdin=asked, env=DEBUG), python
        if helper("kubelet", stdin=asked) == before:
            return before, found


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
@pytest.mark.parametrize("image", ["app:1", "a/b@sha256:0", ""])
def test_the_bytes_are_pythons(
    helper: Helper, built: Path, cache: Path, version: str, image: str
) -> None:
    """In whatever version it is asked: not a byte differs."""
    keep_login(cache)
    python, ours = both(helper, built, kubelets(f"{HOST}/{image}", version))

    assert ours == python
    assert SECRET in ours.stdout


@pytest.mark.parametrize("number", range(len(ODD)))
def test_what_is_odd_is_pythons(
    aws: FakeAWS, helper: Helper, built: Path, number: int, cache: Path
) -> None:
    """All but a plain request for the node's identity goes on whole: the words are Python's."""
    keep_login(cache)
    python, ours = both(helper, built, ODD[number])

    assert (ours.status, ours.stdout) == (python.status, python.stdout)
    assert ours.stderr.endswith(python.stderr)
    if SECRET not in python.stdout:
        assert ours.stderr.startswith("docker-credential-ecr: debug: on to Python: ")


def test_a_pods_own_role_is_pythons(aws: FakeAWS, front: Helper, cache: Path) -> None:
    """With a role it never gets the node's token, which lies on the disk."""
    keep_login(cache)
    asked = kubelets(
        serviceAccountToken="x.y.z",
        serviceAccountAnnotations={"eks.amazonaws.com/ecr-role-arn": ROLE},
    )

    assert SECRET not in front("kubelet", stdin=asked).stdout
    assert aws.count("AssumeRoleWithWebIdentity") == 1


@pytest.mark.parametrize("word", ["false", "off", "nope", "true"])
def test_whether_the_node_answers_is_pythons(front: Helper, cache: Path, word: str) -> None:
    """While AWS_ECR_NODE_IDENTITY says anything, Python reads it: a token on the disk changes nothing."""
    keep_login(cache)
    env = {"AWS_ECR_NODE_IDENTITY": word, **DEBUG}
    run = front("kubelet", stdin=kubelets(), env=env)

    assert run.stderr.startswith("docker-credential-ecr: debug: on to Python: ")
    assert (SECRET in run.stdout) == (word == "true")
    assert SECRET in front("get", stdin=HOST, env=env).stdout


@pytest.mark.parametrize("words", [(), ("get-credentials",), ("--verbose", "x"), ("kubelet",)])
def test_by_its_name(tmp_path: Path, front: Helper, cache: Path, words: tuple[str, ...]) -> None:
    """Started as the cloud provider's plugin, with whatever words, it is the kubelet's."""
    keep_login(cache)
    link = tmp_path / "ecr-credential-provider"
    link.symlink_to(front.path)
    front.path = link

    run = front(*words, stdin=kubelets(), env=DEBUG)
    assert (run.status, run.stderr) == (0, "")
    assert json.loads(run.stdout)["auth"][HOST]["password"] == SECRET


@pytest.mark.proof(only=True)
def test_a_request_that_never_ends(front: Helper) -> None:
    """The kubelet gives up after 60 seconds: an error is out after 28, in Python's words."""
    process = front.start("kubelet")
    assert process.stderr is not None
    assert process.stderr.read().startswith(
        b"docker-credential-ecr: error: no answer for the kubelet within 28 s, "
        b"while reading the request; hint: "
    )
    assert process.wait() == 1
    process.communicate()
