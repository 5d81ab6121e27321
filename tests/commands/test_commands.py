"""status, token, refresh, completion; and what all commands share: help, voice, man page."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, EXECUTABLE, HOST, TREE, Helper, login, need, until

from docker_credential_ecr import ACTIONS, __version__
from docker_credential_ecr.commands import NAMES

MAN = TREE / "packaging" / "man" / "docker-credential-ecr.1"
NEIGHBOUR = "222222222222.dkr.ecr.us-east-1.amazonaws.com"  # of the same region
ABROAD = "333333333333.dkr.ecr.eu-west-1.amazonaws.com"


def on_terminal(helper: Helper, *arguments: str) -> str:
    """Return what a command says on stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [EXECUTABLE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=helper.environment(),
        check=False,
    )
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:
        pass  # Linux says EIO where the other end is closed
    os.close(ours)
    assert done.returncode == 0, said
    return said.decode().replace("\r\n", "\n")


# status


def test_status_of_nothing(helper: Helper) -> None:
    """An empty cache is no failure."""
    assert (helper("status").status, helper("status").stdout) == (0, "no tokens on disk\n")
    assert helper("status", "--json").stdout == "[]\n"
    assert helper("status", env={"AWS_ECR_DISABLE_CACHE": "1"}).stdout == "no tokens on disk\n"


