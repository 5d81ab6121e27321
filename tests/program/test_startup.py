"""What a hit costs, in modules: the allow-list of the design, held exactly.

A list of what is forbidden would miss the next one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import pytest
from kit import HOST

from docker_credential_ecr import PROGRAM, cache, keeping

PACKAGE = "docker_credential_ecr"
# The first floor and below, without AWS, without settings: what a `get` from disk may load.
ALLOWED = {
    PACKAGE,
    *(
        f"{PACKAGE}.{name}"
        for name in ("__main__", "protocol", "tokens", "cache", "server_url", "errors")
    ),
}


def script() -> str:
    """Return the executable that is installed beside this interpreter."""
    return os.path.join(os.path.dirname(sys.executable), "docker-credential-ecr")


def imported(argv: list[str], environ: dict[str, str], request: str = "") -> tuple[set[str], str]:
    """Return the modules that an interpreter imports for ``argv``, and its stdout."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *argv],
        input=request,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}, done.stdout


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which the cache holds a fresh token for HOST."""
    folder = str(tmp_path / "cache")
    (tmp_path / "config").write_text("[default]")
    now = int(time.time())
    token = cache.Token(
        host=HOST,
        secret="c2VjcmV0",
        issued=now - 10,
        refresh=now + 3600,
        renew=now + 7200,
        expires=now + 7200,
        name="0123456789abcdef",
        scope="ecr us-east-1",
        conditions=[
            "unset AWS_PROFILE",
            cache.state_of(f"{tmp_path}/config"),
            cache.boot(),
        ],
    )
    assert keeping.write(folder, token, begun=time.time())
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "AWS_ECR_CACHE_DIR": folder}


def test_a_hit_loads_the_allow_list_and_nothing_else(environ: dict[str, str]) -> None:
    """The modules after a hit, less those of a bare interpreter, are the allow-list exactly."""
    bare, _ = imported(["-c", "pass"], environ)
    hit, answer = imported([script(), "get"], environ, HOST)

    assert '"Secret":"c2VjcmV0"' in answer
    assert hit - bare == ALLOWED


@pytest.mark.parametrize("changed", ["no AWS_ECR_CACHE_DIR", "no HOME"])
def test_a_hit_elsewhere_loads_no_more(
    environ: dict[str, str], tmp_path: Path, changed: str
) -> None:
    """Nor does it take more to find the default cache directory, or to have no home.

    ``pwd`` is part of the interpreter, and is asked for the home that the environment lacks.
    """
    if changed == "no HOME":
        del environ["HOME"]
    else:
        (tmp_path / ".cache").mkdir()
        os.rename(environ.pop("AWS_ECR_CACHE_DIR"), tmp_path / ".cache" / PROGRAM)
    bare, _ = imported(["-c", "pass"], environ)
    hit, answer = imported([script(), "get"], environ, HOST)

    assert '"Secret":"c2VjcmV0"' in answer
    assert hit - bare - {"pwd"} == ALLOWED


def test_version_loads_no_more_than_a_hit(environ: dict[str, str]) -> None:
    """The version is a literal: asking for it does not read the package's metadata."""
    bare, _ = imported(["-c", "pass"], environ)
    version, _ = imported([script(), "version"], environ)

    assert version - bare == ALLOWED


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"XDG_CACHE_HOME": "/x/cache"},
        {"XDG_CACHE_HOME": "/x/cache/"},
        {"XDG_CACHE_HOME": ""},
        {"XDG_CACHE_HOME": "  "},
        {"XDG_CACHE_HOME": " /x/cache "},
        {"XDG_CACHE_HOME": "relative/cache"},
        {"XDG_CACHE_HOME": "~/cache"},
        {"XDG_CACHE_HOME": "~root/cache"},
        {"XDG_CACHE_HOME": "/x/é"},
        {"HOME": "/x/home"},
        {"HOME": "/"},
        {"HOME": "/x/home/"},
        {"HOME": None},
        {"HOME": ""},
        {"HOME": "relative"},
        {"HOME": None, "XDG_CACHE_HOME": "/x/cache"},
    ],
    ids=str,
)
def test_the_cache_directory_is_that_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str | None]
) -> None:
    """The hit path's own rule and platformdirs agree, whatever XDG and HOME say."""
    for name in ("XDG_CACHE_HOME", "AWS_ECR_CACHE_DIR", "AWS_ECR_DISABLE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)

    ours = cache.directory(os.environ)

    assert ours is not None
    assert os.path.normpath(ours) == os.path.normpath(
        platformdirs.user_cache_dir("docker-credential-ecr", appauthor=False)
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AWS_ECR_CACHE_DIR": "/x/ecr"}, "/x/ecr"),
        ({"AWS_ECR_CACHE_DIR": "/x/ecr", "XDG_CACHE_HOME": "/y"}, "/x/ecr"),
        ({"AWS_ECR_CACHE_DIR": "~/ecr"}, "/x/home/ecr"),
        ({"AWS_ECR_CACHE_DIR": ""}, "/x/home/.cache/docker-credential-ecr"),
        ({"AWS_ECR_CACHE_DIR": "relative"}, None),
        ({"AWS_ECR_DISABLE_CACHE": "1"}, None),
        ({"AWS_ECR_DISABLE_CACHE": "1", "AWS_ECR_CACHE_DIR": "/x/ecr"}, None),
        ({"AWS_ECR_DISABLE_CACHE": ""}, "/x/home/.cache/docker-credential-ecr"),
    ],
    ids=str,
)
def test_the_cache_directory_of_our_own_variables(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], expected: str | None
) -> None:
    """AWS_ECR_CACHE_DIR goes before XDG, must be absolute, and AWS_ECR_DISABLE_CACHE ends it."""
    for name in ("XDG_CACHE_HOME", "AWS_ECR_CACHE_DIR", "AWS_ECR_DISABLE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/x/home")
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    assert cache.directory(os.environ) == expected
