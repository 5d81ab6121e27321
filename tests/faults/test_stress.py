"""Many at once, for a while, while everything changes: each answer belongs to who asked, and when.

Readers with several profiles, rewrites of the files that choose the identity, logins, logouts,
refreshes, and SIGKILL at any time: for a minute in the long form, for seconds in the short.
STRESS_SEED in the environment repeats the choices of a run, though not its timing.
"""

from __future__ import annotations

import bisect
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import EXECUTABLE, SYSTEM_PATH, login, processes_with

SHORT, LONG = 6, 60  # seconds
WORKERS = 6  # each with one process, which may leave one renewal behind: 12 at once
TOKEN_LIFE = 10  # seconds, so that tokens are renewed and expire under our eyes
PATIENCE = 90  # seconds for one run, above AWS_ECR_TIMEOUT
SETTLED = 60  # seconds until what was started has ended by itself
REGION = "us-east-1"
PLAIN = "123456789012.dkr.ecr.us-east-1.amazonaws.com"  # the profile is the environment's
COPIED = "210987654321.dkr.ecr.us-east-1.amazonaws.com"  # so here: a token of PLAIN serves
RULED = "345678901234.dkr.ecr.us-east-1.amazonaws.com"  # the profile is config.toml's
LOGIN = "456789012345.dkr.ecr.us-east-1.amazonaws.com"  # has logins of the user's
HOSTS = (PLAIN, COPIED, RULED, LOGIN)
PROFILES = ("prod", "stag", "devl")  # of one length: a rewrite need not change a file's size


