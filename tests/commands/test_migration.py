"""From AWS's helper to this one, without a thought: configure and doctor know ``ecr-login``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from kit import ELSEWHERE, EXECUTABLE, HOST, OTHER_REGION, Helper, write

AWS_HELPER = "docker-credential-ecr-login"


@pytest.fixture
def config(env: dict[str, str], home: Path) -> Path:
    """Docker's configuration, on a PATH of our own: us, and nothing of AWS's."""
    folder = home / "bin"
    folder.mkdir()
    (folder / "docker-credential-ecr").symlink_to(EXECUTABLE)
    env["PATH"] = str(folder)
    return home / ".docker" / "config.json"


def install(home: Path) -> Path:
    """Put a helper of AWS's name on PATH; return it."""
    return Path(
        write(home / "bin" / AWS_HELPER, "#!/bin/sh\necho not implemented\nexit 1\n", 0o755)
    )


def put(config: Path, **content: object) -> str:
    text = json.dumps(content, indent=2)
    write(config, text)
    return text


def rules(home: Path) -> Path:
    return home / ".config" / "docker-credential-ecr" / "config.toml"


def checks(helper: Helper, name: str, *arguments: str) -> list[dict[str, Any]]:
    report: Any = json.loads(helper("doctor", "--offline", "--json", *arguments).stdout)
    return [check for check in report["checks"] if check["name"] == name]


def test_all_replaces_every_one(helper: Helper, config: Path, home: Path) -> None:
    """--all takes AWS's helper out of every place, with a word, and --remove brings it back."""
    install(home)
    text = put(
        config, credHelpers={HOST: "ecr-login", OTHER_REGION: "ecr-login", "gcr.io": "gcloud"}
    )
    done = helper("configure", "--all")
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(config.read_text()) == {
        "credHelpers": {HOST: "ecr", OTHER_REGION: "ecr", "gcr.io": "gcloud"},
        "credsStore": "ecr",
    }
    for host in (HOST, OTHER_REGION):
        assert f'{host}: configured in "{config}", in place of "ecr-login"\n' in done.stdout
    assert helper("configure", "--remove").status == 0
    assert config.read_text() == text


def test_the_store_never_becomes_the_fallback(helper: Helper, config: Path, home: Path) -> None:
    """AWS's helper as credsStore is replaced: it could answer nothing for other hosts."""
    install(home)
    text = put(config, credsStore="ecr-login")
    done = helper("configure", "--all")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == f'all registries: configured in "{config}", in place of "ecr-login"\n'
    assert json.loads(config.read_text()) == {"credsStore": "ecr"}
    assert not rules(home).exists()
    assert helper("configure", "--remove").status == 0
    assert config.read_text() == text


def test_what_is_gone_is_not_brought_back(helper: Helper, config: Path, home: Path) -> None:
    """--remove after AWS's helper was uninstalled names nobody: each pull would fail."""
    program = install(home)
    put(config, credsStore="ecr-login", credHelpers={HOST: "ecr-login"})
    assert helper("configure", "--all").status == 0
    program.unlink()
    done = helper("configure", "--remove")
    assert done.status == 0
    assert '"ecr-login" is no longer installed: it is not put back' in done.stdout
    assert json.loads(config.read_text()) == {}


def test_what_is_gone_and_was_elsewhere(helper: Helper, config: Path, home: Path) -> None:
    """Of a helper that is not to be put back where we are taken out nothing is said."""
    program = install(home)
    put(config, credHelpers={HOST: "ecr-login"})
    assert helper("configure", HOST, OTHER_REGION).status == 0
    program.unlink()
    done = helper("configure", "--remove", OTHER_REGION)
    assert (done.status, done.stdout) == (0, f'{OTHER_REGION}: removed in "{config}"\n')
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}


def test_one_registry_beside_the_store(helper: Helper, config: Path, home: Path) -> None:
    """Where AWS's helper stays as the store, it is said what that leads to."""
    install(home)
    put(config, credsStore="ecr-login")
    done = helper("configure", HOST)
    assert done.status == 0
    assert 'warning: "ecr-login" is asked for every other registry' in done.stderr
    assert "hint: run: docker-credential-ecr configure --all" in done.stderr


@pytest.mark.parametrize("more", ["", f'[[registry]]\nmatch = "{HOST}"\nprofile = "prod"\n'])
def test_a_fallback_of_before(helper: Helper, config: Path, home: Path, more: str) -> None:
    """A config.toml with it as the fallback: named by configure and doctor, mended by --all."""
    put(config, credsStore="ecr")
    write(rules(home), f'{more}[fallback]  # of before\nhelper = "ecr-login"\n')

    (found,) = checks(helper, "fallback")
    assert found["state"] == "warning"
    assert found["hints"] == ["run: docker-credential-ecr configure --all"]
    warned = helper("configure", HOST).stderr
    assert 'warning: "ecr-login" is the fallback helper' in warned
    assert "hint: run: docker-credential-ecr configure --all" in warned

    done = helper("configure", "--all")
    assert (done.status, done.stderr) == (0, "")
    assert '"ecr-login" is no longer the fallback' in done.stdout
    assert rules(home).read_text() == f"{more}[fallback]  # of before\n"


