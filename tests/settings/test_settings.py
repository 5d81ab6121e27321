"""The configuration file: what it may say, what it says when it is wrong, and what it decides."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from hypothesis import given
from hypothesis import strategies as st
from kit import HOST, REGISTRIES, Helper, answers, herd, login, without_keys

from docker_credential_ecr import registry, settings
from docker_credential_ecr.errors import HelperError
from docker_credential_ecr.rule import Rule

SECOND = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
THIRD = "333333333333.dkr.ecr.ap-south-1.amazonaws.com"
ROLE = "arn:aws:iam::210987654321:role/team/puller"
MIRROR = f"[[mirror]]\nsource = 'docker.io'\nregistry = '{HOST}'\n"


def load(tmp_path: Path, text: str | bytes) -> settings.Settings:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return settings.load({"AWS_ECR_CONFIG_FILE": str(path)})


def fault_of(tmp_path: Path, text: str | bytes) -> HelperError:
    with pytest.raises(HelperError) as caught:
        load(tmp_path, text)
    return caught.value


def test_every_key(tmp_path: Path) -> None:
    """Every key of a rule arrives as it was written, hosts in lower case."""
    found = load(
        tmp_path,
        f"""
        [[registry]]
        match = "Images.Example.com"
        registry = "https://{HOST.upper()}/v2/"
        profile = "prod"
        role_arn = "{ROLE}"
        external_id = "ex:ternal"
        session_name = "me@work"
        duration = 900
        endpoint_url = "https://vpce-0.api.ecr.us-east-1.vpce.amazonaws.com/"

        [fallback]
        helper = "pass"
        """,
    )
    (rule,) = found.rules
    assert {name: getattr(rule, name) for name in Rule.__slots__} == {
        "match": "images.example.com",
        "registry": HOST,
        "profile": "prod",
        "role_arn": ROLE,
        "external_id": "ex:ternal",
        "session_name": "me@work",
        "duration": 900,
        "endpoint_url": "https://vpce-0.api.ecr.us-east-1.vpce.amazonaws.com",
    }
    assert found.fallback == "pass"
    assert found.path == str(tmp_path / "config.toml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeff# a mark of Windows\n", "[fallback]\n"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    """A file without rules is one that changes nothing."""
    found = load(tmp_path, text)
    assert (found.rules, found.fallback, found.rule_for(HOST)) == ((), None, None)


def test_no_file() -> None:
    """Without a file there are no rules, and that is no error."""
    environ = {"XDG_CONFIG_HOME": "/nonexistent", "XDG_CONFIG_DIRS": "/nonexistent"}
    found = settings.load(environ)
    assert (found.path, found.rules, found.fallback) == (None, (), None)


def test_the_first_match_wins(tmp_path: Path) -> None:
    """Rules are tried in the order of the file, and a host that none matches has none."""
    found = load(
        tmp_path,
        """
        [[registry]]
        match = "123456789012.dkr.ecr.*.amazonaws.com"
        profile = "first"
        [[registry]]
        match = "*.dkr.ecr.us-east-1.amazonaws.com"
        profile = "second"
        """,
    )
    first, second = found.rules
    assert found.rule_for(HOST) is first
    assert found.rule_for(HOST.replace("us-east-1", "eu-west-3")) is first
    assert found.rule_for("333333333333.dkr.ecr.us-east-1.amazonaws.com") is second
    assert found.rule_for(SECOND) is None


# The table of the kubelet's own test, as far as globs in hosts go: same number of labels, each
# glob within its label (k8s.io/kubernetes, pkg/credentialprovider/keyring_test.go).
@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("*.kubernetes.io", "prefix.kubernetes.io", True),
        ("prefix.*.io", "prefix.kubernetes.io", True),
        ("prefix.kubernetes.*", "prefix.kubernetes.io", True),
        ("*-prefix.kubernetes.io", "good-prefix.kubernetes.io", True),
        ("*.*.kubernetes.io", "a.b.kubernetes.io", True),
        ("*.kubernetes.io", "a.b.kubernetes.io", False),
        ("*.io", "kubernetes.io", True),
        ("*.io", "a.kubernetes.io", False),
        ("*kubernetes.io", "kubernetes.io", True),
        ("*kubernetes.io", "a.kubernetes.io", False),
        ("kube*net*s.io", "kubernetes.io", True),
        ("kube*kube.io", "kube.io", False),
        ("a*a.io", "a.io", False),
        ("kubernetes.io", "kubernetes.io", True),
        ("kubernetes.io", "kubernetes.io.evil.com", False),
        ("*.*.*", "a.b.c", True),
    ],
)
def test_globs_are_the_kubelets(pattern: str, host: str, *, fits: bool) -> None:
    """A pattern has as many labels as the host, and a * never reaches over a dot."""
    assert Rule(pattern).matches(host) is fits


@given(st.lists(st.text("ab*", min_size=1, max_size=6), min_size=1, max_size=3), st.text("ab."))
def test_globs_agree_with_fnmatch(labels: list[str], host: str) -> None:
    """Label by label, a pattern fits as the shell's does."""
    import fnmatch

    names = host.split(".")
    expected = len(names) == len(labels) and all(
        fnmatch.fnmatchcase(name, label) for name, label in zip(names, labels, strict=True)
    )
    assert Rule(".".join(labels)).matches(host) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        HOST,
        HOST.upper() + ".",
        "*.dkr.ecr.*.amazonaws.com",
        "*.dkr.ecr.*.amazonaws.com.cn",
        "1234*.dkr.ecr.ap-south-*.amazonaws.com",
        "*.dkr-ecr.*.on.aws",
        "*.dkr-ecr-fips.us-gov-*.on.aws",
        "*.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "*.dkr.ecr.us-iso*.*.ic.gov",
        "*.dkr.ecr.eusc-de-east-9.amazonaws.eu",
        "public.ecr.aws",
        "*.ecr.aws",
        "ecr-public.aws.*",
        "*.*.*.*.*.*",
    ],
)
def test_patterns_of_ecr_need_no_registry(tmp_path: Path, pattern: str) -> None:
    """Whatever some ECR hostname can fit is a rule by itself."""
    (rule,) = load(tmp_path, f'[[registry]]\nmatch = "{pattern}"\n').rules
    assert rule.match == pattern.lower().removesuffix(".")


