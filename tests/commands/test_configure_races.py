"""configure beside others: other runs of itself, a docker login, a kill, another user's home."""

from __future__ import annotations

import json
import os
import signal
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest
from filelock import FileLock
from kit import (
    ACCOUNT,
    EXECUTABLE,
    HOST,
    PATIENCE,
    Helper,
    as_user,
    failing,
    missing,
    need,
    need_root,
    until,
    without,
    write,
)

NOBODY = 65534
LOGIN = "c2VjcmV0LWNhbmFyeTpwYXNzd29yZA=="
OTHERS = {"config.json.bak", "config.json1234567", ".config.json.swp", ".config.json.0000"}


@pytest.fixture
def config(env: dict[str, str], home: Path) -> Path:
    env["PATH"] = f"{EXECUTABLE.parent}:{env['PATH']}"
    path = home / ".docker" / "config.json"
    write(path, "{}")
    return path


def traced(*inject: str) -> tuple[str, ...]:
    """Return what to put before a command so that its first fsync, of the new file, is not plain."""
    return (need("strace"), "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync", *inject)


def beside(config: Path) -> list[Path]:
    """Return what lies beside Docker's file."""
    return [path for path in config.parent.iterdir() if path != config]


def docker_login(config: Path, server: str) -> None:
    """Write a login as Docker does: the whole file, beside it, and a rename; no lock."""
    data = json.loads(config.read_text())
    data.setdefault("auths", {})[server] = {"auth": LOGIN}
    new = config.with_name("config.json1234567")
    new.write_text(json.dumps(data, indent="\t"))
    new.rename(config)


@pytest.mark.alone
@pytest.mark.parametrize("how", ["add", "remove"])
def test_forty_runs_at_once(helper: Helper, config: Path, how: str) -> None:
    """Of forty runs at the same time none loses what another wrote."""
    hosts = [f"{ACCOUNT[:-2]}{n}.dkr.ecr.us-east-1.amazonaws.com" for n in range(50, 90)]
    arguments: tuple[str, ...] = ("configure",)
    if how == "remove":
        assert helper("configure", HOST, *hosts).status == 0
        arguments += ("--remove",)
    runs = [helper.start(*arguments, host, stdin=b"") for host in hosts]
    for run in runs:
        _, said = run.communicate(timeout=PATIENCE)
        assert (run.returncode, said) == (0, b"")
    helpers = json.loads(config.read_text()).get("credHelpers", {})
    assert set(helpers) == (set(hosts) if how == "add" else {HOST})
    if how == "add":
        assert helper("configure", "--remove").status == 0
        assert config.read_text() == "{}"


@pytest.mark.parametrize("arguments", [(HOST,), ("--all",), ("--remove",)])
def test_a_login_meanwhile(helper: Helper, config: Path, home: Path, arguments: tuple[str]) -> None:
    """A docker login that is written while configure is at it stays, and so does our entry."""
    config.write_text('{\n\t"credsStore": "desktop"\n}')
    if arguments == ("--remove",):
        assert helper("configure", "--all").status == 0
    # Two seconds in which the new file is there, and not yet in its place.
    wrap = traced("-e", "inject=fsync:delay_enter=2000000:when=1")
    if arguments != (HOST,):
        # Two files change, and Docker's is the second for one of them, the first for the other.
        wrap = traced("-e", "inject=fsync:delay_enter=2000000:when=1..2")
    run = subprocess.Popen(
        [*wrap, str(EXECUTABLE), "configure", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.env,
    )
    until(lambda: beside(config), "no new file was written")
    docker_login(config, "quay.io")
    said, complaint = run.communicate(timeout=PATIENCE)
    assert (run.returncode, complaint) == (0, b""), said
    data = json.loads(config.read_text())
    assert data["auths"] == {"quay.io": {"auth": LOGIN}}
    rules = home / ".config" / "docker-credential-ecr" / "config.toml"
    expected = {(HOST,): "desktop", ("--all",): "ecr", ("--remove",): "desktop"}
    assert data["credsStore"] == expected[arguments]
    assert data.get("credHelpers", {}) == ({HOST: "ecr"} if arguments == (HOST,) else {})
    assert rules.exists() == (arguments == ("--all",))
    assert beside(config) == []
    assert said.decode().count("\n") == (1 if arguments == (HOST,) else 2)  # nothing is said twice


def test_a_holder_of_the_lock_that_is_stopped(helper: Helper, config: Path, home: Path) -> None:
    """A run that holds the lock and never goes on keeps the next one for seconds, not for ever."""
    lock = home / ".local" / "state" / "docker-credential-ecr" / "configure.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock, mode=0o600):  # one that others may read is none of ours
        begun = time.monotonic()
        assert helper("configure", HOST).status == 0
        assert time.monotonic() - begun < 30
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}


