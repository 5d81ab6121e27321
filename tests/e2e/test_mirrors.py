"""Images of Docker Hub that come from ECR: two registries, one the mirror and one the upstream."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub import AUTH, REGISTRY
from kit import EXECUTABLE, HOST, SYSTEM_PATH, need, write
from stack import Client, Hub, Stack
from whole_node import WholeNode

PREFIX = "docker-hub"
SOURCE = "docker.io"
MIRROR = f'[[mirror]]\nsource = "{SOURCE}"\nregistry = "{HOST}"\nprefix = "{PREFIX}"\n'
MADE = "mirrored:1", "named:1", "here:1"  # what the pull-through cache has of Docker Hub's


@pytest.fixture
def hub(stack: Stack) -> Hub:
    """A Docker Hub that has everything, and a pull-through cache in ECR that has some of it."""
    found = stack.hub()
    for name in MADE:
        stack.push(f"{PREFIX}/library/{name}")
    return found


@pytest.fixture
def mirrored(
    hub: Hub,
    whole_kubelet: tuple[Path, float],
    stack: Stack,
    user: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> WholeNode:
    """A node for which the installer has read that config.toml."""
    home = user.home
    write(home / ".config" / "docker-credential-ecr" / "config.toml", MIRROR)
    folder = tmp_path_factory.mktemp("node")  # short: the kubelet makes sockets there, of 107 bytes
    made = WholeNode(stack, whole_kubelet[0], folder, user.env)
    made.install("--executable", str(EXECUTABLE))
    return made


def test_a_pod_of_docker_hubs_name_runs_from_ecr(
    mirrored: WholeNode, stack: Stack, hub: Hub
) -> None:
    """As the installer leaves a node: by the full name and the short one, and Docker Hub sees nothing.

    Nor does it where ECR lacks the image, or where AWS is down: the pod says so and does not run
    what Docker Hub has under that name.
    """
    with mirrored as node:
        assert node.run_pod("full", f"{SOURCE}/library/mirrored:1") == "running"
        assert node.run_pod("short", "named:1") == "running"
        assert node.run_pod("lacks", f"{SOURCE}/library/lacks:1").startswith("ErrImagePull: ")
        assert len(stack.endpoints()) == 1
        stack.fault("*", status=503)
        node.restart()
        assert node.run_pod("outage", f"{SOURCE}/library/here:1") == "running"  # the token lives
    assert hub.seen() == []


def test_with_a_fallback_docker_hub_is_shown_the_token(
    mirrored: WholeNode, stack: Stack, hub: Hub, cache: Path
) -> None:
    """Why there is none: the kubelet's credentials name no host, so containerd shows them to both.

    And with AWS down and nothing kept, what Docker Hub has under the name runs, silently.
    """
    file = mirrored.hosts_dir / SOURCE / "hosts.toml"
    (server, rest) = file.read_text().split("\n[host", 1)
    assert "server = " in server
    file.write_text(f'server = "https://{REGISTRY}"\n[host{rest}')
    with mirrored as node:
        assert node.run_pod("mirrored", f"{SOURCE}/library/mirrored:1") == "running"
        assert hub.seen() == []
        assert node.run_pod("lacks", f"{SOURCE}/library/lacks:1").startswith("ErrImagePull: ")
        assert set(hub.shown()) == {AUTH}
        stack.fault("*", status=503)
        shutil.rmtree(cache)
        node.restart()
        assert node.run_pod("silent", f"{SOURCE}/library/other:1") == "running"


@pytest.mark.parametrize("name", ["here:1", "lacks:1"])
def test_podman_asks_for_the_mirrors_own_name(
    hub: Hub, user: Client, home: Path, tmp_path: Path, name: str
) -> None:
    """With a mirror in registries.conf Podman asks us for ECR's host, and Docker Hub is shown nothing.

    Also where we stand for Docker Hub in credHelpers, and where Docker Hub is asked after ECR.
    """
    write(home / ".config" / "docker-credential-ecr" / "config.toml", MIRROR)
    mirrors = tmp_path / "registries.conf"
    mirrors.write_text(
        f'[[registry]]\nprefix = "{SOURCE}"\nlocation = "{SOURCE}"\n'
        f'[[registry.mirror]]\nlocation = "{HOST}/{PREFIX}"\n'
    )
    user.configure({"credHelpers": {HOST: "ecr", SOURCE: "ecr"}})
    asked = tmp_path / "asked"
    wrapper = tmp_path / "bin" / EXECUTABLE.name
    write(wrapper, f'#!/bin/sh\ntee -a {asked} | exec {EXECUTABLE} "$@"\n', 0o755)
    user.env["PATH"] = f"{wrapper.parent}:{SYSTEM_PATH}"
    user.env["CONTAINERS_REGISTRIES_CONF"] = str(mirrors)
    podman = [need("podman"), "--storage-driver=vfs", "--root=/run/mirrored/storage"]
    podman += ["--runroot=/run/mirrored/run", "pull", "--quiet"]  # short, as Podman wants it
    podman += ["--authfile", str(home / ".docker" / "config.json")]
    done = user.run(*podman, f"{SOURCE}/library/{name}")
    assert done.status == 0, done
    assert HOST in asked.read_text()
    assert hub.shown() == []
    assert bool(hub.seen()) is (name == "lacks:1")
