"""What the checks share: the form of a finding, and what is found out once for all of them.

A fact is a function of the context. The check whose subject it is reports why a fact could not be
found out; every other check that needs it is skipped.
"""

import time

from ... import renewal, settings, tokens
from ...errors import HelperError, one_line
from .. import docker, registries, survey
from . import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from ...cache import Token
    from ...ecr.inquiry import Survey
    from ...registry import Registry
    from ...rule import Rule
    from ...settings import Settings

    T = TypeVar("T")

OK, WARNING, ERROR, SKIPPED = "ok", "warning", "error", "skipped"


class Finding:
    """One result: the state, a line, and hints that are actions."""

    __slots__ = ("hints", "message", "state")

    def __init__(self, state: str, message: str, *hints: str) -> None:
        self.state = state
        self.message = message
        self.hints = hints


class Skip(HelperError):
    """What a check is about cannot be known here, or another check has reported why."""


class Context:
    """What is asked about. ``named`` is a registry as Docker writes it, or ``None``.

    ``kubelet`` says that the kubelet is the caller, not Docker; ``config`` and ``bin_dir`` name its
    files in place of its flags.
    """

    __slots__ = ("_facts", "bin_dir", "config", "environ", "kubelet", "named", "offline")

    def __init__(
        self,
        environ: "Mapping[str, str]",
        named: str | None = None,
        *,
        offline: bool = False,
        kubelet: bool = False,
        config: str | None = None,
        bin_dir: str | None = None,
    ) -> None:
        self.environ = environ
        self.named = named
        self.offline = offline
        self.kubelet = kubelet
        self.config = config
        self.bin_dir = bin_dir
        self._facts: dict[Callable[[Context], Any], Any] = {}

    def find(self, fact: "Callable[[Context], T]") -> "T":
        """Return a fact, found out once. Raises ``HelperError``, each time, if it cannot be."""
        if fact not in self._facts:
            try:
                self._facts[fact] = fact(self)
            except HelperError as error:
                self._facts[fact] = error
        found: T | HelperError = self._facts[fact]
        if isinstance(found, HelperError):
            raise found
        return found

    def find_or(self, fact: "Callable[[Context], T]", default: "T") -> "T":
        """Return a fact, or ``default`` if it cannot be found out."""
        try:
            return self.find(fact)
        except HelperError:
            return default

    def need(self, fact: "Callable[[Context], T]", why_not: str) -> "T":
        """Return a fact; without it the check is skipped, for the reason ``why_not``."""
        try:
            return self.find(fact)
        except HelperError:
            raise Skip(why_not) from None

    def need_network(self) -> None:
        """Skip the check if nobody may be asked."""
        if self.offline:
            raise Skip("offline")


# The facts.


def docker_config(context: Context) -> docker.DockerConfig:
    """Return Docker's configuration file."""
    return docker.read(context.environ)


def our_settings(context: Context) -> "Settings":
    """Return our own configuration file."""
    return settings.load(context.environ)


def named_server(context: Context) -> str | None:
    """Return the registry that is named, or the first for which Docker asks us by name."""
    if context.named is not None or context.kubelet:
        return context.named
    config = context.find_or(docker_config, None)
    return next(iter(config.ours()), None) if config is not None else None


def server(context: Context) -> str:
    """Return the registry that all is about, as Docker writes it: host, or host:port.

    For the kubelet a mirror's source is the registry behind it: that is who is shown the token.
    """
    found = context.find(named_server) or context.find(default_server)
    if context.kubelet:
        known = context.find_or(our_settings, settings.Settings())
        mirror = known.mirror_of(found.partition(":")[0])
        return found if mirror is None else mirror.registry
    return found


def default_server(context: Context) -> str:
    """Return the registry of the caller's account and region."""
    if context.offline:
        raise Skip("no registry is named")
    try:
        return registries.default_registry(context.environ)
    except HelperError as error:
        reason = f"no registry is named, and {error.reason}"
        raise HelperError(reason, *error.hints) from None


def host(context: Context) -> str:
    """Return the host of ``server``."""
    return context.find(server).partition(":")[0]


def rule(context: Context) -> "Rule | None":
    """Return the rule that answers for ``host``: of the account's variables, or of our file."""
    found = context.find_or(our_settings, settings.Settings(environ=context.environ))
    behind = _behind(context)
    return behind[1] if behind is not None else found.rule_for(context.find(host))


def _behind(context: Context) -> "tuple[Registry, Rule | None] | None":
    found = context.find_or(our_settings, settings.Settings(environ=context.environ))
    server_host = context.find(host)
    try:
        return found.behind(server_host)
    except HelperError:
        raise Skip("see variables") from None


def target(context: Context) -> "Registry":
    """Return the ECR registry: ``host``, or the one that a rule puts behind it."""
    behind = _behind(context)
    if behind is not None:
        return behind[0]
    context.need(our_settings, "config.toml cannot be used, and this is not an ECR hostname")
    if digits := registries.wrong_digits(context.find(host)):
        raise HelperError(*digits)
    raise HelperError(
        f'"{context.find(host)}" is not an ECR registry, and no rule maps it to one',
        "correct its spelling, or add a [[registry]] rule with match and registry to "
        f'"{one_line(registries.rules_path(context.environ))}"',
    )


def credentials(context: Context) -> "Survey":
    """Return where AWS's library gets credentials, and where its requests go."""
    return survey.survey(
        context.find(target), context.find(rule), context.environ, offline=context.offline
    )


def clock_offset(context: Context) -> float | None:
    """Return by how many seconds the endpoint's clock is ahead of ours, if it tells the time."""
    found = context.find(credentials)
    return probe.clock_offset(found.endpoint, found.authorities)


def issued_token(context: Context) -> "Token | None":
    """Return a token that AWS issues now: what the cache holds says nothing about permissions."""
    return renewal.renew(context.find(host), context.environ, newer_than=time.time())


def shown_token(context: Context) -> "Token | None":
    """Return the token that Docker would be given after that: a user's own login goes first."""
    issued = context.find(issued_token)
    served = tokens.authorize(context.find(host), context.environ)
    return served if served is not None and served.is_login else issued