def test_a_file_that_never_rests(helper: Helper, config: Path) -> None:
    """Where another program writes again and again, the end is an error, and nothing of ours."""
    wrap = traced("-e", "inject=fsync:delay_enter=200000")
    run = subprocess.Popen(
        [*wrap, str(EXECUTABLE), "configure", HOST],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.env,
    )
    logins = 0
    while run.poll() is None:
        logins += 1
        docker_login(config, f"{logins}.example.com")
        time.sleep(0.02)  # ten writes while a new file of ours waits for its place
    said, complaint = run.communicate(timeout=PATIENCE)
    assert (run.returncode, said) == (1, b"")
    error, hint = complaint.decode().splitlines()
    assert error.endswith(f'error: "{config}" is being changed by another program')
    assert hint.endswith("hint: run the command again")
    data = json.loads(config.read_text())
    assert list(data) == ["auths"]
    assert len(data["auths"]) == logins
    assert beside(config) == []


def test_a_killed_run_leaves_no_logins(helper: Helper, config: Path) -> None:
    """What a killed run leaves is the user's alone, and the next run removes it, and no more."""
    config.write_text(json.dumps({"auths": {"quay.io": {"auth": LOGIN}}}))
    config.chmod(0o644)
    for name in OTHERS:
        write(config.with_name(name), "mine")
    wrap = traced("-e", "inject=fsync:signal=SIGKILL:when=1")
    assert helper("configure", HOST, wrap=wrap).status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    (left,) = [path for path in beside(config) if path.name not in OTHERS]
    assert LOGIN in left.read_text()
    assert left.stat().st_uid == os.geteuid()
    assert helper("configure", HOST).status == 0
    assert {path.name for path in beside(config)} == OTHERS


def test_a_leftover_that_stays(helper: Helper, config: Path) -> None:
    """What bears a leftover's name and is no file, or cannot be removed, keeps no run from its work."""
    left = config.with_name(".config.json.0123456789abcdef.docker-credential-ecr")
    folder = config.with_name(".config.json.fedcba9876543210.docker-credential-ecr")
    write(left, "")
    folder.mkdir()
    done = helper("configure", HOST, wrap=failing("?unlink,unlinkat", "EPERM", left))
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    assert set(beside(config)) == {left, folder}


def test_a_new_file_that_is_taken_for_a_leftover(helper: Helper, config: Path) -> None:
    """A new file that is removed before it is in its place is written anew, with what is there then."""
    run = subprocess.Popen(
        [*traced("-e", "inject=fsync:delay_enter=2000000:when=1"), str(EXECUTABLE)]
        + ["configure", HOST],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=helper.env,
    )
    until(lambda: beside(config), "no new file was written")
    (new,) = beside(config)
    new.unlink()
    _, complaint = run.communicate(timeout=PATIENCE)
    assert (run.returncode, complaint) == (0, b"")
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    assert beside(config) == []


