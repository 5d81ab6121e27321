"""A ``credential_process``: it ends with us, prints within limits, and PATH may choose it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOST, Helper, give, in_namespaces, until, without_keys, write

ANSWER = {"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "SECRET-CANARY"}
# It hangs, with a child in its group that does, too, and both say who they are.
HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


@pytest.fixture
def hanging(env: dict[str, str], home: Path, aws: FakeAWS) -> Iterator[Callable[[], list[int]]]:
    """A profile whose process hangs; returns a function that waits for it and names its pids."""
    without_keys(env)
    script, told = write(home / "hangs.py", HANGS), home / "pids"
    write(
        home / ".aws" / "config",
        f"[default]\ncredential_process = {sys.executable} {script} {told}\n",
    )

    def started() -> list[int]:
        until(told.exists)
        return [int(pid) for pid in told.read_text().split()]

    yield started
    if told.exists():
        for pid in started():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie: nobody in a container reaps an orphan."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pids: list[int]) -> None:
    until(lambda: not any(is_running(pid) for pid in pids), f"{pids} were left behind")


def test_it_ends_with_the_time_out(
    env: dict[str, str], helper: Helper, hanging: Callable[[], list[int]]
) -> None:
    """An answer that is out of time leaves neither the process nor what it has started."""
    env["AWS_ECR_TIMEOUT"] = "3"

    said = helper.get()

    assert said.status == 1
    assert "while looking for AWS credentials" in said.stdout
    gone(hanging())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_it_ends_with_a_signal(
    helper: Helper, hanging: Callable[[], list[int]], number: signal.Signals
) -> None:
    """A signal that ends us, and be it the last of all, ends the process and its child."""
    process = helper.start("get")
    give(process, HOST)
    pids = hanging()

    process.send_signal(number)
    process.communicate()

    gone(pids)


def test_it_ends_when_nobody_waits_for_it(
    env: dict[str, str], helper: Helper, hanging: Callable[[], list[int]]
) -> None:
    """`doctor` goes on after its time-out, and leaves nothing behind when it ends."""
    env["AWS_ECR_TIMEOUT"] = "3"

    helper("doctor", HOST)

    gone(hanging())


def test_it_is_in_a_group_of_its_own(helper: Helper, hanging: Callable[[], list[int]]) -> None:
    """Its group is not ours: what is sent to it reaches nobody else."""
    process = helper.start("get")
    give(process, HOST)
    pid, child = hanging()

    assert os.getpgid(pid) == os.getpgid(child) == pid != os.getpgid(process.pid)

    process.kill()
    process.communicate()
    gone([pid, child])


def test_on_a_terminal_it_can_ask(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """With a terminal it stays in the foreground: it asks for a code there, and gets it."""
    without_keys(env)
    script = write(
        home / "asks.py",
        "import json\n"
        "with open('/dev/tty', 'r+b', buffering=0) as terminal:\n"
        "    terminal.write(b'code? ')\n"
        "    assert terminal.readline().strip() == b'123456'\n"
        f"print({json.dumps(json.dumps(ANSWER))})\n",
    )
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")
    pid, terminal = pty.fork()
    if pid == 0:  # in a session of its own, with the terminal
        with open(os.devnull, "wb") as null:
            done = subprocess.run(
                [helper.path, "get"], input=HOST.encode(), stdout=null, env=env, check=False
            )
        os._exit(done.returncode)
    seen = b""
    while b"code? " not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"123456\n")

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert aws.count("GetAuthorizationToken") == 1
    os.close(terminal)


def test_it_leaves_nobody_behind_when_it_succeeds(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """Where all is well the watcher goes as well: a run leaves no process of ours."""
    without_keys(env)
    script = write(home / "process.py", f"print({json.dumps(json.dumps(ANSWER))})\n")
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")
    marked = {"WATCHED": str(home)}

    assert helper.get(env=marked).secret in aws.issued

    needle = f"WATCHED={home}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            assert needle not in environment.read_bytes(), environment


def test_it_prints_without_end(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """What it prints is read up to a limit, then it is ended."""
    without_keys(env)
    write(home / ".aws" / "config", "[default]\ncredential_process = cat /dev/zero\n")

    started = time.monotonic()
    said = helper.get(wrap=("prlimit", f"--as={1 << 30}"))  # bytes, 1 GiB

    assert "a reply is larger than any of AWS's" in said.stdout
    assert time.monotonic() - started < 20
    assert aws.requests == 0


def test_at_a_terminal_it_prints_without_end(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """In a terminal's foreground, where it has no group of its own, it is ended as well."""
    without_keys(env)
    told = home / "pid"
    script = write(
        home / "prints.py",
        "import os, sys\n"
        f"with open({str(told)!r}, 'w') as file:\n"
        "    file.write(str(os.getpid()))\n"
        "while True:\n"
        "    os.write(1, b'x' * 65536)\n",
    )
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")
    pid, terminal = pty.fork()
    if pid == 0:  # in a session of its own, with the terminal
        with open(home / "said", "wb") as said:
            done = subprocess.run(
                [helper.path, "get"], input=HOST.encode(), stdout=said, env=env, check=False
            )
        os._exit(done.returncode)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)
    assert "a reply is larger than any of AWS's" in (home / "said").read_text()
    gone([int(told.read_text())])
    assert aws.requests == 0


