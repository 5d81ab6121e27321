"""The checks of this machine: the executable, the files, the names, the cache."""

import os
import stat
import sys
import time

from ... import __version__, accounts, cache, fallback, keeping, registry, trace
from ...errors import one_line
from .. import docker, registries, system
from . import probe
from .context import (
    ERROR,
    OK,
    WARNING,
    Finding,
    default_server,
    docker_config,
    host,
    named_server,
    our_settings,
    rule,
    target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .context import Context

EXECUTABLE = fallback.PREFIX + docker.HELPER
_FOREIGN = "belongs to another user"  # a fault that chmod does not mend
_LINK = "is a link"  # nor this


def executable(context: "Context") -> "Iterator[Finding]":
    """Check that Docker finds us, and that what it finds is this version."""
    import subprocess

    path = fallback.find(EXECUTABLE, context.environ)
    first = system.add_to_path(os.path.dirname(os.path.abspath(sys.argv[0])))
    if path is None:
        message = f'"{EXECUTABLE}" is not on PATH, so Docker does not find it'
        yield Finding(ERROR, message, first)
        return
    shown = one_line(path)
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH under our own name, as Docker does
            [path, "version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=probe.PATIENCE,
            check=True,
        )
        version = one_line(done.stdout.decode("ascii", "replace").split()[-1])
    except (OSError, subprocess.SubprocessError, IndexError):
        yield Finding(
            ERROR,
            f'"{shown}" does not run',
            "install it anew: pip install --force-reinstall docker-credential-ecr",
        )
        return
    if version != __version__:
        message = f'"{shown}" is version {version}, this is {__version__}'
        yield Finding(WARNING, message, f"put this one first: {first}")
        return
    yield Finding(OK, f'"{shown}", version {version}')


def docker_asks(context: "Context") -> "Iterator[Finding]":
    """Check that Docker's configuration names us for the registry."""
    config = context.find(docker_config)
    named = server = context.find(named_server)
    shown = one_line(config.path)
    if server is None and config.asks_us(config.store):
        server = context.find_or(default_server, None)
        for other in _other_helpers(config):
            if other != server:
                yield Finding(
                    WARNING,
                    f'Docker asks another helper for "{one_line(other)}": '
                    f'"{one_line(config.helpers[other])}" in "{shown}"',
                    f"run: docker-credential-ecr configure {one_line(other)}",
                )
    helper = config.helper_for(server or "")
    command = f"run: docker-credential-ecr configure {server or '--all'}"
    if server is None and not config.asks_us(helper):
        yield Finding(
            ERROR,
            f'Docker asks this helper for no registry: no {docker.HELPERS} in "{shown}"',
            "run: docker-credential-ecr configure REGISTRY, or configure --all",
        )
    elif not helper:
        yield Finding(
            ERROR,
            f'Docker does not ask this helper for "{server}": '
            f'it is not in {docker.HELPERS} in "{shown}"',
            command,
        )
    elif not config.asks_us(helper):
        yield Finding(
            ERROR,
            f'Docker asks another helper for "{server}": "{one_line(helper)}" in "{shown}"',
            command,
        )
    else:
        key = docker.HELPERS if server in config.ours() else docker.STORE
        what = "this helper" if helper == docker.HELPER else f'"{helper}", which is this program,'
        yield Finding(OK, f'{key} in "{shown}" names {what} for "{named or "all"}"')


def _other_helpers(config: docker.DockerConfig) -> list[str]:
    """Return the ECR registries for which Docker asks another helper by name."""
    return [
        server
        for server, helper in config.helpers.items()
        if registry.parse(server) is not None and not config.asks_us(helper)
    ]


def logins(context: "Context") -> "Iterator[Finding]":
    """Check that no login in Docker's own file is used in our place."""
    config = context.need(docker_config, "Docker's configuration cannot be read")
    named = context.find(named_server)
    hosts = [server.partition(":")[0] for server in (named, *config.ours()) if server]
    found = config.logins()
    shadowing = [found[host] for host in dict.fromkeys(hosts) if host in found]
    for key in shadowing:
        yield Finding(
            WARNING,
            f'auths has a login of its own for "{one_line(key)}" in '
            f'"{one_line(config.path)}": clients that do not know helpers use it, '
            "and it ends 12 hours after it was made",
            f"run: docker logout {one_line(key)}",
        )
    in_variable = docker.logins_of_variable(context.environ)
    for shadowed in dict.fromkeys(hosts):
        if shadowed in in_variable:
            shadowing.append(shadowed)
            yield Finding(
                WARNING,
                f'DOCKER_AUTH_CONFIG has a login for "{one_line(shadowed)}": Docker 28.3 and '
                "later use it in place of this helper",
                f"run: {system.unset('DOCKER_AUTH_CONFIG')}",
            )
    if not shadowing:
        yield Finding(OK, "Docker's file holds no login that is used in place of this helper")


def our_file(context: "Context") -> "Iterator[Finding]":
    """Check that our own configuration file can be used."""
    found = context.find(our_settings)
    chosen = context.find(rule) if context.find(named_server) else None
    if found.path is not None:
        said = f'"{one_line(found.path)}", {len(found.rules)} rule{"s" * (len(found.rules) != 1)}'
    elif chosen is not None:
        said = "no config.toml"
    else:
        said = "no config.toml: the default AWS credentials serve every registry"
    if chosen is not None:
        identity = one_line(chosen.identity) or "the default credentials"
        if chosen in found.rules:
            who = f"rule {found.rules.index(chosen) + 1} answers"
        else:
            names = accounts.variables(context.find(target).account)
            names = tuple(name for name in names if context.environ.get(name))
            who = f"{' and '.join(names)} answer{'s' * (len(names) == 1)}"
        said += f'; {who} for "{context.find(host)}", with {identity}'
    yield Finding(OK, said)


def other_helper(context: "Context") -> "Iterator[Finding]":
    """Check that somebody answers for what is not ECR, where Docker asks us for everything."""
    helper = context.need(our_settings, "config.toml cannot be used").fallback
    if fallback.is_of_aws(helper):
        yield Finding(
            WARNING,
            f'"{helper}" answers for ECR alone, and is the fallback for all else',
            "run: docker-credential-ecr configure --all",
        )
        return
    if helper is not None:
        path = one_line(fallback.executable(helper, context.environ))
        yield Finding(OK, f'"{path}" answers for other hosts')
        return
    config = context.find_or(docker_config, None)
    if config is not None and config.asks_us(config.store):
        yield Finding(
            WARNING,
            "Docker asks this helper for every registry, and none answers for other hosts",
            f'name one in "{one_line(registries.rules_path(context.environ))}", such as: '
            f'[fallback] helper = "{system.store_helper()}"',
        )
    else:
        yield Finding(OK, "none is needed")


def name(context: "Context") -> "Iterator[Finding]":
    """Check that the registry is an ECR registry, or a rule maps it to one."""
    where = context.find(target)
    chosen = context.find(rule)
    behind = f', in front of "{where.host}"' if chosen is not None and chosen.registry else ""
    kind = "ECR Public" if where.service == "ecr-public" else "ECR"
    flavour = f" {where.flavour}" if where.flavour else ""
    yield Finding(OK, f'"{context.find(host)}"{behind}: {kind}, {where.region}{flavour}')


def tokens_kept(context: "Context") -> "Iterator[Finding]":
    """Check that tokens are kept, and that nobody else can read them."""
    folder = cache.directory(context.environ)
    if folder is None:
        why, variable = keeping.no_directory(context.environ)
        hint = f"set {system.home_variable()}, or AWS_ECR_CACHE_DIR"
        if variable:
            hint = f"run: {system.unset(variable)}"
        yield Finding(WARNING, f"tokens are not kept: {why}", hint)
        return
    shown = one_line(folder)
    if not os.path.isdir(folder):
        if not os.path.lexists(folder):
            yield _to_be_made(folder)
        else:
            message = f'"{shown}" is not a directory'
            yield Finding(ERROR, message, f"remove it: {system.remove(folder)}")
        return
    for path, what in _faults(folder)[:1]:
        mend = {_FOREIGN: system.take_over(folder), _LINK: system.remove(path)}
        hint = mend.get(what, system.make_private(folder))
        yield Finding(ERROR, f'"{one_line(path)}" {what}', f"run: {hint}")
        return
    if not system.is_private_place(folder, context.environ):  # pragma: no cover - Windows
        yield Finding(
            WARNING,
            f'"{shown}" is outside your profile, whose access list keeps others from the tokens',
            f"run: {system.unset('AWS_ECR_CACHE_DIR')}"
            if context.environ.get("AWS_ECR_CACHE_DIR")
            else "set AWS_ECR_CACHE_DIR to a folder within your profile",
        )
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f'"{shown}" cannot be written, so every pull asks AWS'
        yield Finding(WARNING, message, f"run: {system.make_writable(folder)}")
        return
    yield Finding(OK, f'"{shown}", {_inventory(folder, context)}')


def _to_be_made(folder: str) -> Finding:
    """Return the finding on a cache that the next pull is to make."""
    above = os.path.dirname(folder)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if os.access(above, os.W_OK | os.X_OK):
        return Finding(OK, f'"{one_line(folder)}", not there yet')
    return Finding(
        WARNING,
        f'"{one_line(folder)}" cannot be made, as "{one_line(above)}" cannot be written: '
        "every pull asks AWS",
        "set AWS_ECR_CACHE_DIR to a directory that can be written",
    )


def log(context: "Context") -> "Iterator[Finding]":
    """Check that the trace for support can be written, if there is to be one."""
    chosen = context.environ.get(trace.VARIABLE)
    if not chosen:
        said = "off; set AWS_ECR_LOG to a file, or to - for stderr, to see why AWS is asked"
        yield Finding(OK, said)
    elif wrong := trace.fault(context.environ):
        message = f'"{one_line(chosen)}", which AWS_ECR_LOG names, {wrong}: nothing is logged'
        yield Finding(WARNING, message, "set AWS_ECR_LOG to the full path of a file of your own")
    else:
        yield Finding(OK, f'AWS_ECR_LOG sends a line for each event to "{one_line(chosen)}"')


def _inventory(folder: str, context: "Context") -> str:
    now = time.time()
    hosts = [host for host in cache.hosts(folder) if any(cache.entries(folder, host))]
    if not hosts:
        return "empty"
    usable = sum(1 for host in hosts if cache.lookup(folder, host, context.environ, now))
    registries_ = f"{len(hosts)} registr{'y' if len(hosts) == 1 else 'ies'}"
    return f"with tokens for {registries_}, of which {usable} can be used now"


def _faults(folder: str) -> list[tuple[str, str]]:
    """Return what is wrong about owners and modes: each path, and what is."""
    found: list[tuple[str, str]] = []
    paths = [folder]
    for place, folders, files in os.walk(folder):
        paths += [os.path.join(place, name) for name in [*folders, *files]]
        # Before Python 3.12 a junction of Windows is a folder like any other here.
        folders[:] = [name for name in folders if not _is_link(os.path.join(place, name))]
    for path in paths:
        try:
            state = os.lstat(path)
        except OSError:
            continue  # gone meanwhile
        is_folder = stat.S_ISDIR(state.st_mode)
        fault = cache.folder_fault(state) if is_folder else cache.file_fault(state)
        if not fault and is_folder and os.name == "posix" and state.st_mode & 0o077:
            fault = "can be read by others"
        if fault:
            found.append((path, fault))
    return found


def _is_link(path: str) -> bool:
    try:
        return cache.is_reparse_point(os.lstat(path))
    except OSError:
        return True  # gone meanwhile
