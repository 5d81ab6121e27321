"""The platform wheels: the native front in the place of the script, with the Python program behind it."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, ELSEWHERE, PUBLIC, Helper, make_due, until
from roots import MACHINE, PACKAGES, PROCESSORS

NAME = "docker-credential-ecr"
DEBUG = {"AWS_ECR_FRONT_DEBUG": "1"}


def wheel(machine: str = MACHINE) -> Path:
    """Return the wheel for a processor."""
    (found,) = PACKAGES.glob(f"docker_credential_ecr-*-py3-none-manylinux*_{machine}.whl")
    return found


def pip(*arguments: str | Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The scripts of an environment in which pip has installed the wheel; what it needs is borrowed."""
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin/python"
    pip("--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel())
    (site,) = place.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


@pytest.fixture
def front(env: dict[str, str], scripts: Path) -> Helper:
    helper = Helper(env)
    helper.path = scripts / NAME
    return helper


def test_pip_takes_it_before_the_pure_one(tmp_path: Path) -> None:
    """Where both are offered, pip takes the one for this platform."""
    pip(
        *("download", "--quiet", "--no-index", "--no-deps", "--find-links", PACKAGES),
        *("--dest", tmp_path, NAME),
    )

    assert [path.name for path in tmp_path.iterdir()] == [wheel().name]


def test_a_miss_is_pythons_and_a_hit_the_fronts(front: Helper, aws: FakeAWS, cache: Path) -> None:
    """The first answer is by Python, the second needs none; both are the same."""
    first = front.get(env=DEBUG)
    assert "on to Python: nothing on the disk may be served" in first.stderr
    front.path.with_name(f"{NAME}.py").unlink()
    second = front.get(env=DEBUG)

    assert (second.status, second.stderr) == (0, "")
    assert second.secret == first.secret
    assert aws.count(CALL) == 1


def test_it_says_what_pips_says(front: Helper, helper: Helper, aws: FakeAWS) -> None:
    """What the front does not know is said by the same program as ever."""
    for words, stdin in (
        (("version",), ""),
        (("get",), ELSEWHERE),
        (("get",), ""),
        (("list",), ""),
        (("nothing",), ""),
        (("status", "--json"), ""),
    ):
        assert front(*words, stdin=stdin) == helper(*words, stdin=stdin)
    assert front.get(PUBLIC).secret


def test_renews_behind_an_answer(front: Helper, aws: FakeAWS, cache: Path) -> None:
    """A token past half of its life is served, and renewed by the program behind the front."""
    first = front.get()
    make_due(cache)

    assert front.get() == first
    until(lambda: aws.count(CALL) == 2, "no renewal")


@pytest.mark.parametrize("start", ["relative", "PATH", "link"])
def test_however_it_is_named(front: Helper, aws: FakeAWS, tmp_path: Path, start: str) -> None:
    """By a relative path, by PATH, by a link, as pipx makes: the program behind it is found."""
    if start == "link":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / NAME).symlink_to(front.path)
        front.path = tmp_path / "bin" / NAME
        run = front.get()
    elif start == "relative":
        wrap = ("sh", "-c", f'cd "{front.path.parent}"; exec ./{NAME} get', "-")
        run = front.get(wrap=wrap)
    else:
        front.env["PATH"] = f"{front.path.parent}:{front.env['PATH']}"
        run = front.get(wrap=("sh", "-c", f"exec {NAME} get", "-"))

    assert run.secret


def test_uninstalled_nothing_stays(scripts: Path) -> None:
    """Pip removes both, by what the wheel records."""
    pip("--python", scripts / "python", "uninstall", "--quiet", "--yes", NAME)

    assert not list(scripts.glob("docker*"))


def pure() -> Path:
    (found,) = PACKAGES.glob("docker_credential_ecr-*-py3-none-any.whl")
    return found


def recorded_in(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name, all of which it records as they are."""
    with zipfile.ZipFile(path) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    (record,) = (name for name in contents if name.endswith("/RECORD"))
    recorded = dict(line.split(",", 1) for line in contents[record].decode().splitlines())
    assert recorded.pop(record) == ","
    assert recorded == {
        name: f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},{len(content)}"
        for name, content in contents.items()
        if name != record
    }
    return contents


@pytest.mark.parametrize("machine", PROCESSORS)
def test_what_is_in_it(machine: str) -> None:
    """The pure wheel's files and no other, each as recorded; the front is static, for the processor."""
    contents = recorded_in(wheel(machine))
    assert sorted(contents) == sorted(recorded_in(pure()))
    (script,) = (name for name in contents if name.endswith(f"scripts/{NAME}"))
    front = contents[script]
    assert front[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", front, 18) == (PROCESSORS[machine],)
    assert b"/lib/ld-" not in front
    assert os.fsencode(PACKAGES.parent) not in front


@pytest.mark.parametrize(("machine", "processor"), [("x86_64", 0x01000007), ("arm64", 0x0100000C)])
def test_the_front_for_macos_comes_alone(machine: str, processor: int) -> None:
    """Beside the wheels, in none of them; whole, for the processor, signed on arm64, as macOS asks for.

    It needs Apple's library alone. Source of the numbers: mach/machine.h, mach-o/loader.h.
    """
    front = (PACKAGES / f"docker-credential-ecr-front-macos-{machine}").read_bytes()
    magic, kind, _, file_type, count = struct.unpack_from("<5I", front)
    commands: dict[int, list[bytes]] = {}
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", front, at)
        commands.setdefault(command & 0x7FFFFFFF, []).append(front[at : at + size])
        at += size

    assert (magic, kind, file_type) == (0xFEEDFACF, processor, 2)  # 64 bits, executable
    (library,) = commands[0xC]
    assert library[24:].rstrip(b"\0") == b"/usr/lib/libSystem.B.dylib"
    assert machine != "arm64" or 0x1D in commands
    assert os.fsencode(PACKAGES.parent) not in front
    assert not [path for path in PACKAGES.glob("*.whl") if "macos" in path.name]


def test_the_one_for_windows_has_no_script() -> None:
    """There the entry point is made to an executable, and a script beside it would not run."""
    (path,) = PACKAGES.glob("docker_credential_ecr-*-none-win32*.whl")
    left = set(recorded_in(pure())) - set(recorded_in(path))
    assert [name.rpartition("/")[2] for name in left] == [NAME]
