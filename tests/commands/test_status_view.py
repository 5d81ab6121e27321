"""What status shows on a terminal: 80 columns, no escape sequence, no renewal that never comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOST, Helper, login, write

ROLE = "arn:aws:iam::123456789012:role/puller"


@pytest.fixture
def profile(env: dict[str, str], aws: FakeAWS, home: Path) -> str:
    """A profile whose name clears the screen and rings the bell, and which is in use."""
    name = "\033[2J\007\u009b31m"
    write(
        home / ".aws" / "credentials",
        f"[{name}]\naws_access_key_id = AKIAPROD\naws_secret_access_key = CANARY\n",
    )
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    env["AWS_PROFILE"] = name
    return name


def test_no_escape_sequence_reaches_the_terminal(helper: Helper, profile: str) -> None:
    """The name of a profile is the user's, or who wrote the file's: its controls are not sent."""
    assert helper.get().status == 0
    said = helper("status").stdout
    assert "profile=?[2J?" in said
    assert said.replace("\n", "").isprintable()
    assert json.loads(helper("status", "--json").stdout)[0]["identity"] == f"profile={profile}"
    assert helper("status", "--json").stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-7", "us-gov-west-1"])
@pytest.mark.parametrize("form", ["dkr.ecr", "dkr.ecr-fips"])
def test_eighty_columns(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path, region: str, form: str
) -> None:
    """No line is wider than 80 columns with the longest hostnames and usual identities."""
    host = f"123456789012.{form}.{region}.amazonaws.com"
    if form.endswith("fips"):
        env["AWS_ENDPOINT_URL"] = ""  # FIPS does not go with an endpoint of the user's
        assert helper("store", stdin=login("my-own", server=host)).status == 0
    else:
        assert helper.get(host).status == 0
    said = helper("status").stdout
    assert host in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_long_identity_has_a_line_of_its_own(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path
) -> None:
    """The columns do not move for one long identity."""
    env["AWS_ECR_CONFIG_FILE"] = write(
        home / "rules.toml", f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\n'
    )
    assert helper.get().status == 0
    heading, name, identity, times = helper("status").stdout.splitlines()
    assert name == f"* {HOST}"
    assert identity.startswith(f"    role={ROLE}")
    assert times.startswith("     ")
    assert times[heading.index("ENDS") :].startswith("in ")


def test_a_login_has_no_renewal(helper: Helper, aws: FakeAWS) -> None:
    """A login of the user's own ends, and is not renewed before: neither form says otherwise."""
    assert helper("store", stdin=login("my-own-login")).status == 0
    heading, _, row = helper("status").stdout.splitlines()
    assert row[heading.index("NEXT RENEWAL") :].split()[0] == "-"
    (token,) = json.loads(helper("status", "--json").stdout)
    assert (token["refresh"], token["renew"]) == (None, None)
    assert token["expires"] > token["issued"]


def test_nothing_in_the_heading_is_past(helper: Helper, aws: FakeAWS) -> None:
    """The heading speaks of a renewal that comes, not of one that was."""
    assert helper.get().status == 0
    heading = helper("status").stdout.splitlines()[0]
    assert "NEXT RENEWAL" in heading
    assert "RENEWED" not in heading
