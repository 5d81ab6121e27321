"""configure: Docker's file gets one more entry, and nothing else of it changes, there and back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from hypothesis import given
from hypothesis import strategies as st
from kit import EXECUTABLE, HOST, PUBLIC, Helper, need_root, without, write

from docker_credential_ecr.commands import jsontext

LOGIN = "c2VjcmV0LWNhbmFyeTpwYXNzd29yZA=="  # a login of another registry

# What Docker Desktop and a few years of use leave behind.
REAL_LIFE = f"""\
{{
\t"auths": {{
\t\t"https://index.docker.io/v1/": {{
\t\t\t"auth": "{LOGIN}"
\t\t}},
\t\t"quay.io": {{}}
\t}},
\t"HttpHeaders": {{
\t\t"X-Meta-Token": "header-canary"
\t}},
\t"psFormat": "table {{{{.ID}}}}\\\\t{{{{.Names}}}}",
\t"credHelpers": {{
\t\t"gcr.io": "gcloud"
\t}},
\t"currentContext": "desktop-linux",
\t"plugins": {{
\t\t"-x-cli-hints": {{
\t\t\t"enabled": "true"
\t\t}}
\t}},
\t"features": {{
\t\t"hooks": "true"
\t}}
}}"""

FILES: dict[str, str] = {
    "nothing": "",
    "blank": "\n",
    "empty object": "{}",
    "empty object, a line": "{}\n",
    "empty object, two lines": "{\n}\n",
    "blank object": "{ }",
    "real life": REAL_LIFE,
    "auths": f'{{\n\t"auths": {{\n\t\t"quay.io": {{\n\t\t\t"auth": "{LOGIN}"\n\t\t}}\n\t}}\n}}',
    "credsStore": '{\n\t"credsStore": "desktop"\n}',
    "plugins": '{\n  "plugins": {"debug": {"hooks": "exec"}}\n}\n',
    "four spaces": '{\n    "credHelpers": {\n        "gcr.io": "gcloud"\n    }\n}\n',
    "compact": f'{{"auths":{{"quay.io":{{"auth":"{LOGIN}"}}}},"credHelpers":{{"gcr.io":"gcloud"}}}}',
    "one line": '{"detachKeys": "ctrl-e,e", "credHelpers": {}}\n',
    "Windows": '{\r\n  "detachKeys": "ctrl-e,e"\r\n}\r\n',
    "odd layout": '{ "a" : 1\n,  "credHelpers"\t:\n{"gcr.io" :"gcloud" } ,\n\n"b":[ 1,2 ]}  \n',
    "null": '{"credHelpers": null, "auths": null, "credsStore": ""}',
    "AWS's helper": f'{{\n\t"credHelpers": {{\n\t\t"{HOST}": "ecr-login"\n\t}}\n}}',
    "a key twice": '{"credHelpers": {"a.io": "a"}, "credHelpers": {"b.io": "b"}}',
    "escapes": '{"detach\\u004beys": "\\"}{", "credHelpers": {"\\u0061.io": "a"}}',
    "not ASCII": '{"psFormat": "caf\u00e9 \u2615"}',
}

CASES: dict[str, str | None] = {"no file": None, **FILES}


@pytest.fixture
def config(env: dict[str, str], home: Path) -> Path:
    # AWS's helper is installed, though it may not be on this machine.
    write(home / "bin" / "docker-credential-ecr-login", "#!/bin/sh\nexit 1\n", 0o755)
    env["PATH"] = f"{EXECUTABLE.parent}:{home}/bin:{env['PATH']}"
    folder = home / ".docker"
    folder.mkdir(mode=0o700)
    return folder / "config.json"


def rest(text: str | None) -> object:
    """Return what a configuration says, our entries and empty tables left out."""
    data = json.loads(text) if text and text.strip() else {}
    helpers = {k: v for k, v in (data.get("credHelpers") or {}).items() if k not in (HOST, PUBLIC)}
    return {**data, "credHelpers": helpers}


def put(config: Path, text: str | None) -> None:
    if text is not None:
        config.write_bytes(text.encode())


def content(config: Path) -> str | None:
    return read(config) if config.exists() else None


def read(config: Path) -> str:
    """Return what a file holds, to the byte."""
    return config.read_bytes().decode()


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_there_and_back(helper: Helper, config: Path, text: str | None) -> None:
    """Two entries in two runs, everything else as it was, and the very bytes after --remove."""
    put(config, text)
    for name in (HOST, PUBLIC):
        done = helper("configure", name)
        assert (done.status, done.stderr) == (0, "")
        assert done.stdout.startswith(f'{name}: configured in "{config}"')
    new = read(config)
    assert {HOST: "ecr", PUBLIC: "ecr"}.items() <= json.loads(new)["credHelpers"].items()
    assert rest(new) == rest(text)
    done = helper("configure", "--remove")
    assert (done.status, done.stderr) == (0, "")
    assert content(config) == text


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_a_dry_run(helper: Helper, config: Path, text: str | None) -> None:
    """--dry-run writes nothing, prints the difference, and nothing in it that may be a secret."""
    put(config, text)
    done = helper("configure", "--dry-run", HOST)
    assert (done.status, done.stderr) == (0, "")
    assert content(config) == text
    lines = done.stdout.splitlines()
    assert lines[0] == ("--- /dev/null" if text is None else f"--- {config}")
    assert lines[1] == f"+++ {config}"
    assert any(line.startswith("+") and f'"{HOST}"' in line for line in lines)
    assert LOGIN not in done.stdout
    assert "canary" not in done.stdout
    assert not (config.parent.parent / ".local").exists()


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_all_there_and_back(helper: Helper, config: Path, home: Path, text: str | None) -> None:
    """--all makes us the store, the store that was there the fallback, and --remove undoes both."""
    put(config, text)
    before = (json.loads(text) if text and text.strip() else {}).get("credsStore")
    done = helper("configure", "--all")
    assert done.status == 0, done.stderr
    assert json.loads(read(config))["credsStore"] == "ecr"
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert content(rules) == ('[fallback]\nhelper = "desktop"\n' if before else None)
    assert (
        helper("configure", "--all").stdout == f'all registries: configured already in "{config}"\n'
    )
    assert helper("configure", "--remove").status == 0
    assert content(config) == text
    assert not rules.exists()


def test_a_dry_run_of_all(helper: Helper, config: Path, home: Path) -> None:
    """--dry-run --all shows both files, ours with nothing hidden, and writes neither."""
    put(config, FILES["credsStore"])
    done = helper("configure", "--all", "--dry-run")
    assert (done.status, done.stderr) == (0, "")
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert f'+++ {rules}\n@@ -0,0 +1,2 @@\n+[fallback]\n+helper = "desktop"\n' in done.stdout
    assert '+\t"credsStore": "ecr"\n' in done.stdout
    assert content(config) == FILES["credsStore"]
    assert not rules.exists()


def test_the_layout_of_the_file(helper: Helper, config: Path) -> None:
    """A new entry looks like its neighbours; a file without any gets Docker's own layout."""
    expected = {
        "empty object": f'{{\n\t"credHelpers": {{\n\t\t"{HOST}": "ecr"\n\t}}\n}}',
        "plugins": FILES["plugins"].replace(
            '"exec"}}', f'"exec"}}}},\n  "credHelpers": {{\n    "{HOST}": "ecr"\n  }}'
        ),
        "four spaces": FILES["four spaces"].replace(
            '"gcloud"', f'"gcloud",\n        "{HOST}": "ecr"'
        ),
        "compact": FILES["compact"].replace('"gcloud"', f'"gcloud","{HOST}":"ecr"'),
        "one line": FILES["one line"].replace("{}", f'{{"{HOST}": "ecr"}}'),
        "Windows": FILES["Windows"].replace(
            'e,e"', f'e,e",\r\n  "credHelpers": {{\r\n    "{HOST}": "ecr"\r\n  }}'
        ),
        "AWS's helper": FILES["AWS's helper"].replace("ecr-login", "ecr"),
    }
    for name, text in expected.items():
        put(config, FILES[name])
        assert helper("configure", HOST).status == 0
        assert content(config) == text