def test_every_form_of_registry_can_be_matched(tmp_path: Path) -> None:
    """For every hostname form that ECR has, a glob for account and region is accepted, and fits."""
    table = REGISTRIES.read_text().splitlines()[1:]
    found = [r for r in (registry.parse(line.split("\t")[0]) for line in table) if r is not None]
    assert len(found) > 12
    for one in found:
        pattern = one.host
        if one.account:
            pattern = pattern.replace(one.account, "*").replace(one.region, "*")
        assert load(tmp_path, f'[[registry]]\nmatch = "{pattern}"\n').rule_for(one.host)


MATCH = f'match = "{HOST}"\n'
ALLOWED_KEYS = (
    "allowed there: match, profile, role_arn, external_id, session_name, duration, registry, "
    "endpoint_url"
)


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("x = 1", 'the file has an unknown key "x"', "allowed there: registry, mirror, fallback"),
        ("[registry]\n" + MATCH, "the file has a registry that is not", "[[registry]]"),
        ("registry = [1]", "the file has a registry that is not a list of tables", "[[registry]]"),
        ("[[registry]]\nmatc = 1", 'number 1 has an unknown key "matc"', ALLOWED_KEYS),
        ("[[registry]]\nprofile = 'p'", '[[registry]] number 1 lacks "match"', "match = "),
        ("[[registry]]\nmatch = 1", '"match" in [[registry]] number 1 is not a line of text', ""),
        ("[[registry]]\nmatch = ''", '"match" in [[registry]] number 1 is not a line', "quotes"),
        ("[[registry]]\nmatch = 'a..b'", "is not a pattern of a host", "each * stands for"),
        ("[[registry]]\nmatch = 'a?.b'", "is not a pattern of a host", "each * stands for"),
        ("[[registry]]\nmatch = 'https://a.b'", "it has a scheme or a path", "host labels"),
        ("[[registry]]\nmatch = 'a.b/c'", "it has a scheme or a path", "host labels"),
        ("[[registry]]\nmatch = 'a.b:443'", "has a port", "host labels"),
        ("[[registry]]\nmatch = 'images.example.com'", 'lacks "registry"', "registry = "),
        ("[[registry]]\nmatch = '*.example.com'", "matches no ECR hostname", "registry = "),
        ("[[registry]]\nmatch = 'x*.dkr.ecr.us-east-1.amazonaws.com'", "matches no ECR", ""),
        ("[[registry]]\nmatch = '*.dkr.ecr.cn-north-1.amazonaws.com'", "matches no ECR", ""),
        (f"[[registry]]\nmatch = '*'\nregistry = '{HOST}'", "too wide", "spell out the domain"),
        (
            f"[[registry]]\nmatch = 'a.*.io'\nregistry = '{HOST}'",
            "too wide",
            "spell out the domain",
        ),
        ("[[registry]]\nmatch = 'a.b'\nregistry = 'docker.io'", "is not the hostname of an", HOST),
        (f"[[registry]]\n{MATCH}profile = ['p']", '"profile" in [[registry]] number 1', "quotes"),
        (
            f"[[registry]]\n{MATCH}profile = 'a\\nb'".replace("'a", '"a').replace("b'", 'b"'),
            "line of text",
            "",
        ),
        (f"[[registry]]\n{MATCH}role_arn = 'puller'", "is not the ARN of an IAM role", "arn:aws"),
        (f"[[registry]]\n{MATCH}role_arn = 'arn:aws:iam::1:role/x'", "ARN of an IAM role", ""),
        (
            f"[[registry]]\n{MATCH}role_arn = 'arn:aws:iam::123456789012:user/x'",
            "ARN of an IAM role",
            "",
        ),
        (f"[[registry]]\n{MATCH}external_id = 'abc'", 'has "external_id" without', "add role_arn"),
        (f"[[registry]]\n{MATCH}session_name = 'abc'", 'has "session_name" without', ""),
        (f"[[registry]]\n{MATCH}duration = 900", 'has "duration" without "role_arn"', ""),
        (
            f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nduration = 899",
            '"duration" in',
            "900 to 43200",
        ),
        (f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nduration = 43201", '"duration" in', ""),
        (f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nduration = true", '"duration" in', ""),
        (f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nduration = '1h'", '"duration" in', ""),
        (
            f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nsession_name = 'a b'",
            '"session_name"',
            "2 to 64",
        ),
        (f"[[registry]]\n{MATCH}endpoint_url = 'http://example.com'", '"endpoint_url"', "https://"),
        (f"[[registry]]\n{MATCH}endpoint_url = 'example.com'", '"endpoint_url"', "https://"),
        (f"[[registry]]\n{MATCH}endpoint_url = 'https://'", '"endpoint_url"', "https://"),
        (f"[[registry]]\n{MATCH}endpoint_url = 'https://a:x/'", '"endpoint_url"', "https://"),
        (f"[[registry]]\n{MATCH}endpoint_url = 'https://[::1'", '"endpoint_url"', "https://"),
        ("mirror = 1", "the file has a mirror that is not a list of tables", "[[mirror]]"),
        (
            MIRROR + "match = 'a.b'",
            'unknown key "match"',
            "allowed there: source, registry, prefix",
        ),
        (f"[[mirror]]\nregistry = '{HOST}'", 'number 1 lacks "source"', 'source = "docker.io"'),
        ("[[mirror]]\nsource = 'docker.io'", 'number 1 lacks "registry"', "registry = "),
        (MIRROR + MIRROR, '[[mirror]] number 2 is the second for "docker.io"', "remove one"),
        (MIRROR.replace("docker.io", "*.io"), '"source" in [[mirror]] number 1', '"docker.io"'),
        (MIRROR.replace("docker.io", "docker.io/library"), "is not a host", "its name alone"),
        (MIRROR.replace("docker.io", "quay.io:443"), "is not a host", "its name alone"),
        (MIRROR.replace("docker.io", "index.docker.io"), "Hub under another", 'write "docker.io"'),
        (MIRROR.replace("docker.io", HOST), "is an ECR registry itself", "remove the table"),
        (MIRROR.replace(HOST, "quay.io"), "is not the hostname of an ECR registry", HOST),
        (MIRROR + "prefix = '/hub'", "is not the prefix of repository names", "lower-case"),
        (MIRROR + "prefix = '../hub'", "is not the prefix of repository names", "lower-case"),
        (MIRROR + "prefix = 'hub-'", "is not the prefix of repository names", "lower-case"),
        (MIRROR + "prefix = 'Hub'", "is not the prefix of repository names", "lower-case"),
        ("fallback = 'pass'", "[fallback] is not a table", "[fallback]"),
        (
            "[fallback]\nhelp = 'pass'",
            '[fallback] has an unknown key "help"',
            "allowed there: helper",
        ),
        ("[fallback]\nhelper = 1", '"helper" in [fallback] is not a line of text', "quotes"),
        ("[fallback]\nhelper = '../pass'", '"helper" in [fallback]', "never a path"),
        ("[fallback]\nhelper = 'docker-credential-pass'", '"helper" in [fallback]', '"pass"'),
    ],
)
def test_faults(tmp_path: Path, text: str, reason: str, hint: str) -> None:
    """A fault names the file, the key, and what is allowed."""
    fault = fault_of(tmp_path, text)
    assert fault.reason.startswith(f'"{tmp_path}/config.toml": ')
    assert reason in fault.reason
    assert hint in " ".join(fault.hints)
    assert "\n" not in fault.reason


def test_the_number_of_the_rule(tmp_path: Path) -> None:
    """A fault in the second rule says so."""
    text = f"[[registry]]\n{MATCH}[[registry]]\n{MATCH}duration = 1"
    assert '"duration" in [[registry]] number 2' in fault_of(tmp_path, text).reason


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[registry]]\nmatch = secret-canary\n", "at line 2, column 9"),
        ("[[registry]]\n\nmatch = 'secret-canary", "at line 3"),
        ("a = 'secret-canary'\na = 'secret-canary'\n", "at line 2"),
        ('[fallback]\nhelper = "secret-canary', "at line 2"),
        ("x = ", "at line 1"),
    ],
)
def test_broken_toml(tmp_path: Path, text: str, place: str) -> None:
    """Text that is not TOML is named by file and line, and never quoted."""
    fault = fault_of(tmp_path, text)
    assert fault.reason.startswith(f'"{tmp_path}/config.toml" is not valid TOML {place}')
    assert "secret-canary" not in fault.reason + "".join(fault.hints)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "{a=" * 5000, "duration = " + "9" * 5000],
    ids=["arrays", "tables", "digits"],
)
def test_toml_that_is_too_much_for_the_parser(tmp_path: Path, text: str) -> None:
    """What the parser gives up on, nested or long beyond reason, is named; it is no defect."""
    fault = fault_of(tmp_path, text)
    assert fault.reason == (
        f'"{tmp_path}/config.toml" is not valid TOML: it is nested too deep, or a number is too long'
    )


