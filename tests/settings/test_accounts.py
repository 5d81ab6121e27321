"""AWS_ECR_ROLE_ARN_<account> and AWS_ECR_PROFILE_<account>: a rule where there is no file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    ACCOUNT,
    CALL,
    HOST,
    OTHER_ACCOUNT,
    OTHER_REGION,
    PUBLIC,
    Helper,
    entries,
    write,
)

OTHER = OTHER_ACCOUNT.partition(".")[0]
ROLE_VARIABLE = f"AWS_ECR_ROLE_ARN_{ACCOUNT}"
PROFILE_VARIABLE = f"AWS_ECR_PROFILE_{ACCOUNT}"
PULLER = f"arn:aws:iam::{ACCOUNT}:role/puller"


def profiles(home: Path, *names: str) -> None:
    """Write profiles whose access keys have their names."""
    sections = [
        f"[{name}]\naws_access_key_id = AKIA{name}\naws_secret_access_key = secret\n"
        for name in names
    ]
    write(home / ".aws" / "credentials", "".join(sections))


def rules(home: Path, text: str) -> None:
    write(home / ".config" / "docker-credential-ecr" / "config.toml", text)


def callers(aws: FakeAWS) -> list[str]:
    """Return whose key each call for a token had."""
    return [call.access_key for call in aws.calls if call.operation == CALL]


def test_a_role_for_an_account(aws: FakeAWS, helper: Helper) -> None:
    """The role is assumed for every registry of that account, and for no other account's."""
    helper.env[ROLE_VARIABLE] = PULLER

    for host in (HOST, OTHER_REGION, OTHER_ACCOUNT):
        assert helper.get(host).secret

    assumed = [call for call in aws.calls if call.operation == "AssumeRole"]
    assert len(assumed) == 2
    assert [who.endswith("puller") for who in callers(aws)] == [True, True, False]


