"""Which hostnames are ECR registries: a table, botocore's own data, and an independent regex."""

from __future__ import annotations

import json
import os
import re
import string
from typing import Any

import botocore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kit import ACCOUNT, HOST, REGISTRIES

from docker_credential_ecr import registry, server_url


def table() -> list[list[str]]:
    return [line.split("\t") for line in REGISTRIES.read_text("ascii").splitlines()[1:]]


Fields = tuple[str, str, str, bool, bool]  # service, account, region, FIPS, dual-stack


def partitions() -> list[dict[str, Any]]:
    path = os.path.join(os.path.dirname(botocore.__file__), "data", "partitions.json")
    with open(path, encoding="utf-8") as file:
        return list(json.load(file)["partitions"])


def fields(found: registry.Registry | None) -> Fields | None:
    if found is None:
        return None
    return (found.service, found.account, found.region, found.fips, found.dual_stack)


# Written from the ECR user guide, not from the code: one row a partition.
LABEL = "[a-z0-9]"
REGION = rf"{LABEL}+(?:-{LABEL}+)+-[0-9]+"
DOMAINS = (
    (r"cn-", r"amazonaws\.com\.cn", r"on\.amazonwebservices\.com\.cn"),
    (r"us-iso-", r"c2s\.ic\.gov", None),
    (r"us-isob-", r"sc2s\.sgov\.gov", None),
    (r"eu-isoe-", r"cloud\.adc-e\.uk", None),
    (r"(?:us|eu)-isof-", r"csp\.hci\.ic\.gov", None),
    (r"eusc-", r"amazonaws\.eu", r"on\.amazonwebservices\.eu"),
    (
        r"(?!cn-|us-iso-|us-isob-|eu-isoe-|us-isof-|eu-isof-|eusc-)",
        r"amazonaws\.com",
        r"on\.aws",
    ),
)


def patterns() -> list[tuple[re.Pattern[str], bool, bool]]:
    made = []
    for prefix, plain, dual in DOMAINS:
        region = rf"(?={prefix})(?P<region>{REGION})"
        for word, domain, fips, dual_stack in (
            (r"dkr\.ecr", plain, False, False),
            (r"dkr\.ecr-fips", plain, True, False),
            (r"dkr-ecr", dual, False, True),
            (r"dkr-ecr-fips", dual, True, True),
        ):
            if domain is not None:
                pattern = rf"(?P<account>[0-9]{{12}})\.{word}\.{region}\.{domain}"
                made.append((re.compile(pattern), fips, dual_stack))
    return made


PATTERNS = patterns()
URL = re.compile(r"(?:https://)?(?P<host>[a-z0-9._-]+?)\.?(?::(?P<port>[0-9]+))?(?:/[!-~]*)?")


def oracle(url: str) -> Fields | None:
    """Answer as the regular expressions say, independently of the code."""
    url = url.strip()
    if any(c in '@#?\\" ' or not "!" <= c <= "~" for c in url):
        return None
    found = URL.fullmatch(url.lower())
    if found is None or (found["port"] and not 1 <= int(found["port"]) <= 65535):
        return None
    host = found["host"]
    if host in ("public.ecr.aws", "ecr-public.aws.com"):
        return ("ecr-public", "", "us-east-1", False, host == "ecr-public.aws.com")
    for pattern, fips, dual_stack in PATTERNS:
        match = pattern.fullmatch(host)
        if match is not None:
            return ("ecr", match["account"], match["region"], fips, dual_stack)
    return None


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_the_table(row: list[str]) -> None:
    """Every form that is listed is told apart, field by field, and every look-alike is refused."""
    url, service, account, region, fips, dual_stack = row
    expected = (
        None
        if service == "-"
        else (service, account.strip("-"), region, fips == "yes", dual_stack == "yes")
    )

    assert expected == fields(registry.parse(url))
    assert expected == oracle(url)


@pytest.mark.parametrize(
    "url",
    [
        HOST,
        f"https://{HOST}",
        f"HTTPS://{HOST.upper()}",
        f"https://{HOST}/",
        f"{HOST}/team/app",
        f"https://{HOST}:443/v2/",
        f"{HOST}:5000",
        f"{HOST}.",
        f"{HOST}.:443/",
        f"  {HOST}\r\n",
        f"\thttps://{HOST}\n",
    ],
)
def test_every_way_to_write_one_host(url: str) -> None:
    """Scheme, port, path, case, a trailing dot and white space do not change the registry."""
    found = registry.parse(url)

    assert found is not None
    assert found.host == HOST
    assert server_url.host_of(url) == HOST
    assert fields(found) == ("ecr", ACCOUNT, "us-east-1", False, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "https://",
        "https:///",
        f"http://{HOST}",
        f"ftp://{HOST}",
        f"://{HOST}",
        f"//{HOST}",
        f"https://https://{HOST}",
        f"user@{HOST}",
        f"https://user:password@{HOST}",
        f"https://{HOST}@evil.com",
        f"https://{HOST}#@evil.com",
        f"https://{HOST}?x",
        f"https://evil.com/?{HOST}",
        f'{HOST}/a"b',
        f"{HOST}/a?b",
        f"{HOST}/a#b",
        f"{HOST}/a@b",
        f"{HOST}/a b",
        f"{HOST}/a\\b",
        f"https://evil.com#{HOST}",
        f"https://evil.com\\{HOST}",
        f"{HOST}\\.evil.com",
        f"{HOST}\n.evil.com",
        f"{HOST}\x00",
        f"{HOST} evil.com",
        f"{HOST}:",
        f"{HOST}:0",
        f"{HOST}:65536",
        f"{HOST}:-1",
        f"{HOST}:44a",
        f"{HOST}:99999999999999999999",
        f"{HOST}:443:443",
        f"{HOST}..",
        f".{HOST}",
        f"{HOST}.evil.com",
        f"{HOST}.cn",
        f"evil{HOST}",
        f"evil.{HOST}",
        f"1{HOST}",
        HOST.replace("123456789012", "１２３４５６７８９０１２"),  # noqa: RUF001 - the claim
        HOST.replace("123456789012", "12345678901²"),
        HOST.replace("ecr", "еcr"),  # noqa: RUF001 - a Cyrillic letter
        HOST.replace("amazonaws", "amazonаws"),  # noqa: RUF001 - a Cyrillic letter
        HOST.replace(".dkr.ecr.", ".dkrxecr."),
        HOST.replace(".dkr.ecr.", ".dkr.ecrfips."),
        HOST.replace(".dkr.ecr.", ".dkr-ecr."),
        HOST.replace("us-east-1", "us-east"),
        HOST.replace("us-east-1", "us"),
        HOST.replace("us-east-1", "us-east-"),
        HOST.replace("us-east-1", "-us-east-1"),
        HOST.replace("us-east-1", "us--1"),
        HOST.replace("us-east-1", "us_east-1"),
        HOST.replace("us-east-1", "us-east-1.evil"),
        HOST.replace("us-east-1", "cn-north-1"),
        HOST.replace("us-east-1", "us-iso-east-1"),
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com.cn",
        f"{ACCOUNT}.dkr.ecr.us-east-1.on.aws",
        f"{ACCOUNT}.dkr.ecr.us-east-1.evilamazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-east-1amazonaws.com",
        f"{ACCOUNT}.dkr-ecr.us-iso-east-1.c2s.ic.gov",
        "public.ecr.aws.evil.com",
        "xpublic.ecr.aws",
        "a.public.ecr.aws",
        "gcr.io",
        "localhost:5000",
        "a" * 300 + ".amazonaws.com",
    ],
)
def test_what_is_refused(url: str) -> None:
    """A token is for none of these: other schemes, user info, look-alikes, the wrong partition."""
    assert registry.parse(url) is None
    assert oracle(url) is None


@pytest.mark.parametrize("partition", partitions(), ids=lambda partition: partition["id"])
def test_every_region_of_botocore_has_its_partitions_suffix(partition: dict[str, Any]) -> None:
    """Each region that botocore knows parses under its partition's suffix, and under no other."""
    suffixes = {p["outputs"]["dnsSuffix"] for p in partitions()}
    own = partition["outputs"]["dnsSuffix"]
    regions = [name for name in partition["regions"] if not name.endswith("-global")]
    assert regions, "botocore's data has changed its form"
    for region in regions:
        for word, fips in (("ecr", False), ("ecr-fips", True)):
            found = registry.parse(f"{ACCOUNT}.dkr.{word}.{region}.{own}")
            assert ("ecr", ACCOUNT, region, fips, False) == fields(found)
        for suffix in suffixes - {own}:
            assert registry.parse(f"{ACCOUNT}.dkr.ecr.{region}.{suffix}") is None
        assert f"{ACCOUNT}.dkr.ecr.{region}.{own}" == registry.private_host(ACCOUNT, region)


def test_there_is_no_partition_that_we_do_not_know() -> None:
    """A partition that botocore adds fails this test before it fails a user."""
    known = {
        registry.private_host(ACCOUNT, region).partition(f"{region}.")[2]
        for partition in partitions()
        for region in partition["regions"]
    }

    assert known == {p["outputs"]["dnsSuffix"] for p in partitions()}


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        (f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", "ecr us-east-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr us-east-1 fips"),
        (f"{ACCOUNT}.dkr-ecr.us-east-1.on.aws", "ecr us-east-1 dual-stack"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws", "ecr us-east-1 fips dual-stack"),
        ("public.ecr.aws", "ecr-public us-east-1"),
        ("ecr-public.aws.com", "ecr-public us-east-1 dual-stack"),
    ],
)
def test_scopes(host: str, scope: str) -> None:
    """A token's scope is service, region and flavour, and not the account."""
    found = registry.parse(host)

    assert found is not None
    assert scope == found.scope
    assert host in repr(found)


DOMAIN = st.sampled_from(
    [
        *("amazonaws.com", "amazonaws.com.cn", "on.aws", "on.amazonwebservices.com.cn", "evil.com"),
        *("c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov", "amazonaws.eu"),
        *("on.amazonwebservices.eu", "amazonaws.com.evil.com", "AMAZONAWS.COM", "amazonaws.com."),
    ]
)
NEARLY = st.builds(
    "{}{}{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "https://", "HTTPS://", "http://", "ssh://", "u@", " ", "https://u@"]),
    st.one_of(
        st.text(string.digits, min_size=11, max_size=13),
        st.just(ACCOUNT),
        st.just("public"),
        st.text(string.hexdigits, max_size=13),
    ),
    st.sampled_from([".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips.", ".ecr.", "."]),
    st.one_of(
        st.sampled_from([region for partition in partitions() for region in partition["regions"]]),
        st.text("abz19-._", max_size=12),
    ),
    st.sampled_from([".", ".", ".", "", "-"]),
    DOMAIN,
    st.sampled_from(["", "", "", ":443", ":0", ":70000", ":x", "."]),
    st.sampled_from(
        [
            "",
            "",
            "/",
            "/v2/",
            "/a b",
            '/"',
            "/?x",
            "/#x",
            "/@x",
            "/\\x",
            "?x",
            "#x",
            "@evil.com",
            "\n",
            "\\x",
        ]
    ),
)


@given(st.one_of(NEARLY, st.text(), st.text(alphabet=string.printable)))
@example(f"{HOST}:00000443")
@example(f"{HOST}:²")
@example("://")
@example("https://\u0131")
def test_agrees_with_the_regular_expressions(url: str) -> None:
    """For any text: no exception, and the same answer as the independent regular expressions."""
    assert oracle(url) == fields(registry.parse(url))


@given(st.one_of(NEARLY, st.text(), st.text(alphabet=string.printable)))
def test_a_host_is_safe_to_say(url: str) -> None:
    """Whatever is taken for a host needs no escape in JSON, in a path or on a terminal."""
    host = server_url.host_of(url)

    assert host is None or re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host)
    if host is not None:
        assert url.strip() == json.loads(f'"{url.strip()}"')
        assert host == server_url.host_of(host)
