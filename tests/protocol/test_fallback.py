"""The fallback: another helper's answers, errors and exit codes, unchanged, for what is not ECR."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import ELSEWHERE, EXECUTABLE, HOST, Helper, Run, need
from kit import login as login_of

# A real helper: Docker's protocol over a JSON file, with words on stderr and exit codes of its own.
VAULT = f"""\
#!{sys.executable} -I
import json, os, sys

path = os.path.join(os.environ["HOME"], "vault.json")
try:
    with open(path) as file:
        vault = json.load(file)
except FileNotFoundError:
    vault = {{}}
action = sys.argv[1]
request = "" if action == "list" else sys.stdin.read()
if action == "get":
    if request.strip() not in vault:
        sys.stdout.write("credentials not found in native keychain\\n")
        sys.exit(1)
    user, secret = vault[request.strip()]
    print(json.dumps({{"ServerURL": request.strip(), "Username": user, "Secret": secret}}))
elif action == "store":
    login = json.loads(request)
    if login["Username"] == "nobody":
        sys.stderr.write("vault: caf\\u00e9 is closed\\n")
        sys.stdout.write("no such user\\n")
        sys.exit(7)
    vault[login["ServerURL"]] = login["Username"], login["Secret"]
elif action == "erase":
    if vault.pop(request.strip(), None) is None:
        sys.exit("vault: nothing to erase")
elif action == "list":
    sys.stderr.write("vault: listing\\n")
    print(json.dumps({{server: user for server, (user, _) in vault.items()}}))
with open(path, "w") as file:
    json.dump(vault, file)
"""


def install(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def rules(env: dict[str, str], home: Path) -> Path:
    path = home / "rules.toml"
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    return path


@pytest.fixture
def bin_(env: dict[str, str], home: Path) -> Path:
    """A directory that is first on PATH."""
    env["PATH"] = f"{home}/bin:{env['PATH']}"
    return home / "bin"


@pytest.fixture
def vault(rules: Path, bin_: Path) -> Path:
    """The helper `vault` on PATH, and named as the fallback."""
    rules.write_text('[fallback]\nhelper = "vault"\n')
    return install(bin_, "vault", VAULT)


def login(server: str = ELSEWHERE, user: str = "me", secret: str = "mine") -> str:
    return login_of(secret, server=server, user=user)


def test_a_fallback_that_is_no_program_of_this_machine(
    helper: Helper, rules: Path, bin_: Path
) -> None:
    """A helper for another processor is named, with the system's reason."""
    rules.write_text('[fallback]\nhelper = "vault"\n')
    path = install(bin_, "vault", "\x7fELF of another machine")
    answer = helper.get(ELSEWHERE)
    assert answer.status == 1
    assert answer.stdout == f'cannot run the fallback helper "{path}": Exec format error\n'
    assert "hint: check that it is a program for this machine, and executable" in answer.stderr


def test_a_login_goes_to_the_fallback_and_back(helper: Helper, vault: Path, home: Path) -> None:
    """store, get and erase of another registry are the fallback's, to the byte."""
    assert helper("store", stdin=login()).status == 0
    assert json.loads((home / "vault.json").read_text()) == {ELSEWHERE: ["me", "mine"]}
    for url in (ELSEWHERE, f"{ELSEWHERE}\n"):
        theirs = subprocess.run(
            [vault, "get"], input=url.encode(), capture_output=True, env=helper.env, check=True
        )
        ours = helper("get", stdin=url)
        assert (ours.status, ours.stdout, ours.stderr) == (0, theirs.stdout.decode(), "")
    assert helper("erase", stdin=ELSEWHERE).status == 0
    assert json.loads((home / "vault.json").read_text()) == {}
    assert helper("get", stdin=ELSEWHERE).stdout == "credentials not found in native keychain\n"


@pytest.mark.parametrize(
    "url", [f"http://{ELSEWHERE}", f"https://{ELSEWHERE}/v1/", "https://index.docker.io/v1/", "a b"]
)
def test_every_other_server_is_the_fallbacks(helper: Helper, vault: Path, url: str) -> None:
    """Also what no token of ours could go to: another scheme, a path, a space."""
    assert helper("store", stdin=login(url)).status == 0
    assert json.loads(helper("get", stdin=url).stdout)["Secret"] == "mine"
    assert helper("erase", stdin=url).status == 0


def test_errors_pass_through(helper: Helper, vault: Path) -> None:
    """The fallback's exit code, stdout and stderr arrive as they are."""
    done = helper("store", stdin=login(user="nobody"))
    assert (done.status, done.stdout, done.stderr) == (
        7,
        "no such user\n",
        "vault: caf\u00e9 is closed\n",
    )
    done = helper("erase", stdin="unknown.example.com")
    assert (done.status, done.stdout, done.stderr) == (1, "", "vault: nothing to erase\n")


def test_ecr_is_ours(helper: Helper, vault: Path, home: Path, aws: FakeAWS) -> None:
    """For an ECR host the fallback is not even asked."""
    (vault).write_text("#!/bin/sh\ntouch $HOME/asked\nexit 3\n")
    assert helper.get().status == 0
    assert helper("store", stdin=login(HOST, "AWS", "a-login")).status == 0
    assert helper("erase", stdin=HOST).status == 0
    assert not (home / "asked").exists()


