"""What the tests of nodes and manifests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from node import build_go


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kubernetes' own opinion of a manifest: see ``kubernetes_says``."""
    return build_go("manifests", tmp_path_factory.mktemp("manifests"))
