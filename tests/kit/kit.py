"""The kit: what tests share, each thing once.

Where a test belongs: in the folder of the room that it is about, through the installed executable
wherever that can show it.

    tests/registry/    hostnames
    tests/settings/    the user's configuration file
    tests/cache/       tokens on disk: format, conditions, odd disks
    tests/ecr/         AWS: endpoints, sources of an identity, failures and what is said of them
    tests/tokens/      serve or renew: the ages of a token, herds
    tests/protocol/    Docker's protocol, and the fallback for what is not ECR
    tests/kubelet/     the kubelet's protocol; its own plugin code, and nodeadm's (Go modules)
    tests/helm/        a Go module that pins Helm, for tests/kubelet/test_fleet.py
    tests/commands/    what people type
    tests/program/     what holds for the whole: start-up, secrets, packaging, README
    tests/faults/      proofs: a fault at every call, nothing to be had, many at once
    tests/mutants/     whether the tests notice: the program changed, one thing at a time
    tests/windows/     the everyday way on Windows, by Wine (make test-windows)
    tests/packages/    the packages of the native executable (make test-packages)
    tests/e2e/         real clients against real registries, in namespaces of their own
    tests/native/      the native front: as the vectors say, as Python does, under faults and
                       fuzzing; the native executable, and what it is built from (make test-native)
    tests/vectors/     what every reader of the cache decides, as files: see README.md there
    tests/kit/         this kit: modules that tests import by their plain names

A helper that two files need comes here; a fixture that two folders need goes to conftest.py.

One suite, two executables: ``EXECUTABLE`` is the one that pip installed, or, in ``make test-native``,
the native one. ``tests/native/one-only.tsv`` names the tests that are for one of them, with the
reason; one of pip's only must fail with the other: who mends that takes the line away.

Marks. ``server`` is set by itself on what starts a server (it uses ``aws`` or ``stack``), or by
hand: ``make check`` leaves those out. ``alone`` is for what measures time or memory, or starts so
many processes that others would suffer: it runs when nothing else does. ``proof`` is for what has
a long form: it takes the fixture ``proof``, True under ``--proof`` (or PROOF=1), and does more
rounds then. ``proof(only=True)`` has no short form and runs under ``--proof`` alone. ``make test``
runs the short forms, ``make proof`` the long ones.

Whether a test that lacks something is skipped or fails is decided here, in ``missing``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

TESTS = Path(__file__).parent.parent
TREE = TESTS.parent
INSTALLED = Path(sysconfig.get_path("scripts")) / "docker-credential-ecr"  # pip's
# The one that is tested: make test-native names the native executable.
EXECUTABLE = Path(os.environ.get("NATIVE_EXECUTABLE") or INSTALLED)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIME_LIMIT = 120  # seconds, for any one run: far above what it takes
PATIENCE = 60  # seconds for something to come about, far above what it takes

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
OTHER_ACCOUNT = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
OTHER_REGION = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
FIPS = f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
ELSEWHERE = "registry.example.com"  # not ECR
ROLE = f"arn:aws:iam::{ACCOUNT}:role/puller"
CALL = "GetAuthorizationToken"  # as FakeAWS counts them
PUBLIC_CALL = "PublicGetAuthorizationToken"
REGISTRIES = TESTS / "registry" / "registries.tsv"  # every hostname form, and look-alikes

HOUR = 3600  # seconds
LIFE = 12 * HOUR  # of a token

Environ = Mapping[str, str | None]


# What a test needs of the machine.


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail under CI=true: there everything runs."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)  # noqa: TID251 - the one place that may


def need(command: str) -> str:
    """Return where ``command`` is; what cannot run without it is missing something."""
    found = shutil.which(command, path=SYSTEM_PATH)
    if found is None:
        missing(f"{command} is not installed")
    return found


def as_user(user: int) -> tuple[str, ...]:
    """Return what to put before a command so that root runs it as another user, by number.

    One who may read everything: the program under test may lie where only root can go.
    """
    read = "-all,+dac_read_search"
    return (
        *(need("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups"),
        *(f"--inh-caps={read}", f"--ambient-caps={read}", "--"),
    )


def without(*rights: str) -> tuple[str, ...]:
    """Return what to put before a command so that root has not these capabilities, as others."""
    if os.geteuid():
        return ()
    drop = ",".join(f"-{right}" for right in rights)
    return (need("setpriv"), "--bounding-set", drop, "--inh-caps", drop, "--")


def failing(call: str, error: str, *paths: Path | str, when: str = "1+") -> tuple[str, ...]:
    """Return what to put before a command so that a call of the system's fails for these paths.

    ``error`` is its name (EIO); ``when`` is strace's: which of these calls, all by default.
    """
    return (
        *(need("strace"), "-f", "-qq", "-o", os.devnull, "-e", "signal=none"),
        *("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"),
        *(word for path in paths for word in ("-P", str(path))),
    )


def self_signed(folder: Path, *names: str) -> tuple[str, str]:
    """Make a certificate in ``folder`` that is its own authority; return (certificate, key).

    ``names`` are those that a server of it has: ``DNS:localhost``, ``IP:127.0.0.1``.
    """
    subprocess.run(
        [need("openssl"), *"req -x509 -days 2 -nodes -subj /CN=test -newkey ec".split()]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "key", "-out", "cert"]
        + ["-addext", f"subjectAltName={','.join(names)}"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return str(folder / "cert"), str(folder / "key")


def need_root(what: str) -> None:
    """Let the test that does ``what`` run as root only."""
    if os.geteuid() != 0:
        missing(f"only root can {what}")


def in_namespaces(*flags: str, script: str = "") -> tuple[str, ...]:
    """Return what to put before a command so that it runs in namespaces of its own.

    ``flags`` are unshare's (``--net``, ``--mount``); ``script`` is done there before the command.
    """
    wrap = (need("unshare"), *flags, "--map-root-user")
    if script:
        wrap += ("sh", "-c", f'set -e; {script}; exec "$@"', "-")
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        missing(f"namespaces are not allowed here: unshare {' '.join(flags)}")
    return wrap


# The executable.


@dataclasses.dataclass
class Run:
    """What one run of the executable said."""

    status: int
    stdout: str
    stderr: str

    @property
    def secret(self) -> str:
        """The password of a successful ``get``."""
        assert self.status == 0, (self.stdout, self.stderr)
        answer = json.loads(self.stdout)
        assert answer["Username"] == "AWS"
        return str(answer["Secret"])


class Helper:
    """The installed executable, run in an environment made from scratch."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.path = EXECUTABLE

    def __call__(
        self,
        *args: str,
        stdin: str | bytes = b"",
        env: Environ | None = None,
        wrap: Sequence[str] = (),
    ) -> Run:
        """Run with ``args``; ``env`` adds variables, ``None`` removes one; ``wrap`` goes before."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*wrap, str(self.path), *args],
            input=data,
            capture_output=True,
            env=self.environment(env),
            timeout=TIME_LIMIT,
            check=False,
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *args: str, stdin: str | bytes | None = None, env: Environ | None = None
    ) -> subprocess.Popen[bytes]:
        """Start with pipes on all three descriptors, as Docker and the kubelet do.

        With ``stdin`` it is written and closed; without, it stays open and is the caller's.
        """
        # As a terminal would: whoever runs the tests behind may have SIGINT ignored, which is inherited.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [str(self.path), *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(env),
            )
        finally:
            signal.signal(signal.SIGINT, usual)
        if stdin is not None:
            give(process, stdin)
        return process

    def environment(self, changes: Environ | None = None) -> dict[str, str]:
        merged = {**self.env, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def get(
        self,
        host: str | bytes = HOST,
        env: Environ | None = None,
        wrap: Sequence[str] = (),
    ) -> Run:
        """Ask as Docker does: the bare host on stdin, without a newline."""
        return self("get", stdin=host, env=env, wrap=wrap)


def give(process: subprocess.Popen[bytes], stdin: str | bytes) -> None:
    """Write all of a process's stdin, and close it."""
    assert process.stdin is not None
    process.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
    process.stdin.close()
    process.stdin = None  # so that communicate() leaves it alone


