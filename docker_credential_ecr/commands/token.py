"""token: an authorization token for the registry's HTTP API."""

from ..errors import HelperError
from . import registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from .console import Console

SUMMARY = "print a token for the registry's HTTP API"
DESCRIPTION = """\
Print the authorization token of a registry: base64 of AWS:password, as ECR
gives it. Without a registry, that of your account in your region. Hand it on
by a pipe: what stands in a command line can be read by every user."""
EXAMPLE = """\
  HOST=123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr token --header $HOST |
    curl -H @- https://$HOST/v2/_catalog
  docker-credential-ecr token --password $HOST |
    helm registry login --username AWS --password-stdin $HOST
"""


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registry", metavar="REGISTRY", nargs="?", help="an ECR host, or a mapped name"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--header", action="store_true", help="print the whole header, for curl -H @-"
    )
    form.add_argument(
        "--password",
        action="store_true",
        help="print the password of the user AWS, for --password-stdin",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError``."""
    import base64

    from .. import tokens

    if arguments.registry is None:
        host = registries.default_registry(console.environ)
    else:
        host = registries.host_of(arguments.registry, console.environ)
    token = tokens.authorize(host, console.environ)
    if token is None:  # pragma: no cover - registries has looked
        raise HelperError(f'"{host}" is not an ECR registry')
    if arguments.password:
        console.answer(token.secret)
    else:
        basic = base64.b64encode(f"AWS:{token.secret}".encode()).decode()
        console.answer(f"Authorization: Basic {basic}" if arguments.header else basic)
    tokens.renew_behind(token, console.environ)
    return 0