@pytest.mark.parametrize(
    "text", ['fallback.helper = "ecr-login"\n', 'fallback = {helper = "ecr-login"}\n']
)
def test_a_fallback_that_cannot_be_taken_out(
    helper: Helper, config: Path, home: Path, text: str
) -> None:
    """Where TOML names it in a way of its own, that is said, and nothing is written."""
    before = put(config, credsStore="ecr")
    write(rules(home), text)
    done = helper("configure", "--all")
    assert (done.status, done.stdout) == (1, "")
    assert f'cannot take the fallback helper "ecr-login" out of "{rules(home)}"' in done.stderr
    assert "hint: remove it there: it answers for ECR alone" in done.stderr
    assert rules(home).read_text() == text
    assert config.read_text() == before


def test_another_store_takes_its_place_as_the_fallback(
    helper: Helper, config: Path, home: Path
) -> None:
    """The real store becomes the fallback in place of AWS's helper."""
    put(config, credsStore="pass")
    write(rules(home), '[fallback]\nhelper = "ecr-login"\n')
    assert helper("configure", "--all").status == 0
    assert rules(home).read_text() == '[fallback]\nhelper = "pass"\n'


@pytest.mark.parametrize("installed", [True, False])
def test_such_a_fallback_keeps_no_pull(
    helper: Helper, config: Path, home: Path, *, installed: bool
) -> None:
    """Other hosts go on without a login, whether AWS's helper is installed or not."""
    if installed:
        install(home)
    write(rules(home), '[fallback]\nhelper = "ecr-login"\n')
    done = helper.get(ELSEWHERE)
    assert (done.status, done.stderr) == (1, "")
    assert done.stdout == "credentials not found in native keychain\n"
    assert helper("erase", stdin=ELSEWHERE).status == 0


def test_under_the_name_of_aws_helper(
    helper: Helper, aws: FakeAWS, config: Path, home: Path
) -> None:
    """A link of that name is this program: for Docker, for configure and for doctor."""
    link = home / "bin" / AWS_HELPER
    link.symlink_to(EXECUTABLE)
    text = put(config, credsStore="ecr-login", credHelpers={HOST: "ecr-login"})
    helper.path = link
    assert helper.get().secret
    assert helper("version").stdout.startswith("docker-credential-ecr ")

    helper.path = home / "bin" / "docker-credential-ecr"
    for arguments in ((HOST,), ("--all",)):
        done = helper("configure", *arguments)
        assert (done.status, done.stderr) == (0, "")
        assert "configured already" in done.stdout
    assert "nothing is configured" in helper("configure", "--remove").stdout
    assert config.read_text() == text
    (found,) = checks(helper, "docker", HOST)
    assert found["state"] == "ok"
    assert 'names "ecr-login", which is this program, for' in found["message"]


def test_another_helper_while_the_store_is_ours(
    helper: Helper, aws: FakeAWS, config: Path, home: Path
) -> None:
    """Doctor without a registry: an ECR host that another helper answers for is found."""
    put(config, credsStore="ecr", credHelpers={OTHER_REGION: "ecr-login", "gcr.io": "gcloud"})
    first, *rest = checks(helper, "docker")
    assert first["state"] == "warning"
    assert f'Docker asks another helper for "{OTHER_REGION}": "ecr-login"' in first["message"]
    assert [check["state"] for check in rest] == ["ok"]

    # The very registry that is then looked at: an error.
    put(config, credsStore="ecr", credHelpers={HOST: "ecr-login"})
    report = json.loads(helper("doctor", "--json", env={"AWS_REGION": "us-east-1"}).stdout)
    (found,) = (check for check in report["checks"] if check["name"] == "docker")
    assert found["state"] == "error"
    assert f'Docker asks another helper for "{HOST}": "ecr-login"' in found["message"]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (json.dumps({"auths": {HOST: {"auth": "Q0FOQVJZ"}}}), "warning"),
        (json.dumps({"auths": {OTHER_REGION: {"auth": "Q0FOQVJZ"}}}), "ok"),
        ("{CANARY", "ok"),
        ("[]", "ok"),
    ],
)
def test_a_login_in_a_variable(helper: Helper, config: Path, text: str, state: str) -> None:
    """Docker tries DOCKER_AUTH_CONFIG before any helper: doctor says so, and shows nothing of it."""
    put(config, credHelpers={HOST: "ecr"})
    done = helper("doctor", "--offline", "--json", HOST, env={"DOCKER_AUTH_CONFIG": text})
    (found,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "auths")
    assert found["state"] == state
    assert "Q0FOQVJZ" not in done.stdout
    assert "CANARY" not in done.stdout
