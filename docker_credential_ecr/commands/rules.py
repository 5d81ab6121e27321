"""The table [fallback] of our own configuration file, named there and taken out again."""

from .. import settings
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


def only_fallback_differs(draft: Draft, helper: str) -> bool:
    """Whether the change adds or removes the fallback helper, and nothing else in the file."""
    contents = [
        settings.parse_toml(draft.path, (text or "").encode("utf-8"))
        for text in (draft.was, draft.text)
    ]
    helpers = [(content.pop(FALLBACK, None) or {}).get("helper") for content in contents]
    return set(helpers) == {helper, None} and contents[0] == contents[1]
