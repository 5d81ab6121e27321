"""Which hostnames are Amazon ECR registries, and what each one says.

Every ``get`` passes here, so this module imports nothing.
"""

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
WHITE = (
    " \t\n\v\f\r"  # what may surround a server URL; Python alone would take U+001C for white, too
)
USER = "AWS"  # the only user that ECR knows
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
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
# Characters that end or disguise a host, or that would need escaping in our JSON answer.
_FORBIDDEN = frozenset(' @#?"\\')
_ACCOUNT_LENGTH = 12  # digits
_REGION_PARTS = 3  # at least, as in us-east-1
_PORT_LIMIT = 65535
_HOST_LENGTH = 253  # characters, RFC 1035


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


def split(server_url: str) -> tuple[str, str] | None:
    """Return the lower-case host of a server URL that a token may be sent to, and its port.

    Accepted: a bare host or ``https://``, a port, a path, surrounding white space, a trailing dot.
    ``None`` for everything else: another scheme (a token never travels in clear), user info,
    a query, a fragment, control and non-ASCII characters. The port is empty if there is none.
    """
    url = server_url.strip(WHITE)
    if not url.isascii() or not url.isprintable() or not _FORBIDDEN.isdisjoint(url):
        return None
    url = url.lower()
    scheme, mark, rest = url.partition("://")
    if mark and scheme != "https":
        return None
    authority = (rest if mark else url).partition("/")[0]
    host, colon, port = authority.partition(":")
    if colon and not _is_port(port):
        return None
    host = host.removesuffix(".")
    if not host or len(host) > _HOST_LENGTH or not _HOST_CHARACTERS.issuperset(host):
        return None
    if "" in host.split("."):
        return None
    return host, port


def host_of(server_url: str) -> str | None:
    """Return the host of a server URL that a token may be sent to, or ``None``: see ``split``."""
    parts = split(server_url)
    return None if parts is None else parts[0]


def shown(text: str) -> str:
    """Return the host of a URL or a name for a message: the rest of it may be secret.

    Neither user info nor path, query or fragment; control and non-ASCII characters as ``?``.
    """
    rest = text.strip()
    rest = rest.partition("://")[2] or rest
    end = min((place for mark in "/?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    host, after = rest[:end].rpartition("@")[2], rest[end:]
    if "@" in after:
        host = ""  # what stands before may be the start of a password
    return "".join(c if " " < c <= "~" else "?" for c in host)[:_HOST_LENGTH]


def parse(server_url: str) -> Registry | None:
    """Return the ECR registry that ``server_url`` names, or ``None`` if it names no such thing."""
    host = host_of(server_url)
    if host is None:
        return None
    if host in _PUBLIC:
        dual_stack = _PUBLIC[host]
        return Registry(host, "ecr-public", "", _PUBLIC_REGION, fips=False, dual_stack=dual_stack)
    account, _, rest = host.partition(".")
    if len(account) != _ACCOUNT_LENGTH or not account.isdecimal():
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


def _is_port(text: str) -> bool:
    # Zeros in front count for nothing; how many there are is limited like a host.
    digits = text.lstrip("0")
    fits = text.isdecimal() and len(text) <= _HOST_LENGTH and 0 < len(digits) <= len("65535")
    return fits and int(digits) <= _PORT_LIMIT


def _domain(region: str, *, dual_stack: bool) -> str | None:
    for prefix, plain, dual in _PARTITIONS:
        if region.startswith(prefix):
            return (dual or None) if dual_stack else plain
    return None  # pragma: no cover - the last row's prefix matches every region


def _is_region(name: str) -> bool:
    parts = name.split("-")
    return len(parts) >= _REGION_PARTS and all(p.isalnum() for p in parts) and parts[-1].isdecimal()
