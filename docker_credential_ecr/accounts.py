"""Variables that choose the role and the profile for an account: rules for where there is no file.

CI jobs have variables. They come before the rules of the file, and are conditions of the entries
of that account's registries alone.
"""

from . import keys, registry
from .errors import Refused, one_line
from .rule import Rule
from .settings import PREFIXES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import Registry


def variables(account: str) -> tuple[str, ...]:
    """Return the variables for an account, the role's and the profile's: none without one."""
    return tuple(name + account for name in PREFIXES if account)


def misnamed(name: str) -> Refused | None:
    """Return what is wrong with a variable's name that begins as ours do, or ``None``."""
    start = next(filter(name.startswith, PREFIXES))
    if registry.is_account(name.removeprefix(start)):
        return None
    return Refused(
        f'"{one_line(name)}" does not end with an account, which has 12 digits',
        f"name the account, as in {start}123456789012, or unset it",
    )


def unfit(name: str, value: str) -> Refused | None:
    """Return what is wrong with the value of such a variable, which is not shown, or ``None``."""
    role, _ = PREFIXES
    if name.startswith(role):
        if not value or keys.is_role_arn(value):
            return None
        return Refused(
            f'"{name}" is not the ARN of an IAM role',
            f"set it to one such as arn:aws:iam::{name.removeprefix(role)}:role/puller, "
            "or unset it",
        )
    if value.isprintable():
        return None
    return Refused(f'"{name}" is not a line of text', "set it to a profile's name")


def rule_of(where: "Registry", rule: Rule | None, environ: "Mapping[str, str]") -> Rule | None:
    """Return the rule that the variables make for ``where``, or else ``rule``, the file's.

    They say who asks: where a name leads, and which endpoint is asked, stays the file's. Raises
    ``Refused`` for a value that cannot be one, and for any variable that names no account: whose
    registries it is for is not known, and the default identity may not be the one that is meant.
    """
    faults = [misnamed(name) for name in environ if name.startswith(PREFIXES) and environ[name]]
    names = variables(where.account)
    role_arn, profile = [environ.get(name, "") for name in names] or ("", "")
    faults += [unfit(name, environ.get(name, "")) for name in names]
    for fault in filter(None, faults):
        raise fault
    if not role_arn and not profile:
        return rule
    return Rule(
        rule.match if rule is not None else where.host,
        profile=profile or None,
        role_arn=role_arn or None,
        registry=rule.registry if rule is not None else None,
        endpoint_url=rule.endpoint_url if rule is not None else None,
    )
