"""The native front when a call of its own fails: each of them, one at a time, on each of its ways."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import re
import shutil
import time
from pathlib import Path

import pytest
from front import DRIVERS, compile_front, keep_login, keep_token, kubelets
from kit import HOST, Helper, Run

WRAPPED = re.compile(r"^WRAP\([^()]*, -?\w+, (\w+),\s*\(", re.MULTILINE)
PYTHON = "#!/bin/sh\ncat\necho python\n"  # what was on stdin, then a word
MOST = 300  # calls, far above what any way takes
SAID, ERROR = "no AWS credentials\n", "stderr\n"
STANDS = "unset NO_SUCH_VARIABLE\n"  # while that holds, it is said again


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """The front whose calls can be made to fail."""
    names = WRAPPED.findall((DRIVERS / "faults.c").read_text())
    assert len(names) > 25
    folder = tmp_path_factory.mktemp("faulty")
    wraps = [f"-Wl,--wrap={name}" for name in names]
    path = compile_front(folder / "docker-credential-ecr", *wraps, driver="faults.c")
    (folder / "docker-credential-ecr.py").write_text(PYTHON)
    (folder / "docker-credential-ecr.py").chmod(0o755)
    return path


def clear(cache: Path) -> None:
    """Remove the cache."""
    if cache.exists():
        shutil.rmtree(cache)


@pytest.mark.parametrize(
    ("way", "least"),
    [("hit", 12), ("kubelet", 15), ("due", 25), ("miss", 20), ("no cache", 20), ("waits", 20)],
)
def test_each_call_may_fail(  # noqa: C901 - one case a way
    helper: Helper, faulty: Path, cache: Path, tmp_path: Path, way: str, least: int
) -> None:
    """The n-th call fails, for every n: the answer whole, or on to Python, or an error that is said."""
    helper.path = faulty
    number_file = tmp_path / "number"
    helper.env["FAIL_FILE"] = str(number_file)
    words, asked = (["kubelet"], kubelets()) if way == "kubelet" else (["get"], HOST)

    def ask(number: int) -> Run:
        number_file.write_text(str(number))
        if way in ("hit", "kubelet"):
            keep_login(cache)
        elif way == "due":
            clear(cache)
            keep_token(cache, -1, 1)
        elif way == "no cache":
            clear(cache)
        for lock in (cache / ".fronts").glob("*") if way == "waits" else ():
            head = f"{time.time_ns()} 1 {len(SAID)} {len(ERROR)} {len(STANDS)}\n"
            lock.write_text(head + SAID + ERROR + STANDS)
        run = helper(*words, stdin=asked)
        # For how long the kubelet may keep it depends on the second.
        return dataclasses.replace(run, stdout=re.sub(r"\d+h\d+m\d+s", "", run.stdout))

    with contextlib.ExitStack() as stack:
        if way in ("miss", "waits"):
            assert ask(0).stdout == f"{asked}python\n"
        if way == "waits":
            (lock,) = (cache / ".fronts").iterdir()
            fcntl.flock(stack.enter_context(lock.open()), fcntl.LOCK_SH)
        whole = ask(0)
        assert number_file.exists()
        if way == "waits":
            assert (whole.status, whole.stdout, whole.stderr) == (1, SAID, ERROR)
        for number in range(1, MOST):
            answer = ask(number)
            if number_file.exists():
                break
            if answer.stdout == f"{asked}python\n":
                assert answer.status == 0
            elif (answer.status, answer.stdout) != (whole.status, whole.stdout):
                assert answer.stdout == ""
                assert answer.status == 1
                assert ": error: " in answer.stderr
    assert number > least, "the calls were not those of this way"