def test_already_done_says_so(helper: Helper, config: Path) -> None:
    """A second run writes nothing and says that all is done."""
    assert helper("configure", HOST).status == 0
    state = config.stat()
    done = helper("configure", HOST)
    assert (done.status, done.stdout) == (0, f'{HOST}: configured already in "{config}"\n')
    after = config.stat()
    assert (after.st_ino, after.st_mtime_ns) == (state.st_ino, state.st_mtime_ns)
    assert helper("configure", "--dry-run", HOST).stdout == done.stdout


def test_nothing_to_remove_says_so(helper: Helper, config: Path) -> None:
    """--remove where nothing is configured is no failure, and makes no file."""
    done = helper("configure", "--remove")
    assert (done.status, done.stdout) == (0, f'nothing is configured in "{config}"\n')
    done = helper("configure", "--remove", HOST)
    assert (done.status, done.stdout) == (0, f'{HOST}: not configured in "{config}"\n')
    assert not config.exists()


def test_remove_one_of_two(helper: Helper, config: Path) -> None:
    """--remove REGISTRY leaves the others; removing them too brings the first bytes back."""
    put(config, REAL_LIFE)
    helper("configure", HOST, PUBLIC)
    assert helper("configure", "--remove", HOST).status == 0
    assert json.loads(read(config))["credHelpers"] == {"gcr.io": "gcloud", PUBLIC: "ecr"}
    assert helper("configure", "--remove", f"https://{PUBLIC}/v2/").status == 0
    assert read(config) == REAL_LIFE


