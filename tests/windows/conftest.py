"""What the Windows tests share: the lab, an environment from scratch in it, a loopback AWS."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from lab import Lab, LabError
from support import Helper


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
    path = f"C:\\users\\{uuid.uuid4().hex[:8]} x"  # a space: people have names
    for part in ("AppData\\Local", "AppData\\Roaming", "Temp"):
        lab.unix(f"{path}\\{part}").mkdir(parents=True)
    yield path
    shutil.rmtree(lab.unix(path), ignore_errors=True)


@pytest.fixture
def env(lab: Lab, home: str) -> dict[str, str]:
    """What a user's session has on Windows, no credentials, no network."""
    return {
        "SystemRoot": "C:\\windows",
        "SystemDrive": "C:",
        "ComSpec": "C:\\windows\\system32\\cmd.exe",
        "PATH": f"{lab.scripts};C:\\windows\\system32;C:\\windows",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD",
        "ProgramData": f"{home}\\ProgramData",
        "TEMP": f"{home}\\Temp",
        "TMP": f"{home}\\Temp",
        "USERPROFILE": home,
        "HOMEDRIVE": "C:",
        "HOMEPATH": home[2:],
        "LOCALAPPDATA": f"{home}\\AppData\\Local",
        # platformdirs asks the shell before the environment; these are its own, for such a case.
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": f"{home}\\AppData\\Local",
        "WIN_PD_OVERRIDE_COMMON_APPDATA": f"{home}\\ProgramData",
        "APPDATA": f"{home}\\AppData\\Roaming",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def aws(env: dict[str, str]) -> Iterator[FakeAWS]:
    """A loopback AWS, which ``env`` points to, with a static key."""
    with FakeAWS() as server:
        env["AWS_ENDPOINT_URL"] = server.url
        env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
        env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY-static"
        yield server


@pytest.fixture
def helper(lab: Lab, env: dict[str, str]) -> Helper:
    return Helper(lab, env)


@pytest.fixture
def cache(lab: Lab, home: str) -> Path:
    """The cache of this profile, seen from this side."""
    return lab.unix(f"{home}\\AppData\\Local\\docker-credential-ecr\\Cache")
