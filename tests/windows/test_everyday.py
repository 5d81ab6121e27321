"""The everyday way on Windows: what Docker, the kubelet and people ask of the executable."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path

from fake_aws import FakeAWS
from lab import Lab
from support import HOST, LIFE, Helper, age, entries, login, rules, soon


def test_a_miss_asks_aws_once(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """Without a token on disk AWS is asked, and the answer is Docker's JSON and nothing else."""
    answer = helper.get()
    assert answer.secret in aws.issued
    assert json.loads(answer.out)["ServerURL"] == HOST
    assert answer.stderr == b""
    assert aws.requests == 1
    assert len(entries(cache)) == 1


def test_a_hit_asks_nobody(helper: Helper, aws: FakeAWS) -> None:
    """The second answer is the first one's token, with no request."""
    assert helper.get().secret == helper.get().secret
    assert aws.requests == 1


def test_a_due_token_is_renewed_behind_the_answer(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """A token past half of its life is served, and a process behind the answer renews it."""
    first = helper.get().secret
    (entry,) = entries(cache)
    age(entry, int(0.8 * LIFE))
    assert helper.get().secret == first
    soon(lambda: aws.requests == 2, "a renewal")
    soon(lambda: helper.get().secret != first, "the new token")
    assert aws.requests == 2


def test_a_herd_makes_one_call(helper: Helper, aws: FakeAWS) -> None:
    """Twenty at once on an empty cache make one call."""
    aws.delay = 0.5
    # Twenty of Wine's processes on two processors may take long to start: that is not the question.
    helper.env["AWS_ECR_TIMEOUT"] = "100"
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        secrets = {run.secret for run in pool.map(lambda _: helper.get(), range(20))}
    assert len(secrets) == 1
    assert aws.requests == 1


def test_a_login_wins_and_a_logout_takes_it_back(helper: Helper, aws: FakeAWS) -> None:
    """`docker login` keeps a password, which `get` answers with until `docker logout`."""
    password = aws.new_password("SOMEBODY", "us-east-1")
    stored = login(helper, password)
    assert (stored.status, stored.stdout, stored.stderr) == (0, b"", b"")
    assert helper.get().secret == password
    erased = helper("erase", stdin=HOST)
    assert (erased.status, erased.stdout, erased.stderr) == (0, b"", b"")
    assert helper.get().secret != password


FALLBACK = """\
import sys
request = sys.stdin.read()
print('{"ServerURL":"%s","Username":"me","Secret":"theirs"}' % request.strip())
"""


def fallback(lab: Lab, home: str, script: str = FALLBACK) -> str:
    """Make a credential helper ``docker-credential-other``; return the folder that it is in."""
    folder = f"{home}\\helpers"
    lab.unix(folder).mkdir()
    lab.unix(f"{folder}\\other.py").write_text(script)
    # A batch file is what npm and others leave on PATH.
    lab.unix(f"{folder}\\docker-credential-other.cmd").write_text(
        f'@"{lab.python}" -I "{folder}\\other.py" %*\r\n'
    )
    return folder


def test_a_fallback_answers_for_other_hosts(
    helper: Helper, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """What is not ECR is answered by the helper that config.toml names."""
    folder = fallback(lab, home)
    env["PATH"] += f";{folder}"
    rules(lab, env, home, '[fallback]\nhelper = "other"\n')
    answer = helper("get", stdin="registry.example.com")
    assert json.loads(answer.out) == {
        "ServerURL": "registry.example.com",
        "Username": "me",
        "Secret": "theirs",
    }


def test_configure_and_back(helper: Helper, lab: Lab, home: str) -> None:
    """`configure` writes Docker's file, and `--remove` brings back its very bytes."""
    path = lab.unix(f"{home}\\.docker\\config.json")
    path.parent.mkdir()
    before = b'{\r\n\t"auths": {},\r\n\t"credsStore": "desktop"\r\n}\r\n'
    path.write_bytes(before)
    done = helper("configure", HOST)
    assert done.status == 0, done.err
    assert json.loads(path.read_bytes())["credHelpers"] == {HOST: "ecr"}
    done = helper("configure", "--remove", HOST)
    assert done.status == 0, done.err
    assert path.read_bytes() == before


def test_the_kubelet_is_answered(helper: Helper, aws: FakeAWS) -> None:
    """A node on Windows gets a CredentialProviderResponse."""
    request = {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": f"{HOST}/app:1",
    }
    answer = helper("kubelet", stdin=json.dumps(request))
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["auth"][HOST]["password"] in aws.issued


def test_doctor_reads_this_machine(helper: Helper, aws: FakeAWS, lab: Lab, home: str) -> None:
    """`doctor --offline` finds executable, configuration, credentials and cache in order."""
    helper("configure", HOST)
    helper.get()
    done = helper("doctor", "--offline", "--json", HOST)
    assert done.status == 0, done.out
    states = {check["name"]: check["state"] for check in json.loads(done.out)["checks"]}
    for name in ("executable", "docker", "auths", "config", "credentials", "cache"):
        assert states[name] == "ok", done.out


def test_list_and_version(helper: Helper, aws: FakeAWS) -> None:
    """`list` names what `get` would serve, `version` the program."""
    helper.get()
    assert json.loads(helper("list").out) == {HOST: "AWS"}
    assert helper("version").out.startswith("docker-credential-ecr ")
