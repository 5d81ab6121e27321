"""Links in the cache's way: what they lead to is never touched. Named after what a review found."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import CALL, HOST, HOUR, TIME_LIMIT, Helper, Run, entries, need_root, secrets_kept

DAYS = 3 * 24 * HOUR  # seconds, past everything that a sweep leaves alone


def victim(home: Path) -> Path:
    """Return a directory of the user's with files of every kind that a sweep could take."""
    place = home / "victim"
    place.mkdir(mode=0o755)
    for name in ("id_ed25519", "config", ".hidden", "0123456789abcdef", "login", ".erased"):
        path = place / name
        path.write_text("precious")
        os.utime(path, (time.time() - DAYS, time.time() - DAYS))
    return place


def is_untouched(place: Path) -> bool:
    """Whether all of it is there as it was, and nothing else."""
    texts = [path.read_text() for path in place.iterdir()]
    return texts == ["precious"] * 6 and place.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("place", [HOST, ".locks"])
def test_a_link_in_the_cache_does_not_make_a_get_delete_what_it_leads_to(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, place: str
) -> None:
    """In the place of a host's directory, or of the locks': each action leaves its target alone."""
    target = victim(home)
    cache.mkdir(parents=True, mode=0o700)
    (cache / place).symlink_to(target)

    assert helper.get().secret in aws.issued
    assert helper("erase", stdin=HOST).status == 0
    assert helper("refresh", HOST).status in (0, 1)
    assert helper("list").status == 0

    assert is_untouched(target)


def test_another_users_cache_directory_is_none(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path
) -> None:
    """Nothing is read from a directory that belongs to somebody else, and nothing written there."""
    need_root("give a directory away")
    helper.get()
    for path in (cache, *cache.rglob("*")):
        os.chown(path, 12345, 12345)
    before = sorted(cache.rglob("*"))

    first, second = helper.get().secret, helper.get().secret

    assert first != second
    assert aws.count(CALL) == 3
    assert sorted(cache.rglob("*")) == before
    assert helper("list").stdout == "{}\n"


def test_a_link_of_another_user_is_not_followed_to_a_directory_of_ours(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path
) -> None:
    """Root with a user's HOME: a link there to a directory of root's makes that no cache."""
    need_root("give a link away")
    target = victim(home)
    cache.parent.mkdir()
    cache.symlink_to(target)
    os.chown(cache, 12345, 12345, follow_symlinks=False)

    assert helper.get().secret in aws.issued
    assert helper("erase", stdin=HOST).status == 0

    assert is_untouched(target)


def test_sudo_with_the_users_home_leaves_nothing_of_roots_there(
    aws: FakeAWS, helper: Helper, home: Path
) -> None:
    """Below a home that is another user's root makes no directories: their owner could not use them."""
    need_root("be root")
    os.chown(home, 12345, 12345)

    assert helper.get().secret in aws.issued
    assert helper("store", stdin="{}").status == 1
    assert helper("configure", HOST).status in (0, 1)

    made = [path for path in home.rglob("*") if path.name in (".cache", ".local")]
    assert made == []


@pytest.mark.parametrize("kind", ["link", "hard link", "another owner"])
def test_a_link_among_the_locks_is_not_emptied(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, kind: str
) -> None:
    """A link, or a file with another name or owner, in the place of a lock: done without."""
    helper.get()
    [lock] = (cache / ".locks").iterdir()
    lock.unlink()
    precious = home / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "hard link":
        os.link(precious, lock)
    else:
        need_root("give a file away")
        precious.rename(lock)
        os.chown(lock, 12345, 12345)
        precious = lock
    helper("erase", stdin=HOST)

    assert helper.get().secret == helper.get().secret
    assert aws.count(CALL) == 2
    assert precious.read_text() == "precious"


def test_a_cache_in_memory_only(aws: FakeAWS, helper: Helper, tmp_path: Path, home: Path) -> None:
    """AWS_ECR_CACHE_DIR below XDG_RUNTIME_DIR keeps every token there, and nothing in the home."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    helper.env |= {"XDG_RUNTIME_DIR": str(runtime), "AWS_ECR_CACHE_DIR": str(runtime / "ecr")}

    assert helper.get().secret == helper.get().secret
    assert len(entries(runtime / "ecr")) == 1
    assert secrets_kept(home, aws.issued) == []


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_whatever_the_umask_is_the_cache_works_and_is_private(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, mask: int
) -> None:
    """With 000 no directory of ours is open to others, with 777 none is closed to us."""
    before = os.umask(mask)
    try:
        assert helper.get().secret == helper.get().secret
    finally:
        os.umask(before)

    assert aws.count(CALL) == 1
    for path in (cache.parent, cache, cache / HOST, cache / ".locks"):
        assert path.stat().st_mode & 0o777 == 0o700, path
    assert [path.stat().st_mode & 0o777 for path in entries(cache)] == [0o600]


# A system without O_PATH and with ELOOP for a link, as macOS: Linux's own kernel says ELOOP where
# O_DIRECTORY is not asked for. The program runs as ever, from before its first import.
AS_ON_MACOS = """\
import os, sys
del os.O_PATH, os.O_DIRECTORY
sys.argv[0] = "docker-credential-ecr"
from docker_credential_ecr import __main__
__main__.main()
"""


def on_macos(helper: Helper, *args: str, stdin: str = HOST) -> Run:
    """Run the installed package where a link is opened, and refused, as on macOS."""
    wrap = (sys.executable, "-I", "-c", AS_ON_MACOS)
    done = subprocess.run(
        [*wrap, *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=helper.environment(),
        timeout=TIME_LIMIT,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("relative", [False, True])
def test_a_cache_behind_a_link_of_the_users_own(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, relative: bool
) -> None:
    """It is used, whichever errno the system has for a link, and whether O_PATH is there or not."""
    target = home / "elsewhere"
    target.mkdir(mode=0o700)
    cache.parent.mkdir(mode=0o755)
    cache.symlink_to(Path("../elsewhere") if relative else target)

    first = on_macos(helper, "get").secret

    assert on_macos(helper, "get").secret == first
    assert helper.get().secret == first
    assert aws.count(CALL) == 1
    assert len(entries(target)) == 1
    assert on_macos(helper, "erase").status == 0
    assert not (target / HOST).exists() or entries(target) == []


@pytest.mark.parametrize("whose", ["the link", "its directory", "anybody's directory"])
def test_without_o_path_a_link_that_others_can_exchange_is_not_followed(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, whose: str
) -> None:
    """Who can put a link there would choose which directory of ours is the cache: none is used."""
    target = victim(home)
    cache.parent.mkdir(mode=0o755)
    cache.symlink_to(target)
    if whose == "anybody's directory":
        cache.parent.chmod(0o777)
    else:
        need_root("give a link away")
        given = cache if whose == "the link" else cache.parent
        os.chown(given, 12345, 12345, follow_symlinks=False)

    assert on_macos(helper, "get").secret in aws.issued
    assert on_macos(helper, "erase").status == 0

    assert is_untouched(target)


def test_links_within_the_cache_lead_nowhere_without_o_path(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path
) -> None:
    """A link in the place of a host's directory is none of the user's own making: as on Linux."""
    target = victim(home)
    cache.mkdir(parents=True, mode=0o700)
    (cache / HOST).symlink_to(target)

    assert on_macos(helper, "get").secret in aws.issued
    assert on_macos(helper, "erase").status == 0

    assert is_untouched(target)
