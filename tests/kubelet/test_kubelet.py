"""The kubelet's conversation, and the kubelet's own code on the other side of it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from hang import Hang
from kit import (
    CALL,
    EXECUTABLE,
    HOST,
    ROLE,
    Helper,
    Run,
    give,
    make_due,
    until,
)
from node import KUBERNETES, Node, is_matched, registry_hosts

from docker_credential_ecr import registry

GROUP = "credentialprovider.kubelet.k8s.io"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"
IRSA = "eks.amazonaws.com/role-arn"  # the annotation that names the role of the pod itself
LIMIT = (
    30  # seconds in which an answer or an error must be out (issue: the kubelet's patience is 60)
)


def request(image: str = f"{HOST}/app", version: str = "v1", **more: object) -> str:
    return json.dumps(
        {
            "apiVersion": f"{GROUP}/{version}",
            "kind": "CredentialProviderRequest",
            "image": image,
            **more,
        }
    )


def claims(content: dict[str, object]) -> str:
    """A token as Kubernetes signs them, with a signature that nobody checks here."""
    parts: list[dict[str, object]] = [{"alg": "RS256"}, content]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*encoded, "U0lHTkFUVVJFLUNBTkFSWQ"])


def jwt(namespace: str = "team", name: str = "web") -> str:
    """The token of a service account."""
    return claims({"kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name}}})


def auth_of(run: Run) -> dict[str, dict[str, str]]:
    assert (run.status, run.stderr) == (0, ""), run
    return dict(json.loads(run.stdout)["auth"])


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_the_answer_is_exactly_the_versions_shape(
    helper: Helper, aws: FakeAWS, version: str
) -> None:
    """The answer has the request's apiVersion and the fields of that version, no other."""
    run = helper("kubelet", stdin=request(version=version))
    answer = json.loads(run.stdout)
    password = answer["auth"][HOST].pop("password")
    assert aws.issued[password] == ("AKIATEST", "us-east-1")
    assert re.fullmatch(r"\d+h\d+m\d+s", answer.pop("cacheDuration"))
    assert answer == {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "auth": {HOST: {"username": "AWS"}},
    }


def test_the_kubelet_keeps_it_until_the_refresh_time(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """The cacheDuration ends when the token is due for renewal, to the second or two."""
    duration = json.loads(helper("kubelet", stdin=request()).stdout)["cacheDuration"]
    hours, minutes, seconds = map(int, re.findall(r"\d+", duration))
    (entry,) = (cache / HOST).glob("[!.]*")
    (refresh,) = re.findall(r"^refresh (\d+)$", entry.read_text(), re.MULTILINE)
    end = time.time() + hours * 3600 + minutes * 60 + seconds
    assert abs(end - int(refresh)) <= 5


@pytest.mark.parametrize("name", ["ecr-credential-provider", "ecr-credential-provider-sa"])
@pytest.mark.parametrize("arguments", [[], ["get-credentials"]])
def test_it_is_a_drop_in_by_name(
    helper: Helper, aws: FakeAWS, tmp_path: Path, name: str, arguments: list[str]
) -> None:
    """Under the cloud provider's names it is the plugin, with or without its argument."""
    helper.path = tmp_path / name
    helper.path.symlink_to(EXECUTABLE)
    assert HOST in auth_of(helper(*arguments, stdin=request()))


@pytest.mark.parametrize(
    ("image", "key"),
    [
        (f"{HOST}/app:1", HOST),
        (f"{HOST}/app@sha256:{'0' * 64}", HOST),
        (f"{HOST}/deep/er/app", HOST),
        (f"{HOST}:443/app", f"{HOST}:443"),
        (f"{HOST.upper()}/app", HOST.upper()),
    ],
)
def test_images_in_every_written_form(helper: Helper, aws: FakeAWS, image: str, key: str) -> None:
    """The key is the registry as the image names it: the kubelet compares it to the image."""
    assert list(auth_of(helper("kubelet", stdin=request(image)))) == [key]


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "library/nginx",
        "docker.io/library/nginx",
        "registry.k8s.io/pause",
        "localhost/app",
        f"{HOST}.evil.com/app",
        f"evil.com/{HOST}/app",
        f"user@{HOST}/app",
        HOST,
    ],
)
def test_a_host_that_is_not_ecr_gets_no_token(helper: Helper, aws: FakeAWS, image: str) -> None:
    """An image from elsewhere is answered with an empty auth, and AWS is not asked."""
    assert auth_of(helper("kubelet", stdin=request(image))) == {}
    assert aws.requests == 0


