"""The check of our own variables: whether what they hold means anything to this program."""

from ... import accounts
from ...deadline import timeout_of
from ...errors import HelperError, one_line
from ...settings import PREFIXES
from .. import system
from .context import ERROR, OK, WARNING, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .context import Context

_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
# What else than nothing each may hold, in lower case, and what any other value comes to.
_WORDS = {
    "AWS_ECR_BACKGROUND_REFRESH": (
        (*_OFF, *_ON),
        "tokens are renewed in the background, as if it were not set",
    ),
    "AWS_ECR_IGNORE_CREDS_STORAGE": (("true", "false"), 'logins are ignored only if it is "true"'),
    "AWS_ECR_NODE_IDENTITY": (
        (*_OFF, *_ON),
        "the kubelet is never answered with the node's identity, as if it were false",
    ),
    "AWS_ECR_LOG_FORMAT": (("json",), 'the log changes its form only if it is "json"'),
}
_DISABLE = "AWS_ECR_DISABLE_CACHE"
_START = "AWS_ECR_"
_OTHERS = (
    *("AWS_ECR_CACHE_DIR", "AWS_ECR_CONFIG_FILE", "AWS_ECR_TIMEOUT", "AWS_ECR_LOG"),
    *("AWS_ECR_ROLE_ARN", "AWS_ECR_ROLE_ANNOTATION", "AWS_ECR_ROLE_SESSION_NAME"),
)
_ALIKE = 0.8  # of 1, by difflib: TIMOUT is TIMEOUT; REGISTRY, which many a CI job has, is none


def ours(context: "Context") -> "Iterator[Finding]":
    """Check that no variable of ours holds what means nothing, or the contrary of what it says."""
    environ = context.environ
    strangers = _strangers(environ)
    found = [*_of_settings(environ), *_of_accounts(environ)]
    for name, meant in strangers.items():
        if meant:
            said = f'"{one_line(name)}" is no variable of this program: it is not read'
            found.append(Finding(WARNING, said, f"name it {meant}, or run: {system.unset(name)}"))
    yield from found
    if not found:
        listed = ", ".join(f'"{one_line(name)}"' for name in strangers)
        said = f"; not ours, and not read: {listed}" if listed else ""
        yield Finding(OK, f"each of ours is valid, or not set{said}")


def _of_settings(environ: "Mapping[str, str]") -> "Iterator[Finding]":
    try:
        timeout_of(environ)
    except HelperError as error:
        yield Finding(WARNING, f"{error.reason}: every pull that asks AWS fails", *error.hints)
    for name, (words, otherwise) in _WORDS.items():
        if environ.get(name) and environ[name].lower() not in words:
            said = f"{name} has a value that it does not know: {otherwise}"
            yield Finding(WARNING, said, f"run: {system.unset(name)}, or set it to {words[0]}")
    if environ.get(_DISABLE, "").lower() in _OFF:
        said = f'{_DISABLE} switches the cache off whatever its value, even "{environ[_DISABLE]}"'
        yield Finding(WARNING, said, f"run: {system.unset(_DISABLE)}")


def _of_accounts(environ: "Mapping[str, str]") -> "Iterator[Finding]":
    for name in sorted(environ):
        if name.startswith(PREFIXES) and environ[name]:
            fault = accounts.misnamed(name) or accounts.unfit(name, environ[name])
            if fault is not None:
                yield Finding(ERROR, fault.reason, *fault.hints)


def _strangers(environ: "Mapping[str, str]") -> dict[str, str]:
    """Return the variables that begin as ours do and are not, with the one that may be meant.

    Other programs have such variables, too: what is like none of ours is nothing to warn of.
    """
    import difflib

    known = {name.removeprefix(_START): name for name in (*_WORDS, _DISABLE, *_OTHERS)}
    accounts_too = {start.removeprefix(_START): f"{start}123456789012" for start in PREFIXES}
    found = {}
    for name in sorted(environ):
        rest = name.removeprefix(_START)
        if rest == name or rest in known or name.startswith(PREFIXES) or not environ[name]:
            continue
        stem = rest.rstrip("0123456789-")
        alike = difflib.get_close_matches(stem, [*known, *accounts_too], 1, _ALIKE)
        found[name] = {**known, **accounts_too}[alike[0]] if alike else ""
    return found
