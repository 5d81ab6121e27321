"""Docker's credential helper protocol, to the letter: what is said to whom, and the exit code."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from hang import Hang
from kit import CALL, ELSEWHERE, HOST, PUBLIC_CALL, Helper, Run, login, until, write
from kit import OTHER_ACCOUNT as OTHER

import docker_credential_ecr

# The wire sentences of docker/docker-credential-helpers, which clients compare to the letter.
NOT_FOUND = "credentials not found in native keychain\n"
NO_SERVER_URL = "no credentials server URL\n"
NO_USERNAME = "no credentials username\n"


def said(run: Run) -> tuple[int, str, str]:
    return run.status, run.stdout, run.stderr


# get


@pytest.mark.parametrize(
    "server_url",
    [
        HOST,
        f"{HOST}\n",
        f" {HOST}\r\n",
        f"https://{HOST}",
        f"https://{HOST}/v2/",
        f"{HOST}:443",
        f"{HOST}.",
        HOST.upper(),
        f"{HOST}/team/app",
    ],
)
def test_get_answers_for_the_url_as_it_was_asked(
    aws: FakeAWS, helper: Helper, server_url: str
) -> None:
    """One JSON object of three strings; the server URL is the client's own; stderr is empty."""
    answer = helper.get(server_url)

    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout.count("\n") == 1
    [secret] = aws.issued
    assert json.loads(answer.stdout) == {
        "ServerURL": server_url.strip(),
        "Username": "AWS",
        "Secret": secret,
    }
    assert list(json.loads(answer.stdout)) == ["ServerURL", "Username", "Secret"]


def test_every_way_to_write_a_host_shares_its_token(aws: FakeAWS, helper: Helper) -> None:
    """What was fetched for one form of a host answers for all of them."""
    for server_url in (HOST, f"https://{HOST}", f"{HOST}:443", HOST.upper(), f"{HOST}/app"):
        helper.get(server_url)

    assert aws.requests == 1


@pytest.mark.parametrize(
    "server_url",
    [
        "https://index.docker.io/v1/",
        "ghcr.io",
        "localhost:5000",
        f"http://{HOST}",
        f"https://user:password@{HOST}",
        f"{HOST}.evil.com",
        "x" * 60_000,
        b"\xff\xfe\x00",
        f"{HOST}\nevil.com",
        '{"ServerURL": "x"}',
    ],
    ids=lambda url: repr(url)[:60],
)
def test_get_of_a_host_that_is_not_ours(
    aws: FakeAWS, helper: Helper, server_url: bytes | str
) -> None:
    """The protocol's sentence on stdout, nothing on stderr, nobody asked: the client goes on."""
    assert said(helper.get(server_url)) == (1, NOT_FOUND, "")
    assert aws.requests == 0


@pytest.mark.parametrize("request_", ["", "\n", "  \r\n"], ids=repr)
def test_get_of_nothing(helper: Helper, request_: str) -> None:
    """Nothing on stdin has a sentence of its own."""
    assert said(helper.get(request_)) == (1, NO_SERVER_URL, "")