def test_a_mapped_host_is_served(helper: Helper, aws: FakeAWS, home: Path) -> None:
    """A name of the user's own in front of a registry is served like the registry."""
    folder = home / ".config" / "docker-credential-ecr"
    folder.mkdir(parents=True)
    rule = f'[[registry]]\nmatch = "images.example.com"\nregistry = "{HOST}"\n'
    (folder / "config.toml").write_text(rule)
    assert "images.example.com" in auth_of(helper("kubelet", stdin=request("images.example.com/a")))


def test_docker_and_the_kubelet_share_the_cache(helper: Helper, aws: FakeAWS) -> None:
    """The node's identity through the kubelet and Docker's get cost one call together."""
    password = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
    assert helper.get().secret == password
    assert aws.requests == 1


@pytest.mark.parametrize(
    ("stdin", "reason"),
    [
        (b"", "no request on stdin"),
        (b"{", "the request is not JSON"),
        (b"[" * 100_000, "the request is not JSON"),
        (b"\xff" * (1 << 20), "the request is longer than 256 KiB"),
        (b"[]", "kind is not"),
        (request().replace("CredentialProviderRequest", "Other").encode(), "kind is not"),
        (request(version="v2").encode(), "apiVersion is not known"),
        (b'{"kind": "CredentialProviderRequest"}', "apiVersion is not known"),
        (request(image="").encode(), "names no image"),
        (request(serviceAccountToken=7).encode(), "not of their type"),
        (request(serviceAccountAnnotations=[1]).encode(), "not of their type"),
    ],
)
def test_what_is_no_request_is_one_clear_line(
    helper: Helper, aws: FakeAWS, stdin: bytes, reason: str
) -> None:
    """A malformed request: one line on stderr that does not quote it, exit 1, nothing on stdout."""
    run = helper("kubelet", stdin=stdin)
    assert (run.status, run.stdout) == (1, "")
    assert "\n" not in run.stderr
    assert run.stderr.startswith("docker-credential-ecr: error: ")
    assert reason in run.stderr
    assert "\xff" not in run.stderr
    assert len(run.stderr) < 400


def test_stdin_that_was_never_open(helper: Helper, aws: FakeAWS) -> None:
    """Without a stdin at all: the same line, no traceback."""
    run = helper("kubelet", wrap=("sh", "-c", 'exec "$0" "$@" <&-'))
    assert (run.status, run.stdout) == (1, "")
    assert "no request on stdin" in run.stderr


def test_no_home_and_a_bare_path(helper: Helper, aws: FakeAWS, tmp_path: Path) -> None:
    """The kubelet sets no HOME and little PATH: it works all the same."""
    bare = {"HOME": None, "PATH": "/nowhere", "LANG": None, "XDG_CACHE_HOME": str(tmp_path)}
    assert HOST in auth_of(helper("kubelet", stdin=request(), env=bare))


def test_a_failure_is_one_line_with_reason_and_hint(helper: Helper, aws: FakeAWS) -> None:
    """The kubelet's log gets reason and hints in one line; stdout stays empty.

    Not even at the end is there a newline: klog would make three lines of it, and the one with our
    reason would name neither image nor pod.
    """
    aws.fault(CALL, status=400, code="AccessDeniedException", message="CANARY")
    run = helper("kubelet", stdin=request())
    assert (run.status, run.stdout) == (1, "")
    assert "\n" not in run.stderr
    assert "access denied" in run.stderr
    assert "hint: allow ecr:GetAuthorizationToken" in run.stderr
    assert "CANARY" not in run.stderr


def test_public_images_need_no_credentials(helper: Helper, aws: FakeAWS) -> None:
    """Without AWS credentials ECR Public gets an empty auth, kept for a minute: an anonymous pull.

    A private registry's image gets the reason.
    """
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    run = helper("kubelet", stdin=request("public.ecr.aws/team/app"), env=none)
    assert auth_of(run) == {}
    assert json.loads(run.stdout)["cacheDuration"] == "0h1m0s"
    run = helper("kubelet", stdin=request(), env=none)
    assert (run.status, run.stdout) == (1, "")
    assert f'no AWS credentials for "{HOST}"' in run.stderr