def test_remove_after_docker_wrote(helper: Helper, config: Path) -> None:
    """Docker writes the file anew at every login: --remove then takes out our entries only."""
    put(config, FILES["AWS's helper"])
    helper("configure", HOST, PUBLIC)
    data = json.loads(read(config))
    data["auths"] = {"quay.io": {"auth": LOGIN}}
    put(config, json.dumps(data, indent="\t"))
    assert helper("configure", "--remove").status == 0
    assert json.loads(read(config)) == {
        "credHelpers": {HOST: "ecr-login"},  # who was asked before we were
        "auths": {"quay.io": {"auth": LOGIN}},
    }


def test_remove_without_a_memory(helper: Helper, config: Path, home: Path) -> None:
    """Where the journal is gone, our entries are removed, and all else stays as it is."""
    put(config, FILES["four spaces"])
    helper("configure", HOST)
    (home / ".local" / "state" / "docker-credential-ecr" / "configure.json").write_text("[broken")
    assert helper("configure", "--remove").status == 0
    assert read(config) == FILES["four spaces"]


def test_remove_all_without_a_memory(helper: Helper, config: Path, home: Path) -> None:
    """Where the journal is gone, Docker asks the fallback again, which stays where it is."""
    put(config, FILES["credsStore"])
    helper("configure", "--all")
    (home / ".local" / "state" / "docker-credential-ecr" / "configure.json").unlink()
    assert helper("configure", "--remove").status == 0
    assert read(config) == FILES["credsStore"]
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert read(rules) == '[fallback]\nhelper = "desktop"\n'


def test_an_unwritable_journal(helper: Helper, config: Path, home: Path) -> None:
    """A state directory that cannot be made does not keep the entry from being written."""
    (home / ".local").write_text("in the way")
    assert helper("configure", HOST).status == 0
    assert json.loads(read(config)) == {"credHelpers": {HOST: "ecr"}}
    assert helper("configure", "--remove").status == 0
    assert json.loads(read(config)) == {}


