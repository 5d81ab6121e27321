"""What is installed: the package, one executable, its metadata, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from importlib.metadata import Distribution  # noqa: TID251 - start-up is not at stake here
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, HOUR, TREE, Helper, age, entries, until

import docker_credential_ecr

NAME = "docker-credential-ecr"
PACKAGE = "docker_credential_ecr"
SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def distribution() -> Distribution:
    """Return what the installer recorded of the wheel."""
    return Distribution.from_name(NAME)


def test_what_is_tested_is_what_is_installed() -> None:
    """The tests run the installed package, not the checkout that they lie in."""
    assert not Path(docker_credential_ecr.__file__).is_relative_to(TREE / PACKAGE)


def test_the_files_of_the_wheel(distribution: Distribution) -> None:
    """Every module of the tree, the scripts and the metadata: no tests, no left-overs."""
    assert distribution.files is not None
    installed = {str(file) for file in distribution.files if file.suffix != ".pyc"}
    info = f"{PACKAGE}-{distribution.version}.dist-info"
    modules = {str(path.relative_to(TREE)) for path in (TREE / PACKAGE).rglob("*.py")}
    scripts = {
        os.path.relpath(SCRIPTS / name, str(distribution.locate_file("")))
        for name in (NAME, f"{NAME}.py")
    }
    metadata = {
        f"{info}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")
    }

    assert modules <= installed
    assert scripts <= installed
    rest = installed - modules - scripts - metadata
    written_by_the_installer = {"INSTALLER", "REQUESTED", "direct_url.json"}
    assert {Path(name).name for name in rest} - written_by_the_installer == {"LICENSE"}
    assert all(name.startswith(info) for name in rest)


def test_the_wheel_is_for_every_platform(distribution: Distribution) -> None:
    """Pure Python: one wheel."""
    assert "Tag: py3-none-any" in str(distribution.read_text("WHEEL"))
    assert str(distribution.read_text("top_level.txt")).split() == [PACKAGE]


def test_the_version_is_one(distribution: Distribution) -> None:
    """The literal, the metadata and what the executable says are the same."""
    said = subprocess.run(
        [SCRIPTS / NAME, "version"], capture_output=True, text=True, check=True, env={}
    ).stdout

    assert distribution.version == docker_credential_ecr.__version__
    assert said == f"{NAME} ({PACKAGE}) {distribution.version}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", distribution.version)


def test_the_changelog_knows_the_version() -> None:
    """The version that is built has its entry in the changelog."""
    headings = re.findall(
        r"^## \[?([^\] ]+)", (TREE / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )

    assert docker_credential_ecr.__version__ in headings


def test_the_requirements(distribution: Distribution) -> None:
    """Three libraries are needed to run, and Python 3.11."""
    needed = [line for line in distribution.requires or [] if "extra ==" not in line]

    assert sorted(re.split(r"[<>=! ]", line)[0] for line in needed) == [
        "boto3",
        "filelock",
        "platformdirs",
    ]
    assert distribution.metadata["Requires-Python"] == ">=3.11"


def test_the_executable_starts_the_interpreter_itself() -> None:
    """The script is ours, not a wrapper that imports ``re`` first; it names the environment's."""
    script = SCRIPTS / NAME
    first, *rest = script.read_text("utf-8").splitlines()

    assert first == f"#!{sys.executable}"
    assert [line.strip() for line in rest if line.strip().startswith(("import", "from"))] == [
        "import os",
        f"from {PACKAGE}.__main__ import main",
    ]
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "argv",
    [
        [f"{SCRIPTS / NAME}"],
        [f"{SCRIPTS / NAME}.py"],
        [sys.executable, "-m", PACKAGE],
        [sys.executable, "-I", "-m", PACKAGE],
    ],
    ids=lambda argv: " ".join(Path(word).name for word in argv),
)
def test_every_way_to_start_it(tmp_path: Path, argv: list[str]) -> None:
    """Each name for the program is the same program."""
    done = subprocess.run(
        [*argv, "version"], capture_output=True, text=True, check=True, env={}, cwd=tmp_path
    )

    assert done.stdout.startswith(f"{NAME} ({PACKAGE}) ")
    assert done.stderr == ""


def renewed(helper: Helper, old: str) -> bool:
    return helper.get().secret != old


def test_a_renewal_starts_the_same_way(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """However the program was started, the renewal behind an answer finds it again."""
    for number, argv in enumerate(
        (
            [str(SCRIPTS / NAME)],
            [sys.executable, "-m", PACKAGE],
            [sys.executable, "-P", "-m", PACKAGE],
        )
    ):
        old = helper.get().secret
        [entry] = entries(cache)
        age(entry, 10 * HOUR)
        for claim in (cache / HOST).glob(".*.renewal"):
            claim.unlink()
        answer = subprocess.run(
            [*argv, "get"],
            input=HOST.encode(),
            capture_output=True,
            check=True,
            env=helper.env,
            cwd=helper.env["HOME"],  # not the checkout: -m looks there first
        )
        assert json.loads(answer.stdout)["Secret"] == old
        until(partial(renewed, helper, old))
        assert aws.count(CALL) == number + 2