def test_get_with_stdin_closed(helper: Helper) -> None:
    """A client that gives no stdin at all gets the same sentence."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" get <&-', str(helper.path)],
        env=helper.environment(),
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, NO_SERVER_URL.encode(), b"")


def test_get_without_end(helper: Helper) -> None:
    """A request longer than any is refused with a reason, not read to the end of memory."""
    answer = helper.get(b"x" * (1 << 20))

    assert answer.status == 1
    assert answer.stdout == "the request is longer than 64 KiB\n"
    assert answer.stderr == f"docker-credential-ecr: error: {answer.stdout}"


def test_a_path_that_is_no_text(helper: Helper) -> None:
    """A cache directory whose name is not UTF-8 is named as well as can be, without a traceback."""
    environ = helper.environment()
    done = subprocess.run(
        [str(helper.path), "store"],
        env={
            **{os.fsencode(k): os.fsencode(v) for k, v in environ.items()},
            b"AWS_ECR_CACHE_DIR": b"/proc/\xff\x1b",
        },
        input=login("x").encode(),
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout.decode().startswith(f'the login of "{HOST}" cannot be written below')
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"hint: " in done.stderr


def test_get_of_ecr_public(aws: FakeAWS, helper: Helper) -> None:
    """Both names of ECR Public are answered, from us-east-1, whatever region is configured."""
    for host in ("public.ecr.aws", "ecr-public.aws.com"):
        answer = helper.get(host, env={"AWS_REGION": "eu-west-1"})
        assert aws.issued[answer.secret] == ("AKIATEST", "us-east-1")

    assert aws.count(PUBLIC_CALL) == aws.requests == 2


@pytest.mark.parametrize("host", ["public.ecr.aws", "ecr-public.aws.com"])
def test_ecr_public_without_credentials_is_anonymous(
    aws: FakeAWS, env: dict[str, str], helper: Helper, host: str
) -> None:
    """ECR Public may be read anonymously: with no AWS credentials the client goes on without."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]

    assert said(helper.get(host)) == (1, NOT_FOUND, "")
    assert aws.requests == 0


def test_ecr_public_that_refuses_is_an_error(aws: FakeAWS, helper: Helper) -> None:
    """With credentials that are refused ECR Public is an error, not an anonymous pull."""
    aws.fault(PUBLIC_CALL, code="AccessDeniedException")

    answer = helper.get("public.ecr.aws")

    assert answer.status == 1
    assert answer.stdout != NOT_FOUND
    assert "public.ecr.aws" in answer.stdout


def test_an_error_goes_to_both(aws: FakeAWS, helper: Helper) -> None:
    """The reason on stdout for clients that quote it, and on stderr with hints for people."""
    aws.fault(CALL, code="AccessDeniedException", message="no")

    answer = helper.get()

    reason, *rest = answer.stdout.split("\n")
    assert answer.status == 1
    assert rest == [""]
    assert reason == f'cannot get a token for "{HOST}": access denied to GetAuthorizationToken'
    error, *hints = answer.stderr.splitlines()
    assert error == f"docker-credential-ecr: error: {reason}"
    assert hints
    assert all(hint.startswith("docker-credential-ecr: hint: ") for hint in hints)


# store


def test_a_login_is_kept_and_wins(aws: FakeAWS, helper: Helper) -> None:
    """A password that the user stored is what get answers, though AWS could be asked."""
    issued = helper.get().secret
    secret = aws.new_password("AKIALOGIN", "us-east-1")

    assert said(helper("store", stdin=login(secret))) == (0, "", "")

    assert helper.get().secret == secret != issued
    assert helper.get(f"https://{HOST}").secret == secret
    assert helper.get(OTHER).secret == issued
    assert aws.requests == 1


def test_a_login_needs_no_aws(env: dict[str, str], helper: Helper) -> None:
    """Between docker login and docker logout get answers without credentials and without AWS."""
    secret = base64.b64encode(b'{"expiration": 99999999999}').decode()

    helper("store", stdin=login(secret))
    assert helper.get().secret == secret
    assert said(helper("erase", stdin=HOST)) == (0, "", "")

    assert helper.get().status == 1
    assert "AWS_ENDPOINT_URL" not in env


@pytest.mark.parametrize(
    "secret",
    [
        "simple-password",
        "x",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"expiration": "soon"}').decode(),
        base64.b64encode(b'{"expiration": null}').decode(),
    ],
)
def test_a_login_whose_expiry_cannot_be_read(helper: Helper, cache: Path, secret: str) -> None:
    """Such a password is kept for 12 hours from now, no longer."""
    before = int(time.time())
    assert helper("store", stdin=login(secret)).status == 0
    after = int(time.time())

    assert helper.get().secret == secret
    text = (cache / HOST / "login").read_text()
    [expires] = [int(line.split()[1]) for line in text.splitlines() if line.startswith("expires ")]
    assert before <= expires - 12 * 3600 <= after


