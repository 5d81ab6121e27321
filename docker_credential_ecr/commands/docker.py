"""Docker's own configuration file: where it is, and which helper it names for a registry."""

import os

from .. import registry
from ..errors import HelperError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HELPER = "ecr"  # what Docker calls us: docker-credential-ecr
# The keys of an `auths` entry that hold a login; an entry without them says nothing.
_LOGIN_KEYS = ("auth", "identitytoken", "registrytoken", "password")


class DockerConfig:
    """The file as it is. ``text`` is ``None`` if there is none."""

    __slots__ = ("data", "path", "text")

    def __init__(self, path: str, text: str | None, data: "dict[str, Any]") -> None:
        self.path = path
        self.text = text
        self.data = data

    @property
    def helpers(self) -> "dict[str, str]":
        """The helper named for each single registry."""
        return dict(self.data.get("credHelpers") or {})

    @property
    def store(self) -> str:
        """The helper named for all other registries, or an empty string."""
        return self.data.get("credsStore") or ""

    def helper_for(self, server: str) -> str:
        """Return the helper that Docker asks about ``server`` (host, or host:port)."""
        return self.helpers.get(server) or self.store

    def ours(self) -> list[str]:
        """Return the registries for which Docker asks us by name."""
        return [server for server, helper in self.helpers.items() if helper == HELPER]

    def logins(self) -> dict[str, str]:
        """Return host and key of each login that this file itself holds."""
        found = {}
        for key, entry in (self.data.get("auths") or {}).items():
            if isinstance(entry, dict) and any(entry.get(name) for name in _LOGIN_KEYS):
                host = registry.host_of(key.removeprefix("http://"))
                found[host or key] = key
        return found


def config_path(environ: "Mapping[str, str]") -> str:
    """Return the path of Docker's configuration file; ``DOCKER_CONFIG`` names its directory."""
    folder = environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    return os.path.abspath(os.path.join(folder, "config.json"))


def read(path: str) -> DockerConfig:
    """Return Docker's configuration. Raises ``HelperError`` for a file that Docker cannot use."""
    import json

    shown = one_line(path)
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return DockerConfig(path, None, {})
    except UnicodeDecodeError:
        raise HelperError(f'"{shown}" is not UTF-8', "save the file as UTF-8") from None
    except OSError as error:
        raise HelperError(
            f'cannot read "{shown}": {error.strerror}', f"make it readable: chmod u+r '{shown}'"
        ) from None
    try:
        # An empty file is an empty configuration to Docker.
        data = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        # Only the place: what is there may be a password.
        raise HelperError(
            f'"{shown}" is not valid JSON at line {error.lineno}, column {error.colno}',
            "correct the file, Docker cannot read it either",
        ) from None
    _check(shown, data)
    return DockerConfig(path, text, data)


def _check(shown: str, data: "Any") -> None:
    hint = "correct the file, Docker cannot read it either"
    if not isinstance(data, dict):
        raise HelperError(f'"{shown}" is not a JSON object', hint)
    for key, kind, what in (
        ("credHelpers", dict, "an object"),
        ("auths", dict, "an object"),
        ("credsStore", str, "a string"),
    ):
        if not isinstance(data.get(key), kind | None):
            raise HelperError(f'"{shown}": "{key}" is not {what}', hint)
    if not all(isinstance(helper, str) for helper in (data.get("credHelpers") or {}).values()):
        raise HelperError(f'"{shown}": "credHelpers" holds something that is not a string', hint)


def server_of(text: str, environ: "Mapping[str, str]") -> str:
    """Return the registry that the user names, as Docker writes it: host, or host:port.

    Raises ``HelperError`` if it is no registry of ours.
    """
    from .. import tokens

    host = registry.host_of(text)
    if host is None:
        raise HelperError(
            f'"{_shown(text)}" is not the name of a registry',
            "write a host, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com",
        )
    if registry.parse(host) is None and tokens.target(host, environ) is None:
        raise HelperError(
            f'"{host}" is not an ECR registry',
            f"for a name of your own, add a [[registry]] rule with match and registry to "
            f'"{one_line(rules_path(environ))}"',
        )
    authority = text.strip().lower().rpartition("://")[2].partition("/")[0]
    port = authority.partition(":")[2]
    return f"{host}:{port}" if port else host


def rules_path(environ: "Mapping[str, str]") -> str:
    """Return the path of our own configuration file: the one in use, or else the user's."""
    from .. import settings

    found = settings.paths(environ)
    if not found:
        raise HelperError(
            "there is no home directory for config.toml", "set HOME, or AWS_ECR_CONFIG_FILE"
        )
    return next((path for path in found if os.path.exists(path)), found[0])


def _shown(text: str) -> str:
    """Return what the user named, without anything that could be a password."""
    return one_line(text.strip().rpartition("@")[2])[:253]
