"""A clock of the tests' own."""

from __future__ import annotations

import glob
import subprocess
from collections.abc import Iterator

import pytest
from kit import need


@pytest.fixture(autouse=True)
def patient(env: dict[str, str]) -> None:
    """Leave a renewal of a valid token, which gets a share of the time, six seconds on any machine."""
    env["AWS_ECR_TIMEOUT"] = "100"


@pytest.fixture(scope="module")
def faketime() -> Iterator[dict[str, str]]:
    """Return the variables that make a program believe in another time, but for FAKETIME itself.

    libfaketime keeps a shared memory, and would leave one behind for every process that ends as
    ours do, with os._exit: they all use one.
    """
    need("faketime")
    keeper = subprocess.Popen(
        ["faketime", "-f", "+0d", "sh", "-c", 'echo "$FAKETIME_SHARED"; exec cat'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdout is not None
    shared = keeper.stdout.readline().strip()
    [library] = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    yield {"LD_PRELOAD": library, "FAKETIME_SHARED": shared, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    keeper.communicate()
