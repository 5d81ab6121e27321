"""The user's configuration file: which profile or role answers for which registry.

Read on a miss only; a hit compares the recorded state of ``paths``. See ``config.toml`` in the
README for a whole example. A file that cannot be used is an error, never half used.
"""

import os
import sys

from . import registry
from .errors import Refused, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

APPLICATION = "docker-credential-ecr"
FILE_NAME = "config.toml"
_ROLE_SECONDS = range(900, 43200 + 1)  # DurationSeconds of sts:AssumeRole, in seconds
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_*")
_HELPER_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
# What sts:AssumeRole takes besides letters and digits, and the lengths it takes.
_SESSION_NAME, _SESSION_NAME_LENGTH = frozenset("_+=,.@-"), range(2, 64 + 1)
_EXTERNAL_ID, _EXTERNAL_ID_LENGTH = frozenset("_+=,.@:/-"), range(2, 1224 + 1)
_ACCOUNT_LENGTH = 12  # digits
_ARN_PARTS = 6  # arn:partition:service:region:account:resource
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Rule:
    """One ``[[registry]]`` table. Never changed once made.

    ``match`` is a pattern of lower-case labels; ``registry`` the ECR host behind a custom name;
    ``duration`` is in seconds.
    """

    __slots__ = (
        "duration",
        "endpoint_url",
        "external_id",
        "match",
        "profile",
        "registry",
        "role_arn",
        "session_name",
    )

    def __init__(
        self,
        match: str,
        *,
        profile: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        session_name: str | None = None,
        duration: int | None = None,
        registry: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self.match = match
        self.profile = profile
        self.role_arn = role_arn
        self.external_id = external_id
        self.session_name = session_name
        self.duration = duration
        self.registry = registry
        self.endpoint_url = endpoint_url

    @property
    def identity(self) -> str:
        """What chooses the identity, as one stable line; empty for the default chain."""
        parts = [
            f"{key}={_quoted(value)}"
            for key, value in (
                ("profile", self.profile),
                ("role", self.role_arn),
                ("session", self.session_name),
            )
            if value
        ]
        if self.external_id:
            # The line is kept and shown; the external id need not be.
            import hashlib

            parts.append(f"external-id={hashlib.sha256(self.external_id.encode()).hexdigest()[:8]}")
        return " ".join(parts)

    def matches(self, host: str) -> bool:
        """Whether ``host`` has as many labels as the pattern, and each of them fits."""
        pattern, labels = self.match.split("."), host.split(".")
        return len(pattern) == len(labels) and all(map(_fits, pattern, labels))

    def __repr__(self) -> str:
        return f"Rule({self.match!r})"


class Settings:
    """What the configuration file says. Never changed once made.

    ``path`` is ``None`` if there is no file.
    """

    __slots__ = ("fallback", "path", "rules")

    def __init__(
        self,
        path: str | None = None,
        rules: "Sequence[Rule]" = (),
        fallback: str | None = None,
    ) -> None:
        self.path = path
        self.rules = tuple(rules)
        self.fallback = fallback

    def rule_for(self, host: str) -> Rule | None:
        """Return the first rule that matches ``host`` (without a port), or ``None``."""
        host = host.lower().removesuffix(".")
        return next((rule for rule in self.rules if rule.matches(host)), None)


def paths(environ: "Mapping[str, str]") -> tuple[str, ...]:
    """Return every file that could be the configuration, in the order in which they are tried.

    ``AWS_ECR_CONFIG_FILE`` alone if it is set, else the user's and then the site's directory as
    platformdirs has them. Its rule for Linux is applied here, as every miss passes; a test holds
    the two equal.
    """
    chosen = environ.get("AWS_ECR_CONFIG_FILE")
    if chosen:
        return (os.path.expanduser(chosen),)
    if sys.platform == "linux":
        user = _first_absolute([environ.get("XDG_CONFIG_HOME", ""), f"{_home(environ)}/.config"])
        site = _first_absolute([*environ.get("XDG_CONFIG_DIRS", "").split(":"), "/etc/xdg"])
        folders = [os.path.join(folder, APPLICATION) for folder in (user, site)]
    else:  # pragma: no cover - macOS, Windows and others
        from platformdirs import PlatformDirs

        places = PlatformDirs(APPLICATION, appauthor=False)
        try:
            folders = [places.user_config_dir, places.site_config_dir]
        except RuntimeError:  # no home
            folders = [places.site_config_dir]
    # Without a home the user's directory is no path at all.
    return tuple(os.path.join(folder, FILE_NAME) for folder in folders if os.path.isabs(folder))


def load(environ: "Mapping[str, str]") -> Settings:
    """Return the configuration; without a file one that says nothing.

    Raises ``Refused`` for a file that cannot be read or used: it names the file, the key, and what
    is allowed there.
    """
    chosen = bool(environ.get("AWS_ECR_CONFIG_FILE"))
    for path in paths(environ):
        if not os.path.isabs(path):
            raise Refused(
                f'AWS_ECR_CONFIG_FILE is not an absolute path: "{one_line(path)}"',
                "set AWS_ECR_CONFIG_FILE to a path that starts at the root, or unset it",
            )
        try:
            with open(path, "rb") as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            if chosen:
                raise Refused(
                    f'there is no file "{one_line(path)}", which AWS_ECR_CONFIG_FILE names',
                    "create it, or unset AWS_ECR_CONFIG_FILE",
                ) from None
            continue
        except OSError as error:
            raise Refused(
                f'cannot read "{one_line(path)}": {error.strerror}',
                f"make it readable: chmod u+r '{one_line(path)}'",
            ) from None
        return _settings(path, parse_toml(path, data))
    return Settings()


def parse_toml(path: str, data: bytes) -> "dict[str, Any]":
    """Return the TOML document in ``data``, or raise ``Refused`` that says where it is broken."""
    import tomllib

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(
            f'"{one_line(path)}" is not UTF-8 at line {line}', "save the file as UTF-8"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only the place: the message may quote the text, and that may be secret.
        message = str(error)
        place = message[message.rfind("(at ") + 1 : -1]
        if not place.startswith("at line"):
            place = f"at line {text.count(chr(10)) + 1}, the end of the file"
        raise Refused(
            f'"{one_line(path)}" is not valid TOML {place}',
            "correct that line; strings need double quotes, and a rule starts with [[registry]]",
        ) from None


def helper_fault(name: str) -> str:
    """Return why ``name`` cannot be a credential helper's name, or an empty string if it can."""
    if not name or not _HELPER_NAME.issuperset(name):
        return "is letters, digits, '-', '_' and '.', never a path"
    if name.startswith("docker-credential-"):
        return f'leaves "docker-credential-" out: "{name.removeprefix("docker-credential-")}"'
    return ""


def _fits(pattern: str, label: str) -> bool:
    """Whether ``label`` fits ``pattern``, in which each ``*`` stands for any characters.

    As in the kubelet's matchImages: a pattern never reaches beyond its label.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == label
    if not label.startswith(first):
        return False
    place = len(first)
    *middle, last = rest
    for part in middle:
        found = label.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(label) - place >= len(last) and label.endswith(last)


def _first_absolute(folders: "Sequence[str]") -> str:
    return next((folder for folder in folders if os.path.isabs(folder)), "")


def _home(environ: "Mapping[str, str]") -> str:
    """Return the home directory, or something relative if there is none."""
    home = environ.get("HOME", "")
    if not os.path.isabs(home):  # unset, or as good as unset
        try:
            import pwd

            home = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):
            return "."
    return home.rstrip("/")


def _quoted(value: str) -> str:
    return repr(value) if " " in value or "'" in value or '"' in value else value


class _Fault(Exception):
    """What is wrong with a value, and what is allowed: the caller knows the file and the key."""

    def __init__(self, what: str, allowed: str) -> None:
        super().__init__(what)
        self.what = what
        self.allowed = allowed


def _settings(path: str, document: "dict[str, Any]") -> Settings:
    places = ["the file"]
    try:
        return _checked(path, document, places)
    except _Fault as fault:
        raise Refused(f'"{one_line(path)}": {places[-1]} {fault.what}', fault.allowed) from None


def _checked(path: str, document: "dict[str, Any]", places: list[str]) -> Settings:
    """Return the settings in ``document``; ``places`` ends with the key that is being checked."""
    _only(document, ("registry", "fallback"))
    tables = document.get("registry", [])
    if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise _Fault(
            "has a registry that is not a list of tables",
            "start each rule with [[registry]], in two pairs of brackets",
        )
    rules = []
    for number, table in enumerate(tables, 1):
        rule = f"[[registry]] number {number}"
        places.append(rule)
        _only(table, _CHECKS)
        values: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            if name in table:
                places.append(f'"{name}" in {rule}')
                values[name] = check(table[name])
        places.append(rule)
        rules.append(_rule(values))
    places.append("[fallback]")
    fallback = document.get("fallback", {})
    if not isinstance(fallback, dict):
        raise _Fault("is not a table", 'write [fallback], and below it helper = "name"')
    _only(fallback, ("helper",))
    if "helper" not in fallback:
        return Settings(path, rules)
    places.append('"helper" in [fallback]')
    return Settings(path, rules, _helper(fallback["helper"]))


def _only(table: "Mapping[str, Any]", allowed: "Sequence[str] | Mapping[str, Any]") -> None:
    for key in table:
        if key not in allowed:
            raise _Fault(
                f'has an unknown key "{one_line(key)[:40]}"',
                f"allowed there: {', '.join(allowed)}",
            )


def _rule(values: "dict[str, Any]") -> Rule:
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
        if "*" in "".join(pattern.split(".")[-2:]):
            raise _Fault(
                f'has "registry" with a "match" that is too wide: "{pattern}"',
                "spell out the last two labels of match: a token is sent to every host it fits",
            )
    elif not _can_be_ecr(pattern):
        raise _Fault(
            f'matches no ECR hostname and lacks "registry": "{pattern}"',
            "add the registry behind that name, as in "
            'registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com", or correct match',
        )
    return Rule(**values)


# One region of each partition, and the domains of dual-stack names: to try patterns on.
_REGIONS = (
    *("us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"),
    *("us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"),
)
_DUAL_STACK = ("on.aws", "on.amazonwebservices.com.cn", "on.amazonwebservices.eu")
_PUBLIC = ("public.ecr.aws", "ecr-public.aws.com")


def _can_be_ecr(pattern: str) -> bool:
    """Whether some ECR hostname fits ``pattern``."""
    if "*" not in pattern:
        return registry.parse(pattern) is not None
    account, *labels = pattern.split(".")
    if any(map(Rule(pattern).matches, _PUBLIC)):
        return True
    if not account.replace("*", "0").isdecimal() or len(account.replace("*", "")) > _ACCOUNT_LENGTH:
        return False
    for region in _REGIONS:
        domain = registry.private_host("0" * _ACCOUNT_LENGTH, region).partition(f"{region}.")[2]
        for kind, ends in (
            (["dkr", "ecr"], [domain]),
            (["dkr", "ecr-fips"], [domain]),
            (["dkr-ecr"], _DUAL_STACK),
            (["dkr-ecr-fips"], _DUAL_STACK),
        ):
            for end in ends:
                words = [*kind, region, *end.split(".")]
                if len(words) != len(labels):
                    continue
                # Regions are an open set: any glob will do, anything else must be one.
                fitting = labels.copy()
                place = len(kind)
                if "*" in labels[place]:
                    fitting[place] = "*"
                else:
                    words[place] = labels[place]
                host = ".".join(["0" * _ACCOUNT_LENGTH if "*" in account else account, *words])
                if all(map(_fits, fitting, words)) and registry.parse(host):
                    return True
    return False


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
        raise _Fault(
            "is not the hostname of an ECR registry",
            'write one such as "123456789012.dkr.ecr.us-east-1.amazonaws.com"',
        )
    return found.host


def _role_arn(value: object) -> str:
    text = _text(value)
    parts = text.split(":", 5)
    if (
        len(parts) != _ARN_PARTS
        or parts[0] != "arn"
        or not parts[1].startswith("aws")
        or parts[2:4] != ["iam", ""]
        or not (len(parts[4]) == _ACCOUNT_LENGTH and parts[4].isascii() and parts[4].isdecimal())
        or not parts[5].startswith("role/")
        or parts[5].endswith("/")
        or " " in text
    ):
        raise _Fault(
            "is not the ARN of an IAM role",
            'write one such as "arn:aws:iam::123456789012:role/puller"',
        )
    return text


def _name(extra: frozenset[str], lengths: range) -> "Callable[[object], str]":
    def check(value: object) -> str:
        text = _text(value)
        if len(text) not in lengths or not all(
            c in extra or (c.isascii() and c.isalnum()) for c in text
        ):
            raise _Fault(
                "is not something that AWS STS takes",
                f"allowed are {lengths[0]} to {lengths[-1]} letters, digits and "
                f"{' '.join(sorted(extra))}",
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
    "external_id": _name(_EXTERNAL_ID, _EXTERNAL_ID_LENGTH),
    "session_name": _name(_SESSION_NAME, _SESSION_NAME_LENGTH),
    "duration": _duration,
    "registry": _registry,
    "endpoint_url": _endpoint_url,
}
