"""What is compiled, for one architecture: zlib, OpenSSL, CPython.

Everything runs in the build's folder and names its files relatively, and compilers by their bare
names: no path of the machine gets into the executable, so that two builds are equal.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import build_tables

HOST = platform.machine()
SECTIONS = ("-ffunction-sections", "-fdata-sections")  # so that the linker drops what nothing uses
FLAGS = ("-O2", "-g0", "-fno-pie", "-fno-semantic-interposition", *SECTIONS)
LIBRARY = "libpython3.13.a"

# What configure cannot try, or must not find in a static executable.
ANSWERS = {
    "MODULE_BUILDTYPE": "static",
    "ac_cv_func_dlopen": "no",
    "ac_cv_lib_dl_dlopen": "no",
    "ac_cv_buggy_getaddrinfo": "no",
    "ac_cv_file__dev_ptmx": "no",
    "ac_cv_file__dev_ptc": "no",
    # Of neither architecture. Else texts are hashed by FNV, which gives collisions to who wants some.
    "ac_cv_aligned_required": "no",
}


def environment(folder: Path, dated: str) -> dict[str, str]:
    """Return the variables of every command of the build, and no other of the caller's."""
    return {
        "PATH": f"{folder / 'tools/bin'}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "LC_ALL": "C",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": dated,
        "ZERO_AR_DATE": "1",
        "AR": "zar",
        "RANLIB": "zranlib",
    }


def tools(folder: Path, requirements: Path) -> None:
    """Install the compiler, of its pinned version, behind short names: zcc-ARCH, zar and zranlib."""
    place = folder / "tools"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    pip = [
        str(place / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
    found = "import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), 'zig'))"
    zig = subprocess.run(
        [str(place / "bin/python"), "-c", found], check=True, capture_output=True, text=True
    ).stdout.strip()
    cache = folder / "compiled"
    scripts = {
        "zig": f'ZIG_GLOBAL_CACHE_DIR="{cache}" ZIG_LOCAL_CACHE_DIR="{cache}" exec "{zig}" "$@"',
        "zar": 'exec zig ar "$@"',
        "zranlib": 'exec zig ranlib "$@"',
        "zcc-x86_64": 'exec zig cc -target x86_64-linux-musl "$@"',
        "zcc-aarch64": 'exec zig cc -target aarch64-linux-musl "$@"',
    }
    for name, line in scripts.items():
        script = place / "bin" / name
        script.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        script.chmod(0o755)


class Machine:
    """One architecture's part of the build's folder."""

    def __init__(self, folder: Path, arch: str, environ: Mapping[str, str], jobs: int) -> None:
        self.folder, self.arch, self.environ, self.jobs = folder, arch, environ, jobs

    def run(self, place: Path, *command: str, log: str, **variables: str) -> None:
        """Run ``command`` in ``place``; where it fails, show the end of what it said."""
        with (place / log).open("wb") as file:
            done = subprocess.run(
                command,
                cwd=place,
                env={**self.environ, **variables},
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            said = (place / log).read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
            raise SystemExit("\n".join([*said, f"native: {command[0]} failed: see {place / log}"]))

    def place(self, name: str) -> Path:
        """Make an empty folder of this architecture."""
        place = self.folder / f"{name}-{self.arch}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    @property
    def libraries(self) -> Path:
        """What CPython is compiled and linked with."""
        return self.folder / f"libraries-{self.arch}"

    def keep(self, archives: list[Path], headers: list[Path]) -> None:
        """Put a library's archives and headers beside the others."""
        (self.libraries / "lib").mkdir(parents=True, exist_ok=True)
        for archive in archives:
            shutil.copy(archive, self.libraries / "lib")
        for header in headers:
            place = self.libraries / "include" / (header.name if header.is_dir() else "")
            if header.is_dir():
                shutil.copytree(header, place, dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(header, place)

    def zlib(self) -> None:
        """Compile zlib, in a copy of its source."""
        place = self.place("zlib")
        shutil.copytree(self.folder / "sources/zlib", place, dirs_exist_ok=True, symlinks=True)
        compiler = {"CC": f"zcc-{self.arch}", "CFLAGS": " ".join(FLAGS)}
        self.run(place, "./configure", "--static", log="configure.log", **compiler)
        self.run(place, "make", f"-j{self.jobs}", "libz.a", log="make.log")
        self.keep([place / "libz.a"], [place / "zlib.h", place / "zconf.h"])

    def openssl(self) -> None:
        """Compile libssl and libcrypto; /etc/ssl is where it looks for the machine's authorities."""
        place = self.place("openssl")
        self.run(
            place,
            "../sources/openssl/Configure",
            f"linux-{self.arch}",
            *(option for option, _ in build_tables.rows("openssl")),
            "--prefix=/nonexistent",
            "--openssldir=/etc/ssl",
            "--libdir=lib",
            f"CC=zcc-{self.arch}",
            "AR=zar",
            "RANLIB=zranlib",
            *FLAGS,
            log="configure.log",
        )
        self.run(
            place,
            "make",
            f"-j{self.jobs}",
            "build_generated",
            "libcrypto.a",
            "libssl.a",
            log="make.log",
        )
        self.keep(
            [place / "libcrypto.a", place / "libssl.a"],
            [self.folder / "sources/openssl/include/openssl", place / "include/openssl"],
        )

    def cpython(self) -> None:
        """Compile the interpreter as a library; for this machine also as a program, for the build."""
        place = self.place("cpython")
        left_out = {f"py_cv_module_{name}": "n/a" for name, _ in build_tables.rows("extensions")}
        libraries = f"../{self.libraries.name}"
        with_python = [] if self.arch == HOST else [f"--with-build-python=../cpython-{HOST}/python"]
        self.run(
            place,
            "../sources/cpython/configure",
            f"--build={HOST}-linux-musl",
            f"--host={self.arch}-linux-musl",
            *with_python,
            "--prefix=/nonexistent",
            "--disable-shared",
            "--disable-test-modules",
            "--without-ensurepip",
            "--without-doc-strings",
            "--without-mimalloc",  # nobody asks for it, and it prepares itself before a hit
            "--without-readline",
            f"--with-openssl={libraries}",
            "--with-ssl-default-suites=openssl",
            "--with-computed-gotos",
            "OPT=-DNDEBUG -O3 -g0 -Wall",
            f"CFLAGS=-fno-pie {' '.join(SECTIONS)} -I{libraries}/include",
            f"LDFLAGS=-static -L{libraries}/lib",
            "LINKFORSHARED= ",
            f"ZLIB_CFLAGS=-I{libraries}/include",
            f"ZLIB_LIBS=-L{libraries}/lib -lz",
            log="configure.log",
            CC=f"zcc-{self.arch}",
            **ANSWERS,
            **left_out,
        )
        goals = [LIBRARY, "python"] if self.arch == HOST else [LIBRARY]
        self.run(place, "make", f"-j{self.jobs}", *goals, log="make.log")