def test_the_journal_holds_no_login(helper: Helper, config: Path, home: Path) -> None:
    """What is remembered holds none of the file's secrets, and is for the user only."""
    put(config, REAL_LIFE)
    helper("configure", HOST)
    helper("configure", "--all")
    journal = home / ".local" / "state" / "docker-credential-ecr" / "configure.json"
    assert LOGIN not in journal.read_text()
    assert "canary" not in journal.read_text()
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_a_link_stays_a_link(helper: Helper, config: Path, home: Path) -> None:
    """The file that a link points to is changed, and the link is still one."""
    target = home / "dotfiles" / "docker.json"
    target.parent.mkdir()
    target.write_text(REAL_LIFE)
    config.symlink_to("../dotfiles/docker.json")
    assert helper("configure", HOST).status == 0
    assert config.is_symlink()
    assert json.loads(target.read_text())["credHelpers"][HOST] == "ecr"
    assert helper("configure", "--remove").status == 0
    assert config.is_symlink()
    assert target.read_text() == REAL_LIFE
    assert sorted(path.name for path in target.parent.iterdir()) == ["docker.json"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_stays(helper: Helper, config: Path, mode: int) -> None:
    """The file keeps its mode, both ways."""
    put(config, REAL_LIFE)
    config.chmod(mode)
    for arguments in (("configure", HOST), ("configure", "--remove")):
        assert helper(*arguments).status == 0
        assert stat.S_IMODE(config.stat().st_mode) == mode


def test_a_new_file_is_for_the_user_only(helper: Helper, config: Path) -> None:
    """Docker's file and its directory, where we make them, are for nobody else."""
    config.parent.rmdir()
    assert helper("configure", HOST).status == 0
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n\t"auths": {\n\t\t"a": "secret-canary",\n\t}\n}', "at line 4, column 2"),
        ('{"a": secret-canary}', "at line 1, column 7"),
        ('{\n"a": "secret-canary', "at line 2, column 6"),
        ('{} {"secret-canary": 1}', "at line 1, column 4"),
    ],
)
@pytest.mark.parametrize("how", [(HOST,), ("--all",), ("--remove",), ("--dry-run", HOST)])
def test_invalid_json(
    helper: Helper, config: Path, text: str, place: str, how: tuple[str, ...]
) -> None:
    """A file that is not JSON is left as it is, with line and column, and not quoted."""
    put(config, text)
    done = helper("configure", *how)
    assert (done.status, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith(
        f'docker-credential-ecr: error: "{config}" is not valid JSON {place[:9]}'
    )
    assert "canary" not in done.stderr
    assert hint.startswith("docker-credential-ecr: hint: ")
    assert content(config) == text


def test_the_column_is_right(helper: Helper, config: Path) -> None:
    """Line and column are where the file is broken, counted from one."""
    put(config, '{\n  "a": 1,\n  "b": x\n}')
    assert "at line 3, column 8\n" in helper("configure", HOST).stderr


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[]", "is not a JSON object"),
        ('{"credHelpers": []}', '"credHelpers" is not an object'),
        ('{"auths": ""}', '"auths" is not an object'),
        ('{"credsStore": {}}', '"credsStore" is not a string'),
        ('{"credHelpers": {"a": 1}}', '"credHelpers" holds something that is not a string'),
        (b'{"a": "\xff"}', "is not UTF-8"),
    ],
)
def test_json_that_is_no_configuration(
    helper: Helper, config: Path, text: bytes | str, what: str
) -> None:
    """JSON that Docker could not use either is an error, and left as it is."""
    data = text if isinstance(text, bytes) else text.encode()
    config.write_bytes(data)
    done = helper("configure", HOST)
    assert (done.status, done.stdout) == (1, "")
    assert what in done.stderr
    assert config.read_bytes() == data


def test_a_read_only_directory(helper: Helper, config: Path, home: Path) -> None:
    """Where Docker's directory cannot be written, the error says so, and nothing has changed."""
    put(config, FILES["credsStore"])
    config.parent.chmod(0o500)
    # Root may write anywhere: take that away from it.
    user = without("dac_override")
    for arguments in (("configure", HOST), ("configure", "--all")):
        done = helper(*arguments, wrap=user)
        assert (done.status, done.stdout) == (1, "")
        assert f'error: cannot write "{config}": Permission denied' in done.stderr
        assert f'hint: make the directory "{config.parent}" writable' in done.stderr
        assert read(config) == FILES["credsStore"]
    # What moved for --all has moved back.
    assert not (home / ".config" / "docker-credential-ecr" / "config.toml").exists()


