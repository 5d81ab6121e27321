"""doctor trusts, runs and shows what Docker does, and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import EXECUTABLE, HOST, Helper, need, write

from docker_credential_ecr.commands import system
from docker_credential_ecr.commands.doctor import probe

# Which folders of certs.d are of HOST, and which of HOST:8443.
FOLDERS = {
    HOST: [HOST],
    f"{HOST}:8443": [f"{HOST}:8443"],
    f"{HOST}.evil.example": [],
    f"{HOST}:84433": [],
    f"{HOST}x": [],
    "*": [],
}


@pytest.mark.parametrize("server", [HOST, f"{HOST}:8443"])
def test_authorities_of_exactly_one_registry(tmp_path: Path, server: str) -> None:
    """Only the folder of exactly that host, or host and port, holds its authorities."""
    place = tmp_path / ".config" / "docker" / "certs.d"
    for name in FOLDERS:
        write(place / name / "ca.crt", "certificate")
        write(place / name / "client.cert", "of the client")
    found = probe.authorities_of(server, {"HOME": str(tmp_path)})
    ours = [path for path in found if path.startswith(str(tmp_path))]
    expected = [name for name, servers in FOLDERS.items() if server in servers]
    assert [Path(path).parent.name for path in ours] == expected
    assert {Path(path).name for path in ours} == {"ca.crt"}


def test_authorities_of_another_are_not_loaded(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path
) -> None:
    """A folder that only starts like the host is not even opened."""
    for name in (HOST, f"{HOST}.evil.example"):
        write(home / ".config" / "docker" / "certs.d" / name / "ca.crt", "")
    trace = home / "trace"
    wrap = (need("strace"), "-f", "-qq", "-e", "trace=open,openat", "-o", str(trace))
    helper("doctor", HOST, wrap=wrap)
    assert f"{HOST}/ca.crt" in trace.read_text()
    assert "evil.example/" not in trace.read_text()


@pytest.mark.parametrize("path", ["", ".", "..", "bin", ":", ".:bin"])
@pytest.mark.parametrize("command", ["doctor", "configure"])
def test_the_current_directory_is_not_on_path(
    helper: Helper, env: dict[str, str], home: Path, tmp_path: Path, path: str, command: str
) -> None:
    """A relative folder of PATH is none: what lies there is neither run nor reported as found."""
    for folder in (tmp_path, tmp_path / "bin"):
        trap = folder / "docker-credential-ecr"
        write(trap, f"#!/bin/sh\ntouch {home}/run\n", 0o755)
    env["PATH"] = f"/usr/bin:/bin:{path}"
    arguments = ("--offline", HOST) if command == "doctor" else (HOST,)
    wrap = ("sh", "-c", f'cd {tmp_path} && exec "$@"', "-")
    done = helper(command, *arguments, wrap=wrap)
    assert '"docker-credential-ecr" is not on PATH' in done.stdout + done.stderr
    assert f'export PATH="{EXECUTABLE.parent}:$PATH"' in done.stdout + done.stderr
    assert not (home / "run").exists()


def test_an_empty_cache_is_called_so(
    helper: Helper, env: dict[str, str], cache: Path, home: Path
) -> None:
    """What is counted is said in words: nothing, then a registry with a token."""
    cache.mkdir(parents=True, mode=0o700)
    assert f'cache: "{cache}", empty\n' in helper("doctor", "--offline", HOST).stdout


def test_a_full_cache_is_counted(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """A registry with a token, and whether that can be used now."""
    helper.get()
    said = helper("doctor", "--offline", HOST).stdout
    assert f'cache: "{cache}", with tokens for 1 registry, of which 1 can be used now\n' in said
    said = helper("doctor", "--offline", HOST, env={"AWS_ACCESS_KEY_ID": "AKIAOTHER"}).stdout
    assert "with tokens for 1 registry, of which 0 can be used now\n" in said


def test_no_login_is_said_plainly(helper: Helper, env: dict[str, str], home: Path) -> None:
    """Docker's file without a login of ours is described as what it is."""
    said = helper("doctor", "--offline", HOST).stdout
    assert "auths: Docker's file holds no login that is used in place of this helper\n" in said


