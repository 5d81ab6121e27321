"""The checks of a node, where the kubelet is the caller: what it is told, and what it calls.

After these come the checks of ``here`` and ``there``, in the environment that the kubelet gives us.
"""

import os
import stat

from ... import __version__, registry, settings
from ...errors import HelperError, one_line
from ...kubelet import NODE_VARIABLE, node_answers
from . import probe, provider
from .context import ERROR, OK, WARNING, Finding, Skip, our_settings, server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from ...rule import Mirror
    from .context import Context
    from .provider import Kubelet, Provider

AUDIENCE = "sts.amazonaws.com"  # of the tokens that AWS STS takes
_CONTAINERD = "/etc/containerd/config.toml"
_HOSTS_DIR = "/etc/containerd/certs.d"
# Where containerd's configuration names the directory of hosts.toml files: version 2, and 3.
_PLUGINS = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images")
_ONLY = "credential-provider-config-service-accounts-only.yaml"
_ROUNDED = 2  # seconds: the kernel tells the boot, from which a start is counted, in whole ones
_LINKS = 40  # one behind the other, as many as Linux follows
_OUR_NAME = "ecr-credential-provider"  # what the installer calls the plugin, or begins with
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


# The facts.


def kubelet(context: "Context") -> "Kubelet | None":
    """Return the kubelet that runs here, if its files are not named in place of it."""
    return None if context.config is not None else provider.running()


def config(context: "Context") -> str:
    """Return the path of the kubelet's CredentialProviderConfig: a file, or a directory."""
    if context.config is not None:
        return context.config
    return _flag(context, provider.CONFIG)


def bin_dir(context: "Context") -> str:
    """Return the directory of the kubelet's plugins."""
    if context.bin_dir is not None:
        return context.bin_dir
    return _flag(context, provider.BIN_DIR)


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


def providers(context: "Context") -> "list[Provider]":
    """Return every provider that the kubelet knows, in its order."""
    return [
        found for path in provider.files(context.find(config)) for found in provider.providers(path)
    ]


def unusable(context: "Context") -> dict[str, str]:
    """Return the names of the providers that stop the kubelet, and what is wrong with each."""
    folder = context.find(bin_dir)
    faults = {one.name: provider.fault(folder, one.name) for one in context.find(providers)}
    return {name: fault for name, fault in faults.items() if fault}


def unsafe(context: "Context") -> dict[str, tuple[str, str]]:
    """Return the names of the providers whose plugin others may change: where, and how.

    They are never run here: they are not known to be ours.
    """
    folder, wrong = context.find(bin_dir), context.find(unusable)
    of_folder = _fault_of_owner(folder)
    found = {}
    for name in (one.name for one in context.find(providers) if one.name not in wrong):
        fault = of_folder or _fault_of_way(os.path.join(folder, name))
        if fault:
            found[name] = fault
    return found


def candidates(context: "Context") -> "list[Provider]":
    """Return the providers whose executable is this program, whatever its version: perhaps none."""
    folder = context.find(bin_dir)
    left_out = {*context.find(unusable), *context.find(unsafe)}
    return [
        one
        for one in context.find(providers)
        if one.name not in left_out and _is_ours(os.path.join(folder, one.name))
    ]


def ours(context: "Context") -> "list[Provider]":
    """Return the same, of which there is one at least. Raises ``HelperError``."""
    found = context.find(candidates)
    if not found:
        raise HelperError("no provider is this program")
    return found


def environ(context: "Context") -> dict[str, str]:
    """Return the environment that the kubelet gives us: its own, and what the provider adds.

    Of several providers that of the node's identity counts, which is kept on disk.
    """
    running = context.find_or(kubelet, None)
    made = dict(running.environ or {}) if running is not None else {}
    made.setdefault("PATH", os.defpath)
    none: list[Provider] = []
    found = sorted(context.find_or(candidates, none), key=lambda one: one.audience is not None)
    return {**made, **(found[0].environ if found else {})}


def _is_ours(path: str) -> bool:
    """Whether the executable speaks as we do when it is asked for nothing."""
    done = _said(path)
    return done is not None and (
        b"docker-credential-ecr: error: no request on stdin" in done.stderr
    )


