"""configure: have Docker ask us, for single registries or for all, and take that back."""

from .. import settings
from ..errors import HelperError
from . import registries, textfile
from .journal import Alone
from .plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .console import Console

SUMMARY = "have Docker ask this helper"
DESCRIPTION = """\
Write this helper into Docker's configuration, ~/.docker/config.json or the
one in the directory DOCKER_CONFIG, for the named registries (credHelpers) or
for all of them (credsStore). Everything else in the file stays as it is.
Without a registry: those of your account, and of the accounts that config.toml
names, in your region."""
EXAMPLE = """\
  docker-credential-ecr configure --regions eu-west-1,us-east-1
  docker-credential-ecr configure 123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr configure --all --dry-run
  docker-credential-ecr configure --remove
"""
_ATTEMPTS = 20  # plans; each is stale only if another program wrote within milliseconds


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registries",
        metavar="REGISTRY",
        nargs="*",
        help="an ECR host, or a name of your own that config.toml maps to one",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="have Docker ask for every registry; the helper it asks now becomes "
        "the fallback in config.toml, for those that are not ECR",
    )
    parser.add_argument(
        "--regions",
        metavar="REGION,...",
        help="when no registry is named: these regions, in place of yours",
    )
    parser.add_argument(
        "--remove",
        action="store_true",
        help="take back what this command did: for the named registries, or all",
    )
    parser.add_argument(
        "--mirrors",
        action="store_true",
        help="write nothing; print the mirrors of config.toml for a node's installer: source, "
        "registry and prefix, with tabs between",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print the difference, without what may be secret",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError``."""
    if arguments.mirrors:
        return _print_mirrors(arguments, console)
    if arguments.all and arguments.registries:
        raise HelperError("--all is for every registry, yet registries are named", "leave one out")
    if arguments.regions is not None and (
        arguments.all or arguments.registries or arguments.remove
    ):
        raise HelperError(
            "--regions is for when no registry is named, and all or some are", "leave one out"
        )
    if not (arguments.all or arguments.registries or arguments.remove):
        arguments.registries = _offered(arguments.regions, console)
    if arguments.dry_run:
        _plan(arguments, console).show(console)
        return 0
    _plan(arguments, console)  # what cannot be meant is refused before anything is made
    with Alone(console.environ) as alone:
        for attempt in range(1, _ATTEMPTS + 1):
            plan = _plan(arguments, console)
            plan.sweep(alone=alone)
            try:
                plan.carry_out(console)
                break
            except textfile.Changed:
                if attempt == _ATTEMPTS:
                    raise
    return 0


def _print_mirrors(arguments: "argparse.Namespace", console: "Console") -> int:
    if arguments.all or arguments.registries or arguments.remove:
        raise HelperError("--mirrors only prints, and more is asked for", "leave one out")
    for mirror in settings.load(console.environ).mirrors:
        console.answer(f"{mirror.source}\t{mirror.registry}\t{mirror.prefix}")
    return 0


def _offered(regions: str | None, console: "Console") -> list[str]:
    """Return the registries of the caller, who has named none. Raises ``HelperError``."""
    try:
        return registries.of_the_caller(
            console.environ, [] if regions is None else regions.split(",")
        )
    except HelperError as error:
        raise HelperError(
            f"no registry is named, and yours is not known: {error.reason}",
            *error.hints,
            "or name one, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "or have Docker ask for every registry: docker-credential-ecr configure --all",
        ) from None


def _plan(arguments: "argparse.Namespace", console: "Console") -> Plan:
    plan = Plan(console.environ)
    if arguments.remove:
        plan.remove(arguments.registries)
    elif arguments.all:
        plan.add_all()
    else:
        plan.add([registries.server_of(name, console.environ) for name in arguments.registries])
    return plan
