"""The user's configuration file: which profile or role answers for which registry.

Read on a miss only; a hit compares the recorded state of ``paths``. See ``config.toml`` in the
README for a whole example. A file that cannot be used is an error, never half used.
"""

import os
import sys

from . import PROGRAM, cache, registry
from .errors import Refused, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .rule import Mirror, Rule

FILE_NAME = "config.toml"
_SIZE_LIMIT = 1 << 20  # bytes, 1 MiB: ten thousand rules; a device in its place has no end
PREFIXES = ("AWS_ECR_ROLE_ARN_", "AWS_ECR_PROFILE_")  # of an account's variables: see accounts


class Settings:
    """What the configuration file says. Never changed once made.

    ``path`` is ``None`` if there is no file.
    """

    __slots__ = ("environ", "fallback", "mirrors", "path", "rules")

    def __init__(
        self,
        path: str | None = None,
        rules: "Sequence[Rule]" = (),
        fallback: str | None = None,
        mirrors: "Sequence[Mirror]" = (),
        environ: "Mapping[str, str] | None" = None,
    ) -> None:
        self.path = path
        self.rules = tuple(rules)
        self.fallback = fallback
        self.mirrors = tuple(mirrors)
        self.environ = environ or {}  # where accounts may have a role or a profile

    def rule_for(self, host: str) -> "Rule | None":
        """Return the first rule that matches ``host`` (without a port), or ``None``."""
        host = host.lower().removesuffix(".")
        return next((rule for rule in self.rules if rule.matches(host)), None)

    def mirror_of(self, host: str) -> "Mirror | None":
        """Return the mirror of ``host`` (without a port), or ``None``: for the kubelet alone.

        A node's runtime knows its mirror by itself. Docker sends what it is answered to ``host``.
        """
        return next((mirror for mirror in self.mirrors if mirror.source == host), None)

    def behind(self, host: str) -> "tuple[registry.Registry, Rule | None] | None":
        """Return the registry behind ``host`` and the rule for it, or ``None``: not ours.

        Raises ``Refused`` for a variable of the account that cannot be used, or that names none.
        """
        rule = self.rule_for(host)
        found = registry.parse(rule.registry if rule is not None and rule.registry else host)
        if found is None:
            return None
        if not any(name.startswith(PREFIXES) for name in self.environ):
            return found, rule
        from . import accounts

        return found, accounts.rule_of(found, rule, self.environ)


def paths(environ: "Mapping[str, str]") -> tuple[str, ...]:
    """Return every file that could be the configuration, in the order in which they are tried.

    ``AWS_ECR_CONFIG_FILE`` alone if it is set, else the user's and then the site's directory as
    platformdirs has them. Its rule for Linux is applied here, as every miss passes; a test holds
    the two equal.
    """
    chosen = environ.get("AWS_ECR_CONFIG_FILE")
    if chosen:
        return (cache.expanded(chosen, environ),)
    if sys.platform == "linux":
        home = cache.home(environ)
        own = environ.get("XDG_CONFIG_HOME", "")
        user = own if os.path.isabs(own) else "" if home is None else f"{home}/.config"
        sites = [*environ.get("XDG_CONFIG_DIRS", "").split(":"), "/etc/xdg"]
        site = next(folder for folder in sites if os.path.isabs(folder))
        folders = [os.path.join(folder, PROGRAM) for folder in (user, site) if folder]
    else:  # pragma: no cover - macOS, Windows and others
        from platformdirs import PlatformDirs

        places = PlatformDirs(PROGRAM, appauthor=False)
        # Windows: any user may make that directory, and so choose who gets whose token.
        folders = [] if os.name == "nt" else [places.site_config_dir]
        try:
            folders.insert(0, places.user_config_dir)
        except RuntimeError:  # no home
            pass
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
                data = file.read(_SIZE_LIMIT + 1)
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
        if len(data) > _SIZE_LIMIT:
            raise Refused(
                f'"{one_line(path)}" is larger than {_SIZE_LIMIT >> 20} MiB',
                "name the configuration file itself: AWS_ECR_CONFIG_FILE",
            )
        from . import keys  # only a file has any

        return Settings(path, *keys.checked(path, parse_toml(path, data)), environ)
    return Settings(environ=environ)


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
    except (ValueError, RecursionError):  # what the parser itself stumbles over
        raise Refused(
            f'"{one_line(path)}" is not valid TOML: it is nested too deep, or a number is too long',
            "write it anew: a rule starts with [[registry]], and needs no tables within it",
        ) from None
