"""The front, built once a session: with what the pip-installed program is behind it, and alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from front import SANITIZERS, Probe, compile_front
from kit import INSTALLED, Helper, missing


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the front, and the Python program beside it."""
    if sys.platform != "linux":
        missing("the front is tested on Linux")
    folder = tmp_path_factory.mktemp("front")
    compile_front(folder / "docker-credential-ecr", *SANITIZERS)
    (folder / "docker-credential-ecr.py").symlink_to(INSTALLED)
    return folder


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The front's decision, under sanitizers."""
    folder = tmp_path_factory.mktemp("probe")
    probe = Probe(compile_front(folder / "probe", *SANITIZERS, driver="probe.c", whole=False))
    yield probe
    probe.close()


@pytest.fixture
def front(helper: Helper, built: Path) -> Helper:
    """The front, with Python behind it, run as the installed executable is."""
    helper.path = built / "docker-credential-ecr"
    return helper