@pytest.mark.parametrize("name", ["status", "doctor", "configure"])
@pytest.mark.parametrize(("word", "kind"), [("--nonsense", "an option"), ("a b", "an argument")])
def test_a_wrong_word_is_named(helper: Helper, name: str, word: str, kind: str) -> None:
    """What a command does not know is called an option or an argument."""
    words = (word,) if name == "status" or word.startswith("-") else (HOST, word)
    done = helper(name, *words)
    assert done.status == 1
    if name != "configure" or word.startswith("-"):
        assert f'error: {name} does not have {kind} "{word}"\n' in done.stderr


@pytest.mark.parametrize("helper_name", ["", None])
def test_a_host_without_a_helper(helper: Helper, home: Path, helper_name: str | None) -> None:
    """An empty name in credHelpers is no helper to Docker, whatever credsStore says."""
    config = {"credHelpers": {HOST: helper_name}, "credsStore": "ecr"}
    write(home / ".docker" / "config.json", json.dumps(config))
    said = helper("doctor", "--offline", HOST).stdout
    assert f'error    docker: Docker does not ask this helper for "{HOST}"' in said
    assert helper("configure", HOST).status == 0
    said = helper("doctor", "--offline", HOST).stdout
    assert "ok       docker: credHelpers in " in said


# One small place knows the system's own words.

LINUX, WINDOWS, MACOS = "linux", "win32", "darwin"
WORDS = [
    (
        system.add_to_path,
        "/a b",
        {LINUX: 'export PATH="/a b:$PATH"', WINDOWS: '$env:Path = "/a b;'},
    ),
    (system.unset, "X", {LINUX: "unset X", MACOS: "unset X", WINDOWS: "Remove-Item Env:X"}),
    (system.remove, "/a'b", {LINUX: "rm '/a'\\''b'", WINDOWS: "Remove-Item -LiteralPath '/a''b'"}),
    (system.make_readable, "/f", {LINUX: "chmod u+r '/f'", WINDOWS: 'icacls "/f"'}),
    (system.make_writable, "/f", {LINUX: "chmod u+rwx '/f'", WINDOWS: 'icacls "/f"'}),
    (system.make_private, "/f", {LINUX: "chmod -R go= '/f'", WINDOWS: 'icacls "/f"'}),
    (system.take_over, "/f", {LINUX: "sudo chown -R", WINDOWS: 'takeown /r /f "/f"'}),
]
PLAIN = [
    (system.set_clock, {LINUX: "timedatectl", MACOS: "sntp", WINDOWS: "w32tm"}),
    (system.home_variable, {LINUX: "HOME", MACOS: "HOME", WINDOWS: "USERPROFILE"}),
    (system.store_helper, {LINUX: "pass", MACOS: "osxkeychain", WINDOWS: "wincred"}),
    (system.name_profile, {LINUX: "AWS_PROFILE=", WINDOWS: "$env:AWS_PROFILE = "}),
]


@pytest.mark.parametrize(("word", "operand", "expected"), WORDS)
def test_hints_that_can_be_followed(
    word: Callable[[str, str], str], operand: str, expected: dict[str, str]
) -> None:
    """A hint is a command of the system that runs, with its operand quoted as the shell there does."""
    for platform, text in expected.items():
        assert text in word(operand, platform)
    assert "\033" not in word("/a\033b", WINDOWS) + word("/a\033b", LINUX)


@pytest.mark.parametrize(("word", "expected"), PLAIN)
def test_names_of_the_system(word: Callable[[str], str], expected: dict[str, str]) -> None:
    """What stands for the clock, the home and the key store has the system's own name."""
    for platform, text in expected.items():
        assert text in word(platform)


def test_folders_of_authorities() -> None:
    """Docker's folders of authorities, by system (Docker's documentation)."""
    home = {"HOME": "/h", "USERPROFILE": "C:\\u", "ProgramData": "D:\\data"}
    assert system.certificates(home, LINUX) == ["/etc/docker/certs.d", "/h/.config/docker/certs.d"]
    assert system.certificates(home, MACOS) == ["/h/.docker/certs.d"]
    assert system.certificates(home, WINDOWS) == [
        "D:\\data\\docker\\certs.d",
        "C:\\u\\.docker\\certs.d",
    ]
    assert system.certificates({}, LINUX) == ["/etc/docker/certs.d"]
    assert system.certificates({}, MACOS) == []


