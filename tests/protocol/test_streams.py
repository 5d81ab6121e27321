"""The executable's streams: what comes after the answer changes nothing, and nothing is a defect."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import time
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOST, PATIENCE, Helper, failing, give, make_due, need, until

from docker_credential_ecr import behind


@pytest.mark.parametrize("what", ["descriptors", "program"])
def test_what_fails_after_the_answer_does_not_change_the_exit_code(
    aws: FakeAWS, helper: Helper, cache: Path, what: str
) -> None:
    """A due hit whose renewal cannot be started: the token, exit code 0, and not a word."""
    old = helper.get().secret
    make_due(cache)
    # No process of ours may be started, and a file takes the place of what would be opened.
    wrap: tuple[str, ...] = ("prlimit", "--nofile=6", "--")
    if what == "program":  # what would start it is on a disk that does not read
        source = behind.__file__
        wrap = failing("openat", "EIO", source, cache_from_source(source))
    answer = helper.get(wrap=wrap)

    assert (answer.secret, answer.stderr) == (old, "")


@pytest.mark.parametrize("action", ["get", "list", "version", "kubelet"])
def test_a_full_device_for_stdout_is_no_defect(aws: FakeAWS, helper: Helper, action: str) -> None:
    """An answer that cannot be written is an error of one line, and exit code 1."""
    request = HOST if action == "get" else KUBELET
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(helper.path), action],
            input=request.encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            env=helper.environment(),
            check=False,
        )

    assert done.returncode == 1
    assert b"defect" not in done.stderr
    assert b"cannot be written" in done.stderr


@pytest.mark.parametrize("action", ["get", "store", "kubelet"])
def test_a_stdin_that_cannot_be_read_is_no_empty_request(
    helper: Helper, tmp_path: Path, action: str
) -> None:
    """A read that fails is not the end of the request, which might be half of one: it is said."""
    stdin = os.open(tmp_path / "written", os.O_WRONLY | os.O_CREAT)
    try:
        done = subprocess.run(
            [str(helper.path), action],
            stdin=stdin,
            capture_output=True,
            env=helper.environment(),
            check=False,
        )
    finally:
        os.close(stdin)

    assert done.returncode == 1
    assert b'error: the request cannot be read: "Bad file descriptor"' in done.stderr


KUBELET = (
    '{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest",'
    f'"image":"{HOST}/app"}}'
)


def traced(calls: str, folder: Path) -> tuple[str, ...]:
    """Return what to put before a command so that ``entered`` knows of its calls, as strace says."""
    trace = ("-f", "-qq", "-e", "signal=none", "-e", f"trace={calls}", "-o", str(folder / "calls"))
    return (need("strace"), *trace)


def entered(call: str, folder: Path) -> int:
    """Wait until a process makes such a call, finished or not; return which one."""
    file = folder / "calls"
    made = re.compile(rf"^(\d+) +{call}", re.MULTILINE)
    until(lambda: file.exists() and made.search(file.read_text()))
    found = made.search(file.read_text())
    assert found is not None
    return int(found[1])


def full_pipe() -> tuple[int, int]:
    """Return both ends of a pipe of one page, in which there is no room."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    return reader, writer


def test_a_stdout_that_does_not_block_gets_all_of_the_answer(
    aws: FakeAWS, helper: Helper, tmp_path: Path
) -> None:
    """A pipe of one page whose reader is slow: the whole answer, and exit code 0."""
    reader, writer = full_pipe()
    os.set_blocking(writer, False)
    process = subprocess.Popen(
        [*traced("/select", tmp_path), str(helper.path), "get"],
        stdin=subprocess.PIPE,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=helper.environment(),
    )
    os.close(writer)
    give(process, HOST)
    entered(r"\w*select\w*\(", tmp_path)  # it has found the pipe full
    said = b""
    while chunk := os.read(reader, 65536):
        said += chunk
    os.close(reader)
    _, stderr = process.communicate()

    assert (process.returncode, stderr) == (0, b"")
    assert b'"Secret"' in said


def test_a_stdin_that_does_not_block_is_read_to_its_end(
    aws: FakeAWS, helper: Helper, tmp_path: Path
) -> None:
    """Nothing there yet is not the end of a request."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = subprocess.Popen(
        [*traced("/select|poll", tmp_path), str(helper.path), "get"],
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.environment(),
    )
    os.close(reader)
    entered(r"\w*(select|poll)\w*\(", tmp_path)  # it has found nothing there
    os.write(writer, HOST.encode())
    os.close(writer)
    stdout, stderr = process.communicate()

    assert (process.returncode, stderr) == (0, b"")
    assert b'"Secret"' in stdout


def test_an_interrupt_while_nobody_reads_the_answer(
    aws: FakeAWS, helper: Helper, tmp_path: Path
) -> None:
    """Ctrl-C ends a get whose answer waits for a full pipe: the shell's exit code, and no word."""
    reader, writer = full_pipe()
    # Whoever runs the tests may have it ignored, which is inherited.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*traced("write", tmp_path), str(helper.path), "get"],
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=subprocess.PIPE,
            env=helper.environment(),
        )
    finally:
        signal.signal(signal.SIGINT, usual)
    os.close(writer)
    give(process, HOST)
    os.kill(entered(r"write\(1,", tmp_path), signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    os.close(reader)

    assert (process.returncode, stderr) == (130, b"")


def test_an_erase_that_is_too_long_succeeds(helper: Helper) -> None:
    """Clients crash when erase fails: what is wrong is said on stderr alone."""
    answer = helper("erase", stdin="x" * (70 << 10))

    assert (answer.status, answer.stdout) == (0, "")
    assert "longer than 64 KiB" in answer.stderr


def test_an_early_interrupt_shows_no_traceback(helper: Helper) -> None:
    """Ctrl-C at any moment of the start: no traceback of ours, and the shell's exit code."""
    for delay in (0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03):
        process = helper.start("get")
        time.sleep(delay)
        process.send_signal(2)
        _, stderr = process.communicate()

        assert b"docker_credential_ecr" not in stderr, stderr


def test_a_host_that_is_not_ours_is_told_so_at_once(helper: Helper) -> None:
    """It loads neither the AWS room nor threads, and reads the settings once."""
    done = subprocess.run(
        [need("strace"), "-f", "-e", "trace=openat", str(helper.path), "get"],
        input=b"ghcr.io",
        capture_output=True,
        env=helper.environment({name: None for name in helper.env if name.startswith("COVERAGE_")}),
        check=False,
    )
    opened = [line for line in done.stderr.splitlines() if b"openat" in line]

    assert not [line for line in opened if b"/ecr/" in line or b"threading" in line]
    assert (
        len([line for line in opened if b"config.toml" in line]) <= 2
    )  # the user's and the site's
