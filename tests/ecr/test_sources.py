"""Every source of AWS credentials: a first get that fetches, a second that asks nobody anything.

And the other way round: whatever would make botocore choose another identity or another endpoint
makes the next get fetch anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import botocore
import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, ROLE, Helper, without_keys, write

from docker_credential_ecr.ecr import sources

START_URL = "https://example.awsapps.com/start"


Source = Callable[[dict[str, str], Path, FakeAWS], str]
Change = Callable[[dict[str, str], Path], None]

# Each of these sets up one source, and returns a pattern of the access key that it gives.


def static_keys_in_the_environment(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    return "AKIATEST"


def static_keys_with_a_session_token(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    env["AWS_SESSION_TOKEN"] = "SESSION-CANARY"
    return "AKIATEST"


def static_keys_in_the_credentials_file(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    write(
        home / ".aws" / "credentials",
        "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = SECRET-CANARY\n",
    )
    return "AKIAFILE"


def static_keys_in_the_config_file(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_PROFILE"] = "prod"
    write(
        home / ".aws" / "config",
        "[profile prod]\naws_access_key_id = AKIACONFIG\naws_secret_access_key = SECRET-CANARY\n",
    )
    return "AKIACONFIG"


def keys_in_files_of_other_names(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_CONFIG_FILE"] = write(home / "elsewhere" / "config", "[default]\nregion = sa-east-1\n")
    env["AWS_SHARED_CREDENTIALS_FILE"] = write(
        home / "elsewhere" / "credentials",
        "[default]\naws_access_key_id = AKIAELSE\naws_secret_access_key = SECRET-CANARY\n",
    )
    return "AKIAELSE"


def keys_in_the_first_kind_of_file(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_CREDENTIAL_FILE"] = write(
        home / "keys", "AWSAccessKeyId=AKIAFIRST\nAWSSecretKey=SECRET-CANARY\n"
    )
    return "AKIAFIRST"


def keys_in_a_boto_configuration(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["BOTO_CONFIG"] = write(
        home / "boto.cfg",
        "[Credentials]\naws_access_key_id = AKIABOTO\naws_secret_access_key = SECRET-CANARY\n",
    )
    return "AKIABOTO"


def data_models_of_the_users_own(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    (home / ".aws" / "models").mkdir(parents=True)
    return "AKIATEST"


def an_assumed_role(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_PROFILE"] = "puller"
    write(
        home / ".aws" / "config",
        f"[profile puller]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n"
        "aws_access_key_id = AKIABASE\naws_secret_access_key = SECRET-CANARY\n",
    )
    return "ASIA....puller"


def a_web_identity_in_the_environment(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_ROLE_ARN"] = ROLE
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = write(home / "token", "WEB-IDENTITY-CANARY")
    return "ASIA....puller"


def a_web_identity_in_a_profile(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    token = write(home / "token", "WEB-IDENTITY-CANARY")
    write(
        home / ".aws" / "config",
        f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n",
    )
    return "ASIA....puller"


def container_credentials(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CONTAINER-CANARY"
    return "ASIA....container"


def container_credentials_with_a_token_file(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{aws.url}/container-credentials"
    env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = write(home / "token", "CONTAINER-CANARY")
    return "ASIA....container"


def instance_metadata(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    del env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    return "ASIA....instance"


def a_role_by_way_of_instance_metadata(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    instance_metadata(env, home, aws)
    write(
        home / ".aws" / "config",
        f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n",
    )
    return "ASIA....puller"


def a_credential_process(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    answer = {"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "SECRET-CANARY"}
    script = write(
        home / "process.py",
        f"import json\nopen({str(home / 'runs')!r}, 'a').write('x')\n"
        f"print(json.dumps({answer!r}))\n",
    )
    write(home / ".aws" / "config", f"[default]\ncredential_process = {sys.executable} {script}\n")
    return "AKIAPROC"


def an_sso_session(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    write(
        home / ".aws" / "config",
        "[default]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        f"[sso-session company]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n",
    )
    sso_token(home, "company")
    return "ASIA....sso"


def an_sso_profile_of_the_older_form(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    without_keys(env)
    write(
        home / ".aws" / "config",
        f"[default]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
        "sso_account_id = 123456789012\nsso_role_name = dev\n",
    )
    sso_token(home, START_URL)
    return "ASIA....sso"


def sso_token(home: Path, name: str) -> None:
    document = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": "SSO-CANARY",
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    file = hashlib.sha1(name.encode()).hexdigest() + ".json"
    write(home / ".aws" / "sso" / "cache" / file, json.dumps(document))


def a_rule_with_a_profile(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    static_keys_in_the_config_file(env, home, aws)
    del env["AWS_PROFILE"]
    env["AWS_ECR_CONFIG_FILE"] = write(
        home / "config.toml", f'[[registry]]\nmatch = "{HOST}"\nprofile = "prod"\n'
    )
    return "AKIACONFIG"


def a_rule_with_a_role(env: dict[str, str], home: Path, aws: FakeAWS) -> str:
    env["AWS_ECR_CONFIG_FILE"] = write(
        home / "config.toml",
        f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\nexternal_id = "example"\n'
        'session_name = "pulls"\nduration = 900\n',
    )
    return "ASIA....puller"


SOURCES = [
    static_keys_in_the_environment,
    static_keys_with_a_session_token,
    static_keys_in_the_credentials_file,
    static_keys_in_the_config_file,
    keys_in_files_of_other_names,
    keys_in_the_first_kind_of_file,
    keys_in_a_boto_configuration,
    data_models_of_the_users_own,
    an_assumed_role,
    a_web_identity_in_the_environment,
    a_web_identity_in_a_profile,
    container_credentials,
    container_credentials_with_a_token_file,
    instance_metadata,
    a_role_by_way_of_instance_metadata,
    a_credential_process,
    an_sso_session,
    an_sso_profile_of_the_older_form,
    a_rule_with_a_profile,
    a_rule_with_a_role,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_the_second_get_asks_nobody(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, source: Source
) -> None:
    """The first get fetches as this identity; the second makes no request of any kind."""
    key = source(env, home, aws)

    first = helper.get().secret
    requests = aws.requests
    assert aws.count(CALL) == 1
    assert re.fullmatch(key, aws.issued[first][0])
    second = helper.get()

    assert second.secret == first
    assert aws.requests == requests
    assert second.stderr == ""
    if source is a_credential_process:
        assert (home / "runs").read_text() == "x"


def test_what_a_rule_says_reaches_aws(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """Role, external id, session name and duration of a rule are those of the AssumeRole call."""
    a_rule_with_a_role(env, home, aws)

    helper.get()

    [call] = [call for call in aws.calls if call.operation == "AssumeRole"]
    for field in (
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fpuller",
        "ExternalId=example",
        "RoleSessionName=pulls",
        "DurationSeconds=900",
    ):
        assert field in call.body


def rewrite(path: Path) -> None:
    """Change a file to something that means the same, as an editor does: by another file."""
    beside = path.with_name("beside")
    beside.write_text(path.read_text() + "# again\n")
    beside.chmod(0o600)
    os.replace(beside, path)


def another_profile(env: dict[str, str], home: Path) -> None:
    env["AWS_PROFILE"] = "dev"


def another_profile_by_the_older_name(env: dict[str, str], home: Path) -> None:
    env["AWS_DEFAULT_PROFILE"] = "dev"


def another_access_key(env: dict[str, str], home: Path) -> None:
    env["AWS_ACCESS_KEY_ID"] = "AKIAOTHER"


def another_home(env: dict[str, str], home: Path) -> None:
    env["HOME"] = str(home / "another")
    (home / "another").mkdir()


def another_config_file(env: dict[str, str], home: Path) -> None:
    env["AWS_CONFIG_FILE"] = write(home / "another-config", (home / ".aws" / "config").read_text())


def a_change_of_the_config_file(env: dict[str, str], home: Path) -> None:
    rewrite(home / ".aws" / "config")


def the_loss_of_the_config_file(env: dict[str, str], home: Path) -> None:
    (home / ".aws" / "config").unlink()


def a_credentials_file(env: dict[str, str], home: Path) -> None:
    write(home / ".aws" / "credentials", "[another]\naws_access_key_id = AKIAFILE\n")


def another_role(env: dict[str, str], home: Path) -> None:
    env["AWS_ROLE_ARN"] = ROLE + "-2"


def another_region_of_the_user(env: dict[str, str], home: Path) -> None:
    env["AWS_REGION"] = "eu-west-1"


def our_configuration_file(env: dict[str, str], home: Path) -> None:
    write(
        home / ".config" / "docker-credential-ecr" / "config.toml",
        f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\n',
    )


CHANGES = [
    another_profile,
    another_profile_by_the_older_name,
    another_access_key,
    another_home,
    another_config_file,
    a_change_of_the_config_file,
    the_loss_of_the_config_file,
    a_credentials_file,
    another_role,
    another_region_of_the_user,
    our_configuration_file,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_identity_fetches_anew(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, change: Change
) -> None:
    """After each change the next get fetches, and does not answer with the token from before."""
    env["AWS_ECR_CACHE_DIR"] = str(home / "cache")  # so that another home is no other cache
    write(home / ".aws" / "config", "[default]\nregion = us-east-1\n[profile dev]\n")
    before = helper.get().secret
    assert helper.get().secret == before

    change(env, home)
    after = helper.get().secret

    assert aws.count(CALL) == 2
    assert after != before
    assert helper.get().secret == after
    assert aws.count(CALL) == 2


@pytest.mark.parametrize(
    "source",
    [
        a_web_identity_in_the_environment,
        a_web_identity_in_a_profile,
        container_credentials_with_a_token_file,
    ],
    ids=lambda source: source.__name__,
)
def test_another_identity_token_fetches_anew(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, source: Source
) -> None:
    """A token file that was written anew may be another identity's."""
    source(env, home, aws)
    before = helper.get().secret

    write(home / "token", "ANOTHER-CANARY")
    after = helper.get().secret

    assert aws.count(CALL) == 2
    assert after != before