@pytest.mark.parametrize("seconds", [60, 3600, 11 * 3600])
def test_a_login_ends_when_its_password_does(helper: Helper, cache: Path, seconds: int) -> None:
    """The expiry that a password carries is kept to."""
    expires = int(time.time()) + seconds
    secret = base64.b64encode(json.dumps({"expiration": expires}).encode()).decode()

    helper("store", stdin=login(secret))

    assert f"\nexpires {expires}\n" in (cache / HOST / "login").read_text()


def test_a_login_that_has_expired_is_refused(helper: Helper) -> None:
    """A password past its expiry is refused where the user sees it, at docker login."""
    secret = base64.b64encode(b'{"expiration": 1000000000}').decode()

    answer = helper("store", stdin=login(secret))

    assert answer.status == 1
    assert answer.stdout == f'the password for "{HOST}" has expired\n'
    assert "hint: run: aws ecr get-login-password" in answer.stderr
    assert secret not in answer.stderr


def test_docker_login_without_arguments_keeps_nothing(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """It stores what get has just answered: that is no login, and must not outlive a renewal."""
    secret = helper.get().secret

    assert said(helper("store", stdin=login(secret))) == (0, "", "")
    assert said(helper("store", stdin=login(secret, server=f"https://{HOST}"))) == (0, "", "")

    assert not (cache / HOST / "login").exists()
    assert aws.requests == 1


def test_a_token_of_another_identity_is_a_login(aws: FakeAWS, helper: Helper) -> None:
    """What was issued to one identity, and is given under another, is kept: it was meant."""
    secret = helper.get(env={"AWS_ACCESS_KEY_ID": "AKIAOTHER"}).secret
    own = helper.get().secret
    assert own != secret

    assert said(helper("store", stdin=login(secret))) == (0, "", "")

    assert helper.get().secret == secret
    assert helper("erase", stdin=HOST).status == 0
    assert helper.get().secret != secret


def test_a_renewal_takes_the_place_of_its_own_identitys_token(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """Another identity's token for the host is not what it replaced: given here, that is a login."""
    others = helper.get(env={"AWS_ACCESS_KEY_ID": "AKIAOTHER"}).secret
    own = helper.get().secret
    assert helper("renew", HOST, str(int(time.time()) + 5)).status == 0
    assert aws.count(CALL) == 3

    assert said(helper("store", stdin=login(own))) == (0, "", "")
    assert not (cache / HOST / "login").exists()
    assert said(helper("store", stdin=login(others))) == (0, "", "")
    assert helper.get().secret == others


def test_docker_login_without_arguments_with_a_renewal_in_between(
    aws: FakeAWS, helper: Helper, cache: Path
) -> None:
    """The password that get answered is still known as ours after another took its place."""
    secret = helper.get().secret
    renewed = helper("get", stdin=HOST, env={"AWS_ECR_BACKGROUND_REFRESH": "false"}).secret
    assert renewed == secret
    # The renewal that would run behind the answer, at once.
    assert helper("renew", HOST, str(int(time.time()) + 5)).status == 0
    assert aws.count(CALL) == 2

    assert said(helper("store", stdin=login(secret))) == (0, "", "")

    assert not (cache / HOST / "login").exists()
    assert helper.get().secret != secret


def test_storing_a_login_again_keeps_the_last(aws: FakeAWS, helper: Helper) -> None:
    """The last docker login is the one that counts."""
    secrets = [aws.new_password("AKIALOGIN", "us-east-1") for _ in range(3)]
    for secret in secrets:
        helper("store", stdin=login(secret))

    assert helper.get().secret == secrets[-1]


def test_storing_what_was_kept_as_a_login_keeps_it(aws: FakeAWS, helper: Helper) -> None:
    """A docker login without arguments after one with a password leaves that login in place."""
    secret = aws.new_password("AKIALOGIN", "us-east-1")
    helper("store", stdin=login(secret))

    helper("store", stdin=login(helper.get().secret))

    assert helper.get().secret == secret


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (login("x", server=""), NO_SERVER_URL),
        (login("x", server="  "), NO_SERVER_URL),
        (login("x", user=""), NO_USERNAME),
        (login("x", server="", user=""), NO_SERVER_URL),
        ("{}", NO_SERVER_URL),
        (json.dumps({"ServerURL": HOST}), NO_USERNAME),
    ],
)
def test_a_store_that_lacks_something(helper: Helper, request_: str, sentence: str) -> None:
    """What is missing has the protocol's own sentence."""
    assert said(helper("store", stdin=request_)) == (1, sentence, "")


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "null",
        "[]",
        "7",
        '"SECRET-CANARY"',
        "SECRET-CANARY",
        '{"Secret": "SECRET-CANARY"',
        '{"ServerURL": ["SECRET-CANARY"], "Username": "AWS", "Secret": "SECRET-CANARY"}',
        '{"ServerURL": "x", "Username": "AWS", "Secret": {"SECRET-CANARY": 1}}',
        b"\xff\xfeSECRET-CANARY",
        "[" * 60_000,
    ],
    ids=lambda request: repr(request)[:40],
)
def test_a_store_of_something_else(helper: Helper, request_: bytes | str) -> None:
    """What is no login is refused without quoting any of it."""
    answer = helper("store", stdin=request_)

    assert answer.status == 1
    assert answer.stdout == ("the login is not a JSON object of ServerURL, Username and Secret\n")
    assert "CANARY" not in answer.stderr