def test_docker_config_names_the_directory(
    helper: Helper, env: dict[str, str], home: Path, config: Path
) -> None:
    """DOCKER_CONFIG is Docker's own, and honoured."""
    env["DOCKER_CONFIG"] = str(home / "elsewhere")
    assert helper("configure", HOST).status == 0
    assert json.loads(read(home / "elsewhere" / "config.json")) == {"credHelpers": {HOST: "ecr"}}
    assert not config.exists()
    del env["DOCKER_CONFIG"]
    assert helper("configure", PUBLIC).status == 0
    assert json.loads(read(config)) == {"credHelpers": {PUBLIC: "ecr"}}


def test_the_fallback_joins_what_is_there(helper: Helper, config: Path, home: Path) -> None:
    """A store that becomes the fallback is added to our file, which keeps rules and comments."""
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    rules.parent.mkdir(parents=True)
    for text in (
        f'# mine\n[[registry]]  # prod\nmatch = "{HOST}"\nprofile = "prod"',
        "[fallback] # nobody yet\n\n# the end\n",
        f'[fallback]\n[[registry]]\nmatch = "{HOST}"\n',
        f'[[registry]]\r\nmatch = "{HOST}"\r\n',
    ):
        put(config, FILES["credsStore"])
        rules.write_bytes(text.encode())
        assert helper("configure", "--all").status == 0
        added = rules.read_bytes().decode()
        assert 'helper = "desktop"' in added
        assert [
            line for line in text.splitlines() if line in added.splitlines()
        ] == text.splitlines()
        assert helper("configure", "--remove").status == 0
        assert rules.read_bytes().decode() == text
        assert read(config) == FILES["credsStore"]


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("fallback = {}\n", "desktop"),
        ("['fallback']\n", "desktop"),
        ("", "desk top"),
    ],
)
def test_a_fallback_that_cannot_be_added(
    helper: Helper, config: Path, home: Path, text: str, store: str
) -> None:
    """Where our file is written in a way of its own, it is said what to write there, by hand.

    The file was once said to be no valid TOML, which is true only of what we tried.
    """
    before = FILES["credsStore"].replace("desktop", store)
    put(config, before)
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    write(rules, text)
    done = helper("configure", "--all")
    assert (done.status, done.stdout) == (1, "")
    assert f'error: cannot add the fallback helper "{store}" to "{rules}"' in done.stderr
    assert f'hint: write it there: [fallback], and below it helper = "{store}"' in done.stderr
    assert rules.read_text() == text
    assert read(config) == before


def test_a_changed_fallback_stays(helper: Helper, config: Path, home: Path) -> None:
    """Our file, changed since, keeps its fallback: only its author knows what needs it."""
    put(config, FILES["credsStore"])
    helper("configure", "--all")
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    rules.write_text(rules.read_text() + "# more\n")
    done = helper("configure", "--remove")
    assert done.status == 0
    assert "still names the fallback helper" in done.stderr
    assert read(config) == FILES["credsStore"]
    assert rules.read_text() == '[fallback]\nhelper = "desktop"\n# more\n'


def test_a_fallback_of_ours_is_taken_back_where_another_program_took_our_place(
    helper: Helper, config: Path, home: Path
) -> None:
    """Docker's file is the other's now and stays; ours names no fallback any more, and --all works."""
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    for edited in (False, True):
        put(config, '{"credsStore": "pass"}')
        helper("configure", "--all")
        put(config, '{"credsStore": "desktop"}')
        if edited:
            rules.write_text(rules.read_text() + "# more\n")
        done = helper("configure", "--remove")
        assert done.status == 0
        assert read(config) == '{"credsStore": "desktop"}'
        if edited:
            assert f'"{rules}" still names the fallback helper "pass"' in done.stderr
            assert f'nothing is configured in "{config}"' in done.stdout
        else:
            assert done.stdout == f'"pass" is no longer the fallback, in "{rules}"\n'
            assert not rules.exists()
            again = helper("configure", "--remove")
            assert again.stdout == f'nothing is configured in "{config}"\n'
            assert helper("configure", "--all").status == 0
            assert helper("configure", "--remove").status == 0
            assert read(config) == '{"credsStore": "desktop"}'