def test_status_is_a_table(helper: Helper, aws: FakeAWS, home: Path) -> None:
    """Two lines for each token: registry; identity, age, when it will be renewed, when it ends."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("[default]\noutput = json\n")
    helper.get()
    helper.get(ABROAD, env={"AWS_PROFILE": "default", "AWS_ACCESS_KEY_ID": "AKIAOTHER"})
    done = helper("status")
    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.split(r" {2,}", lines[0]) == ["", "IDENTITY", "AGE", "NEXT RENEWAL", "ENDS"]
    # The second was fetched with another key: it is not what Docker gets here now.
    assert (lines[1], lines[3]) == (f"* {HOST}", f"  {ABROAD}")
    _, identity, age, renewal, end = re.split(r" {2,}", lines[2])
    assert identity == "key=...TEST env"
    assert re.fullmatch(r"\d+ s", age)
    assert re.fullmatch(r"in [4-8] h \d+ min", renewal)
    assert end in ("in 11 h 59 min", "in 12 h 0 min")
    assert lines[4].startswith("    profile=default env  ")


def test_status_as_json(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """--json has the same for machines, with the times of the entry itself."""
    helper.get()
    (token,) = json.loads(helper("status", "--json").stdout)
    (entry,) = (cache / HOST).iterdir()
    lines = dict(line.split(" ", 1) for line in entry.read_text().splitlines()[1:6])
    times = {name: int(lines[name]) for name in ("issued", "refresh", "renew", "expires")}
    assert token == {
        "registry": HOST,
        "identity": "key=...TEST",
        "source": "env",
        "account": "123456789012",
        "region": "us-east-1",
        "served": True,
        **times,
    }


def test_status_of_an_old_token(helper: Helper, aws: FakeAWS) -> None:
    """A token that has ended is shown as such, and not as one that Docker gets."""
    helper.get()
    faketime = need("faketime")
    _, name, row = helper("status", wrap=(faketime, "-f", "+10h")).stdout.splitlines()
    assert name == f"* {HOST}"
    assert re.search(r"  (10 h 0|9 h 59) min  at the next pull  in (1 h 59|2 h 0) min$", row)
    _, name, row = helper("status", wrap=(faketime, "-f", "+13h")).stdout.splitlines()
    assert name == f"  {HOST}"
    assert re.search(r" min  - +ended$", row)


def test_status_names_what_chose_the_identity(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path
) -> None:
    """A rule, a profile, a login: each is named, and a mapped name has the region of its token."""
    path = home / "rules.toml"
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    role = "arn:aws:iam::123456789012:role/puller"
    path.write_text(
        f'[[registry]]\nmatch = "images.example.com"\nregistry = "{ABROAD}"\n'
        f'role_arn = "{role}"\nexternal_id = "canary"\n'
    )
    helper.get("images.example.com")
    helper("store", stdin=login("my-own-login"))
    tokens = {token["registry"]: token for token in json.loads(helper("status", "--json").stdout)}
    mapped = tokens["images.example.com"]
    assert mapped["identity"].startswith(f"role={role} external-id=")
    assert (mapped["account"], mapped["region"]) == ("", "eu-west-1")
    assert tokens[HOST]["source"] == "docker login"
    assert "canary" not in helper("status").stdout


def test_status_never_shows_a_secret(helper: Helper, aws: FakeAWS) -> None:
    """Neither form holds the token, nor any part of it, nor a key."""
    secret = helper.get().secret
    for done in (helper("status"), helper("status", "--json")):
        assert not any(secret[i : i + 12] in done.stdout for i in range(0, len(secret) - 12, 12))
        assert "AKIATEST" not in done.stdout
        assert "CANARY" not in done.stdout


# token


def test_token_in_three_forms(helper: Helper, aws: FakeAWS) -> None:
    """The plain form is base64 of AWS:password, --header the whole header, --password the secret."""
    secret = helper.get().secret
    basic = base64.b64encode(f"AWS:{secret}".encode()).decode()
    for arguments, expected in (
        ((HOST,), basic),
        (("--header", HOST), f"Authorization: Basic {basic}"),
        (("--password", f"https://{HOST}/v2/"), secret),
    ):
        done = helper("token", *arguments)
        assert (done.status, done.stdout, done.stderr) == (0, f"{expected}\n", "")
    assert aws.requests == 1


def test_token_of_the_default_registry(helper: Helper, aws: FakeAWS, env: dict[str, str]) -> None:
    """Without a registry, it is that of the caller's account in the caller's region."""
    env["AWS_DEFAULT_REGION"] = "eu-west-1"
    password = helper("token", "--password").stdout.strip()
    assert aws.issued[password] == ("AKIATEST", "eu-west-1")
    assert aws.count("GetCallerIdentity") == 1
    (token,) = json.loads(helper("status", "--json").stdout)
    assert token["registry"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def test_token_without_a_region(helper: Helper, aws: FakeAWS) -> None:
    """Without a region there is no default registry, and nothing on stdout."""
    done = helper("token")
    assert (done.status, done.stdout) == (1, "")
    assert "error: no AWS region is configured" in done.stderr
    assert "hint: name the registry, or set AWS_REGION" in done.stderr


@pytest.mark.parametrize("registry", ["docker.io", "a b", f"http://{HOST}"])
def test_token_of_what_is_not_ours(helper: Helper, aws: FakeAWS, registry: str) -> None:
    """A host that is not ECR, or not named safely, is refused without a request."""
    done = helper("token", registry)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("docker-credential-ecr: error: ")
    assert aws.requests == 0


def test_token_that_aws_refuses(helper: Helper, aws: FakeAWS) -> None:
    """A refusal leaves stdout empty: a pipe must not take a sentence for a token."""
    aws.fault("GetAuthorizationToken", status=400, code="AccessDeniedException")
    done = helper("token", "--header", HOST)
    assert (done.status, done.stdout) == (1, "")
    assert "ecr:GetAuthorizationToken" in done.stderr


def test_a_token_that_is_due_is_renewed_behind(helper: Helper, aws: FakeAWS) -> None:
    """Token answers from the disk as get does, and as get does has what is due renewed."""
    old = helper("token", "--password", HOST).stdout
    later = ("-f", "+9h")
    assert helper("token", "--password", HOST, wrap=(need("faketime"), *later)).stdout == old
    until(lambda: aws.count(CALL) == 2)


# refresh


def test_refresh_all_that_are_known(helper: Helper, aws: FakeAWS, home: Path) -> None:
    """Without arguments: every host with a token, and every one in credHelpers; quiet without a tty."""
    old = {host: helper.get(host).secret for host in (HOST, ABROAD)}
    (home / ".docker").mkdir()
    helpers = {NEIGHBOUR: "ecr", "quay.io": "other", "not-ours.example.com": "ecr"}
    (home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": helpers}))
    aws.reset()
    done = helper("refresh")
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    # Two regions, two calls; the neighbour shares.
    assert sorted(call.region for call in aws.calls) == ["eu-west-1", "us-east-1"]
    for host, secret in old.items():
        assert helper.get(host).secret != secret
    assert helper.get(NEIGHBOUR).secret == helper.get(HOST).secret
    assert aws.requests == 2


def test_refresh_what_is_named(helper: Helper, aws: FakeAWS) -> None:
    """With arguments, those and no others."""
    old = {host: helper.get(host).secret for host in (HOST, ABROAD)}
    assert helper("refresh", HOST).status == 0
    assert helper.get(HOST).secret != old[HOST]
    assert helper.get(ABROAD).secret == old[ABROAD]


def test_refresh_goes_on_after_a_failure(helper: Helper, aws: FakeAWS) -> None:
    """One registry that fails is reported with exit code 1, and the others are renewed."""
    helper.get(HOST)
    old = helper.get(ABROAD).secret
    aws.fault("GetAuthorizationToken", status=400, code="AccessDeniedException", times=1)
    done = helper("refresh")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("docker-credential-ecr: error: ")
    assert done.stderr.count("error:") == 1
    assert f'"{HOST}"' in done.stderr
    assert helper.get(ABROAD).secret != old


def test_refresh_shows_progress_on_a_terminal(helper: Helper, aws: FakeAWS) -> None:
    """On a terminal there is a line for each registry."""
    first, *waiting, last = on_terminal(helper, "refresh", HOST).splitlines()
    assert first == f"docker-credential-ecr: {HOST}: asking AWS"
    assert re.fullmatch(rf"docker-credential-ecr: {HOST}: renewed, valid for 1[12] h \d+ min", last)
    assert all(": still " in line for line in waiting)  # a machine that is slow says so after 2 s
    assert helper("erase", stdin=HOST).status == 0
    said = on_terminal(helper, "refresh")
    assert said == "docker-credential-ecr: no registry is known yet: name one\n"


def test_refresh_of_nothing(helper: Helper, aws: FakeAWS) -> None:
    """A timer that runs before the first pull has nothing to say."""
    done = helper("refresh")
    assert (done.status, done.stdout, done.stderr, aws.requests) == (0, "", "", 0)


def test_refresh_needs_a_cache(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """Without a cache there is nothing to refresh; one that cannot be written is named."""
    done = helper("refresh", HOST, env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert done.status == 1
    assert "unset AWS_ECR_DISABLE_CACHE" in done.stderr
    cache.parent.mkdir()
    cache.write_text("in the way")
    done = helper("refresh", HOST)
    assert done.status == 0
    assert f'warning: the new token for "{HOST}" could not be kept below "{cache}"' in done.stderr
    assert f"docker-credential-ecr doctor {HOST}" in done.stderr


def test_refresh_leaves_a_login(helper: Helper, aws: FakeAWS) -> None:
    """A login of the user's own still answers after a refresh: that is said."""
    helper("store", stdin=login("my-own-login"))
    done = helper("refresh")
    assert done.status == 0
    assert f'warning: a login of your own still answers for "{HOST}"' in done.stderr
    assert f"docker logout {HOST}" in done.stderr


