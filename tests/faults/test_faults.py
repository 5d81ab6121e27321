"""Whatever call fails, the answer is right or an error that says so; and the next two are right.

Every call that touches the disk or a process goes wrong once, in each conversation: it fails,
does less, takes long, or is the last that the process makes (fault.c). All of them in the long
form, a sample in the short. In the environment ``FAULT="12 errno 5"`` asks for that one alone, and
``FAULTS=100`` for about so many of each conversation.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode: torture is a plain module here

from fake_aws import FakeAWS
from kit import HOST, OTHER_ACCOUNT
from torture import LATEST, REGION, Case, Home, Result, build, cases

WORKERS = os.cpu_count() or 1  # homes that are tortured side by side
DOCKER = {"auths": {"ghcr.io": {"auth": "CANARY-docker"}}}
CONFIGURED = {**DOCKER, "credHelpers": {HOST: "ecr"}}


class Problem(Exception):
    """What is not right after a fault."""


def must(condition: object, problem: str) -> None:
    if not condition:
        raise Problem(problem)


class Conversation:
    """One thing that is said to the program, and what must hold of it under a fault."""

    args: tuple[str, ...] = ("get",)
    stdin = HOST
    sample = 6  # cases in the short form

    def prepare(self, home: Home) -> None:
        """Put ``home`` in the state before."""
        home.clean()

    def judge(self, home: Home, case: Case, result: Result) -> None:
        """Raise ``Problem`` if the answer is not right."""
        self.say_nothing_secret(home, result)
        if result.killed:
            return
        if result.status == 0:
            must(result.stderr == "", f"exit 0 with {result.stderr!r}")
            must(self.secret(result) in self.rightful(home), f"a wrong answer: {result.said}")
        else:
            self.honest(case, result)
            must(not case.harmless, f"gave up: {result.said}")
            must(not case.of_cache, f"gave up, and AWS would have answered: {result.said}")

    def secret(self, result: Result) -> str:
        answer = json.loads(result.stdout)
        must(answer["ServerURL"] == HOST, "another server")
        must(answer["Username"] == "AWS", "another user")
        return str(answer["Secret"])

    def rightful(self, home: Home) -> set[str]:
        mine = (home.key, REGION)
        return {secret for secret, whose in list(home.aws.issued.items()) if whose == mine}

    def honest(self, case: Case, result: Result) -> None:
        """An error has a reason for the client and one for people, and is no defect of ours."""
        must(result.status == 1, f"exit {result.status}: {result.said}")
        if case.path != "<stderr>":
            must(
                result.stderr.startswith("docker-credential-ecr: error: "),
                f"no reason: {result.said}",
            )
        if case.path != "<stdout>":
            must("{" not in result.stdout, f"part of an answer: {result.said}")

    def say_nothing_secret(self, home: Home, result: Result) -> None:
        said = result.stderr + (result.stdout if result.status else "")
        must("defect" not in said, f"a defect: {result.said}")
        must("Traceback" not in said, f"a traceback: {result.said}")
        must("CANARY" not in said, "a secret")
        if result.status > 0 or result.stderr:
            must(not any(s[:40] in said for s in list(home.aws.issued)), "a token in an error")
        must(result.seconds < LATEST, f"it took {result.seconds:.0f} s")

    def after(self, home: Home, case: Case, result: Result) -> None:
        """Two gets are right, and the second asks nobody: what is on disk is whole again."""
        first = home.get()
        must(first.status == 0 and not first.stderr, f"the next get: {first.said}")
        must(self.secret(first) in self.rightful(home), f"the next get is wrong: {first.said}")
        home.wait_for_all()  # the first may have started a renewal
        calls = home.calls()
        second = home.get()
        must(second.status == 0 and not second.stderr, f"the second get: {second.said}")
        must(self.secret(second) in self.rightful(home), f"the second is wrong: {second.said}")
        must(home.calls() == calls, "the second get found nothing on disk")


class Miss(Conversation):
    """No token is on disk."""

    sample = 8


class Hit(Conversation):
    """The token on disk answers."""

    sample = 30

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()


class Behind(Conversation):
    """The token on disk answers and is renewed behind: the fault may be in either process."""

    sample = 8

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens(age="refresh")


class Late(Conversation):
    """The token on disk is renewed before it is answered with."""

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens(age="renew")


class Copy(Conversation):
    """Another registry's token answers, and is kept."""

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()
        for path in (home.cache / HOST).iterdir():
            path.unlink()


class Kubelet(Conversation):
    """The kubelet asks, and a token is on disk."""

    args = ("kubelet",)
    stdin = json.dumps(
        {
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "kind": "CredentialProviderRequest",
            "image": f"{HOST}/app:1",
        }
    )

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()

    def secret(self, result: Result) -> str:
        answer = json.loads(result.stdout)
        if "auth" in answer:
            must(list(answer["auth"]) == [HOST], "another server")
            return str(answer["auth"][HOST]["password"])
        return super().secret(result)


