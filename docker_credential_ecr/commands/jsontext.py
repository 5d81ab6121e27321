"""Changes to the text of a JSON document that leave everything else of it as it is.

A change is an ``Edit``: (start, end, replacement). New members take the layout of those that are
there; a document without any layout gets Docker's own, which is one tab a level. A path names a
member by its keys: the first is found in upper and lower case, as Docker finds the keys of its
file, the others as they are: those are names of hosts.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Edit = tuple[int, int, str]

_BLANK = " \t\r\n"


class _Member:
    __slots__ = ("end", "key", "start", "value")

    def __init__(self, key: str, start: int, value: int, end: int) -> None:
        self.key = key
        self.start = start  # of the key
        self.value = value  # where the value starts
        self.end = end  # of the value


class _Object:
    """One object in the text: from its brace to the other, with its members."""

    __slots__ = ("close", "members", "open")

    def __init__(self, text: str, start: int) -> None:
        import json

        decode = json.JSONDecoder(parse_int=str).raw_decode  # Python refuses 4,300 digits
        self.open = start
        self.members: list[_Member] = []
        place = _skip(text, start + 1)
        while text[place] != "}":
            key, end = decode(text, place)
            value = _skip(text, _skip(text, end) + 1)  # past the colon
            _, close = decode(text, value)
            self.members.append(_Member(key, place, value, close))
            place = _skip(text, close)
            if text[place] == ",":
                place = _skip(text, place + 1)
        self.close = place

    def find(self, key: str, *, any_case: bool = False) -> _Member | None:
        # The last one counts, where a key is there twice.
        for member in reversed(self.members):
            if member.key == key or (any_case and member.key.lower() == key.lower()):
                return member
        return None


class _Layout:
    """How the document is written: line ends, indent of one level, what follows a key."""

    __slots__ = ("colon", "comma", "indent", "newline")

    def __init__(self, text: str, root: _Object) -> None:
        self.newline, self.indent, self.colon, self.comma = "\n", "\t", ": ", ","
        if not root.members:
            return
        first = root.members[0]
        gap = text[root.open + 1 : first.start]
        after = text[first.start : first.value]
        self.colon = after[after.rindex('"') + 1 :]
        if "\n" in gap:
            self.newline = "\r\n" if "\r\n" in gap else "\n"
            self.indent = gap.rpartition("\n")[2]
        else:
            self.newline = self.indent = ""
            self.comma = ", " if self.colon.endswith(" ") else ","

    def line(self, depth: int) -> str:
        """Return what comes before a member, or a closing brace, at ``depth``."""
        return self.newline + self.indent * depth

    def member(self, path: "Sequence[str]", value: str, depth: int) -> str:
        """Return the member that leads to ``value``, with the objects between."""
        import json

        key, *rest = path
        if not rest:
            return json.dumps(key) + self.colon + json.dumps(value)
        inner = self.line(depth + 1) + self.member(rest, value, depth + 1) + self.line(depth)
        return f"{json.dumps(key)}{self.colon}{{{inner}}}"


def put(text: str, path: "Sequence[str]", value: str) -> "Edit":
    """Return the edit that makes the member at ``path`` the string ``value``."""
    import json

    root = current = _Object(text, _skip(text, 0))
    layout = _Layout(text, root)
    for depth, key in enumerate(path):
        member = current.find(key, any_case=depth == 0)
        last = depth == len(path) - 1
        if member is None:
            new = layout.member(path[depth:], value, depth + 1)
            return _append(text, current, new, layout, depth + 1)
        if last:
            return member.value, member.end, json.dumps(value)
        if text[member.value] != "{":  # null
            new = layout.member(path[depth:], value, depth + 1)
            return member.start, member.end, new
        current = _Object(text, member.value)
    raise ValueError(path)


def drop(text: str, path: "Sequence[str]") -> "Edit | None":
    """Return the edit that removes the member at ``path``, or ``None`` if there is none.

    Where the key is there more than once, one of them goes.
    """
    found = _find(text, _Object(text, _skip(text, 0)), path, any_case=True)
    if found is None:
        return None
    place, member = found
    number = place.members.index(member)
    if len(place.members) == 1:
        return place.open + 1, place.close, ""
    if number == 0:
        return member.start, place.members[1].start, ""
    return place.members[number - 1].end, member.end, ""


def _find(
    text: str, place: _Object, path: "Sequence[str]", *, any_case: bool
) -> "tuple[_Object, _Member] | None":
    """Return the last member at ``path`` below ``place``, and the object that it is in."""
    key, *rest = path
    for member in reversed(place.members):
        if member.key != key and not (any_case and member.key.lower() == key.lower()):
            continue
        if not rest:
            return place, member
        if text[member.value] == "{":
            found = _find(text, _Object(text, member.value), rest, any_case=False)
            if found is not None:
                return found
    return None


def apply(text: str, edit: "Edit") -> str:
    """Return ``text`` with ``edit`` made."""
    start, end, new = edit
    return text[:start] + new + text[end:]


def inverse(text: str, edit: "Edit") -> "Edit":
    """Return the edit that takes ``edit``, made on ``text``, back."""
    start, end, new = edit
    return start, start + len(new), text[start:end]


def masked(text: str, shown: "Sequence[str]") -> str:
    """Return ``text`` for a person, with ``...`` for every string that may be a secret.

    Those are the strings in the objects and lists at the top, except in the members ``shown``.
    """
    import re

    root = _Object(text, _skip(text, 0))
    names = [name.lower() for name in shown]
    for member in reversed(root.members):
        if member.key.lower() not in names and text[member.value] in "{[":
            value = re.sub(
                r'("(?:[^"\\]|\\.)*")(\s*:)?',  # a string, and the colon if it is a key
                lambda found: found[0] if found[2] else '"..."',
                text[member.value : member.end],
            )
            text = text[: member.value] + value + text[member.end :]
    return text


def _append(text: str, place: _Object, new: str, layout: _Layout, depth: int) -> "Edit":
    if not place.members:
        around = layout.line(depth), layout.line(depth - 1)
        return place.open + 1, place.close, around[0] + new + around[1]
    last = place.members[-1]
    before = text[: last.start].rstrip(_BLANK)
    gap = text[len(before) : last.start]  # the line end and indent that the last one has
    comma = "," + gap if "\n" in gap else layout.comma
    return last.end, last.end, comma + new


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANK:
        place += 1
    return place
