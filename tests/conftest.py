"""What the tests share: an environment from scratch, the installed executable, a loopback AWS."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode: fake_aws is a plain module here

from fake_aws import FakeAWS

EXECUTABLE = Path(sysconfig.get_path("scripts")) / "docker-credential-ecr"
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
TIME_LIMIT = 120  # seconds, for any one run: far above what it takes


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
        env: dict[str, str | None] | None = None,
        wrap: tuple[str, ...] = (),
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
        self, *args: str, env: dict[str, str | None] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start with ``args`` and pipes on all three descriptors, as Docker and the kubelet do."""
        # As a terminal would: whoever runs the tests behind may have SIGINT ignored, which is inherited.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return self._start(args, env)
        finally:
            signal.signal(signal.SIGINT, usual)

    def _start(
        self, args: tuple[str, ...], env: dict[str, str | None] | None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.path), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(env),
        )

    def environment(self, changes: dict[str, str | None] | None = None) -> dict[str, str]:
        merged = {**self.env, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def get(self, host: str = HOST, **how: object) -> Run:
        """Ask as Docker does: the bare host on stdin, without a newline."""
        return self("get", stdin=host, **how)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment from scratch: nothing of this machine's but PATH, no credentials, no network."""
    home = tmp_path / "home"
    home.mkdir()
    made = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "DOCKER_CONFIG": str(home / ".docker"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "COVERAGE_FILE"):
        if name in os.environ:  # so that what the executable runs is measured
            made[name] = os.environ[name]
    return made


@pytest.fixture
def home(env: dict[str, str]) -> Path:
    return Path(env["HOME"])


@pytest.fixture
def cache(home: Path) -> Path:
    return home / ".cache" / "docker-credential-ecr"


@pytest.fixture
def helper(env: dict[str, str]) -> Helper:
    if not EXECUTABLE.exists():
        pytest.fail(f"{EXECUTABLE.name} is not installed beside {sys.executable}: run make test")
    return Helper(env)


@pytest.fixture
def aws(env: dict[str, str]):
    """A loopback AWS, which ``env`` points to, with a static key."""
    with FakeAWS() as server:
        env["AWS_ENDPOINT_URL"] = server.url
        env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
        env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY-static"
        yield server


@pytest.fixture(scope="session")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubelet's own plugin code, asked by a driver."""
    from node import build_kubelet

    return build_kubelet(tmp_path_factory.mktemp("kubelet"))


def need(command: str) -> str:
    """Return where ``command`` is; without it skip the test, or fail where all must run."""
    import shutil

    found = shutil.which(
        command, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    if found is None:
        reason = f"{command} is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the end-to-end tests that ran: a pull by a real client is more than a dot."""
    ran = [r for r in terminalreporter.stats.get("passed", []) if "/e2e/" in r.nodeid]
    if ran:
        terminalreporter.section("end to end, with real clients")
        for report in ran:
            terminalreporter.line(f"ran {report.nodeid.rpartition('::')[2]}")
