"""Where a hostname ends to be one: the last that is taken, and the first that is not."""

from __future__ import annotations

import pytest
from kit import HOST

from docker_credential_ecr import registry, server_url

LONGEST = ".".join(["a" * 63] * 3 + ["a" * 61])  # 253 characters, RFC 1035
PASSWORD = "hunter2"


def test_the_longest_host() -> None:
    """A host has 253 characters at most, not counting a trailing dot."""
    assert len(LONGEST) == 253
    assert server_url.host_of(LONGEST) == LONGEST
    assert server_url.host_of(f"{LONGEST}.") == LONGEST
    assert server_url.host_of(f"{LONGEST}a") is None


@pytest.mark.parametrize(
    ("port", "is_one"),
    [
        ("0", False),
        ("00", False),
        ("1", True),
        ("443", True),
        ("65535", True),
        ("65536", False),
        ("99999", False),
        ("000443", True),
        ("655350", False),
        ("065535", True),
        ("0655350", False),
        ("1000000", False),
        ("", False),
        ("+1", False),
        ("a", False),
    ],
)
def test_ports(port: str, is_one: bool) -> None:
    """A port is a number from 1 to 65535; what comes back is as it was written."""
    assert server_url.split(f"{HOST}:{port}") == ((HOST, port) if is_one else None)


def test_a_port_of_many_digits_costs_nothing() -> None:
    """Only so many digits are read as may count: a longer number is no port."""
    assert server_url.split(f"{HOST}:{'0' * 100_000}1") is None
    assert server_url.split(f"{HOST}:{'9' * 100_000}") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOST, HOST),
        (f" https://{HOST}/v2/ ", HOST),
        (f"/{PASSWORD}", ""),
        (f"?{PASSWORD}", ""),
        (f"#{PASSWORD}", ""),
        (f"a/{PASSWORD}", "a"),
        (f"a?{PASSWORD}", "a"),
        (f"a#{PASSWORD}", "a"),
        (f"a#{PASSWORD}/b?c", "a"),
        (f"me:{PASSWORD}@a", "a"),
        (f"https://me:{PASSWORD}@a:443/b", "a:443"),
        (f"https://me@{PASSWORD}@a", "a"),
        # A password may hold a slash: what stands before it is not shown either.
        (f"me:{PASSWORD}/x@a", ""),
        (f"me:{PASSWORD}?x@a", ""),
        (f"https://{PASSWORD}#x@a", ""),
        ("https://", "https:"),
        ("a b", "a?b"),
        ("a~!b", "a~!b"),
        ("\x1b[31ma\x7f", "?[31ma?"),
        ("é.example", "?.example"),
        ("", ""),
        ("a" * 253, "a" * 253),
        ("a" * 254, "a" * 253),
    ],
)
def test_what_is_shown_of_a_name(text: str, shown: str) -> None:
    """The host alone, without anything that may be a secret, and nothing that a terminal obeys."""
    assert server_url.shown(text) == shown


@pytest.mark.parametrize(
    ("region", "is_one"),
    [
        ("us-east-1", True),
        ("us-gov-west-1", True),
        ("us-east", False),
        ("useast1", False),
        ("us-1", False),
        ("us--1", False),
        ("-east-1", False),
        ("us-east-", False),
        ("us-ea_st-1", False),
        ("us-east-1a", False),
        ("xx-new-12", True),
    ],
)
def test_regions(region: str, is_one: bool) -> None:
    """A region has three parts or more, each of letters and digits, the last of digits."""
    found = registry.parse(f"123456789012.dkr.ecr.{region}.amazonaws.com")
    assert (found is not None) == is_one


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "12345678901a", ""])
def test_accounts(account: str) -> None:
    """An account is 12 digits."""
    assert registry.parse(f"{account}.dkr.ecr.us-east-1.amazonaws.com") is None


@pytest.mark.parametrize(
    ("region", "domain"),
    [("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("nowhere", ""), ("", "")],
)
def test_the_domain_of_a_region(region: str, domain: str) -> None:
    """A region's partition says which; what is no region has none."""
    assert registry.domain(region) == domain
