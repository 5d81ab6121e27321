"""The native front: it decides as the vectors say, and what it does not decide goes on in Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import vectors
from _pytest.mark import ParameterSet
from fake_aws import FakeAWS
from front import DEBUG, DUE, LATE, SECRET, Probe, keep_login
from kit import (
    ELSEWHERE,
    HOST,
    PATIENCE,
    Helper,
    give,
    login,
    need,
    processes_below,
    until,
    write,
)
from vectors import Vector

CASES = vectors.all_of(
    "entries", "ages", "logins", "choices", "directories", "places", "environments"
)
HOSTS = vectors.all_of("hosts")
NOBODY = 65534  # a user who is not root
SAMPLE = 10  # one of so many, where each takes long

POSSIBLE = [case for case in CASES if case.get("needs") != "root" or os.geteuid() == 0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory that another user may reach, unlike pytest's own."""
    folder = Path(f"/tmp/front-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(0o711)
    (folder / "root").mkdir()
    yield folder / "root"
    until(lambda: not processes_below(folder), "a renewal has not left")
    shutil.rmtree(folder)


@pytest.mark.parametrize("case", POSSIBLE, ids=str)
def test_the_front_decides_as_the_vector_says(place: Path, probe: Probe, case: Vector) -> None:
    """Each second, each byte: the same decision as Python's, the same bytes."""
    vectors.build(case, place)
    user = NOBODY if case.get("needs") == "user" and os.geteuid() == 0 else 0
    if user:
        for path in (place, *place.rglob("*")):
            os.chown(path, user, -1, follow_symlinks=False)

    answer, reason = probe(
        os.fsencode(case.get("request")),
        vectors.environment(case, place),
        int(case.get("now")),
        place,
        user,
    )

    decision = {"": "served", DUE: "due", LATE: "late"}.get(reason, "absent")
    assert decision == case.get("expect"), reason
    assert (answer is None) == (decision in ("absent", "late"))
    if answer is not None:
        assert answer == os.fsencode(case.get("stdout")) + b"\n"


@pytest.mark.parametrize("vector", HOSTS, ids=str)
def test_the_front_reads_a_name_as_the_vector_says(
    tmp_path: Path, probe: Probe, vector: Vector
) -> None:
    """A login of the host is answered under the name that was asked; nothing else is looked for."""
    host = vector.get("host")
    if host:
        keep_login(tmp_path, host)

    answer, reason = probe(
        vector.payload, {"AWS_ECR_CACHE_DIR": str(tmp_path)}, int(time.time()), tmp_path
    )

    if host:
        assert answer == vector.get("stdout").encode() + b"\n"
    else:
        assert reason == "the server URL names no host"


def for_executable() -> list[ParameterSet]:
    """Return the cases for the whole; of those that take long, as Python answers, a sample."""
    slow, rows = 0, []
    for case in POSSIBLE:
        if case.get("clock") != "exact" and case.get("needs") != "user":
            slow += (takes_long := case.get("expect") != "served")
            short = not takes_long or slow % SAMPLE == 0
            mark = pytest.mark.proof if short else pytest.mark.proof(only=True)
            rows.append(pytest.param(case, id=str(case), marks=mark))
    return rows


@pytest.mark.parametrize("case", for_executable())
def test_the_whole_answers_as_the_vector_says(place: Path, front: Helper, case: Vector) -> None:
    """By itself what it serves, with Python behind it the rest: nobody sees which it was."""
    vectors.build(case, place, clock=int(time.time()))
    del front.env["HOME"], front.env["DOCKER_CONFIG"]
    front.env.update(vectors.environment(case, place), XDG_CONFIG_DIRS="/nowhere")
    inside = ("env", "--chdir", str(place))

    answer = front.get(os.fsencode(case.get("request")), wrap=inside)

    if case.get("expect") == "absent":
        assert answer.status == 1
        assert answer.stdout.startswith("no AWS credentials")
    else:
        assert (answer.stdout, answer.stderr) == (case.get("stdout") + "\n", "")
        assert answer.status == 0
    claims = [path for path in place.rglob(".*.renewal") if path.is_file()]
    assert bool(claims) == (case.get("expect") in ("due", "late"))
    if case.get("expect") != "absent":  # by now a renewal is somebody's
        again = front.get(os.fsencode(case.get("request")), env=DEBUG, wrap=inside)
        assert again.stderr == "", "it was Python that answered"


@pytest.mark.parametrize(
    ("words", "request_", "reason"),
    [
        (["version"], b"", "only get and the kubelet have a front"),
        (["get", "more"], b"", "only get and the kubelet have a front"),
        (["get"], ELSEWHERE.encode(), "nothing on the disk may be served"),
        (["get"], b"", "the server URL names no host"),
        (["get"], b"\xff", "the server URL names no host"),
        (["get"], b"x" * (64 << 10), "the server URL names no host"),
        (["get"], b"x" * (64 << 10) + b"x", "the request is too long"),
        (["get"], b"x" * (1 << 20), "the request is too long"),
        (
            ["store"],
            login(SECRET, server=ELSEWHERE).encode(),
            "only get and the kubelet have a front",
        ),
    ],
)
def test_what_it_does_not_decide_python_says(
    helper: Helper, built: Path, words: list[str], request_: bytes, reason: str
) -> None:
    """The request goes on whole: answer, error and exit code are Python's, and the reason is named."""
    from_python = helper(*words, stdin=request_)
    helper.path = built / "docker-credential-ecr"

    assert helper(*words, stdin=request_) == from_python
    named = helper(*words, stdin=request_, env=DEBUG)
    assert named.stderr == f"docker-credential-ecr: debug: on to Python: {reason}\n" + (
        from_python.stderr
    )


@pytest.mark.parametrize("rest", [[], ["--verbose", "x"]])
def test_the_kubelets_name_is_kept(tmp_path: Path, front: Helper, rest: list[str]) -> None:
    """Started as the kubelet's plugin, it is that: a script would not know by which name."""
    link = tmp_path / "ecr-credential-provider"
    link.symlink_to(front.path)
    front.path = link

    assert "no request on stdin" in front(*rest).stderr
    assert front("version").stdout.startswith("docker-credential-ecr ")


def test_nobody_listens(front: Helper, cache: Path) -> None:
    """A reader that has left is exit code 1 without a word, as from Python, not a signal."""
    keep_login(cache)
    process = front.start("get")
    assert process.stdout is not None
    process.stdout.close()
    give(process, HOST)
    assert process.stderr is not None

    assert process.wait(PATIENCE) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_an_answer_that_cannot_be_written(helper: Helper, built: Path, cache: Path) -> None:
    """A full disk, a closed stdout or stdin: exit code and words are Python's."""
    keep_login(cache)
    for redirect in ("> /dev/full", ">&-", "2>&-", "< /dev/null"):
        wrap = ("sh", "-c", f'"$@" {redirect}', "-")
        helper.path = built / "docker-credential-ecr.py"
        from_python = helper.get(wrap=wrap)
        helper.path = built / "docker-credential-ecr"
        assert helper.get(wrap=wrap) == from_python


def test_an_interrupt_is_an_exit_code(front: Helper) -> None:
    """Ctrl-C while it waits for the request: 130, as Python says it."""
    process = front.start("get")
    sleeping = Path(f"/proc/{process.pid}/wchan")
    end = time.monotonic() + PATIENCE
    while "pipe" not in sleeping.read_text() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_without_python_beside_it_it_says_so(
    tmp_path: Path, front: Helper, built: Path, cache: Path
) -> None:
    """A hit needs no Python at all; a miss names what is missing."""
    front.path = Path(shutil.copy(front.path, tmp_path / "docker-credential-ecr"))
    keep_login(cache)

    assert front.get().secret == SECRET
    missed = front.get(ELSEWHERE)
    assert missed.status == 1
    assert missed.stdout == ""
    assert 'cannot be started: "No such file or directory"' in missed.stderr


def test_a_trace_is_whole(aws: FakeAWS, front: Helper, tmp_path: Path) -> None:
    """While AWS_ECR_LOG asks for a trace Python answers: a hit is in it, too."""
    front.get()
    log = tmp_path / "log"
    traced = front.get(env={"AWS_ECR_LOG": str(log), **DEBUG})

    assert traced.stderr == "docker-credential-ecr: debug: on to Python: a trace is asked for\n"
    assert f"host={HOST}" in log.read_text()
    assert " hit " in log.read_text()


def test_an_inode_may_have_64_bits(
    tmp_path: Path, aws: FakeAWS, front: Helper, home: Path, cache: Path
) -> None:
    """Python writes it without a sign, and the front reads it so."""
    library = tmp_path / "inodes.so"
    source = Path(__file__).with_name("inodes.c")
    flags = ("-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC")
    subprocess.run([need("cc"), *flags, source, "-o", library, "-ldl"], check=True)
    write(home / ".aws" / "config", "[default]\n")
    # The front under test is one with sanitizers, which want to come first.
    preloaded = {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}

    first = front.get(env=preloaded)
    second = front.get(env=preloaded | DEBUG)
    assert first.status == 0

    [entry] = (path for path in cache.joinpath(HOST).iterdir() if not path.name.startswith("."))
    inode = (home / ".aws" / "config").stat().st_ino | 1 << 63
    assert f" {inode} " in entry.read_text()
    assert (second.status, second.stderr) == (0, "")
    assert second.secret == first.secret
