"""The four ages of a token, with the clock moved: served, renewed behind, renewed before, gone.

libfaketime moves the clock of the executable, not of the loopback AWS: ``aws.token_life`` is made
longer by as much, so that what it issues is valid at the moved time.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from hypothesis import given
from hypothesis import strategies as st
from kit import (
    CALL,
    EXECUTABLE,
    HOST,
    HOUR,
    INSTALLED,
    LIFE,
    PATIENCE,
    PUBLIC,
    Helper,
    age,
    age_all,
    entries,
    login,
    until,
    without_keys,
    write,
)

from docker_credential_ecr import schedule

Move = Callable[[int], None]
Renewals = Callable[[], list[str]]
MINUTE = 60  # seconds
PATIENT = "100"  # seconds of a time-out that leaves a renewal of a valid token eight
HANGING = "5"  # seconds until what hangs is given up: enough to get there on a busy machine

FRESH = 5 * HOUR  # before `refresh`, wherever it was drawn
DUE = 10 * HOUR  # between `refresh` and `renew`
LATE = LIFE - 5 * MINUTE  # between `renew` and `expires`
GONE = LIFE + MINUTE  # past `expires`


@pytest.fixture
def at(aws: FakeAWS, env: dict[str, str], faketime: dict[str, str]) -> Move:
    """Return a function that moves the clock of everything that is started from then on."""

    def move(seconds: int) -> None:
        env.update(faketime, FAKETIME=f"{seconds:+d}s")
        aws.token_life = LIFE + seconds

    env["AWS_MAX_ATTEMPTS"] = "1"  # botocore's own tries take seconds, and are botocore's matter
    return move


@pytest.fixture
def renewals(env: dict[str, str], helper: Helper) -> Renewals:
    """Return what tells the ids of the processes that renew this user's token behind an answer.

    They lead sessions of their own, and run one of the two executables.
    """
    home = f"HOME={env['HOME']}".encode()
    program = str(helper.path).encode()

    def running() -> list[str]:
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                with open(path, "rb") as file:
                    words = file.read().split(b"\0")
                with open(path.replace("cmdline", "environ"), "rb") as file:
                    ours = home in file.read().split(b"\0")
                process = path.split("/")[2]
                if ours and program in words and os.getsid(int(process)) == int(process):
                    found.append(process)
        return found

    return running


def test_fresh_tokens_cost_nothing(at: Move, aws: FakeAWS, helper: Helper) -> None:
    """After 5 hours: the same token, no call."""
    secret = helper.get().secret

    at(FRESH)

    assert helper.get().secret == secret
    assert aws.requests == 1


def test_due_tokens_are_answered_and_renewed_behind(at: Move, aws: FakeAWS, helper: Helper) -> None:
    """Past `refresh` the answer is the old token, and a renewal brings the new one."""
    old = helper.get().secret

    at(DUE)
    answer = helper.get()

    assert (answer.secret, answer.stderr) == (old, "")
    until(lambda: aws.count(CALL) == 2)
    until(lambda: helper.get().secret != old)
    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2


@pytest.mark.parametrize("word", ["false", "0", "No", "OFF"])
def test_renewal_before_the_answer_if_the_user_wants_that(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper, word: str, renewals: Renewals
) -> None:
    """With AWS_ECR_BACKGROUND_REFRESH=false a due token is renewed first, and nothing is left."""
    env["AWS_ECR_BACKGROUND_REFRESH"] = word
    old = helper.get().secret

    at(DUE)

    assert helper.get().secret != old
    assert aws.count(CALL) == 2
    assert renewals() == []


@pytest.mark.parametrize("word", ["true", "1", ""])
def test_renewal_behind_if_the_user_wants_that(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper, word: str
) -> None:
    """Any other value of it leaves the renewal behind the answer."""
    env["AWS_ECR_BACKGROUND_REFRESH"] = word
    old = helper.get().secret

    at(DUE)

    assert helper.get().secret == old
    until(lambda: aws.count(CALL) == 2)


def test_late_tokens_are_renewed_before_the_answer(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """From `renew` on the new token is the answer."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret

    at(LATE)

    assert helper.get().secret != old
    assert aws.count(CALL) == 2


