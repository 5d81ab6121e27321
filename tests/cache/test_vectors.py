"""The vectors of tests/vectors against the Python reader, in process and through the executable.

In process the clock is the vector's, so every second is met; the executable has the machine's
clock, and its entries are aged. It runs all that answer at once, and of those that do not, which
take a hundred times as long, each tenth; as a proof all of them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import vectors
from _pytest.mark import ParameterSet
from kit import HOUR, LIFE, Helper, processes_below, until, write
from vectors import Vector

from docker_credential_ecr import cache, registry, server_url, tokens

CASES = vectors.all_of(
    "entries", "ages", "logins", "choices", "directories", "places", "environments"
)
HOSTS = vectors.all_of("hosts")
NOBODY = 65534  # a user who is not root
SAMPLE = 10  # one of so many, where each takes long
SECRET = "c2VjcmV0"  # of the answers in tests/vectors/hosts
# What this reader does otherwise, as yet: each must fail.
pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, owners and links of POSIX")


def possible(cases: Iterable[Vector], *, as_user: bool) -> list[Vector]:
    """Return those that make sense here; ``as_user`` says that root can be somebody else."""
    root = os.geteuid() == 0
    met = {
        "": True,
        "linux": sys.platform == "linux",
        "root": root,
        "user": as_user or not root,
    }
    return [case for case in cases if met[case.get("needs")]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that another user may reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="vector-"))
    folder.chmod(0o711)
    root = folder / "root"
    root.mkdir()
    yield root
    until(lambda: not processes_below(folder), "a renewal has not left")
    shutil.rmtree(folder)


@contextlib.contextmanager
def being(user: int, root: Path) -> Iterator[None]:
    """Be another user for a moment, who owns everything in ``root``."""
    for path in (root, *root.rglob("*")):
        os.chown(path, user, -1, follow_symlinks=False)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


def decision(token: cache.Token | None, now: int, environ: dict[str, str]) -> str:
    """Return what is done with the token that was found, as the policy does it."""
    if token is None:
        return "absent"
    if token.is_login or now < token.refresh:
        return "served"
    return "due" if tokens.renews_behind(environ) and now < token.renew else "late"


def row(case: Vector, *marks: pytest.MarkDecorator) -> ParameterSet:
    """Return the parameter that a case is."""
    return pytest.param(case, id=str(case), marks=marks)


@pytest.mark.parametrize("case", [row(case) for case in possible(CASES, as_user=True)])
def test_the_reader_decides_as_the_vector_says(place: Path, case: Vector) -> None:
    """What is served, and whether it is renewed, at the second that the vector says."""
    vectors.build(case, place)
    environ = vectors.environment(case, place)
    now = int(case.get("now"))
    is_user = case.get("needs") == "user" and os.geteuid() == 0

    with contextlib.chdir(place), being(NOBODY, place) if is_user else contextlib.nullcontext():
        host = server_url.host_of(case.get("request"))
        assert host is not None
        folder = cache.directory(environ)
        found = cache.lookup(folder, host, environ, now) if folder is not None else None

    assert decision(found, now, environ) == case.get("expect")
    if found is not None:
        assert f'"Secret":"{found.secret}"' in case.get("stdout")


def for_executable() -> list[ParameterSet]:
    """Return the cases that the executable runs; those that take long are a sample in short."""
    slow, rows = 0, []
    for case in possible(CASES, as_user=False):
        if case.get("clock") == "exact":
            continue
        slow += (takes_long := case.get("expect") in ("late", "absent"))
        short = not takes_long or slow % SAMPLE == 0
        mark = pytest.mark.proof if short else pytest.mark.proof(only=True)
        rows.append(row(case, mark))
    return rows


@pytest.mark.parametrize("case", for_executable())
def test_the_executable_answers_as_the_vector_says(
    place: Path, helper: Helper, case: Vector
) -> None:
    """The bytes of the answer, its exit code, nothing on stderr, and a claim where it is renewed."""
    vectors.build(case, place, clock=int(time.time()))
    del helper.env["HOME"], helper.env["DOCKER_CONFIG"]
    helper.env.update(vectors.environment(case, place), XDG_CONFIG_DIRS="/nowhere")

    inside = ("env", "--chdir", str(place))
    answer = helper.get(os.fsencode(case.get("request")), wrap=inside)

    if case.get("expect") == "absent":
        assert answer.status == 1
        assert answer.stdout.startswith("no AWS credentials")
    else:
        assert answer.stdout == case.get("stdout") + "\n"
        assert answer.status == 0
        assert answer.stderr == ""
    claims = [path for path in place.rglob(".*.renewal") if path.is_file()]
    assert bool(claims) == (case.get("expect") in ("due", "late"))


@pytest.mark.parametrize("vector", HOSTS, ids=str)
def test_a_name_is_read_as_the_vector_says(vector: Vector) -> None:
    """The host, the port, and whether it is a registry; nothing for what is refused."""
    try:
        asked = vector.payload.decode()
    except UnicodeDecodeError:
        assert vector.get("expect") == "refused"
        return
    found = registry.parse(asked)

    if vector.get("expect") == "refused":
        assert server_url.split(asked) is None
    else:
        assert server_url.split(asked) == (vector.get("host"), vector.get("port"))
    assert ("" if found is None else found.scope) == vector.get("registry")
    assert (found is not None) == (vector.get("expect") == "registry")


def hosts_for_executable() -> list[ParameterSet]:
    rows = []
    for number, vector in enumerate(HOSTS):
        short = vector.get("expect") != "refused" or number % SAMPLE == 0
        mark = pytest.mark.proof if short else pytest.mark.proof(only=True)
        rows.append(pytest.param(vector, id=str(vector), marks=mark))
    return rows


@pytest.mark.parametrize("vector", hosts_for_executable())
def test_the_executable_reads_a_name_as_the_vector_says(
    helper: Helper, cache: Path, vector: Vector
) -> None:
    """Where the cache has a login for the host, it is answered, under the name that was asked."""
    host, now = vector.get("host"), int(time.time())
    if host:
        end = now - HOUR + LIFE
        times = f"issued {now - HOUR}\nrefresh {end}\nrenew {end}\nexpires {end}\n"
        head = f"docker-credential-ecr 2\nhost {host}\n{times}"
        write(cache / host / "login", f'{head}\n"{SECRET}"\n')
        (cache / host).chmod(0o700)

    answer = helper.get(vector.payload, env={"XDG_CONFIG_DIRS": "/nowhere"})

    if not host:
        assert answer.stdout == "credentials not found in native keychain\n"
        assert answer.status == 1
    else:
        assert answer.stdout == vector.get("stdout") + "\n"
        assert answer.status == 0
    assert answer.stderr == ""


def test_the_files_are_what_the_generator_makes() -> None:
    """Nobody has edited a vector, and none is missing: ``python tests/vectors/generate.py``."""
    path = vectors.FOLDER / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = generate  # where dataclasses look
    spec.loader.exec_module(generate)

    made = generate.vectors()

    there = {
        f"{folder.name}/{path.name}": path.read_bytes()
        for folder in vectors.FOLDER.iterdir()
        if folder.is_dir() and folder.name != "__pycache__"
        for path in folder.iterdir()
    }
    assert there == made
    assert len({path.lower() for path in made}) == len(made), "some file systems know no capitals"


def test_every_vector_says_what_it_is() -> None:
    """Each has a comment, an expectation and, where something is answered, the answer."""
    decided = {"served", "due", "late", "absent"}
    for case in CASES:
        assert case.get("comment")
        assert case.get("expect") in decided
        assert bool(case.get("stdout")) == (case.get("expect") != "absent")
        assert case.get("request")
    for vector in HOSTS:
        assert vector.get("comment")
        assert vector.get("expect") in {"host", "registry", "refused"}
        assert bool(vector.get("stdout")) == (vector.get("expect") != "refused")
