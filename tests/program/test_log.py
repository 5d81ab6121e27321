"""The trace that AWS_ECR_LOG asks for: what is in it, what never is, and that it is in nobody's way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from canaries import SOURCES, Source
from fake_aws import FakeAWS
from kit import (
    CALL,
    ELSEWHERE,
    HOST,
    PATIENCE,
    Helper,
    age_all,
    login,
    make_due,
    need_root,
    until,
    write,
)

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ .+$")


@pytest.fixture
def log(helper: Helper, tmp_path: Path) -> Path:
    """The file that the trace goes to, as JSON lines; it is not there yet."""
    path = tmp_path / "trace"
    helper.env.update(AWS_ECR_LOG=str(path), AWS_ECR_LOG_FORMAT="json")
    return path


def events(log: Path) -> list[dict[str, object]]:
    """Return what the trace holds, and empty it."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("")
    return found


def names(log: Path) -> list[object]:
    return [event["event"] for event in events(log)]


def test_a_miss_and_a_hit(aws: FakeAWS, helper: Helper, log: Path) -> None:
    """A miss says what was missing, who was asked, for how long, and what was kept; then a hit."""
    helper.get()
    miss, called, issued, kept = events(log)

    assert miss["event"] == "miss"
    assert miss["host"] == HOST
    assert miss["why"] == "nothing is kept for it"
    assert called["call"] == f"ecr.{CALL}"
    assert called["status"] == 200
    assert isinstance(called["ms"], int)
    assert issued["source"] == "env"
    assert kept["event"] == "kept"
    assert kept["host"] == HOST

    helper.get()
    (hit,) = events(log)
    assert (hit["event"], hit["entry"]) == ("hit", kept["entry"])


def test_the_condition_that_failed_is_named(
    aws: FakeAWS, helper: Helper, home: Path, log: Path
) -> None:
    """A variable by its name, without its value; a file by its path; the end of its life."""
    helper.get()
    events(log)
    helper.get(env={"AWS_ACCESS_KEY_ID": "AKIAOTHER"})
    assert events(log)[0]["why"] == "does not hold: env AWS_ACCESS_KEY_ID"

    write(home / ".aws" / "config", "[default]\nregion = eu-west-1\n")
    helper.get()
    whys = [event["why"] for event in events(log) if event["event"] == "miss"]
    assert f"does not hold: absent {home}/.aws/config" in whys

    token = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    helper.get(env={token: "CANARY"})
    events(log)
    helper.get(env={token: "CANARY-2"})
    whys = [event["why"] for event in events(log) if event["event"] == "miss"]
    assert f"does not hold: residue {token}" in whys


def test_an_expired_token_is_said_to_be(
    aws: FakeAWS, helper: Helper, cache: Path, log: Path
) -> None:
    """What ended is told apart from what does not fit."""
    helper.get()
    events(log)
    age_all(cache, 13 * 3600)
    helper.get()

    assert events(log)[0]["why"] == "it has expired"


def test_what_comes_behind_an_answer_is_there_too(
    aws: FakeAWS, helper: Helper, cache: Path, log: Path
) -> None:
    """The renewal behind an answer writes to the same file, from its own process."""
    helper.get()
    events(log)
    make_due(cache)
    helper.get()
    until(lambda: '"kept"' in log.read_text())
    found = events(log)

    assert [event["event"] for event in found][:2] == ["hit", "renewing behind the answer"]
    assert len({event["pid"] for event in found}) == 2


def test_logins_and_others(aws: FakeAWS, helper: Helper, home: Path, log: Path) -> None:
    """A login, a logout, a failure and what another helper was asked are events."""
    helper("store", stdin=login(aws.new_password("AKIALOGIN", "us-east-1")))
    helper("erase", stdin=HOST)
    assert names(log) == ["store", "erase"]

    aws.fault(CALL, code="AccessDeniedException")
    helper.get()
    failed = events(log)[-1]
    assert failed["event"] == "failed"
    assert "access denied" in str(failed["why"])

    config = write(home / "config.toml", '[fallback]\nhelper = "other"\n')
    helper.get(ELSEWHERE, env={"AWS_ECR_CONFIG_FILE": config})
    assert events(log)[-1]["helper"] == "other"


def test_who_waited_for_another_says_so(aws: FakeAWS, helper: Helper, log: Path) -> None:
    """Of two at once one asks AWS; the other says that it found the token, and for how many ms it waited."""
    aws.delay = 4.0
    first = helper.start("get", stdin=HOST)
    until(lambda: aws.requests == 1)
    second = helper.get()
    first.communicate(timeout=PATIENCE)

    found = events(log)
    assert second.secret in aws.issued
    assert aws.count(CALL) == 1
    [issued] = [event for event in found if event["event"] == "issued"]
    [waited] = [event for event in found if event["event"] == "found"]
    assert issued["pid"] == first.pid != waited["pid"]
    assert isinstance(issued["ms"], int)
    assert issued["ms"] >= 4000
    assert isinstance(waited["waited_ms"], int)
    assert 1000 < waited["waited_ms"] <= 4500


