"""A root of each test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import need_root
from roots import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root with BusyBox in it."""
    need_root("install packages")
    folder = tmp_path / "root"
    folder.mkdir()
    return Root(folder)