def test_a_profile_for_an_account(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """The profile answers for that account; with both variables it assumes the role."""
    profiles(home, "dev")
    helper.env[PROFILE_VARIABLE] = "dev"
    assert helper.get().secret
    assert callers(aws) == ["AKIAdev"]

    helper.env[ROLE_VARIABLE] = PULLER
    assert helper.get().secret
    (assumed,) = (call for call in aws.calls if call.operation == "AssumeRole")
    assert assumed.access_key == "AKIAdev"


def test_before_the_rules_of_the_file(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """The variables choose who asks; where a name leads, and which endpoint is asked, stays."""
    profiles(home, "file", "variable")
    rules(
        home,
        f'[[registry]]\nmatch = "images.example.com"\nregistry = "{HOST}"\nprofile = "file"\n'
        f'endpoint_url = "{aws.url.replace("127.0.0.1", "localhost")}"\n',
    )
    helper.env[PROFILE_VARIABLE] = "variable"

    assert helper.get("images.example.com").secret

    (call,) = (call for call in aws.calls if call.operation == CALL)
    assert (call.access_key, call.host.partition(":")[0]) == ("AKIAvariable", "localhost")


@pytest.mark.parametrize("name", [ROLE_VARIABLE, PROFILE_VARIABLE])
def test_they_are_conditions_of_the_entry(
    aws: FakeAWS, helper: Helper, home: Path, name: str
) -> None:
    """Set, changed or unset, the entry of before no longer serves; each has its own, and comes back."""
    profiles(home, "one", "two")
    first, second = (
        ("one", "two") if name == PROFILE_VARIABLE else (PULLER, PULLER.replace("puller", "other"))
    )
    said = [helper.get(env={name: value}).secret for value in (None, first, second)]

    assert len(set(said)) == 3
    assert [helper.get(env={name: value}).secret for value in (None, first, second)] == said
    assert len(callers(aws)) == 3


def test_only_where_they_matter(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """An entry knows the two variables of its own account and no other's; a public one, none."""
    helper.env[f"AWS_ECR_PROFILE_{OTHER}"] = ""
    for host in (HOST, PUBLIC):
        assert helper.get(host).secret
    lines = entries(cache)[0].read_text().splitlines()
    public = entries(cache, PUBLIC)[0].read_text()

    assert [line for line in lines if ACCOUNT in line and line.startswith("unset")] == [
        f"unset {ROLE_VARIABLE}",
        f"unset {PROFILE_VARIABLE}",
    ]
    assert OTHER not in "".join(lines)
    assert "AWS_ECR_PROFILE_" not in public


def test_a_copy_has_the_conditions_of_its_own_account(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path
) -> None:
    """A token that another account's registry shares no longer serves once that account has a role."""
    profiles(home, "dev")
    shared = helper.get(HOST).secret
    assert helper.get(OTHER_ACCOUNT).secret == shared
    assert len(callers(aws)) == 1
    copy = entries(cache, OTHER_ACCOUNT)[0].read_text()
    assert f"unset AWS_ECR_PROFILE_{OTHER}\n" in copy
    assert PROFILE_VARIABLE not in copy

    own = {f"AWS_ECR_PROFILE_{OTHER}": "dev"}
    assert helper.get(OTHER_ACCOUNT, env=own).secret != shared
    assert helper.get(HOST, env=own).secret == shared
    assert callers(aws)[-1] == "AKIAdev"


@pytest.mark.parametrize(
    ("name", "value"), [(ROLE_VARIABLE, "SECRET-CANARY"), (PROFILE_VARIABLE, "a\tb")]
)
def test_a_value_that_cannot_be(aws: FakeAWS, helper: Helper, name: str, value: str) -> None:
    """What is no role, or no name, is refused by the variable's name; it is not shown."""
    done = helper.get(env={name: value})
    assert done.status == 1
    assert f'"{name}"' in done.stderr
    assert value not in done.stderr + done.stdout
    assert aws.requests == 0
    assert helper.get(OTHER_ACCOUNT, env={name: value}).secret


def test_status_and_doctor_name_them(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """Both say who answers for the account, and doctor by which variable."""
    profiles(home, "dev")
    helper.env[PROFILE_VARIABLE] = "dev"
    assert helper.get().secret

    (entry,) = json.loads(helper("status", "--json").stdout)
    assert entry["identity"] == "profile=dev"
    found = json.loads(helper("doctor", "--offline", "--json", HOST).stdout)["checks"]
    (config,) = (check for check in found if check["name"] == "config")
    assert f'{PROFILE_VARIABLE} answers for "{HOST}", with profile=dev' in config["message"]
    assert config["state"] == "ok"


MISNAMED = [
    "AWS_ECR_ROLE_ARN_21098765432",
    "AWS_ECR_PROFILE_1234-5678-9012",
    "AWS_ECR_ROLE_ARN_",
    "AWS_ECR_PROFILE_dev",
]


@pytest.mark.parametrize("name", MISNAMED)
def test_a_variable_for_no_account(aws: FakeAWS, helper: Helper, name: str) -> None:
    """Nobody is asked with the default identity in its place; what is on disk is served, as ever."""
    value = {name: PULLER}
    for host in (HOST, PUBLIC):
        done = helper.get(host, env=value)
        assert done.status == 1
        assert f'"{name}" does not end with an account, which has 12 digits' in done.stderr
    assert aws.requests == 0
    assert helper.get(env={name: ""}).secret
    assert helper.get(env=value).secret


def variables(helper: Helper, *arguments: str) -> list[tuple[str, str, list[str]]]:
    """Return doctor's findings on our variables; no other check repeats an error of theirs."""
    run = helper("doctor", "--offline", "--json", *arguments)
    checks = json.loads(run.stdout)["checks"]
    found = [check for check in checks if check["name"] == "variables"]
    wrong = any(check["state"] == "error" for check in found)
    config = [check for check in checks if check["name"] in ("config", "registry name")]
    assert all(check["state"] in ("ok", "skipped") for check in config)
    assert not wrong or run.status == 1
    return [(check["state"], check["message"], check["hints"]) for check in found]


@pytest.mark.parametrize("name", MISNAMED)
def test_doctor_does_not_call_a_variable_for_no_account_valid(helper: Helper, name: str) -> None:
    """It is an error that names the variable, and how one is named."""
    helper.env[name] = PULLER
    ((state, said, (hint,)),) = variables(helper, HOST)
    assert state == "error"
    assert said == f'"{name}" does not end with an account, which has 12 digits'
    assert "_123456789012, or unset it" in hint


def test_doctor_does_not_call_a_wrong_role_valid(helper: Helper) -> None:
    """What is no role is the one finding on our variables, for whatever account it is."""
    for account in (ACCOUNT, OTHER):
        name = f"AWS_ECR_ROLE_ARN_{account}"
        helper.env[name] = "SECRET-CANARY"
        ((state, said, _),) = variables(helper, HOST)
        assert (state, said) == ("error", f'"{name}" is not the ARN of an IAM role')
        del helper.env[name]


def test_doctor_names_a_variable_that_is_not_ours(helper: Helper) -> None:
    """One that is nearly ours is a warning with the right name; another program's is only named."""
    for name, meant in (
        ("AWS_ECR_TIMOUT", "AWS_ECR_TIMEOUT"),
        ("AWS_ECR_PROFILE", "AWS_ECR_PROFILE_123456789012"),
        ("AWS_ECR_ROLE_ARNS_210987654321", "AWS_ECR_ROLE_ARN_123456789012"),
    ):
        helper.env[name] = "40"
        ((state, said, (hint,)),) = variables(helper, HOST)
        del helper.env[name]
        assert state == "warning"
        assert said == f'"{name}" is no variable of this program: it is not read'
        assert hint.startswith(f"name it {meant}, or run: ")
    helper.env["AWS_ECR_REGISTRY"] = HOST
    ((state, said, _),) = variables(helper, HOST)
    assert state == "ok"
    assert said.endswith('; not ours, and not read: "AWS_ECR_REGISTRY"')


def test_doctor_knows_every_variable_of_the_readme(helper: Helper) -> None:
    """None that README explains is called a stranger."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    named = set(re.findall(r"`(AWS_ECR_[A-Z_]+[A-Z])`", readme))
    assert len(named) > 8
    words = {"AWS_ECR_BACKGROUND_REFRESH": "true", "AWS_ECR_LOG_FORMAT": "json"}
    words |= {"AWS_ECR_IGNORE_CREDS_STORAGE": "false", "AWS_ECR_LOG": "-"}
    words |= {"AWS_ECR_NODE_IDENTITY": "false"}
    for name in named - {"AWS_ECR_CONFIG_FILE"}:
        helper.env[name] = words.get(name, "40" if name == "AWS_ECR_TIMEOUT" else "/tmp/x")
    ((state, said, _),) = variables(helper, HOST)
    assert (state, said) == ("ok", "each of ours is valid, or not set")
