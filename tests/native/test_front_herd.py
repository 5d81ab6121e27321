"""A herd of fronts: one starts Python, the others wait for it, and say what it came to."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from front import DEBUG, kubelets
from hang import Hang
from kit import (
    CALL,
    ELSEWHERE,
    EXECUTABLE,
    HOST,
    PATIENCE,
    Helper,
    Run,
    answers,
    herd,
    need_root,
    until,
    without,
    write,
)

from docker_credential_ecr import herd as pythons_part

HERD = 20  # processes

# In the place of the Python program: notes that it was started, and waits at a gate.
GATED = f"""#!/bin/sh
echo started >> "$0.started"
[ -e "$0.open" ] || read -r line < "$0.gate"
exec {EXECUTABLE} "$@"
"""
TELLS = '#!/bin/sh\necho "${DOCKER_CREDENTIAL_ECR_FRONT-none}" "$$"\n'


@dataclasses.dataclass(frozen=True)
class Gate:
    """What starts of Python wait at."""

    program: Path

    @property
    def started(self) -> int:
        path = self.program.with_name(f"{self.program.name}.started")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def open(self) -> None:
        """Let those who wait through, once; whoever comes later waits again."""
        self.program.with_name(f"{self.program.name}.gate").write_text("")

    def open_for_good(self) -> None:
        self.leave_open()
        self.open()

    def leave_open(self) -> None:
        """Let whoever comes from now on through; nobody waits yet."""
        self.program.with_name(f"{self.program.name}.open").touch()


@pytest.fixture
def alone(tmp_path: Path, front: Helper) -> Helper:
    """The front without a program behind it, in a folder of its own."""
    path = tmp_path / "bin" / "docker-credential-ecr"
    path.parent.mkdir()
    os.link(front.path, path)
    front.path = path
    return front


def behind(front: Helper, script: str) -> Path:
    path = front.path.with_name("docker-credential-ecr.py")
    write(path, script, 0o755)
    return path


@pytest.fixture
def gate(alone: Helper) -> Gate:
    program = behind(alone, GATED)
    os.mkfifo(f"{program}.gate")
    return Gate(program)


def lock_of(cache: Path) -> Path:
    (lock,) = (cache / ".fronts").iterdir()
    return lock


def waiting(cache: Path) -> int:
    """Return how many wait for the lock of the herd, as the kernel counts them."""
    inode = f":{lock_of(cache).stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sum(" -> " in line and inode in line for line in lines)


def said(processes: Sequence[subprocess.Popen[bytes]]) -> list[Run]:
    runs = []
    for process in processes:
        stdout, stderr = process.communicate(timeout=PATIENCE)
        runs.append(Run(process.returncode, stdout.decode(), stderr.decode()))
    return runs


def fronts(front: Helper, gate: Gate, cache: Path, *words: str, stdin: str) -> list[
    subprocess.Popen[bytes]
]:  # fmt: skip
    """Start a herd, of which one is at the gate, and the others wait for it."""
    front.env["AWS_ECR_TIMEOUT"] = "300"
    processes = [front.start(*words, stdin=stdin) for _ in range(HERD)]
    until(lambda: gate.started == 1 and waiting(cache) == HERD - 1, "they do not wait")
    return processes


def test_one_starts_python_and_the_others_wait(
    aws: FakeAWS, alone: Helper, gate: Gate, cache: Path
) -> None:
    """One interpreter, one call, the same answer for all."""
    processes = fronts(alone, gate, cache, "get", stdin=HOST)

    gate.open()
    secrets = answers(processes)

    assert set(secrets) == set(aws.issued)
    assert aws.count(CALL) == gate.started == 1
    assert lock_of(cache).stat().st_mode & 0o777 == 0o600
    assert (cache / ".fronts").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("words", "stdin"), [("get", HOST), ("kubelet", kubelets())])
def test_what_the_one_fails_with_all_say(
    env: dict[str, str],
    helper: Helper,
    alone: Helper,
    gate: Gate,
    cache: Path,
    words: str,
    stdin: str,
) -> None:
    """Without credentials: one interpreter, and each has Python's words and exit code."""
    helper.path = EXECUTABLE
    env["AWS_ECR_TIMEOUT"] = "300"
    from_python = helper(words, stdin=stdin)
    helper.path = gate.program.with_suffix("")
    processes = fronts(alone, gate, cache, words, stdin=stdin)

    gate.open()

    assert set(map(dataclasses.astuple, said(processes))) == {dataclasses.astuple(from_python)}
    assert from_python.status == 1
    assert gate.started == 1


@pytest.fixture
def nobodys(env: dict[str, str], alone: Helper, gate: Gate) -> Gate:
    """No credentials, and no machine to ask for some: only files and variables could give them."""
    env |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ECR_TIMEOUT": "300"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        env.pop(name, None)
    gate.leave_open()
    return gate


