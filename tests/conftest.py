"""What the tests share: an environment from scratch, the installed executable, a loopback AWS."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import EXECUTABLE, INSTALLED, SYSTEM_PATH, TESTS, Helper, need
from stack import START_LIMIT, Stack

SERVERS = {"aws", "stack"}  # the fixtures that start one

# Building the native executable takes minutes: make test-native does it, and names it.
NATIVE = EXECUTABLE != INSTALLED
collect_ignore_glob = [] if NATIVE else ["native/test_executable*.py"]
if "NATIVE_PACKAGES" not in os.environ:  # make test-packages
    collect_ignore_glob.append("packages/*.py")


@pytest.fixture(scope="session")
def measuring() -> Iterator[dict[str, str]]:
    """The variables by which coverage is measured in what a test starts: none if it is not.

    Some of that is run as another user, who cannot write where coverage keeps its figures, nor go
    below what pytest makes. So they are kept where every user can, and moved at the end. A process
    that is given COVERAGE_PROCESS_CONFIG reads no COVERAGE_FILE: the place stands in the former.
    """
    given = os.environ.get("COVERAGE_PROCESS_CONFIG")
    if given is None:
        yield {}
        return
    from coverage.config import CoverageConfig  # not there in every environment of the tests

    config = CoverageConfig.deserialize(given)
    folder, name = os.path.split(config.data_file)
    place = tempfile.mkdtemp(prefix="coverage-")
    os.chmod(place, 0o1777)
    config.data_file = os.path.join(place, name)
    yield {"COVERAGE_PROCESS_CONFIG": config.serialize()}
    for figures in os.listdir(place):
        shutil.move(os.path.join(place, figures), os.path.join(folder, figures))
    shutil.rmtree(place, ignore_errors=True)  # a renewal behind an answer may just write there


@pytest.fixture
def env(tmp_path: Path, measuring: dict[str, str]) -> dict[str, str]:
    """An environment from scratch: nothing of this machine's but PATH, no credentials, no network."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "DOCKER_CONFIG": str(home / ".docker"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **measuring,
    }


@pytest.fixture
def home(env: dict[str, str]) -> Path:
    return Path(env["HOME"])


@pytest.fixture
def cache(home: Path) -> Path:
    return home / ".cache" / "docker-credential-ecr"


@pytest.fixture
def helper(env: dict[str, str], request: pytest.FixtureRequest) -> Helper:
    if not EXECUTABLE.exists():
        pytest.fail(f"{EXECUTABLE.name} is not installed beside {sys.executable}: run make test")
    helper = Helper(env)
    if request.node.get_closest_marker("clocked"):
        helper.path = EXECUTABLE.parent / "clocked" / EXECUTABLE.name
    return helper


@pytest.fixture
def aws(env: dict[str, str]) -> Iterator[FakeAWS]:
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


@pytest.fixture(scope="session")
def proof(request: pytest.FixtureRequest) -> bool:
    """Whether a proof runs in its long form: see kit."""
    return long_form(request.config)


# The marks that kit.py explains.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proof", action="store_true", help="run proofs in their long form")


def long_form(config: pytest.Config) -> bool:
    return bool(config.getoption("--proof")) or os.environ.get("PROOF") == "1"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Real registries and an AWS endpoint under their names: started once, for all tests of a worker."""
    for name in ("unshare", "nsenter", "ip", "docker-registry", "htpasswd", "skopeo", "curl"):
        need(name)
    made = Stack(tmp_path_factory.mktemp("e2e"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def docker_socket(stack: Stack) -> Path:
    """A Docker daemon in the namespaces, with state of its own."""
    dockerd = need("dockerd")
    need("docker")
    folder = stack.folder / "docker"
    folder.mkdir()
    socket = Path(f"/run/docker-{os.getpid()}.sock")  # in the namespace's own /run
    argv = [dockerd, "--storage-driver=vfs", "--iptables=false", "--ip6tables=false"]
    argv += ["--bridge=none", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    argv += [f"--pidfile={folder}/pid", f"--host=unix://{socket}"]
    stack.spawn("dockerd", argv)
    until = time.monotonic() + START_LIMIT
    probe = [need("docker"), "--host", f"unix://{socket}", "version"]
    while stack.run(probe, {"PATH": SYSTEM_PATH, "HOME": str(folder)}).status != 0:
        assert time.monotonic() < until, stack.log("dockerd")
        time.sleep(0.1)
    return socket


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what starts a server, leave out what is long only."""
    left_out = []
    if NATIVE:
        mark_one_only(items)
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if used & SERVERS:
            item.add_marker("server")
        mark = item.get_closest_marker("proof")
        if mark is not None and mark.kwargs.get("only") and not long_form(config):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def mark_one_only(items: list[pytest.Item]) -> None:
    """Mark the tests of tests/native/one-only.tsv; an item is named by itself, its function, its file."""
    lines = (TESTS / "native" / "one-only.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    kinds = {name: (executable, reason) for executable, name, reason in rows}
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        for key in (name, name.partition("[")[0], name.partition("::")[0]):
            if key in kinds:
                executable, reason = kinds[key]
                if executable == "clocked":
                    item.add_marker(pytest.mark.clocked)
                else:
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
                break


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the end-to-end tests that ran: a pull by a real client is more than a dot."""
    ran = [r for r in terminalreporter.stats.get("passed", []) if "/e2e/" in r.nodeid]
    if ran:
        terminalreporter.section("end to end, with real clients")
        for report in ran:
            terminalreporter.line(f"ran {report.nodeid.rpartition('::')[2]}")
