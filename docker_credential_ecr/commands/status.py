"""status: the tokens on disk, never the secret in them."""

import time

from .. import cache, registry
from ..errors import one_line
from .console import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from .console import Console

SUMMARY = "show the tokens on disk"
DESCRIPTION = """\
Show the tokens on disk: for which registry, of whose identity, how old, when
they will be renewed and when they end. The mark * is on those that Docker gets
now; the others belong to another identity, or have ended."""
EXAMPLE = """\
  docker-credential-ecr status
  docker-credential-ecr status --json
"""
_HEADINGS = ("IDENTITY", "AGE", "NEXT RENEWAL", "ENDS")  # below each registry's name
_INDENT = "    "
_WIDEST = 32  # columns of an identity, so that a line has less than 80
# Where the identity is to be seen: the conditions of an entry that name one.
_NAMING = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN")


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON list; times are seconds since 1970, null for never",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out."""
    folder = cache.directory(console.environ)
    now = time.time()
    tokens = []
    for host in cache.hosts(folder) if folder is not None else ():
        served = cache.lookup(folder or "", host, console.environ, now)
        tokens += [_described(token, served) for token in cache.entries(folder or "", host)]
    tokens.sort(key=lambda token: (token["registry"], not token["served"], -token["issued"]))
    if arguments.json:
        import json

        console.answer(json.dumps(tokens, indent=1))
        return 0
    if not tokens:
        console.answer("no tokens on disk")
        return 0
    for line in _table(tokens, now):
        console.answer(line)
    return 0


def _described(token: cache.Token, served: cache.Token | None) -> "dict[str, Any]":
    found = registry.parse(token.host)
    scope = token.scope.split(" ")
    return {
        "registry": token.host,
        "identity": token.identity or _identity(token),
        "source": token.source,
        "account": found.account if found is not None else "",
        "region": found.region if found is not None else "".join(scope[1:2]),
        "served": served is not None and served.name == token.name,
        "issued": token.issued,
        # A login of the user's own is never renewed.
        "refresh": None if token.is_login else token.refresh,
        "renew": None if token.is_login else token.renew,
        "expires": token.expires,
    }


def _identity(token: cache.Token) -> str:
    """Return what chose the identity when no rule did."""
    conditions = cache.variables(token.conditions)
    for name in _NAMING:
        if conditions.get(name):
            if name == "AWS_ACCESS_KEY_ID":
                return f"key=...{conditions[name][-4:]}"  # enough to tell two apart
            kind = "role" if name == "AWS_ROLE_ARN" else "profile"
            return f"{kind}={conditions[name]}"
    return ""


def _table(tokens: "list[dict[str, Any]]", now: float) -> "Iterator[str]":
    """Yield two lines for each token, and a third if its identity is long."""
    rows = [_HEADINGS, *(_row(token, now) for token in tokens)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        if number > 0:
            token = tokens[number - 1]
            yield f"{'*' if token['served'] else ' '} {_name(token)}"
        identity, *times = row
        if len(identity) > _WIDEST:
            yield _INDENT + identity
            identity = ""
        cells = [identity, *times]
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield (_INDENT + "  ".join(padded)).rstrip()


def _name(token: "dict[str, Any]") -> str:
    name = one_line(token["registry"])
    # A mapped name does not say where its registry is.
    is_mapped = registry.parse(token["registry"]) is None and token["region"]
    return f"{name} ({token['region']})" if is_mapped else name


def _row(token: "dict[str, Any]", now: float) -> tuple[str, ...]:
    identity = " ".join(part for part in (token["identity"], token["source"]) if part)
    renewal = "-"
    if token["refresh"] is not None:
        renewal = _moment(min(token["refresh"], token["renew"]), now, "at the next pull")
    return (
        one_line(identity) or "-",
        span(now - token["issued"]),
        renewal if token["expires"] > now else "-",
        _moment(token["expires"], now, "ended"),
    )


def _moment(when: int, now: float, past: str) -> str:
    return f"in {span(when - now)}" if when > now else past
