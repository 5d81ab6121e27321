"""completion: what the fallback helper lists is text, never a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import EXECUTABLE, HOST, Helper, need, write

EVIL = [
    "$(touch pwned)",
    "`touch pwned`",
    "x$(touch pwned).example.com",
    "a;touch pwned",
    "a b",
    "-x",
    "$HOME",
    "<(touch pwned)",
    "*",
]


@pytest.fixture
def fallback(env: dict[str, str], home: Path) -> None:
    """A fallback helper that lists what would be a command in a shell."""
    env["PATH"] = f"{home}:{EXECUTABLE.parent}:{env['PATH']}"
    listed = ", ".join(f'"https://{name}": "AWS"' for name in [*EVIL, "good.example.com:5000"])
    write(
        home / "docker-credential-evil",
        f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{{{listed}}}\nEND\n",
        0o755,
    )
    write(
        home / ".config" / "docker-credential-ecr" / "config.toml", '[fallback]\nhelper = "evil"\n'
    )


def complete(helper: Helper, shell: str, folder: Path) -> list[str]:
    typed = "docker-credential-ecr refresh "
    if shell == "bash":
        script = (
            "source <(docker-credential-ecr completion bash)\n"
            "COMP_WORDS=(docker-credential-ecr refresh '') COMP_CWORD=2\n"
            '_docker_credential_ecr\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        argv = [need("bash"), "--norc", "-c", script]
    else:
        script = f"docker-credential-ecr completion fish | source\ncomplete -C'{typed}'\n"
        argv = [need("fish"), "--no-config", "-c", script]
    done = subprocess.run(
        argv, env=helper.env, cwd=folder, capture_output=True, check=False, timeout=60
    )
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_what_is_listed_is_not_run(
    helper: Helper, aws: FakeAWS, fallback: str, tmp_path: Path, shell: str
) -> None:
    """Names from the fallback's list are offered if they can be hosts, and never expanded."""
    assert helper.get().status == 0
    assert EVIL[0] in helper("list").stdout
    folder = tmp_path / "here"
    write(folder / "bystander", "")
    offered = complete(helper, shell, folder)
    assert {HOST, "good.example.com:5000"} <= set(offered)
    names = set(offered) - {HOST, "good.example.com:5000", "-h", "--help"}
    assert names == set(), offered
    assert [path.name for path in folder.iterdir()] == ["bystander"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_takes_hosts_only(helper: Helper, shell: str) -> None:
    """Each script lets through nothing but letters, digits, dots, dashes, underlines and colons."""
    script = helper("completion", shell).stdout
    assert '[0-9A-Za-z][0-9A-Za-z._:-]*\\)": *"AWS"' in script
    assert "\r" not in script


def test_what_completion_says_of_itself_is_true(helper: Helper) -> None:
    """Nobody installs it already, and it is not made from a parser."""
    said = helper("completion", "--help").stdout
    assert "already" not in said
