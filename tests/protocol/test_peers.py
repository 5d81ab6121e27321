"""Seven peers' own test vectors, asked of this program: the same, or different for a reason.

``peers.tsv`` has a row for each: where the vector is from, what is done, with which setting, and what
comes of it there and here. Where the two differ, ``why`` says so. The facts are theirs, the words
are not: a vector that is about a made-up host is asked with a registry's name in its place.

``setting`` is variables, a line for config.toml, ``denied``, or the body of ECR's reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import HOST, TESTS, Helper, Run, self_signed, write
from proxy import Proxy

TABLE = (TESTS / "protocol" / "peers.tsv").read_text("ascii")
ROWS = [line.split("\t") for line in TABLE.splitlines()[1:]]
ASKED = [(row[2], row[3], row[4], row[6]) for row in ROWS]
SENTENCES = {
    "credentials not found in native keychain": "not found",
    "no credentials server URL": "no credentials server URL",
    "no credentials username": "no credentials username",
}
CONFIG = (
    "[profile my-profile]\naws_access_key_id = AKIAMINE\naws_secret_access_key = secret\n"
    "[profile other-profile]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = secret\n"
)
PROFILES = {"AKIAMINE": "my-profile", "AKIAOTHER": "other-profile"}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for the endpoints of every registry that a vector names."""
    names = {"api.ecr-public.us-east-1.amazonaws.com", "ecr-public.us-east-1.api.aws"}
    names.add("sts.us-east-1.amazonaws.com")
    for form, region, domain in re.findall(
        r"dkr[.-](ecr(?:-fips)?)\.([a-z0-9-]+)\.([a-z0-9.-]+)", TABLE
    ):
        dual = domain.startswith("on.")
        api = f"api.{domain[3:]}" if dual else domain
        names.add(f"{'' if dual else 'api.'}{form}.{region}.{api}")
    folder = tmp_path_factory.mktemp("certificate")
    return self_signed(folder, *(f"DNS:{name}" for name in sorted(names)))


@pytest.fixture
def aws(env: dict[str, str], home: Path, certificate: tuple[str, str]) -> Iterator[FakeAWS]:
    """The loopback AWS under AWS's own names, so that FIPS is FIPS; the profiles that vectors name."""
    write(home / ".aws" / "config", CONFIG)
    env |= {"AWS_CA_BUNDLE": certificate[0], "AWS_ACCESS_KEY_ID": "AKIATEST"}
    env["AWS_SECRET_ACCESS_KEY"] = "secret"
    with FakeAWS(tls=certificate) as server, Proxy(server.port) as proxy:
        env["HTTPS_PROXY"] = proxy.url
        yield server


def apply(setting: str, aws: FakeAWS, home: Path, env: dict[str, str]) -> None:
    if setting == "-":
        return
    if setting == "denied":
        for call in ("GetAuthorizationToken", "PublicGetAuthorizationToken"):
            aws.fault(call, code="AccessDeniedException")
    elif setting.startswith("{"):
        aws.fault("GetAuthorizationToken", body=setting)
    elif setting.startswith("config="):
        text = setting.removeprefix("config=").replace("\\n", "\n")
        write(home / ".config" / "docker-credential-ecr" / "config.toml", f"{text}\n")
    else:
        for pair in setting.split(" "):
            name, _, value = pair.partition("=")
            env[name] = value
            if name.startswith(("AWS_PROFILE", "AWS_ECR_PROFILE")):
                env.pop("AWS_ACCESS_KEY_ID", None)


def protocol(done: Run) -> str:
    """Return in a word what Docker's protocol said."""
    if done.status == 0:
        return "token" if done.stdout else "ok"
    return SENTENCES.get(done.stdout.strip(), "error")


def kubelet(helper: Helper, image: str) -> str:
    request = {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": image,
    }
    done = helper("kubelet", stdin=json.dumps(request))
    if done.status:
        return "error"
    return "token" if json.loads(done.stdout)["auth"] else "nothing"


def outcome(action: str, text: str, helper: Helper, aws: FakeAWS) -> str:
    """Do what the row says, and return what came of it in the table's words."""
    if action == "kubelet":
        return kubelet(helper, text)
    if action == "list":
        helper("store", stdin=json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": "kept"}))
        listed = json.loads(helper("list").stdout)
        return "listed" if listed.get(text) == "AWS" else "not listed"
    if action in ("role", "profile"):
        assert helper.get(text).status == 0
        if action == "role":
            roles = [call.body for call in aws.calls if call.operation == "AssumeRole"]
            return (
                "none" if not roles else next(r for r in ROLES if r.rpartition("/")[2] in roles[0])
            )
        (key,) = {call.access_key for call in aws.calls}
        return PROFILES.get(key, key)
    return protocol(helper(action, stdin=text))


ROLES = [f"arn:aws:iam::123456789012:role/{name}" for name in ("my-role", "other-role")]


@pytest.mark.parametrize(("action", "setting", "text", "ours"), dict.fromkeys(ASKED))
def test_a_peers_vector(
    action: str,
    setting: str,
    text: str,
    ours: str,
    aws: FakeAWS,
    home: Path,
    env: dict[str, str],
    helper: Helper,
) -> None:
    """What the table says of this program is what it does."""
    apply(setting, aws, home, env)
    asked = json.loads(text) if text.startswith('"') else text

    assert outcome(action, asked, helper, aws) == ours


def test_each_difference_has_its_reason() -> None:
    """Where peer and program differ the table says why, and only there; seven peers are asked."""
    for row in ROWS:
        repository, file, *_, theirs, ours, why = row
        assert (theirs != ours) is bool(why), row
        assert file.endswith((".go", "-registry")), row
        assert repository.count("/") == 1, row

    assert len({row[0] for row in ROWS}) == 7
