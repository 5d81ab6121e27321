"""A token that is due: the front answers by itself, and has it renewed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from front import DEBUG, DUE, LATE, NAME, SECRET, Probe, keep_token, kubelets
from hang import Hang
from kit import CALL, HOST, HOUR, PATIENCE, Helper, give, make_due, until

CLAIM = f".{NAME}.renewal"
CLAIM_LIMIT = 1800  # seconds, claims.CLAIM_LIMIT
AGE = 10  # seconds before now in which a claim is one that was just made


@pytest.mark.parametrize(("words", "stdin"), [("get", HOST), ("kubelet", kubelets())])
def test_it_answers_and_starts_the_renewal(
    aws: FakeAWS, front: Helper, cache: Path, words: str, stdin: str
) -> None:
    """Without Python before the answer, and with one call behind it, for all who ask meanwhile."""
    first = front(words, stdin=stdin).stdout
    make_due(cache)
    aws.fault(CALL, hang=True)

    for _ in range(5):
        due = front(words, stdin=stdin, env=DEBUG)
        assert (due.status, due.stderr) == (0, "")
        assert due.stdout.partition("auth")[2] == first.partition("auth")[2]
    until(lambda: aws.count(CALL) == 2, "no renewal")
    aws.clear()
    until(lambda: front(words, stdin=stdin).stdout != due.stdout, "it has come to nothing")
    assert aws.count(CALL) == 2


def test_the_claim_is_pythons(front: Helper, cache: Path) -> None:
    """Ours alone, and it ends when Python's would: after a sixteenth to an eighth of what is left."""
    keep_token(cache, -1, HOUR, age=8 * HOUR)  # four hours are left
    begun = time.time()
    assert front.get(env=DEBUG).secret == SECRET

    state = (cache / HOST / CLAIM).lstat()
    assert state.st_mode & 0o7777 == 0o600
    assert 4 * HOUR / 16 - 1 <= state.st_mtime - begun <= CLAIM_LIMIT + 60


def test_a_claim_ends_within_its_limits(front: Helper, cache: Path) -> None:
    """Of a token with eleven hours left half an hour, of one with a minute ten seconds."""
    for age, least, most in ((HOUR, CLAIM_LIMIT, CLAIM_LIMIT), (12 * HOUR - 60, 10, 10)):
        keep_token(cache, -1, 30, age=age)
        begun = time.time()
        front.get()
        claim = cache / HOST / CLAIM
        assert least <= claim.stat().st_mtime - begun + 1
        assert claim.stat().st_mtime - time.time() <= most
        claim.unlink()


@pytest.mark.parametrize(
    ("ends", "is_one"),
    [
        (-3600, False),
        (-AGE - 1, False),
        (-AGE + 1, True),
        (60, True),
        (CLAIM_LIMIT, True),
        (CLAIM_LIMIT + 1, False),
        (2**33, False),
    ],
)
def test_a_claim_counts_while_it_may_be_one(
    tmp_path: Path, probe: Probe, ends: int, is_one: bool
) -> None:
    """Due or late, it is answered while another renews; what a wrong clock has left is no claim."""
    now = int(time.time())
    for renew, without in ((HOUR, DUE), (-1, LATE)):
        keep_token(tmp_path, -1 if renew > 0 else -2, renew)
        claim = tmp_path / HOST / CLAIM
        claim.touch()
        os.utime(claim, (now + ends, now + ends))
        environ = {"AWS_ECR_CACHE_DIR": str(tmp_path)}
        answer, reason = probe(HOST.encode(), environ, now)
        assert reason == ("" if is_one else without)
        assert (answer is None) == (reason == LATE)


def test_a_claim_of_a_wrong_clock_is_replaced(aws: FakeAWS, front: Helper, cache: Path) -> None:
    """It would keep everybody from renewing for ever."""
    front.get()
    make_due(cache)
    (entry,) = (path for path in (cache / HOST).iterdir() if path.name[0] != ".")
    claim = entry.with_name(f".{entry.name}.renewal")
    claim.touch()
    os.utime(claim, (2**33, 2**33))

    assert front.get(env=DEBUG).stderr == ""
    until(lambda: aws.count(CALL) == 2, "no renewal")


def test_where_no_claim_can_be_written_there_is_no_renewal(
    aws: FakeAWS, front: Helper, cache: Path
) -> None:
    """Nor could a token: it is answered, and nothing is started."""
    front.get()
    make_due(cache)
    (entry,) = (path for path in (cache / HOST).iterdir() if path.name[0] != ".")
    entry.with_name(f".{entry.name}.renewal").mkdir()
    os.utime(entry.with_name(f".{entry.name}.renewal"), (1, 1))

    assert front.get(env=DEBUG).stderr == ""
    time.sleep(0.5)  # in which a renewal would have asked
    assert aws.count(CALL) == 1


def test_switched_off_it_is_pythons(aws: FakeAWS, front: Helper, cache: Path) -> None:
    """AWS_ECR_BACKGROUND_REFRESH=no: renewed before the answer, as ever."""
    first = front.get()
    make_due(cache)
    patient = {"AWS_ECR_TIMEOUT": "300"}  # of which a share is for this
    second = front.get(env={"AWS_ECR_BACKGROUND_REFRESH": "no", **patient, **DEBUG})

    assert LATE in second.stderr
    assert second.secret != first.secret


@pytest.mark.parametrize(("words", "stdin"), [("get", HOST), ("kubelet", kubelets())])
def test_a_disk_that_hangs_behind_the_answer_keeps_nobody(
    aws: FakeAWS, front: Helper, cache: Path, words: str, stdin: str
) -> None:
    """Clients wait until we have left: a claim that cannot be written in time is given up."""
    front(words, stdin=stdin)
    make_due(cache)
    with Hang(cache / HOST, ".renewal") as disk:
        assert front(words, stdin=stdin, env=DEBUG).status == 0
        assert disk.held == 1


def test_a_disk_that_hangs_under_the_kubelet_breaks_no_pull(
    aws: FakeAWS, front: Helper, cache: Path
) -> None:
    """After two seconds it goes on in Python, which does without the disk."""
    front("kubelet", stdin=kubelets())
    with Hang(cache / HOST, "") as disk:
        run = front("kubelet", stdin=kubelets(), env=DEBUG)
        assert disk.held >= 1
    assert run.status == 0
    assert "the disk takes too long" in run.stderr
    assert HOST in run.stdout


def test_the_executable_is_gone_by_then(
    tmp_path: Path, aws: FakeAWS, front: Helper, cache: Path
) -> None:
    """Removed while it waits for the request: the answer comes, whatever becomes of the renewal."""
    secret = front.get().secret
    make_due(cache)
    path = tmp_path / "docker-credential-ecr"
    os.link(front.path, path)
    front.path = path
    process = front.start("get")
    path.unlink()
    give(process, HOST)

    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert secret in stdout.decode()
    assert (process.returncode, stderr) == (0, b"")
