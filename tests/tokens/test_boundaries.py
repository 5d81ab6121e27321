"""The ages of a token, to the second, and the numbers by which they are drawn."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    CALL,
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    Helper,
    age,
    entries,
    login,
    until,
)

from docker_credential_ecr import deadline, renewal, schedule, tokens
from docker_credential_ecr.errors import HelperError, Unavailable

Stop = Callable[[float], None]
NOW = 1_795_000_000  # epoch seconds


@pytest.fixture
def stopped(aws: FakeAWS, env: dict[str, str], faketime: dict[str, str]) -> Stop:
    """Return a function that stops the clock of all that is started from then on at a second."""

    def stop(second: float) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        env.update(faketime, FAKETIME=moment, TZ="UTC")

    env["AWS_MAX_ATTEMPTS"] = "1"
    return stop


@pytest.fixture
def issued(aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path) -> int:
    """Return when the token on disk was issued, whose times are 100 seconds apart."""
    helper.get()
    (entry,) = entries(cache)
    start = int(time.time()) - 1000
    text = entry.read_text()
    for number, name in enumerate(("issued", "refresh", "renew", "expires")):
        text = re.sub(rf"^{name} \d+$", f"{name} {start + 100 * number}", text, flags=re.MULTILINE)
    entry.write_text(text)
    aws.reset()
    return start


def claimed(cache: Path) -> bool:
    return any(path.name.endswith(".renewal") for path in (cache / HOST).iterdir())


@pytest.mark.parametrize(
    ("age", "what"),
    [
        (-1, "fetched"),
        (0, "served"),
        (99, "served"),
        (100, "renewed behind"),
        (199, "renewed behind"),
        (200, "renewed before"),
        (299, "renewed before"),
        (300, "fetched"),
    ],
)
def test_every_age_begins_with_its_second(
    aws: FakeAWS, helper: Helper, cache: Path, stopped: Stop, issued: int, age: int, what: str
) -> None:
    """Served, renewed behind, renewed before, and never again."""
    (old,) = aws.issued
    stopped(issued + age)
    aws.fault(CALL, status=503, code="ServiceUnavailable")

    answer = helper.get()

    if what == "fetched":
        assert answer.status == 1
        assert aws.count(CALL) >= 1
        return
    assert (answer.secret, answer.stderr) == (old, "")
    assert claimed(cache) == (what != "served")
    if what == "renewed behind":
        until(lambda: aws.count(CALL))
    else:
        assert bool(aws.count(CALL)) == (what == "renewed before")


@pytest.mark.parametrize(("age", "calls"), [(99, False), (100, True), (300, True)])
def test_every_age_without_renewals_behind(
    aws: FakeAWS, helper: Helper, cache: Path, stopped: Stop, issued: int, age: int, calls: bool
) -> None:
    """Where the user wants none behind the answer a due token is renewed before it."""
    (old,) = aws.issued
    stopped(issued + age)

    secret = helper.get(env={"AWS_ECR_BACKGROUND_REFRESH": "false"}).secret

    assert (secret != old) == calls
    assert bool(aws.count(CALL)) == calls


@pytest.mark.parametrize(("left", "is_kept"), [(1, True), (0, False), (-1, False)])
def test_a_login_that_has_expired(
    aws: FakeAWS, helper: Helper, cache: Path, stopped: Stop, left: int, is_kept: bool
) -> None:
    """A password is kept while a second of it is left."""
    end = int(time.time()) + 1000
    aws.token_life = end - time.time() + 0.5  # the password says it in whole seconds
    secret = aws.new_password("AKIALOGIN", "us-east-1")
    stopped(end - left)

    answer = helper("store", stdin=login(secret))

    assert (answer.status == 0) == is_kept
    assert is_kept or "has expired" in answer.stdout
    assert (cache / HOST / "login").exists() == is_kept


def test_what_is_copied_for_another_registry(
    aws: FakeAWS, helper: Helper, cache: Path, stopped: Stop, issued: int
) -> None:
    """A token that is not due is copied; one that is, is not."""
    (old,) = aws.issued
    stopped(issued + 100)
    assert helper.get(OTHER_ACCOUNT).secret != old
    helper("erase", stdin=OTHER_ACCOUNT)

    stopped(issued + 99)
    assert helper.get(HOST).secret == old


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "FALSE", "Off"])
def test_words_that_switch_it_off(word: str) -> None:
    """In capitals or not."""
    assert not tokens.renews_behind({"AWS_ECR_BACKGROUND_REFRESH": word})
    for other in (f"{word} ", "", "true", "1", "n"):
        assert tokens.renews_behind({"AWS_ECR_BACKGROUND_REFRESH": other})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 25),
        ("", 25),
        ("1", 1),
        ("1.5", 1.5),
        ("600", 600),
        ("0.9", None),
        ("600.1", None),
        ("0", None),
        ("-5", None),
        ("x", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
    ],
)
def test_how_long_an_answer_may_take(text: str | None, seconds: float | None) -> None:
    """From 1 to 600 seconds, 25 if nobody says."""
    environ = {} if text is None else {"AWS_ECR_TIMEOUT": text}
    if seconds is None:
        with pytest.raises(HelperError, match="from 1 to 600"):
            deadline.timeout_of(environ)
    else:
        assert deadline.timeout_of(environ) == seconds


@pytest.mark.parametrize(
    ("life", "credentials", "draw", "expected"),
    [
        # A whole life: from 42 to 72 of 100, and ten minutes before its end.
        (LIFE, None, 0.0, (18144, LIFE - 600)),
        (LIFE, None, 0.5, (24624, LIFE - 600)),
        (LIFE, None, 1.0, (31104, LIFE - 600)),
        # A tenth of a life that is shorter than ten times ten minutes.
        (6000, None, 0.0, (2520, 5400)),
        (5990, None, 0.0, (2515, 5391)),
        (100, None, 0.0, (42, 90)),
        (9, None, 0.0, (3, 9)),
        # Credentials that end before: from 75 to 95 of 100 of what is left.
        (LIFE, 3600, 0.0, (2700, 3600)),
        (LIFE, 3600, 0.5, (3060, 3600)),
        (LIFE, 3600, 1.0, (3420, 3600)),
        # As long as a token would be served until then anyway.
        (LIFE, 18145, 0.0, (18144, 18145)),
        (LIFE, 18144, 0.0, (13608, 18144)),
        (LIFE, 2 * LIFE, 0.0, (18144, LIFE - 600)),
        (LIFE, 0, 0.0, (0, 0)),
        (LIFE, -100, 0.0, (0, 0)),
    ],
)
def test_the_schedule(
    life: int, credentials: int | None, draw: float, expected: tuple[int, int]
) -> None:
    """When a token is due, and when it is late, in seconds after its issue."""
    end = None if credentials is None else NOW + credentials
    refresh, renew = schedule.times(NOW, NOW + life, end, draw)
    assert (refresh - NOW, renew - NOW) == expected


@pytest.mark.parametrize(
    ("left", "draw", "seconds"),
    [(1600, 0.0, 100), (1600, 1.0, 200), (1600, 0.5, 150), (16, 0.0, 10), (0, 0.0, 10), (-9, 1.0, 10),
     (10**6, 0.0, 1800)],
)  # fmt: skip
def test_the_pause_between_two_renewals(left: int, draw: float, seconds: int) -> None:
    """From a 16th to an 8th of what is left, ten seconds at least and half an hour at most."""
    assert schedule.pause(NOW, NOW + left, draw) == seconds


def test_what_is_left_of_a_deadline() -> None:
    """It becomes less, is never negative, and a part has no more than the whole."""
    whole = deadline.Deadline(100, "x")
    assert 99 < whole.left <= 100
    assert 49 < whole.within(50).left <= 50
    assert 99 < whole.within(200).left <= 100
    assert deadline.Deadline(-1, "x").left == 0.0
    assert deadline.Deadline(0, "x").left == 0.0


def test_a_deadline_that_is_over() -> None:
    """It names the whole time and the step; a step with a limit of its own is stuck."""
    over = deadline.Deadline(0.2, '"x"')
    over.doing("waiting")
    started = time.monotonic()
    with pytest.raises(
        Unavailable, match=r'^no answer for "x" within 0.2 s, while waiting$'
    ) as said:
        over.run(lambda: time.sleep(5))
    assert not isinstance(said.value, deadline.Stuck)
    assert 0.15 < time.monotonic() - started < 3

    stuck = deadline.Deadline(60, '"x"')
    started = time.monotonic()

    def work() -> None:
        stuck.doing("reading", 0.2)
        time.sleep(5)

    with pytest.raises(deadline.Stuck, match=r'^no answer for "x" while reading$'):
        stuck.run(work)
    assert time.monotonic() - started < 3


def test_a_step_without_a_limit_has_the_rest() -> None:
    """After a step with a limit the next one has all the time that is left."""
    whole = deadline.Deadline(60, "x")

    def work() -> str:
        whole.doing("reading", 0.3)
        whole.doing("asking")
        time.sleep(0.8)
        return "done"

    assert whole.run(work) == "done"


def test_a_value_that_is_settled() -> None:
    """What is settled is the answer, whatever becomes of the rest, and the rest has its limit."""
    whole = deadline.Deadline(60, "x")
    started = time.monotonic()

    def hang() -> str:
        whole.settle("settled", 0.3)
        time.sleep(5)
        return "late"

    assert whole.run(hang) == "settled"
    assert 0.2 < time.monotonic() - started < 3

    def fail() -> None:
        whole.settle("settled", 5)
        raise OSError

    assert whole.run(fail) == "settled"

    def fail_first() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        whole.run(fail_first)
    # What has been settled may take longer than the deadline itself.
    short = deadline.Deadline(0.3, "x")

    def slow() -> str:
        short.settle("settled", 5)
        time.sleep(0.8)
        return "whole"

    assert short.run(slow) == "whole"


@pytest.mark.parametrize(
    ("newer_than", "is_new"), [(-2, False), (-1, False), (0, True), (3600, True)]
)
def test_newer_than(
    aws: FakeAWS,
    env: dict[str, str],
    helper: Helper,
    cache: Path,
    newer_than: int,
    is_new: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token of that second is too old, one of the next is not."""
    helper.get()
    (entry,) = entries(cache)
    (found,) = re.findall(r"^issued (\d+)$", entry.read_text(), re.MULTILINE)
    for name, value in helper.environment().items():
        monkeypatch.setenv(name, value)

    token = renewal.renew(HOST, helper.environment(), newer_than=int(found) + newer_than)

    assert token is not None
    assert aws.count(CALL) == 1 + is_new


def test_the_kubelet_is_answered_from_disk(aws: FakeAWS, helper: Helper) -> None:
    """What is on disk serves who asks under a deadline, too: no second call."""
    request = {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": f"{HOST}/app:1",
    }
    secret = helper.get().secret

    answer = helper("kubelet", stdin=json.dumps(request))

    assert json.loads(answer.stdout)["auth"][HOST]["password"] == secret
    assert aws.count(CALL) == 1


def test_with_a_valid_token_at_hand_a_service_that_fails_is_asked_once(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """The token at hand is the answer: no pull waits for tries that it does not need."""
    secret = helper.get().secret
    (entry,) = entries(cache)
    age(entry, LIFE - 300)  # past renew
    aws.reset()
    aws.fault(CALL, status=500)

    assert helper.get(env={"AWS_MAX_ATTEMPTS": None}).secret == secret
    assert aws.count(CALL) == 1


def test_a_token_serves_its_region_alone(aws: FakeAWS, helper: Helper) -> None:
    """Another account's registry of the region gets a copy of it, another region's does not."""
    secret = helper.get().secret

    assert helper.get(OTHER_REGION).secret != secret
    assert helper.get(OTHER_ACCOUNT).secret == secret
    assert aws.count(CALL) == 2
