"""Many at once: one call for a herd, whatever happens to the one that makes it."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, OTHER_ACCOUNT, OTHER_REGION, Helper, answers, herd, until

from docker_credential_ecr import cache as tokens_on_disk
from docker_credential_ecr import keeping

HERD = 200  # processes, as the kubelet of a full node starts them
PROFILES = """
[prod]
aws_access_key_id = AKIAPROD
aws_secret_access_key = SECRET-CANARY-prod
[dev]
aws_access_key_id = AKIADEV
aws_secret_access_key = SECRET-CANARY-dev
"""


@pytest.fixture
def slow(helper: Helper) -> None:
    """Let a wait take what it takes: this machine may be slow.

    Coverage is measured elsewhere: in each of a herd it would cost more than what it measures.
    """
    helper.env["AWS_ECR_TIMEOUT"] = "300"
    for name in [name for name in helper.env if name.startswith("COVERAGE_")]:
        del helper.env[name]


@pytest.fixture
def profiles(aws: FakeAWS, home: Path, env: dict[str, str]) -> None:
    """Two profiles with a key each, and no key in the environment."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(PROFILES)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del env[name]


@pytest.mark.alone
@pytest.mark.usefixtures("slow")
def test_200_processes_on_an_empty_cache_make_one_call(aws: FakeAWS, helper: Helper) -> None:
    """200 at once make exactly one call, and get 200 right answers: the same one."""
    aws.delay = 0.5

    secrets = answers(herd(helper, [HOST] * HERD))

    assert aws.count(CALL) == aws.requests == 1
    assert len(secrets) == HERD
    assert set(secrets) == set(aws.issued)


@pytest.mark.alone
@pytest.mark.usefixtures("slow")
def test_200_processes_after_the_holder_of_the_lock_was_killed(
    aws: FakeAWS, helper: Helper
) -> None:
    """The kernel's lock ends with its holder: those who wait go on, with one call between them."""
    aws.fault(CALL, hang=True, times=1)
    [holder] = herd(helper, [HOST])
    until(lambda: aws.count(CALL) == 1)
    waiting = herd(helper, [HOST] * HERD)

    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    secrets = answers(waiting)

    assert aws.count(CALL) == 2  # the one that died, and one for all others
    assert len(secrets) == HERD
    assert set(secrets) == set(aws.issued)


def test_registries_of_one_region_share_one_call(aws: FakeAWS, helper: Helper) -> None:
    """A token is bound to the region and the identity, not to the account in the host's name."""
    secrets = {helper.get(host).secret for host in (HOST, OTHER_ACCOUNT, OTHER_ACCOUNT, HOST)}

    assert aws.requests == 1
    assert secrets == set(aws.issued)


@pytest.mark.usefixtures("slow")
def test_registries_of_one_region_share_one_call_at_once(aws: FakeAWS, helper: Helper) -> None:
    """The lock is for the region and the identity: a herd for 20 accounts makes one call."""
    aws.delay = 0.5

    secrets = answers(herd(helper, [HOST.replace("1234", f"{n:04}") for n in range(20)]))

    assert aws.requests == 1
    assert set(secrets) == set(aws.issued)


def test_two_regions_cost_two_calls(aws: FakeAWS, helper: Helper) -> None:
    """Each region is asked once, in that region."""
    here = helper.get(HOST).secret
    there = helper.get(OTHER_REGION).secret

    assert [call.region for call in aws.calls] == ["us-east-1", "eu-west-1"]
    assert aws.issued[here] == ("AKIATEST", "us-east-1")
    assert aws.issued[there] == ("AKIATEST", "eu-west-1")
    assert (helper.get(HOST).secret, helper.get(OTHER_REGION).secret) == (here, there)
    assert aws.requests == 2


def test_flavours_do_not_share_a_token(aws: FakeAWS, helper: Helper) -> None:
    """What a dual-stack endpoint issued is not taken for the plain host's, nor the reverse."""
    plain = helper.get(HOST).secret
    dual = helper.get("123456789012.dkr-ecr.us-east-1.on.aws").secret

    assert plain != dual
    assert aws.count(CALL) == 2


@pytest.mark.usefixtures("profiles")
def test_two_profiles_never_see_each_others_token(aws: FakeAWS, helper: Helper) -> None:
    """Two profiles cost two calls; alternating between them costs nothing more."""
    for _ in range(3):
        for name, key in (("prod", "AKIAPROD"), ("dev", "AKIADEV")):
            secret = helper.get(env={"AWS_PROFILE": name}).secret
            assert aws.issued[secret] == (key, "us-east-1")

    assert aws.requests == 2