def test_lines_for_people(aws: FakeAWS, helper: Helper, tmp_path: Path) -> None:
    """Without a format each event is one line of words; `-` sends them to stderr."""
    said = helper.get(env={"AWS_ECR_LOG": "-"})

    assert said.secret in aws.issued
    lines = said.stderr.splitlines()
    assert len(lines) == 4
    assert all(LINE.match(line) for line in lines)
    assert f'miss host={HOST} why="nothing is kept for it"' in lines[0]


def test_nothing_is_written_unless_asked(aws: FakeAWS, helper: Helper) -> None:
    """It is off by default, and an empty variable is none."""
    assert helper.get().stderr == ""
    assert helper.get(env={"AWS_ECR_LOG": ""}).stderr == ""


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_no_secret_is_in_it(
    aws: FakeAWS, helper: Helper, home: Path, source: Source, log: Path
) -> None:
    """Neither what was sent to AWS nor what came back, on success, refusal or change."""
    helper.env["HTTPS_PROXY"] = "http://me:PROXY-CANARY@127.0.0.1:1"
    source.set_up(helper.env, home, aws)
    first = helper.get().secret
    helper.env["HTTPS_PROXY"] = "http://me:PROXY-CANARY-2@127.0.0.1:1"
    aws.fault(CALL, status=400, code="AccessDeniedException", message="no, CANARY")
    helper.get(env={"AWS_ECR_DISABLE_CACHE": "1"})
    helper.get(f"https://{HOST}?CANARY")
    helper("store", stdin=login("CANARY\n"))
    text = log.read_text()

    assert "CANARY" not in text
    assert first not in text
    assert '"failed"' in text


def test_the_file_is_the_users_own(aws: FakeAWS, helper: Helper, log: Path) -> None:
    """It is 0600 from birth, whatever the umask."""
    old = os.umask(0)
    try:
        helper.get()
    finally:
        os.umask(old)

    assert stat.S_IMODE(log.stat().st_mode) == 0o600


ODD = ["link", "hard link", "directory", "fifo", "nowhere", "below a file", "another's", "relative"]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_log_breaks_nothing(
    aws: FakeAWS, helper: Helper, log: Path, tmp_path: Path, odd: str
) -> None:
    """A log that is a link, has another name or cannot be written is done without; doctor says so."""
    other = tmp_path / "other"
    other.write_text("mine")
    if odd == "link":
        log.symlink_to(other)
    elif odd == "hard link":
        log.hardlink_to(other)
    elif odd == "directory":
        log.mkdir()
    elif odd == "fifo":
        os.mkfifo(log)
    elif odd == "nowhere":
        helper.env["AWS_ECR_LOG"] = str(tmp_path / "not there" / "log")
    elif odd == "below a file":
        helper.env["AWS_ECR_LOG"] = str(other / "log")
    elif odd == "another's":
        need_root("have another user's file")
        log.touch()
        os.chown(log, 4321, 4321)
    else:
        helper.env["AWS_ECR_LOG"] = "log"

    for _ in range(2):
        answer = helper.get()
        assert answer.secret in aws.issued
        assert answer.stderr == ""
    assert other.read_text() == "mine"
    findings = json.loads(helper("doctor", "--offline", "--json", HOST).stdout)
    assert '"log"' in json.dumps(findings)
    assert "nothing is logged" in json.dumps(findings)


def test_a_full_disk_breaks_nothing(aws: FakeAWS, helper: Helper) -> None:
    """/dev/full is no file of the user's: it is not written to, and the answer is whole."""
    assert helper.get(env={"AWS_ECR_LOG": "/dev/full"}).secret in aws.issued
    closed = helper(
        "get", stdin=HOST, env={"AWS_ECR_LOG": "-"}, wrap=("sh", "-c", 'exec "$@" 2>/dev/full', "-")
    )
    assert closed.secret in aws.issued


def test_a_stderr_that_nobody_reads_breaks_nothing(aws: FakeAWS, helper: Helper) -> None:
    """A pipe that is full, and stays so, keeps the answer for a second and no longer."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (4096, 1):  # to the last byte
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, b"x" * size):
                pass
    os.set_blocking(writer, True)
    try:
        done = subprocess.run(
            [helper.path, "get"],
            input=HOST.encode(),
            stdout=subprocess.PIPE,
            stderr=writer,
            env=helper.environment({"AWS_ECR_LOG": "-"}),
            timeout=PATIENCE,
            check=True,
        )
    finally:
        os.close(writer)
        os.close(reader)
    assert json.loads(done.stdout)["Secret"] in aws.issued
