"""The check of our own variables: whether what they hold means anything to this program."""

from ...deadline import timeout_of
from ...errors import HelperError
from .. import system
from .context import OK, WARNING, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .context import Context

_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
# What else than nothing each may hold, in lower case, and what any other value comes to.
_WORDS = {
    "AWS_ECR_BACKGROUND_REFRESH": (
        (*_OFF, *_ON),
        "tokens are renewed in the background, as if it were not set",
    ),
    "AWS_ECR_IGNORE_CREDS_STORAGE": (("true", "false"), 'logins are ignored only if it is "true"'),
    "AWS_ECR_LOG_FORMAT": (("json",), 'the log changes its form only if it is "json"'),
}
_DISABLE = "AWS_ECR_DISABLE_CACHE"


def ours(context: "Context") -> "Iterator[Finding]":
    """Check that no variable of ours holds what means nothing, or the contrary of what it says."""
    environ = context.environ
    found = False
    try:
        timeout_of(environ)
    except HelperError as error:
        found = True
        yield Finding(WARNING, f"{error.reason}: every pull that asks AWS fails", *error.hints)
    for name, (words, otherwise) in _WORDS.items():
        if environ.get(name) and environ[name].lower() not in words:
            found = True
            said = f"{name} has a value that it does not know: {otherwise}"
            yield Finding(WARNING, said, f"run: {system.unset(name)}, or set it to {words[0]}")
    if environ.get(_DISABLE, "").lower() in _OFF:
        found = True
        said = f'{_DISABLE} switches the cache off whatever its value, even "{environ[_DISABLE]}"'
        yield Finding(WARNING, said, f"run: {system.unset(_DISABLE)}")
    if not found:
        yield Finding(OK, "each of ours is valid, or not set")
