"""No thread and no process is to be had (RLIMIT_NPROC, pids.max): the work is done in line.

The executable runs as a user who may have one process, which is itself. Root is not held to that
limit, so root runs it as another user, with the right to read whatever the tests were installed in.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, ROLE, Helper, Run, as_user, entries, login, need, without_keys, write

REQUEST = json.dumps(
    {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": f"{HOST}/app:1",
    }
)
FIRST_USER = 200_000  # of users that no machine has; by process, as tests may run side by side


def user() -> int:
    return FIRST_USER + os.getpid() % 50_000


@pytest.fixture
def free(home: Path) -> tuple[str, ...]:
    """Return what to put before a command to run it as that user, who owns the home."""
    need("prlimit")
    if os.geteuid():
        return ()
    os.chown(home, user(), user())
    return as_user(user())


@pytest.fixture
def alone(free: tuple[str, ...], helper: Helper) -> tuple[str, ...]:
    """Return what to put before a command so that it can have no thread and no other process."""
    wrap = (*free, "prlimit", "--nproc=1", "--")
    start = "import _thread; _thread.start_new_thread(print, ())"
    helper.path, path = Path("/usr/bin/env"), helper.path
    assert helper("python3", "-c", start, wrap=wrap).status != 0, "a thread can be had all the same"
    helper.path = path
    return wrap


@pytest.fixture
def entry(
    aws: FakeAWS, helper: Helper, cache: Path, alone: tuple[str, ...], free: tuple[str, ...]
) -> Path:
    """Return the entry of a token that was fetched just now."""
    assert helper.get(wrap=free).status == 0
    [path] = entries(cache)
    return path


def age(path: Path, time_: str) -> str:
    """Shift the times of an entry so that ``time_`` passed a minute ago; return its secret."""
    text = path.read_text()
    (found,) = re.findall(rf"^{time_} (\d+)$", text, re.MULTILINE)
    shift = int(time.time()) - 60 - int(found)
    path.write_text(
        re.sub(
            r"^(issued|refresh|renew|expires) (\d+)$",
            lambda line: f"{line[1]} {int(line[2]) + shift}",
            text,
            flags=re.MULTILINE,
        )
    )
    return str(json.loads(text.rstrip("\n").rpartition("\n")[2]))


def plain(answer: Run) -> str:
    """Return the secret of an answer that succeeded and has nothing to say beside."""
    assert (answer.status, answer.stderr) == (0, "")
    return answer.secret


def of_kubelet(answer: Run) -> str:
    assert (answer.status, answer.stderr) == (0, "")
    return str(json.loads(answer.stdout)["auth"][HOST]["password"])


def test_a_hit(aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]) -> None:
    """A token on disk needs no thread."""
    assert plain(helper.get(wrap=alone)) in aws.issued
    assert aws.count(CALL) == 1


def test_a_hit_that_is_due(
    aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]
) -> None:
    """The token is printed and the exit code says so: a renewal that cannot start changes nothing."""
    old = age(entry, "refresh")

    assert plain(helper.get(wrap=alone)) == old


def test_a_miss(aws: FakeAWS, helper: Helper, cache: Path, alone: tuple[str, ...]) -> None:
    """The token that was fetched is answered with, and kept."""
    secret = plain(helper.get(wrap=alone))

    assert secret in aws.issued
    assert plain(helper.get(wrap=alone)) == secret
    assert aws.count(CALL) == 1


def test_a_late_token(aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]) -> None:
    """A token near its end is renewed before the answer."""
    old = age(entry, "renew")

    secret = plain(helper.get(wrap=alone))

    assert secret in aws.issued
    assert secret != old


def test_a_late_token_in_an_outage(
    aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]
) -> None:
    """A token near its end is served when AWS cannot be asked."""
    old = age(entry, "renew")
    aws.fault(CALL, status=503, code="ServiceUnavailable")

    assert plain(helper.get(wrap=alone)) == old


def test_a_refusal(aws: FakeAWS, helper: Helper, alone: tuple[str, ...]) -> None:
    """What AWS says reaches the user as ever."""
    aws.fault(CALL, status=400, code="AccessDeniedException", message="no")

    answer = helper.get(wrap=alone)

    assert answer.status == 1
    assert "defect" not in answer.stdout
    assert "hint: " in answer.stderr


def test_a_hang_without_a_thread_ends(aws: FakeAWS, helper: Helper, alone: tuple[str, ...]) -> None:
    """Without a thread to watch it a call ends by its own time-outs: late, but before the kubelet's 60 s."""
    aws.fault(CALL, hang=True)
    started = time.monotonic()

    answer = helper.get(env={"AWS_ECR_TIMEOUT": "5"}, wrap=alone)

    assert answer.status == 1
    assert "defect" not in answer.stdout
    assert time.monotonic() - started < 50


def test_the_kubelet_with_a_token_on_disk(
    aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]
) -> None:
    """A pod's image is pulled with the token on disk."""
    assert of_kubelet(helper("kubelet", stdin=REQUEST, wrap=alone)) in aws.issued
    assert aws.count(CALL) == 1


def test_the_kubelet_with_a_token_that_is_due(
    aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...]
) -> None:
    """A pod's image is pulled, though the renewal behind it cannot start."""
    old = age(entry, "refresh")

    assert of_kubelet(helper("kubelet", stdin=REQUEST, wrap=alone)) == old


def test_the_kubelet_without_a_token(aws: FakeAWS, helper: Helper, alone: tuple[str, ...]) -> None:
    """A pod's image is pulled with a token that was fetched for it."""
    assert of_kubelet(helper("kubelet", stdin=REQUEST, wrap=alone)) in aws.issued


def test_the_kubelet_for_a_pods_own_role(
    aws: FakeAWS, helper: Helper, alone: tuple[str, ...]
) -> None:
    """A pod's own role is assumed."""
    request = {
        **json.loads(REQUEST),
        "serviceAccountToken": "a.b.c",
        "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": ROLE},
    }

    secret = of_kubelet(helper("kubelet", stdin=json.dumps(request), wrap=alone))

    assert "puller" in aws.issued[secret][0]


@pytest.mark.parametrize("argv", [["store"], ["erase"], ["list"], ["refresh"], ["status"]], ids=str)
def test_everything_else(
    aws: FakeAWS, helper: Helper, entry: Path, alone: tuple[str, ...], argv: list[str]
) -> None:
    """No conversation needs more than its own process."""
    stdin = {"store": login(aws.new_password("AKIALOGIN", "us-east-1")), "erase": HOST}

    answer = helper(*argv, stdin=stdin.get(argv[0], ""), wrap=alone)

    assert answer.status == 0
    assert "defect" not in answer.stderr


def test_what_needs_a_process(
    aws: FakeAWS, helper: Helper, home: Path, alone: tuple[str, ...]
) -> None:
    """Where a process is what the user asked for, the error says that it cannot be started."""
    without_keys(helper.env)
    write(home / ".aws" / "config", "[default]\ncredential_process = /bin/echo {}\n", 0o644)
    config = write(home / "config.toml", '[fallback]\nhelper = "echo"\n', 0o644)
    write(home / "docker-credential-echo", "#!/bin/sh\necho {}\n", 0o755)
    env = {"AWS_ECR_CONFIG_FILE": config, "PATH": f"{home}:{helper.env['PATH']}"}

    by_process = helper.get(wrap=alone)
    by_fallback = helper.get("ghcr.io", env=env, wrap=alone)

    for answer in (by_process, by_fallback):
        assert answer.status == 1
        assert "defect" not in answer.stdout
        assert "hint: " in answer.stderr
