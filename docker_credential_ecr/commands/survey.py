"""What AWS would say to the user's identity, asked within the time that an answer may take."""

from ..deadline import Deadline, timeout_of
from ..ecr import inquiry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..registry import Registry
    from ..rule import Rule


def survey(
    where: "Registry", rule: "Rule | None", environ: "Mapping[str, str]", *, offline: bool
) -> inquiry.Survey:
    """Return where credentials for ``where`` come from, and where requests go.

    ``offline`` asks only sources on this machine. Raises ``HelperError``.
    """
    deadline = Deadline(timeout_of(environ), f'"{where.host}"')
    return deadline.run(lambda: inquiry.survey(where, rule, environ, deadline, offline=offline))


def caller(environ: "Mapping[str, str]", profile: str | None = None) -> inquiry.Caller:
    """Return whom STS says that we are. Raises ``HelperError``."""
    deadline = Deadline(timeout_of(environ), "the caller's identity")
    return deadline.run(lambda: inquiry.caller(environ, deadline, profile))
