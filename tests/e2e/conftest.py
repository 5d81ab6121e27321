"""Users of the stack, and a kubelet."""

from __future__ import annotations

from pathlib import Path

import pytest
from stack import Client, Stack
from whole_node import build_kubernetes


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