class Clocked(FakeAWS):
    """An AWS that remembers when it issued what."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, float] = {}

    def new_password(self, access_key: str, region: str) -> str:
        now = time.time()
        password = super().new_password(access_key, region)
        self.times[password] = now
        return password


class History:
    """What a value was, and when. It changes at some time between ``change`` and ``changed``."""

    def __init__(self, value: str) -> None:
        self._lock = threading.Lock()
        self._begins = [0.0]
        self._ends = [float("inf")]
        self._values = [value]

    def change(self, value: str) -> None:
        """Say that the value may be ``value`` from now on."""
        with self._lock:
            self._begins.append(time.time())
            self._ends.append(float("inf"))
            self._values.append(value)

    def changed(self) -> None:
        """Say that the value before the last is no more."""
        with self._lock:
            self._ends[-2] = time.time()

    def between(self, start: float, end: float) -> set[str]:
        """Return each value that it had at some time from ``start`` to ``end``."""
        with self._lock:
            last = bisect.bisect_right(self._begins, end)
            ends = zip(self._ends[:last], self._values[:last], strict=True)
            return {value for until, value in ends if until >= start}


class Machine:
    """The home, what is written in it, and what is known of it."""

    def __init__(self, home: Path, aws: Clocked, seed: int, seconds: int) -> None:
        self.home = home
        self.aws = aws
        self.seed = seed
        self.cache = home / ".cache" / "docker-credential-ecr"
        self.env = {
            "PATH": SYSTEM_PATH,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ECR_TIMEOUT": "60",
            "STRESS": f"{os.getpid()}-{seed}",
        }
        self.keys = {profile: History(self._key(profile, 0)) for profile in PROFILES}
        self.ruled = History(PROFILES[0])
        self.logins: set[str] = set()
        self.erased: dict[str, list[tuple[float, float]]] = {host: [] for host in HOSTS}
        self.wrong: list[str] = []
        self.counts: dict[str, int] = {}
        self.end = time.time() + seconds
        self._generation = dict.fromkeys(PROFILES, 0)
        (home / ".aws").mkdir(parents=True)
        self.credentials = home / ".aws" / "credentials"
        self.rules = home / ".config" / "docker-credential-ecr" / "config.toml"
        self.rules.parent.mkdir(parents=True)
        self.credentials.write_text(self._credentials())
        self.rules.write_text(self._rules(PROFILES[0]))

    @staticmethod
    def _key(profile: str, generation: int) -> str:
        return f"AKIA{profile.upper()}{generation:06}"

    def _credentials(self) -> str:
        return "".join(
            f"[{name}]\naws_access_key_id = {self._key(name, number)}\n"
            "aws_secret_access_key = SECRET-CANARY\n"
            for name, number in self._generation.items()
        )

    @staticmethod
    def _rules(profile: str) -> str:
        return f'[[registry]]\nmatch = "{RULED}"\nprofile = "{profile}"\n'

    # Those who write what chooses the identity: one thread.

    def rewrite(self, pick: random.Random) -> None:
        while time.time() < self.end:
            time.sleep(pick.uniform(0.1, 0.6))
            if pick.random() < 0.5:
                profile = pick.choice(PROFILES)
                self._generation[profile] += 1
                history = self.keys[profile]
                history.change(self._key(profile, self._generation[profile]))
                _replace(self.credentials, self._credentials(), pick)
                history.changed()
            else:
                profile = pick.choice(PROFILES)
                self.ruled.change(profile)
                _replace(self.rules, self._rules(profile), pick)
                self.ruled.changed()
            self.count("rewrite")

    def kill(self, pick: random.Random) -> None:
        """Kill any process of the program's at any time, renewals too."""
        while time.time() < self.end:
            time.sleep(pick.uniform(0.05, 0.5))
            for process in pick.sample(found := self.processes(), min(1, len(found))):
                try:
                    os.kill(process, signal.SIGKILL)
                    self.count("kill")
                except ProcessLookupError:
                    pass

    def processes(self) -> list[int]:
        return processes_with(f"STRESS={self.env['STRESS']}")

    # Those who ask: each in a thread.

    def work(self, pick: random.Random) -> None:
        actions = (self.get, self.kubelet, self.store, self.erase, self.refresh, self.list)
        while time.time() < self.end:
            [action] = pick.choices(actions, (70, 8, 5, 5, 3, 4))
            try:
                action(pick)
            except Exception as error:  # noqa: BLE001 - told at the end
                self.wrong.append(f"{action.__name__}: {error!r}")
            self.count(action.__name__)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def run(self, *args: str, stdin: str, profile: str) -> subprocess.CompletedProcess[str] | None:
        """Return what a run said, ``None`` if it was killed."""
        done = subprocess.run(
            [EXECUTABLE, *args],
            input=stdin,
            capture_output=True,
            text=True,
            env={**self.env, "AWS_PROFILE": profile},
            timeout=PATIENCE,
            check=False,
        )
        for secret in ("CANARY", "Traceback", "defect"):
            if secret in done.stderr:
                self.wrong.append(f"{args[0]}: {secret} on stderr: {done.stderr[:200]!r}")
        return None if done.returncode == -signal.SIGKILL else done

    def get(self, pick: random.Random) -> None:
        host, profile = pick.choice(HOSTS), pick.choice(PROFILES)
        start = time.time()
        done = self.run("get", stdin=host, profile=profile)
        if done is not None:
            secret = json.loads(done.stdout)["Secret"] if done.returncode == 0 else ""
            self.judge("get", host, profile, start, secret, done)

    def kubelet(self, pick: random.Random) -> None:
        host, profile = pick.choice(HOSTS), pick.choice(PROFILES)
        request = {
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "kind": "CredentialProviderRequest",
            "image": f"{host}/app:1",
        }
        start = time.time()
        done = self.run("kubelet", stdin=json.dumps(request), profile=profile)
        if done is not None:
            auth = json.loads(done.stdout)["auth"] if done.returncode == 0 else {}
            secret = auth[host]["password"] if auth else ""
            self.judge("kubelet", host, profile, start, secret, done)

    def judge(
        self,
        what: str,
        host: str,
        profile: str,
        start: float,
        secret: str,
        done: subprocess.CompletedProcess[str],
    ) -> None:
        end = time.time()
        where = f"{what} {host[:4]} {profile}"
        if done.returncode or done.stderr:
            self.wrong.append(f"{where}: {done.returncode} {done.stderr[:300]!r}")
            return
        issued = self.aws.times[secret]
        if issued + TOKEN_LIFE < start:
            self.wrong.append(f"{where}: {start - issued - TOKEN_LIFE:.1f} s after its expiry")
        began = max((b for b, ended in list(self.erased[host]) if ended < start), default=0.0)
        if issued < began:
            self.wrong.append(f"{where}: issued {began - issued:.2f} s before a logout before it")
        if host == LOGIN and secret in self.logins:
            return
        profiles = self.ruled.between(start, end) if host == RULED else {profile}
        keys = set().union(*(self.keys[name].between(start, end) for name in profiles))
        key, region = self.aws.issued[secret]
        if key not in keys or region != REGION:
            self.wrong.append(f"{where}: a token of {key}, and not of {sorted(keys)}")

    def store(self, pick: random.Random) -> None:
        secret = self.aws.new_password("AKIALOGIN", REGION)
        self.logins.add(secret)
        stdin = login(secret, server=LOGIN)
        self.expect(self.run("store", stdin=stdin, profile=pick.choice(PROFILES)), "store")

    def erase(self, pick: random.Random) -> None:
        host = pick.choice(HOSTS)
        start = time.time()
        done = self.run("erase", stdin=host, profile=pick.choice(PROFILES))
        self.expect(done, "erase")
        if done is not None:
            self.erased[host].append((start, time.time()))

    def refresh(self, pick: random.Random) -> None:
        done = self.run("refresh", PLAIN, stdin="", profile=pick.choice(PROFILES))
        if done is not None and done.returncode:
            self.wrong.append(f"refresh: {done.returncode} {done.stderr[:300]!r}")

    def list(self, pick: random.Random) -> None:
        done = self.run("list", stdin="", profile=pick.choice(PROFILES))
        if done is not None:
            listed = {host.removeprefix("https://") for host in json.loads(done.stdout)}
            if done.returncode or not listed <= set(HOSTS):
                self.wrong.append(f"list: {done.returncode} {done.stdout!r}")

    def expect(self, done: subprocess.CompletedProcess[str] | None, what: str) -> None:
        if done is not None and (done.returncode or done.stdout or done.stderr):
            self.wrong.append(f"{what}: {done.returncode} {done.stdout!r} {done.stderr!r}")

    # Afterwards.

    def files(self) -> Sequence[Path]:
        found = [path for host in HOSTS for path in (self.cache / host).glob("*")]
        return [path for path in found if path.is_file()]


