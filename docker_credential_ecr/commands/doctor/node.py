"""The checks of a node, whose kubelet is the caller: what it is told, and whom it asks for what.

The executables that it calls are the subject of ``plugins``. After all of these come the checks of
``here`` and ``there``, in the environment that the kubelet gives us.
"""

import os

from ... import registry, settings
from ...errors import HelperError, one_line
from ...kubelet import NODE_VARIABLE, node_answers
from . import plugins, provider
from .context import ERROR, OK, WARNING, Finding, Skip, our_settings, server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...rule import Mirror
    from .context import Context
    from .provider import Provider

AUDIENCE = "sts.amazonaws.com"  # of the tokens that AWS STS takes
_CONTAINERD = "/etc/containerd/config.toml"
_HOSTS_DIR = "/etc/containerd/certs.d"
# Where containerd's configuration names the directory of hosts.toml files: version 2, and 3.
_PLUGINS = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images")
_ONLY = "credential-provider-config-service-accounts-only.yaml"
_ROUNDED = 2  # seconds: the kernel tells the boot, from which a start is counted, in whole ones
_OUR_NAME = "ecr-credential-provider"  # what the installer calls the plugin, or begins with


# The facts.


def environ(context: "Context") -> dict[str, str]:
    """Return the environment that the kubelet gives us: its own, and what the provider adds.

    Of several providers that of the node's identity counts, which is kept on disk.
    """
    running = context.find_or(provider.kubelet, None)
    made = dict(running.environ or {}) if running is not None else {}
    made.setdefault("PATH", os.defpath)
    none: list[Provider] = []
    found = context.find_or(plugins.candidates, none)
    found = sorted(found, key=lambda one: one.audience is not None)
    return {**made, **(found[0].environ if found else {})}


# The checks.


def flags(context: "Context") -> "Iterator[Finding]":
    """Check that a kubelet runs, that it asks providers, and that it has read what is there."""
    path, folder = context.find(provider.config), context.find(provider.bin_dir)
    running = context.find(provider.kubelet)
    shown = f'"{one_line(path)}", plugins in "{one_line(folder)}"'
    if running is None:
        yield Finding(OK, f"not asked; configuration {shown}")
        return
    if running.environ is None:
        yield Finding(
            WARNING,
            f"the environment of the kubelet, process {running.pid}, cannot be read: "
            "what follows may differ from what it sees",
            "run this as root",
        )
    new = [file for file in provider.files(path) if _changed_since(file, running.started)]
    if new:
        yield Finding(
            WARNING,
            f'"{one_line(new[0])}" is newer than the kubelet, which reads it at its start',
            "run: systemctl restart kubelet",
        )
    yield Finding(OK, f"process {running.pid}, configuration {shown}")


def _changed_since(path: str, started: float) -> bool:
    try:
        return started > 0 and os.stat(path).st_mtime > started + _ROUNDED
    except OSError:
        return False  # the next check says it


def named(context: "Context") -> "Iterator[Finding]":
    """Check that a provider of the kubelet's is this program, and is asked alone."""
    path = one_line(context.need(provider.config, "see kubelet"))
    known = [one.name for one in context.find(provider.providers)]
    for name in sorted({name for name in known if known.count(name) > 1}):
        yield Finding(
            ERROR,
            f'"{path}" has two providers named "{one_line(name)}": the kubelet does not start',
            "rename one: a link of another name to the same executable will do",
        )
    found = context.need(plugins.candidates, "see kubelet")
    wrong = context.find(plugins.unusable)
    for name, fault in wrong.items():
        yield Finding(
            ERROR,
            f"{fault}: the kubelet does not start",
            f'mend it, or take the provider "{one_line(name)}" out of "{path}"',
            *(["run install-node.sh again: it installs the plugin"] * name.startswith(_OUR_NAME)),
        )
    if not found:
        left_out = {*wrong, *context.find(plugins.unsafe)}
        others = [name for name in known if name not in left_out]
        if others or not known:
            listed = ", ".join(f'"{one_line(name)}"' for name in others) or "none"
            yield Finding(
                ERROR,
                f'no provider in "{path}" is this program: {listed}',
                "run: packaging/kubernetes/install-node.sh, and restart the kubelet",
            )
        elif not wrong:
            raise Skip("a plugin that others may change is not run: see executable")
        return
    for other in context.find(provider.providers):
        both = next((p for p in other.patterns if any(p in one.patterns for one in found)), None)
        if other not in found and other.name not in wrong and both is not None:
            yield Finding(
                WARNING,
                f'the kubelet asks "{one_line(other.name)}", too, for images of "{one_line(both)}"',
                f'take it out of "{path}", unless that is meant',
            )
    listed = " and ".join(f'"{one_line(one.name)}"' for one in found)
    yield Finding(OK, f'{listed} in "{path}" {"is" if len(found) == 1 else "are"} this program')


