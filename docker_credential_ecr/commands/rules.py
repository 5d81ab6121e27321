"""The table [fallback] of our own configuration file, named there and taken out again."""

from .. import settings
from ..errors import HelperError
from .textfile import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .jsontext import Edit

FALLBACK = "fallback"  # the table


def read(path: str) -> Draft:
    """Return our configuration file, which may not be there. ``settings`` has found it valid."""
    try:
        with open(path, "rb") as file:
            return Draft(path, file.read().decode("utf-8"))
    except FileNotFoundError:
        return Draft(path, None)


def name_fallback(text: str, helper: str) -> "Edit":
    """Return the edit that names ``helper`` under [fallback], and keeps all that is there."""
    import re

    newline = "\r\n" if "\r\n" in text else "\n"
    line = f'helper = "{helper}"'
    header = re.search(r"(?m)^[ \t]*\[[ \t]*fallback[ \t]*\][^\r\n]*", text)
    if header is not None:
        return header.end(), header.end(), newline + line
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return len(text), len(text), f"{gap}[fallback]{newline}{line}{newline}"


def drop_fallback(text: str, helper: str) -> "Edit":
    """Return the edit that takes the line out which names ``helper``, and nothing where it is not.

    The table [fallback] stays: it may have a comment of the user's.
    """
    import re

    line = rf"(?m)^[ \t]*helper[ \t]*=[ \t]*([\"']){re.escape(helper)}\1[^\r\n]*(\r?\n|\Z)"
    found = re.search(line, text)
    return (0, 0, "") if found is None else (found.start(), found.end(), "")


def only_fallback_differs(draft: Draft, *named: str) -> bool:
    """Whether the change adds or removes one of the fallback helpers ``named``, and no more."""
    try:
        contents = [
            settings.parse_toml(draft.path, (text or "").encode("utf-8"))
            for text in (draft.was, draft.text)
        ]
    except HelperError:
        return False  # the new text: such a change of that file is none
    helpers = [(content.pop(FALLBACK, None) or {}).get("helper") for content in contents]
    changed = helpers[0] != helpers[1] and {*helpers} <= {*named, None}
    return changed and contents[0] == contents[1]
