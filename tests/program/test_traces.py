"""What the program does with secrets, as the kernel sees it (strace): the wire, stdout, the entry.

Every secret of ``canaries`` is looked for in each execve, open and write of each process.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest
from canaries import SOURCES, Source, static
from fake_aws import FakeAWS
from kit import CALL, ELSEWHERE, HOST, ROLE, Helper, login, make_due, missing, need, until, write

CALLS = "execve,open,openat,creat,write,pwrite64,writev,sendto,sendmsg,rename,renameat,renameat2"
LENGTH = 65536  # bytes of a string that are shown: all of them
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclasses.dataclass(frozen=True)
class Traced:
    """What happened in one run, by all of its processes."""

    stdout: str
    stderr: str
    programs: list[tuple[list[str], dict[str, str]]]  # argv and environment of each execve
    written: list[tuple[str, str, bool]]  # where to, what, and whether by a program of ours
    opened: list[str]  # paths, to be written


class Tracer:
    """Runs the executable under strace."""

    def __init__(self, helper: Helper, folder: Path) -> None:
        self.helper = helper
        self.file = folder / "trace"
        self.command = (
            *(need("strace"), "-f", "-qq", "-v", "-y", "-s", str(LENGTH)),
            *("-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(self.file)),
        )
        for name in [name for name in helper.env if name.startswith("COVERAGE_")]:
            del helper.env[name]  # its files are not ours, as those of the interpreter
        helper.env["PYTHONDONTWRITEBYTECODE"] = "1"
        if subprocess.run([*self.command, "true"], capture_output=True, check=False).returncode:
            missing("strace may not trace here")

    def __call__(self, *args: str, stdin: str = "", statuses: tuple[int, ...] = (0,)) -> Traced:
        """Run, and wait for what was started behind, as strace does."""
        answer = self.helper(*args, stdin=stdin, wrap=self.command)
        assert answer.status in statuses, answer
        programs, written, opened = [], [], []
        foreign: set[str] = set()
        for line in self.file.read_text(errors="surrogateescape").splitlines():
            found = LINE.match(line)
            if found is None:
                continue  # the end of a call that another process interrupted
            process, call, rest = found.groups()
            strings = STRING.findall(rest)
            if call == "execve":
                argv, env = arrays(rest)
                programs.append((argv, env))
                if argv and "docker-credential-ecr" not in " ".join(argv[:3]):
                    foreign.add(process)
            elif call in ("open", "openat", "creat"):
                if re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest) or call == "creat":
                    opened.append(whole_path(rest))
            elif call.startswith("rename"):
                opened.append(whole_path(rest.partition('", ')[2]))
            else:
                target = re.match(r"(\d+)<([^>]*)>", rest)
                where = f"{target[1]} {target[2]}" if target else rest[:20]
                written.append((where, "".join(strings), process not in foreign))
        return Traced(answer.stdout, answer.stderr, programs, written, opened)


def whole_path(rest: str) -> str:
    """Return the path of the first name in a call, which may be one in a directory."""
    path = STRING.findall(rest)[0]
    folder = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", rest)
    return f"{folder[1]}/{path}" if folder and not path.startswith("/") else path


def arrays(rest: str) -> tuple[list[str], dict[str, str]]:
    """Return argv and environment of an execve as strace shows it with -v."""
    found = re.match(r'"(?:[^"\\]|\\.)*", \[(.*?)\], (?:\[(.*)\]|NULL|0x)', rest)
    assert found is not None, rest[:200]
    variables = [one.partition("=") for one in STRING.findall(found[2] or "")]
    return STRING.findall(found[1]), {name: value for name, _, value in variables}


@pytest.fixture
def traced(aws: FakeAWS, helper: Helper, tmp_path: Path) -> Tracer:
    return Tracer(helper, tmp_path)


def check(run: Traced, aws: FakeAWS, cache: Path, *, kept: bool = True) -> None:
    """Assert that secrets went where they belong, and that nothing else was written."""
    tokens = list(aws.issued)
    encoded = [base64.b64encode(f"AWS:{token}".encode()).decode()[:80] for token in tokens]
    assert "CANARY" not in run.stderr

    first = run.programs[0][1]
    for argv, env in run.programs:
        line = " ".join(argv)
        assert "CANARY" not in line
        assert not any(token[:80] in line for token in (*tokens, *encoded))
        for name, value in env.items():
            assert first.get(name) == value or not secret_in(value, tokens), name

    for where, data, ours in run.written:
        descriptor, _, path = where.partition(" ")
        to_network = path.startswith("socket:")
        assert "KEY-CANARY" not in data or not ours, f"a secret key is written to {where}"
        assert "CANARY" not in data or to_network or not ours, f"a secret is written to {where}"
        if any(token[:80] in data for token in (*tokens, *encoded)) and ours:
            is_entry = path.startswith(f"{cache}/{HOST}/") and kept
            assert descriptor == "1" or is_entry, f"the token is written to {where}"
    for path in run.opened:
        assert path == "/dev/null" or path.startswith(f"{cache}/"), path


def secret_in(text: str, tokens: list[str]) -> bool:
    return "CANARY" in text or any(token[:80] in text for token in tokens)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_token_from_each_source(
    aws: FakeAWS, traced: Tracer, helper: Helper, home: Path, cache: Path, source: Source
) -> None:
    """Of what proves the identity nothing goes anywhere but to AWS, and a secret key nowhere."""
    source.set_up(helper.env, home, aws)

    miss = traced("get", stdin=HOST)
    hit = traced("get", stdin=HOST)

    assert miss.stdout == hit.stdout
    assert aws.count(CALL) == 1
    check(miss, aws, cache)
    check(hit, aws, cache)
    assert not hit.opened
    # What is looked for can be seen: what went to AWS, and the token on its way to the disk.
    [token] = aws.issued
    assert any(
        "GetAuthorizationToken" in data for where, data, _ in miss.written if "socket" in where
    )
    assert any(token in data for where, data, _ in miss.written if str(cache) in where)


def test_a_renewal_behind(
    aws: FakeAWS, traced: Tracer, helper: Helper, home: Path, cache: Path
) -> None:
    """The process behind an answer is started with no secret in its arguments."""
    Source(static).set_up(helper.env, home, aws)
    helper.get()
    make_due(cache)

    run = traced("get", stdin=HOST)

    until(lambda: aws.count(CALL) == 2)
    assert len(run.programs) > 1
    check(run, aws, cache)


def test_a_login_and_a_logout(aws: FakeAWS, traced: Tracer, cache: Path) -> None:
    """A login's password goes into its entry and nowhere else; erasing shows nothing of it."""
    secret = aws.new_password("AKIALOGIN", "us-east-1")

    for run in (traced("store", stdin=login(secret)), traced("get", stdin=HOST)):
        check(run, aws, cache)
    run = traced("erase", stdin=HOST)

    check(run, aws, cache)
    assert not any(secret[:80] in data for _, data, _ in run.written)