class List(Conversation):
    """The hosts with a token are listed: a list cannot fail."""

    args = ("list",)
    stdin = ""

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()

    def judge(self, home: Home, case: Case, result: Result) -> None:
        self.say_nothing_secret(home, result)
        if result.killed or case.path == "<stdout>":
            return
        must(result.status == 0, f"list failed: {result.said}")
        listed = {host.removeprefix("https://") for host in json.loads(result.stdout)}
        must(listed <= {HOST, OTHER_ACCOUNT}, f"a foreign host: {result.said}")


class Erase(Conversation):
    """The token goes, or it is said that it did not."""

    args = ("erase",)

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()

    def judge(self, home: Home, case: Case, result: Result) -> None:
        self.say_nothing_secret(home, result)
        if not result.killed:
            must(result.status == 0, f"erase failed: {result.said}")
            must(result.stdout == "", f"erase said {result.stdout!r}")

    def after(self, home: Home, case: Case, result: Result) -> None:
        old = home.old
        for host in (HOST, OTHER_ACCOUNT):
            answer = home.get(host)
            must(answer.status == 0, f"the next get: {answer.said}")
            if result.status == 0 and not result.stderr and case.path != "<stdin>":
                secret = json.loads(answer.stdout)["Secret"]
                must(secret != old, f"the erased token is served for {host}, and nothing was said")
        super().after(home, case, result)


class Store(Conversation):
    """A login is kept, or it is said that it is not."""

    args = ("store",)

    def prepare(self, home: Home) -> None:
        home.clean()
        self.login = home.aws.new_password(home.key, REGION)
        self.stdin = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": self.login})

    def judge(self, home: Home, case: Case, result: Result) -> None:
        self.say_nothing_secret(home, result)
        if result.killed:
            return
        if result.status:
            self.honest(case, result)
        else:
            must(result.stdout + result.stderr == "", f"store said: {result.said}")

    def after(self, home: Home, case: Case, result: Result) -> None:
        super().after(home, case, result)
        if result.status == 0:
            must(self.secret(home.get()) == self.login, "the login was not kept")


class Refresh(Conversation):
    """A new token is fetched and kept, or it is said that it is not."""

    args = ("refresh", HOST)
    stdin = ""

    def prepare(self, home: Home) -> None:
        home.clean()
        home.keep_tokens()

    def judge(self, home: Home, case: Case, result: Result) -> None:
        self.say_nothing_secret(home, result)
        if not result.killed and result.status:
            must("docker-credential-ecr: error: " in result.stderr, f"no reason: {result.said}")

    def after(self, home: Home, case: Case, result: Result) -> None:
        if result.status == 0 and "warning" not in result.stderr:
            new = self.secret(home.get())
            must(new != home.old, "the old token is served, and nothing was said")
        super().after(home, case, result)


class Configure(Conversation):
    """Docker's file is as before or as asked for, and holds the logins that it held."""

    args = ("configure", HOST)
    stdin = ""
    before: dict[str, Any] = DOCKER
    wanted: dict[str, Any] = CONFIGURED

    def prepare(self, home: Home) -> None:
        home.clean()
        home.docker.parent.mkdir()
        home.docker.write_text(json.dumps(DOCKER))
        home.docker.chmod(0o600)

    def judge(self, home: Home, case: Case, result: Result) -> None:
        self.say_nothing_secret(home, result)
        found = json.loads(home.docker.read_text())
        if result.status == 0:
            must(found == self.wanted, f"exit 0, and the file is {found}")
        else:
            must(found in (self.before, self.wanted), f"the file is {found}")
            if not result.killed:
                must("docker-credential-ecr: error: " in result.stderr, f"no reason: {result.said}")

    def after(self, home: Home, case: Case, result: Result) -> None:
        again = home.run(*self.args)
        must(again.status == 0, f"once more: {again.said}")
        found = json.loads(home.docker.read_text())
        must(found == self.wanted, f"once more, and the file is {found}")
        must(home.run("configure", HOST).status == 0, "configure fails")
        must(home.run("configure", "--remove").status == 0, "remove fails")
        found = json.loads(home.docker.read_text())
        must(found == DOCKER, f"taken back, and the file is {found}")
        holders = [
            p for p in home.path.rglob("*") if p.is_file() and b"CANARY-docker" in p.read_bytes()
        ]
        must(holders == [home.docker], f"the logins are left in {holders[-1].name}")


class Remove(Configure):
    """What was configured is taken back."""

    args = ("configure", "--remove")
    before = CONFIGURED
    wanted = DOCKER

    def prepare(self, home: Home) -> None:
        super().prepare(home)
        assert home.run("configure", HOST).status == 0


CONVERSATIONS = [
    Hit, Miss, Behind, Late, Copy, Kubelet, List, Erase, Store, Refresh, Configure, Remove
]  # fmt: skip