def test_not_utf8(tmp_path: Path) -> None:
    """A file in another encoding is named with the line."""
    fault = fault_of(tmp_path, b"# one\n# caf\xe9\n")
    assert fault.reason == f'"{tmp_path}/config.toml" is not UTF-8 at line 2'


@pytest.mark.parametrize(
    "text",
    [
        f"[[registry]]\n{MATCH}role_arn = '{ROLE}'\nexternal_id = 'secret canary'",
        f"[[registry]]\n{MATCH}endpoint_url = 'https://user:secret canary@example.com'",
        f"[[registry]]\n{MATCH}endpoint_url = 'https://example.com?key=secret canary'",
        f"[[registry]]\n{MATCH}role_arn = 'secret canary'",
        f"[[registry]]\n{MATCH}session_name = 'secret canary'\nrole_arn='{ROLE}'",
    ],
)
def test_values_are_not_echoed(tmp_path: Path, text: str) -> None:
    """A value that could be a secret in the wrong place is not repeated."""
    fault = fault_of(tmp_path, text)
    assert "canary" not in fault.reason + "".join(fault.hints)


def test_http_is_for_loopback(tmp_path: Path) -> None:
    """An endpoint without TLS is one on this machine."""
    for url in ("http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:2"):
        (rule,) = load(tmp_path, f"[[registry]]\n{MATCH}endpoint_url = '{url}'").rules
        assert rule.endpoint_url == url


