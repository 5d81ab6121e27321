"""The test vectors of tests/vectors: what one says, and the tree that it wants. See README.md there."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from kit import TESTS

FOLDER = TESTS / "vectors"
HEADER = {"comment", "expect", "stdout", "now", "clock", "needs", "env", "make", "request"}
HEADER_OF_HOST = {"comment", "expect", "host", "port", "registry", "stdout"}
REPEATABLE = {"env", "make"}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME = re.compile(rb"^(issued|refresh|renew|expires) ([0-9]{10})$", re.MULTILINE)
_PLACEHOLDER = re.compile(
    rb"\{(root|boot|(mtime|ctime|size|inode|device):([^{}]+)|repeat:([^:]+):(\d+))\}"
)


@dataclasses.dataclass(frozen=True)
class Vector:
    """One vector: its header's lines, and its payload."""

    name: str  # folder and file
    header: tuple[tuple[str, str], ...]
    payload: bytes

    def get(self, key: str) -> str:
        """Return the value of a key that comes once, or an empty text."""
        return next((value for name, value in self.header if name == key), "")

    def all(self, key: str) -> list[str]:
        """Return the values of a key that may be repeated."""
        return [value for name, value in self.header if name == key]

    def __str__(self) -> str:
        return self.name


def read(path: Path) -> Vector:
    """Return the vector that a file holds. Raises ``ValueError`` where it is none."""
    head, blank, payload = path.read_bytes().partition(b"\n\n")
    lines = head.decode("utf-8", "surrogateescape").split("\n")
    header = []
    for line in lines:
        key, mark, value = line.partition(": ")
        if not mark and not line.endswith(":"):
            raise ValueError(line)
        header.append((key, value))
    keys = [key for key, _ in header]
    known = HEADER_OF_HOST if path.parent.name == "hosts" else HEADER
    once = [key for key in keys if key not in REPEATABLE]
    if not blank or not known.issuperset(keys) or len(once) != len(set(once)):
        raise ValueError(keys)
    return Vector(f"{path.parent.name}/{path.name}", tuple(header), payload)


def all_of(*folders: str) -> list[Vector]:
    """Return the vectors of these folders."""
    return [read(path) for folder in folders for path in sorted((FOLDER / folder).iterdir())]


def environment(vector: Vector, root: Path) -> dict[str, str]:
    """Return the variables that a vector sets, expanded."""
    settings = [expanded(os.fsencode(line), root) for line in vector.all("env")]
    pairs = (setting.partition(b"=") for setting in settings)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def build(  # noqa: C901 - one case a word
    vector: Vector, root: Path, clock: int | None = None
) -> None:
    """Make the tree of a vector in ``root``; with ``clock`` its entries are aged to that time."""
    left = vector.payload
    for line in vector.all("make"):
        word, name, *operands = line.split(" ", 2 if line.startswith("link ") else -1)
        path = root / name.replace("%20", " ")
        if word == "file":
            mode, length = operands
            data, left = left[: int(length)], left[int(length) :]
            if clock is not None:
                data = aged(data, clock - int(vector.get("now")))
            path.write_bytes(expanded(data, root))
            path.chmod(int(mode, 8))
        elif word == "dir":
            path.mkdir(exist_ok=True)
            path.chmod(int(operands[0], 8))
        elif word == "link":
            path.symlink_to(os.fsdecode(expanded(os.fsencode(operands[0]), root)))
        elif word == "hard":
            (root / operands[0].replace("%20", " ")).hardlink_to(path)
        elif word == "fifo":
            os.mkfifo(path)
            path.chmod(int(operands[0], 8))
        elif word == "mode":
            path.chmod(int(operands[0], 8))
        elif word == "owner":
            os.chown(path, int(operands[0]), -1, follow_symlinks=False)
        else:
            raise ValueError(line)
    if left:
        raise ValueError(f"{len(left)} bytes of the payload are left")


def aged(data: bytes, seconds: int) -> bytes:
    """Return an entry whose times are so many seconds later."""
    head, blank, tail = data.partition(b"\n\n")
    later = _TIME.sub(lambda found: b"%s %d" % (found[1], int(found[2]) + seconds), head)
    return later + blank + tail


def expanded(data: bytes, root: Path) -> bytes:
    """Return ``data`` with what stands in braces for something of this machine replaced."""

    def value(found: re.Match[bytes]) -> bytes:
        if found[1] == b"root":
            return os.fsencode(root)
        if found[1] == b"boot":
            return _BOOT_ID.read_bytes().strip()
        if found[4] is not None:
            return found[4] * int(found[5])
        state = (root / os.fsdecode(found[3])).stat()
        numbers = {
            b"mtime": state.st_mtime_ns,
            b"ctime": state.st_ctime_ns,
            b"size": state.st_size,
            b"inode": state.st_ino,
            b"device": state.st_dev,
        }
        return str(numbers[found[2]]).encode()

    return _PLACEHOLDER.sub(value, data)