@pytest.mark.parametrize("server", ["https://index.docker.io/v1/", "ghcr.io", f"http://{HOST}"])
def test_a_store_for_a_host_that_is_not_ours(helper: Helper, server: str) -> None:
    """It is refused with what to do about it: Docker would believe that it was kept."""
    answer = helper("store", stdin=login("SECRET-CANARY", server=server))

    assert answer.status == 1
    assert "is not an ECR registry: its login is not kept here\n" in answer.stdout
    assert '"credHelpers"' in answer.stderr
    assert "fallback" in answer.stderr
    assert "CANARY" not in answer.stdout + answer.stderr


def test_a_store_that_names_a_host_with_a_password_in_it(helper: Helper) -> None:
    """User info in a server URL is never shown."""
    answer = helper("store", stdin=login("x", server=f"https://u:SECRET-CANARY@{HOST}/"))

    assert answer.status == 1
    assert HOST in answer.stdout
    assert "CANARY" not in answer.stdout + answer.stderr


def test_a_store_for_another_user(helper: Helper) -> None:
    """ECR knows one user; a login of another would fail at every pull."""
    answer = helper("store", stdin=login("SECRET-CANARY", user="me"))

    assert answer.status == 1
    assert answer.stdout == f'the only user of "{HOST}" is "AWS"\n'
    assert "CANARY" not in answer.stderr


def test_a_secret_that_the_format_cannot_hold(helper: Helper, cache: Path) -> None:
    """A password with a quote or a line break in it is refused, not written askew."""
    for secret in ('a"b', "a\nb", "é", ""):
        answer = helper("store", stdin=login(secret))
        assert answer.status == 1
    assert not (cache / HOST).exists()


# erase


@pytest.mark.parametrize(
    "server_url", [HOST, f"http://{HOST}", f"https://{HOST}", f"https://{HOST}/v2/", f"{HOST}\n"]
)
def test_erase_forgets(aws: FakeAWS, helper: Helper, server_url: str) -> None:
    """Every form that docker logout sends erases the host's token and login."""
    first = helper.get().secret
    helper("store", stdin=login(aws.new_password("AKIALOGIN", "us-east-1")))

    assert said(helper("erase", stdin=server_url)) == (0, "", "")

    assert json.loads(helper("list").stdout) == {}
    assert helper.get().secret != first


def test_erase_forgets_the_copies_too(aws: FakeAWS, helper: Helper) -> None:
    """After docker logout a token that was shared with another registry is not copied back."""
    helper.get()
    assert helper.get(OTHER).secret in aws.issued

    helper("erase", stdin=HOST)
    helper.get()

    assert aws.count(CALL) == 2


