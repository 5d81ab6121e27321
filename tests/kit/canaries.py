"""Sources of credentials whose every secret has the word CANARY in it, to be looked for everywhere.

The session token, the container's, the identity token and the SSO token go to AWS by the network;
a secret access key goes nowhere: it has the word KEY-CANARY in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from fake_aws import FakeAWS
from kit import HOST, ROLE, without_keys, write

SetUp = Callable[[dict[str, str], Path, FakeAWS], None]
START_URL = "https://example.awsapps.com/start"


@dataclasses.dataclass(frozen=True)
class Source:
    """A source of credentials, and the ``calls`` that it makes before ECR's."""

    prepare: SetUp
    calls: tuple[str, ...] = ()

    def set_up(self, env: dict[str, str], home: Path, aws: FakeAWS) -> None:
        """Let ``env`` and the files in ``home`` name it, and it alone."""
        if self.prepare is not static:
            without_keys(env)
        self.prepare(env, home, aws)

    def __str__(self) -> str:
        return self.prepare.__name__


def static(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_SECRET_ACCESS_KEY"] = "KEY-CANARY-environment"
    env["AWS_SESSION_TOKEN"] = "SESSION-CANARY"


def role(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_PROFILE"] = "app"
    write(
        home / ".aws" / "config",
        f"[profile app]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = CANARY\n"
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = KEY-CANARY\n",
    )


def rule(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    write(
        home / ".aws" / "credentials",
        "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = KEY-CANARY\n",
    )
    env["AWS_ECR_CONFIG_FILE"] = write(
        home / "config.toml",
        f'[[registry]]\nmatch = "{HOST}"\nprofile = "base"\nrole_arn = "{ROLE}"\n'
        'external_id = "CANARY"\n',
    )


def web_identity(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")


def container(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials?CANARY"
    env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CONTAINER-CANARY"


def metadata(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    del env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url


def process(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    answer = {"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "KEY-CANARY-process"}
    script = write(
        home / "process.py",
        f"import json, sys\nsys.stderr.write('STDERR-CANARY')\nprint(json.dumps({answer!r}))\n",
    )
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")


def sso(env: dict[str, str], home: Path, aws: FakeAWS) -> None:
    env["AWS_PROFILE"] = "dev"
    write(
        home / ".aws" / "config",
        "[profile dev]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        f"[sso-session company]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n",
    )
    document = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": "SSO-CANARY",
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    file = hashlib.sha1(b"company", usedforsecurity=False).hexdigest() + ".json"
    write(home / ".aws" / "sso" / "cache" / file, json.dumps(document))


SOURCES = [
    Source(static),
    Source(role, ("AssumeRole",)),
    Source(rule, ("AssumeRole",)),
    Source(web_identity, ("AssumeRoleWithWebIdentity",)),
    Source(container, ("ContainerCredentials",)),
    Source(metadata, ("MetadataCredentials",)),
    Source(process),
    Source(sso, ("GetRoleCredentials",)),
]
