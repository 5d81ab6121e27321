"""Docker's own configuration file: where it is, and which helper it names for a registry."""

import os
import stat

from .. import cache, fallback, server_url
from ..errors import HelperError, one_line
from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HELPER = fallback.OURSELVES  # what Docker calls us: docker-credential-ecr
_SIZE_LIMIT = 4 << 20  # bytes, 4 MiB: ten thousand logins
HELPERS, STORE, AUTHS = "credHelpers", "credsStore", "auths"  # what we read of the file
# Docker finds its own keys in any letters, as Go's JSON does. Names of hosts it compares as they
# are (docker/cli, configfile/file.go, getConfiguredCredentialStore).
_KEYS = {key.lower(): key for key in (HELPERS, STORE, AUTHS)}
# The keys of an `auths` entry that hold a login; an entry without them says nothing.
_LOGIN_KEYS = ("auth", "identitytoken", "registrytoken", "password")


class DockerConfig:
    """The file as it is. ``text`` is ``None`` if there is none; ``data`` is what ``parse`` says."""

    __slots__ = ("data", "environ", "path", "text")

    def __init__(
        self, path: str, text: str | None, data: "dict[str, Any]", environ: "Mapping[str, str]"
    ) -> None:
        self.path = path
        self.text = text
        self.data = data
        self.environ = environ

    @property
    def helpers(self) -> "dict[str, str]":
        """The helper named for each single registry: an empty string for none at all."""
        return {key: helper or "" for key, helper in (self.data.get(HELPERS) or {}).items()}

    @property
    def store(self) -> str:
        """The helper named for all other registries, or an empty string."""
        return self.data.get(STORE) or ""

    def helper_for(self, server: str) -> str:
        """Return the helper that Docker asks about ``server`` (host, or host:port)."""
        return self.helpers.get(server, self.store)

    def ours(self) -> list[str]:
        """Return the registries for which Docker asks us by name."""
        return [server for server, helper in self.helpers.items() if self.asks_us(helper)]

    def asks_us(self, helper: str) -> bool:
        """Whether Docker runs this program for ``helper``."""
        return fallback.is_ours(helper, self.environ)

    def logins(self) -> dict[str, str]:
        """Return host and key of each login that this file itself holds."""
        found = {}
        for key, entry in (self.data.get(AUTHS) or {}).items():
            if isinstance(entry, dict) and any(entry.get(name) for name in _LOGIN_KEYS):
                host = server_url.host_of(key.removeprefix("http://"))
                found[host or key] = key
        return found


def logins_of_variable(environ: "Mapping[str, str]") -> dict[str, str]:
    """Return host and key of each login in ``DOCKER_AUTH_CONFIG``, which Docker 28.3 asks first."""
    try:
        data = parse(environ.get("DOCKER_AUTH_CONFIG", ""))
        return DockerConfig("", None, data, environ).logins()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}  # Docker cannot use it either


def config_path(environ: "Mapping[str, str]") -> str:
    """Return the path of Docker's configuration file; ``DOCKER_CONFIG`` names its directory.

    Raises ``HelperError`` if nothing says where it is.
    """
    folder = environ.get("DOCKER_CONFIG")
    if not folder:
        home = cache.home(environ)
        if home is None:
            raise HelperError(
                "there is no home directory for Docker's configuration",
                f"set {system.home_variable()}, or DOCKER_CONFIG",
            )
        folder = os.path.join(home, ".docker")
    return os.path.abspath(os.path.join(folder, "config.json"))


def read(environ: "Mapping[str, str]") -> DockerConfig:
    """Return Docker's configuration. Raises ``HelperError`` for a file that cannot be used."""
    path = config_path(environ)
    shown = one_line(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise HelperError(
                f'"{shown}" is not a file',
                "put a file there, or name another folder: DOCKER_CONFIG",
            )
        with open(path, "rb") as file:
            data = file.read(_SIZE_LIMIT + 1)
        if len(data) > _SIZE_LIMIT:
            raise HelperError(
                f'"{shown}" is larger than {_SIZE_LIMIT >> 20} MiB',
                "make it smaller, or set DOCKER_CONFIG",
            )
        text = data.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return DockerConfig(path, None, {}, environ)
    except UnicodeDecodeError:
        raise HelperError(
            f'"{shown}" is not UTF-8',
            "save the file as UTF-8: Docker replaces what is not at its next login",
        ) from None
    except OSError as error:
        raise HelperError(
            f'cannot read "{shown}": {error.strerror}',
            f"make it readable: {system.make_readable(path)}",
        ) from None
    found = _loaded(shown, text)
    _check(shown, found)
    return DockerConfig(path, text, found, environ)


def parse(text: str) -> "dict[str, Any]":
    """Return what a configuration says to Docker: our keys in our letters, each of them once.

    An empty text is an empty configuration. Raises ``ValueError`` and ``RecursionError`` as
    ``json`` does.
    """
    import json

    found: dict[str, Any] = {}
    if not text.strip():
        return {}
    # Numbers stay what is written: Python refuses to make one of more than 4,300 digits.
    data = json.loads(
        text,
        object_pairs_hook=_Pairs,
        parse_int=lambda digits: ("number", digits),
        parse_constant=lambda name: _refuse_constant(text, name),
    )
    if not isinstance(data, _Pairs):
        raise TypeError
    for written, value in data.pairs:
        key = _KEYS.get(written.lower(), written)
        before = found.get(key)
        # Where a key is there twice, Go's JSON adds an object to the one before, and null to none.
        if key in _KEYS.values() and isinstance(before, dict) and isinstance(value, dict):
            found[key] = {**before, **value}
        elif not (key == STORE and value is None and before):
            found[key] = value
    return found


def _refuse_constant(text: str, name: str) -> None:
    """Refuse NaN and its like, which Python takes for JSON and Go does not."""
    import json
    import re

    found = re.finditer(r'"(?:[^"\\]|\\.)*"|' + name, text)
    place = next((match.start() for match in found if match[0] == name), 0)
    raise json.JSONDecodeError("not JSON", text, place)


class _Pairs(dict[str, "Any"]):
    """An object that also knows the members it was written with."""

    def __init__(self, pairs: "list[tuple[str, Any]]") -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _loaded(shown: str, text: str) -> "dict[str, Any]":
    import json

    try:
        return parse(text)
    except TypeError:
        raise HelperError(
            f'"{shown}" is not a JSON object', "write an object there, such as {}"
        ) from None
    except RecursionError:
        raise HelperError(f'"{shown}" is nested too deeply', "correct the file") from None
    except json.JSONDecodeError as error:
        # Only the place: what is there may be a password.
        reason = f'"{shown}" is not valid JSON at line {error.lineno}, column {error.colno}'
        if error.msg.startswith("Extra data"):
            hint = "remove what follows the JSON object: Docker ignores it until its next login"
        else:
            hint = "correct the file, Docker cannot read it either"
        raise HelperError(reason, hint) from None


def _check(shown: str, data: "dict[str, Any]") -> None:
    hint = "correct the file, Docker cannot read it either"
    for key, kind, what in (
        (HELPERS, dict, "an object"),
        (AUTHS, dict, "an object"),
        (STORE, str, "a string"),
    ):
        if not isinstance(data.get(key), kind | None):
            raise HelperError(f'"{shown}": "{key}" is not {what}', hint)
    # To Go, null is an empty string.
    if not all(isinstance(name, str | None) for name in (data.get(HELPERS) or {}).values()):
        raise HelperError(f'"{shown}": "{HELPERS}" holds something that is not a string', hint)