@pytest.mark.alone  # within a second
@pytest.mark.parametrize(("words", "stdin"), [("get", HOST), ("kubelet", kubelets())])
def test_who_comes_just_afterwards_fares_alike(
    alone: Helper, nobodys: Gate, words: str, stdin: str
) -> None:
    """A herd that is still starting when the first has failed: nothing changed, nobody is asked."""
    first = alone(words, stdin=stdin)

    assert first.status == 1
    assert "no AWS credentials" in first.stderr
    assert alone(words, stdin=stdin) == first
    assert nobodys.started == 1


def test_credentials_that_have_come_since_are_used_at_once(
    aws: FakeAWS, alone: Helper, nobodys: Gate, home: Path
) -> None:
    """Within the second, too: what a failure rests on is compared, not its age alone."""
    assert alone.get().status == 1
    write(
        home / ".aws" / "credentials",
        "[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = secret\n",
    )

    assert alone.get().secret in aws.issued
    assert nobodys.started == 2


AGES = {"a second ago": -1.0, "by a clock that was set back": 3600.0}  # seconds from now


@pytest.mark.parametrize("age", AGES)
def test_what_was_said_at_another_time_is_not_said_again(
    alone: Helper, nobodys: Gate, cache: Path, age: str
) -> None:
    """Python judges anew: nothing is remembered for longer than a herd takes to start."""
    assert alone.get().status == 1
    rest = lock_of(cache).read_text().partition(" ")[2]
    lock_of(cache).write_text(f"{time.time_ns() + int(AGES[age] * 1e9)} {rest}")

    assert alone.get().status == 1
    assert nobodys.started == 2


def test_where_somebody_was_asked_the_next_asks_again(
    aws: FakeAWS, alone: Helper, gate: Gate
) -> None:
    """What AWS has refused, or could not do, it is asked again by whoever comes afterwards."""
    gate.leave_open()
    for fault in ({"code": "AccessDeniedException"}, {"status": 503}):
        aws.fault(CALL, **fault)
        assert alone.get().status == 1
    started = gate.started
    aws.clear()

    assert alone.get().status == 0
    assert gate.started == started + 1


def test_with_the_machines_identity_the_next_asks_again(
    env: dict[str, str], alone: Helper, nobodys: Gate
) -> None:
    """A machine may have been given a role meanwhile, and no file says so."""
    env |= {
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1/",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "1",
    }

    assert [alone.get().status, alone.get().status] == [1, 1]
    assert nobodys.started == 2


def test_after_the_one_is_killed_another_asks(
    aws: FakeAWS, alone: Helper, gate: Gate, cache: Path
) -> None:
    """The kernel's lock ends with its holder: one of those who wait takes its place."""
    processes = fronts(alone, gate, cache, "get", stdin=HOST)
    holders = [int(line) for line in holders_of(lock_of(cache))]
    (holder,) = [process for process in processes if process.pid in holders]
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    until(lambda: gate.started == 2, "nobody takes its place")

    gate.open_for_good()
    secrets = answers(process for process in processes if process is not holder)

    assert set(secrets) == set(aws.issued)
    assert gate.started == 2
    assert aws.count(CALL) == 1


def holders_of(lock: Path) -> list[str]:
    inode = f":{lock.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return [line.split()[4] for line in lines if inode in line and " -> " not in line]


def test_what_could_not_be_kept_nobody_waits_for_twice(
    aws: FakeAWS, alone: Helper, gate: Gate, cache: Path
) -> None:
    """Where a token cannot be kept each asks for its own, all at once, as without the lock."""
    write(cache / HOST, "a file in the place of the directory")
    processes = fronts(alone, gate, cache, "get", stdin=HOST)

    gate.open()
    until(lambda: gate.started == HERD, "they wait for one another")
    gate.open_for_good()

    assert set(answers(processes)) == set(aws.issued)


def test_another_environment_is_another_herd(
    aws: FakeAWS, alone: Helper, gate: Gate, cache: Path
) -> None:
    """Nobody waits for a process that may fail for a reason of its own."""
    processes = fronts(alone, gate, cache, "get", stdin=HOST)
    processes += herd(alone, [HOST], env={"AWS_SECRET_ACCESS_KEY": "another"})
    until(lambda: gate.started == 2, "it waits for another's")

    gate.open_for_good()

    assert len(answers(processes)) == HERD + 1