def images(context: "Context") -> "Iterator[Finding]":
    """Check that the kubelet asks for what we serve: the registry, and what is mirrored."""
    found = context.need(plugins.ours, "see provider")
    known = context.find_or(our_settings, settings.Settings())
    missing = False
    wanted = [context.find_or(server, ""), *(mirror.source for mirror in known.mirrors)]
    for name in filter(None, wanted):
        if not any(one.matches(name) for one in found):
            missing = True
            yield Finding(
                ERROR,
                f'the kubelet does not ask this program for images of "{name}": '
                "no pattern in matchImages fits",
                "run install-node.sh again: it writes the patterns of every registry and mirror"
                if name in wanted[1:] or registry.parse(name) is not None
                else f'add "{name}" to matchImages of the provider',
            )
    for pattern in dict.fromkeys(pattern for one in found for pattern in one.patterns):
        host = pattern.partition("/")[0].partition(":")[0]
        if "*" in host or registry.parse(host) is not None or known.mirror_of(host):
            continue
        if known.rule_for(host) is None:
            yield Finding(
                WARNING,
                f'"{one_line(pattern)}" in matchImages is neither ECR nor a [[mirror]]: '
                "such images are pulled without credentials",
                "add a [[mirror]] for it to config.toml, or take it out",
            )
    if not missing:
        count = len({pattern for one in found for pattern in one.patterns})
        yield Finding(OK, f"matchImages has {count} patterns")


def mirrors(context: "Context") -> "Iterator[Finding]":
    """Check that containerd goes to the mirror, and shows nobody else the token."""
    known = context.need(our_settings, "config.toml cannot be used").mirrors
    if not known:
        yield Finding(OK, "none in config.toml")
        return
    folders = _hosts_dirs()
    if not folders:
        yield Finding(
            WARNING,
            f'containerd reads no hosts.toml, as "{_CONTAINERD}" has no config_path',
            f'set config_path = "{_HOSTS_DIR}" in its registry table, and restart containerd',
        )
        return
    for mirror in known:
        yield _mirrored(mirror, folders)


def _hosts_dirs() -> list[str]:
    """Return where containerd looks for hosts.toml files."""
    import tomllib

    try:
        with open(_CONTAINERD, "rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(_CONTAINERD)):
            raise Skip("no containerd here; other runtimes are not looked at") from None
        return [_HOSTS_DIR]
    except (OSError, ValueError):
        raise HelperError(f'cannot read "{_CONTAINERD}"', "run this as root") from None
    for plugin in _PLUGINS:
        table = document.get("plugins", {}).get(plugin, {}).get("registry", {})
        if isinstance(table, dict) and table.get("config_path"):
            return str(table["config_path"]).split(":")
    return []


def _mirrored(mirror: "Mirror", folders: list[str]) -> Finding:
    """Return the finding on the hosts.toml of one mirror."""
    import tomllib

    hint = "run install-node.sh again, or write it as packaging/kubernetes/README.md shows"
    places = [os.path.join(folder, mirror.source, "hosts.toml") for folder in folders]
    path = next(filter(os.path.exists, places), None)
    if path is None:
        said = f'containerd is not told that "{mirror.source}" is mirrored: no "{places[0]}"'
        return Finding(WARNING, said, hint)
    shown = one_line(path)
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError):
        return Finding(ERROR, f'"{shown}" cannot be read', hint)
    hosts = document.get("host")
    urls = [str(document.get("server") or f"https://{mirror.source}")]
    urls += list(hosts) if isinstance(hosts, dict) else []
    others = [url for url in urls if _host_of(url) != mirror.registry]
    if len(others) == len(urls):
        return Finding(WARNING, f'"{shown}" does not lead to "{mirror.registry}"', hint)
    if others:
        return Finding(
            WARNING,
            f'"{shown}" has a fallback: where ECR lacks an image, containerd shows the token of '
            f'ECR to "{_host_of(others[0])}" or who vouches for it',
            hint,
        )
    return Finding(OK, f'"{mirror.source}" comes from "{mirror.registry}" alone, by "{shown}"')


def _host_of(url: str) -> str:
    return one_line((url.partition("://")[2] or url).partition("/")[0])


def service_accounts(context: "Context") -> "Iterator[Finding]":
    """Check who is asked for a pod's image: its own role, the node's identity, or both."""
    found = context.need(plugins.ours, "see provider")
    own = [one for one in found if one.audience is not None]
    if not own:
        yield Finding(OK, "not used: the node's identity pulls for every pod")
        return
    for one in own:
        if one.audience != AUDIENCE:
            yield Finding(
                WARNING,
                f'the tokens for "{one_line(one.name)}" are for "{one_line(one.audience or "")}": '
                "AWS STS takes them only if the identity provider in IAM has that audience",
                f"set serviceAccountTokenAudience to {AUDIENCE}",
            )
    may = (
        "whether kubelets may ask for the tokens: kubectl auth can-i "
        f"request-serviceaccounts-token-audience {AUDIENCE} "
        "--as system:node:NODE --as-group system:nodes"
    )
    node = next((one for one in found if one.audience is None), None)
    if node is None:
        for one in own:
            if node_answers(one.environ):
                yield Finding(
                    WARNING,
                    f'a pod of "{one_line(one.name)}" whose annotation is empty is pulled by the '
                    "node's identity",
                    f"give the provider the variable {NODE_VARIABLE}, false: run "
                    "install-node.sh --service-accounts-only again, or see the .new beside it",
                )
                return
        yield Finding(OK, "pods pull with their own roles alone", may)
        return
    yield Finding(
        WARNING,
        "a pod whose role cannot be had, as without rbac.yaml or with an annotation that is no "
        f'ARN, is pulled by the node\'s identity ("{one_line(node.name)}"), and only the '
        "kubelet's log says so",
        f"if that is not meant: install-node.sh --service-accounts-only ({_ONLY})",
        may,
    )
