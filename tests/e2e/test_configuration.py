"""Real clients, configured by our own commands: all registries, a fallback, a name of one's own."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys

import pytest
from kit import ELSEWHERE, EXECUTABLE, HOST, OTHER_ACCOUNT, OTHER_REGION, need
from stack import (
    CUSTOM,
    ELSEWHERE_LOGIN,
    PRIVATE,
    Client,
    docker_clients,
)

# A helper of its own right: Docker's protocol over a JSON file in the user's home.
VAULT = f"""\
#!{sys.executable} -I
import json, os, sys

path = os.path.join(os.environ["HOME"], "vault.json")
vault = json.load(open(path)) if os.path.exists(path) else {{}}
action = sys.argv[1]
request = "" if action == "list" else sys.stdin.read().strip()
if action == "list":
    print(json.dumps({{server: login["Username"] for server, login in vault.items()}}))
elif action == "get":
    if request not in vault:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(vault[request]))
elif action == "store":
    vault[json.loads(request)["ServerURL"]] = json.loads(request)
elif action == "erase":
    vault.pop(request, None)
json.dump(vault, open(path, "w"))
"""


@pytest.fixture
def with_vault(docker_user: Client) -> Client:
    """A user whose Docker asked the helper `vault` for everything, until --all moved it."""
    folder = docker_user.home / "bin"
    folder.mkdir()
    path = folder / "docker-credential-vault"
    path.write_text(VAULT)
    path.chmod(0o755)
    docker_user.env["PATH"] += f":{folder}"
    docker_user.configure({"credsStore": "vault"})
    docker_user.run("docker-credential-ecr", "configure", "--all", check=True)
    return docker_user


def rules(client: Client, text: str) -> None:
    folder = client.home / ".config" / "docker-credential-ecr"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


def log_in_elsewhere(client: Client) -> None:
    user, password = ELSEWHERE_LOGIN
    login = client.run(
        client.docker, "login", "-u", user, "--password-stdin", ELSEWHERE, stdin=password
    )
    assert login.status == 0, login
    assert "Login Succeeded" in login.stdout


@pytest.mark.parametrize("docker", docker_clients())
def test_one_store_for_all_registries(with_vault: Client, docker: str) -> None:
    """CredsStore ecr serves ECR hosts that nobody listed, and the fallback every other registry."""
    client = with_vault
    client.docker = docker
    config = json.loads((client.home / ".docker" / "config.json").read_text())
    assert config == {"credsStore": "ecr"}
    for host in (HOST, OTHER_REGION):
        assert client.pull(f"{host}/app:1").status == 0
    assert client.pull(f"{ELSEWHERE}/app:1").status != 0
    log_in_elsewhere(client)
    vault = json.loads((client.home / "vault.json").read_text())
    assert [(login["Username"], login["Secret"]) for login in vault.values()] == [ELSEWHERE_LOGIN]
    assert ELSEWHERE_LOGIN[1] not in (client.home / ".docker" / "config.json").read_text()
    assert client.pull(f"{ELSEWHERE}/app:1").status == 0
    listed = json.loads(client.run("docker-credential-ecr", "list", check=True).stdout)
    assert listed == {
        HOST: "AWS",
        OTHER_REGION: "AWS",
        ELSEWHERE: "somebody",
    }
    # A new home for the images, the same two registries: still no call but the first two.
    assert client.pull(f"{HOST}/app:1").status == 0
    assert len(client.stack.calls()) == 2


@pytest.mark.parametrize("docker", docker_clients())
def test_logout_reaches_the_fallback(with_vault: Client, docker: str) -> None:
    """Docker logout of the other registry takes its login out of the fallback."""
    with_vault.docker = docker
    log_in_elsewhere(with_vault)
    assert with_vault.run(docker, "logout", ELSEWHERE).status == 0
    assert json.loads((with_vault.home / "vault.json").read_text()) == {}
    assert with_vault.pull(f"{ELSEWHERE}/app:1").status != 0


def test_remove_gives_the_store_back(with_vault: Client) -> None:
    """Configure --remove has Docker ask the former helper again, with the login made meanwhile."""
    log_in_elsewhere(with_vault)
    with_vault.run("docker-credential-ecr", "configure", "--remove", check=True)
    config = json.loads((with_vault.home / ".docker" / "config.json").read_text())
    assert config["credsStore"] == "vault"
    assert with_vault.pull(f"{ELSEWHERE}/app:1").status == 0
    assert with_vault.pull(f"{HOST}/app:1").status != 0


@pytest.mark.parametrize("docker", docker_clients())
def test_configure_is_all_it_takes(docker_user: Client, docker: str) -> None:
    """Configure REGISTRY, then pull; configure --remove, and the next pull has no credentials."""
    docker_user.docker = docker
    docker_user.configure({})
    before = (docker_user.home / ".docker" / "config.json").read_bytes()
    assert docker_user.pull(f"{HOST}/app:1").status != 0
    docker_user.run("docker-credential-ecr", "configure", HOST, check=True)
    assert docker_user.pull(f"{HOST}/app:1").status == 0
    docker_user.run("docker-credential-ecr", "configure", "--remove", check=True)
    assert (docker_user.home / ".docker" / "config.json").read_bytes() == before
    assert docker_user.pull(f"{HOST}/app:1").status != 0


@pytest.mark.parametrize("docker", docker_clients())
def test_a_name_of_ones_own(docker_user: Client, docker: str) -> None:
    """A mapped name is pulled through with the token of the registry behind it; unmapped it is not."""
    docker_user.docker = docker
    rules(docker_user, f'[[registry]]\nmatch = "{CUSTOM}"\nregistry = "{OTHER_REGION}"\n')
    assert docker_user.pull(f"{CUSTOM}/app:1").status == 0
    assert docker_user.stack.endpoints() == ["api.ecr.eu-west-1.amazonaws.com"]
    assert docker_user.pull(f"{CUSTOM}/app:1").status == 0
    assert len(docker_user.stack.calls()) == 1
    rules(docker_user, "")
    assert docker_user.pull(f"{CUSTOM}/app:1").status != 0
    done = docker_user.run("docker-credential-ecr", "get", stdin=CUSTOM)
    assert (done.status, done.stdout) == (1, "credentials not found in native keychain\n")


@pytest.mark.parametrize("client", ["skopeo", "podman"])
def test_a_name_of_ones_own_elsewhere(user: Client, client: str) -> None:
    """Skopeo and Podman pull through a mapped name, too."""
    rules(user, f'[[registry]]\nmatch = "*.example.com"\nregistry = "{HOST}"\n')
    path = need(client)
    if client == "skopeo":
        done = user.run(path, "inspect", f"docker://{CUSTOM}/app:1")
    else:  # storage in the namespace's own /run: Podman wants a short path
        store = ["--storage-driver=vfs", "--root=/run/mapped/storage", "--runroot=/run/mapped/run"]
        done = user.run(path, *store, "pull", f"{CUSTOM}/app:1")
    assert done.status == 0, done
    assert user.stack.endpoints() == ["api.ecr.us-east-1.amazonaws.com"]


def test_three_accounts_in_one_run(docker_user: Client) -> None:
    """Three rules, three profiles, three pulls at once: one call each, as whom the rule says; then none."""
    client = docker_user
    client.without_aws()
    hosts = {HOST: "one", OTHER_ACCOUNT: "two", OTHER_REGION: "three"}
    (client.home / ".aws").mkdir()
    (client.home / ".aws" / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id = AKIA{name}\naws_secret_access_key = secret\n"
            for name in hosts.values()
        )
    )
    rules(
        client,
        "".join(
            f'[[registry]]\nmatch = "{host}"\nprofile = "{name}"\n' for host, name in hosts.items()
        ),
    )
    # As docker compose does: all images of a project at once.
    script = " & ".join(f"{client.docker} pull --quiet {host}/app:1 || kill $$" for host in hosts)
    for _ in range(2):
        client.run(client.docker, "rmi", "--force", *(f"{host}/app:1" for host in hosts))
        done = client.run("sh", "-c", f"{script} & wait")
        assert done.status == 0, done
        assert sorted(done.stdout.splitlines()) == sorted(f"{host}/app:1" for host in hosts)
    calls = [(call["access_key"], call["region"]) for call in client.stack.calls()]
    assert sorted(calls) == [
        ("AKIAone", "us-east-1"),
        ("AKIAthree", "eu-west-1"),
        ("AKIAtwo", "us-east-1"),
    ]


def test_the_http_api_with_nothing_in_any_argv(user: Client) -> None:
    """Token --header | curl -H @- lists the catalogue, and no process ever had the token in its argv."""
    watcher = user.stack.folder / "argv"
    # Every process of the namespace, again and again, until the pipe is done.
    script = f"""
    (while [ ! -e "$HOME/done" ]; do cat /proc/[0-9]*/cmdline 2>/dev/null; done >{watcher}) &
    docker-credential-ecr token --header {HOST} | curl -sS --cacert {user.stack.bundle} \
        -H @- https://{HOST}/v2/_catalog
    status=$?
    touch "$HOME/done"
    wait
    exit $status
    """
    done = user.run("sh", "-c", script)
    assert done.status == 0, done
    assert "app" in json.loads(done.stdout)["repositories"]
    seen = watcher.read_bytes()
    assert b"token\0--header" in seen  # the watcher did look
    assert b"https://" + HOST.encode() in seen
    basic = base64.b64encode(f"AWS:{user.stack.password}".encode())
    # The loopback AWS of the tests is told its password there; nobody else is.
    password = user.stack.password.encode()
    assert password not in re.sub(rb"--password[=\0]" + re.escape(password), b"", seen)
    assert basic not in seen


def test_the_password_logs_another_client_in(user: Client) -> None:
    """Token --password feeds --password-stdin of a client that knows no helpers."""
    user.configure({})
    skopeo = need("skopeo")
    assert user.run(skopeo, "inspect", f"docker://{HOST}/app:1").status != 0
    authfile = user.home / "auth.json"
    script = (
        f"docker-credential-ecr token --password {HOST} | "
        f"{skopeo} login --authfile {authfile} --username AWS --password-stdin {HOST}"
    )
    done = user.run("sh", "-c", script)
    assert done.status == 0, done
    assert (
        user.run(skopeo, "inspect", "--authfile", str(authfile), f"docker://{HOST}/app:1").status
        == 0
    )


def test_doctor_finds_a_whole_set_up_in_order(user: Client) -> None:
    """Against the real registry every check is ok, and each of the registries accepts its token."""
    rules(user, f'[[registry]]\nmatch = "{CUSTOM}"\nregistry = "{HOST}"\n')
    for host in (HOST, OTHER_REGION, CUSTOM):
        done = user.run("docker-credential-ecr", "doctor", "--json", host)
        report = json.loads(done.stdout)
        assert (done.status, done.stderr) == (0, ""), report
        assert {check["state"] for check in report["checks"]} == {"ok"}, report


def test_doctor_finds_a_registry_that_refuses(user: Client) -> None:
    """A stale login is refused by the real registry: found, with the command that removes it."""
    login = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": "stale"})
    user.run("docker-credential-ecr", "store", stdin=login, check=True)
    done = user.run("docker-credential-ecr", "doctor", HOST)
    assert done.status == 1
    assert f'error    registry: "{HOST}" refuses the token, with status 401' in done.stdout
    assert f"hint: run: docker logout {HOST}" in done.stdout


def test_refresh_before_the_first_pull(docker_user: Client) -> None:
    """Refresh fetches for every registry in credHelpers; the pulls after it ask nobody."""
    config = docker_user.home / ".docker" / "config.json"
    config.write_text(json.dumps({"credHelpers": dict.fromkeys(PRIVATE[:3], "ecr")}))
    done = docker_user.run("docker-credential-ecr", "refresh")
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    assert len(docker_user.stack.calls()) == 2  # two regions
    for host in PRIVATE[:3]:
        assert docker_user.pull(f"{host}/app:1").status == 0
    assert len(docker_user.stack.calls()) == 2


def test_the_executable_is_the_installed_one(user: Client) -> None:
    """What the clients find on PATH is the executable that was installed for the tests."""
    found = user.run("sh", "-c", "command -v docker-credential-ecr").stdout.strip()
    assert found == str(EXECUTABLE)
    assert subprocess.run([found, "version"], capture_output=True, check=True).stdout