def _said(*argv: str) -> "CompletedProcess[bytes] | None":
    """Return what an executable that the kubelet runs says to no request, or ``None``."""
    import subprocess

    try:
        return subprocess.run(  # noqa: S603 - what the kubelet runs, and as it does
            argv,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=probe.PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None


# The checks.


def flags(context: "Context") -> "Iterator[Finding]":
    """Check that a kubelet runs, that it asks providers, and that it has read what is there."""
    path, folder = context.find(config), context.find(bin_dir)
    running = context.find(kubelet)
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
    path = one_line(context.need(config, "see kubelet"))
    known = [one.name for one in context.find(providers)]
    for name in sorted({name for name in known if known.count(name) > 1}):
        yield Finding(
            ERROR,
            f'"{path}" has two providers named "{one_line(name)}": the kubelet does not start',
            "rename one: a link of another name to the same executable will do",
        )
    found = context.need(candidates, "see kubelet")
    wrong = context.find(unusable)
    for name, fault in wrong.items():
        yield Finding(
            ERROR,
            f"{fault}: the kubelet does not start",
            f'mend it, or take the provider "{one_line(name)}" out of "{path}"',
            *(["run install-node.sh again: it installs the plugin"] * name.startswith(_OUR_NAME)),
        )
    if not found:
        others = [name for name in known if name not in wrong and name not in context.find(unsafe)]
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
    for other in context.find(providers):
        both = next((p for p in other.patterns if any(p in one.patterns for one in found)), None)
        if other not in found and other.name not in wrong and both is not None:
            yield Finding(
                WARNING,
                f'the kubelet asks "{one_line(other.name)}", too, for images of "{one_line(both)}"',
                f'take it out of "{path}", unless that is meant',
            )
    listed = " and ".join(f'"{one_line(one.name)}"' for one in found)
    yield Finding(OK, f'{listed} in "{path}" {"is" if len(found) == 1 else "are"} this program')


def plugins(context: "Context") -> "Iterator[Finding]":
    """Check that what the kubelet runs, as root, is this version, and nobody else's to change."""
    folder = context.need(bin_dir, "see kubelet")
    writable = context.need(unsafe, "see provider")
    for name, (place, what) in writable.items():
        shown = one_line(os.path.realpath(os.path.join(folder, name)))
        yield Finding(
            ERROR,
            f'"{one_line(place)}" {what}, and the kubelet runs "{shown}" as root',
            f"run: chown -h root:root '{one_line(place)}' && chmod go-w '{one_line(place)}'",
        )
    if not writable:
        context.need(ours, "see provider")
    for one in context.find(candidates):
        path = os.path.realpath(os.path.join(folder, one.name))
        shown = one_line(path)
        version = _version_of(path)
        if version and version != __version__:
            yield Finding(
                WARNING,
                f'"{shown}" is version {version}, this is {__version__}',
                "run install-node.sh of the version that you want",
            )
            continue
        yield Finding(OK, f'"{one_line(one.name)}" is "{shown}"')


def _fault_of_way(path: str) -> tuple[str, str] | None:
    """Return the same for what ``path`` leads to, and for each link on that way."""
    wrong = _fault_of_owner(os.path.realpath(path))
    for _ in range(_LINKS):
        if wrong or not os.path.islink(path):
            return wrong
        wrong = _fault_of_owner(os.path.dirname(path))
        if not wrong and os.lstat(path).st_uid not in (0, os.geteuid()):
            wrong = path, "belongs to another user than root"
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return wrong


def _fault_of_owner(path: str) -> tuple[str, str] | None:
    """Return the place on the way to ``path`` that others may change, and how."""
    place = os.path.abspath(path)
    while True:
        try:
            state = os.stat(place)
        except OSError:
            return None
        if state.st_uid not in (0, os.geteuid()):
            return place, "belongs to another user than root"
        sticky = stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX
        if state.st_mode & _WRITABLE and not sticky:
            return place, "can be written by others"
        if place == os.path.dirname(place):
            return None
        place = os.path.dirname(place)


def _version_of(path: str) -> str:
    """Return the version of an executable under Docker's name: under the kubelet's it says none."""
    if not os.path.basename(path).startswith("docker-credential-"):
        return ""
    done = _said(path, "version")
    words = done.stdout.decode("ascii", "replace").split() if done and not done.returncode else []
    return one_line(words[-1]) if words else ""


def images(context: "Context") -> "Iterator[Finding]":
    """Check that the kubelet asks for what we serve: the registry, and what is mirrored."""
    found = context.need(ours, "see provider")
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
    found = context.need(ours, "see provider")
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