def test_refresh_survives_a_broken_docker_file(helper: Helper, aws: FakeAWS, home: Path) -> None:
    """Docker's file is only one of the places: broken, it is reported, and the rest goes on."""
    old = helper.get().secret
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text("{")
    done = helper("refresh")
    assert "is not valid JSON" in done.stderr
    assert helper.get().secret != old


# What all share.


def test_nothing_is_usage(helper: Helper) -> None:
    """Without a word there is the usage on stdout and exit code 1, as from Docker's helpers."""
    done = helper()
    assert (done.status, done.stderr) == (1, "")
    assert done.stdout.startswith("usage: docker-credential-ecr <get|store|erase|list|version>")


@pytest.mark.parametrize(
    ("word", "reason", "hint"),
    [
        (
            "confgure",
            '"confgure" is not a command',
            "did you mean: docker-credential-ecr configure",
        ),
        ("lst", '"lst" is not a command', "did you mean: docker-credential-ecr list"),
        ("Doctor", '"Doctor" is not a command', "did you mean: docker-credential-ecr doctor"),
        ("frobnicate", '"frobnicate" is not a command', "see: docker-credential-ecr --help"),
        (
            "--verison",
            '"--verison" is not an option',
            "did you mean: docker-credential-ecr --version",
        ),
        ("https://u:CANARY@h?t=CANARY", "what you typed is not a command", "see: "),
    ],
)
def test_a_word_that_is_no_command(helper: Helper, word: str, reason: str, hint: str) -> None:
    """It is named, with the nearest one; what may hold a secret is not shown."""
    done = helper(word, HOST)
    assert (done.status, done.stdout) == (1, "")
    error, *hints = done.stderr.splitlines()
    assert error == f"docker-credential-ecr: error: {reason}"
    assert hints[0].startswith(f"docker-credential-ecr: hint: {hint}")
    assert "CANARY" not in done.stderr


