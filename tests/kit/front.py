"""The native front of packaging/native/front: built here, and asked."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kit import TESTS, TREE, need

SOURCES = TREE / "packaging" / "native" / "front"
DRIVERS = TESTS / "native"
# The dialect, and all that a compiler can say of it.
WARNINGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-Werror", "-Wall", "-Wextra", "-Wpedantic"),
    *("-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wcast-qual", "-Wformat=2", "-Wvla"),
    *("-Wundef", "-Wnull-dereference", "-Wstrict-prototypes", "-Wmissing-prototypes"),
)
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STREAMS = {"main.c", "behind.c"}  # the half that a driver of the tests replaces
# Why the front goes on in Python, where a token was found.
DUE = "a renewal is to be started"
LATE = "the token is renewed before the answer"


def compile_front(
    path: Path, *flags: str, driver: str = "", whole: bool = True, compiler: str = "cc"
) -> Path:
    """Build the front as ``path``; without ``whole`` only what decides, under a ``driver``."""
    files = [name for name in sorted(SOURCES.glob("*.c")) if whole or name.name not in STREAMS]
    if driver:
        files.append(DRIVERS / driver)
    command = [need(compiler), *WARNINGS, "-O1", f"-I{SOURCES}", *flags, *map(str, files)]
    subprocess.run([*command, "-o", str(path)], check=True)
    return path


class Probe:
    """The front's decision, under sanitizers, without its streams: see tests/native/probe.c."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(
        self,
        request: bytes,
        environ: Mapping[str, str],
        now: int,
        folder: Path = Path("/"),
        user: int = 0,
    ) -> tuple[bytes | None, str]:
        """Return the bytes of the answer, or ``None`` and why the front goes on in Python."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        settings = [os.fsencode(f"{name}={value}") for name, value in environ.items()]
        head = struct.pack("=qI", now, user) + _texts([os.fsencode(folder), request])
        self._process.stdin.write(head + struct.pack("=I", len(settings)) + _texts(settings))
        self._process.stdin.flush()
        size = self._process.stdout.read(4)
        assert len(size) == 4, "the front has died: see its stderr"
        said = self._process.stdout.read(*struct.unpack("=I", size))
        return (said[1:], "") if said[:1] == b"+" else (None, said[1:].decode())

    def close(self) -> None:
        """Let it end; it must end well, as sanitizers judge."""
        self._process.communicate()
        assert self._process.returncode == 0


def _texts(texts: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack("=I", len(text)) + text for text in texts)
