"""A role that needs a code of a device (MFA): typed at a terminal, or said why it cannot be."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOST, PATIENCE, ROLE, Helper, Run, give, need, without_keys, write

DEVICE = "arn:aws:iam::123456789012:mfa/me"


@pytest.fixture
def profile(aws: FakeAWS, env: dict[str, str], home: Path) -> None:
    """A profile whose role needs a code."""
    without_keys(env)
    write(
        home / ".aws" / "config",
        f"[profile dev]\nrole_arn = {ROLE}\nmfa_serial = {DEVICE}\nsource_profile = base\n",
    )
    write(
        home / ".aws" / "credentials",
        "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = secret\n",
    )
    env["AWS_PROFILE"] = "dev"


def at_a_terminal(helper: Helper, typed: bytes) -> tuple[Run, str]:
    """Ask with pipes, as Docker does, from a terminal at which ``typed`` is typed when asked.

    Return what was said, and what the terminal showed.
    """
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [helper.path, "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.environment(),
        start_new_session=True,
        pass_fds=[slave],
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread yet
    )
    os.close(slave)  # so that the terminal ends with the process
    give(process, HOST)
    shown = b""
    with contextlib.suppress(OSError):  # it has ended without a question
        while b"code" not in shown:
            shown += os.read(master, 1024)
        os.write(master, typed)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    os.close(master)
    return Run(process.returncode, stdout.decode(), stderr.decode()), shown.decode()


@pytest.mark.usefixtures("profile")
def test_at_a_terminal(aws: FakeAWS, helper: Helper) -> None:
    """The code is asked for at the terminal of who runs Docker, once; then the cache answers."""
    done, shown = at_a_terminal(helper, b"123456\n")
    assert done.secret
    assert done.stderr == ""
    assert DEVICE in shown
    (assumed,) = (call for call in aws.calls if call.operation == "AssumeRole")
    assert "TokenCode=123456" in assumed.body
    assert helper.get(wrap=(need("setsid"), "--wait")).secret == done.secret


@pytest.mark.usefixtures("profile")
def test_without_a_terminal(aws: FakeAWS, helper: Helper) -> None:
    """Nobody can type it: that is the reason, with no word of anything else."""
    done = helper.get(wrap=(need("setsid"), "--wait"))
    error, *hints = done.stderr.splitlines()
    assert error == (
        f'docker-credential-ecr: error: cannot get a token for "{HOST}": the role "{ROLE}" needs '
        "an MFA code, and there is no terminal to type it"
    )
    assert f"docker-credential-ecr refresh {HOST}" in hints[0]
    assert "Warning" not in done.stderr
    assert "credential_process" not in done.stderr
    assert aws.requests == 0
