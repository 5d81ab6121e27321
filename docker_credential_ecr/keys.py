"""What each key of config.toml may hold.

A value that is not taken is an error that names the file, the key, and what is allowed there. What
AWS STS takes for a role and a session is asked by others, too.
"""

from . import registry, server_url
from .errors import Refused, one_line
from .rule import Mirror, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")

_ROLE_SECONDS = range(900, 43200 + 1)  # DurationSeconds of sts:AssumeRole, in seconds
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_*")
_HELPER_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_EXAMPLE = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
_PREFIX = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")  # of each part, as ECR takes them
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Grammar:
    """What AWS STS takes for a value: letters, digits and ``extra``, as many as ``lengths``."""

    __slots__ = ("extra", "lengths")

    def __init__(self, extra: str, lengths: range) -> None:
        self.extra = extra
        self.lengths = lengths

    def takes(self, character: str) -> bool:
        """Whether ``character`` may be part of it."""
        return character in self.extra or (character.isascii() and character.isalnum())

    def fits(self, text: str) -> bool:
        """Whether ``text`` is such a value."""
        return len(text) in self.lengths and all(map(self.takes, text))


# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
SESSION_NAME = Grammar("+,-.=@_", range(2, 64 + 1))


EXTERNAL_ID = Grammar("+,-./:=@_", range(2, 1224 + 1))


def helper_fault(name: str) -> str:
    """Return why ``name`` cannot be a credential helper's name, or an empty string if it can."""
    if not name or not _HELPER_NAME.issuperset(name):
        return "is letters, digits, '-', '_' and '.', never a path"
    if name.startswith("docker-credential-"):
        return f'leaves "docker-credential-" out: "{name.removeprefix("docker-credential-")}"'
    return ""


class _Fault(Exception):
    """What is wrong with a value, and what is allowed: the caller knows the file and the key."""

    def __init__(self, what: str, allowed: str) -> None:
        super().__init__(what)
        self.what = what
        self.allowed = allowed


def checked(path: str, document: "dict[str, Any]") -> tuple[list[Rule], str | None, list[Mirror]]:
    """Return the rules of a document, the name of its fallback helper, and its mirrors.

    Each part is checked where a fault can name its place. Raises ``Refused``.
    """
    with_place = _Place(path)
    with_place.check("the file", _only, document, ("registry", "mirror", "fallback"))
    rules = with_place.check_all("registry", document, _CHECKS, _rule)
    mirrors = with_place.check_all("mirror", document, _MIRROR_CHECKS, _mirror)
    fallback = with_place.check("[fallback]", _table, document.get("fallback", {}))
    with_place.check("[fallback]", _only, fallback, ("helper",))
    helper = None
    if "helper" in fallback:
        helper = with_place.check('"helper" in [fallback]', _helper, fallback["helper"])
    return rules, helper, mirrors


