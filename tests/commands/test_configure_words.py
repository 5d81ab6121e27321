"""configure and the letters of Docker's file; what is said of one that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from kit import EXECUTABLE, HOST, PUBLIC, Helper, as_user, need_root, write

LOGIN = "c2VjcmV0LWNhbmFyeTpwYXNzd29yZA=="
HINT = "docker-credential-ecr: hint: "


@pytest.fixture
def config(env: dict[str, str], home: Path) -> Path:
    env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    return home / ".docker" / "config.json"


# Docker finds its own keys in any letters, as Go's encoding/json does ("preferring exact matches
# but also accepting case-insensitive matches"), and adds up an object that is there twice.
# Source: docker/cli, cli/config/configfile/file.go, LoadFromReader.
LETTERS = {
    "lower case": (
        f'{{"credhelpers": {{"{HOST}": "ecr-login"}}}}',
        f'{{"credhelpers": {{"{HOST}": "ecr"}}}}',
    ),
    "upper case": ('{"CREDHELPERS": {"a.io": "a"}}', None),
    "twice": (
        f'{{"credHelpers": {{"{HOST}": "x"}}, "CredHelpers": {{"a.io": "a"}}}}',
        None,
    ),
    "null, then lower case": ('{"credHelpers": null, "credhelpers": {"a.io": "a"}}', None),
}


@pytest.mark.parametrize(("text", "expected"), LETTERS.values(), ids=LETTERS.keys())
def test_keys_in_other_letters(
    helper: Helper, config: Path, text: str, expected: str | None
) -> None:
    """A key in other letters is Docker's key: it is changed in its place, there and back."""
    write(config, text)
    assert helper("configure", HOST).status == 0
    changed = config.read_text()
    if expected is not None:
        assert changed == expected
    # One key more would be a second one for Docker, too: none is made.
    keys = [key.lower() for key, _ in json.loads(changed, object_pairs_hook=list)]
    assert keys == [key.lower() for key, _ in json.loads(text, object_pairs_hook=list)]
    assert f'"{HOST}": "ecr"' in changed
    assert helper("configure", HOST).stdout == f'{HOST}: configured already in "{config}"\n'
    assert helper("configure", "--remove").status == 0
    assert config.read_text() == text


def test_a_store_in_other_letters(helper: Helper, config: Path, home: Path) -> None:
    """The store that Docker reads in other letters becomes the fallback, and comes back."""
    text = '{"credsstore": "desktop"}'
    write(config, text)
    assert helper("configure", "--all").status == 0
    assert config.read_text() == '{"credsstore": "ecr"}'
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert 'helper = "desktop"' in rules.read_text()
    assert helper("configure", "--remove").status == 0
    assert config.read_text() == text


def test_us_twice(helper: Helper, config: Path, home: Path) -> None:
    """Where we are named twice, --remove takes both, with or without a memory."""
    text = f'{{"credHelpers": {{"{HOST}": "ecr"}}, "CredHelpers": {{"{HOST}": "ecr"}}}}'
    write(config, text)
    assert helper("configure", "--remove", HOST).status == 0
    assert json.loads(config.read_text()) == {}


def test_a_host_in_upper_case(helper: Helper, config: Path) -> None:
    """Names of hosts are compared letter by letter, so ours is lower case; --remove finds both."""
    upper = HOST.upper()
    write(config, json.dumps({"credHelpers": {upper: "ecr"}}))
    assert helper("configure", upper).status == 0
    assert json.loads(config.read_text())["credHelpers"] == {upper: "ecr", HOST: "ecr"}
    assert helper("configure", "--remove", HOST).status == 0
    assert json.loads(config.read_text()) == {}


def test_a_number_without_end(helper: Helper, config: Path) -> None:
    """A number that Python does not read is none of our business."""
    text = f'{{"a": {"1" * 5000}}}'
    write(config, text)
    assert helper("configure", HOST).status == 0
    assert f'"{HOST}": "ecr"' in config.read_text()
    assert helper("configure", "--remove").status == 0
    assert config.read_text() == text


