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
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from kit import ACCOUNT, EXECUTABLE, REGISTRIES, TESTS, TREE, missing

from docker_credential_ecr import registry

KUBERNETES = TREE / "packaging" / "kubernetes"
BUILT = TESTS / "kubelet" / ".built"  # what takes minutes to build


def build_kubelet(folder: Path) -> Path:
    """Build the kubelet's own plugin code from its module: several minutes the first time."""
    return build_go(".", folder)


def build_kept(module: Path, package: str) -> tuple[Path, float]:
    """Return a command that a Go module requires, and the seconds of its building: see ``keep``."""
    name = package.rpartition("/")[2]

    def make(made: Path) -> None:
        build_go(package, made.parent, made.name, module)

    return keep(name, [module / "go.mod", module / "go.sum"], make)


def keep(name: str, sources: Sequence[Path], make: Callable[[Path], object]) -> tuple[Path, float]:
    """Return the file that ``make`` makes at a path, and the seconds it took: 0 if it is there.

    It takes minutes the first time; kept for each state of ``sources``.
    """
    state = b"".join(path.read_bytes() for path in sources)
    folder = BUILT / hashlib.sha256(state).hexdigest()[:12]
    begun = time.monotonic()
    if (folder / name).exists():
        return folder / name, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        if not (folder / name).exists():
            making = folder / f"{name}.{os.getpid()}"
            make(making)
            making.replace(folder / name)
    return folder / name, time.monotonic() - begun


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for whoever builds: several at once would each compile all that the others do."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find_go() -> str:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        missing("go is not installed")
    return go


def build_go(
    package: str,
    folder: Path,
    name: str = "",
    module: Path = TESTS / "kubelet",
    options: Sequence[str] = (),
) -> Path:
    """Build a command of a Go module: ``.``, one of its folders, or a required one's."""
    binary = folder / (name or ("kubelet-driver" if package == "." else package))
    where = package if "/" in package else f"./{package}"
    built = subprocess.run(
        [find_go(), "build", "-mod=readonly", "-ldflags=-s -w", *options, "-o", binary, where],
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


def registry_hosts() -> list[str]:
    """Return a host of every form of ECR registry that we accept, in every partition."""
    hosts = [host for region in registry.REGIONS for host in registry.hosts_in(ACCOUNT, region)]
    assert all(registry.parse(host) for host in hosts)
    rows = [line.split("\t") for line in REGISTRIES.read_text().splitlines()[1:]]
    known = [row[0].removeprefix("https://").partition("/")[0] for row in rows if row[1] != "-"]
    return [*dict.fromkeys([*hosts, *known, *registry.public_hosts()])]


def is_matched(host: str, pattern: str) -> bool:
    """Whether a pattern of a provider's matchImages is one for ``host``: label by label."""
    labels, wanted = host.split("."), pattern.split(".")
    return len(labels) == len(wanted) and all(map(fnmatch, labels, wanted))


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
