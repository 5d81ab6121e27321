"""The packages of the native executable: what is in them, installed into roots without Python, removed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import build_sources
import build_tables
import pytest
from fake_aws import FakeAWS
from kit import CALL, ELSEWHERE, HOST, PUBLIC, TREE, Helper, need
from roots import MACHINE, MACHINES, PACKAGES, Root, package
from stack import Stack

from docker_credential_ecr import __version__

NAME = "docker-credential-ecr"
OTHER_NAMES = ("docker-credential-ecr-login", "ecr-credential-provider")
IMAGE = f"{HOST}/app:1"
REQUEST = {
    "kind": "CredentialProviderRequest",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "image": IMAGE,
}
DEB = f"{NAME}_*_MACHINE.deb"
RPM = f"{NAME}-*.MACHINE.rpm"
APK = f"{NAME}_*_MACHINE.apk"
TAR = f"{NAME}-*-linux-MACHINE.tar.gz"
BILL = f"{NAME}-*-linux-MACHINE.cdx.json"
EXECUTABLE = f"{NAME}-linux-MACHINE"


def run(*command: str | Path) -> str:
    """Run a package manager, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Dpkg:
    """Debian's."""

    def __init__(self, root: Root) -> None:
        self.root = root
        for name in ("updates", "info", "triggers"):
            (root.folder / "var/lib/dpkg" / name).mkdir(parents=True)
        for name in ("status", "available"):
            (root.folder / "var/lib/dpkg" / name).touch()

    def install(self) -> None:
        run(need("dpkg"), f"--root={self.root.folder}", "--force-not-root", "-i", package(DEB))

    def remove(self) -> None:
        run(need("dpkg"), f"--root={self.root.folder}", "--force-not-root", "--purge", NAME)


class Rpm:
    """Red Hat's."""

    def __init__(self, root: Root) -> None:
        self.command = (need("rpm"), f"--root={root.folder}", "--dbpath=/var/lib/rpm")
        run(*self.command, "--initdb")

    def install(self) -> None:
        run(*self.command, "--nodeps", "--install", package(RPM))

    def remove(self) -> None:
        run(*self.command, "--erase", NAME)


Manager = Dpkg | Rpm


@pytest.fixture(params=[Dpkg, Rpm])
def manager(request: pytest.FixtureRequest, root: Root) -> Manager:
    kind: Callable[[Root], Manager] = request.param
    if kind is Dpkg:
        root.with_alternatives()
    return kind(root)


def point(root: Root, aws: FakeAWS) -> None:
    """Let what runs in the root ask the loopback AWS."""
    root.env["AWS_ENDPOINT_URL"] = aws.url
    root.env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
    root.env["AWS_SECRET_ACCESS_KEY"] = "s"


def test_installed_into_a_root_without_python_it_answers_docker(
    root: Root, manager: Manager, aws: FakeAWS
) -> None:
    """What Docker asks at a pull is answered, from AWS and then from disk; removed, only tokens stay."""
    before = root.files()
    point(root, aws)
    manager.install()
    answers = [root.run(NAME, "get", stdin=HOST) for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0].secret
    assert aws.count(CALL) == 1
    manager.remove()
    left = {name for name in root.files() if name not in before}
    assert left
    assert all(name.startswith(f"root/.cache/{NAME}/") for name in left), left
    assert before.items() <= root.files().items()


def test_docker_pulls_in_a_root_without_python(
    root: Root, manager: Manager, stack: Stack, docker_socket: Path
) -> None:
    """Installed, Docker pulls with one call and then with none; removed, only tokens stay."""
    root.add(docker := need("docker"))
    (root.folder / "root/.docker").mkdir()
    (root.folder / "root/.docker/config.json").write_text(
        json.dumps({"credHelpers": {HOST: "ecr"}})
    )
    (root.folder / "etc/hosts").write_text((stack.folder / "hosts").read_text())
    (root.folder / "etc/authority.crt").write_text(stack.bundle.read_text())
    socket = root.folder / "run/docker.sock"
    socket.parent.mkdir()
    socket.touch()
    stack.run(["mount", "--bind", str(docker_socket), str(socket)], {}, check=True)
    env = {
        **root.env,
        "DOCKER_HOST": "unix:///run/docker.sock",
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CA_BUNDLE": "/etc/authority.crt",
    }

    def in_root(*command: str) -> None:
        done = stack.run([need("chroot"), str(root.folder), *command], env)
        assert done.status == 0, done

    before = root.files()
    stack.forget()
    manager.install()
    for _ in range(2):
        in_root(docker, "pull", IMAGE)
        in_root(docker, "rmi", IMAGE)

    assert stack.endpoints() == ["api.ecr.us-east-1.amazonaws.com"]
    manager.remove()
    left = {name for name in root.files() if name not in before}
    assert left
    assert all(name.startswith("root/.cache/docker-credential-ecr/") for name in left), left
    assert before.items() <= root.files().items()