def test_a_fallback_stays_where_docker_asks_us_by_another_name(
    helper: Helper, config: Path, home: Path, tmp_path: Path
) -> None:
    """A credsStore that leads to us through a link of AWS's name still needs the fallback."""
    put(config, '{"credsStore": "pass"}')
    helper("configure", "--all")
    put(config, '{"credsStore": "ecr-login"}')
    links = tmp_path / "links"
    links.mkdir()
    (links / "docker-credential-ecr-login").symlink_to(EXECUTABLE)
    helper.env["PATH"] = f"{links}:{helper.env['PATH']}"
    done = helper("configure", "--remove")
    assert (done.status, done.stderr) == (0, "")
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert rules.read_text() == '[fallback]\nhelper = "pass"\n'


def test_two_fallbacks_are_refused(helper: Helper, config: Path, home: Path) -> None:
    """A fallback of the user's own is not replaced, and nothing is written."""
    put(config, FILES["credsStore"])
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    rules.parent.mkdir(parents=True)
    rules.write_text('[fallback]\nhelper = "pass"\n')
    done = helper("configure", "--all")
    assert (done.status, done.stdout) == (1, "")
    assert 'names the fallback helper "pass"' in done.stderr
    assert read(config) == FILES["credsStore"]
    rules.write_text('[fallback]\nhelper = "desktop"\n')
    assert helper("configure", "--all").status == 0
    assert rules.read_text() == '[fallback]\nhelper = "desktop"\n'


def test_a_login_that_shadows(helper: Helper, config: Path) -> None:
    """A login beside the helper is named, with the command that removes it."""
    put(config, f'{{"auths": {{"https://{HOST}": {{"auth": "{LOGIN}"}}, "{PUBLIC}": {{}}}}}}')
    done = helper("configure", HOST, PUBLIC)
    assert done.status == 0
    warning, hint = done.stderr.splitlines()
    assert warning.startswith(f'docker-credential-ecr: warning: "{HOST}" has a login of its own')
    assert hint == f"docker-credential-ecr: hint: remove it: docker logout {HOST}"
    assert LOGIN not in done.stderr


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"{HOST}:443"])
def test_a_login_is_named_once_and_as_docker_knows_it(
    helper: Helper, config: Path, key: str
) -> None:
    """However often and with whichever port the registry is named: `docker logout` takes that name."""
    known = key.removeprefix("https://")
    put(config, json.dumps({"auths": {key: {"auth": "QVdTOng="}}}))
    done = helper("configure", f"{HOST}:443", HOST, f"{HOST}:8443")
    assert done.status == 0
    assert done.stderr.count("has a login of its own") == 1
    assert f'"{known}" has a login of its own' in done.stderr
    assert f"hint: remove it: docker logout {known}\n" in done.stderr


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_takes_for_json(helper: Helper, config: Path, name: str) -> None:
    """Docker cannot read a file with NaN: it is refused with its place, and left as it is."""
    text = f'{{"NaN": "-Infinity \\" NaN",\n "x": [1, {name}]}}'
    put(config, text)
    done = helper("configure", HOST)
    assert (done.status, done.stdout) == (1, "")
    assert f'"{config}" is not valid JSON at line 2, column 11' in done.stderr
    assert read(config) == text


def test_a_directory_in_the_place_of_the_file(helper: Helper, config: Path) -> None:
    """No mode makes it a file."""
    config.mkdir(parents=True)
    done = helper("configure", HOST)
    assert (done.status, done.stdout) == (1, "")
    assert f'"{config}" is not a file' in done.stderr
    assert "chmod" not in done.stderr


def test_logins_that_docker_no_longer_uses(helper: Helper, config: Path) -> None:
    """With --all, Docker no longer looks at the logins in its file: that is said."""
    put(config, FILES["auths"])
    done = helper("configure", "--all")
    assert 'warning: Docker no longer uses the login of "quay.io"' in done.stderr
    assert "[fallback]" in done.stderr


def test_another_helper_for_an_ecr_host(helper: Helper, config: Path) -> None:
    """With --all, an entry for an ECR host still goes to the helper that it names: that is said."""
    put(config, f'{{"credHelpers": {{"{HOST}": "other"}}}}')
    done = helper("configure", "--all")
    assert f'warning: "other" is still asked for "{HOST}"' in done.stderr
    assert f"hint: run: docker-credential-ecr configure {HOST}" in done.stderr


