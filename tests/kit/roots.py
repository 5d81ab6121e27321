"""Packages of the native executable, and roots with next to nothing in them: BusyBox, and no Python."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from kit import Run, in_namespaces, need

PACKAGES = Path(os.environ.get("NATIVE_PACKAGES", ""))  # make test-packages names it
MACHINE = platform.machine()
PROCESSORS = {"x86_64": 62, "aarch64": 183}  # as ELF names them: EM_X86_64, EM_AARCH64
# Those that were built; this machine's must be.
MACHINES = [
    machine
    for machine in PROCESSORS
    if machine == MACHINE or (PACKAGES / f"docker-credential-ecr-linux-{machine}").exists()
]
ALTERNATIVES = "usr/bin/update-alternatives"


def package(pattern: str, machine: str = MACHINE) -> Path:
    """Return the one package whose name is ``pattern``; MACHINE in it is the processor, in any tongue."""
    names = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64")}[machine]
    found = [path for name in names for path in PACKAGES.glob(pattern.replace("MACHINE", name, 1))]
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


class Root:
    """A folder that programs have for their root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "etc/alternatives", "usr/bin", "root", "tmp", "proc", "var/log"):
            (folder / name).mkdir(parents=True)
        shutil.copy(need("busybox"), folder / "bin/busybox")
        for name in ("sh", "rm", "ln", "readlink", "cat", "mkdir"):
            (folder / "bin" / name).symlink_to("busybox")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": "/root"}

    def add(self, program: str | Path) -> None:
        """Give it a program of the machine's, and the libraries of that."""
        said = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
        for path in (str(program), *(word for word in said.split() if word.startswith("/"))):
            place = self.folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)

    def with_alternatives(self) -> None:
        """Give it dpkg's update-alternatives."""
        self.add(f"/{ALTERNATIVES}")
        (self.folder / "var/lib/dpkg/alternatives").mkdir(parents=True, exist_ok=True)

    def run(self, *command: str, stdin: str = "") -> Run:
        """Run ``command`` in it, as its root."""
        done = subprocess.run(
            [*in_namespaces(), need("chroot"), str(self.folder), *command],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.env,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def files(self) -> dict[str, str]:
        """Return all files and links with what is in them, but a package manager's own."""
        found = {}
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if name.startswith(("var/lib/dpkg/", "var/lib/rpm/", "usr/lib/sysimage/", "var/log/")):
                continue
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_file():
                found[name] = f"{path.stat().st_mode:o} {path.stat().st_size}"
        return found