def test_list_is_the_union(helper: Helper, vault: Path, aws: FakeAWS) -> None:
    """List names our tokens and the fallback's logins, and keeps stderr quiet."""
    helper("store", stdin=login())
    helper.get()
    done = helper("list")
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {HOST: "AWS", ELSEWHERE: "me"}


@pytest.mark.parametrize("answer", ["exit 1", "echo not json", "echo []", "echo null", ":"])
def test_list_survives_the_fallback(helper: Helper, vault: Path, aws: FakeAWS, answer: str) -> None:
    """List cannot fail: whatever the fallback does, our tokens are named."""
    vault.write_text(f"#!/bin/sh\n{answer}\n")
    helper.get()
    done = helper("list")
    assert (done.status, json.loads(done.stdout)) == (0, {HOST: "AWS"})


def test_a_helper_that_is_killed(helper: Helper, vault: Path) -> None:
    """A fallback that dies of a signal ends as shells say it."""
    vault.write_text("#!/bin/sh\nkill -9 $$\n")
    assert helper("get", stdin=ELSEWHERE).status == 137


def refusal(done: Run, action: str = "get") -> list[str]:
    """Return the reason and hints of a fallback that could not be asked."""
    assert done.status == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("docker-credential-ecr: error: ")
    assert all(line.startswith("docker-credential-ecr: hint: ") for line in lines[1:])
    reason = lines[0].removeprefix("docker-credential-ecr: error: ")
    assert done.stdout == f"{reason}\n"
    return [reason, *lines[1:]]


def test_a_missing_helper(helper: Helper, rules: Path) -> None:
    """A fallback that is not installed is named, with what to do."""
    rules.write_text('[fallback]\nhelper = "nowhere"\n')
    reason, hint = refusal(helper("get", stdin=ELSEWHERE))
    assert reason == 'the fallback helper "docker-credential-nowhere" is not on PATH'
    assert "install docker-credential-nowhere" in hint
    assert refusal(helper("store", stdin=login()))[0] == reason
    assert helper("list").stdout == "{}\n"


def test_a_helper_that_cannot_run(helper: Helper, rules: Path, bin_: Path) -> None:
    """A fallback that is no program for this machine is named."""
    rules.write_text('[fallback]\nhelper = "broken"\n')
    path = install(bin_, "broken", "#!/nonexistent/interpreter\n")
    reason, _ = refusal(helper("get", stdin=ELSEWHERE))
    assert reason == f'cannot run the fallback helper "{path}": No such file or directory'


@pytest.mark.parametrize("name", ["ecr", "link", "wrapper"])
def test_itself_is_refused(
    helper: Helper, rules: Path, bin_: Path, env: dict[str, str], name: str
) -> None:
    """Delegating to ourselves is refused: by name, by a link, by a program that calls us."""
    rules.write_text(f'[fallback]\nhelper = "{name}"\n')
    bin_.mkdir()
    if name == "link":
        (bin_ / "docker-credential-link").symlink_to(EXECUTABLE)
    elif name == "wrapper":
        install(bin_, name, f'#!/bin/sh\nexec "{EXECUTABLE}" "$@"\n')
    else:
        env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    done = helper("get", stdin=ELSEWHERE)
    reason, _ = refusal(done)
    assert reason == (
        f'the fallback helper "docker-credential-{name}" leads back to docker-credential-ecr'
    )


@pytest.mark.parametrize("name", ["../vault", "/bin/vault", "a b", ""])
def test_a_path_is_refused(helper: Helper, vault: Path, rules: Path, name: str) -> None:
    """The fallback is found on PATH by its name, and never by a path."""
    rules.write_text(f'[fallback]\nhelper = "{name}"\n')
    reason, *_ = refusal(helper("get", stdin=ELSEWHERE))
    assert '"helper" in [fallback]' in reason


def test_the_docker_credential_pass(
    helper: Helper, rules: Path, env: dict[str, str], home: Path
) -> None:
    """Docker's own helper over pass and GnuPG keeps a login, and gives it back."""
    for name in ("docker-credential-pass", "pass", "gpg"):
        need(name)
    rules.write_text('[fallback]\nhelper = "pass"\n')
    # A socket's path is short, and the home of a test is not.
    folder = Path(f"/tmp/gpg-{os.getpid()}")
    folder.mkdir(mode=0o700)
    env["GNUPGHOME"] = str(folder)
    try:
        new_key = "gpg --batch --quick-gen-key --passphrase".split()
        for argv in ([*new_key, "", "tests"], ["pass", "init", "tests"]):
            subprocess.run(argv, env=helper.env, check=True, capture_output=True)
        assert helper("store", stdin=login(f"https://{ELSEWHERE}")).status == 0
        answer = helper("get", stdin=f"https://{ELSEWHERE}")
        assert json.loads(answer.stdout)["Secret"] == "mine"
        assert json.loads(helper("list").stdout) == {f"https://{ELSEWHERE}": "me"}
        assert any((home / ".password-store").rglob("*.gpg"))
        assert helper("erase", stdin=f"https://{ELSEWHERE}").status == 0
        assert not any((home / ".password-store").rglob("*.gpg"))
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=helper.env, check=False)
        shutil.rmtree(folder)