def test_in_place_of_another_helper(helper: Helper, config: Path) -> None:
    """The helper that we take the place of is named."""
    put(config, FILES["AWS's helper"])
    assert helper("configure", HOST).stdout == (
        f'{HOST}: configured in "{config}", in place of "ecr-login"\n'
    )


def test_not_on_path(helper: Helper, config: Path, env: dict[str, str]) -> None:
    """An executable that Docker will not find is named, with the line for the shell."""
    env["PATH"] = "/usr/bin:/bin"
    done = helper("configure", HOST)
    assert done.status == 0
    assert 'warning: "docker-credential-ecr" is not on PATH' in done.stderr
    assert f'export PATH="{EXECUTABLE.parent}:$PATH"' in done.stderr


def test_a_mapped_name(helper: Helper, config: Path, home: Path) -> None:
    """A name that a rule maps is a registry, with its port; any other is refused with the file."""
    done = helper("configure", "images.example.com:5000")
    assert (done.status, done.stdout) == (1, "")
    assert 'error: "images.example.com" is not an ECR registry' in done.stderr
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    assert str(rules) in done.stderr
    rules.parent.mkdir(parents=True)
    rules.write_text(f'[[registry]]\nmatch = "images.example.com"\nregistry = "{HOST}"\n')
    assert helper("configure", "images.example.com:5000").status == 0
    assert json.loads(read(config)) == {"credHelpers": {"images.example.com:5000": "ecr"}}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "no registry is named"),
        (("--all", HOST), "--all is for every registry"),
        (("http://user:canary@" + HOST,), "is not the name of a registry"),
        (("docker.io",), '"docker.io" is not an ECR registry'),
        (("--regions", "mars"), '"mars" is not an AWS region'),
        (("--regions", "eu-west-1", "--all"), "--regions is for when no registry is named"),
        (("--regions", "eu-west-1", HOST), "--regions is for when no registry is named"),
        (("--al",), 'configure does not have an option "--al"'),
    ],
)
def test_misuse(helper: Helper, config: Path, arguments: tuple[str, ...], reason: str) -> None:
    """What cannot be meant is refused with a hint, and nothing is written."""
    done = helper("configure", *arguments)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("docker-credential-ecr: error: ")
    assert reason in done.stderr
    assert "docker-credential-ecr: hint: " in done.stderr
    assert "canary" not in done.stderr
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "regions"),
    [
        ((), ["eu-west-1"]),
        (("--regions", "us-east-1"), ["us-east-1"]),
        (("--regions", "us-east-1,cn-north-1"), ["us-east-1", "cn-north-1"]),
    ],
)
def test_without_a_registry(
    helper: Helper,
    aws: FakeAWS,
    config: Path,
    env: dict[str, str],
    arguments: tuple[str, ...],
    regions: list[str],
) -> None:
    """Without a registry it is those of the caller's account, in its region or those named."""
    env["AWS_REGION"] = "eu-west-1"
    assert helper("configure", *arguments).status == 0
    domains = {"cn-north-1": "amazonaws.com.cn"}
    assert list(json.loads(read(config))["credHelpers"]) == [
        f"123456789012.dkr.ecr.{region}.{domains.get(region, 'amazonaws.com')}"
        for region in regions
    ]


def test_without_a_registry_the_accounts_of_config_toml_too(
    helper: Helper, aws: FakeAWS, config: Path, env: dict[str, str], home: Path
) -> None:
    """Rules name accounts: their registries are found where a rule is for them, and no others."""
    env["AWS_REGION"] = "eu-west-1"
    matches = {
        "210987654321.dkr.ecr.*.amazonaws.com": "210987654321.dkr.ecr.eu-west-1.amazonaws.com",
        "310987654321.dkr.ecr.us-west-2.amazonaws.com": "310987654321.dkr.ecr.us-west-2.amazonaws.com",
        "410987654321.dkr.ecr.us-*-2.amazonaws.com": None,
        "*.dkr.ecr.*.amazonaws.com": None,
    }
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    write(rules, "".join(f'[[registry]]\nmatch = "{m}"\nprofile = "a"\n' for m in matches))
    assert helper("configure").status == 0
    assert list(json.loads(read(config))["credHelpers"]) == [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        *filter(None, matches.values()),
    ]


