"""Build the native executable: one static file for each architecture, from pinned sources.

    python3 packaging/native/build.py [--folder FOLDER] [--into DIST] [--jobs N] [--for-tests] [ARCH...]

FOLDER (.native, or $NATIVE_FOLDER) keeps what takes long: the sources in FOLDER/archives, which may
be put there by hand, and what was compiled. What is in it already is not made again, unless the
tables or scripts that it was made by have changed. The executables come to dist/.
"""

import argparse
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import build_compile
import build_link
import build_sources
import build_tables

HERE = build_tables.HERE
TREE = HERE.parent.parent
REQUIREMENTS = TREE / "requirements" / "native.txt"
EPOCH = "1767225600"  # 2026-01-01, seconds: what would be dated is dated so
ARCHITECTURES = ("x86_64", "aarch64")
CLOCK = TREE / "tests" / "native" / "clock.c"
CLOCK_WRAPS = ("clock_gettime", "read_clock", "time", "gettimeofday")
NAME = "docker-credential-ecr"
# Where sources, the compiler and what was compiled are kept.
FOLDER = Path(os.environ.get("NATIVE_FOLDER", str(TREE / ".native")))


class Steps:
    """What was made, each step with the fingerprint of what it was made from."""

    def __init__(self, folder: Path) -> None:
        self.marks = folder / "steps"
        self.marks.mkdir(parents=True, exist_ok=True)

    def forget(self, name: str) -> None:
        """Let a step be made again."""
        (self.marks / name).unlink(missing_ok=True)

    def take(
        self, name: str, inputs: Iterable[Path], work: Callable[[], None], after: str = ""
    ) -> str:
        """Do ``work`` unless it was done from the same ``inputs``, ``after`` the same; its fingerprint."""
        digest = hashlib.sha256(after.encode())
        for path in inputs:
            digest.update(path.read_bytes())
        fingerprint = digest.hexdigest()
        mark = self.marks / name
        if not mark.exists() or mark.read_text(encoding="ascii") != fingerprint:
            self.forget(name)
            print(f"{name:24} ...", flush=True)
            start = time.monotonic()
            work()
            print(f"{name:24} {time.monotonic() - start:7.1f} s", flush=True)
            mark.write_text(fingerprint, encoding="ascii")
        return fingerprint


def files(*names: str) -> list[Path]:
    """Files beside this one."""
    return [HERE / name for name in names]


def package(folder: Path) -> None:
    """Copy our package, for the build to name it relatively."""
    place = folder / "package"
    shutil.rmtree(place, ignore_errors=True)
    ours = TREE / "docker_credential_ecr"
    shutil.copytree(ours, place / ours.name, ignore=shutil.ignore_patterns("__pycache__"))


def freeze(folder: Path) -> None:
    """Let the interpreter that was built freeze the code and the data, in a process without our variables."""
    place = folder / "frozen"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (site,) = folder.glob("tools/lib/python*/site-packages")
    roots = ["package", str(site.relative_to(folder)), "sources/cpython/Lib"]
    subprocess.run(
        [
            f"cpython-{build_compile.HOST}/python",
            "-s",
            "-B",
            str(HERE / "freeze.py"),
            "frozen",
            *roots,
        ],
        cwd=folder,
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
        check=True,
    )


def sources_of_ours() -> tuple[list[Path], list[Path]]:
    """Return our own C, and its headers."""
    front = HERE / "front"  # but its end, which starts pip's program where this has an interpreter
    code = [HERE / "interpreter.c", *sorted(set(front.glob("*.c")) - {front / "behind.c"})]
    return code, sorted(front.glob("*.h"))


def compiler(folder: Path) -> str:
    """Have the compiler in ``folder``, of its pinned version; its fingerprint."""
    work = functools.partial(build_compile.tools, folder, REQUIREMENTS)
    return Steps(folder).take("tools", [REQUIREMENTS], work)


