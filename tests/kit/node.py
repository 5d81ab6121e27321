"""A node without its cluster: the kubelet's own plugin code with the shipped configuration."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kit import EXECUTABLE, TESTS, TREE, missing

KUBERNETES = TREE / "packaging" / "kubernetes"


def build_kubelet(folder: Path) -> Path:
    """Build the kubelet's own plugin code from its module: several minutes the first time."""
    return build_go(".", folder)


def build_kept(module: Path, package: str) -> tuple[Path, float]:
    """Return a command that a Go module requires, and the seconds of its building: 0 if it is there.

    It takes minutes the first time; kept beside the module, for each state of go.mod and go.sum.
    """
    sources = b"".join((module / name).read_bytes() for name in ("go.mod", "go.sum"))
    folder = module / ".built" / hashlib.sha256(sources).hexdigest()[:12]
    name = package.rpartition("/")[2]
    begun = time.monotonic()
    if (folder / name).exists():
        return folder / name, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        if not (folder / name).exists():
            made = build_go(package, folder, f"{name}.{os.getpid()}", module)
            made.replace(folder / name)
    return folder / name, time.monotonic() - begun


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for whoever builds: several at once would each compile all that the others do."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_go(package: str, folder: Path, name: str = "", module: Path = TESTS / "kubelet") -> Path:
    """Build a command of a Go module: ``.``, one of its folders, or a required one's."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        missing("go is not installed")
    binary = folder / (name or ("kubelet-driver" if package == "." else package))
    where = package if "/" in package else f"./{package}"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-ldflags=-s -w", "-o", binary, where],
        cwd=module,
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


def kubernetes_says(
    program: Path, manifest: Path, questions: object = (), *patch: object
) -> dict[str, Any]:
    """Return Kubernetes' own opinion of a manifest, which must have nothing against it.

    ``program`` is tests/kubelet/manifests.
    """
    done = subprocess.run(
        [program, manifest, *map(str, patch)],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
