"""token: an authorization token for the registry's HTTP API."""

from .. import tokens
from ..errors import HelperError
from . import registries, textfile
from .console import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ..cache import Token
    from .console import Console

SUMMARY = "print a token for the registry's HTTP API"
DESCRIPTION = """\
Print the authorization token of a registry: base64 of AWS:password, as ECR
gives it. Without a registry, that of your account in your region. Pass it on
by a pipe, as every user can read a command line. With --docker-config it is a
Docker configuration, for what cannot run this program: it holds passwords, and
is good until they end. --secret-patch writes the same for kubectl patch, into a
file for you alone: a link, or another user's file, is refused."""
EXAMPLE = """\
  HOST=123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr token --header $HOST |
    curl -H @- https://$HOST/v2/_catalog
  docker-credential-ecr token --password $HOST |
    helm registry login --username AWS --password-stdin $HOST
  (umask 077; docker-credential-ecr token --docker-config $HOST >config.json)
"""


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registries", metavar="REGISTRY", nargs="*", help="an ECR host, or a mapped name"
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
    form.add_argument(
        "--docker-config",
        action="store_true",
        help="print a Docker configuration with a login for each REGISTRY",
    )
    parser.add_argument(
        "--secret-patch",
        metavar="FILE",
        help="write the same to FILE, as a patch for a Kubernetes image pull secret",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError``."""
    form = arguments.header or arguments.password or arguments.docker_config
    patch: str | None = arguments.secret_patch
    if patch is not None and form:
        raise HelperError("--secret-patch goes with no other form", "leave the other option out")
    if patch == "":  # a variable of a script that is empty
        raise HelperError('"" is not the name of a file for --secret-patch', "name a file")
    if patch is not None:
        textfile.refuse_unless_private(patch)
    named = [registries.host_of(name, console.environ) for name in arguments.registries]
    if len(named) > 1 and patch is None and not arguments.docker_config:
        raise HelperError(
            "only --docker-config and --secret-patch take more than one registry",
            "name one, or add one of these",
        )
    found = [
        _token_of(host, console.environ)
        for host in named or [registries.default_registry(console.environ)]
    ]
    token = found[0]
    if arguments.docker_config:
        console.answer(_docker_config(found))
        console.warn(_end(found), "make a new one before that, and let nobody else read it")
    elif patch is not None:
        textfile.write_secret(patch, _secret_patch(found))
        console.warn(_end(found), "patch the secret, and make a new file before that")
    elif arguments.password:
        console.answer(token.secret)
    else:
        console.answer(
            f"Authorization: Basic {_basic(token)}" if arguments.header else _basic(token)
        )
    for each in found:
        tokens.renew_behind(each, console.environ)
    return 0


def _token_of(host: str, environ: "Mapping[str, str]") -> "Token":
    token = tokens.authorize(host, environ)
    if token is None:  # pragma: no cover - registries has looked
        raise HelperError(f'"{host}" is not an ECR registry')
    return token


def _basic(token: "Token") -> str:
    import base64

    return base64.b64encode(f"AWS:{token.secret}".encode()).decode()


def _docker_config(found: "Sequence[Token]") -> str:
    """Return what Docker's config.json, or a kubernetes.io/dockerconfigjson secret, holds."""
    import json

    return json.dumps({"auths": {token.host: {"auth": _basic(token)} for token in found}}, indent=2)


def _secret_patch(found: "Sequence[Token]") -> str:
    """Return a kubectl patch for a secret of the type kubernetes.io/dockerconfigjson."""
    import base64
    import json

    config = base64.b64encode(_docker_config(found).encode()).decode()
    return json.dumps({"data": {".dockerconfigjson": config}}) + "\n"


def _end(found: "Sequence[Token]") -> str:
    """Return the warning that says when the first of the logins ends."""
    import time

    first = min(found, key=lambda token: token.expires)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(first.expires))
    left = span(first.expires - time.time())
    return f'this file holds passwords; the login for "{first.host}" ends at {when}, in {left}'