class _Place:
    """The file that is checked: a fault in it names the file, the key, and what is allowed."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self, place: str, check: "Callable[..., Any]", *values: object) -> "Any":
        """Return ``check(*values)``; a fault that it finds is one of ``place``."""
        try:
            return check(*values)
        except _Fault as fault:
            raise Refused(f'"{one_line(self.path)}": {place} {fault.what}', fault.allowed) from None

    def check_all(
        self,
        kind: str,
        document: "Mapping[str, Any]",
        checks: "Mapping[str, Callable[[object], Any]]",
        make: "Callable[[dict[str, Any], Sequence[Any]], T]",
    ) -> "list[T]":
        """Return what ``make`` makes of each table of a ``kind``, its values and those before."""
        tables = self.check("the file", _tables, kind, document.get(kind, []))
        made: list[T] = []
        for number, table in enumerate(tables, 1):
            place = f"[[{kind}]] number {number}"
            self.check(place, _only, table, checks)
            values = {
                name: self.check(f'"{name}" in {place}', check, table[name])
                for name, check in checks.items()
                if name in table
            }
            made.append(self.check(place, make, values, made))
        return made


def _tables(kind: str, value: object) -> "list[dict[str, Any]]":
    if isinstance(value, list) and all(isinstance(table, dict) for table in value):
        return value
    raise _Fault(
        f"has a {kind} that is not a list of tables",
        f"start each of them with [[{kind}]], in two pairs of brackets",
    )


def _table(value: object) -> "dict[str, Any]":
    if isinstance(value, dict):
        return value
    raise _Fault("is not a table", 'write [fallback], and below it helper = "name"')


def _only(table: "Mapping[str, Any]", allowed: "Sequence[str] | Mapping[str, Any]") -> None:
    for key in table:
        if key not in allowed:
            raise _Fault(
                f'has an unknown key "{one_line(key)[:40]}"',
                f"allowed there: {', '.join(allowed)}",
            )


def _rule(values: "dict[str, Any]", _: "Sequence[Rule]") -> Rule:
    if "match" not in values:
        raise _Fault(
            'lacks "match"', 'say which hosts it is for, as in match = "*.dkr.ecr.*.amazonaws.com"'
        )
    if "role_arn" not in values:
        for name in ("external_id", "session_name", "duration"):
            if name in values:
                raise _Fault(f'has "{name}" without "role_arn"', f"add role_arn, or remove {name}")
    pattern = values["match"]
    if "registry" in values:
        # A token goes to every host that matches: these must be hosts of one domain.
        if not _is_of_one_domain(pattern):
            raise _Fault(
                f'has "registry" with a "match" that is too wide: "{pattern}"',
                "spell out the domain in match: a token is sent to every host it fits",
            )
    elif not _can_be_ecr(pattern):
        raise _Fault(
            f'matches no ECR hostname and lacks "registry": "{pattern}"',
            "add the registry behind that name, as in "
            'registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com", or correct match',
        )
    return Rule(**values)


def _mirror(values: "dict[str, Any]", others: "Sequence[Mirror]") -> Mirror:
    for name, example in (("source", "docker.io"), ("registry", _EXAMPLE)):
        if name not in values:
            raise _Fault(f'lacks "{name}"', f'add it, as in {name} = "{example}"')
    source = values["source"]
    if any(source == other.source for other in others):
        raise _Fault(f'is the second for "{source}"', "remove one of them")
    return Mirror(**values)


# Second labels under which anybody registers a domain, where the last label is a country's: the
# common ones of https://publicsuffix.org.
_REGISTRIES = frozenset(("ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ltd", "me", "ne"))


_REGISTRIES |= frozenset(("net", "nic", "nom", "or", "org", "plc", "sch"))


_COUNTRY_LENGTH = 2  # letters of a country's top-level domain (ISO 3166-1)


def _is_of_one_domain(pattern: str) -> bool:
    """Whether all hosts that fit ``pattern`` belong to one owner, as far as names can tell."""
    labels = pattern.split(".")
    if "*" not in pattern:
        return True
    shared = len(labels[-1]) == _COUNTRY_LENGTH and labels[-2:][0] in _REGISTRIES
    own = labels[-3:] if shared else labels[-2:]
    return len(own) == (3 if shared else 2) and "*" not in "".join(own)


def _can_be_ecr(pattern: str) -> bool:
    """Whether some ECR hostname fits ``pattern``."""
    rule = Rule(pattern)
    account, *labels = pattern.split(".")
    digits = account.replace("*", "")
    if not all("0" <= c <= "9" for c in digits) or len(digits) > registry.ACCOUNT_LENGTH:
        return any(map(rule.matches, registry.public_hosts()))
    if "*" in account:  # as many digits as there may be in its place
        lacking = "0" * (registry.ACCOUNT_LENGTH - len(digits))
        account = account.replace("*", lacking, 1).replace("*", "")
    # Regions are an open set: one that is spelled out is tried, else one of each partition.
    regions = [*registry.REGIONS, *(label for label in labels if "*" not in label)]
    glob = Rule(".".join((account, *("*" if "*" in label else label for label in labels))))
    candidates = [host for region in regions for host in registry.hosts_in(account, region)]
    hosts = [host for host in candidates if registry.parse(host) is not None]
    return any(map(rule.matches, registry.public_hosts())) or any(map(glob.matches, hosts))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _Fault("is not a line of text", "write it in double quotes, not empty")
    return value


def _match(value: object) -> str:
    pattern = _text(value).lower().removesuffix(".")
    allowed = (
        "write host labels and dots; each * stands for one label or a part of it, "
        "as in *.dkr.ecr.*.amazonaws.com"
    )
    if "://" in pattern or "/" in pattern:
        raise _Fault("is not a host: it has a scheme or a path", allowed)
    if ":" in pattern:
        raise _Fault("has a port, and a rule is for every port of its hosts", allowed)
    if not all(label and _LABEL.issuperset(label) for label in pattern.split(".")):
        raise _Fault("is not a pattern of a host", allowed)
    return pattern


def _registry(value: object) -> str:
    found = registry.parse(_text(value))
    if found is None:
        raise _Fault("is not the hostname of an ECR registry", f'write one such as "{_EXAMPLE}"')
    return found.host


def _source(value: object) -> str:
    """Return the host that a mirror stands for, as the kubelet writes it."""
    text = _text(value).lower()
    host = server_url.host_of(text)
    if host != text:
        raise _Fault("is not a host", 'write its name alone, as in "docker.io"')
    if host in _HUB[1:]:
        raise _Fault("is Docker Hub under another name", f'write "{_HUB[0]}", as the kubelet does')
    if registry.parse(host) is not None:
        raise _Fault("is an ECR registry itself", "remove the table: nothing is to be mapped")
    return host


def _prefix(value: object) -> str:
    text = _text(value)
    parts = text.split("/")
    if not all(part.strip("-_.") == part and part and _PREFIX.issuperset(part) for part in parts):
        raise _Fault(
            "is not the prefix of repository names",
            "write that of the pull-through cache rule: lower-case letters, digits and ._-/",
        )
    return text


def is_role_arn(text: str) -> bool:
    """Whether ``text`` is the ARN of an IAM role, in any partition."""
    word, partition, service, region, account, resource = (*text.split(":", 5), *[""] * 5)[:6]
    return (
        (word, service, region) == ("arn", "iam", "")
        and partition.startswith("aws")
        and registry.is_account(account)
        and resource.startswith("role/")
        and not resource.endswith("/")
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def _role_arn(value: object) -> str:
    text = _text(value)
    if not is_role_arn(text):
        raise _Fault(
            "is not the ARN of an IAM role",
            'write one such as "arn:aws:iam::123456789012:role/puller"',
        )
    return text


def _name(grammar: Grammar) -> "Callable[[object], str]":
    def check(value: object) -> str:
        text = _text(value)
        if not grammar.fits(text):
            raise _Fault(
                "is not something that AWS STS takes",
                f"allowed are {grammar.lengths[0]} to {grammar.lengths[-1]} letters, digits and "
                f"{' '.join(grammar.extra)}",
            )
        return text

    return check


def _duration(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _ROLE_SECONDS:
        raise _Fault(
            "is not a number of seconds that AWS STS takes",
            f"write a whole number from {_ROLE_SECONDS[0]} to {_ROLE_SECONDS[-1]}",
        )
    return value


def _endpoint_url(value: object) -> str:
    from urllib.parse import urlsplit

    text = _text(value)
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises for a port that is none
        host = url.hostname or ""
    except ValueError:
        url, host = urlsplit(""), ""
    safe = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    if not host or not safe or "@" in url.netloc or url.query or url.fragment or " " in text:
        raise _Fault(
            "is not the URL of an endpoint",
            "write https:// and a host (http:// for localhost only), with no user and no query",
        )
    return text.rstrip("/")


def _helper(value: object) -> str:
    name = _text(value)
    fault = helper_fault(name)
    if fault:
        raise _Fault("is not the name of a credential helper", f"the name {fault}")
    return name


_CHECKS: "dict[str, Callable[[object], Any]]" = {
    "match": _match,
    "profile": _text,
    "role_arn": _role_arn,
    "external_id": _name(EXTERNAL_ID),
    "session_name": _name(SESSION_NAME),
    "duration": _duration,
    "registry": _registry,
    "endpoint_url": _endpoint_url,
}
_MIRROR_CHECKS: "dict[str, Callable[[object], Any]]" = {
    "source": _source,
    "registry": _registry,
    "prefix": _prefix,
}
