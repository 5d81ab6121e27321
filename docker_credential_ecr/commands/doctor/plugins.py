"""The kubelet's plugins, the executables of its providers: which are ours, and who may change them.

The kubelet runs them as root, and doctor, mostly root too, runs them to learn which program each
is: one that others may change is reported, and not run.
"""

import os
import stat

from ... import __version__
from ...errors import HelperError, one_line
from . import probe
from .context import ERROR, OK, WARNING, Finding
from .provider import bin_dir, providers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from .context import Context
    from .provider import Provider

_LINKS = 40  # one behind the other, as many as Linux follows
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


# The facts.


def unusable(context: "Context") -> dict[str, str]:
    """Return the names of the providers that stop the kubelet, and what is wrong with each."""
    folder = context.find(bin_dir)
    faults = {one.name: _fault(folder, one.name) for one in context.find(providers)}
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


def _fault(folder: str, name: str) -> str:
    """Return why the kubelet does not take the plugin ``name``, or an empty string.

    As Kubernetes' pkg/credentialprovider/plugin: the name, then Go's exec.LookPath for the file.
    """
    if not name or name in (".", "..") or "/" in name or " " in name:
        return f'a provider cannot be named "{one_line(name)}"'
    path = os.path.join(folder, name)
    shown = one_line(path)
    if os.path.isdir(path):
        return f'the plugin "{shown}" is a directory'
    if not os.path.exists(path):
        if os.path.islink(path):
            return f'the plugin "{shown}" is a link to nothing: "{one_line(os.readlink(path))}"'
        return f'there is no plugin "{shown}"'
    return "" if os.access(path, os.X_OK) else f'the plugin "{shown}" is not executable'


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


# The check.


def executables(context: "Context") -> "Iterator[Finding]":
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


def _version_of(path: str) -> str:
    """Return the version of an executable under Docker's name: under the kubelet's it says none."""
    if not os.path.basename(path).startswith("docker-credential-"):
        return ""
    done = _said(path, "version")
    words = done.stdout.decode("ascii", "replace").split() if done and not done.returncode else []
    return one_line(words[-1]) if words else ""
