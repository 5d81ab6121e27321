"""Marshal's version 4, with equal bytes for equal values.

marshal marks what has other references in the process, and tells interned strings apart: its bytes
depend on what else the process did. Here they depend on the value alone: what occurs twice is
written once, and what looks like a name is interned, whoever wrote it. Version 2, which has neither
references nor interned strings, is what is read for it.

Source of the format: CPython 3.13, Python/marshal.c.
"""

import marshal
import re
import struct
from typing import Any, NamedTuple

NAME = re.compile(rb"[A-Za-z0-9_]*")  # what code objects intern among their constants
REFERENCE = 0x80  # the flag of what is referred to later
SHORT = 256  # elements or bytes, from which on a length takes four bytes
FIXED = {ord("i"): 4, ord("g"): 8, ord("y"): 16}  # bytes of a number
SINGLE = b"NTF.S"  # None, True, False, Ellipsis, StopIteration
NUMBERS = 20  # bytes of the five numbers that a code object begins with
BEFORE_LINE = 8  # of the ten values of a code object those before its first line's number
SHARED = b"sulgyi()>c"  # kinds that nobody changes


class Value(NamedTuple):
    """A value as marshal has it: its kind, bytes of its own, and what it holds."""

    kind: int
    own: bytes
    held: "tuple[Value, ...]"


def dumps(value: Any) -> bytes:
    """Return ``value``, of code and of what code holds, lists and dictionaries too."""
    root = _Reader(marshal.dumps(value, 2)).value()
    writer = _Writer()
    writer.count(root)
    writer.write(root)
    written = bytes(writer.out)
    if marshal.loads(written) != value:
        raise SystemExit("freeze: what was written is not what marshal reads")
    return written


class _Reader:
    """Reads version 2."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def long(self) -> int:
        return int(struct.unpack("<i", self.take(4))[0])

    def values(self, size: int) -> tuple[Value, ...]:
        return tuple(self.value() for _ in range(size))

    def value(self) -> Value:
        """Read the next value."""
        kind = self.take(1)[0]
        own = b""
        held: tuple[Value, ...] = ()
        if kind in FIXED:
            own = self.take(FIXED[kind])
        elif kind == ord("l"):
            own = self.take(4)
            own += self.take(2 * abs(struct.unpack("<i", own)[0]))
        elif kind in b"su":
            own = self.take(self.long())
        elif kind in b"([>":
            held = self.values(self.long())
        elif kind == ord("{"):
            items: list[Value] = []
            while self.data[self.at] != ord("0"):
                items += self.values(2)
            self.at += 1
            held = tuple(items)
        elif kind == ord("c"):
            own = self.take(NUMBERS)
            held = self.values(BEFORE_LINE)
            own += self.take(4)
            held += self.values(2)
        elif kind not in SINGLE:
            raise SystemExit(f"freeze: marshal's kind {chr(kind)!r} is not known")
        return Value(kind, own, held)


class _Writer:
    """Counts what occurs twice, then writes it once, in version 4."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.uses: dict[Value, int] = {}
        self.given: dict[Value, int] = {}

    def count(self, value: Value) -> None:
        """Count ``value``, and what it holds the first time."""
        if value.kind in SHARED:
            self.uses[value] = self.uses.get(value, 0) + 1
            if self.uses[value] > 1:
                return
        for inner in value.held:
            self.count(inner)

    def write(self, value: Value) -> None:
        """Append ``value``, or a reference to the equal one before it."""
        at = len(self.out)
        if self.uses.get(value, 0) > 1:
            if value in self.given:
                self.out += b"r" + struct.pack("<I", self.given[value])
                return
            self.given[value] = len(self.given)
        self._head(value)
        if value in self.given:
            self.out[at] |= REFERENCE
        before = BEFORE_LINE if value.kind == ord("c") else len(value.held)
        for inner in value.held[:before]:
            self.write(inner)
        if value.kind == ord("c"):
            self.out += value.own[NUMBERS:]
            for inner in value.held[before:]:
                self.write(inner)
        elif value.kind == ord("{"):
            self.out += b"0"

    def _head(self, value: Value) -> None:
        """Append what comes before that which ``value`` holds."""
        kind, own, held = value
        if kind == ord("u") and own.isascii():
            is_name = NAME.fullmatch(own) is not None
            self._sized((b"z", b"Z")[is_name], (b"a", b"A")[is_name], len(own))
            self.out += own
        elif kind in b"su":
            self.out += bytes([kind]) + struct.pack("<I", len(own)) + own
        elif kind == ord("("):
            self._sized(b")", b"(", len(held))
        elif kind in b"[>":
            self.out += bytes([kind]) + struct.pack("<I", len(held))
        else:
            self.out += bytes([kind]) + (own[:NUMBERS] if kind == ord("c") else own)

    def _sized(self, short: bytes, other: bytes, size: int) -> None:
        self.out += short + bytes([size]) if size < SHORT else other + struct.pack("<I", size)
