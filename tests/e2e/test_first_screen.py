"""README's first screen, followed to the letter: what stands there works for who has nothing yet."""

from __future__ import annotations

import re
import shutil

import pytest
from kit import EXECUTABLE, HOST, TREE
from stack import Client, docker_clients


def first_screen() -> list[str]:
    """Return the commands of README's first block."""
    block = re.search(r"```console\n(.*?)```", (TREE / "README.md").read_text("utf-8"), re.DOTALL)
    assert block is not None
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in block[1].splitlines()]


@pytest.mark.parametrize("docker", docker_clients())
def test_three_commands_to_a_pull(docker_user: Client, docker: str) -> None:
    """Install, configure, pull. The first has been done (make test-packages does it in roots)."""
    install, configure, pull = first_screen()
    assert re.fullmatch(r"sudo apt install \./docker-credential-ecr_[0-9.-]+_amd64\.deb", install)
    shutil.rmtree(docker_user.home / ".docker")  # nobody has configured anything
    docker_user.env["PATH"] = f"{docker.rpartition('/')[0]}:{docker_user.env['PATH']}"
    assert docker_user.run("sh", "-c", "command -v docker-credential-ecr").stdout.strip() == str(
        EXECUTABLE
    )

    configured = docker_user.run(*configure.split())
    assert configured.status == 0, configured
    docker_user.run(docker, "rmi", "--force", f"{HOST}/app:1")
    pulled = docker_user.run(*pull.split())

    assert pulled.status == 0, pulled
    assert docker_user.stack.endpoints() == ["api.ecr.us-east-1.amazonaws.com"]