def test_the_other_names_are_there(root: Root, manager: Manager, aws: FakeAWS) -> None:
    """AWS's helper's name answers Docker, the plugin's name the kubelet; both go with the package."""
    point(root, aws)
    manager.install()

    assert root.run("docker-credential-ecr-login", "get", stdin=HOST).secret
    answer = root.run("ecr-credential-provider", stdin=json.dumps(REQUEST))
    assert answer.status == 0, answer.stderr
    assert json.loads(answer.stdout)["auth"]
    manager.remove()
    assert not [name for name in OTHER_NAMES if (root.folder / "usr/bin" / name).is_symlink()]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_rivals_file_stays(root: Root, manager: Manager, kind: str) -> None:
    """What another package or a person has under those names is never touched, nor taken away."""
    for name in OTHER_NAMES:
        place = root.folder / "usr/bin" / name
        if kind == "file":
            place.write_text("a rival's\n")
        else:
            place.symlink_to("/opt/rival")
    before = root.files()
    manager.install()

    assert before.items() <= root.files().items()
    manager.remove()
    assert root.files() == before


def test_a_rival_that_comes_later_keeps_its_file(root: Root, manager: Manager) -> None:
    """Another package's file in the place of our link is not removed with ours."""
    manager.install()
    rival = root.folder / "usr/bin" / OTHER_NAMES[0]
    rival.unlink()
    rival.write_text("a rival's\n")
    manager.remove()

    assert rival.read_text() == "a rival's\n"


def test_an_upgrade_keeps_the_names(root: Root, aws: FakeAWS) -> None:
    """Installed over itself, as an upgrade is: all names are there."""
    root.with_alternatives()
    manager = Dpkg(root)
    manager.install()
    before = root.files()
    manager.install()

    assert root.files() == before
    assert f"usr/bin/{OTHER_NAMES[0]}" in before