def test_identity() -> None:
    """The identity is one line, tells rules apart, and does not hold the external id."""
    rules = [
        Rule(HOST),
        Rule(HOST, profile="a"),
        Rule(HOST, profile="a b"),
        Rule(HOST, profile="a", role_arn=ROLE),
        Rule(HOST, profile=f"a role={ROLE}"),
        Rule(HOST, profile="a", role_arn=ROLE, external_id="canary"),
        Rule(HOST, profile="a", role_arn=ROLE, external_id="canary2"),
        Rule(HOST, profile="a", role_arn=ROLE, session_name="me"),
    ]
    identities = [rule.identity for rule in rules]
    assert identities[:2] == ["", "profile=a"]
    assert len(set(identities)) == len(identities)
    assert not any("canary" in identity for identity in identities)
    assert not any("canary" in repr(rule) for rule in rules)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"XDG_CONFIG_HOME": "/x/y"},
        {"XDG_CONFIG_HOME": "/x/y/"},
        {"XDG_CONFIG_HOME": "relative"},
        {"XDG_CONFIG_HOME": ""},
        {"XDG_CONFIG_HOME": " /x "},
        {"XDG_CONFIG_HOME": "~/c"},
        {"XDG_CONFIG_HOME": "/a:/b"},
        {"XDG_CONFIG_DIRS": "/etc/a:/etc/b"},
        {"XDG_CONFIG_DIRS": "relative:/etc/b"},
        {"XDG_CONFIG_DIRS": ""},
        {"HOME": "/home/other"},
        {"HOME": "/"},
        {"HOME": ""},
        {"HOME": "relative"},
        {"HOME": "relative", "XDG_CONFIG_HOME": "/x"},
    ],
)
def test_places_are_platformdirs(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    """The rule that is applied here for Linux is the one of platformdirs."""
    from platformdirs import PlatformDirs

    for name in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    theirs = PlatformDirs("docker-credential-ecr", appauthor=False)
    assert settings.paths(os.environ) == (
        os.path.join(theirs.user_config_dir, "config.toml"),
        os.path.join(theirs.site_config_dir, "config.toml"),
    )


def test_the_user_before_the_site(tmp_path: Path) -> None:
    """The site's file counts only where the user has none."""
    environ = {"XDG_CONFIG_HOME": f"{tmp_path}/user", "XDG_CONFIG_DIRS": f"{tmp_path}/site"}
    user, site = map(Path, settings.paths(environ))
    site.parent.mkdir(parents=True)
    site.write_text("[fallback]\nhelper = 'site'\n")
    assert settings.load(environ).fallback == "site"
    user.parent.mkdir(parents=True)
    user.write_text("[fallback]\nhelper = 'user'\n")
    assert settings.load(environ).fallback == "user"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A file that the user named and that is not there is an error; so is one with no root."""
    with pytest.raises(HelperError, match=r"there is no file .*/absent\.toml"):
        settings.load({"AWS_ECR_CONFIG_FILE": f"{tmp_path}/absent.toml"})
    with pytest.raises(HelperError, match="not an absolute path"):
        settings.load({"AWS_ECR_CONFIG_FILE": "config.toml"})
    with pytest.raises(HelperError, match="cannot read"):
        settings.load({"AWS_ECR_CONFIG_FILE": str(tmp_path)})


# What the rules do, through the executable.


@pytest.fixture
def accounts(env: dict[str, str], home: Path, aws: FakeAWS) -> Path:
    """Three profiles with a key each, and a rule for each of three accounts."""
    without_keys(env)
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id = AKIA{name}\naws_secret_access_key = secret\n"
            for name in ("one", "two", "three")
        )
    )
    folder = home / ".config" / "docker-credential-ecr"
    folder.mkdir(parents=True)
    path = folder / "config.toml"
    path.write_text(
        "".join(
            f'[[registry]]\nmatch = "{host}"\nprofile = "{name}"\n'
            for host, name in ((HOST, "one"), (SECOND, "two"), (THIRD, "three"))
        )
    )
    return path


def test_three_accounts_at_once(helper: Helper, aws: FakeAWS, accounts: Path) -> None:
    """Three registries asked for at once use a profile each, with one call each; then with none."""
    hosts = (HOST, SECOND, THIRD)
    assert len(answers(herd(helper, hosts))) == 3
    assert aws.count("GetAuthorizationToken") == 3
    assert sorted(call.access_key for call in aws.calls) == ["AKIAone", "AKIAthree", "AKIAtwo"]
    keys = [aws.issued[helper.get(host).secret] for host in hosts]
    assert keys == [("AKIAone", "us-east-1"), ("AKIAtwo", "eu-west-1"), ("AKIAthree", "ap-south-1")]
    assert aws.requests == 3


def test_one_region_two_profiles(helper: Helper, aws: FakeAWS, accounts: Path) -> None:
    """Two rules for one region never see each other's token."""
    other = HOST.replace("123456789012", "222222222222")
    accounts.write_text(
        f'[[registry]]\nmatch = "{HOST}"\nprofile = "one"\n'
        f'[[registry]]\nmatch = "{other}"\nprofile = "two"\n'
    )
    for _ in range(2):
        assert aws.issued[helper.get(HOST).secret][0] == "AKIAone"
        assert aws.issued[helper.get(other).secret][0] == "AKIAtwo"
    assert aws.requests == 2


def test_a_changed_file_is_seen(helper: Helper, aws: FakeAWS, accounts: Path) -> None:
    """Another profile in the file is another token at the next pull, without a word to us."""
    assert aws.issued[helper.get().secret][0] == "AKIAone"
    accounts.write_text(accounts.read_text().replace('"one"', '"three"'))
    assert aws.issued[helper.get().secret][0] == "AKIAthree"
    accounts.unlink()
    assert "no AWS credentials" in helper.get().stdout


def test_a_role(helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path) -> None:
    """A rule's role is assumed with all that the rule says of it, and the second pull asks nobody."""
    path = home / "rules.toml"
    path.write_text(
        f'[[registry]]\nmatch = "{HOST}"\nrole_arn = "{ROLE}"\nexternal_id = "our-id"\n'
        'session_name = "pulls"\nduration = 1800\n'
    )
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    secret = helper.get().secret
    assert aws.issued[secret][0].endswith("puller")
    assert aws.issued[secret][0].startswith("ASIA")
    (call,) = [call for call in aws.calls if call.operation == "AssumeRole"]
    for part in ("ExternalId=our-id", "RoleSessionName=pulls", "DurationSeconds=1800"):
        assert part in call.body
    before = aws.requests
    assert helper.get().secret == secret
    assert aws.requests == before


def test_an_endpoint(helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path) -> None:
    """A rule's endpoint is called for its registry, and for no other."""
    env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"  # nobody is there
    path = home / "rules.toml"
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nendpoint_url = "{aws.url}"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    assert helper.get().secret in aws.issued
    assert helper.get(SECOND).status == 1
    assert aws.requests == 1


def test_a_mapped_name(helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path) -> None:
    """A custom name is served like an ECR host by every action; without its rule it is not ours."""
    name = "images.example.com"
    assert helper.get(name).stdout == "credentials not found in native keychain\n"
    path = home / "rules.toml"
    path.write_text(
        f'[[registry]]\nmatch = "images.*.com"\nregistry = "{SECOND}"\n'.replace("*", "example")
    )
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    answer = helper.get(f"https://{name}/v1/")
    assert aws.issued[answer.secret][1] == "eu-west-1"
    assert f'"ServerURL":"https://{name}/v1/"' in answer.stdout
    assert helper("list").stdout == f'{{"{name}":"AWS"}}\n'
    assert helper("erase", stdin=name).status == 0
    assert helper("list").stdout == "{}\n"
    assert helper("store", stdin=login("my-own-login", server=name)).status == 0
    assert helper.get(name).secret == "my-own-login"
    assert helper.get("other.example.com").stdout == "credentials not found in native keychain\n"
    path.write_text("")
    assert helper("list").status == 0


def test_a_bad_file_is_an_error_of_every_miss(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path
) -> None:
    """A file that cannot be used stops a pull with file, key and hint, and asks nobody."""
    path = home / "rules.toml"
    path.write_text(f'[[registry]]\nmatch = "{HOST}"\nprofil = "x"\n')
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    answer = helper.get()
    reason = f'"{path}": [[registry]] number 1 has an unknown key "profil"'
    assert (answer.status, answer.stdout) == (1, f"{reason}\n")
    assert answer.stderr.splitlines() == [
        f"docker-credential-ecr: error: {reason}",
        f"docker-credential-ecr: hint: {ALLOWED_KEYS}",
    ]
    assert aws.requests == 0
    assert helper("list").status == 0
    assert helper("erase", stdin=HOST).status == 0


def test_a_hit_reads_no_rules(
    helper: Helper, aws: FakeAWS, env: dict[str, str], home: Path
) -> None:
    """With rules, a fallback and a mapped name, a hit still loads neither them nor TOML."""
    name = "images.example.com"
    path = home / "rules.toml"
    path.write_text(
        f'[[registry]]\nmatch = "{name}"\nregistry = "{HOST}"\n[fallback]\nhelper = "pass"\n'
    )
    env["AWS_ECR_CONFIG_FILE"] = str(path)
    shown: dict[str, str | None] = {"PYTHONPROFILEIMPORTTIME": "1"}
    # What measures the tests reads TOML itself.
    shown |= {variable: None for variable in env if variable.startswith("COVERAGE_")}
    for host in (HOST, name):
        assert "tomllib" in helper.get(host, env=shown).stderr
        hit = helper.get(host, env=shown)
        assert "docker_credential_ecr.protocol" in hit.stderr
        for module in ("tomllib", "docker_credential_ecr.settings", "fallback", "commands"):
            assert module not in hit.stderr
