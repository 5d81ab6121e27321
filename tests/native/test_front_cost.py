"""What a hit of the native front costs: instructions and memory, for each source of an identity."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from canaries import SOURCES, Source
from fake_aws import FakeAWS
from front import DEBUG, compile_front, kubelets
from kit import HOST, Helper, give, need, until

# Instructions of a hit, the whole process, linked statically. As Debian 12's compiler and C library
# make it: 85 to 93 thousand by source, of which start-up, which asks the processor about itself,
# varies. The kubelet's is decided in a thread of its own.
INSTRUCTIONS = {"get": 100_000, "kubelet": 115_000}
MEMORY = 2048  # KiB, of the process when it has answered
PIPE = 64 << 10  # bytes that a pipe takes


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The front as it ships: optimized, and static."""
    folder = tmp_path_factory.mktemp("static")
    return compile_front(folder / "docker-credential-ecr", "-O2", "-static")


def ask(word: str) -> str:
    return HOST if word == "get" else kubelets()


@pytest.mark.parametrize("word", INSTRUCTIONS)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_hit_is_so_many_instructions(
    tmp_path: Path,
    helper: Helper,
    static: Path,
    aws: FakeAWS,
    home: Path,
    source: Source,
    word: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Gated by a count, as no clock can gate a fifth of a millisecond: an entry that Python wrote."""
    source.set_up(helper.env, home, aws)
    answer = helper(word, stdin=ask(word))
    requests = aws.requests
    helper.path = static
    counts = tmp_path / "counts"
    wrap = (need("valgrind"), "-q", "--tool=callgrind", f"--callgrind-out-file={counts}")
    run = helper(word, stdin=ask(word), env=DEBUG, wrap=wrap)

    assert (run.status, run.stderr) == (0, "")
    assert run.stdout.split("assword")[1:] == answer.stdout.split("assword")[1:]
    assert aws.requests == requests
    found = re.search(r"^(?:summary|totals): (\d+)", counts.read_text(), re.MULTILINE)
    assert found is not None
    record_property(f"instructions of a {word}, {source}", found[1])
    assert int(found[1]) < INSTRUCTIONS[word], found[1]


@pytest.mark.parametrize("word", INSTRUCTIONS)
def test_a_hit_takes_so_much_memory(
    helper: Helper,
    static: Path,
    aws: FakeAWS,
    word: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Looked at while it writes its answer to a pipe that is full: its peak, as the kernel says."""
    assert helper(word, stdin=ask(word)).status == 0
    helper.path = static
    process = helper.start(word)
    assert process.stdout is not None
    # Both ends are the kernel's one pipe: /proc opens that of the process for writing.
    with open(f"/proc/{process.pid}/fd/1", "wb", buffering=0) as full:
        os.set_blocking(full.fileno(), False)
        full.write(b" " * PIPE)
        os.set_blocking(full.fileno(), True)
    give(process, ask(word))
    waits = Path(f"/proc/{process.pid}/wchan")
    until(lambda: "pipe_write" in waits.read_text(), "it does not write")
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.communicate()

    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert peak is not None
    record_property(f"memory of a {word}", f"{peak[1]} KiB")
    assert int(peak[1]) <= MEMORY