def test_a_killed_run_leaves_nothing_beside_our_file(
    helper: Helper, config: Path, home: Path
) -> None:
    """The same beside config.toml, which is written first."""
    config.write_text('{"credsStore": "desktop"}')
    wrap = traced("-e", "inject=fsync:signal=SIGKILL:when=1")
    helper("configure", "--all", wrap=wrap)
    folder = home / ".config" / "docker-credential-ecr"
    assert len(list(folder.iterdir())) == 1
    assert helper("configure", "--all").status == 0
    assert [path.name for path in folder.iterdir()] == ["config.toml"]


def test_the_new_file_is_private_until_it_is_in_place(helper: Helper, config: Path) -> None:
    """Before it has what the old file had, nobody else may read the new one."""
    config.chmod(0o600)
    wrap = traced("-e", "inject=fsync:signal=SIGKILL:when=1")
    helper("configure", HOST, wrap=wrap)
    (left,) = beside(config)
    assert stat.S_IMODE(left.stat().st_mode) == 0o600


def test_attributes_and_access_lists_stay(helper: Helper, config: Path) -> None:
    """Extended attributes and the access list of Docker's file are those of the new one."""
    # Version 2; then tag, permissions and id: owner rw, user 65534 r, group -, mask r, others -.
    entries = ((1, 6, -1), (2, 4, NOBODY), (4, 0, -1), (16, 4, -1), (32, 0, -1))
    access = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, allowed, who & 0xFFFFFFFF) for tag, allowed, who in entries
    )
    try:
        os.setxattr(config, "user.note", b"mine")
        os.setxattr(config, "system.posix_acl_access", access)
    except OSError as error:
        missing(f"this file system has no such attributes: {error.strerror}")
    before = {name: os.getxattr(config, name) for name in os.listxattr(config)}
    for arguments in (("configure", HOST), ("configure", "--remove")):
        inode = config.stat().st_ino
        assert helper(*arguments).status == 0
        assert config.stat().st_ino != inode
        assert {name: os.getxattr(config, name) for name in os.listxattr(config)} == before


@pytest.mark.parametrize("call", ["listxattr", "fsetxattr"])
def test_attributes_that_cannot_be_had(helper: Helper, config: Path, call: str) -> None:
    """Where the file system has no attributes to list, or takes none, the entry is written all the same."""
    try:
        os.setxattr(config, "user.note", b"mine")
    except OSError as error:
        missing(f"this file system has no such attributes: {error.strerror}")
    done = helper("configure", HOST, wrap=failing(call, "EOPNOTSUPP"))
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    assert os.listxattr(config) == []


def test_a_file_of_another_user(helper: Helper, config: Path) -> None:
    """Docker's file keeps its owner; who may give nothing away has it as theirs, and it works."""
    need_root("have another user's file")
    os.chown(config, NOBODY, NOBODY)
    assert helper("configure", HOST).status == 0
    assert config.stat().st_uid == NOBODY
    done = helper("configure", "--remove", wrap=without("chown"))
    assert (done.status, done.stderr) == (0, "")
    assert config.stat().st_uid == os.geteuid()
    assert config.read_text() == "{}"


def test_another_user_than_root(helper: Helper, config: Path, home: Path) -> None:
    """Whoever is not root has what is made, in a home of their own: Docker's folder and the journal."""
    need_root("run as another user")
    config.unlink()
    config.parent.rmdir()
    os.chown(home, NOBODY, NOBODY)
    assert helper("configure", HOST, wrap=as_user(NOBODY)).status == 0
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    for path in (config.parent, home / ".local" / "state" / "docker-credential-ecr"):
        assert path.stat().st_uid == NOBODY
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert helper("configure", "--remove", wrap=as_user(NOBODY)).status == 0
    assert not config.exists()


@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "folder", "fifo"])
def test_what_is_in_the_lock_s_place_is_left_alone(
    helper: Helper, config: Path, home: Path, kind: str
) -> None:
    """No lock is made of what another put there: it stays as it is, and configure goes on."""
    lock = home / ".local" / "state" / "docker-credential-ecr" / "configure.lock"
    lock.parent.mkdir(parents=True)
    precious = home / "precious"
    precious.write_text("precious")
    match kind:
        case "link":
            lock.symlink_to(precious)
        case "dangling":
            lock.symlink_to(home / "nowhere")
        case "hard link":
            lock.hardlink_to(precious)
        case "folder":
            lock.mkdir()
        case _:
            os.mkfifo(lock)
    assert helper("configure", HOST).status == 0
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    assert precious.read_text() == "precious"
    assert not (home / "nowhere").exists()


