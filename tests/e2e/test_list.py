"""Who asks for the list, and takes it: Docker, and Podman's remote client.

Docker's classic builder sends the daemon every login that the store's list names. Podman's remote
client does so for each of the credential-helpers of registries.conf, and asks nobody for a key that
is no plain host: a build ended with 125 when ours were URLs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import HOST, OTHER_REGION, need, until, write
from stack import Client, Stack, docker_clients, vfs

CONTAINERFILE = f"FROM {OTHER_REGION}/app:1\n"


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The file that ``watched`` writes to: each line an action of ours that somebody asked for."""
    return tmp_path / "asked"


def watched(client: Client, asked: Path) -> None:
    """Put a shell script in our place, which notes the action and becomes this program."""
    script = client.home / "bin" / "docker-credential-ecr"
    real = client.run("sh", "-c", "command -v docker-credential-ecr", check=True).stdout.strip()
    write(script, f'#!/bin/sh\necho "$1" >>{asked}\nexec {real} "$@"\n', 0o755)
    client.env["PATH"] = f"{script.parent}:{client.env['PATH']}"


def with_tokens(client: Client) -> None:
    """Have tokens of two registries on disk, and nothing to get another with."""
    for host in (HOST, OTHER_REGION):
        client.run("docker-credential-ecr", "get", stdin=host, check=True)
    client.stack.fault("GetAuthorizationToken", status=500)


def folder_of(client: Client) -> str:
    write(client.home / "build" / "Dockerfile", CONTAINERFILE)
    return str(client.home / "build")


@pytest.mark.parametrize("docker", docker_clients())
def test_docker_builds_with_what_is_listed(docker_user: Client, docker: str, asked: Path) -> None:
    """The classic builder takes the list, and the login of each host in it, to the daemon."""
    docker_user.configure({"credsStore": "ecr"})
    with_tokens(docker_user)
    watched(docker_user, asked)
    docker_user.env["DOCKER_BUILDKIT"] = "0"
    docker_user.run(docker, "rmi", "--force", f"{OTHER_REGION}/app:1")

    built = docker_user.run(docker, "build", "--pull", "--quiet", folder_of(docker_user))

    assert built.status == 0, built
    assert asked.read_text().split() == ["list", "get", "get"]  # each host once


@pytest.fixture
def podman_service(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """Podman's API, served with storage of its own; it asks no helper."""
    socket = f"unix:///run/podman-{os.getpid()}-{tmp_path.name}.sock"
    home = tmp_path / "service"
    home.mkdir()
    stack.spawn(
        "podman",
        [*vfs("podman"), "system", "service", "--time=0", socket],
        {"PATH": os.defpath, "HOME": str(home)},
    )
    try:
        yield socket
    finally:
        stack.end("podman")


def test_podmans_remote_client_builds_and_pulls(
    user: Client, podman_service: str, asked: Path
) -> None:
    """With our name among the credential-helpers of registries.conf, and in no other file."""
    user.configure({})
    with_tokens(user)
    watched(user, asked)
    conf = user.home / ".config" / "containers" / "registries.conf"
    write(conf, 'credential-helpers = ["ecr"]\n')
    remote = (need("podman"), "--remote", f"--url={podman_service}")
    until(lambda: user.run(*remote, "version").status == 0, user.stack.log("podman"))

    built = user.run(*remote, "build", "--pull", folder_of(user))

    assert built.status == 0, (built, user.stack.log("podman"))
    assert "list" in asked.read_text().split()
    pulled = user.run(*remote, "pull", f"{HOST}/app:1")
    assert pulled.status == 0, (pulled, user.stack.log("podman"))


def test_the_list_is_of_plain_hosts(user: Client) -> None:
    """What both of them take: no scheme, no port, and each host once."""
    with_tokens(user)

    assert json.loads(user.run("docker-credential-ecr", "list", check=True).stdout) == {
        HOST: "AWS",
        OTHER_REGION: "AWS",
    }
