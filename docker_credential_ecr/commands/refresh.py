"""refresh: new tokens now, for timers and for images that are baked ahead."""

import time

from .. import cache, renewal
from ..errors import HelperError, one_line
from . import docker, registries, system
from .console import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .console import Console

SUMMARY = "get new tokens now"
DESCRIPTION = """\
Ask AWS for new tokens and keep them, for the named registries or for all that
are known: those with a token on disk, and those in Docker's credHelpers. For
timers, and for machine images that are to start with a token."""
EXAMPLE = """\
  docker-credential-ecr refresh
  docker-credential-ecr refresh 123456789012.dkr.ecr.us-east-1.amazonaws.com
"""


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registries",
        metavar="REGISTRY",
        nargs="*",
        help="an ECR host, or a mapped name; without it, all that are known",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out: every registry is tried, whatever became of the one before."""
    if cache.directory(console.environ) is None:
        raise HelperError(
            "there is no cache to keep new tokens in",
            f"{system.unset('AWS_ECR_DISABLE_CACHE')}, or set AWS_ECR_CACHE_DIR to a directory",
        )
    named = [registries.host_of(name, console.environ) for name in arguments.registries]
    hosts = named or _known(console)
    if not hosts:
        console.progress("no registry is known yet: name one")
    issued: dict[tuple[str, str], float] = {}
    status = 0
    for host in dict.fromkeys(hosts):
        found = renewal.target(host, console.environ)
        if found is None:
            continue
        where, rule = found
        # The registries of one region and identity share a call: the first one makes it.
        shared = where.scope, rule.identity if rule is not None else ""
        console.progress(f"{host}: asking AWS")
        try:
            token = renewal.renew(host, console.environ, newer_than=issued.get(shared, time.time()))
        except HelperError as error:
            console.error(error)
            status = 1
            continue
        if token is None:
            continue
        issued[shared] = token.issued - 1
        console.progress(f"{host}: renewed, valid for {span(token.expires - time.time())}")
        _warn_if_not_used(host, token, console)
    return status


def _known(console: "Console") -> list[str]:
    """Return the registries with a token on disk, and those that Docker asks us about."""
    folder = cache.directory(console.environ)
    hosts = cache.hosts(folder) if folder is not None else []
    found = [host for host in hosts if any(cache.entries(folder or "", host))]
    try:
        servers = docker.read(console.environ).ours()
    except HelperError as error:
        console.error(error)
        servers = []
    names = [server.partition(":")[0] for server in servers]
    return [host for host in dict.fromkeys([*found, *names]) if _is_ours(host, console)]


def _is_ours(host: str, console: "Console") -> bool:
    return renewal.target(host, console.environ) is not None


def _warn_if_not_used(host: str, token: cache.Token, console: "Console") -> None:
    folder = cache.directory(console.environ) or ""
    served = cache.lookup(folder, host, console.environ, time.time())
    if served is not None and served.is_login:
        console.warn(
            f'a login of your own still answers for "{host}"', f"remove it: docker logout {host}"
        )
    elif served is None or served.secret != token.secret:
        console.warn(
            f'the new token for "{host}" could not be kept below "{one_line(folder)}"',
            f"find out why: docker-credential-ecr doctor {host}",
        )