@pytest.mark.parametrize(
    ("data", "reason", "hint"),
    [
        (b'{} {"x": 1}', "is not valid JSON at line 1, column 4", "Docker ignores it"),
        (b'{"a": "\xff"}', "is not UTF-8", "Docker replaces"),
        (b"null", "is not a JSON object", "such as {}"),
        (b'{"a": ' + b"[" * 200_000, "is nested too deeply", "correct the file"),
        (b'{"a" 1}', "is not valid JSON", "Docker cannot read it either"),
        (b'{"auths": []}', '"auths" is not an object', "Docker cannot read it either"),
    ],
)
def test_the_truth_about_a_file_that_is_refused(
    helper: Helper, config: Path, data: bytes, reason: str, hint: str
) -> None:
    """That Docker cannot read a file is said only where it cannot."""
    config.parent.mkdir()
    config.write_bytes(data)
    done = helper("configure", HOST)
    assert (done.status, done.stdout) == (1, "")
    error, *hints = done.stderr.splitlines()
    assert reason in error
    assert hint in hints[0]
    assert ("either" in hints[0]) == ("either" in hint)
    assert config.read_bytes() == data


def test_without_a_home(helper: Helper, config: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Without a home there is no configuration: none is made in the current directory."""
    # No home in the environment, and none in the system's list of users.
    env.pop("DOCKER_CONFIG")
    env["HOME"] = ""
    need_root("be a user without a home")
    here = tmp_path / "here"
    here.mkdir(mode=0o777)
    here.chmod(0o777)
    wrap = ("sh", "-c", f'cd {here} && exec "$@"', "-", *as_user(4321))
    done = helper("configure", HOST, wrap=wrap)
    assert (done.status, done.stdout) == (1, "")
    assert "error: there is no home directory for Docker's configuration" in done.stderr
    assert "hint: set HOME, or DOCKER_CONFIG" in done.stderr
    assert list(here.iterdir()) == []


def test_without_a_home_but_with_a_folder(
    helper: Helper, env: dict[str, str], tmp_path: Path
) -> None:
    """Where DOCKER_CONFIG says where Docker's file is, no home is needed: nothing is remembered."""
    need_root("be a user without a home")
    folder = tmp_path / "docker"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    env |= {"HOME": "", "DOCKER_CONFIG": str(folder)}
    env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    for arguments, said in (((HOST,), "configured in"), (("--remove",), "removed in")):
        done = helper("configure", *arguments, wrap=as_user(4321))
        assert (done.status, done.stderr) == (0, "")
        assert f'{HOST}: {said} "{folder}/config.json"' in done.stdout
    assert json.loads((folder / "config.json").read_text()) == {}
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_a_store_and_then_null(helper: Helper, config: Path, home: Path) -> None:
    """Go's JSON adds null to nothing: the store that was named before it is the one that counts."""
    write(config, '{"credsStore": "pass", "credsStore": null}')
    assert helper("configure", "--all").status == 0
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert rules.read_text() == '[fallback]\nhelper = "pass"\n'


@pytest.mark.parametrize("command", ["configure", "token", "refresh", "doctor"])
@pytest.mark.parametrize(
    "typed",
    [
        f"https://{HOST}?token=canary",
        f"https://{HOST}/v2/?X-Amz-Signature=canary",
        f"{HOST}#canary",
        f"https://user:canary@{HOST}",
        f"https://user:canary@{HOST}?canary",
        f"{HOST}/canary?x",
        "canary@x y",
    ],
)
def test_what_is_typed_is_not_quoted_back(
    helper: Helper, config: Path, command: str, typed: str
) -> None:
    """Of a URL that is refused only the host is repeated: the rest may be secret."""
    done = helper(command, typed)
    assert (done.status, done.stdout) == (1, "")
    assert "canary" not in done.stderr
    assert "is not the name of a registry" in done.stderr
    if HOST in typed:
        assert f'"{HOST}"' in done.stderr
    assert done.stderr.splitlines()[1].startswith(f"{HINT}write a host")


@pytest.mark.parametrize("command", ["configure", "token", "refresh", "doctor", "status"])
@pytest.mark.parametrize("word", [b"\xff", b"--\xff", b"x\xff.dkr.ecr.us-east-1.amazonaws.com"])
def test_words_that_are_not_utf8(helper: Helper, config: Path, command: str, word: bytes) -> None:
    """What is no text is refused as any other wrong word, and is no defect of ours."""
    done = helper(command, os.fsdecode(word))
    assert (done.status, done.stdout) == (1, "")
    assert "defect" not in done.stderr
    assert done.stderr.startswith("docker-credential-ecr: error: ")


def test_a_path_that_is_not_utf8(
    helper: Helper, config: Path, env: dict[str, str], home: Path
) -> None:
    """A directory whose name is no text is as good as any other, and is shown with ?."""
    folder = home / os.fsdecode(b"d\xffcker")
    env["DOCKER_CONFIG"] = str(folder)
    for arguments in (("--dry-run", HOST), (HOST,), ("--dry-run", PUBLIC), ("--remove",)):
        done = helper("configure", *arguments)
        assert (done.status, done.stderr) == (0, "")
        assert "d?cker/config.json" in done.stdout
    assert not (folder / "config.json").exists()


def test_a_difference_in_any_letters(helper: Helper, config: Path, env: dict[str, str]) -> None:
    """The difference is UTF-8 in a pipe, whatever the locale says of letters, for patch to read."""
    text = '{\n\t"psFormat": "caf\u00e9 \u2615"\n}'
    write(config, text)
    env["PYTHONIOENCODING"] = "ascii"
    done = helper("configure", "--dry-run", HOST)
    assert (done.status, done.stderr) == (0, "")
    assert '"psFormat": "caf\u00e9 \u2615"' in done.stdout
    assert "\r" not in done.stdout


def test_no_word_of_a_difference_is_untrue(helper: Helper, config: Path) -> None:
    """Where there is no file yet, the difference says so as git and patch know it."""
    assert helper("configure", "--dry-run", HOST).stdout.startswith("--- /dev/null\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("configure", "--dry-run", HOST),
        ("configure", HOST),
        ("doctor", "--offline", HOST),
        ("doctor", "--offline", "--json", HOST),
        ("status",),
        ("completion", "bash"),
        ("--help",),
        ("status", "--help"),
        ("--version",),
        (),
    ],
)
def test_an_answer_that_cannot_be_written(
    helper: Helper, config: Path, arguments: tuple[str, ...]
) -> None:
    """A full disk behind stdout is said to be one, and is no defect of ours."""
    done = helper(*arguments, wrap=("sh", "-c", 'exec "$@" >/dev/full', "-"))
    assert done.status == 1
    error, hint = done.stderr.splitlines()
    assert error == (
        'docker-credential-ecr: error: the answer cannot be written: "No space left on device"'
    )
    assert hint.startswith(HINT)