def test_an_action_takes_no_argument(helper: Helper) -> None:
    """What Docker sends on stdin is not taken from the command line: that is said."""
    done = helper("get", HOST)
    assert (done.status, done.stdout) == (1, "")
    assert '"get" takes no argument' in done.stderr
    assert "echo HOST | docker-credential-ecr get" in done.stderr


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_version(helper: Helper, flag: str) -> None:
    """--version says program and version."""
    done = helper(flag)
    assert (done.status, done.stdout) == (0, f"docker-credential-ecr {__version__}\n")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(helper: Helper, name: str) -> None:
    """--help is on stdout, 80 columns wide, ends with an example of that very command."""
    done = helper(name, "--help", env={"COLUMNS": "200"})
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: docker-credential-ecr {name}")
    assert max(map(len, done.stdout.splitlines())) <= 80
    _, _, example = done.stdout.partition("\nexample:\n")
    assert f"docker-credential-ecr {name}" in example
    assert helper(name, "-h").stdout == done.stdout


def test_the_help_lists_every_command(helper: Helper) -> None:
    """--help names every command with its summary, and what programs call."""
    for flag in ("--help", "-h"):
        done = helper(flag)
        assert (done.status, done.stderr) == (0, "")
        for name in NAMES:
            assert re.search(rf"^  {name} +\w", done.stdout, re.MULTILINE)
        for name in (*ACTIONS, "kubelet"):
            assert name in done.stdout
        assert "\nexample:\n" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_misuse_speaks_with_our_voice(helper: Helper, name: str) -> None:
    """An unknown option is one error line and a hint on stderr, exit code 1."""
    done = helper(name, "--frobnicate")
    assert (done.status, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("docker-credential-ecr: error: ")
    assert not error.endswith(".")
    assert hint == f"docker-credential-ecr: hint: see: docker-credential-ecr {name} --help"


def test_nobody_listens(helper: Helper, aws: FakeAWS) -> None:
    """A reader that goes away is no defect: no traceback, no word."""
    for _ in range(3):
        helper.get()
    command = f"{EXECUTABLE} status | true"
    done = subprocess.run(
        ["sh", "-c", command], env=helper.environment(), capture_output=True, check=False
    )
    assert done.stderr == b""


def options_of(helper: Helper, name: str) -> set[str]:
    return set(
        re.findall(
            r"(?<![\w-])--?[a-z][a-z-]*", helper(name, "--help").stdout.partition("\nexample:")[0]
        )
    )


def test_the_man_page_says_what_help_says(helper: Helper) -> None:
    """Every command has its section, with exactly the options that --help has, and its arguments."""
    page = MAN.read_text().replace("\\-", "-")
    body = page.partition("\n.SH COMMANDS\n")[2].partition("\n.SH ")[0]
    sections = dict(part.split("\n", 1) for part in body.split("\n.SS ")[1:])
    assert list(sections)[: len(NAMES)] == list(NAMES)
    assert list(sections)[len(NAMES) :] == ["kubelet", ", ".join(ACTIONS)]
    synopsis = page.partition("\n.SH SYNOPSIS\n")[2].partition("\n.SH ")[0]
    for name in NAMES:
        documented = set(re.findall(r"^\.B (--[a-z-]+)$", sections[name], re.MULTILINE))
        # What an option is an example of: curl -H, --password-stdin of docker login.
        documented -= {"--password-stdin"}
        helped = options_of(helper, name) - {"-h", "--help", "-H", "--password-stdin"}
        assert documented == helped, name
        used = synopsis.partition(f"docker-credential-ecr {name}\n")[2].partition("\n.br")[0]
        assert set(re.findall(r"--[a-z-]+", used)) == helped, name
        usage = helper(name, "--help").stdout.partition("\n\n")[0]
        assert ("REGISTRY" in usage) == ("REGISTRY" in used), name
    assert set(re.findall(r"--[a-z-]+", body.partition("\n.SS ")[0])) == {"--help", "--version"}


def test_the_man_page_is_of_this_version() -> None:
    """The page's head has the version of the program."""
    assert f'"docker-credential-ecr {__version__}"' in MAN.read_text()


def test_the_man_page_knows_every_variable_and_key() -> None:
    """Every variable of ours that the code reads, and every key of config.toml, is explained."""
    import docker_credential_ecr
    from docker_credential_ecr import rule

    page = MAN.read_text()
    folder = Path(docker_credential_ecr.__file__).parent
    source = "".join(path.read_text() for path in folder.rglob("*.py"))
    for name in {*re.findall(r'"(AWS_ECR_[A-Z_]+)"', source), "DOCKER_CONFIG", "NO_COLOR"}:
        # One that an account's number completes is set as two words.
        said = f"\n.BI {name} ACCOUNT\n" if name.endswith("_") else f"\n.B {name}\n"
        assert said in page, name
    explained = "".join(
        re.findall(r"^\.BR? ([^\n]+)$", page.partition(".SH CONFIGURATION")[2], re.MULTILINE)
    )
    for key in (*rule.Rule.__slots__, "helper"):
        assert key in explained, key


def test_the_example_of_the_man_page_is_valid(tmp_path: Path) -> None:
    """The config.toml in the page is one that can be used."""
    from docker_credential_ecr import settings

    page = MAN.read_text().partition(".SH CONFIGURATION")[2]
    path = tmp_path / "config.toml"
    path.write_text(page.partition("\n.nf\n")[2].partition("\n.fi\n")[0])
    found = settings.load({"AWS_ECR_CONFIG_FILE": str(path)})
    assert (len(found.rules), found.fallback) == (3, "pass")


def test_the_man_page_is_well_formed() -> None:
    """Groff has nothing to complain of."""
    need("groff")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", str(MAN)], capture_output=True, check=True
    )
    assert done.stderr == b""