OUTAGES = [
    {"status": 500, "code": "InternalFailure"},
    {"status": 503, "code": "ServiceUnavailable"},
    {"drop": True},
    {"hang": True},
    {"status": 502, "body": b"<html>bad gateway</html>"},
]
REFUSALS = [
    {"code": "AccessDeniedException"},
    {"code": "UnrecognizedClientException"},
    {"code": "InvalidSignatureException"},
    {"code": "SomethingNew"},
    {"body": b'{"authorizationData":[]}'},
]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_late_tokens_serve_during_an_outage(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper, outage: dict[str, object]
) -> None:
    """Between `renew` and `expires`, with nobody to ask: the old token, without a word."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret

    at(LATE)
    aws.fault(CALL, **outage)
    answer = helper.get()

    assert (answer.secret, answer.stderr) == (old, "")
    assert aws.count(CALL) >= 2


def test_throttling_is_an_outage(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path
) -> None:
    """AWS that is too busy is no refusal: a late token serves, an expired one does not.

    The token is made older, as libfaketime breaks the pauses between the tries.
    """
    env.update(AWS_ECR_TIMEOUT=PATIENT, AWS_MAX_ATTEMPTS="1")
    old = helper.get().secret
    aws.fault(CALL, code="ThrottlingException")

    age_all(cache, LATE)
    assert helper.get().secret == old
    assert aws.count(CALL) >= 2
    age_all(cache, GONE - LATE)
    answer = helper.get()

    assert answer.status == 1
    assert "throttles" in answer.stdout


def test_late_tokens_serve_when_the_network_is_gone(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """The same when nobody listens any more."""
    old = helper.get().secret

    at(LATE)
    aws.__exit__()

    assert helper.get().secret == old


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_late_tokens_do_not_serve_after_a_refusal(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper, refusal: dict[str, object]
) -> None:
    """Between `renew` and `expires`, when AWS says no: the error, not the old token."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret

    at(LATE)
    aws.fault(CALL, **refusal)
    answer = helper.get()

    assert answer.status == 1
    assert old not in answer.stdout
    assert HOST in answer.stdout
    assert f"docker-credential-ecr: error: {answer.stdout}" in answer.stderr


@pytest.mark.parametrize("fault", [*OUTAGES, *REFUSALS], ids=str)
def test_expired_tokens_never_serve(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper, fault: dict[str, object]
) -> None:
    """Past `expires`, whatever happens: never the old token."""
    env["AWS_ECR_TIMEOUT"] = HANGING
    old = helper.get().secret

    at(GONE)
    aws.fault(CALL, **fault)
    answer = helper.get()

    assert answer.status == 1
    assert old not in answer.stdout
    assert json.loads(helper("list").stdout) == {}