@pytest.mark.usefixtures("slow", "profiles")
def test_two_profiles_at_once(aws: FakeAWS, helper: Helper) -> None:
    """Two herds of different profiles make a call each, and no token crosses over."""
    aws.delay = 0.5
    started = {
        key: herd(helper, [HOST] * 20, env={"AWS_PROFILE": name})
        for name, key in (("prod", "AKIAPROD"), ("dev", "AKIADEV"))
    }

    for key, processes in started.items():
        assert {aws.issued[secret][0] for secret in answers(processes)} == {key}
    assert aws.requests == 2


@pytest.mark.usefixtures("profiles")
def test_a_registry_of_another_profile_copies_nothing(aws: FakeAWS, helper: Helper) -> None:
    """The copy for a second registry is of the same identity's token only."""
    helper.get(HOST, env={"AWS_PROFILE": "prod"})
    secret = helper.get(OTHER_ACCOUNT, env={"AWS_PROFILE": "dev"}).secret

    assert aws.issued[secret][0] == "AKIADEV"
    assert aws.requests == 2


@pytest.mark.usefixtures("profiles")
def test_two_rules_never_see_each_others_token(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """In one environment two rules are two identities: no token is copied from one to the other."""
    rules = home / "config.toml"
    rules.write_text(
        f'[[registry]]\nmatch = "{HOST}"\nprofile = "prod"\n'
        f'[[registry]]\nmatch = "{OTHER_ACCOUNT}"\nprofile = "dev"\n'
    )
    env = {"AWS_ECR_CONFIG_FILE": str(rules)}

    for _ in range(2):
        assert aws.issued[helper.get(HOST, env=env).secret][0] == "AKIAPROD"
        assert aws.issued[helper.get(OTHER_ACCOUNT, env=env).secret][0] == "AKIADEV"
    assert aws.requests == 2


def test_a_lock_that_cannot_be_had_in_time_is_done_without(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """Somebody who holds the lock and never lets go costs time, not the answer."""
    helper.get()
    helper("erase", stdin=HOST)
    [lock] = (cache / ".locks").iterdir()

    with lock.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        secret = helper.get(env={"AWS_ECR_TIMEOUT": "8"}).secret

    assert aws.count(CALL) == 2
    assert secret in aws.issued


@pytest.mark.parametrize("kind", ["file", "directories", "link"])
def test_a_lock_that_cannot_be_made_is_done_without(
    aws: FakeAWS, helper: Helper, cache: Path, kind: str
) -> None:
    """Something else in the lock's place costs neither the answer nor the cache."""
    helper.get()
    [lock] = (cache / ".locks").iterdir()
    lock.unlink()
    if kind == "directories":
        lock.mkdir()
    elif kind == "link":
        lock.symlink_to("/dev/null/x")
    else:
        (cache / ".locks").rmdir()
        (cache / ".locks").touch()
    helper("erase", stdin=HOST)

    assert helper.get().secret == helper.get().secret
    assert aws.count(CALL) == 2


def test_locks_are_for_the_owner_only(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """The lock's file and its directory are as private as the tokens, and hold nothing."""
    helper.get()

    [lock] = (cache / ".locks").iterdir()

    assert lock.stat().st_mode & 0o777 == 0o600
    assert (cache / ".locks").stat().st_mode & 0o777 == 0o700
    assert lock.stat().st_size == 0


def test_a_reader_never_sees_half_an_entry(tmp_path: Path) -> None:
    """While an entry is written over and over, a reader finds one of the two tokens, whole."""
    folder = str(tmp_path)
    secrets = ["YQ" * 1400, "Yg" * 1400]
    now = int(time.time())

    def write(secret: str) -> None:
        token = tokens_on_disk.Token(
            host=HOST,
            secret=secret,
            issued=now,
            refresh=now + 60,
            renew=now + 60,
            expires=now + 60,
            name="0123456789abcdef",
            conditions=["unset NEVER"],
        )
        assert keeping.write(folder, token, begun=time.time())

    def write_all() -> None:
        for number in range(200):
            write(secrets[number % 2])

    write(secrets[0])
    writer = threading.Thread(target=write_all)
    writer.start()
    seen = set()
    while writer.is_alive():
        found = tokens_on_disk.lookup(folder, HOST, os.environ, now)
        assert found is not None
        seen.add(found.secret)
    writer.join()

    assert seen <= set(secrets)