# completion

COMPLETIONS = {
    "bash": "docker-credential-ecr.bash",
    "zsh": "_docker-credential-ecr",
    "fish": "docker-credential-ecr.fish",
}


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_packaged_completions_are_current(helper: Helper, shell: str) -> None:
    """The files for packages are what the program prints."""
    done = helper("completion", shell)
    assert (done.status, done.stderr) == (0, "")
    packaged = TREE / "packaging" / "completion" / COMPLETIONS[shell]
    assert packaged.read_text() == done.stdout, (
        f"docker-credential-ecr completion {shell} >{packaged}"
    )


# What is typed, and what must be offered.
TYPED = [
    ("re", {"refresh"}),
    ("configure --", {"--all", "--remove", "--dry-run", "--help"}),
    ("doctor --o", {"--offline"}),
    ("token --p", {"--password"}),
    ("completion z", {"zsh"}),
    ("refresh 1234", {HOST}),
]


@pytest.mark.parametrize(("typed", "offered"), TYPED, ids=[typed for typed, _ in TYPED])
@pytest.mark.parametrize("shell", COMPLETIONS)
def test_shells_complete(
    helper: Helper,
    env: dict[str, str],
    aws: FakeAWS,
    home: Path,
    shell: str,
    typed: str,
    offered: set[str],
) -> None:
    """A real shell offers commands, options, and the registries with a token on disk."""
    need(shell)
    helper.get()
    env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    line = f"docker-credential-ecr {typed}"
    if shell == "bash":
        words = line.split(" ")
        array = " ".join(f"'{word}'" for word in words)
        script = (
            "source <(docker-credential-ecr completion bash)\n"
            f"COMP_WORDS=({array}) COMP_CWORD={len(words) - 1}\n"
            '_docker_credential_ecr\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        argv = ["bash", "--norc", "-c", script]
    elif shell == "fish":
        script = f"docker-credential-ecr completion fish | source\ncomplete -C'{line}'\n"
        argv = ["fish", "--no-config", "-c", script]
    else:
        (home / "complete.zsh").write_text(ZSH.replace("LINE", line))
        env["TERM"] = "xterm"
        argv = ["zsh", "-f", str(home / "complete.zsh")]
    done = subprocess.run(
        argv, env=helper.environment(), capture_output=True, check=False, timeout=60
    )
    found = {
        word.split("\t")[0].split(" ")[0].strip() for word in done.stdout.decode().splitlines()
    }
    assert offered <= found, (done.stdout, done.stderr)
    if typed != "configure --":
        assert found - {""} == offered


# zsh completes at a prompt only: one in a pseudo-terminal, where compadd writes down what it gets.
ZSH = """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; setopt no_beep; fpath=($HOME $fpath)'
zpty -w shell 'docker-credential-ecr completion zsh >$HOME/_docker-credential-ecr'
zpty -w shell 'autoload -Uz compinit; compinit -u -d $HOME/zcompdump'
zpty -w shell 'function compadd { local -a got; builtin compadd -O got "$@"; print -rl -- $got >>$HOME/got; builtin compadd "$@" }'
zpty -w shell 'function tried { zle expand-or-complete; print DONE$((1)) }; zle -N tried; bindkey ^T tried'
zpty -n -w shell $'LINE\\x14'
while zpty -r shell line; do [[ $line == *DONE1* ]] && break; done
cat $HOME/got
"""