def test_a_token_that_ends_while_aws_is_asked(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A late token that was valid when its renewal began, and is not when it ends, is not served."""
    old = helper.get().secret
    (entry,) = entries(cache)
    age(entry, LIFE - 2)  # what a renewal with a token at hand is given is as much
    aws.fault(CALL, hang=True)

    answer = helper.get()

    assert answer.status == 1
    assert old not in answer.stdout


def test_a_cache_that_goes_while_aws_refuses(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """What AWS says is said, though there is no claim any more that could be given back."""
    helper.get()
    age_all(cache, LATE)
    aws.fault(CALL, code="AccessDeniedException", delay=1)
    process = helper.start("get", stdin=HOST)
    until(lambda: aws.count(CALL) == 2)
    shutil.rmtree(cache)
    stdout, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert b"access denied" in stdout


def test_expired_tokens_are_fetched_anew(at: Move, aws: FakeAWS, helper: Helper) -> None:
    """Past `expires` with AWS at hand: a new token, kept in turn."""
    old = helper.get().secret

    at(GONE)
    new = helper.get().secret

    assert new != old
    assert helper.get().secret == new
    assert aws.count(CALL) == 2


def test_tokens_from_the_future_are_not_served(at: Move, aws: FakeAWS, helper: Helper) -> None:
    """A clock that went back an hour finds nothing that it may serve."""
    future = helper.get().secret

    at(-HOUR)

    assert json.loads(helper("list").stdout) == {}
    assert helper.get().secret != future
    assert aws.count(CALL) == 2


def test_tokens_end_early_when_their_credentials_do(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """With a role's credentials of one hour the token is renewed when these end, not later."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    old = helper.get().secret

    at(40 * MINUTE)
    assert helper.get().secret == old
    assert aws.count(CALL) == 1

    at(61 * MINUTE)
    aws.credential_life = 2 * HOUR
    assert helper.get().secret != old
    assert aws.count(CALL) == 2


def test_a_public_token_ends_with_its_credentials(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path
) -> None:
    """A role's hour is all that its token for ECR Public has, whatever AWS says of that one."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url

    for host, life in ((PUBLIC, HOUR), (HOST, LIFE)):
        assert helper.get(host).secret in aws.issued
        (entry,) = entries(cache, host)
        times = dict(re.findall(r"(?m)^(issued|expires) (\d+)$", entry.read_text()))
        assert life - 60 < int(times["expires"]) - int(times["issued"]) <= life


def test_the_metadata_service_down_is_an_outage(
    at: Move, aws: FakeAWS, env: dict[str, str], helper: Helper
) -> None:
    """No credentials to be had is not a refusal: the old token serves until it expires."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    old = helper.get().secret

    at(LATE)
    aws.fault("MetadataToken", status=500)
    aws.fault("MetadataRole", status=500)

    assert helper.get().secret == old
    at(GONE)
    assert helper.get().status == 1


def test_a_kept_login_ends_when_it_says(at: Move, aws: FakeAWS, helper: Helper) -> None:
    """A login serves, unrenewed, until the expiry in its password, and then no more."""
    password = aws.new_password("AKIALOGIN", "us-east-1")
    assert helper("store", stdin=login(password)).status == 0

    for moment in (FRESH, DUE, LATE):
        at(moment)
        assert helper.get().secret == password
    assert aws.requests == 0
    at(GONE)
    assert helper.get().secret != password
    assert aws.requests == 1


def test_one_renewal_behind_20_answers(
    aws: FakeAWS, helper: Helper, cache: Path, renewals: Renewals
) -> None:
    """20 gets of a due token are all answered with it while a renewal hangs: one, for all."""
    old = helper.get().secret
    age_all(cache, DUE)
    aws.fault(CALL, hang=True)

    processes = [helper.start("get") for _ in range(20)]
    for process in processes:
        # The end of both pipes: the renewal, which is still under way, holds neither.
        stdout, stderr = process.communicate(HOST.encode(), timeout=PATIENCE)
        assert json.loads(stdout)["Secret"] == old
        assert stderr == b""
    until(lambda: aws.count(CALL) == 2)
    assert len(renewals()) == 1
    aws.clear()

    until(lambda: not renewals())
    assert helper.get().secret != old
    assert aws.count(CALL) == 2


def test_a_renewal_holds_nothing_of_the_callers(
    aws: FakeAWS, helper: Helper, cache: Path, tmp_path: Path, renewals: Renewals
) -> None:
    """The process behind the answer has no descriptor, session or working tie of the caller's."""
    helper.get()
    age_all(cache, DUE)
    aws.fault(CALL, hang=True)
    inherited = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(inherited, True)  # noqa: FBT003 - the name is the function's

    process = subprocess.Popen(
        [str(helper.path), "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.environment(),
        close_fds=False,
    )
    process.communicate(HOST.encode(), timeout=PATIENCE)
    os.close(inherited)
    until(lambda: aws.count(CALL) == 2)
    [renewal] = renewals()
    held = {
        os.readlink(f"/proc/{renewal}/fd/{number}") for number in os.listdir(f"/proc/{renewal}/fd")
    }
    with open(f"/proc/{renewal}/stat", encoding="ascii") as file:
        session = file.read().rpartition(")")[2].split()[3]
    for number in "012":
        assert os.readlink(f"/proc/{renewal}/fd/{number}") == "/dev/null"
    aws.clear()

    assert str(tmp_path) not in held
    assert not any(name.startswith("pipe:") for name in held)
    assert session == renewal
    until(lambda: not renewals())


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("keys", {"AWS_SHARED_CREDENTIALS_FILE": "keys"}),
        (".aws/credentials", {"HOME": "."}),
        ("~x/.aws/credentials", {"HOME": "~x"}),
    ],
    ids=["file", "home", "tilde"],
)
def test_a_renewal_where_the_caller_is(
    aws: FakeAWS,
    env: dict[str, str],
    helper: Helper,
    home: Path,
    cache: Path,
    file: str,
    changes: dict[str, str],
) -> None:
    """A path relative to the caller's directory leads the renewal behind to the same identity."""
    without_keys(env)
    text = "[default]\naws_access_key_id = AKIAHERE\naws_secret_access_key = CANARY\n"
    write(home / file, text)
    env |= {"AWS_ECR_CACHE_DIR": str(cache), **changes}
    wrap = ("sh", "-c", f'cd {home} && exec "$@"', "-")
    old = helper.get(wrap=wrap).secret
    age_all(cache, DUE)

    assert helper.get(wrap=wrap).secret == old
    until(lambda: aws.count(CALL) == 2)
    assert {key for key, _ in aws.issued.values()} == {"AKIAHERE"}