def test_an_outage_is_bridged_by_a_valid_token(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """With the API down and a token on disk past its renewal time, the token still answers."""
    password = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
    (entry,) = (cache / HOST).glob("[!.]*")
    now = int(time.time())
    text = entry.read_text()
    for key, value in (("issued", now - 40_000), ("refresh", now - 20_000), ("renew", now - 5)):
        text = re.sub(rf"^{key} \d+$", f"{key} {value}", text, flags=re.MULTILINE)
    text = re.sub(r"^expires \d+$", f"expires {now + 595}", text, flags=re.MULTILINE)
    entry.write_text(text)
    aws.fault(CALL, status=500, code="ServerException")
    assert auth_of(helper("kubelet", stdin=request()))[HOST]["password"] == password


@pytest.mark.parametrize("what", ["api", "sts", "metadata", "token file", "config.toml"])
def test_whatever_hangs_an_error_is_out_in_time(
    helper: Helper, aws: FakeAWS, tmp_path: Path, what: str
) -> None:
    """The API, STS, the metadata service or a file hang: one line says where, within the limit."""
    env: dict[str, str | None] = {"AWS_ECR_TIMEOUT": "3"}
    more: dict[str, Any] = {}
    if what == "api":
        aws.fault(CALL, hang=True)
    elif what == "config.toml":
        os.mkfifo(tmp_path / "config.toml")
        env["AWS_ECR_CONFIG_FILE"] = str(tmp_path / "config.toml")
    elif what == "sts":
        aws.fault("AssumeRoleWithWebIdentity", hang=True)
        more = {
            "serviceAccountToken": jwt(),
            "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": ROLE},
        }
    elif what == "metadata":
        aws.fault("MetadataToken", hang=True)
        env |= {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_EC2_METADATA_DISABLED": None,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{aws.url}/",
            "AWS_METADATA_SERVICE_TIMEOUT": "100",
        }
    elif what == "token file":
        os.mkfifo(tmp_path / "token")
        env |= {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ROLE_ARN": ROLE,
        }
    start = time.monotonic()
    process = helper.start("kubelet", stdin=request(**more), env=env)
    line = line_in_time(process, start)
    assert f'no answer for "{HOST}" within 3 s, while ' in line


def test_the_kubelets_limit_is_above_the_users(helper: Helper, aws: FakeAWS) -> None:
    """With AWS_ECR_TIMEOUT=600, and where stdin hangs, an error is out all the same."""
    aws.fault(CALL, hang=True)
    start = time.monotonic()
    patient = helper.start("kubelet", stdin=request(), env={"AWS_ECR_TIMEOUT": "600"})
    silent = helper.start("kubelet")  # its stdin stays open
    assert f'no answer for "{HOST}" within ' in line_in_time(patient, start)
    assert "while reading the request" in line_in_time(silent, start)


def line_in_time(process: subprocess.Popen[bytes], start: float) -> str:
    """Return the one line of a process that fails within the limit."""
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr = process.stdout.read(), process.stderr.read().decode()
    assert time.monotonic() - start < LIMIT
    assert process.wait(timeout=5) == 1
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    assert stdout == b""
    assert stderr.startswith("docker-credential-ecr: error: ")
    assert "\n" not in stderr
    return stderr