def _replace(path: Path, text: str, pick: random.Random) -> None:
    """Write ``text`` as an editor does, or in place with the times as they were, as `cp -p` does."""
    state = path.stat()
    if pick.random() < 0.5:
        beside = path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, path)
    else:
        with path.open("r+") as file:
            file.write(text)
    if pick.random() < 0.5:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.fixture
def machine(tmp_path: Path, proof: bool) -> Iterator[Machine]:
    seed = int(os.environ.get("STRESS_SEED") or random.randrange(1_000_000))
    print(f"STRESS_SEED={seed}")  # noqa: T201 - the figures of a proof
    with Clocked() as aws:
        aws.token_life = TOKEN_LIFE
        yield Machine(tmp_path / "home", aws, seed, LONG if proof else SHORT)


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.server
def test_every_answer_belongs_to_its_identity(machine: Machine) -> None:
    """No answer is foreign, expired or from before a logout; nothing is orphaned, all is whole."""
    targets = [machine.rewrite, machine.kill, *[machine.work] * WORKERS]
    threads = [
        threading.Thread(target=target, args=(random.Random(machine.seed * 100 + number),))
        for number, target in enumerate(targets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settled = time.time() + SETTLED
    while machine.processes():
        assert time.time() < settled, "a process is left"
        time.sleep(0.1)

    print(f"{machine.counts}, {len(machine.aws.times)} tokens issued")  # noqa: T201 - the figures of a proof
    assert not machine.wrong, "\n".join([f"{len(machine.wrong)} wrong:", *machine.wrong[:40]])
    for path in machine.files():
        assert path.stat().st_mode & 0o777 == 0o600, path
        if path.name[0] != ".":
            text = path.read_text()
            secret = re.fullmatch(
                r'docker-credential-ecr \d\nhost .*\n\n"([^"\\]+)"\n', text, re.DOTALL
            )
            assert secret is not None, f"half an entry: {text[:40]!r}"
            assert secret[1] in machine.aws.times

    # Killed writers leave temporary files; the next writer sweeps those that are old.
    # The mark of a logout is none: it stays for as long as what it forbids.
    old = [path for path in machine.files() if path.name[0] == "." and path.name != ".erased"]
    for path in old:
        os.utime(path, (time.time() - 3600,) * 2)
    for host in HOSTS:
        for action in ("erase", "get"):
            done = machine.run(action, stdin=host, profile=PROFILES[0])
            assert done is not None
            assert done.returncode == 0
    left = [path.name for path in old if path.exists()]
    print(f"{len(old)} temporary files swept")  # noqa: T201 - the figures of a proof
    assert not left
