"""The README is tested: every variable, every command and every sentence that it promises."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import TREE, Helper, without_keys

from docker_credential_ecr import ACTIONS, deadline, settings, tokens

PACKAGE = Path(tokens.__file__).parent
README = (TREE / "README.md").read_text("utf-8")
OURS = re.compile(r"\bAWS_ECR_[A-Z_]*[A-Z]\b")


def source() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading, without its head."""
    part = README.partition(f"\n{heading}\n")[2]
    assert part, f"no {heading}"
    rows = re.search(r"(?:^\|.*\|$\n)+", part, re.MULTILINE)
    assert rows is not None
    lines = rows[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_variable_is_documented() -> None:
    """Each AWS_ECR_ variable that the code reads has its row, and each row is of one that it reads."""
    rows = {name for row in table("## Environment") for name in OURS.findall(row[0])}

    assert rows == set(OURS.findall(source()))


def test_the_documented_defaults_are_the_codes() -> None:
    """The seconds and the values in the table are those of the code."""
    rows = {row[0].strip("`"): row[1] for row in table("## Environment")}

    assert f"{deadline.TIMEOUT:g} unless set" in rows["AWS_ECR_TIMEOUT"]
    assert f"1 to {deadline.TIMEOUT_LIMIT:g}" in rows["AWS_ECR_TIMEOUT"]
    assert "`~/.cache/docker-credential-ecr`" in rows["AWS_ECR_CACHE_DIR"]
    assert not tokens.renews_behind({"AWS_ECR_BACKGROUND_REFRESH": "false"})
    assert tokens.renews_behind({})


def test_every_command_is_documented(helper: Helper) -> None:
    """Each command that --help names has its row, with its options, and the protocol's are there."""
    listed = helper("--help").stdout
    rows = table("## Commands")
    named = {word for row in rows for word in re.findall(r"`([a-z]+)[` ]", row[0])}

    for action in ACTIONS:
        assert action in named
    for name in named - set(ACTIONS) - {"kubelet"}:
        assert name in listed
        text = helper(name, "--help")
        assert text.status == 0
        for row in rows:
            if row[0].startswith(f"`{name}"):
                for option in re.findall(r"--[a-z-]+", row[1]):
                    assert option in text.stdout, f"{name} {option}"


@pytest.mark.parametrize(
    "block",
    re.findall(r"```toml\n(.*?)```", README, re.DOTALL),
    ids=lambda block: block.splitlines()[0][:20],
)
def test_the_configuration_is_valid(tmp_path: Path, block: str) -> None:
    """The example of config.toml is accepted as it stands, and says what the text says."""
    path = tmp_path / "config.toml"
    path.write_text(block, "utf-8")

    loaded = settings.load({"AWS_ECR_CONFIG_FILE": str(path)})

    assert len(loaded.rules) == len(tomllib.loads(block)["registry"])
    rule = loaded.rule_for("123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    assert rule is not None
    assert rule.profile == "prod"
    assert loaded.fallback == "osxkeychain"


def test_the_sentences_are_the_programs(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """What the troubleshooting table quotes is what the program says in those cases."""
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    no_key = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[profile dev]\nsso_session = company\nsso_account_id = 123456789012\n"
        "sso_role_name = dev\n[sso-session company]\nsso_region = us-east-1\n"
        "sso_start_url = https://example.awsapps.com/start\n"
    )
    aws.fault("GetAuthorizationToken", code="AccessDeniedException")
    said = "".join(
        answer.stdout + answer.stderr
        for answer in (
            helper.get(host),
            helper.get(host, env=no_key),
            helper.get(host, env={**no_key, "AWS_PROFILE": "dev"}),
            helper.get(host.replace("ecr.", "ecr-fips.")),
            helper.get("ghcr.io"),
        )
    )
    quoted = [
        part
        for row in table("## When it does not work")
        for part in re.findall(r"`([^`]+)`", row[0])
    ]

    assert len(quoted) >= 5
    for sentence in quoted:
        if sentence != "no basic auth credentials":  # that is Docker's own
            for part in sentence.split("…"):
                assert part.strip() in said


def test_the_gitlab_job(aws: FakeAWS, helper: Helper, env: dict[str, str], home: Path) -> None:
    """The recipe's variables and commands, but for the installation: configured, and a token."""
    without_keys(env)
    job = README.partition("GitLab, with an ID token:")[2].partition("```\n")[0]
    token = home / "aws-token"
    for name, value in re.findall(r'^    (AWS_[A-Z_]+): "?([^"\n]+)"?$', job, re.MULTILINE):
        env[name] = value.replace("/tmp/aws-token", str(token))
    first, second, third = re.findall(r"^    - (.*)$", job, re.MULTILINE)
    env["AWS_TOKEN"] = "a.b.c"
    command = first.replace("/tmp/aws-token", str(token))
    subprocess.run(["sh", "-c", command], env=env, check=True)
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("a.b.c", 0o600)

    installed, _, configure = second.partition(" && ")
    program, *arguments = configure.split()
    assert (installed, program) == ("pip install docker-credential-ecr", "docker-credential-ecr")
    assert helper(*arguments).status == 0

    host = third.removeprefix("docker pull ").partition("/")[0]
    docker = json.loads((home / ".docker" / "config.json").read_text())
    assert docker["credHelpers"] == {host: "ecr"}
    assert helper.get(host).status == 0
    assert aws.count("AssumeRoleWithWebIdentity") == 2  # one asks who it is, one for the token


def test_the_recorded_terminal_is_of_these_commands() -> None:
    """The picture above the fold shows what make record runs now, the README's own two among it."""
    script = (TREE / "packaging" / "record.py").read_text("utf-8")
    session = re.findall(r'^    f?"([^"]+)",$', script.partition("SESSION = (")[2], re.MULTILINE)
    image = (TREE / "docs" / "session.svg").read_text("utf-8")
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    typed = re.findall(r'class="typed"[^>]*>\$ ([^<]+)<', image)

    commands = [
        line.replace("{HOST}", host).replace("{IMAGE}", f"{host}/app:1") for line in session
    ]
    assert typed == commands[: len(typed)]
    assert len(typed) == script.partition("SESSION = (")[2].partition("\n)")[0].count("\n    ")
    for line in re.findall(
        r"^\$ (docker.*)$", README.partition("```console")[2][:600], re.MULTILINE
    ):
        assert line in typed


def test_the_links_lead_somewhere() -> None:
    """Each link into the tree is to a file that is there."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", README):
        assert (TREE / target).exists(), target


def test_the_makes_targets_are_there() -> None:
    """Each make target that the README names exists, and make help lists it."""
    listed = subprocess.run(
        ["make", "-C", str(TREE), "--no-print-directory", "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in set(re.findall(r"`make ([a-z]+)`", README)):
        assert re.search(rf"make {target}\b", listed), target