def test_another_key_in_the_first_kind_of_file_fetches_anew(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """What AWS_CREDENTIAL_FILE names chooses the identity as much as any other file."""
    keys_in_the_first_kind_of_file(env, home, aws)
    helper.get()

    rewritten = (home / "keys").read_text().replace("AKIAFIRST", "AKIASECOND")
    write(home / "keys", rewritten)

    assert aws.issued[helper.get().secret][0] == "AKIASECOND"
    assert aws.count(CALL) == 2


def test_another_container_token_fetches_anew(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, cache: Path
) -> None:
    """The container's authorization token chooses an identity, and is not on disk."""
    container_credentials(env, home, aws)
    before = helper.get().secret

    env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "ANOTHER-CANARY"
    after = helper.get().secret

    assert aws.count(CALL) == 2
    assert after != before
    for entry in (cache / HOST).iterdir():
        assert "CANARY" not in entry.read_text()


def test_another_role_of_a_web_identity(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path
) -> None:
    """The role's variable decides who we are: its token is not another role's."""
    a_web_identity_in_the_environment(env, home, aws)
    before = helper.get().secret

    env["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/pusher"
    after = helper.get().secret

    assert aws.issued[before][0].endswith("puller")
    assert aws.issued[after][0].endswith("pusher")


def test_a_token_of_the_machine_ends_with_its_boot(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, cache: Path
) -> None:
    """Instance metadata is this machine's: an image of its disk does not carry the token along."""
    instance_metadata(env, home, aws)
    before = helper.get().secret
    [entry] = (cache / HOST).iterdir()
    text = entry.read_text()
    assert re.search(r"^boot [0-9a-f-]{36}$", text, re.MULTILINE)

    entry.write_text(re.sub(r"^boot .*$", "boot another", text, flags=re.MULTILINE))
    after = helper.get().secret

    assert after != before
    assert aws.count(CALL) == 2


def test_a_change_while_the_token_was_fetched_keeps_nothing(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, cache: Path
) -> None:
    """A file that changed while AWS was asked must not vouch for the token: answered, not kept."""
    config = home / ".aws" / "config"
    script = write(
        home / "process.py",
        f"import os\nopen({str(config)!r}, 'a').write('#')\n"
        'print(\'{"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "CANARY"}\')\n',
    )
    without_keys(env)
    write(config, f"[default]\ncredential_process = {sys.executable} {script}\n#")

    assert helper.get().secret in aws.issued
    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2
    assert not (cache / HOST).exists()


def test_every_variable_is_a_condition(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """With any one of the recorded variables changed the token on disk is not offered."""
    env = {"AWS_ECR_CACHE_DIR": str(home / "cache")}
    helper.get(env=env)
    offered = {HOST: "AWS"}

    for name in (*sources.VARIABLES, *sources.SECRET_VARIABLES):
        assert json.loads(helper("list", env={**env, name: "/x"}).stdout) == {}, name
    assert json.loads(helper("list", env=env).stdout) == offered
    assert aws.requests == 1


# What botocore's source names and what changes neither who asks nor whom.
INDIFFERENT = {
    # Parts of a key that its id, which is a condition, stands for.
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_ACCOUNT_ID", "AWS_CREDENTIAL_EXPIRATION"),
    # How long it waits, how often it tries, what it compresses, checks, trusts and reports.
    *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_DEFAULTS_MODE", "AWS_CA_BUNDLE"),
    *("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_METADATA_SERVICE_TIMEOUT"),
    *("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"),
    *("AWS_DISABLE_REQUEST_COMPRESSION", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES"),
    *("AWS_AUTH_SCHEME_PREFERENCE", "AWS_SIGV4A_SIGNING_REGION_SET"),
    *("AWS_SDK_UA_APP_ID", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME"),
    *("AWS_CSM_CLIENT_ID", "AWS_CSM_ENABLED", "AWS_CSM_HOST", "AWS_CSM_PORT"),
    *("BOTO_DISABLE_CRT", "BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER"),
    "BOTO_EXPERIMENTAL__NO_EMPTY_CONTINUE",
    # Of endpoints that ECR does not have.
    *("AWS_ACCOUNT_ID_ENDPOINT_MODE", "AWS_DISABLE_HOST_PREFIX_INJECTION"),
    "AWS_ENDPOINT_DISCOVERY_ENABLED",
    *("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS"),
    *("AWS_S3_USE_ARN_REGION", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"),
}


def test_botocore_reads_no_variable_that_we_do_not_know() -> None:
    """A variable that a new botocore reads is either a condition or known to be indifferent."""
    read = set()
    for path in Path(botocore.__file__).parent.glob("*.py"):
        read.update(re.findall(r"""["']((?:AWS|BOTO)_[A-Z0-9_]+)["']""", path.read_text("utf-8")))

    assert "AWS_PROFILE" in read, "botocore's source has changed its form"
    assert sorted(read - {*sources.VARIABLES, *sources.SECRET_VARIABLES} - INDIFFERENT) == []
