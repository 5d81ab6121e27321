"""Variables that choose the role and the profile for an account: rules for where there is no file.

CI jobs have variables. They come before the rules of the file, and are conditions of the entries
of that account's registries alone.
"""

from . import keys
from .errors import Refused
from .rule import Rule
from .settings import PREFIXES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import Registry


def variables(account: str) -> tuple[str, ...]:
    """Return the variables for an account, the role's and the profile's: none without one."""
    return tuple(name + account for name in PREFIXES if account)


def rule_of(where: "Registry", rule: Rule | None, environ: "Mapping[str, str]") -> Rule | None:
    """Return the rule that the variables make for ``where``, or else ``rule``, the file's.

    They say who asks: where a name leads, and which endpoint is asked, stays the file's. Raises
    ``Refused`` for a value that cannot be one, which is not shown.
    """
    names = variables(where.account)
    role_arn, profile = [environ.get(name, "") for name in names] or ("", "")
    if role_arn and not keys.is_role_arn(role_arn):
        raise Refused(
            f'"{names[0]}" is not the ARN of an IAM role',
            f"set it to one such as arn:aws:iam::{where.account}:role/puller, or unset it",
        )
    if not profile.isprintable():
        raise Refused(f'"{names[1]}" is not a line of text', "set it to a profile's name")
    if not role_arn and not profile:
        return rule
    return Rule(
        rule.match if rule is not None else where.host,
        profile=profile or None,
        role_arn=role_arn or None,
        registry=rule.registry if rule is not None else None,
        endpoint_url=rule.endpoint_url if rule is not None else None,
    )