@pytest.mark.parametrize(
    "request_",
    [
        "",
        HOST,
        f"http://{HOST}",
        "ghcr.io",
        b"\xff",
        "x" * 60_000,
        "../../etc",
        "..",
        "/",
        ".locks",
    ],
    ids=lambda request: repr(request)[:40],
)
def test_erase_succeeds_always(helper: Helper, request_: bytes | str) -> None:
    """Podman and skopeo crash when erase fails: it never does, and says nothing."""
    assert said(helper("erase", stdin=request_)) == (0, "", "")


def test_erase_succeeds_with_a_configuration_that_is_broken(
    home: Path, env: dict[str, str], helper: Helper, aws: FakeAWS
) -> None:
    """A broken configuration does not keep an ECR host from being forgotten, nor fail any client.

    Whether another helper should have been asked cannot be known: people are told so on stderr.
    """
    helper.get()
    env["AWS_ECR_CONFIG_FILE"] = str(home / "config.toml")
    (home / "config.toml").write_text("[[[")

    assert said(helper("erase", stdin=HOST)) == (0, "", "")
    elsewhere = helper("erase", stdin="ghcr.io")
    assert (elsewhere.status, elsewhere.stdout) == (0, "")
    assert "is not valid TOML" in elsewhere.stderr
    del env["AWS_ECR_CONFIG_FILE"]
    assert json.loads(helper("list").stdout) == {}


def test_other_logins_that_are_ignored(helper: Helper) -> None:
    """It is so for every host, where no fallback helper keeps its login."""
    env = {"AWS_ECR_IGNORE_CREDS_STORAGE": "true"}
    assert helper("store", stdin=login("secret", server="ghcr.io")).status == 1
    assert said(helper("store", stdin=login("secret", server="ghcr.io"), env=env)) == (0, "", "")


def test_logins_and_logouts_that_are_ignored(
    aws: FakeAWS, env: dict[str, str], helper: Helper, cache: Path
) -> None:
    """With AWS_ECR_IGNORE_CREDS_STORAGE=true both succeed and do nothing, as in AWS's helper."""
    secret = helper.get().secret
    env["AWS_ECR_IGNORE_CREDS_STORAGE"] = "true"

    assert said(helper("store", stdin=login("another"))) == (0, "", "")
    assert said(helper("erase", stdin=HOST)) == (0, "", "")

    assert helper.get().secret == secret
    assert not (cache / HOST / "login").exists()
    assert aws.requests == 1


# list


def test_list(aws: FakeAWS, env: dict[str, str], helper: Helper) -> None:
    """The hosts that get would serve now, each with its user; no network, nothing from stdin."""
    assert said(helper("list")) == (0, "{}\n", "")
    helper.get(HOST)
    helper.get("public.ecr.aws")
    helper("store", stdin=login("x", server=OTHER))

    expected = dict.fromkeys((HOST, OTHER, "public.ecr.aws"), "AWS")
    assert json.loads(helper("list").stdout) == expected
    assert aws.requests == 2

    env["AWS_ACCESS_KEY_ID"] = "AKIAOTHER"  # who may be served the login alone
    assert json.loads(helper("list").stdout) == {OTHER: "AWS"}


def test_list_does_not_wait_for_stdin(helper: Helper) -> None:
    """A client that leaves stdin open gets its list all the same."""
    process = helper.start("list")
    assert process.stdout is not None
    assert process.stdout.read() == b"{}\n"
    process.communicate()


def test_list_cannot_fail(home: Path, env: dict[str, str], helper: Helper, aws: FakeAWS) -> None:
    """A configuration that cannot be read does not keep the list back."""
    env["AWS_ECR_CACHE_DIR"] = str(home / "cache")
    (home / "config.toml").write_text("[[[")
    env["AWS_ECR_CONFIG_FILE"] = str(home / "config.toml")
    helper("store", stdin=login("x"))
    answer = helper("list")

    assert (answer.status, json.loads(answer.stdout), answer.stderr) == (0, {HOST: "AWS"}, "")


# version, and everything else


