"""make demo: it runs, it shows what a user does, and nothing stays but the folder that it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from kit import HOST, TIME_LIMIT, TREE, processes_below

DEMO = TREE / "packaging" / "demo.py"


@pytest.mark.server
def test_the_demo(tmp_path: Path, env: dict[str, str]) -> None:
    """Configure, two pulls of which the second asks nobody, status and doctor: in that order."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    env["TMPDIR"] = str(folder)

    done = subprocess.run(
        [sys.executable, DEMO],
        capture_output=True,
        text=True,
        env=env,
        timeout=TIME_LIMIT,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    shown = re.findall(r"^\$ (?:.*\| )?docker-credential-ecr (\w+)", done.stdout, re.MULTILINE)
    assert shown == ["configure", "get", "get", "status", "doctor"]
    assert HOST in done.stdout
    assert list(folder.iterdir()) == []
    assert processes_below(folder) == []


def test_the_recipe_speaks_first_and_names_what_it_leaves() -> None:
    """Before anything that takes time there is a line; the last one says what is left."""
    recipe = (TREE / "Makefile").read_text().partition("\ndemo: ")[2].partition("\n\n")[0]
    lines = recipe.splitlines()[1:]

    assert lines[0].startswith('\t@echo "')
    for number, line in enumerate(lines):
        if "venv .demo-venv" in line or "-m pip" in line or "$(PIP)" in line:
            assert any("echo" in before for before in lines[max(0, number - 2) : number]), line
    assert "rm -r .demo-venv" in lines[-1]
    assert "/.demo-venv/" in (TREE / ".gitignore").read_text().splitlines()
