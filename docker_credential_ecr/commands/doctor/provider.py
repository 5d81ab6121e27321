"""What the kubelet is told: the flags of the one that runs, and the providers of its configuration.

https://kubernetes.io/docs/reference/config-api/kubelet-config.v1/#kubelet-config-k8s-io-v1-CredentialProviderConfig
"""

import os

from ...errors import HelperError, one_line
from ...rule import Rule
from .. import yamltext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .context import Context

_CONFIG, _BIN_DIR = "--image-credential-provider-config", "--image-credential-provider-bin-dir"
_ENDINGS = (".json", ".yaml", ".yml")  # of a directory's files, which the kubelet reads in order
_SIZE_LIMIT = 1 << 20  # bytes, 1 MiB: a configuration has 5 KiB
_START = 19  # field of /proc/PID/stat behind the name: the start, in ticks since the boot


class Kubelet:
    """A kubelet that runs. ``started`` is in epoch seconds; 0 where that is not known.

    ``environ`` is ``None`` where it cannot be read: only root may.
    """

    __slots__ = ("environ", "flags", "pid", "started")

    def __init__(
        self, pid: int, flags: dict[str, str], environ: dict[str, str] | None, started: float
    ) -> None:
        self.pid = pid
        self.flags = flags
        self.environ = environ
        self.started = started


class Provider:
    """One provider of a CredentialProviderConfig: what of it is about us."""

    __slots__ = ("audience", "environ", "name", "patterns", "required")

    def __init__(self, table: "dict[str, Any]") -> None:
        self.name = str(table.get("name") or "")
        self.patterns = [str(pattern) for pattern in _list(table, "matchImages")]
        self.environ = {
            str(variable.get("name")): str(variable.get("value"))
            for variable in _list(table, "env")
            if isinstance(variable, dict)
        }
        attributes = table.get("tokenAttributes")
        # Of the service account's token; without any the provider is the node's own.
        self.audience: str | None = None
        self.required = False
        if isinstance(attributes, dict):
            self.audience = str(attributes.get("serviceAccountTokenAudience") or "")
            self.required = str(attributes.get("requireServiceAccount")).lower() == "true"

    def matches(self, server: str) -> bool:
        """Whether the kubelet asks it for images of ``server`` (host, or host:port)."""
        host, _, port = server.partition(":")
        for pattern in self.patterns:
            place = pattern.partition("://")[2] or pattern
            labels, _, its_port = place.partition("/")[0].partition(":")
            if its_port == port and Rule(labels).matches(host):
                return True
        return False


def _list(table: "dict[str, Any]", key: str) -> "list[Any]":
    found = table.get(key)
    return found if isinstance(found, list) else []


def _running() -> Kubelet | None:
    """Return the kubelet that runs on this machine, or ``None``."""
    try:
        names = sorted(filter(str.isdecimal, os.listdir("/proc")), key=int)
    except OSError:
        return None  # not Linux
    for name in names:
        argv = _words(f"/proc/{name}/cmdline")
        if argv and os.path.basename(argv[0]) == "kubelet":
            environ = _words(f"/proc/{name}/environ")
            pairs = None
            if environ is not None:
                pairs = dict(word.split("=", 1) for word in environ if "=" in word)
            return Kubelet(int(name), _flags(argv[1:]), pairs, _started(name))
    return None


def _words(path: str) -> list[str] | None:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).rstrip("\0").split("\0")
    except OSError:
        return None


def _flags(argv: list[str]) -> dict[str, str]:
    """Return the flags and their values: of two that are equal the last counts."""
    found = {}
    for word, after in zip(argv, [*argv[1:], ""], strict=True):
        name, mark, value = word.partition("=")
        if name in (_CONFIG, _BIN_DIR):
            found[name] = value if mark else after
    return found


def _started(process: str) -> float:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[_START])
        with open("/proc/stat", encoding="ascii") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
        return boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, LookupError, StopIteration):
        return 0.0


def files(path: str) -> list[str]:
    """Return the files of a configuration: itself, or a directory's in the kubelet's order."""
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise HelperError(f'cannot read "{one_line(path)}": {error.strerror}') from None
    found = [os.path.join(path, name) for name in names if name.endswith(_ENDINGS)]
    if not found:
        raise HelperError(
            f'"{one_line(path)}" has no .yaml, .yml or .json: the kubelet does not start',
            "put a CredentialProviderConfig there",
        )
    return found


def _providers(path: str) -> list[Provider]:
    """Return the providers of one file. Raises ``HelperError``."""
    shown = one_line(path)
    try:
        with open(path, "rb") as file:
            text = file.read(_SIZE_LIMIT).decode()
        document = yamltext.read(text)
    except OSError as error:
        raise HelperError(
            f'cannot read "{shown}": {error.strerror}', "run this as root on the node"
        ) from None
    except UnicodeDecodeError:
        raise HelperError(f'"{shown}" is not UTF-8', "save the file as UTF-8") from None
    except yamltext.Unreadable as error:
        raise HelperError(
            f'"{shown}" has something at line {error.line} that doctor does not read',
            "write it as the shipped configurations are: blocks, lists and one line for each value",
        ) from None
    if not isinstance(document, dict) or document.get("kind") != "CredentialProviderConfig":
        raise HelperError(
            f'"{shown}" is not a CredentialProviderConfig: the kubelet does not start',
            "see the configurations in packaging/kubernetes",
        )
    return [Provider(table) for table in _list(document, "providers") if isinstance(table, dict)]


# The facts.


def kubelet(context: "Context") -> Kubelet | None:
    """Return the kubelet that runs here, if its files are not named in place of it."""
    return None if context.config is not None else _running()


def config(context: "Context") -> str:
    """Return the path of the kubelet's CredentialProviderConfig: a file, or a directory."""
    if context.config is not None:
        return context.config
    return _flag(context, _CONFIG)


def bin_dir(context: "Context") -> str:
    """Return the directory of the kubelet's plugins."""
    if context.bin_dir is not None:
        return context.bin_dir
    return _flag(context, _BIN_DIR)


def _flag(context: "Context", name: str) -> str:
    found = context.find(kubelet)
    if found is None:
        raise HelperError(
            "no kubelet runs here, or its command line cannot be read",
            "run this as root on the node",
            "or name its files: --config FILE --bin-dir DIRECTORY",
        )
    if not found.flags.get(name):
        raise HelperError(
            f'the kubelet, process {found.pid}, runs without "{name}": it asks no provider',
            "give it the flags that install-node.sh prints, and restart it",
        )
    return found.flags[name]


def providers(context: "Context") -> list[Provider]:
    """Return every provider that the kubelet knows, in its order."""
    return [found for path in files(context.find(config)) for found in _providers(path)]
