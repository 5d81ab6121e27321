"""Make the platform wheels: the pure wheel, with the front in the place of its script.

    python3 packaging/native/wheels.py WHEEL [--folder FOLDER]

WHEEL is the pure one, by ``make wheel``; FOLDER the one of ``make native``, which has the compiler.
``docker-credential-ecr`` is then the front, which answers a hit by itself; behind it stands
``docker-credential-ecr.py``, the entry point that every wheel of ours has, with the user's own Python.
On Windows that is made to ``docker-credential-ecr.exe``, and the script is left out: pip would write
the interpreter's path into its first line, which a POSIX shell (Git Bash) cuts at the first space.

The front is one static file, so a wheel is for every libc, and names both kinds as its platform.

macOS has no such wheel, as its front has never run: it comes as a file beside the wheels, to be put
in the place of the script by whoever tries it.
"""

import argparse
import base64
import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import build
import build_compile
from build import NAME

PLATFORMS = {
    "x86_64": ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "musllinux_1_1_x86_64"),
    "aarch64": ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "musllinux_1_1_aarch64"),
}
WINDOWS = ("win32", "win_amd64", "win_arm64")
TIME = (2026, 1, 1, 0, 0, 0)  # of every file, as build.EPOCH
MACOS = {"x86_64": "x86_64", "aarch64": "arm64"}  # as uname -m says it there
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-g0", "-Wall", "-Wextra", "-Werror", "-s")
# As zig calls them, and what only they take: on macOS Apple's own library is never static.
SYSTEMS = {"linux-musl": ("-static", "-Wl,--build-id=none"), "macos": ()}


def front(machine: build_compile.Machine, system: str) -> bytes:
    """Return the front with the pip-installed program behind it, compiled for ``machine``.

    ``system`` is one of ``SYSTEMS``.
    """
    place = machine.place(f"front-{system}")
    sources = sorted((build.HERE / "front").glob("*.[ch]"))
    for source in sources:
        shutil.copy(source, place)
    names = [source.name for source in sources if source.suffix == ".c"]
    compiler = ("zig", "cc", "-target", f"{machine.arch}-{system}")
    flags = (*FLAGS, *SYSTEMS[system])
    machine.run(place, *compiler, *flags, *names, "-o", NAME, log="front.log")
    return (place / NAME).read_bytes()


def platform_wheel(pure: Path, executable: bytes | None, platforms: tuple[str, ...]) -> Path:
    """Write the wheel for ``platforms`` beside the pure one; return it.

    ``executable`` comes in the place of the script; with ``None`` there is neither.
    """
    with zipfile.ZipFile(pure) as wheel:
        files = {name: wheel.read(name) for name in sorted(wheel.namelist())}
    (script,) = (name for name in files if name.endswith(f".data/scripts/{NAME}"))
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    (about,) = (name for name in files if name.endswith(".dist-info/WHEEL"))
    if executable is None:
        del files[script]
    else:
        files[script] = executable
    tags = "".join(f"Tag: py3-none-{platform}\n" for platform in platforms)
    head = files[about].decode().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    if head.count("Tag: py3-none-any\n") != 1:
        raise SystemExit(f"wheels: {pure.name} is not pure")
    files[about] = head.replace("Tag: py3-none-any\n", tags).encode()
    del files[record]
    lines = [
        f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()
    ]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    path = pure.with_name(pure.name.replace("-any.whl", f"-{'.'.join(platforms)}.whl"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, TIME)
            info.external_attr = (0o100755 if name == script else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(info, content)
    return path


def _digest(content: bytes) -> str:
    """Return a file's sum as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the platform wheels.")
    parser.add_argument("wheel", type=Path, help="the pure wheel")
    parser.add_argument(
        "--folder",
        type=Path,
        default=build.FOLDER,
        help="where the compiler is kept",
    )
    options = parser.parse_args()
    if sys.platform != "linux":
        parser.error("builds on Linux")
    made = platform_wheel(options.wheel, None, WINDOWS)
    print(f"{made.name}  {made.stat().st_size:,} bytes, no front")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    build.compiler(folder)
    environ = build_compile.environment(folder, build.EPOCH)
    for arch, platforms in PLATFORMS.items():
        machine = build_compile.Machine(folder, arch, environ, os.cpu_count() or 1)
        executable = front(machine, "linux-musl")
        made = platform_wheel(options.wheel, executable, platforms)
        print(f"{made.name}  {made.stat().st_size:,} bytes, the front {len(executable):,}")
        alone = options.wheel.with_name(f"{NAME}-front-macos-{MACOS[arch]}")
        alone.write_bytes(front(machine, "macos"))
        alone.chmod(0o755)
        print(f"{alone.name}  {alone.stat().st_size:,} bytes, never run")


if __name__ == "__main__":
    main()
