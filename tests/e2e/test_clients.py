"""Real clients pull and push through the installed executable."""

from __future__ import annotations

import json

import pytest
from kit import FIPS, HOST, OTHER_ACCOUNT, OTHER_REGION, PUBLIC, need
from stack import (
    CHINA,
    DUAL_STACK,
    DUAL_STACK_FIPS,
    Client,
    docker_clients,
    vfs,
)


def listed(client: Client) -> set[str]:
    """The hosts whose tokens the user has on disk."""
    answer = json.loads(client.run("docker-credential-ecr", "list", check=True).stdout)
    return {host.removeprefix("https://") for host in answer}


@pytest.mark.parametrize("docker", docker_clients())
def test_docker_pulls_with_one_call_and_then_with_none(docker_user: Client, docker: str) -> None:
    """The first pull asks AWS once, the second is answered from the disk, with nothing on stderr."""
    docker_user.docker = docker
    first = docker_user.pull(f"{HOST}/app:1")
    assert first.status == 0, first
    assert docker_user.stack.endpoints() == ["api.ecr.us-east-1.amazonaws.com"]
    second = docker_user.pull(f"{HOST}/app:1")
    assert (second.status, second.stderr) == (0, "")
    assert len(docker_user.stack.calls()) == 1
    assert listed(docker_user) == {HOST}


@pytest.mark.parametrize("docker", docker_clients())
def test_docker_pushes(docker_user: Client, docker: str) -> None:
    """A push needs no login either."""
    docker_user.docker = docker
    assert docker_user.pull(f"{HOST}/app:1").status == 0
    pushed = f"{HOST}/pushed:by-docker"
    docker_user.run(docker, "tag", f"{HOST}/app:1", pushed, check=True)
    assert docker_user.run(docker, "push", pushed).status == 0
    assert docker_user.pull(pushed).status == 0


@pytest.mark.parametrize("docker", docker_clients())
def test_docker_login_is_kept_until_logout(docker_user: Client, docker: str) -> None:
    """Login and logout succeed, and a pull in between works without AWS credentials."""
    docker_user.docker = docker
    docker_user.without_aws()
    before = docker_user.pull(f"{HOST}/app:1")
    assert before.status != 0
    login = docker_user.run(
        docker, "login", "-u", "AWS", "--password-stdin", HOST, stdin=docker_user.stack.password
    )
    assert login.status == 0, login
    assert "Login Succeeded" in login.stdout
    assert docker_user.pull(f"{HOST}/app:1").status == 0
    assert docker_user.stack.calls() == []
    assert docker_user.run(docker, "logout", HOST).status == 0
    assert listed(docker_user) == set()
    assert docker_user.pull(f"{HOST}/app:1").status != 0


def test_docker_login_without_arguments_is_not_kept(docker_user: Client) -> None:
    """Docker login HOST stores what get answered: that is a token of ours, not the user's login."""
    login = docker_user.run(docker_user.docker, "login", HOST)
    assert login.status == 0, login
    docker_user.without_aws()
    # With other inputs than the token was fetched with, a kept login would still be served.
    assert docker_user.run("docker-credential-ecr", "get", stdin=HOST).status == 1


@pytest.mark.parametrize("docker", docker_clients())
def test_docker_shows_why(docker_user: Client, docker: str) -> None:
    """Whoever pulls without AWS credentials reads why, and what to do, on the terminal."""
    docker_user.docker = docker
    docker_user.without_aws()
    pull = docker_user.pull(f"{HOST}/app:1")
    assert pull.status != 0
    assert f'no AWS credentials for "{HOST}"' in pull.stderr
    assert "hint: run: aws configure" in pull.stderr


@pytest.mark.parametrize("host", [OTHER_ACCOUNT, OTHER_REGION, FIPS, DUAL_STACK, CHINA])
def test_docker_pulls_from_every_kind_of_registry(docker_user: Client, host: str) -> None:
    """Another account, another region, FIPS, dual-stack and another partition need no login."""
    assert docker_user.pull(f"{host}/app:1").status == 0


def test_each_kind_of_registry_asks_its_own_endpoint(docker_user: Client) -> None:
    """The API is called in the host's own region and flavour, and once for two accounts."""
    for host in (HOST, OTHER_ACCOUNT, OTHER_REGION, FIPS, DUAL_STACK, DUAL_STACK_FIPS, CHINA):
        assert docker_user.pull(f"{host}/app:1").status == 0, host
    assert docker_user.stack.endpoints() == [
        "api.ecr.us-east-1.amazonaws.com",
        "api.ecr.eu-west-1.amazonaws.com",
        "api.ecr-fips.us-east-1.amazonaws.com",
        "ecr.us-west-2.api.aws",
        "ecr-fips.us-east-2.api.aws",
        "api.ecr.cn-north-1.amazonaws.com.cn",
    ]


def test_public_images_are_pulled_anonymously_without_credentials(docker_user: Client) -> None:
    """ECR Public needs no AWS account: without credentials the client goes on, and nobody moans."""
    docker_user.configure({"credHelpers": {PUBLIC: "ecr"}})
    docker_user.without_aws()
    pull = docker_user.pull(f"{PUBLIC}/app:1")
    assert (pull.status, pull.stderr) == (0, "")


@pytest.mark.parametrize("client", ["skopeo", "podman", "buildah"])
def test_other_clients_pull_and_push(user: Client, client: str) -> None:
    """Skopeo, Podman and Buildah pull and push with one call in all."""
    source, target = f"{HOST}/app:1", f"{HOST}/pushed:by-{client}"
    path = need(client)
    if client == "skopeo":
        copied = user.run(path, "copy", f"docker://{source}", f"docker://{target}")
        assert copied.status == 0, copied
        assert user.run(path, "inspect", f"docker://{target}").status == 0
    else:
        pulled = user.run(*vfs(client), "pull", source)
        assert pulled.status == 0, pulled
        pushed = user.run(*vfs(client), "push", source, f"docker://{target}")
        assert pushed.status == 0, pushed
    assert user.stack.endpoints() == ["api.ecr.us-east-1.amazonaws.com"]


@pytest.mark.parametrize("client", ["skopeo", "podman"])
def test_other_clients_quote_the_reason(user: Client, client: str) -> None:
    """Skopeo and Podman quote our stdout: the reason is on it."""
    user.without_aws()
    path = need(client)
    if client == "skopeo":
        failed = user.run(path, "inspect", f"docker://{HOST}/app:1")
    else:
        failed = user.run(*vfs(client), "pull", f"{HOST}/app:1")
    assert failed.status != 0
    assert "no AWS credentials for" in failed.stderr.replace("\\", "")


def test_podman_login_and_logout(user: Client) -> None:
    """Podman login keeps the login here, and podman logout forgets it: neither crashes."""
    podman = need("podman")
    auth = f"--authfile={user.home}/.docker/config.json"
    login = user.run(
        podman, "login", auth, "-u", "AWS", "--password-stdin", HOST, stdin=user.stack.password
    )
    assert login.status == 0, login
    assert listed(user) == {HOST}
    assert user.run(need("skopeo"), "inspect", f"docker://{HOST}/app:1").status == 0
    logout = user.run(podman, "logout", auth, HOST)
    assert logout.status == 0, logout
    assert listed(user) == set()