def test_remove_with_a_broken_file_of_ours(helper: Helper, config: Path, home: Path) -> None:
    """Our own file, broken meanwhile, is left alone, and Docker still gets its store back."""
    put(config, FILES["credsStore"])
    helper("configure", "--all")
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    rules.write_text("[broken")
    assert helper("configure", "--remove").status == 0
    assert (read(config), rules.read_text()) == (FILES["credsStore"], "[broken")


@pytest.mark.parametrize("command", ["configure", "doctor"])
@pytest.mark.parametrize(
    ("odd", "said"),
    [("fifo", "is not a file"), ("device", "is not a file"), ("large", "is larger than 4 MiB")],
)
def test_a_configuration_without_end(
    helper: Helper, config: Path, command: str, odd: str, said: str
) -> None:
    """A pipe, a device or a huge file in the place of Docker's configuration is read by nobody."""
    config.parent.mkdir(exist_ok=True)
    if odd == "fifo":
        os.mkfifo(config)
    elif odd == "device":
        config.symlink_to("/dev/zero")
    else:
        config.write_text("{}".ljust((4 << 20) + 1))
    arguments = ("configure", HOST) if command == "configure" else ("doctor", "--offline", HOST)
    # Memory, as a device has no end.
    done = helper(*arguments, wrap=("sh", "-c", 'ulimit -v 2000000; exec "$@"', "-"))
    assert done.status == 1
    assert said in done.stdout + done.stderr


def test_an_unreadable_file(helper: Helper, config: Path) -> None:
    """A file that cannot be read is named, with the command that opens it."""
    put(config, REAL_LIFE)
    config.chmod(0)
    drop = "-dac_override,-dac_read_search"
    user = ("setpriv", "--bounding-set", drop, "--inh-caps", drop) if os.geteuid() == 0 else ()
    done = helper("configure", HOST, wrap=user)
    assert (done.status, done.stdout) == (1, "")
    assert f'error: cannot read "{config}": Permission denied' in done.stderr
    assert f"hint: make it readable: chmod u+r '{config}'" in done.stderr


def test_the_owner_stays(helper: Helper, config: Path) -> None:
    """Root, who edits a user's file, leaves it that user's."""
    need_root("give files away")
    put(config, REAL_LIFE)
    os.chown(config, 65534, 65533)
    assert helper("configure", HOST).status == 0
    assert (config.stat().st_uid, config.stat().st_gid) == (65534, 65533)


BLANK = st.text(" \t\n", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["a", "auths", "\u00e9", "psFormat"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(["x.io", "y.io", '"']), st.text(max_size=3), max_size=3),
    st.sampled_from([None, 1, 4, "\t"]),
    BLANK,
    BLANK,
)
def test_edits_of_any_document(
    data: dict[str, object],
    helpers: dict[str, str],
    indent: int | str | None,
    before: str,
    after: str,
) -> None:
    """put, then its inverse, gives the very text back; drop takes out what put brought."""
    document = {**data, "credHelpers": helpers} if helpers else data
    text = before + json.dumps(document, indent=indent, ensure_ascii=False) + after
    paths: tuple[tuple[str, ...], ...]
    paths = (("credHelpers", "new.io"), ("credHelpers", "x.io"), ("credsStore",))
    for path in paths:
        edit = jsontext.put(text, path, "ecr")
        changed = jsontext.apply(text, edit)
        expected = json.loads(text)
        if len(path) == 1:
            expected[path[0]] = "ecr"
        else:
            expected.setdefault(path[0], {})[path[1]] = "ecr"
        assert json.loads(changed) == expected
        assert jsontext.apply(changed, jsontext.inverse(text, edit)) == text
        gone = jsontext.drop(changed, path)
        assert gone is not None
        dropped = jsontext.apply(changed, gone)
        if len(path) == 1:
            del expected[path[0]]
        else:
            del expected[path[0]][path[1]]
        assert json.loads(dropped) == expected
        masked = json.loads(jsontext.masked(changed, ("credHelpers",)))
        assert masked.get("credHelpers") == json.loads(changed).get("credHelpers")