def test_each_host_and_environment_has_a_lock_of_its_own(
    aws: FakeAWS, alone: Helper, cache: Path
) -> None:
    """One byte is enough, wherever it stands: in the host, or in a variable, near its end or far."""
    behind(alone, TELLS)
    hosts = [f"12345678901{n}.dkr.ecr.us-east-{m}.amazonaws.com" for n in range(8) for m in (1, 2)]
    for host in hosts:
        alone.get(host)
    text = "x" * 24
    for at in range(len(text)):
        for letter in "yz":
            alone.get(env={"AWS_PROFILE": f"{text[:at]}{letter}{text[at + 1 :]}"})

    assert len(list((cache / ".fronts").iterdir())) == len(hosts) + 2 * len(text)


def test_what_was_not_written_to_its_end_is_not_said(
    alone: Helper, nobodys: Gate, cache: Path
) -> None:
    """Half of the conditions are none: a disk that was full would make a failure last."""
    assert alone.get().status == 1
    whole = lock_of(cache).read_bytes()
    lock_of(cache).write_bytes(
        b"%d %s" % (time.time_ns(), whole.partition(b" ")[2].rpartition(b"\nunset ")[0] + b"\n")
    )

    assert alone.get().status == 1
    assert nobodys.started == 2


def test_a_file_that_could_not_be_read_decides_nothing(
    alone: Helper, nobodys: Gate, home: Path, cache: Path
) -> None:
    """Another process of the same user may be in the group that reads it."""
    file = Path(write(home / ".aws" / "credentials", "[default]\n", 0o640))
    assert alone.get().status == 1
    assert b"\nenv HOME=" in lock_of(cache).read_bytes()
    lock_of(cache).unlink()
    file.chmod(0)

    assert alone.get(wrap=without("dac_override", "dac_read_search")).status == 1
    assert b"\nenv HOME=" not in lock_of(cache).read_bytes()


def test_waiting_ends_in_time_and_comes_off_the_rest(
    aws: FakeAWS, alone: Helper, cache: Path
) -> None:
    """A holder that hangs costs a share of the time-out, and Python is told of it."""
    behind(alone, TELLS)
    alone.env["AWS_ECR_TIMEOUT"] = "4"
    process, descriptor, milliseconds, program = alone.get().stdout.split()
    assert (process, milliseconds) == (program, "0")
    assert int(descriptor) > 2
    with lock_of(cache).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process, descriptor, milliseconds, program = alone.get().stdout.split()

    assert (process, descriptor) == (program, "-1")
    assert 1400 <= int(milliseconds) < 4000


def test_python_has_so_much_less_time(aws: FakeAWS, helper: Helper) -> None:
    """Of 25 seconds 22 have been waited: AWS, which hangs, gets the rest."""
    aws.fault(CALL, hang=True)
    begun = time.monotonic()
    wrap = ("sh", "-c", f'{pythons_part.VARIABLE}="$$ -1 22000" exec "$@"', "-")
    late = helper.get(wrap=wrap)

    assert time.monotonic() - begun < 15
    assert f'no answer for "{HOST}" within 25 s' in late.stderr


@pytest.mark.parametrize("value", ["", "1", "1 2 3", "a b c", "-1 -1 -1", "9" * 5000 + " 1 1"])
def test_what_is_for_another_process_is_nothing(helper: Helper, tmp_path: Path, value: str) -> None:
    """A variable that was inherited, or is none of the front's, changes nothing."""
    from_python = helper.get()
    file = write(tmp_path / "file", "untouched")
    wrap = ("sh", "-c", f'"$@" 2<&2 3<>{file}', "-")

    assert helper.get(env={pythons_part.VARIABLE: value}, wrap=wrap) == from_python
    assert Path(file).read_text() == "untouched"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_what_is_said_in_a_file_of_ones_own(helper: Helper, tmp_path: Path, mode: int) -> None:
    """What it comes to is written into the lock's file, and not into one that others may read."""
    file = write(tmp_path / "file", "", mode)
    wrap = ("sh", "-c", f'{pythons_part.VARIABLE}="$$ 3 0" exec "$@" 3<>{file}', "-")
    answer = helper.get(wrap=wrap)
    said = Path(file).read_text()

    assert answer.status == 1
    words = answer.stdout + answer.stderr
    assert said == "" if mode & 0o077 else said.partition("\n")[2].startswith(words)


# What is done in .fronts, with the name of the lock.
ODD = {
    "a link to a directory": "cd .. && mv .fronts elsewhere && ln -s elsewhere .fronts",
    "a directory for all": "chmod 777 .",
    "a file for a directory": "rm $1 && cd .. && rmdir .fronts && touch .fronts",
    "a link": "mv $1 x && ln -s x $1",
    "a dead link": "rm $1 && ln -s x $1",
    "another name": "ln $1 x",
    "a file for all": "chmod 644 $1",
    "a directory": "rm $1 && mkdir $1",
    "a pipe": "rm $1 && mkfifo -m 600 $1",
}


