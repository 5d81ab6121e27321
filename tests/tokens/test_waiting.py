"""What a person at a terminal is told of a wait, and nobody else is."""

from __future__ import annotations

import os
import pty
import subprocess

from fake_aws import FakeAWS
from kit import CALL, HOST, PATIENCE, Helper, failing


def test_a_wait_says_what_it_waits_for(aws: FakeAWS, helper: Helper) -> None:
    """After two seconds a terminal on stderr is told what is being done, once; then all is well."""
    ours, theirs = pty.openpty()
    aws.fault(CALL, hang=True)
    process = subprocess.Popen(
        [str(helper.path), "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=helper.env,
    )
    os.close(theirs)
    assert process.stdin is not None
    process.stdin.write(HOST.encode())
    process.stdin.close()
    process.stdin = None
    said = os.read(ours, 4096)
    aws.clear()
    answer, _ = process.communicate(timeout=PATIENCE)
    os.close(ours)

    assert said.startswith(b'docker-credential-ecr: "' + HOST.encode() + b'": still calling "')
    assert said.count(b"\n") == 1
    assert b'"Secret"' in answer


def test_a_terminal_that_takes_nothing(aws: FakeAWS, helper: Helper) -> None:
    """A terminal that cannot be written to, as one that has been hung up, changes no answer."""
    ours, theirs = pty.openpty()
    aws.fault(CALL, delay=4.0)
    done = subprocess.run(
        [*failing("write", "EIO", os.ttyname(theirs)), str(helper.path), "get"],
        input=HOST.encode(),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=helper.env,
        check=False,
    )
    os.close(theirs)
    os.close(ours)

    assert done.returncode == 0
    assert b'"Secret"' in done.stdout


def test_whoever_is_no_terminal_hears_nothing(aws: FakeAWS, helper: Helper) -> None:
    """A pipe on stderr, as of a client or a job, stays empty: nothing is wrong."""
    aws.fault(CALL, delay=3.0)
    said = helper.get()

    assert said.secret in aws.issued
    assert said.stderr == ""