def test_a_renewal_does_not_outlive_its_deadline(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path, renewals: Renewals
) -> None:
    """With AWS hanging for ever the renewal ends by itself, and the token still serves."""
    env["AWS_ECR_TIMEOUT"] = HANGING
    old = helper.get().secret
    age_all(cache, DUE)
    aws.fault(CALL, hang=True)

    helper.get()
    until(lambda: aws.count(CALL) == 2)
    until(lambda: not renewals())

    assert helper.get().secret == old


def test_a_renewal_that_failed_is_not_tried_at_every_get(
    aws: FakeAWS, helper: Helper, cache: Path, renewals: Renewals
) -> None:
    """Failed behind the answer: the next gets do not ask again, until the claim has ended."""
    old = helper.get().secret
    age_all(cache, DUE)
    aws.fault(CALL, status=500)
    helper.get()
    until(lambda: aws.count(CALL) >= 2)
    until(lambda: not renewals())
    asked = aws.count(CALL)

    for _ in range(5):
        answer = helper.get()
        assert (answer.secret, answer.stderr) == (old, "")
    assert renewals() == []
    assert aws.count(CALL) == asked

    [claim] = (cache / HOST).glob(".*.renewal")
    os.utime(claim, (time.time() - 1, time.time() - 1))
    aws.clear()
    helper.get()
    until(lambda: helper.get().secret != old)
    assert aws.count(CALL) == asked + 1


def test_in_an_outage_a_node_asks_once(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path
) -> None:
    """What one process has just met the next does not meet again: it serves the late token."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret
    age_all(cache, LATE)
    aws.fault(CALL, status=500)
    helper.get()
    asked = aws.count(CALL)

    assert {helper.get().secret for _ in range(5)} == {old}
    assert aws.count(CALL) == asked > 1


def test_a_session_that_has_ended_is_no_refusal(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path
) -> None:
    """A private token lives to its own end, whatever becomes of the credentials."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret
    age_all(cache, LATE)
    aws.fault(CALL, code="ExpiredTokenException")

    assert helper.get().secret == old
    assert aws.count(CALL) == 2


DENIED = [{"code": "AccessDeniedException"}, {"code": "UnrecognizedClientException"}]


