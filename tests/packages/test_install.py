"""The installer of the .tar.gz, for machines without a package manager: model, aws-cli's install.bats."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from kit import Run, in_namespaces, need
from roots import MACHINE, PROCESSORS, package

from docker_credential_ecr import __version__

NAME = "docker-credential-ecr"
TAR = f"{NAME}-*-linux-MACHINE.tar.gz"
NOBODY = 65534  # a user who is not root


def unpacked(folder: Path) -> Path:
    """Unpack the archive; return its one folder."""
    subprocess.run(["tar", "-xf", package(TAR), "-C", folder], check=True)
    (top,) = folder.iterdir()
    return top


class Installer:
    """The installer, run by a shell."""

    def __init__(self, top: Path, shell: tuple[str, ...]) -> None:
        self.top, self.shell = top, shell

    def __call__(self, *arguments: str, wrap: tuple[str, ...] = (), user: int | None = None) -> Run:
        done = subprocess.run(
            [*wrap, *self.shell, str(self.top / "install.sh"), *arguments],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin"},
            user=user,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(params=["sh", "bash", "busybox"])
def install(request: pytest.FixtureRequest, tmp_path: Path) -> Installer:
    (tmp_path / "archive").mkdir()
    shell = (need(request.param), *(["sh"] if request.param == "busybox" else []))
    return Installer(unpacked(tmp_path / "archive"), shell)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_installs(install: Installer, tmp_path: Path) -> None:
    """What is in the archive is below the prefix, and runs; what is missing in PATH is said."""
    prefix = tmp_path / "a prefix"
    done = install("--prefix", str(prefix))

    assert (done.status, done.stderr) == (0, "")
    first, hint = done.stdout.splitlines()
    assert first == f"{NAME} (docker_credential_ecr) {__version__}"
    assert hint == f'add it to PATH: export PATH="{prefix}/bin:$PATH"'
    shipped = [name for name in files_below(install.top) if name != "install.sh"]
    assert files_below(prefix) == sorted([*shipped, f"share/doc/{NAME}/installed"])
    assert os.access(prefix / "bin" / NAME, os.X_OK)


def test_removes_what_it_installed(install: Installer, tmp_path: Path) -> None:
    """All of it, and nothing else; a second time it says that there is nothing."""
    (tmp_path / "prefix/bin").mkdir(parents=True)
    (tmp_path / "prefix/bin/other").touch()
    install("--prefix", str(tmp_path / "prefix"))
    done = install("--prefix", str(tmp_path / "prefix"), "--remove")

    assert (done.status, done.stderr) == (0, "")
    assert files_below(tmp_path / "prefix") == ["bin/other"]
    again = install("--prefix", str(tmp_path / "prefix"), "--remove")
    assert again.status == 1
    assert "nothing that this script installed" in again.stderr


def test_does_not_replace_unless_asked(install: Installer, tmp_path: Path) -> None:
    """Installed twice it says so and leaves what is there; --update replaces it."""
    prefix = tmp_path / "prefix"
    install("--prefix", str(prefix))
    executable = prefix / "bin" / NAME
    executable.write_text("#!/bin/sh\necho old\n")
    refused = install("--prefix", str(prefix))

    assert refused.status == 1
    assert f'there already: "{executable}"' in refused.stderr
    assert "--update" in refused.stderr
    assert executable.read_text().endswith("echo old\n")
    assert install("--prefix", str(prefix), "--update").status == 0
    assert executable.read_bytes() == (install.top / "bin" / NAME).read_bytes()


@pytest.mark.parametrize("option", [[], ["--update"]])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_anothers_file_stays(
    install: Installer, tmp_path: Path, option: list[str], kind: str
) -> None:
    """What it has not installed it never replaces: a rival's file, or a link that leads nowhere."""
    executable = tmp_path / "prefix/bin" / NAME
    executable.parent.mkdir(parents=True)
    if kind == "file":
        executable.write_text("another's")
    else:
        executable.symlink_to("/nowhere")
    done = install("--prefix", str(tmp_path / "prefix"), *option)

    assert done.status == 1
    assert str(executable) in done.stderr
    assert executable.is_symlink() == (kind == "link")
    assert len(list((tmp_path / "prefix").rglob("*"))) == 2


def test_of_another_processor(install: Installer, tmp_path: Path) -> None:
    """The archive of another processor installs nothing, and says what is wrong."""
    (other,) = set(PROCESSORS) - {MACHINE}
    with (install.top / "bin" / NAME).open("r+b") as file:
        file.seek(18)  # e_machine
        file.write(struct.pack("<H", PROCESSORS[other]))
    done = install("--prefix", str(tmp_path / "prefix"))

    assert done.status == 1
    assert f"does not run here, a Linux on {MACHINE}" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_a_full_disk_leaves_what_was_there(install: Installer, tmp_path: Path) -> None:
    """An update that finds no room fails, says so, and the old one still runs, with nothing beside it."""
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    size = (install.top / "bin" / NAME).stat().st_size
    script = (
        f"mount -t tmpfs -o size={size + size // 2} none {prefix};"
        f" {' '.join(install.shell)} {install.top}/install.sh --prefix {prefix} >{tmp_path}/first;"
        f" trap 'ls {prefix}/bin >{tmp_path}/left; {prefix}/bin/{NAME} version >{tmp_path}/said' EXIT"
    )
    wrap = (*in_namespaces("--mount"), "sh", "-c", f'{script}; "$@"', "-")
    done = install("--prefix", str(prefix), "--update", wrap=wrap)

    assert done.status == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "left").read_text() == f"{NAME}\n"
    assert (tmp_path / "said").read_text().strip().endswith(__version__)


def test_where_it_may_not_write(install: Installer) -> None:
    """Without the right to write it says so, with the prefix that needs none."""
    place = Path(f"/tmp/install-{os.getpid()}")
    shutil.copytree(install.top, place)
    try:
        place.chmod(0o755)
        install.top = place
        done = install("--prefix", "/usr/local", user=NOBODY)
    finally:
        shutil.rmtree(place)

    assert done.status == 1
    assert done.stderr.splitlines()[-2:] == [
        'install.sh: error: "/usr/local" cannot be written',
        'install.sh: hint: install.sh --prefix "$HOME/.local"',
    ]
    assert not Path("/usr/local/bin", NAME).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prefix"], 'a directory is missing after "--prefix"'),
        (["--prefix", "here"], 'not an absolute path: "here"'),
        (["--what"], 'no such option: "--what"'),
    ],
)
def test_mistyped(install: Installer, arguments: list[str], said: str) -> None:
    """What it does not understand it quotes, and does nothing."""
    done = install(*arguments)

    assert done.status == 1
    assert done.stderr.startswith(f"install.sh: error: {said}\n")


def test_help(install: Installer) -> None:
    """It says what it takes."""
    done = install("--help")

    assert done.status == 0
    assert all(option in done.stdout for option in ("--prefix", "--update", "--remove"))