def test_the_state_directory_is_platformdirs_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the journal and the lock lie is what platformdirs says, on this system."""
    from platformdirs import user_state_dir

    from docker_credential_ecr.commands import journal

    for variables in ({}, {"XDG_STATE_HOME": str(tmp_path)}, {"XDG_STATE_HOME": "relative"}):
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        expected = user_state_dir("docker-credential-ecr", appauthor=False)
        if variables.get("XDG_STATE_HOME") != "relative":
            assert journal.folder(dict(os.environ)) == expected


@pytest.mark.parametrize(
    ("folder", "inside"),
    [
        ("C:\\Users\\me\\AppData\\Local\\x", True),
        ("c:/users/ME/x", True),
        ("C:\\Users\\me", True),
        ("C:\\Users\\me2\\x", False),
        ("C:\\Users\\me\\..\\x", False),
        ("C:\\cache", False),
        ("D:\\Users\\me\\x", False),
        ("\\\\server\\share\\me", False),
    ],
)
def test_a_cache_is_within_the_profile_or_not(folder: str, inside: bool) -> None:
    """As Windows compares paths. Elsewhere it does not matter where the cache is."""
    profile = {"USERPROFILE": "C:\\Users\\me\\"}

    assert system.is_private_place(folder, profile, WINDOWS) == inside
    assert not system.is_private_place(folder, {}, WINDOWS)
    assert system.is_private_place(folder, profile, LINUX)
    assert system.is_private_place(folder, profile, MACOS)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ECR_TIMEOUT", "abc", "AWS_ECR_TIMEOUT is not a number of seconds"),
        ("AWS_ECR_TIMEOUT", "0.5", "AWS_ECR_TIMEOUT is not a number of seconds"),
        ("AWS_ECR_BACKGROUND_REFRESH", "never", "AWS_ECR_BACKGROUND_REFRESH has a value"),
        ("AWS_ECR_IGNORE_CREDS_STORAGE", "1", 'logins are ignored only if it is "true"'),
        ("AWS_ECR_NODE_IDENTITY", "maybe", "never answered with the node's identity"),
        ("AWS_ECR_LOG_FORMAT", "text", "the log changes its form only if"),
        ("AWS_ECR_DISABLE_CACHE", "false", "switches the cache off whatever its value"),
    ],
)
def test_a_variable_that_means_nothing(
    helper: Helper, env: dict[str, str], name: str, value: str, said: str
) -> None:
    """A value of our own variables that does nothing, or the contrary, is a warning."""
    env[name] = value
    (found,) = variables_found(helper)
    assert found["state"] == "warning"
    assert said in found["message"]
    assert any(name in hint for hint in found["hints"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ECR_TIMEOUT", "5"),
        ("AWS_ECR_BACKGROUND_REFRESH", "FALSE"),
        ("AWS_ECR_IGNORE_CREDS_STORAGE", "True"),
        ("AWS_ECR_NODE_IDENTITY", "false"),
        ("AWS_ECR_LOG_FORMAT", ""),
        ("AWS_ECR_DISABLE_CACHE", ""),
    ],
)
def test_a_variable_that_means_something(
    helper: Helper, env: dict[str, str], name: str, value: str
) -> None:
    """What a variable may hold is not complained of."""
    env[name] = value
    (found,) = variables_found(helper)
    assert found["state"] == "ok"


def variables_found(helper: Helper) -> list[dict[str, str]]:
    """Return doctor's findings on our variables."""
    report = json.loads(helper("doctor", "--offline", "--json", HOST).stdout)
    return [check for check in report["checks"] if check["name"] == "variables"]


def test_a_cache_that_cannot_be_made(helper: Helper, env: dict[str, str]) -> None:
    """A cache that no pull will be able to make is a warning, not "not there yet"."""
    env["AWS_ECR_CACHE_DIR"] = "/proc/1/none/cache"  # of a file system that lets nobody write
    report = json.loads(helper("doctor", "--offline", "--json", HOST).stdout)
    (found,) = [check for check in report["checks"] if check["name"] == "cache"]
    assert found["state"] == "warning"
    assert "every pull asks AWS" in found["message"]
