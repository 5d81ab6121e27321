"""No secret leaves by any way but the one: not on stderr, not in an error, not in a file's mode.

Every secret that the tests make has the word CANARY in it, and the token itself is known.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from canaries import SOURCES, Source
from fake_aws import FakeAWS
from kit import CALL, HOST, PUBLIC, ROLE, Helper, Run, write
from kit import login as login_of

from docker_credential_ecr import cache as tokens_on_disk
from docker_credential_ecr import errors
from docker_credential_ecr.rule import Mirror, Rule

FAULTS = [
    {"status": 400, "code": "AccessDeniedException", "message": "no, CANARY"},
    {"status": 400, "code": "SomethingNew", "message": "no, CANARY"},
    {"status": 503, "code": "ServiceUnavailable", "message": "no, CANARY"},
    {"status": 200, "body": b"CANARY"},
    {"status": 200, "body": b'{"message": "CANARY", "AccessKeyId": ["CANARY"]}'},
    {"status": 403, "body": b"<html>CANARY</html>"},
]


def outputs(answer: Run) -> str:
    return answer.stdout + answer.stderr


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_no_failure_shows_a_secret(
    aws: FakeAWS, helper: Helper, home: Path, source: Source, fault: dict[str, object]
) -> None:
    """Whatever the services answer, neither it nor what was sent to them is on any stream."""
    env = helper.env
    env.update(AWS_MAX_ATTEMPTS="1", AWS_ECR_TIMEOUT="10", AWS_METADATA_SERVICE_NUM_ATTEMPTS="1")
    source.set_up(env, home, aws)

    for call in [CALL, *source.calls]:
        if call == "ContainerCredentials" and fault["status"] != 403:
            continue  # botocore tries these for seconds, and says the same of all of them
        aws.reset()
        aws.fault(call, **fault)
        answer = helper.get()
        assert answer.status == 1
        assert "CANARY" not in outputs(answer)
        assert "Traceback" not in answer.stderr


def test_no_secret_but_the_token_reaches_the_disk(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path
) -> None:
    """What is kept is the token: no key, no session token, no container's token."""
    for source in SOURCES:
        env = helper.environment()
        source.set_up(env, home, aws)
        helper.env, before = env, helper.env
        assert helper.get().secret in aws.issued
        helper.env = before

    files = [path for path in cache.rglob("*") if path.is_file()]
    kept = [path.read_text() for path in files if path.parent.name == HOST]
    assert len(kept) == len(SOURCES)
    for path in files:
        text = path.read_text()
        assert "CANARY" not in text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_proxys_password_is_not_shown(aws: FakeAWS, helper: Helper) -> None:
    """User and password of a proxy, or of an endpoint, are left out of what is said."""
    del helper.env["AWS_ENDPOINT_URL"]
    answer = helper.get(env={"HTTPS_PROXY": "http://me:PROXY-CANARY@127.0.0.1:1"})
    assert "127.0.0.1:1" in answer.stdout
    assert "CANARY" not in outputs(answer)

    answer = helper.get(env={"AWS_ENDPOINT_URL": "http://me:CANARY@127.0.0.1:1/CANARY?CANARY"})
    assert answer.status == 1
    assert "CANARY" not in outputs(answer)


@pytest.mark.parametrize("action", ["get", "store", "erase"])
@pytest.mark.parametrize(
    "request_",
    [
        "CANARY",
        "https://me:CANARY@" + HOST,
        f"https://{HOST}?CANARY",
        "http://CANARY",
        json.dumps({"ServerURL": "", "Username": "AWS", "Secret": "CANARY"}),
        json.dumps({"ServerURL": HOST, "Username": "", "Secret": "CANARY"}),
        json.dumps({"ServerURL": HOST, "Username": "CANARY", "Secret": "CANARY"}),
        json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": "CANARY\n"}),
        json.dumps({"ServerURL": "ghcr.io", "Username": "AWS", "Secret": "CANARY"})[:-1],
    ],
)
def test_no_request_is_echoed(helper: Helper, action: str, request_: str) -> None:
    """What came on stdin may be a password: what cannot be used is not repeated."""
    answer = helper(action, stdin=request_)

    if action == "store" and "ServerURL" not in request_:
        assert answer.status == 1
    assert "CANARY" not in outputs(answer)


def test_a_defect_of_ours_shows_its_place_only(helper: Helper, tmp_path: Path) -> None:
    """An exception that nobody expected may quote a secret: its kind and place are said, no more."""
    write(tmp_path / "modules" / "botocore.py", "raise RuntimeError('CANARY')\n")
    env = {"PYTHONPATH": str(tmp_path / "modules"), "AWS_ACCESS_KEY_ID": "AKIATEST"}

    answer = helper.get(env=env)

    assert answer.status == 1
    assert answer.stdout == 'defect: "RuntimeError" at "botocore.py:1"\n'
    assert "hint: report it" in answer.stderr
    assert "CANARY" not in outputs(answer)
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["status"],
        ["status", "--json"],
        ["doctor", "--offline", HOST],
        ["doctor", "--json", "--offline", HOST],
        ["refresh"],
        ["list"],
        ["version"],
        ["token", "ghcr.io"],
        ["--help"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_no_command_shows_a_secret(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, argv: list[str]
) -> None:
    """What people type shows neither a token on disk nor what the environment holds."""
    write(
        home / ".aws" / "credentials",
        "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = CANARY\n",
    )
    env = {"AWS_SESSION_TOKEN": "SESSION-CANARY", "HTTPS_PROXY": "http://me:CANARY@127.0.0.1:1"}
    secret = helper.get(env=env).secret
    login = aws.new_password("AKIALOGIN", "us-east-1")
    assert helper("store", stdin=login_of(login, server=PUBLIC)).status == 0

    said = outputs(helper(*argv, env=env))

    assert "CANARY" not in said
    for hidden in (secret, login, *aws.issued):
        assert hidden not in said
        assert base64.b64encode(f"AWS:{hidden}".encode()).decode() not in said


def test_no_repr_shows_a_secret() -> None:
    """What a debugger or a log would print of a token, a rule or an error holds no secret."""
    token = tokens_on_disk.Token(
        host=HOST, secret="CANARY", issued=0, refresh=0, renew=0, expires=0, conditions=["env A=b"]
    )
    rule = Rule(HOST, role_arn=ROLE, external_id="CANARY")
    mirror = Mirror("docker.io", HOST, prefix="CANARY")
    error = errors.HelperError("reason", "hint")

    for thing in (token, rule, mirror, error):
        assert "CANARY" not in repr(thing)
        assert "CANARY" not in str(thing)
    assert "CANARY" not in rule.identity


def test_the_environment_of_a_fallback_is_not_widened(
    aws: FakeAWS, helper: Helper, home: Path
) -> None:
    """What another helper is given is the caller's environment, with one mark of ours."""
    program = write(home / "bin" / "docker-credential-other", "#!/bin/sh\nenv > $HOME/seen\n")
    os.chmod(program, 0o755)
    path = f"{home / 'bin'}:{helper.env['PATH']}"
    config = write(home / "config.toml", '[fallback]\nhelper = "other"\n')

    helper.get("ghcr.io", env={"PATH": path, "AWS_ECR_CONFIG_FILE": config})

    seen = dict(line.split("=", 1) for line in (home / "seen").read_text().splitlines())
    given = helper.environment({"PATH": path, "AWS_ECR_CONFIG_FILE": config})
    extra = set(seen) - set(given) - {"PWD", "_", "SHLVL", "OLDPWD"}
    assert extra == {"DOCKER_CREDENTIAL_ECR_FALLBACK"}
