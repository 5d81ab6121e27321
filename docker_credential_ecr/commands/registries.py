"""Which registry the user means: the one that is named, or that of the account and the region."""

import os

from .. import registry, server_url
from ..errors import HelperError, one_line
from . import survey, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..ecr.inquiry import Caller


def server_of(text: str, environ: "Mapping[str, str]") -> str:
    """Return the registry that the user names, as Docker writes it: host, or host:port.

    Raises ``HelperError`` if it is no registry of ours.
    """
    from .. import renewal, settings

    server = written(text)
    host = server.partition(":")[0]
    if registry.parse(host) is None and renewal.target(host, environ) is None:
        if digits := wrong_digits(host):
            raise HelperError(*digits)
        if settings.load(environ).mirror_of(host) is not None:
            raise HelperError(
                f'"{host}" is a [[mirror]], which is for the kubelet alone',
                "name the registry behind it: Docker would send the token to that host itself",
            )
        raise HelperError(
            f'"{host}" is not an ECR registry',
            f"for a name of your own, add a [[registry]] rule with match and registry to "
            f'"{one_line(rules_path(environ))}"',
        )
    return server


def wrong_digits(host: str) -> tuple[str, ...]:
    """Return the reason and the hint for an ECR host whose account is too short or long, or ()."""
    account, _, rest = host.partition(".")
    if not account.isdecimal() or registry.parse(f"{'0' * 12}.{rest}") is None:
        return ()
    return (
        f'"{host}" is not an ECR registry: its account has {len(account)} digits, and not 12',
        "correct the account; see yours: aws sts get-caller-identity --query Account",
    )


def host_of(text: str, environ: "Mapping[str, str]") -> str:
    """Return the host of the registry that the user names. Raises as ``server_of`` does."""
    return server_of(text, environ).partition(":")[0]


def written(text: str) -> str:
    """Return a registry's name as Docker writes it: host, or host:port.

    Raises ``HelperError`` for what is no such name.
    """
    parts = server_url.split(text)
    if parts is None:
        raise HelperError(
            f'"{server_url.shown(text)}" is not the name of a registry',
            "write a host, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com",
        )
    host, port = parts
    return f"{host}:{port}" if port else host


def default_registry(environ: "Mapping[str, str]") -> str:
    """Return the private registry of the caller's account and region. Raises ``HelperError``."""
    return _default_of(survey.caller(environ))


def _default_of(who: "Caller") -> str:
    host = registry.private_host(who.account, who.region) if who.region else ""
    if registry.parse(host) is None:
        raise HelperError(
            "no AWS region is configured, so there is no default registry",
            "name the registry, or set AWS_REGION",
        )
    return host


def of_the_caller(environ: "Mapping[str, str]", regions: "Sequence[str]") -> list[str]:
    """Return the private registries of the caller's account, and of those that config.toml names.

    In ``regions``, or in the caller's own without any. Raises ``HelperError``.
    """
    from .. import settings

    rules = settings.load(environ).rules
    wrong = next((region for region in regions if not registry.domain(region)), None)
    if wrong is not None:
        raise HelperError(
            f'"{one_line(wrong)}" is not an AWS region',
            "write regions with commas between them, as in --regions eu-west-1,us-east-1",
        )
    who = survey.caller(environ)
    if not regions:
        _default_of(who)  # says so where there is no region
        regions = [who.region]
    found = [registry.private_host(who.account, region) for region in regions]
    for rule in rules:
        account = rule.match.partition(".")[0]
        if rule.registry or "*" in account or not account.isdecimal():
            continue
        if registry.parse(rule.match) is not None:
            found.append(rule.match)
            continue
        names = [registry.private_host(account, region) for region in regions]
        found += [name for name in names if rule.matches(name)]
    return list(dict.fromkeys(found))


def rules_path(environ: "Mapping[str, str]") -> str:
    """Return the path of our own configuration file: the one in use, or else the user's."""
    from .. import settings

    found = settings.paths(environ)
    if not found:  # pragma: no cover - Windows
        raise HelperError(
            "there is no home directory for config.toml",
            f"set {system.home_variable()}, or AWS_ECR_CONFIG_FILE",
        )
    return next((path for path in found if os.path.exists(path)), found[0])
