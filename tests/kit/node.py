"""A node without its cluster: the kubelet's own plugin code with the shipped configuration."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit import EXECUTABLE, TESTS, TREE, missing

KUBERNETES = TREE / "packaging" / "kubernetes"


def build_kubelet(folder: Path) -> Path:
    """Build the kubelet's own plugin code from its module: several minutes the first time."""
    return build_go(".", folder)


def build_go(package: str, folder: Path, name: str = "") -> Path:
    """Build a command of tests/kubelet, a Go module: ``.``, one of its folders, or a required one's."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        missing("go is not installed")
    binary = folder / (name or ("kubelet-driver" if package == "." else package))
    where = package if "/" in package else f"./{package}"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-ldflags=-s -w", "-o", binary, where],
        cwd=TESTS / "kubelet",
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-2000:]
    return binary


class Node:
    """A node: the shipped configuration, a plugin directory, and the kubelet's code."""

    def __init__(
        self,
        kubelet: Path,
        folder: Path,
        env: dict[str, str],
        config: str,
        inside: Sequence[str] = (),
    ) -> None:
        self.inside = inside  # a command that runs another somewhere else
        self.kubelet = kubelet
        self.env = env
        self.bin_dir = folder / "plugins"
        self.bin_dir.mkdir()
        for name in ("ecr-credential-provider", "ecr-credential-provider-sa"):
            (self.bin_dir / name).symlink_to(EXECUTABLE)
        shipped = (KUBERNETES / config).read_text()
        assert "value: /root" in shipped
        self.config = folder / "config.yaml"
        self.config.write_text(shipped.replace("value: /root", f"value: {env['HOME']}"))

    def pull(self, *requests: Mapping[str, object]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [*self.inside, self.kubelet, self.config, self.bin_dir],
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            env={k: v for k, v in self.env.items() if k != "HOME"},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.log = done.stderr
        return list(json.loads(done.stdout))
