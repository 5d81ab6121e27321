"""Which hostnames are Amazon ECR registries, and what each one says."""

from . import server_url

# Region prefix, domain, domain of dual-stack names: one row a partition, the first prefix that
# matches wins. Source: botocore's partitions.json (a test compares) and the ECR user guide.
_PARTITIONS = (
    ("cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
    ("us-gov-", "amazonaws.com", "on.aws"),
    ("us-iso-", "c2s.ic.gov", ""),
    ("us-isob-", "sc2s.sgov.gov", ""),
    ("eu-isoe-", "cloud.adc-e.uk", ""),
    ("us-isof-", "csp.hci.ic.gov", ""),
    ("eu-isof-", "csp.hci.ic.gov", ""),
    ("eusc-", "amazonaws.eu", "on.amazonwebservices.eu"),
    ("", "amazonaws.com", "on.aws"),
)
# One region of each partition, for those who must try a rule on all of them.
REGIONS = (
    *("us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"),
    *("us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"),
)
# What follows the account in a private registry's name, whether that is FIPS, and dual-stack.
_FORMS = (
    ("dkr.ecr", False, False),
    ("dkr.ecr-fips", True, False),
    ("dkr-ecr", False, True),
    ("dkr-ecr-fips", True, True),
)
_PUBLIC = {"public.ecr.aws": False, "ecr-public.aws.com": True}  # host: is it dual-stack?
_PUBLIC_REGION = "us-east-1"  # ECR Public answers GetAuthorizationToken there only
ACCOUNT_LENGTH = 12  # digits
_REGION_PARTS = 3  # at least, as in us-east-1


class Registry:
    """One ECR registry, as its hostname describes it.

    ``service`` is ``"ecr"`` or ``"ecr-public"``; ``account`` is 12 digits, or empty for ECR Public.
    """

    __slots__ = ("account", "dual_stack", "fips", "host", "region", "service")

    def __init__(
        self,
        host: str,
        service: str,
        account: str,
        region: str,
        *,
        fips: bool,
        dual_stack: bool,
    ) -> None:
        self.host = host
        self.service = service
        self.account = account
        self.region = region
        self.fips = fips
        self.dual_stack = dual_stack

    @property
    def scope(self) -> str:
        """What one authorization token of one identity covers: service, region and flavour."""
        return f"{self.service} {self.region} {self.flavour}".strip()

    @property
    def flavour(self) -> str:
        """The kind of endpoint: empty, ``fips``, ``dual-stack``, or both with a space between."""
        return f"{'fips' * self.fips} {'dual-stack' * self.dual_stack}".strip()

    def __repr__(self) -> str:
        return f"Registry({self.host!r})"


def parse(text: str) -> Registry | None:
    """Return the ECR registry that a host or server URL names, or ``None`` if it names none."""
    host = server_url.host_of(text)
    if host is None:
        return None
    if host in _PUBLIC:
        dual_stack = _PUBLIC[host]
        return Registry(host, "ecr-public", "", _PUBLIC_REGION, fips=False, dual_stack=dual_stack)
    account, _, rest = host.partition(".")
    if not is_account(account):
        return None
    for form, fips, dual_stack in _FORMS:
        if rest.startswith(f"{form}."):
            region, _, domain = rest.removeprefix(f"{form}.").partition(".")
            if _is_region(region) and domain == _domain(region, dual_stack=dual_stack):
                return Registry(host, "ecr", account, region, fips=fips, dual_stack=dual_stack)
    return None


def private_host(account: str, region: str) -> str:
    """Return the hostname of an account's private registry in a region."""
    return f"{account}.dkr.ecr.{region}.{_domain(region, dual_stack=False)}"


def domain(region: str) -> str:
    """Return the domain of the partition that a region is in, or nothing for what is no region."""
    return (_domain(region, dual_stack=False) or "") if _is_region(region) else ""


def hosts_in(account: str, region: str) -> list[str]:
    """Return every hostname of an account's private registry in a region."""
    return [
        f"{account}.{form}.{region}.{domain}"
        for form, _, dual_stack in _FORMS
        if (domain := _domain(region, dual_stack=dual_stack))
    ]


def public_hosts() -> list[str]:
    """Return the hostnames of ECR Public."""
    return list(_PUBLIC)


def _domain(region: str, *, dual_stack: bool) -> str | None:
    for prefix, plain, dual in _PARTITIONS:
        if region.startswith(prefix):
            return (dual or None) if dual_stack else plain
    return None  # pragma: no cover - the last row's prefix matches every region


def is_account(text: str) -> bool:
    """Whether ``text`` is the number of an AWS account."""
    return len(text) == ACCOUNT_LENGTH and text.isascii() and text.isdecimal()


def _is_region(name: str) -> bool:
    parts = name.split("-")
    return len(parts) >= _REGION_PARTS and all(p.isalnum() for p in parts) and parts[-1].isdecimal()
