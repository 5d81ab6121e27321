"""doctor: checks the whole way, from PATH to the registry, each result with what to do about it."""

from ... import __version__
from ...errors import HelperError
from .. import registries
from . import here, node, plugins, there, variables
from .context import ERROR, SKIPPED, Context, Finding, Skip, server

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ..console import Console

SUMMARY = "check everything, from PATH to the registry"
DESCRIPTION = """\
Check, in this order: the executable, Docker's configuration, this program's,
the AWS credentials, the cache, the endpoint, the proxy and the clock; then ask
AWS who you are and for a token, and the registry to accept it. Every finding is
ok, a warning or an error, with what to do about it. Exit code 1 if any is an
error."""
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


# With the kubelet as the caller: its own first, then those that are about any caller.
_OF_DOCKER = ("executable", "docker", "auths", "fallback")
KUBELET_CHECKS: "tuple[tuple[str, Callable[[Context], Iterator[Finding]]], ...]" = (
    ("kubelet", node.flags),
    ("provider", node.named),
    ("executable", plugins.executables),
    ("images", node.images),
    ("mirrors", node.mirrors),
    ("service accounts", node.service_accounts),
    *(check for check in CHECKS if check[0] not in _OF_DOCKER),
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
        "--kubelet",
        action="store_true",
        help="the node's view: the kubelet is the caller, and its flags and files are read",
    )
    parser.add_argument(
        "--config",
        metavar="PATH",
        help="with --kubelet: its CredentialProviderConfig, in place of what one that runs says",
    )
    parser.add_argument("--bin-dir", metavar="DIR", help="with --config: the plugins' directory")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="only what can be seen on this machine",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError`` if what is named is no registry's name."""
    named = registries.written(arguments.registry) if arguments.registry is not None else None
    context = Context(
        console.environ,
        named,
        offline=arguments.offline,
        kubelet=_is_of_kubelet(arguments),
        config=arguments.config,
        bin_dir=arguments.bin_dir,
    )
    if context.kubelet:
        _as_the_kubelet(context)
    report = []
    failed = False
    for name, check in KUBELET_CHECKS if context.kubelet else CHECKS:
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


def _is_of_kubelet(arguments: "argparse.Namespace") -> bool:
    """Return whether the node's view is asked for. Raises ``HelperError`` for half of its files."""
    if (arguments.config is None) != (arguments.bin_dir is None) or (
        arguments.config is not None and not arguments.kubelet
    ):
        raise HelperError(
            "--config and --bin-dir are the kubelet's files", "give --kubelet and both of them"
        )
    return bool(arguments.kubelet)


def _as_the_kubelet(context: Context) -> None:
    """Take the environment that the kubelet gives us: AWS's library reads the process's own."""
    import os

    made = context.find(node.environ)
    os.environ.clear()
    os.environ.update(made)
    context.environ = os.environ


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