def test_path_chooses_a_process_by_name(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """A bare name is looked for in PATH, so another PATH may be another identity."""
    without_keys(env)
    write(home / ".aws" / "config", "[default]\ncredential_process = give-keys\n")
    for name in ("one", "two"):
        answer = json.dumps({**ANSWER, "AccessKeyId": f"AKIA{name}"})
        write(home / name / "give-keys", f"#!/bin/sh\necho '{answer}'\n", mode=0o700)
    first = {"PATH": f"{home}/one:{env['PATH']}"}
    second = {"PATH": f"{home}/two:{env['PATH']}"}

    secrets = [helper.get(env=path).secret for path in (first, first, second, second, first)]

    keys = [aws.issued[secret][0] for secret in secrets]
    assert keys == ["AKIAone", "AKIAone", "AKIAtwo", "AKIAtwo", "AKIAone"]
    assert aws.count("GetAuthorizationToken") == 3  # there is one entry for a source


def test_path_is_no_condition_where_it_chooses_nothing(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """A process with an absolute path, or keys in variables: another PATH is the same identity."""
    write(home / ".aws" / "config", "[default]\ncredential_process = give-keys\n")
    secret = helper.get().secret

    assert helper.get(env={"PATH": f"{home}:{env['PATH']}"}).secret == secret
    assert aws.count("GetAuthorizationToken") == 1


def test_the_callers_directory_chooses_a_relative_path(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a process is named relative to the caller's directory, its token is not kept."""
    without_keys(env)
    write(home / ".aws" / "config", "[default]\ncredential_process = ./give-keys\n")
    for name in ("one", "two"):
        answer = json.dumps({**ANSWER, "AccessKeyId": f"AKIA{name}"})
        write(home / name / "give-keys", f"#!/bin/sh\necho '{answer}'\n", mode=0o700)

    for name in ("one", "two", "one"):
        monkeypatch.chdir(home / name)
        assert aws.issued[helper.get().secret][0] == f"AKIA{name}"


@pytest.mark.parametrize("shell", ["/dev/null", "/bin/true"])
def test_without_a_shell_it_works_all_the_same(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS, shell: str
) -> None:
    """An image without a shell, or with none that waits, has no watcher: nothing is said of it."""
    without_keys(env)
    script = write(home / "process.py", f"print({json.dumps(json.dumps(ANSWER))})\n")
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")

    said = helper.get(wrap=in_namespaces("--mount", script=f"mount --bind {shell} /bin/sh"))

    assert said.secret in aws.issued
    assert said.stderr == ""


def test_a_process_that_cannot_be_split_and_is_not_needed(
    env: dict[str, str], helper: Helper, home: Path, aws: FakeAWS
) -> None:
    """Keys that come before it are used, whatever a profile's credential_process says."""
    without_keys(env)
    write(home / ".aws" / "config", '[default]\ncredential_process = "open\n')
    keys = "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = SECRET-CANARY\n"
    write(home / ".aws" / "credentials", keys)

    secret = helper.get().secret

    assert helper.get().secret == secret
    assert aws.issued[secret][0] == "AKIAFILE"
