"""What the Windows tests share: the lab, an environment from scratch in it, a loopback AWS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from lab import Lab, LabError
from support import Helper, environment, make_home, point


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab as `make test-windows` leaves it. Without one these tests fail: they were asked for."""
    made = Lab()
    if not (made.place / "recipe").exists():
        pytest.fail("there is no Windows lab: run make test-windows")
    try:
        with made:
            yield made
    except LabError as error:
        pytest.fail(str(error))


@pytest.fixture
def home(lab: Lab) -> Iterator[str]:
    """A user's profile of its own, as Windows writes the path."""
    path = make_home(lab)
    yield path
    shutil.rmtree(lab.unix(path), ignore_errors=True)


@pytest.fixture
def env(lab: Lab, home: str) -> dict[str, str]:
    return environment(lab, home)


@pytest.fixture
def aws(env: dict[str, str]) -> Iterator[FakeAWS]:
    """A loopback AWS, which ``env`` points to, with a static key."""
    with FakeAWS() as server:
        point(env, server)
        yield server


@pytest.fixture
def helper(lab: Lab, env: dict[str, str]) -> Helper:
    return Helper(lab, env)


@pytest.fixture
def cache(lab: Lab, home: str) -> Path:
    """The cache of this profile, seen from this side."""
    return lab.unix(f"{home}\\AppData\\Local\\docker-credential-ecr\\Cache")