def request(**more: object) -> str:
    return json.dumps(
        {
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "kind": "CredentialProviderRequest",
            "image": f"{HOST}/app:1",
            **more,
        }
    )


def test_the_kubelet(aws: FakeAWS, traced: Tracer, helper: Helper, home: Path, cache: Path) -> None:
    """The node's token goes to the kubelet and into its entry."""
    Source(static).set_up(helper.env, home, aws)

    check(traced("kubelet", stdin=request()), aws, cache)


def test_a_pods_own_role(aws: FakeAWS, traced: Tracer, cache: Path) -> None:
    """A pod's token, and what it is exchanged for, never touch the disk."""
    run = traced(
        "kubelet",
        stdin=request(
            serviceAccountToken="header.POD-CANARY.signature",
            serviceAccountAnnotations={"eks.amazonaws.com/ecr-role-arn": ROLE},
        ),
    )

    check(run, aws, cache, kept=False)


@pytest.mark.parametrize(
    "args", [["refresh", HOST], ["status"], ["list"], ["doctor", "--offline", HOST]], ids=str
)
def test_commands(
    aws: FakeAWS, traced: Tracer, helper: Helper, home: Path, cache: Path, args: list[str]
) -> None:
    """What people type shows no secret, and starts nobody who could."""
    Source(static).set_up(helper.env, home, aws)
    helper.get()

    run = traced(*args, statuses=(0, 1))  # doctor finds fault with PATH

    assert not secret_in(run.stdout, list(aws.issued))
    check(run, aws, cache)


def test_a_fallback(aws: FakeAWS, traced: Tracer, helper: Helper, home: Path, cache: Path) -> None:
    """Another helper is handed what the client sent, and no secret in its environment of ours."""
    write(home / "docker-credential-other", '#!/bin/sh\ncat >/dev/null\necho "{}"\n', 0o755)
    config = write(home / "config.toml", '[fallback]\nhelper = "other"\n', 0o644)
    helper.env.update(AWS_ECR_CONFIG_FILE=config, PATH=f"{home}:{helper.env['PATH']}")

    run = traced("get", stdin=ELSEWHERE)

    assert len(run.programs) > 1
    check(run, aws, cache)