@pytest.mark.parametrize("umask", ["000", "077", "0777"])
def test_the_mask_of_new_files_does_not_matter(
    helper: Helper, config: Path, home: Path, umask: str
) -> None:
    """Whatever the umask: what is made is for its owner only, and can be used."""
    if umask == "0777" and os.geteuid() != 0:
        umask = "0277"
    done = helper("configure", HOST, wrap=("sh", "-c", f'umask {umask}; exec "$@"', "-"))
    assert (done.status, done.stderr) == (0, "")
    for path in (home / ".local").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_root_in_a_user_s_home(helper: Helper, config: Path, home: Path) -> None:
    """Root with a user's HOME, as under sudo, leaves nothing there that is root's."""
    need_root("have a user's home")
    config.unlink()
    config.parent.rmdir()
    os.chown(home, NOBODY, NOBODY)
    assert helper("configure", HOST).status == 0
    assert json.loads(config.read_text()) == {"credHelpers": {HOST: "ecr"}}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert helper("configure", "--all").status == 0
    for path in home.rglob("*"):
        assert path.stat().st_uid == NOBODY, path
    assert not (home / ".local").exists()
    assert helper("configure", "--remove").status == 0


# The journal is a file like any other: whatever is in it, configure goes on.

JOURNALS = {
    "not JSON": "[broken",
    "not an object": "[]",
    "deep": "[" * 200_000,
    "an endless number": "1" * 10_000,
    "an entry that is none": "ENTRY 1",
    "no steps": 'ENTRY {"displaced": {}}',
    "steps that are none": 'ENTRY {"steps": [1], "displaced": {}}',
    "steps that are text": 'ENTRY {"steps": "abc", "displaced": {}}',
    "a step without undo": 'ENTRY {"steps": [{"before": "a", "after": "AFTER"}], "displaced": {}}',
    "an undo of text": 'ENTRY {"steps": [{"before": "a", "after": "AFTER", "undo": "x"}], "displaced": {}}',
    "an undo of two": 'ENTRY {"steps": [{"before": "a", "after": "AFTER", "undo": [[1, 2]]}], "displaced": {}}',
    "places that are none": 'ENTRY {"steps": [{"before": "a", "after": "AFTER", "undo": [[true, 1.5, "x"]]}], "displaced": {}}',
    "places beyond the end": 'ENTRY {"steps": [{"before": "a", "after": "AFTER", "undo": [[999, -999, "x"]]}], "displaced": {}}',
    "a helper that is none": 'ENTRY {"steps": [], "displaced": {"HOST": 1}}',
    "displaced by a list": 'ENTRY {"steps": [], "displaced": []}',
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("text", JOURNALS.values(), ids=JOURNALS.keys())
def test_a_malformed_journal(helper: Helper, config: Path, home: Path, text: bytes | str) -> None:
    """A journal that we did not write is as if there were none."""
    assert helper("configure", HOST).status == 0
    import hashlib

    after = hashlib.sha256(config.read_bytes()).hexdigest()
    journal = home / ".local" / "state" / "docker-credential-ecr" / "configure.json"
    if isinstance(text, str) and text.startswith("ENTRY "):
        entry = text.removeprefix("ENTRY ").replace("AFTER", after).replace("HOST", HOST)
        text = f"{{{json.dumps(str(config))}: {entry}}}"
    journal.write_bytes(text if isinstance(text, bytes) else text.encode())
    for arguments in (("--remove", "--dry-run"), ("--remove",), (HOST,), ("--remove",)):
        done = helper("configure", *arguments)
        assert (done.status, done.stderr) == (0, "")
    assert json.loads(config.read_text()) == {}
