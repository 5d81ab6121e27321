"""What of botocore is loaded: the files that its own loader would choose, whatever their form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import botocore
import botocore.handlers
import botocore.loaders
import botocore.session
import pytest

from docker_credential_ecr.ecr import session

DATA = Path(botocore.__file__).parent / "data"
SERVICES = ("ecr", "ecr-public", "sts")
# Asks a session of ours where a request of ECR would go; botocore's data are in another folder.
WHERE = """
import os, sys
import botocore.awsrequest, botocore.loaders
botocore.loaders.Loader.BUILTIN_DATA_PATH = sys.argv[1]
from docker_credential_ecr.ecr import session
client = session.load(None, os.environ).create_client("ecr", region_name="eu-west-1")
def send(request, **_):
    print(request.url)
    raise SystemExit
client.meta.events.register("before-send", send)
client.get_authorization_token()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of botocore's data, for the services that are called."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in DATA.iterdir():
        if path.name in SERVICES or path.suffix == ".json":
            (folder / path.name).symlink_to(path)
    return folder


def where(data: Path, env: dict[str, str]) -> str:
    """Return the URL that a token is asked of."""
    env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY"}
    done = subprocess.run(
        [sys.executable, "-Pc", WHERE, str(data)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout.strip()


def test_partitions_of_another_form(data: Path, env: dict[str, str]) -> None:
    """Where partitions.json says less than we need, botocore's own endpoints.json is read."""
    partitions = json.loads((DATA / "partitions.json").read_text())
    for partition in partitions["partitions"]:
        del partition["outputs"]["dualStackDnsSuffix"]
    (data / "partitions.json").unlink()
    (data / "partitions.json").write_text(json.dumps(partitions))

    assert where(data, env) == "https://api.ecr.eu-west-1.amazonaws.com/"


def test_neither_tables_nor_all_services_are_read(data: Path, env: dict[str, str]) -> None:
    """As things are, endpoints.json need not be there: its 1.2 MB are a third of a client's time."""
    (data / "endpoints.json").unlink()

    assert where(data, env) == "https://api.ecr.eu-west-1.amazonaws.com/"


@pytest.mark.parametrize(
    "kind", ["service-2", "endpoint-rule-set-1", "endpoint-bdd-1", "waiters-2"]
)
def test_a_kind_of_file_is_there_for_those_that_have_it(kind: str) -> None:
    """A newer botocore that looks for a newer form first is told the truth about it."""
    ours = session.load(None, {}).get_component("data_loader").list_available_services(kind)
    stock = botocore.loaders.Loader().list_available_services(kind)

    known = {"ecr", "ecr-public", "signin", "sso", "sso-oidc", "sts"}
    assert set(ours) == known & set(stock)


def test_an_event_of_our_services_reaches_the_same_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of botocore's handlers that are not registered would not be called, whatever we ask."""

    def saying(number: int) -> Callable[..., int]:
        return lambda **_: number

    theirs = botocore.handlers.BUILTIN_HANDLERS
    kinds = {event.partition(".")[0] for event, *_ in theirs} - {"docs"}
    numbered = [(event, saying(n), *order) for n, (event, _, *order) in enumerate(theirs)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", numbered)
    ours, stock = session.load(None, {}), botocore.session.Session()
    reached: set[int] = set()
    operations = {
        "ecr": ["GetAuthorizationToken"],
        "ecr-public": ["GetAuthorizationToken"],
        "signin": ["CreateOAuth2Token", "create_o_auth2_token"],
        "sso": ["GetRoleCredentials"],
        "sso-oidc": ["CreateToken"],
        "sts": ["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"],
    }
    for service, names in operations.items():
        places = ["", f".{service}", *(f".{service}.{name}" for name in names)]
        for event in (f"{kind}{place}" for kind in kinds for place in places):
            mine, all_ = ([n for _, n in opened.emit(event)] for opened in (ours, stock))
            assert mine == all_, event
            reached.update(mine)
    assert len(reached) > 5
