"""doctor: checks the whole way, from PATH to the registry, each result with what to do about it."""

from ... import __version__
from ...errors import HelperError
from .. import registries
from . import here, there, variables
from .context import ERROR, SKIPPED, Context, Finding, Skip, server

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ..console import Console

SUMMARY = "check everything, from PATH to the registry"
DESCRIPTION = """\
Check, in this order: the executable, Docker's configuration, our own, the AWS
credentials, the cache, the endpoint, the proxy and the clock; then ask AWS who
you are and for a token, and the registry to accept it. Every finding is ok, a
warning or an error, with what to do about it. Exit code 1 if any is an error."""
EXAMPLE = """\
  docker-credential-ecr doctor 123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr doctor --offline --json
"""
CHECKS: "tuple[tuple[str, Callable[[Context], Iterator[Finding]]], ...]" = (
    ("executable", here.executable),
    ("docker", here.docker_asks),
    ("auths", here.logins),
    ("config", here.our_file),
    ("variables", variables.ours),
    ("fallback", here.other_helper),
    ("registry name", here.name),
    ("credentials", there.aws_credentials),
    ("cache", here.tokens_kept),
    ("log", here.log),
    ("endpoint", there.endpoint),
    ("proxy", there.proxy),
    ("clock", there.clock),
    ("identity", there.identity),
    ("token", there.token),
    ("registry", there.registry),
)


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registry",
        metavar="REGISTRY",
        nargs="?",
        help="an ECR host, or a mapped name; without it the first in Docker's credHelpers, "
        "or that of your account and region",
    )
    parser.add_argument(
        "--offline",
        action="store_true",
        help="only what can be seen on this machine",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError`` if what is named is no registry's name."""
    named = registries.written(arguments.registry) if arguments.registry is not None else None
    context = Context(console.environ, named, offline=arguments.offline)
    report = []
    failed = False
    for name, check in CHECKS:
        for finding in _found(check, context):
            failed = failed or finding.state == ERROR
            if arguments.json:
                report.append(
                    {
                        "name": name,
                        "state": finding.state,
                        "message": finding.message,
                        "hints": list(finding.hints),
                    }
                )
            else:
                _print(name, finding, console)
    if arguments.json:
        import json

        about = context.find_or(server, "") or None
        said = {"version": __version__, "registry": about, "ok": not failed, "checks": report}
        console.answer(json.dumps(said, indent=1))
    return 1 if failed else 0


def _found(
    check: "Callable[[Context], Iterator[Finding]]", context: Context
) -> "Iterator[Finding]":
    try:
        yield from check(context)
    except Skip as reason:
        yield Finding(SKIPPED, reason.reason)
    except HelperError as error:
        yield Finding(ERROR, error.reason, *error.hints)


def _print(name: str, finding: Finding, console: "Console") -> None:
    state = console.coloured(finding.state) + " " * (8 - len(finding.state))
    console.answer(f"{state} {name}: {finding.message}")
    for hint in finding.hints:
        console.answer(f"         hint: {hint}")