def test_a_lock_that_is_never_released_is_done_without(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """A process that holds the lock and hangs costs patience, not the answer."""
    auth_of(helper("kubelet", stdin=request()))
    (lock,) = (cache / ".locks").iterdir()
    helper("erase", stdin=HOST)
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert HOST in auth_of(helper("kubelet", stdin=request(), env={"AWS_ECR_TIMEOUT": "3"}))
    assert aws.count(CALL) == 2


def test_nothing_holds_the_pipes(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """The kubelet waits for the pipes even of children: the renewal behind an answer holds none."""
    helper("kubelet", stdin=request())
    make_due(cache)
    aws.fault(CALL, hang=True)
    run = helper("kubelet", stdin=request())  # returns at the end of the pipes
    assert HOST in auth_of(run)
    until(lambda: aws.count(CALL) == 2)
    aws.clear()


def test_a_disk_that_hangs_behind_the_answer_keeps_nobody(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """The kubelet uses no answer before we have left: a disk that hangs after it does not keep us."""
    password = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
    make_due(cache)
    with Hang(cache / HOST, ".renewal") as disk:
        run = helper("kubelet", stdin=request())  # returns at the end of the process and its pipes
        assert disk.held == 1
    assert auth_of(run)[HOST]["password"] == password
    assert aws.count(CALL) == 1


def test_docker_is_not_kept_by_a_disk_that_hangs_behind_the_answer(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """Docker knows no time limit: a get that starts a renewal ends, whatever the disk does."""
    password = helper.get().secret
    make_due(cache)
    with Hang(cache / HOST, ".renewal") as disk:
        assert helper.get().secret == password
        assert disk.held == 1


@pytest.mark.parametrize("asks", ["kubelet", "docker"])
def test_a_disk_that_hangs_under_the_cache_breaks_no_pull(
    helper: Helper, aws: FakeAWS, cache: Path, asks: str
) -> None:
    """AWS has answered and the cache cannot be written: the answer is given all the same."""
    (cache / HOST).mkdir(parents=True, mode=0o700)
    with Hang(cache / HOST, "") as disk:
        if asks == "docker":
            password = helper.get().secret
        else:
            password = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
        assert disk.held == 1
    assert password in aws.issued


@pytest.mark.alone
def test_a_hundred_at_once_make_one_call(
    helper: Helper,
    aws: FakeAWS,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A node that starts a hundred pods of one registry calls once, and all are answered.

    The memory of the whole herd is reported: what it shares is counted once (PSS).
    """
    aws.delay = 2  # seconds: nobody is answered before all of them are there
    processes = [helper.start("kubelet") for _ in range(100)]
    peaks = {"pss": 0, "rss": 0, "processes": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            sizes = [size for process in processes if (size := memory_of(process.pid))]
            peaks["processes"] = max(peaks["processes"], len(sizes))
            for kind in ("pss", "rss"):
                peaks[kind] = max(peaks[kind], sum(size[kind] for size in sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for process in processes:
        give(process, request())
    passwords = set()
    for process in processes:
        stdout, stderr = process.communicate()
        passwords.add(json.loads(stdout)["auth"][HOST]["password"])
        assert (process.returncode, stderr) == (0, b"")
    done.set()
    watcher.join()
    assert len(passwords) == 1
    assert aws.count(CALL) == 1
    assert peaks["pss"] > 0
    report = f"{peaks['pss'] >> 10} MiB (PSS), {peaks['rss'] >> 10} MiB (RSS)"
    record_property("herd_memory", report)
    with capsys.disabled():
        sys.stdout.write(f"\na herd of {peaks['processes']} for one registry: {report}\n")


def memory_of(pid: int) -> dict[str, int] | None:
    """Return a process's memory in KiB, ``None`` if it is gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.findall(r"^(Pss|Rss): +(\d+) kB$", text, re.MULTILINE)
        if len(found) == 2:
            return {kind.lower(): int(size) for kind, size in found}
    return None


def of_pod(helper: Helper, token: str, role: str | None, **env: str | None) -> Run:
    annotations = {} if role is None else {"eks.amazonaws.com/ecr-role-arn": role}
    body = request(serviceAccountToken=token, serviceAccountAnnotations=annotations)
    return helper("kubelet", stdin=body, env=env)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def test_service_accounts_leave_no_trace_on_an_empty_disk(
    helper: Helper, aws: FakeAWS, tmp_path: Path
) -> None:
    """A pod's token makes no file, no directory and no lock, whoever asks first."""
    before = files_below(tmp_path)
    auth_of(of_pod(helper, jwt("a", "one"), ROLE, TMPDIR=str(tmp_path)))
    assert files_below(tmp_path) == before


def test_service_accounts_pull_as_their_own_roles_and_leave_no_trace(
    helper: Helper, aws: FakeAWS, home: Path, cache: Path
) -> None:
    """Two service accounts get tokens of two roles; each leaves every byte on disk as it was.

    Neither is answered with the other's token, with the node's, or the node with theirs.
    """
    node = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
    before = files_below(home)
    assert any(node.encode() in content for content in before.values())
    pods = [("a", "one", ROLE, "puller"), ("b", "two", OTHER_ROLE, "other")]
    seen = {node}
    for namespace, name, role, who in [*pods, *pods]:
        password = auth_of(of_pod(helper, jwt(namespace, name), role))[HOST]["password"]
        assert aws.issued[password][0].endswith(who)
        assert files_below(home) == before
        seen.add(password)
    assert len(seen) == 5
    assert helper.get().secret == node
    everything = b"".join(files_below(home).values())
    for canary in (*(seen - {node}), "SESSION-CANARY", "SECRET-CANARY", "SIGNATURE", ROLE):
        assert canary.encode() not in everything


def test_the_session_tells_namespace_and_service_account(helper: Helper, aws: FakeAWS) -> None:
    """CloudTrail shows the role session's name: it says whose pull it was."""
    auth_of(of_pod(helper, jwt("team", "web"), ROLE))
    assert "RoleSessionName=team%2Bweb" in aws.calls[0].body
    assert f"WebIdentityToken={jwt('team', 'web')}" in aws.calls[0].body


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (jwt("n" * 63, "s" * 200), r"n{55}-[0-9a-f]{8}"),
        (jwt("a b\nc&d", "x/y"), r"a-b-c-d%2Bx-y"),
        ("not-a-token-at-all", "docker-credential-ecr"),
        ("a.b.c.d.e", "docker-credential-ecr"),
        (claims({"kubernetes.io": "text"}), "docker-credential-ecr"),
        (
            claims({"kubernetes.io": {"namespace": {}, "serviceaccount": {"name": []}}}),
            "docker-credential-ecr",
        ),
        (jwt("", ""), "docker-credential-ecr"),  # STS takes no name shorter than 2
        (jwt("team", ""), "docker-credential-ecr"),
    ],
)
def test_hostile_claims_do_no_harm(helper: Helper, aws: FakeAWS, token: str, name: str) -> None:
    """Whatever the claims hold, the session's name is one that STS takes, and it decides nothing."""
    auth_of(of_pod(helper, token, ROLE))
    (sent,) = re.findall(r"RoleSessionName=([^&]*)", aws.calls[0].body)
    assert re.fullmatch(name, sent), sent


def test_the_role_may_come_from_the_environment_or_be_absent(helper: Helper, aws: FakeAWS) -> None:
    """AWS_ECR_ROLE_ARN stands in for an annotation; with neither, the node's identity answers."""
    role = auth_of(of_pod(helper, jwt(), None, AWS_ECR_ROLE_ARN=ROLE))[HOST]["password"]
    assert aws.issued[role][0].endswith("puller")
    node = auth_of(of_pod(helper, jwt(), None))[HOST]["password"]
    assert aws.issued[node][0] == "AKIATEST"


@pytest.mark.parametrize("env", [{}, {"AWS_ECR_ROLE_ARN": ROLE}, {"AWS_ECR_ROLE_ANNOTATION": IRSA}])
def test_an_empty_annotation_asks_for_the_nodes_identity(
    helper: Helper, aws: FakeAWS, env: dict[str, str]
) -> None:
    """An annotation that is there and empty is no role, whatever else names one."""
    body = request(
        serviceAccountToken=jwt(),
        serviceAccountAnnotations={"eks.amazonaws.com/ecr-role-arn": "", IRSA: ROLE},
    )
    password = auth_of(helper("kubelet", stdin=body, env=env))[HOST]["password"]
    assert aws.issued[password][0] == "AKIATEST"
    assert aws.count("AssumeRoleWithWebIdentity") == 0


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "off", "nope", " "])
def test_an_empty_annotation_got_the_nodes_identity_where_it_answers_for_no_pod(
    helper: Helper, aws: FakeAWS, word: str
) -> None:
    """With AWS_ECR_NODE_IDENTITY=false no request is answered as the node, also from the disk.

    Another word than those that mean yes opens nothing. Roles, and images from elsewhere, are as ever.
    """
    node = auth_of(helper("kubelet", stdin=request()))[HOST]["password"]
    env = {"AWS_ECR_NODE_IDENTITY": word}
    for why, said in {
        'the annotation "eks.amazonaws.com/ecr-role-arn" names no role': {
            "eks.amazonaws.com/ecr-role-arn": ""
        },
        '"AWS_ECR_ROLE_ARN" names no role': {},
    }.items():
        body = request(serviceAccountToken=jwt(), serviceAccountAnnotations=said)
        refused(helper("kubelet", stdin=body, env=env), why)
    for body in (
        request(),
        request(serviceAccountToken="", serviceAccountAnnotations={}),
        request(version="v1beta1", serviceAccountToken=jwt()),
        request("public.ecr.aws/team/app"),
    ):
        refused(helper("kubelet", stdin=body, env=env), "no service account token came with")
    assert aws.requests == 1  # the first, as the node

    password = auth_of(of_pod(helper, jwt(), ROLE, **env))[HOST]["password"]
    assert aws.issued[password][0].endswith("puller")
    elsewhere = request("registry.k8s.io/pause")
    assert auth_of(helper("kubelet", stdin=elsewhere, env=env)) == {}
    assert helper.get(env=env).secret == node  # Docker's, which has no pods


@pytest.mark.parametrize("word", ["", "true", "True", "1", "yes", "on"])
def test_the_nodes_identity_answers_unless_the_setting_says_no(
    helper: Helper, aws: FakeAWS, word: str
) -> None:
    """AWS_ECR_NODE_IDENTITY that is empty, or says yes, changes nothing."""
    env = {"AWS_ECR_NODE_IDENTITY": word}
    assert HOST in auth_of(helper("kubelet", stdin=request(), env=env))
    assert HOST in auth_of(of_pod(helper, jwt(), "", **env))


def refused(run: Run, why: str) -> None:
    """It is one line that says why, and what to do; no password."""
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith(f"docker-credential-ecr: error: {why}")
    assert '"AWS_ECR_NODE_IDENTITY"' in run.stderr
    assert "hint: " in run.stderr
    assert "\n" not in run.stderr


def test_another_annotation_names_the_role_where_the_setting_says_so(
    helper: Helper, aws: FakeAWS
) -> None:
    """IRSA's annotation is the pod's own powers: no pull uses them unless the setting names it.

    Ours comes first, then the other one, then the variable.
    """

    def who(annotations: dict[str, str], **env: str) -> str:
        body = request(serviceAccountToken=jwt(), serviceAccountAnnotations=annotations)
        password = auth_of(helper("kubelet", stdin=body, env=env))[HOST]["password"]
        return re.sub(r"^ASIA\d+", "", aws.issued[password][0])

    setting = {"AWS_ECR_ROLE_ANNOTATION": IRSA}
    ours = {"eks.amazonaws.com/ecr-role-arn": ROLE}
    assert who({IRSA: OTHER_ROLE}) == "AKIATEST"
    assert who({IRSA: OTHER_ROLE}, **setting) == "other"
    assert who({IRSA: OTHER_ROLE, **ours}, **setting) == "puller"
    assert who({IRSA: OTHER_ROLE}, **setting, AWS_ECR_ROLE_ARN=ROLE) == "other"
    assert who({}, **setting, AWS_ECR_ROLE_ARN=ROLE) == "puller"

    bad = request(serviceAccountToken=jwt(), serviceAccountAnnotations={IRSA: "web"})
    run = helper("kubelet", stdin=bad, env=setting)
    assert (run.status, run.stdout) == (1, "")
    assert f'the annotation "{IRSA}" is not the ARN of a role' in run.stderr


def test_a_session_name_that_trust_policies_know(helper: Helper, aws: FakeAWS) -> None:
    """The setting names every session, as the cloud provider's plugin does; no other name is sent."""
    name = "ecr-credential-provider"
    auth_of(of_pod(helper, jwt(), ROLE, AWS_ECR_ROLE_SESSION_NAME=name))
    assert f"RoleSessionName={name}&" in f"{aws.calls[0].body}&"
    auth_of(of_pod(helper, jwt(), ROLE, AWS_ECR_ROLE_SESSION_NAME=""))
    assert "RoleSessionName=team%2Bweb" in aws.calls[2].body

    requests = aws.requests
    for bad in ("a", "two words", "n" * 65):
        run = of_pod(helper, jwt(), ROLE, AWS_ECR_ROLE_SESSION_NAME=bad)
        assert (run.status, run.stdout) == (1, "")
        assert '"AWS_ECR_ROLE_SESSION_NAME" is not the name of a role session' in run.stderr
        assert HOST in auth_of(
            helper("kubelet", stdin=request(), env={"AWS_ECR_ROLE_SESSION_NAME": bad})
        )
    assert aws.requests == requests + 1  # the node's, once


@pytest.mark.parametrize(
    "role",
    ["arn:aws-cn:iam::123456789012:role/puller", "arn:aws:iam::123456789012:role/a:b/puller"],
)
def test_roles_of_every_form_are_assumed(helper: Helper, aws: FakeAWS, role: str) -> None:
    """A role of another partition and one whose path has a colon go to STS as they are."""
    password = auth_of(of_pod(helper, jwt(), role))[HOST]["password"]
    assert aws.issued[password][0].endswith("puller")


def test_a_bad_role_matters_only_where_it_is_assumed(helper: Helper, aws: FakeAWS) -> None:
    """The node's own requests, and images from elsewhere, pass by a role that is none."""
    bad = {"AWS_ECR_ROLE_ARN": "puller"}
    assert HOST in auth_of(helper("kubelet", stdin=request(), env=bad))
    elsewhere = request("registry.k8s.io/pause", serviceAccountToken=jwt())
    assert auth_of(helper("kubelet", stdin=elsewhere, env=bad)) == {}
    run = of_pod(helper, jwt(), None, **bad)
    assert (run.status, run.stdout) == (1, "")
    assert '"AWS_ECR_ROLE_ARN" is not the ARN of a role' in run.stderr


@pytest.mark.parametrize("role", ["puller", "arn:aws:iam::1:user/x", "arn:aws:s3:::x", "a b"])
def test_a_role_that_is_none_is_refused(helper: Helper, aws: FakeAWS, role: str) -> None:
    """An annotation that is no role's ARN is an error that names the annotation."""
    run = of_pod(helper, jwt(), role)
    assert (run.status, run.stdout) == (1, "")
    assert 'the annotation "eks.amazonaws.com/ecr-role-arn" is not the ARN of a role' in run.stderr
    assert aws.requests == 0


def test_a_role_that_cannot_be_assumed(helper: Helper, aws: FakeAWS) -> None:
    """STS refuses: the line names the role and the action to allow, and no token of the pod."""
    aws.fault("AssumeRoleWithWebIdentity", status=403, code="AccessDenied", message="no CANARY")
    run = of_pod(helper, jwt(), ROLE)
    assert run.status == 1
    assert "sts:AssumeRoleWithWebIdentity" in run.stderr
    assert "CANARY" not in run.stderr
    assert jwt().split(".")[2] not in run.stderr


def test_older_versions_know_no_service_accounts(helper: Helper, aws: FakeAWS) -> None:
    """The fields came with v1: a v1beta1 request that has them is answered as the node."""
    body = request(version="v1beta1", serviceAccountToken=jwt(), serviceAccountAnnotations={})
    password = auth_of(helper("kubelet", stdin=body, env={"AWS_ECR_ROLE_ARN": ROLE}))[HOST][
        "password"
    ]
    assert aws.issued[password][0] == "AKIATEST"


IMAGES = {
    f"{HOST}/app": "us-east-1",
    "123456789012.dkr-ecr.us-west-2.on.aws/app": "us-west-2",
    "public.ecr.aws/team/app": "us-east-1",
}


def test_the_kubelet_itself_decodes_our_answers(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """The kubelet's code with the shipped configuration finds the password for each image.

    Its decoding is strict, its matching is its own; an image from elsewhere gets nothing.
    """
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    pod = {"namespace": "team", "pod": "web-1", "serviceAccount": "web"}
    images = [*IMAGES, f"{HOST}/second", "registry.k8s.io/pause"]
    answers = node.pull(*({"image": image, **pod} for image in images))
    for answer, region in zip(answers, IMAGES.values(), strict=False):
        assert answer["found"], (answer["image"], node.log)
        (credential,) = answer["auth"]
        assert credential["username"] == "AWS"
        assert aws.issued[credential["password"]][1] == region
    assert answers[3]["auth"] == answers[0]["auth"]
    assert answers[4] == {"image": "registry.k8s.io/pause", "found": False, "auth": []}


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha1"])
def test_the_kubelet_itself_decodes_older_versions(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path, version: str
) -> None:
    """A provider configured for an older apiVersion gets an answer in that version."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    shipped = node.config.read_text()
    assert f"{GROUP}/v1\n" in shipped
    node.config.write_text(shipped.replace(f"{GROUP}/v1\n", f"{GROUP}/{version}\n"))
    (answer,) = node.pull({"image": f"{HOST}/app", "namespace": "team", "pod": "web-1"})
    assert answer["found"], node.log
    assert answer["auth"][0]["password"] in aws.issued


def test_the_kubelets_decoding_is_strict(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """One field too many in our answer, and the kubelet's code would refuse it: the tests here see."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    plugin = node.bin_dir / "ecr-credential-provider"
    plugin.unlink()
    plugin.write_text(f"#!/bin/sh\n'{EXECUTABLE}' kubelet | sed 's/^{{/{{\"more\": 1, /'\n")
    plugin.chmod(0o755)
    (answer,) = node.pull({"image": f"{HOST}/app", "namespace": "team", "pod": "web-1"})
    assert not answer["found"]
    assert "error decoding credential provider plugin response" in node.log
    assert aws.count(CALL) == 1


def test_ports_and_capitals_are_not_matched(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """The page says what the kubelet's matcher does not pass to us: a port, and capitals."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    images = [f"{HOST}:443/app", f"{HOST.upper()}/app"]
    answers = node.pull(*({"image": image, "namespace": "n", "pod": "p"} for image in images))
    assert [answer["found"] for answer in answers] == [False, False]
    assert aws.requests == 0


def test_the_kubelet_asks_for_a_fips_image(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """A FIPS image is matched and asked for; with an endpoint override the log says why not."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    image = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app"
    (answer,) = node.pull({"image": image, "namespace": "team", "pod": "web-1"})
    assert not answer["found"]
    assert "is a FIPS registry, but the configured endpoint" in node.log
    assert "hint:" in node.log


def test_the_kubelet_passes_service_accounts_on(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """Pods with the annotation pull as their role first, the others as the node."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config-service-accounts.yaml")
    image = f"{HOST}/app"
    annotations = {"eks.amazonaws.com/ecr-role-arn": ROLE}
    own = {"image": image, "namespace": "a", "pod": "p", "serviceAccount": "one"}
    answers = node.pull(
        {**own, "token": jwt("a", "one"), "annotations": annotations},
        {**own, "pod": "q", "token": jwt("a", "one"), "annotations": annotations},
        {**own, "serviceAccount": "two", "token": jwt("a", "two"), "annotations": {}},
    )
    who = [[aws.issued[c["password"]][0] for c in answer["auth"]] for answer in answers]
    assert who[0][0].endswith("puller")
    assert who[1] == who[0]
    assert who[2] == ["AKIATEST"]
    assert aws.count("AssumeRoleWithWebIdentity") == 1


def test_whoever_annotates_a_service_account_gets_no_pull_of_the_nodes(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """The shipped configuration in which the node answers for no pod: nor for an empty annotation."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config-service-accounts-only.yaml")
    own = {"image": f"{HOST}/app", "namespace": "a", "pod": "p", "token": jwt("a", "one")}
    empty, static, role = node.pull(
        {**own, "serviceAccount": "one", "annotations": {"eks.amazonaws.com/ecr-role-arn": ""}},
        {"image": f"{HOST}/app", "namespace": "a", "pod": "static"},
        {**own, "serviceAccount": "two", "annotations": {"eks.amazonaws.com/ecr-role-arn": ROLE}},
    )
    assert (empty["found"], empty["auth"]) == (False, [])
    assert (static["found"], static["auth"]) == (False, [])
    assert "names no role" in node.log
    (credential,) = role["auth"]
    assert aws.issued[credential["password"]][0].endswith("puller")
    assert aws.count(CALL) == 1


def test_the_kubelets_cache_keeps_service_accounts_apart(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """Two roles, one image, one kubelet: each service account is answered as itself, and cached.

    Ours says cacheKeyType Registry; the kubelet adds the service account to that key.
    """
    node = Node(kubelet, tmp_path, env, "credential-provider-config-service-accounts.yaml")

    def pod(name: str, role: str, image: str) -> dict[str, object]:
        annotations = {"eks.amazonaws.com/ecr-role-arn": role}
        account = {"namespace": "a", "pod": name, "serviceAccount": name}
        return {"image": image, **account, "token": jwt("a", name), "annotations": annotations}

    accounts = [("one", ROLE, "puller"), ("two", OTHER_ROLE, "other")]
    images = [f"{HOST}/app", f"{HOST}/second"]
    answers = node.pull(*(pod(n, role, image) for image in images for n, role, _ in accounts))
    for answer, (_, _, who) in zip(answers, [*accounts, *accounts], strict=True):
        assert aws.issued[answer["auth"][0]["password"]][0].endswith(who)
    assert aws.count("AssumeRoleWithWebIdentity") == 2


def test_the_shipped_patterns_match_every_kind_of_registry(
    kubelet: Path, aws: FakeAWS, env: dict[str, str], tmp_path: Path
) -> None:
    """The kubelet's own matcher passes every hostname form of ECR to us, in every partition."""
    node = Node(kubelet, tmp_path, env, "credential-provider-config.yaml")
    hosts = registry_hosts()
    public = [host for host in hosts if "public" in host]
    private = [host for host in hosts if host not in public]
    assert len(private) >= 4 * len(registry.REGIONS) - 2 * 4  # four have no dual-stack names
    assert public == registry.public_hosts()
    answers = node.pull(
        *({"image": f"{host}/app", "namespace": "n", "pod": "p"} for host in public)
    )
    assert all(answer["found"] for answer in answers), node.log
    # Without credentials every private image that is matched leaves our line in the kubelet's log.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        node.env.pop(name)
    node.env["XDG_CACHE_HOME"] = str(tmp_path / "empty")
    node.pull(*({"image": f"{host}/app", "namespace": "n", "pod": "p"} for host in private))
    for host in private:
        said = rf'docker-credential-ecr: error: [^\n]*"{host}"'.replace('"', r'\\?"')
        assert re.search(said, node.log), host


def test_every_shipped_pattern_is_some_registrys() -> None:
    """No pattern is idle, and all files name the same ones, but for public ones and pods' roles."""
    hosts = registry_hosts()
    blocks = [
        re.findall(r'^      - "(.+)"$', block, re.MULTILINE)
        for name in ("", "-service-accounts", "-service-accounts-only")
        for block in (KUBERNETES / f"credential-provider-config{name}.yaml")
        .read_text()
        .split("matchImages:")[1:]
    ]
    assert blocks[0] == blocks[2]
    assert blocks[1] == blocks[3] == blocks[0][:-2]
    assert len(blocks) == 4
    for pattern in blocks[0]:
        assert any(is_matched(host, pattern) for host in hosts), pattern