@pytest.mark.parametrize("arguments", [("status",), ("configure", HOST), ("--help",), ()])
def test_stdout_is_closed(helper: Helper, config: Path, arguments: tuple[str, ...]) -> None:
    """A closed stdout is as good as the null device."""
    done = helper(*arguments, wrap=("sh", "-c", 'exec "$@" >&-', "-"))
    assert done.stderr == ""
    assert done.status == (1 if arguments == () else 0)


def test_a_stdout_that_does_not_block(helper: Helper, config: Path, env: dict[str, str]) -> None:
    """Where stdout's owner has set it not to block, all of a long answer still arrives."""
    write(config, json.dumps({"psFormat": "x" * 300_000}))
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with subprocess.Popen(
        [str(EXECUTABLE), "configure", "--dry-run", HOST],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=helper.env,
    ) as run:
        os.close(theirs)
        with open(ours, "rb") as reader:
            said = reader.read()
        assert run.stderr is not None
        assert run.stderr.read() == b""
    assert run.returncode == 0
    assert said.count(b"x" * 300_000) == 2
    assert HOST.encode() in said.splitlines()[-2]


@pytest.mark.parametrize("arguments", [("configure", HOST), ("status", "--nonsense")])
def test_stderr_is_closed(
    helper: Helper, config: Path, env: dict[str, str], arguments: tuple[str, str]
) -> None:
    """A closed stderr changes no exit code."""
    env["PATH"] = "/usr/bin:/bin"  # so that configure has something to warn of
    done = helper(*arguments, wrap=("sh", "-c", 'exec "$@" 2>&-', "-"))
    assert done.status == (1 if "--nonsense" in arguments else 0)
    assert "defect" not in done.stdout