@pytest.mark.parametrize("denied", DENIED, ids=str)
@pytest.mark.parametrize("when", ["behind the answer", "refresh", "refused, then a 500"])
def test_never_after_aws_said_no(
    aws: FakeAWS,
    env: dict[str, str],
    helper: Helper,
    cache: Path,
    renewals: Renewals,
    denied: dict[str, str],
    when: str,
) -> None:
    """When AWS refuses the identity its token goes, whoever was told, and stays away."""
    env["AWS_ECR_TIMEOUT"] = PATIENT
    old = helper.get().secret
    aws.fault(CALL, **denied)
    if when == "behind the answer":
        age_all(cache, DUE)
        assert helper.get().secret == old
        until(lambda: aws.count(CALL) == 2)
        until(lambda: not renewals())
    elif when == "refresh":
        assert helper("refresh", HOST).status == 1
    else:
        age_all(cache, LATE)
        assert helper.get().status == 1
        aws.clear()
        aws.fault(CALL, status=500)
        env["AWS_ECR_TIMEOUT"] = HANGING

    answer = helper.get()

    assert answer.status == 1
    assert old not in answer.stdout
    assert entries(cache) == []


@pytest.mark.parametrize("in_its_place", ["a directory", "the claim of another"])
def test_a_renewal_that_cannot_be_claimed_costs_nothing(
    aws: FakeAWS, helper: Helper, cache: Path, in_its_place: str
) -> None:
    """Where the claim cannot be had, the answer goes out all the same, and nobody is asked."""
    old = helper.get().secret
    age_all(cache, DUE)
    [entry] = (cache / HOST).iterdir()
    claim = cache / HOST / f".{entry.name}.renewal"
    if in_its_place == "a directory":
        claim.mkdir()
        os.utime(claim, (0, 0))
    else:
        claim.touch()
        os.utime(claim, (time.time() + MINUTE, time.time() + MINUTE))

    answer = helper.get()

    assert (answer.secret, answer.stderr) == (old, "")
    assert aws.count(CALL) == 1


def test_a_renewal_shows_no_secret_in_its_arguments(
    aws: FakeAWS, helper: Helper, cache: Path, renewals: Renewals
) -> None:
    """What the process list shows of a renewal is the host and a time; natively, its caller's words."""
    helper.get()
    age_all(cache, DUE)
    aws.fault(CALL, hang=True)
    helper.get()
    until(lambda: aws.count(CALL) == 2)

    [renewal] = renewals()
    with open(f"/proc/{renewal}/cmdline", encoding="utf-8") as file:
        words = file.read().rstrip("\0").split("\0")
    aws.clear()

    if EXECUTABLE != INSTALLED:
        assert words == [str(helper.path), "get"]
    else:
        assert words[-4:-1] == [str(helper.path), "renew", HOST]
        assert words[-1].isdecimal()
    until(lambda: not renewals())


EPOCH = 1_795_000_000


@given(
    life=st.integers(1, LIFE),
    credentials=st.none() | st.floats(-HOUR, 2 * LIFE, allow_nan=False),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_the_times_are_in_order(life: int, credentials: float | None, draw: float) -> None:
    """Whatever is issued and drawn: issued <= refresh <= renew <= expires and credentials' end."""
    end = None if credentials is None else EPOCH + credentials

    refresh, renew = schedule.times(EPOCH, EPOCH + life, end, draw)

    assert EPOCH <= refresh <= renew <= EPOCH + life
    if end is not None:
        assert renew <= max(end, EPOCH)


def test_the_times_of_a_whole_life() -> None:
    """A token of 12 hours: left alone for 5, renewed behind from 10 on, and before at 11:50."""
    first, renew = schedule.times(0, LIFE, None, 0.0)
    last, _ = schedule.times(0, LIFE, None, 0.999999)

    assert FRESH < first < last < DUE
    assert renew == LIFE - 10 * MINUTE
    assert last - first >= 2 * HOUR  # a fleet spreads its calls over hours


def test_the_draw_is_a_draw() -> None:
    """Nodes that booted together draw different times."""
    drawn = {schedule.draw() for _ in range(100)}

    assert len(drawn) > 90
    assert all(0 <= number < 1 for number in drawn)