def build(
    folder: Path, dist: Path, architectures: list[str], jobs: int, *, for_tests: bool
) -> None:
    """Make what is lacking of all steps, and the executables; ``for_tests`` the one with a clock too."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(folder)
    environ = build_compile.environment(folder, EPOCH)
    machines = {arch: build_compile.Machine(folder, arch, environ, jobs) for arch in ARCHITECTURES}
    tools = compiler(folder)

    def sources() -> None:
        build_sources.gather(folder / "archives")
        shutil.rmtree(folder / "sources", ignore_errors=True)
        build_sources.unpack(folder / "archives", folder / "sources")

    unpacked = steps.take(
        "sources", [*files("sources.tsv", "build_sources.py"), *build_sources.OURS], sources
    )

    def compiled(arch: str) -> str:
        machine = machines[arch]
        recipe = files("build_compile.py")
        zlib = steps.take(f"zlib-{arch}", recipe, machine.zlib, tools + unpacked)
        openssl = steps.take(
            f"openssl-{arch}", [*recipe, *files("openssl.tsv")], machine.openssl, zlib
        )
        return steps.take(
            f"cpython-{arch}", [*recipe, *files("extensions.tsv")], machine.cpython, openssl
        )

    interpreter = compiled(build_compile.HOST)
    ours = sorted((TREE / "docker_credential_ecr").rglob("*.py"))
    packages = steps.take("package", ours, lambda: package(folder))
    frozen = steps.take(
        "freeze",
        [
            *sorted(HERE.glob("freeze*.py")),
            *sorted(HERE.glob("embedded/*.py")),
            *files("modules.tsv", "data.tsv"),
        ],
        lambda: freeze(folder),
        interpreter + packages,
    )
    code, headers = sources_of_ours()
    dist.mkdir(exist_ok=True)
    for arch in architectures:
        executable = dist / f"{NAME}-linux-{arch}"
        linked = folder / f"link-{arch}" / NAME

        def link(arch: str = arch) -> None:
            build_link.link(machines[arch], code, headers, folder / "frozen")

        inputs = [*code, *headers, *files("build_link.py")]
        if not linked.exists():
            steps.forget(f"link-{arch}")
        steps.take(f"link-{arch}", inputs, link, frozen + compiled(arch))
        shutil.copy(linked, executable)  # another tree may have built in this folder
        print(f"{executable.name}  {executable.stat().st_size:,} bytes")
        print(f"  SHA-256 {hashlib.sha256(executable.read_bytes()).hexdigest()}")
    if not for_tests:
        return
    tested = folder / "for-tests" / NAME
    clocked = tested.parent / "clocked" / NAME
    clocked.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(dist / f"{NAME}-linux-{build_compile.HOST}", tested)

    def with_clock() -> None:
        made = build_link.link(
            machines[build_compile.HOST],
            [*code, CLOCK],
            headers,
            folder / "frozen",
            name="link-clocked",
            wrapped=CLOCK_WRAPS,
        )
        shutil.copy(made, clocked)

    inputs = [*code, *headers, CLOCK, *files("build_link.py")]
    steps.take("link-clocked", inputs, with_clock, frozen + interpreter)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build the native executable.")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="where sources and what was compiled are kept",
    )
    parser.add_argument(
        "--into", type=Path, default=TREE / "dist", help="where the executables come to"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    parser.add_argument(
        "architectures",
        nargs="*",
        default=list(ARCHITECTURES),
        metavar="ARCH",
        help="x86_64, aarch64",
    )
    parser.add_argument(
        "--for-tests",
        action="store_true",
        help="also put this machine's into FOLDER/for-tests, and one with a clock that tests set",
    )
    options = parser.parse_args()
    if build_compile.HOST not in ARCHITECTURES or sys.platform != "linux":
        parser.error(f"builds on Linux, {' or '.join(ARCHITECTURES)}")
    if unknown := [arch for arch in options.architectures if arch not in ARCHITECTURES]:
        parser.error(f"no such architecture: {unknown[0]!r}")
    os.umask(0o022)
    folder = options.folder.resolve()
    into = options.into.resolve()
    build(folder, into, options.architectures, options.jobs, for_tests=options.for_tests)


if __name__ == "__main__":
    main()
