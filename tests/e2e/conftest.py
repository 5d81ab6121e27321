"""The stack starts once for all tests here, and ends with them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import SYSTEM_PATH, need
from stack import START_LIMIT, Client, Stack
from whole_node import build_kubernetes


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in ("unshare", "nsenter", "ip", "docker-registry", "htpasswd", "skopeo", "curl"):
        need(name)
    made = Stack(tmp_path_factory.mktemp("e2e"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def docker_socket(stack: Stack) -> Path:
    """A Docker daemon in the namespaces, with state of its own."""
    dockerd = need("dockerd")
    need("docker")
    folder = stack.folder / "docker"
    folder.mkdir()
    socket = Path(f"/run/docker-{os.getpid()}.sock")  # in the namespace's own /run
    argv = [dockerd, "--storage-driver=vfs", "--iptables=false", "--ip6tables=false"]
    argv += ["--bridge=none", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    argv += [f"--pidfile={folder}/pid", f"--host=unix://{socket}"]
    stack.spawn("dockerd", argv)
    until = time.monotonic() + START_LIMIT
    probe = [need("docker"), "--host", f"unix://{socket}", "version"]
    while stack.run(probe, {"PATH": SYSTEM_PATH, "HOME": str(folder)}).status != 0:
        assert time.monotonic() < until, stack.log("dockerd")
        time.sleep(0.1)
    return socket


@pytest.fixture(scope="session")
def whole_kubelet() -> tuple[Path, float]:
    """The kubelet, and the seconds that building it took: see ``build_kubernetes``."""
    return build_kubernetes()


@pytest.fixture
def user(stack: Stack, home: Path, env: dict[str, str]) -> Client:
    """A user with static AWS credentials and every private registry under credHelpers."""
    stack.forget()
    return Client(stack, home, env, None)


@pytest.fixture
def docker_user(stack: Stack, home: Path, env: dict[str, str], docker_socket: Path) -> Client:
    """The same with a Docker daemon."""
    stack.forget()
    return Client(stack, home, env, docker_socket)