Homes = queue.SimpleQueue[Home]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, measuring: dict[str, str]) -> Iterator[Homes]:
    """As many homes as are tortured at once."""
    folder = tmp_path_factory.mktemp("homes")
    library = build(folder)
    with FakeAWS() as aws:
        made: queue.SimpleQueue[Home] = queue.SimpleQueue()
        for number in range(WORKERS):
            (folder / f"h{number}").mkdir()
            made.put(Home(folder / f"h{number}", aws, library, measuring))
        yield made


def record(kind: type[Conversation], home: Home) -> list[Case]:
    """Return what can go wrong, having seen all go right."""
    conversation = kind()
    conversation.prepare(home)
    case = Case(0, "", "", "nothing")
    result = home.run(*conversation.args, stdin=conversation.stdin, case=case)
    found: list[Case] = cases(home.log())
    assert result.status == 0, result
    conversation.judge(home, case, result)
    conversation.after(home, case, result)
    return found


def attempt(kind: type[Conversation], homes: queue.SimpleQueue[Home], case: Case) -> str:
    """Return what is wrong with a case, or nothing."""
    home = homes.get()
    try:
        conversation = kind()
        conversation.prepare(home)
        result = home.run(*conversation.args, stdin=conversation.stdin, case=case)
        try:
            conversation.judge(home, case, result)
            conversation.after(home, case, result)
        except (Problem, ValueError, AssertionError, OSError) as problem:
            at = "" if result.is_at(case) else f" [{result.hit}]"
            return f"{kind.__name__} {case}{at}: {problem}"
        return ""
    finally:
        homes.put(home)


@pytest.mark.proof
@pytest.mark.server
@pytest.mark.parametrize("kind", CONVERSATIONS, ids=lambda kind: kind.__name__.lower())
def test_every_call_may_fail(homes: Homes, proof: bool, kind: type[Conversation]) -> None:
    """See this file's docstring; the message names each case that was not right."""
    home = homes.get()
    possible = record(kind, home)
    homes.put(home)
    chosen = possible
    if only := os.environ.get("FAULT"):
        chosen = [case for case in possible if f"{case.number} {case.what}" == only]
    elif not proof:
        # Spread evenly, and not in step with the number of faults that a kind of call has.
        sample = int(os.environ.get("FAULTS") or kind.sample)
        chosen = possible[:: max(1, len(possible) // sample)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [said for said in pool.map(lambda case: attempt(kind, homes, case), chosen) if said]
    print(f"{kind.__name__}: {len(chosen)} of {len(possible)} cases")  # noqa: T201 - the figures of a proof
    assert not wrong, "\n".join([f"{len(wrong)} of {len(chosen)} cases:", *wrong])


@pytest.mark.server
def test_a_logout_that_cannot_see_all_of_the_cache_says_so(homes: Homes) -> None:
    """The cache cannot be opened, or an entry comes in parts: all copies go, or it is said."""
    folders = ("/docker-credential-ecr", f"/{HOST}", f"/{OTHER_ACCOUNT}")

    def chooses(case: Case) -> bool:
        opens = case.kind in ("open", "stat") and case.path.endswith(folders)
        return opens or (case.what == "short" and case.of_cache)

    try_those(Erase, homes, chooses)


@pytest.mark.server
@pytest.mark.parametrize("kind", [Configure, Remove], ids=lambda kind: kind.__name__.lower())
def test_a_lock_of_configure_that_fails_is_no_defect(
    homes: Homes, kind: type[Conversation]
) -> None:
    """It, or where it is to be, cannot be looked at; it cannot be taken or given back: done without.

    The files are read again before they are replaced.
    """

    def chooses(case: Case) -> bool:
        looks = case.path.endswith("configure.lock") or (case.kind, case.path) == ("stat", "~")
        return looks and case.what.startswith("errno")

    try_those(kind, homes, chooses)


def try_those(kind: type[Conversation], homes: Homes, chooses: Callable[[Case], bool]) -> None:
    """Try the cases that ``chooses`` takes: faults that were found once, in every run."""
    home = homes.get()
    chosen = list(filter(chooses, record(kind, home)))
    homes.put(home)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [said for said in pool.map(lambda case: attempt(kind, homes, case), chosen) if said]
    assert chosen
    assert not wrong, "\n".join(wrong)


@pytest.mark.server
def test_every_kind_of_call_is_seen(homes: Homes) -> None:
    """The library stands before the calls of this interpreter: without that, nothing is proven."""
    home = homes.get()
    seen: set[str] = set()
    try:
        for kind in (Miss, Configure, *[Behind] * 5):  # a machine under load may be too late to
            if "spawn" not in seen:  # start a renewal
                seen |= {case.kind for case in record(kind, home)}
    finally:
        homes.put(home)

    assert seen >= {"open", "create", "read", "write", "fsync", "close", "rename", "mkdir", "stat"}
    assert seen >= {"readdir", "flock", "thread", "spawn"}
