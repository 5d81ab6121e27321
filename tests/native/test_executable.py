"""The native executable, wherever it is put: it needs nothing of the machine and heeds nothing of it.

``NATIVE_EXECUTABLE`` names it: ``make test-native``.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import botocore
import pytest
from fake_aws import FakeAWS
from kit import (
    CALL,
    ELSEWHERE,
    EXECUTABLE,
    HOST,
    INSTALLED,
    PATIENCE,
    PUBLIC,
    ROLE,
    Helper,
    give,
    in_namespaces,
    make_due,
    self_signed,
    until,
    without_keys,
    write,
)

NAME = "docker-credential-ecr"


class Native(Helper):
    """An executable of its own."""

    def __init__(self, env: dict[str, str], path: Path) -> None:
        super().__init__(env)
        self.path = path


@pytest.fixture
def native(env: dict[str, str], tmp_path: Path) -> Native:
    path = tmp_path / "bin" / NAME
    path.parent.mkdir()
    shutil.copy(EXECUTABLE, path)
    return Native(env, path)


@pytest.fixture
def pips(env: dict[str, str]) -> Native:
    """Pip's copy, beside it."""
    return Native(env, INSTALLED)


def test_is_one_static_file(native: Native) -> None:
    """It names no interpreter of the system's: the kernel alone starts it."""
    header = subprocess.run(
        ["readelf", "--program-headers", "--dynamic", native.path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert "INTERP" not in header
    assert "There is no dynamic section in this file." in header


def test_says_its_version(native: Native, pips: Helper) -> None:
    """It says what pip's says."""
    assert native("version") == pips("version")


def test_a_miss_asks_aws_and_a_hit_does_not(native: Native, aws: FakeAWS) -> None:
    """One request, then the same answer from disk."""
    first, second = native.get(), native.get()

    assert (first.status, first.stderr) == (0, "")
    assert first.secret
    assert second == first
    assert aws.count(CALL) == 1


def test_public_too(native: Native, aws: FakeAWS) -> None:
    """ECR Public's data is embedded, too."""
    run = native.get(PUBLIC)

    assert (run.status, run.stderr) == (0, "")


def test_a_role_of_a_profile_too(native: Native, aws: FakeAWS, home: Path) -> None:
    """STS is embedded: a profile's role is assumed."""
    write(
        home / ".aws/config",
        "[profile keys]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = keys\n",
    )
    without_keys(native.env)
    run = native.get(env={"AWS_PROFILE": "role"})

    assert (run.status, run.stderr) == (0, "")
    assert aws.count("AssumeRole") == 1


def test_not_ecr(native: Native) -> None:
    """The protocol's own sentence for what is not ours."""
    run = native.get(ELSEWHERE)

    assert (run.status, run.stdout) == (1, "credentials not found in native keychain\n")


def test_pip_s_copy_and_the_executable_share_a_cache(
    native: Native, pips: Helper, aws: FakeAWS
) -> None:
    """What one has fetched the other serves."""
    assert native.get() == pips.get()
    assert aws.count(CALL) == 1


def test_renews_behind_an_answer(native: Native, aws: FakeAWS, cache: Path) -> None:
    """A token past half of its life is served, and renewed by the executable itself."""
    first = native.get()
    make_due(cache)

    assert native.get() == first
    until(lambda: aws.count(CALL) == 2, "no renewal")


def test_named_relatively_it_renews_too(native: Native, aws: FakeAWS, cache: Path) -> None:
    """A renewal finds the executable that was started by a path that is not absolute."""
    first = native.get()
    make_due(cache)
    wrap = ("sh", "-c", 'cd "${0%/*}" && shift 0 && ./"${0##*/}" "${@#"$0"}"')
    assert native.get(wrap=wrap) == first
    until(lambda: aws.count(CALL) == 2, "no renewal")


def test_without_proc(native: Native, aws: FakeAWS, cache: Path) -> None:
    """Without /proc: the same answer, and the same renewal."""
    wrap = in_namespaces("--mount", script="mount -t tmpfs none /proc")
    first = native.get(wrap=wrap)
    assert (first.status, first.stderr) == (0, "")
    make_due(cache)

    assert native.get(wrap=wrap).status == 0
    until(lambda: aws.count(CALL) == 2, "no renewal")


def test_in_an_empty_root(native: Native, aws: FakeAWS, tmp_path: Path) -> None:
    """In a root with nothing but the executable."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(native.path, root / NAME)
    native.path = Path("/") / NAME
    run = native.get(wrap=(*in_namespaces(), "chroot", str(root)))

    assert (run.status, run.stderr) == (0, "")
    assert run.secret


def test_without_a_home(native: Native, aws: FakeAWS) -> None:
    """No HOME, no variable but AWS's: an answer."""
    run = native.get(env={"HOME": None, "LANG": None, "PATH": None})

    assert (run.status, run.stderr) == (0, "")


def test_with_a_read_only_disk(native: Native, aws: FakeAWS, home: Path) -> None:
    """Where nothing can be written it answers, and asks again the next time."""
    wrap = in_namespaces("--mount", script=f"mount --bind -o ro {home} {home}")
    assert [native.get(wrap=wrap).status for _ in range(2)] == [0, 0]

    assert aws.count(CALL) == 2
    assert not list(home.iterdir())


def test_pythons_variables_do_not_matter(native: Native, aws: FakeAWS, tmp_path: Path) -> None:
    """No variable of Python's, nor a module in the folder that it is in, changes what it does."""
    trap = tmp_path / "trap"
    for name in ("sitecustomize.py", "json.py", "botocore/__init__.py", "_program.py"):
        write(trap / name, f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n")
        write(native.path.parent / name, (trap / name).read_text())
    run = native.get(
        env={
            "PYTHONPATH": str(trap),
            "PYTHONHOME": str(trap),
            "PYTHONSTARTUP": str(trap / "json.py"),
            "PYTHONINSPECT": "1",
            "PYTHONVERBOSE": "1",
            "PYTHONUTF8": "0",
            "PYTHONOPTIMIZE": "0",
            "PYTHONWARNINGS": "error",
            "PYTHONDEVMODE": "1",
            "PYTHONMALLOC": "debug",
            "PYTHONBREAKPOINT": "json.x",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPROFILEIMPORTTIME": "1",
            "PYTHONTRACEMALLOC": "5",
        },
    )

    assert (run.status, run.stderr) == (0, "")
    assert not (tmp_path / "sprung").exists()


def test_utf_8_whatever_the_locale(native: Native, aws: FakeAWS, home: Path) -> None:
    """A profile's name that is not ASCII is read under LANG=C."""
    write(
        home / ".aws/credentials",
        "[mañana]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n",
    )
    run = native.get(
        env={
            "LANG": "C",
            "AWS_PROFILE": "mañana",
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
        }
    )

    assert (run.status, run.stderr) == (0, "")


def test_configuration_with_a_mark_of_its_encoding(
    native: Native, aws: FakeAWS, tmp_path: Path
) -> None:
    """Codecs that are found by name at run time are there: a config.toml with a byte order mark."""
    config = tmp_path / "config.toml"
    config.write_bytes(
        b"\xef\xbb\xbf[[registry]]\nmatch = '*.example.org'\nregistry = '" + HOST.encode() + b"'\n"
    )
    marked = native.get(env={"AWS_ECR_CONFIG_FILE": str(config)})
    config.write_bytes(config.read_bytes()[3:])

    assert marked.status == native.get(env={"AWS_ECR_CONFIG_FILE": str(config)}).status == 0


def test_data_of_the_users_own(native: Native, aws: FakeAWS, tmp_path: Path) -> None:
    """AWS_DATA_PATH, an empty folder here, is searched beside the embedded data."""
    (tmp_path / "data").mkdir()
    run = native.get(env={"AWS_DATA_PATH": str(tmp_path / "data")})

    assert (run.status, run.stderr) == (0, "")


def test_data_of_the_users_own_may_be_compressed(
    native: Native, aws: FakeAWS, tmp_path: Path
) -> None:
    """A model that lies there is the one that counts, packed as botocore's own are."""
    theirs = Path(botocore.__file__).parent / "data/ecr/2015-09-21/service-2.json.gz"
    own = tmp_path / "data/ecr/2015-09-21" / theirs.name
    own.parent.mkdir(parents=True)
    shutil.copy(theirs, own)
    env = {"AWS_DATA_PATH": str(tmp_path / "data")}
    run = native.get(env=env)
    assert (run.status, run.stderr) == (0, "")

    own.write_bytes(theirs.read_bytes()[:100])
    assert native.get(env=env | {"AWS_ECR_DISABLE_CACHE": "1"}).status == 1


def test_empty_models_in_the_home(native: Native, aws: FakeAWS, home: Path) -> None:
    """~/.aws/models, empty, is searched beside the embedded data."""
    (home / ".aws/models").mkdir(parents=True)
    run = native.get()

    assert (run.status, run.stderr) == (0, "")


@pytest.mark.parametrize("what", ["removed", "upgraded"])
def test_it_is_gone_or_another_by_then(
    native: Native, aws: FakeAWS, cache: Path, what: str
) -> None:
    """Between the question and the renewal: the answer comes, and the token is renewed all the same."""
    first = native.get().secret
    make_due(cache)
    process = native.start("get")
    if what == "upgraded":
        write(native.path.with_name("next"), "#!/bin/sh\nexit 1\n", 0o755)
        native.path.with_name("next").replace(native.path)
    else:
        native.path.unlink()
    give(process, HOST)

    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert first in stdout.decode()
    assert (process.returncode, stderr) == (0, b"")
    until(lambda: aws.count(CALL) == 2, "it is not renewed")


def test_nobody_reads_the_answer(native: Native, aws: FakeAWS) -> None:
    """Where nobody listens it ends as pip's: with status 1, not by a signal."""
    native.get()
    process = native.start("get")
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.close()
    process.stdin.write(HOST.encode())
    process.stdin.close()
    assert process.wait(60) == 1
    assert process.stderr is not None
    process.stderr.close()


def test_no_path_of_the_machine_is_in_it() -> None:
    """Nothing says where it was built."""
    content = EXECUTABLE.read_bytes()
    tree = str(Path(__file__).parent.parent.parent).encode()

    assert tree not in content


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """Return (certificate, key) of localhost, which no authority has signed."""
    return self_signed(tmp_path, "DNS:localhost")


def test_over_tls(native: Native, aws: FakeAWS, certificate: tuple[str, str]) -> None:
    """The embedded authorities do not vouch for a stranger, AWS_CA_BUNDLE does."""
    with FakeAWS(tls=certificate) as server:
        native.env["AWS_ENDPOINT_URL"] = f"https://localhost:{server.port}"
        native.env["AWS_MAX_ATTEMPTS"] = "1"
        stranger = native.get()
        known = native.get(env={"AWS_CA_BUNDLE": certificate[0]})

    assert stranger.status == 1
    assert "certificate" in stranger.stderr
    assert (known.status, known.stderr) == (0, "")