def herd(
    helper: Helper, hosts: Iterable[str], env: Environ | None = None
) -> list[subprocess.Popen[bytes]]:
    """Start a ``get`` for each host, and let none ask before all have been started."""
    asked = list(hosts)
    processes = [helper.start("get", env=env) for _ in asked]
    for process, host in zip(processes, asked, strict=True):
        give(process, host)
    return processes


def answers(processes: Iterable[subprocess.Popen[bytes]]) -> list[str]:
    """Return the secrets that a herd answered with; each must have succeeded."""
    secrets = []
    for process in processes:
        stdout, stderr = process.communicate(timeout=PATIENCE)
        secrets.append(Run(process.returncode, stdout.decode(), stderr.decode()).secret)
        assert stderr == b""
    return secrets


def until(condition: Callable[[], object], what: str = "it did not come about") -> None:
    """Wait until ``condition`` holds; fail with ``what`` if it does not come about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


# What is said to the executable, and what lies on its disk.


def login(secret: str, *, server: str = HOST, user: str = "AWS") -> str:
    """Return the request of ``store``: a docker login with that password."""
    return json.dumps({"ServerURL": server, "Username": user, "Secret": secret})


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Write a file of the user's, with the directories above it; return its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def without_keys(env: dict[str, str]) -> None:
    """Take the static key out of the environment."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]


def entries(cache: Path, host: str = HOST) -> list[Path]:
    """Return the entries that the disk holds for a host: no lock, claim or mark among them."""
    return sorted(path for path in (cache / host).iterdir() if not path.name.startswith("."))


_TIMES = re.compile(r"^(issued|refresh|renew|expires) (\d+)$", re.MULTILINE)


def age(entry: Path, seconds: int) -> None:
    """Make an entry older by so many seconds, with the clock left alone; younger if negative."""
    text = entry.read_text()
    entry.write_text(_TIMES.sub(lambda found: f"{found[1]} {int(found[2]) - seconds}", text))


def age_all(cache: Path, seconds: int, host: str = HOST) -> None:
    """Make every entry of a host older."""
    for entry in entries(cache, host):
        age(entry, seconds)


def make_due(cache: Path, host: str = HOST) -> None:
    """Let the one token on disk be past ``refresh``: served, and renewed behind the answer.

    After ten of its twelve hours it is, wherever ``refresh`` was drawn.
    """
    (entry,) = entries(cache, host)
    age(entry, 10 * HOUR)


def secrets_kept(folder: Path, secrets: Iterable[str]) -> list[Path]:
    """Return the files below ``folder`` in which one of the secrets stands."""
    wanted = [secret.encode() for secret in secrets]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(secret in path.read_bytes() for secret in wanted)]


def processes_below(folder: Path) -> list[int]:
    """Return the processes in whose environment a variable names ``folder`` or what is in it.

    Renewals behind an answer: whoever removes the folder must wait until they have left.
    """
    place = os.fsencode(folder)
    return [
        process
        for process, variables in _environments()
        if any(variable.partition(b"=")[2].startswith(place) for variable in variables)
    ]


def processes_with(variable: str) -> list[int]:
    """Return the processes in whose environment ``variable`` (``NAME=value``) stands."""
    return [process for process, variables in _environments() if variable.encode() in variables]


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    """Yield each process that may be looked at, and the variables that it was started with."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            yield int(name), Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile
