"""Where a value of the configuration file ends to be one: the last taken, the first refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import HOST, ROLE

from docker_credential_ecr import keys, settings
from docker_credential_ecr.errors import HelperError
from docker_credential_ecr.rule import Rule

MATCH = f"match = '{HOST}'"


def fault(folder: Path, text: str) -> str:
    """Return what is said of a file, or nothing if it is taken."""
    path = folder / "config.toml"
    path.write_text(text)
    try:
        settings.load({"AWS_ECR_CONFIG_FILE": str(path)})
    except HelperError as error:
        return error.reason
    return ""


@pytest.mark.parametrize(
    ("key", "value", "is_taken"),
    [
        ("external_id", "a", False),
        ("external_id", "a" * 2, True),
        ("external_id", "a" * 1224, True),
        ("external_id", "a" * 1225, False),
        ("external_id", "+,-./:=@_", True),
        ("external_id", "a b", False),
        ("external_id", "äö", False),
        ("external_id", "a!", False),
        ("session_name", "a", False),
        ("session_name", "a" * 2, True),
        ("session_name", "a" * 64, True),
        ("session_name", "a" * 65, False),
        ("session_name", "+,-.=@_", True),
        ("session_name", "a/b", False),
        ("session_name", "a:b", False),
        ("session_name", "é" * 3, False),
    ],
)
def test_lengths_and_characters(tmp_path: Path, key: str, value: str, *, is_taken: bool) -> None:
    """What STS takes is taken, and not a character more."""
    said = fault(tmp_path, f"[[registry]]\n{MATCH}\nrole_arn = '{ROLE}'\n{key} = '{value}'\n")
    assert (not said) == is_taken
    assert is_taken or f'"{key}"' in said


@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [("899", False), ("900", True), ("43200", True), ("43201", False), ("900.0", False)],
)
def test_durations(tmp_path: Path, seconds: str, *, is_taken: bool) -> None:
    """A role's session is of 15 minutes to 12 hours."""
    said = fault(tmp_path, f"[[registry]]\n{MATCH}\nrole_arn = '{ROLE}'\nduration = {seconds}\n")
    assert (not said) == is_taken


@pytest.mark.parametrize(
    ("role", "is_one"),
    [
        ("arn:aws:iam::123456789012:role/a", True),
        ("arn:aws-cn:iam::123456789012:role/a", True),
        ("arn:aws:iam::123456789012:role/path/to/a", True),
        ("arn:aws:iam::123456789012:role/a:b", True),
        ("arn:aws:iam::12345678901:role/a", False),
        ("arn:aws:iam::1234567890123:role/a", False),
        ("arn:aws:iam::12345678901a:role/a", False),
        ("arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/a", False),
        ("arn:aws:iam::²²²²²²²²²²²²:role/a", False),
        ("arn:aws:iam::123456789012:role/", False),
        ("arn:aws:iam::123456789012:role/a/", False),
        ("arn:aws:iam::123456789012:role/a:/", False),
        ("arn:aws:iam::123456789012:user/a", False),
        ("arn:aws:iam::123456789012:role", False),
        ("arn:aws:iam:us-east-1:123456789012:role/a", False),
        ("arn:aws:sts::123456789012:role/a", False),
        ("arn:gcp:iam::123456789012:role/a", False),
        ("urn:aws:iam::123456789012:role/a", False),
        ("arn:aws:iam::123456789012:role/a b", False),
        ("arn:aws:iam::123456789012:role/ä", False),
        ("arn:aws:iam::123456789012:role/a\n", False),
        ("arn:aws:iam::123456789012", False),
        ("arn", False),
        ("", False),
    ],
)
def test_roles(role: str, *, is_one: bool) -> None:
    """A role's ARN is one to the letter, in config.toml and for the kubelet alike."""
    assert keys.is_role_arn(role) == is_one


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("a*.x.com", "a.x.com", True),
        ("a*.x.com", "b.x.com", False),
        ("*a.x.com", "a.x.com", True),
        ("ab*ba.x.com", "abba.x.com", True),
        ("ab*ba.x.com", "aba.x.com", False),
        ("ab*ba.x.com", "ababa.x.com", True),
        ("a*b*c.x.com", "abc.x.com", True),
        ("a*b*c.x.com", "ac.x.com", False),
        ("a*b*b.x.com", "ab.x.com", False),
        ("a*b*b.x.com", "abb.x.com", True),
        ("*a*a*.x.com", "aa.x.com", True),
        ("*a*a*.x.com", "a.x.com", False),
        ("*ab*ab*.x.com", "aabab.x.com", True),
        ("*ab*ab*.x.com", "aab.x.com", False),
        ("**.x.com", "a.x.com", True),
        ("*.x.com", "a.b.x.com", False),
        ("*.x.com", "x.com", False),
        ("a.x.com", "a.x.com", True),
        ("a.x.com", "a.x.co", False),
    ],
)
def test_globs(pattern: str, host: str, *, fits: bool) -> None:
    """Each part of a glob takes its place once, in order, and the whole label is used up."""
    assert Rule(pattern).matches(host) == fits


@pytest.mark.parametrize(
    ("pattern", "is_taken"),
    [
        ("*.example.com", True),
        ("a.b.example.com", True),
        ("example.com", True),
        ("*.com", False),
        ("*", False),
        ("*.*.com", False),
        ("*.exam*.com", False),
        ("*.co.uk", False),
        ("*.example.co.uk", True),
        ("*.com.au", False),
        ("*.example.com.au", True),
        ("*.example.uk", True),
        ("*.co.example", True),
        ("localhost", True),
    ],
)
def test_how_wide_a_mapped_name_may_be(tmp_path: Path, pattern: str, *, is_taken: bool) -> None:
    """A token goes to every host that fits, so these must be hosts of one domain."""
    said = fault(tmp_path, f"[[registry]]\nmatch = '{pattern}'\nregistry = '{HOST}'\n")
    assert (not said) == is_taken


@pytest.mark.parametrize(
    ("pattern", "is_taken"),
    [
        ("123456789012.dkr.ecr.*.amazonaws.com", True),
        ("12345678901*.dkr.ecr.us-east-1.amazonaws.com", True),
        ("123456789012*.dkr.ecr.us-east-1.amazonaws.com", True),
        ("1234567890123*.dkr.ecr.us-east-1.amazonaws.com", False),
        ("0*9.dkr.ecr.*.amazonaws.com", True),
        ("a*.dkr.ecr.us-east-1.amazonaws.com", False),
        ("*.dkr.ecr.*.amazonaws.com", True),
        ("*.dkr.ecr.us-east-1.amazonaws.com.cn", False),
        ("*.dkr.ecr.cn-*.amazonaws.com.cn", True),
        ("public.ecr.aws", True),
        ("public.ecr.a*", True),
        ("private.ecr.aws", False),
        ("12345678901.dkr.ecr.us-east-1.amazonaws.com", False),
    ],
)
def test_patterns_without_a_registry(tmp_path: Path, pattern: str, *, is_taken: bool) -> None:
    """Some ECR hostname must fit a pattern that names no registry."""
    assert (not fault(tmp_path, f"[[registry]]\nmatch = '{pattern}'\nprofile = 'a'\n")) == is_taken


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://a", True),
        ("https://a:8443/path", True),
        ("http://localhost", True),
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("http://a", False),
        ("http://127.0.0.2", False),
        ("ftp://localhost", False),
        ("https://me@a", False),
        ("https://a?b", False),
        ("https://a#b", False),
        ("https://a/b c", False),
        ("https://", False),
    ],
)
def test_endpoints(tmp_path: Path, url: str, *, is_taken: bool) -> None:
    """An endpoint is https, or plain http on this machine, and carries nothing beside."""
    assert (not fault(tmp_path, f"[[registry]]\n{MATCH}\nendpoint_url = '{url}'\n")) == is_taken


def test_what_is_said_of_long_keys(tmp_path: Path) -> None:
    """Of a key that is not known so much is said that it can be found."""
    said = fault(tmp_path, f"[[registry]]\n{MATCH}\n{'k' * 41} = 1\n")
    assert f'"{"k" * 40}"' in said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = ", "at line 2, the end of the file"),
        ("a = 1\nb = \n\n\n", "line 2"),
        ("[[registry]]\nmatch = 'a", "at line 2, the end of the file"),
        ("a = 1\nb = = 2", "line 2"),
    ],
)
def test_where_toml_is_broken(tmp_path: Path, text: str, place: str) -> None:
    """The line is named in which it is broken, and the last one at the end of the file."""
    assert place in fault(tmp_path, text)


def test_where_it_is_not_utf8(tmp_path: Path) -> None:
    """The line is named with the first byte that is none."""
    path = tmp_path / "config.toml"
    for data, line in ((b"\xff", 1), (b"\n\xff", 2), (b"#\n#\xff\n#\xff", 2)):
        path.write_bytes(data)
        with pytest.raises(HelperError, match=f"line {line}$"):
            settings.load({"AWS_ECR_CONFIG_FILE": str(path)})


def test_hosts_are_compared_without_case_and_dot() -> None:
    """A rule is found for a host in capitals, and with a trailing dot."""
    found = settings.Settings("x", [Rule("a.example.com", registry=HOST)])
    assert found.rule_for("A.Example.com.") is found.rules[0]
    assert found.rule_for("b.example.com") is None


def test_the_identity_line_is_stable() -> None:
    """Names that hold a blank or a quote are told apart from those that do not."""
    lines = {
        Rule("a", profile=profile, role_arn=role).identity
        for profile in ("a", "a b", "'a'", '"a"', "a role=b", 'a" role="b')
        for role in (None, ROLE)
    }
    assert len(lines) == 12
    digest = Rule("a", external_id="secret").identity.partition("external-id=")[2]
    assert len(digest) == 8


def test_what_is_behind_a_host() -> None:
    """A rule that names no registry stands for the host itself; without a rule the host counts."""
    mapped = Rule("a.example.com", registry=HOST)
    named = Rule(HOST, profile="a")
    found = settings.Settings("x", [mapped, named])

    behind = {host: found.behind(host) for host in ("a.example.com", HOST, "b.example.com")}

    assert behind["b.example.com"] is None
    for host, rule in (("a.example.com", mapped), (HOST, named)):
        where = behind[host]
        assert where is not None
        assert (where[0].host, where[1]) == (HOST, rule)
    where = settings.Settings().behind(HOST)
    assert where is not None
    assert (where[0].host, where[1]) == (HOST, None)


def test_a_configuration_without_end_fills_no_memory(tmp_path: Path) -> None:
    """A file of 1 MiB is read, one byte more or a device is said to be too large."""
    assert not fault(tmp_path, "#" * (1 << 20))
    assert "is larger than 1 MiB" in fault(tmp_path, "#" * ((1 << 20) + 1))
    with pytest.raises(HelperError, match="is larger than 1 MiB"):
        settings.load({"AWS_ECR_CONFIG_FILE": "/dev/zero"})