def test_version(helper: Helper) -> None:
    """The name, the package and the version, in one line."""
    version = docker_credential_ecr.__version__

    assert said(helper("version")) == (
        0,
        f"docker-credential-ecr (docker_credential_ecr) {version}\n",
        "",
    )


def test_nobody_listening(aws: FakeAWS, helper: Helper) -> None:
    """A client that closes its end before the answer costs no traceback."""
    helper.get()
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [str(helper.path), "get"],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        env=helper.environment(),
    )
    os.close(write)
    _, stderr = process.communicate(HOST.encode())

    assert (process.returncode, stderr) == (1, b"")


@pytest.mark.parametrize("stream", ["1", "2", "1>&- 2"])
def test_streams_that_are_closed(aws: FakeAWS, helper: Helper, cache: Path, stream: str) -> None:
    """Where a stream is closed, what is meant for it goes nowhere: into no file, no connection."""
    for action, fault in (("get", None), ("get", "AccessDeniedException")):
        helper("erase", stdin=HOST)
        if fault:
            aws.fault(CALL, code=fault)
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" {action} {stream}>&-', str(helper.path)],
            env=helper.environment(),
            input=HOST.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == (1 if fault else 0)
        assert b"Traceback" not in done.stderr
        if stream == "2":
            assert (b"access denied" if fault else b"Secret") in done.stdout
        if stream == "1":
            assert (b"access denied" in done.stderr) == bool(fault)
    for lock in (cache / ".locks").iterdir():
        assert lock.read_bytes() == b""


def test_nobody_listening_to_an_error(aws: FakeAWS, helper: Helper) -> None:
    """Nor does a stderr that nobody reads keep the reason from stdout."""
    aws.fault(CALL, code="AccessDeniedException")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [str(helper.path), "get"],
        env=helper.environment(),
        input=HOST.encode(),
        stdout=subprocess.PIPE,
        stderr=write,
        check=False,
    )
    os.close(write)

    assert done.returncode == 1
    assert b"access denied" in done.stdout


def test_interrupted(aws: FakeAWS, helper: Helper) -> None:
    """Ctrl-C ends a get that waits for AWS at once, as shells expect, without a traceback."""
    aws.fault(CALL, hang=True)
    process = helper.start("get", stdin=HOST)
    until(lambda: aws.count(CALL) == 1)

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()

    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_a_login_on_a_disk_that_hangs(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A login that cannot be written in time is no success: it is said, and docker login ends."""
    (cache / HOST).mkdir(parents=True, mode=0o700)
    with Hang(cache / HOST, "") as disk:
        answer = helper("store", stdin=login(aws.new_password("AKIALOGIN", "us-east-1")))
        assert disk.held == 1

    assert answer.status == 1
    assert answer.stdout == f'the login of "{HOST}" could not be written within 5 s\n'
    assert "hint: or set AWS_ECR_CACHE_DIR to a directory on another one" in answer.stderr


def test_a_configuration_on_a_disk_that_hangs(helper: Helper, home: Path) -> None:
    """Who answers for what is not ECR is not known then: that is said, and the pull ends."""
    config = home / ".config" / "docker-credential-ecr" / "config.toml"
    write(config, "")
    with Hang(config.parent, config.name) as disk:
        answer = helper.get(ELSEWHERE)
        assert disk.held == 1

    assert answer.status == 1
    assert answer.stdout == "config.toml could not be read within 5 s\n"
    assert "name another file: AWS_ECR_CONFIG_FILE" in answer.stderr


def test_a_renewal_by_hand_that_fails(aws: FakeAWS, helper: Helper) -> None:
    """The process behind an answer says why it failed, for who starts it to see."""
    aws.fault(CALL, code="AccessDeniedException")

    answer = helper("renew", HOST, "0")

    assert (answer.status, answer.stdout) == (1, "")
    assert answer.stderr.startswith("docker-credential-ecr: error: cannot get a token")
    assert helper("renew", "ghcr.io", "0").status == 0
    assert "CANARY" not in helper("renew", HOST, "CANARY").stderr