@pytest.mark.parametrize("machine", MACHINES)
def test_lintian_has_no_error(machine: str) -> None:
    """Debian's checks find no error, for either processor."""
    done = subprocess.run(
        [need("lintian"), "--no-cfg", "--allow-root", package(DEB, machine)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert not re.findall(r"^E:.*", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout


def members(path: Path) -> dict[str, tuple[int, str]]:
    """Return mode and SHA-256 of each file of a package."""
    if path.suffix == ".deb":
        data = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True
        ).stdout
    elif path.suffix == ".rpm":
        pipe = f"rpm2archive -n < '{path}'"
        data = subprocess.run(["sh", "-c", pipe], check=True, capture_output=True).stdout
    else:  # of an .apk several streams, one after the other
        data = gzip.decompress(path.read_bytes())
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                name = member.name.removeprefix("./").removeprefix("/")
                found[name] = (member.mode, hashlib.sha256(file.read()).hexdigest())
    return found


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("pattern", [DEB, RPM, APK, TAR])
def test_what_is_in_a_package(pattern: str, machine: str) -> None:
    """The executable of its processor, for all; manual page, completions, licences, bill of materials."""
    found = members(package(pattern, machine))
    top = f"{NAME}-{__version__}-linux-{'amd64' if machine == 'x86_64' else 'arm64'}/"
    if pattern == TAR:
        found = {f"usr/{name.removeprefix(top)}": what for name, what in found.items()}
    executable = package(EXECUTABLE, machine).read_bytes()

    assert found[f"usr/bin/{NAME}"] == (0o755, hashlib.sha256(executable).hexdigest())
    documents = f"usr/share/doc/{NAME}"
    bill = hashlib.sha256(package(BILL, machine).read_bytes()).hexdigest()
    assert found[f"{documents}/{NAME}.cdx.json"] == (0o644, bill)
    wanted = {
        f"usr/share/man/man1/{NAME}.1.gz",
        f"usr/share/bash-completion/completions/{NAME}",
        f"usr/share/fish/vendor_completions.d/{NAME}.fish",
        f"{documents}/copyright",
    }
    assert wanted <= set(found)
    assert any(name.startswith("usr/share/zsh/") for name in found)
    installed = [mode for name, (mode, _) in found.items() if name.startswith("usr/")]
    assert set(installed) == {0o644, 0o755}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_bill_names_all_that_is_embedded(machine: str) -> None:
    """Each archive, package and library with its version, licence and patches by their names, Debian's and ours."""
    bill = json.loads(package(BILL, machine).read_text(encoding="utf-8"))
    components = {component["name"]: component for component in bill["components"]}
    archives = {archive.name for archive in build_sources.archives()}

    assert set(components) == archives | {row[0] for row in build_tables.rows("embedded")}
    assert all(component["version"] and component["licenses"] for component in components.values())
    executable = package(EXECUTABLE, machine).read_bytes()
    [sum_] = bill["metadata"]["component"]["hashes"]
    assert sum_ == {"alg": "SHA-256", "content": hashlib.sha256(executable).hexdigest()}
    for name in build_sources.SECURITY_FROM:
        patches = components[name]["pedigree"]["patches"]
        debians = [patch["diff"]["url"] for patch in patches if patch["type"] == "backport"]
        assert len(debians) > 10
        assert all(url.startswith("debian/patches/") for url in debians)
        ours = [patch["diff"]["url"] for patch in patches if patch["type"] == "unofficial"]
        files = [file.name for file in build_sources.OURS] if name == "cpython" else []
        assert ours == [f"packaging/native/patches/{file}" for file in files]
    resolved = re.findall(r"CVE-\d+-\d+", json.dumps(components["cpython"]["pedigree"]))
    assert len(set(resolved)) > 20


def test_licences_are_whole() -> None:
    """In the archive every licence is there by its own words."""
    with tarfile.open(package(TAR)) as tar:
        [name] = [name for name in tar.getnames() if name.endswith("/copyright")]
        file = tar.extractfile(name)
        assert file is not None
        text = file.read().decode()

    for words in (
        "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2",
        "Apache License",
        "Jean-loup Gailly",
        "musl as a whole is licensed under the following standard MIT license",
        "Expat maintainers",
        "Stefan Krah",
        "Mozilla Public License",
        "Zig contributors",
    ):
        assert words in text, words


def test_sums_are_those_of_the_files() -> None:
    """SHA256SUMS names every package and executable, with its sum."""
    lines = (PACKAGES / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    sums = {name: sum_ for sum_, name in (line.split("  ") for line in lines)}

    assert all(
        hashlib.sha256((PACKAGES / name).read_bytes()).hexdigest() == sum_
        for name, sum_ in sums.items()
    )
    patterns = (DEB, RPM, APK, TAR, BILL, EXECUTABLE)
    assert {package(pattern).name for pattern in patterns} <= set(sums)


def test_made_again_they_are_equal(tmp_path: Path) -> None:
    """The same executables give the same packages, byte by byte."""
    python = str(TREE / ".packages-venv/bin/python")
    subprocess.run(
        [python, "packaging/packages/packages.py", "--into", str(tmp_path), *MACHINES],
        cwd=TREE,
        check=True,
        capture_output=True,
    )

    assert (tmp_path / "SHA256SUMS").read_text() == (PACKAGES / "SHA256SUMS").read_text()


@pytest.mark.parametrize("machine", [machine for machine in MACHINES if machine != MACHINE])
def test_the_other_processors_by_an_emulator(
    machine: str, env: dict[str, str], aws: FakeAWS
) -> None:
    """A miss and a hit by the other processor's executable: the same answers."""
    helper = Helper(env)
    helper.path = package(EXECUTABLE, machine)
    wrap = (need(f"qemu-{machine}"),)
    first, second = (helper.get(wrap=wrap) for _ in range(2))

    assert first.secret
    assert (second, first.stderr) == (first, "")
    assert aws.count(CALL) == 1
    assert helper.get(PUBLIC, wrap=wrap).secret
    assert helper.get(ELSEWHERE, wrap=wrap).status == 1
    assert helper("version", wrap=wrap).stdout.strip().endswith(__version__)
