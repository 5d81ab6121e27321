"""From AWS's own helper to this one: real pulls before, after, and once that helper is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit import ELSEWHERE, EXECUTABLE, HOST, OTHER_REGION, PUBLIC, TESTS, Run, need
from node import build_kept
from stack import Client, docker_clients

AWS_HELPER = "docker-credential-ecr-login"
AWS_MODULE = f"github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/{AWS_HELPER}"


@pytest.fixture(params=["Debian's 0.6.0", "0.12.0"])
def migrant(docker_user: Client, request: pytest.FixtureRequest) -> Client:
    """A user of AWS's helper, who has us on PATH too, and can uninstall either."""
    folder = only(docker_user)
    folder.mkdir()
    theirs = need(AWS_HELPER)
    if request.param == "0.12.0":
        theirs = str(build_kept(TESTS / "kubelet", AWS_MODULE)[0])
    (folder / AWS_HELPER).symlink_to(theirs)
    (folder / EXECUTABLE.name).symlink_to(EXECUTABLE)
    docker_user.env["SSL_CERT_FILE"] = str(docker_user.stack.bundle)
    return docker_user


def only(client: Client) -> Path:
    """Return the one folder of the user's PATH."""
    return client.home / "only"


def run(client: Client, *argv: str) -> Run:
    return client.run("env", f"PATH={only(client)}", *argv)


def pull(client: Client, host: str) -> Run:
    """Pull what is not there yet."""
    image = f"{host}/app:1"
    run(client, client.docker, "rmi", "--force", image)
    return run(client, client.docker, "pull", image)


def uninstall(client: Client) -> None:
    (only(client) / AWS_HELPER).unlink()


def ours(client: Client, *arguments: str) -> str:
    done = run(client, str(only(client) / EXECUTABLE.name), *arguments)
    assert done.status == 0, done
    return done.stdout


@pytest.mark.parametrize("docker", docker_clients())
@pytest.mark.parametrize(
    "config",
    [
        {"credsStore": "ecr-login"},
        {"credHelpers": dict.fromkeys((HOST, OTHER_REGION), "ecr-login")},
    ],
    ids=["credsStore", "credHelpers"],
)
def test_all_there_and_back(migrant: Client, docker: str, config: dict[str, object]) -> None:
    """Pulls work with AWS's helper, with ours beside it, and with ours alone; --remove goes back."""
    client = migrant
    client.docker = docker
    client.configure(config)
    path = client.home / ".docker" / "config.json"
    before = path.read_bytes()
    assert pull(client, HOST).status == 0

    said = ours(client, "configure", "--all")
    assert 'in place of "ecr-login"' in said
    assert "ecr-login" not in path.read_text()
    for host in (HOST, OTHER_REGION):
        assert pull(client, host).status == 0
    ours(client, "configure", "--remove")
    assert path.read_bytes() == before
    assert pull(client, HOST).status == 0

    ours(client, "configure", "--all")
    uninstall(client)
    for host in (HOST, OTHER_REGION, PUBLIC):
        assert pull(client, host).status == 0
    # What is not ECR goes on without a login: it is refused by that registry, and by nobody here.
    refused = pull(client, ELSEWHERE)
    assert refused.status != 0
    assert "executable file not found" not in refused.stderr

    ours(client, "configure", "--remove")
    assert "ecr-login" not in path.read_text()
    assert pull(client, PUBLIC).status == 0


@pytest.mark.parametrize("docker", docker_clients())
def test_under_its_name(migrant: Client, docker: str) -> None:
    """With a link of that name to us, Docker's file stays as it is, and every pull works."""
    client = migrant
    client.docker = docker
    client.configure({"credsStore": "ecr-login"})
    assert pull(client, HOST).status == 0
    uninstall(client)
    assert pull(client, HOST).status != 0

    (only(client) / AWS_HELPER).symlink_to(EXECUTABLE)
    assert pull(client, HOST).status == 0
    listed = json.loads(ours(client, "list"))
    assert listed == {HOST: "AWS"}
