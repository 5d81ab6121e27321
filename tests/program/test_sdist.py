"""The source distribution: the whole tree, from which the tests can be run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit import TREE

SOME = "table or second_get and static_keys"
# What the targets of the Makefile make, and what only a clone has.
MADE = {".built", ".git", ".hypothesis", ".reports", "build", "dist"}


def is_made(name: str) -> bool:
    return (
        name in MADE
        or name == "__pycache__"
        or name.endswith((".egg-info", "-venv", "_cache", ".pyc"))
        or name.startswith((".venv", ".coverage", ".native"))
    )


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return (a copy of the tree, the source distribution that was built from it, unpacked)."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    shutil.copytree(TREE, tree, ignore=lambda _, names: {name for name in names if is_made(name)})
    build = "from setuptools import build_meta; build_meta.build_sdist('..')"
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)
    for path in tree.glob("*.egg-info"):
        shutil.rmtree(path)
    (archive,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return tree, folder / archive.name.removesuffix(".tar.gz")


def test_it_is_the_tree(unpacked: tuple[Path, Path]) -> None:
    """Every file of the tree is in it, and nothing else but what setuptools adds."""
    tree, sdist = unpacked
    added = {name for name in files_below(sdist) if ".egg-info/" in name or name == "PKG-INFO"}
    assert files_below(sdist) - added == files_below(tree) - {"PKG-INFO"}
    assert len(added) > 1


def test_its_tests_run(unpacked: tuple[Path, Path]) -> None:
    """From the unpacked distribution all tests are collected, and some of two rooms pass."""
    _, sdist = unpacked
    environ = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    pytest_ = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q"]

    def run(*argv: str) -> str:
        done = subprocess.run(
            [*pytest_, *argv], cwd=sdist, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
        return done.stdout

    run("--collect-only")
    assert " passed" in run("tests/registry", "tests/ecr/test_sources.py", "-k", SOME)