def left_in(folder: Path) -> list[tuple[Path, int, int, int, int, int]]:
    """What lies in it; without the time of a read, as this reads, too."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(p, s.st_mode, s.st_ino, s.st_nlink, s.st_size, s.st_mtime_ns) for p, s in found]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_lock_is_done_without(aws: FakeAWS, alone: Helper, cache: Path, odd: str) -> None:
    """It is judged as an entry is, never followed, and left as it is: Python answers."""
    behind(alone, TELLS)
    alone.get()
    lock = lock_of(cache)
    subprocess.run(["sh", "-ec", ODD[odd], "sh", lock.name], cwd=lock.parent, check=True)
    before = left_in(cache)

    assert alone.get().stdout.startswith("none ")
    assert left_in(cache) == before


def test_a_lock_that_cannot_be_opened_in_time_is_done_without(
    aws: FakeAWS, front: Helper, cache: Path
) -> None:
    """A disk may answer what it remembers, and hang on what it must look up: two seconds, then Python."""
    first = front.get().secret
    shutil.rmtree(cache / HOST)
    with Hang(cache / ".fronts", "") as disk:
        again = front.get()
        assert disk.held >= 1

    assert again.secret != first
    assert aws.count(CALL) == 2


def test_the_locks_of_another_user_are_done_without(
    aws: FakeAWS, alone: Helper, cache: Path, home: Path
) -> None:
    """Nor is a cache made in a home of another's: sudo keeps HOME."""
    need_root("give files away")
    behind(alone, TELLS)
    alone.get()
    os.chown(lock_of(cache), 12345, -1)
    assert alone.get().stdout.startswith("none ")

    cache.rename(home / "elsewhere")
    (home / ".cache").rmdir()
    os.chown(home, 12345, -1)
    assert alone.get().stdout.startswith("none ")
    assert not (home / ".cache").exists()


def test_a_host_of_nobodys_has_no_herd(alone: Helper, cache: Path) -> None:
    """For what is not ECR's nothing is made on the disk."""
    behind(alone, TELLS)

    assert alone.get(ELSEWHERE).stdout.startswith("none ")
    assert not cache.exists()


@pytest.mark.parametrize("timeout", ["0", "2", "601", "x", "1e2", " 25", "25.5"])
def test_a_time_out_that_python_must_read(
    aws: FakeAWS, alone: Helper, cache: Path, timeout: str
) -> None:
    """What is no whole number of seconds, or too few to share, is left to Python."""
    behind(alone, TELLS)

    assert alone.get(env={"AWS_ECR_TIMEOUT": timeout}).stdout.startswith("none ")


def test_an_interrupt_ends_the_wait(aws: FakeAWS, alone: Helper, gate: Gate, cache: Path) -> None:
    """Ctrl-C while it waits for another: 130."""
    processes = fronts(alone, gate, cache, "get", stdin=HOST)
    holders = [int(line) for line in holders_of(lock_of(cache))]
    waiter = next(process for process in processes if process.pid not in holders)
    waiter.send_signal(signal.SIGINT)
    waiter.communicate()
    assert waiter.returncode == 130

    gate.open_for_good()
    answers(process for process in processes if process is not waiter)


def test_old_locks_are_swept(aws: FakeAWS, front: Helper, cache: Path) -> None:
    """What no front has used for the life of a token goes at the next miss."""
    front.get()
    old = lock_of(cache)
    os.utime(old, (1, 1))
    front.get(env={"AWS_REGION": "us-east-1"})

    assert old.name not in os.listdir(cache / ".fronts")


@pytest.mark.alone
def test_pips_copy_and_fronts_together_make_one_call(
    aws: FakeAWS, helper: Helper, built: Path
) -> None:
    """100 of each at once, with nothing on the disk: one call, one token."""
    helper.env["AWS_ECR_TIMEOUT"] = "300"
    for name in [name for name in helper.env if name.startswith("COVERAGE_")]:
        del helper.env[name]
    aws.delay = 0.5
    processes = []
    for number in range(200):
        helper.path = EXECUTABLE if number % 2 else built / "docker-credential-ecr"
        processes.append(helper.start("get"))
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(HOST.encode())
        process.stdin.close()
        process.stdin = None

    assert set(answers(processes)) == set(aws.issued)
    assert aws.count(CALL) == aws.requests == 1


@pytest.mark.alone
def test_200_without_credentials_start_few_interpreters(
    env: dict[str, str], helper: Helper, built: Path
) -> None:
    """Of 200 at once those that come while one asks say what it came to."""
    helper.path = built / "docker-credential-ecr"
    env.update(DEBUG)
    runs = said(herd(helper, [HOST] * 200))

    started = sum("on to Python" in run.stderr for run in runs)
    assert {run.status for run in runs} == {1}
    assert len({run.stdout for run in runs}) == 1
    assert started < 20
