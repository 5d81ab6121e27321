"""Logouts: what was issued, or begun, before one is neither served nor kept after it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, OTHER_ACCOUNT, PATIENCE, Helper, age_all, entries, login, until

from docker_credential_ecr import cache as tokens_on_disk
from docker_credential_ecr import keeping


def test_a_logout_copies_no_old_token_back(aws: FakeAWS, helper: Helper) -> None:
    """After the logout of one registry its next token is new, whatever another one still has."""
    helper.get(HOST)
    # A renewal of its own: another token of the same identity, issued before the logout.
    assert helper("refresh", OTHER_ACCOUNT).status == 0
    time.sleep(1.1)  # a token's time of issue has whole seconds
    helper("erase", stdin=HOST)

    new = helper.get(HOST).secret

    assert aws.count(CALL) == 3
    assert list(aws.issued).index(new) == 2


def test_a_renewal_under_way_does_not_undo_a_logout(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """A token whose fetching began before the logout is answered with, and not kept."""
    aws.delay = 2
    process = helper.start("get", stdin=HOST)
    until(lambda: aws.count(CALL) == 1)
    cache.joinpath(HOST).mkdir(mode=0o700, exist_ok=True)
    helper("erase", stdin=HOST)
    stdout, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert b'"Secret"' in stdout
    assert entries(cache) == []


def test_a_login_after_a_logout_is_kept(aws: FakeAWS, helper: Helper) -> None:
    """The mark of a logout stands in the way of what came before it only."""
    helper.get()
    helper("erase", stdin=HOST)

    assert helper("store", stdin=login("c2VjcmV0")).status == 0
    assert helper.get().secret == "c2VjcmV0"


def test_a_store_that_an_erase_overtakes_blames_nobody(tmp_path: Path) -> None:
    """The user's last word was the logout: the login is not kept, and that is no failure."""
    folder = str(tmp_path / "cache")
    now = int(time.time())
    times: dict[str, Any] = {"issued": now, "refresh": now + 9}
    times |= {"renew": now + 9, "expires": now + 9}
    token = tokens_on_disk.Token(host=HOST, name=tokens_on_disk.LOGIN, secret="c2VjcmV0", **times)
    assert keeping.write(folder, token, begun=now)
    begun = time.time()
    assert keeping.erase(folder, HOST)

    assert keeping.write(folder, token, begun=begun)
    assert tokens_on_disk.entries(folder, HOST) == []


def test_a_failed_logout_says_so(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A token that cannot be removed is told of on stderr; the client still sees a success."""
    helper.get()
    [entry] = entries(cache)
    entry.unlink()
    entry.mkdir()  # rmdir is not for us: it is none of our entries
    (entry / "in the way").touch()

    answer = helper("erase", stdin=HOST)

    assert (answer.status, answer.stdout) == (0, "")
    assert "could not all be removed" in answer.stderr


def test_a_mark_of_a_wrong_clock_does_not_switch_the_cache_off(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """A logout made while the clock was a day ahead keeps no token away once it is right."""
    helper.get()
    helper("erase", stdin=HOST)
    (cache / HOST / ".erased").write_text(f"{time.time() + 86400}\n")

    assert helper.get().secret == helper.get().secret


def test_a_login_made_with_a_fast_clock_is_served(helper: Helper, cache: Path) -> None:
    """When a login began does not count: it says itself when it ends."""
    helper("store", stdin=login("c2VjcmV0"))
    age_all(cache, -1800)

    assert helper.get().secret == "c2VjcmV0"


@pytest.mark.parametrize(
    "payload", ['{"expiration": 1e999}', '{"expiration": ' + "[" * 100_000, '{"expiration": NaN}']
)
def test_a_login_whose_expiry_cannot_be_read(helper: Helper, payload: str) -> None:
    """Twelve hours from now, and no defect, whatever the password says of itself."""
    import base64

    secret = base64.b64encode(payload.encode()).decode()
    if len(secret) > 60_000:
        secret = base64.b64encode(payload[:30_000].encode()).decode()

    assert helper("store", stdin=login(secret)).stderr == ""
    assert helper.get().secret == secret


@pytest.mark.parametrize("secret", ["\ud800", 'a"b', "a\nb", "a b\\"])
def test_a_password_that_none_of_ecr_is(helper: Helper, secret: str) -> None:
    """It is refused with the true reason, which does not quote it, and blames no disk."""
    import json

    request = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": secret})

    answer = helper("store", stdin=request)

    assert answer.status == 1
    assert "is not an ECR password" in answer.stdout
    assert "defect" not in answer.stderr
    assert os.fsencode(secret.encode("utf-8", "replace").decode()).decode() not in answer.stderr
