"""As much of YAML as a kubelet's configuration is written in: to read it, never to write.

Block mappings and lists, quoted and plain scalars on one line, and JSON, which is YAML. What is
more than that (anchors, tags, blocks of text, several documents) is an error, never a guess. Plain
words stay text: ``true`` is ``"true"``, but in JSON.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Quoted in one way or the other, or plain; then the colon, and white space or the line's end.
_KEY = r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#&*!|>%@`{}\[\],?:-][^:#]*?)\s*:(?:\s+|$)"""
_BEGINS_MORE = frozenset("&*!|>%@`?")  # what starts something else than a scalar
_DEPTH_LIMIT = 50  # blocks in each other; a provider's configuration has 5


class Unreadable(ValueError):
    """The text is not YAML, or is more of it than is read here: ``line`` says where, from 1 on."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def read(text: str) -> "Any":
    """Return what the text says: dicts, lists, text and ``None``. Raises ``Unreadable``."""
    if text.lstrip().startswith(("{", "[")):
        return _json(text, 0)
    lines: list[tuple[int, str, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = _without_comment(line)
        if bare.strip() and not (bare.rstrip() == "---" and not lines):
            if "\t" in bare[: len(bare) - len(bare.lstrip())] or bare.startswith(("---", "...")):
                raise Unreadable(number)
            lines.append((len(bare) - len(bare.lstrip()), bare.strip(), number))
    reader = _Reader(lines)
    value = reader.block(0, 0) if lines else None
    if reader.place < len(lines):
        raise Unreadable(lines[reader.place][2])
    return value


class _Reader:
    """The lines that are left: ``place`` is the next. Each is its indent, its text and number."""

    def __init__(self, lines: "list[tuple[int, str, int]]") -> None:
        self.lines = lines
        self.place = 0

    def block(self, least: int, depth: int) -> "Any":
        """Return the block that starts at the next line, if it is ``least`` spaces deep."""
        import re

        if self.place == len(self.lines):
            return None
        indent, text, number = self.lines[self.place]
        if indent < least:
            return None
        if depth > _DEPTH_LIMIT:
            raise Unreadable(number)
        if text == "-" or text.startswith("- "):
            return self._list(indent, depth)
        if re.match(_KEY, text):
            return self._mapping(indent, depth)
        self.place += 1
        return _scalar(text, number)

    def _list(self, indent: int, depth: int) -> "list[Any]":
        found = []
        while self._is_at(indent):
            _, text, number = self.lines[self.place]
            if text != "-" and not text.startswith("- "):
                break
            rest = text[1:].lstrip()
            if rest:
                # What follows the dash is a block of its own, as deep as it stands.
                self.lines[self.place] = (indent + len(text) - len(rest), rest, number)
            else:
                self.place += 1
            found.append(self.block(indent + 1, depth + 1))
        return found

    def _mapping(self, indent: int, depth: int) -> "dict[str, Any]":
        import re

        found: dict[str, Any] = {}
        while self._is_at(indent):
            _, text, number = self.lines[self.place]
            matched = re.match(_KEY, text)
            if matched is None:
                raise Unreadable(number)
            key, rest = str(_scalar(matched[1], number)), text[matched.end() :]
            if key in found:
                raise Unreadable(number)
            self.place += 1
            if rest:
                found[key] = _scalar(rest, number)
            elif self._is_at(indent) and self.lines[self.place][1].startswith("-"):
                found[key] = self._list(indent, depth + 1)  # a list may stand below its own key
            else:
                found[key] = self.block(indent + 1, depth + 1)
        return found

    def _is_at(self, indent: int) -> bool:
        return self.place < len(self.lines) and self.lines[self.place][0] == indent


def _scalar(text: str, number: int) -> "Any":
    if text[0] in '"[{':
        return _json(text, number - 1)
    if text[0] == "'":
        if len(text) < len("''") or text[-1] != "'" or "'" in text[1:-1].replace("''", ""):
            raise Unreadable(number)
        return text[1:-1].replace("''", "'")
    if text[0] in _BEGINS_MORE or ": " in text or text.endswith(":"):
        raise Unreadable(number)
    return None if text in ("~", "null") else text


def _json(text: str, before: int) -> "Any":
    """Return what a text says that is JSON; ``before`` are the lines before it."""
    import json

    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise Unreadable(before + error.lineno) from None
    except RecursionError:
        raise Unreadable(before + 1) from None


def _without_comment(line: str) -> str:
    """Return the line without its comment: a ``#`` at its start, or after white space."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote and line[place - 1] != "\\" else quote
        elif character in "\"'" and line[:place].rstrip()[-1:] in ("", ":", "-", ",", "[", "{"):
            quote = character
        elif character == "#" and (place == 0 or line[place - 1] in " \t"):
            return line[:place]
    return line
