"""Every disk that a cache may meet: the right answer all the same, nothing served that should not be.

Where it takes a mount, the executable runs in a mount namespace of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    CALL,
    HOST,
    HOUR,
    Helper,
    age,
    as_user,
    entries,
    failing,
    in_namespaces,
    login,
    need_root,
    write,
)
from kit import OTHER_ACCOUNT as OTHER


@pytest.fixture
def entry(aws: FakeAWS, helper: Helper, cache: Path) -> Path:
    """Return the entry of a token that was fetched just now."""
    helper.get()
    [path] = (cache / HOST).iterdir()
    return path


def secret_of(path: Path) -> str:
    return str(json.loads(path.read_text().rstrip("\n").rpartition("\n")[2]))


def write_anew(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


def fetched_anew(aws: FakeAWS, helper: Helper, old: str) -> bool:
    """Whether the next get does not answer with ``old`` but with what AWS issues then."""
    answer = helper.get()
    assert answer.stderr == ""
    assert aws.issued[answer.secret] == ("AKIATEST", "us-east-1")
    return answer.secret != old and aws.count(CALL) == 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_a_truncated_entry(aws: FakeAWS, helper: Helper, entry: Path, share: float) -> None:
    """An entry that ends too soon is fetched anew (test_cache.py: at every byte)."""
    old = secret_of(entry)
    os.truncate(entry, int((entry.stat().st_size - 1) * share))

    assert fetched_anew(aws, helper, old)
    assert helper.get().secret == secret_of(entry)


def an_unknown_key(path: Path) -> None:
    write_anew(path, path.read_bytes().replace(b"\nenv ", b"\nsurprise x\nenv ", 1))


def an_unknown_version(path: Path) -> None:
    write_anew(path, path.read_bytes().replace(b"ecr 2\n", b"ecr 1\n", 1))


def another_host(path: Path) -> None:
    write_anew(path, path.read_bytes().replace(HOST.encode(), OTHER.encode(), 1))


def no_conditions(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    kinds = (b"env ", b"unset ", b"file ", b"absent ")
    write_anew(path, b"\n".join(line for line in lines if not line.startswith(kinds)))


def bytes_of_no_text(path: Path) -> None:
    write_anew(path, os.urandom(4000))


def nothing(path: Path) -> None:
    write_anew(path, b"")


def too_much(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * (1 << 20))


def from_the_future(path: Path) -> None:
    age(path, -3600)


def world_writable(path: Path) -> None:
    path.chmod(0o666)


def readable_by_the_group(path: Path) -> None:
    path.chmod(0o640)


def a_symlink(path: Path) -> None:
    target = path.with_name(".target")
    path.rename(target)
    path.symlink_to(target)


def a_hard_link(path: Path) -> None:
    os.link(path, path.with_name(".link"))


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def a_socket(path: Path) -> None:
    import socket

    path.unlink()
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)  # the path is longer than a socket's name may be
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def another_owner(path: Path) -> None:
    need_root("give a file away")
    os.chown(path, 12345, 12345)


def a_directory_that_others_may_write(path: Path) -> None:
    path.parent.chmod(0o777)


def a_directory_of_another_owner(path: Path) -> None:
    need_root("give a directory away")
    os.chown(path.parent, 12345, 12345)


@pytest.mark.parametrize(
    "spoil",
    [
        an_unknown_key,
        an_unknown_version,
        another_host,
        no_conditions,
        bytes_of_no_text,
        nothing,
        too_much,
        from_the_future,
        world_writable,
        readable_by_the_group,
        a_symlink,
        a_hard_link,
        a_fifo,
        a_socket,
        another_owner,
        a_directory_that_others_may_write,
        a_directory_of_another_owner,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_anything_odd_is_as_if_absent(
    aws: FakeAWS, helper: Helper, entry: Path, spoil: Callable[[Path], None]
) -> None:
    """Fetched anew, in silence, and not listed; nor does another registry copy it."""
    old = secret_of(entry)
    spoil(entry)
    assert json.loads(helper("list").stdout) == {}

    assert helper.get(OTHER).secret != old
    assert fetched_anew(aws, helper, old)


def a_directory_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_file_for_the_host(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()


def a_file_for_the_cache(path: Path) -> None:
    shutil.rmtree(path.parent.parent)
    path.parent.parent.touch()


def a_dead_link_for_the_cache(path: Path) -> None:
    shutil.rmtree(path.parent.parent)
    path.parent.parent.symlink_to("/no/such/place")


@pytest.mark.parametrize(
    "spoil",
    [
        a_directory_in_its_place,
        a_file_for_the_host,
        a_file_for_the_cache,
        a_dead_link_for_the_cache,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_something_in_the_way(
    aws: FakeAWS, helper: Helper, entry: Path, spoil: Callable[[Path], None]
) -> None:
    """Where an entry cannot be kept each get fetches, without a word, and nothing else breaks."""
    spoil(entry)

    for calls in (2, 3):
        answer = helper.get()
        assert answer.secret in aws.issued
        assert answer.stderr == ""
        assert aws.count(CALL) == calls
    assert json.loads(helper("list").stdout) == {}
    assert helper("erase", stdin=HOST).status == 0


def test_a_link_to_a_cache_elsewhere(aws: FakeAWS, helper: Helper, home: Path, cache: Path) -> None:
    """The whole cache may live elsewhere, behind a link that the user made."""
    (home / "elsewhere").mkdir()
    cache.parent.mkdir()
    cache.symlink_to(home / "elsewhere")

    assert helper.get().secret == helper.get().secret
    assert aws.count(CALL) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"HOME": None},
        {"HOME": "relative"},
        {"HOME": "/proc/nonexistent"},
        {"HOME": "/dev/null"},
        {"HOME": "/proc"},
        {"HOME": ""},
        {"AWS_ECR_DISABLE_CACHE": "1"},
        {"AWS_ECR_CACHE_DIR": "relative"},
        {"AWS_ECR_CACHE_DIR": "/proc/ecr"},
    ],
    ids=str,
)
def test_no_place_for_a_cache(
    aws: FakeAWS, helper: Helper, tmp_path: Path, changes: dict[str, str | None]
) -> None:
    """No home, none that can be written, or the cache switched off: the answer, each time.

    The user database has no home either: a bare process such as the kubelet's is like that.
    """
    wrap = without_a_home(tmp_path, "root:x:0:0:root:/proc/nonexistent:/bin/sh\n")

    for calls in (1, 2):
        answer = helper.get(env=changes, wrap=wrap)
        assert answer.secret in aws.issued
        assert answer.stderr == ""
        assert aws.count(CALL) == calls
    assert json.loads(helper("list", env=changes, wrap=wrap).stdout) == {}
    assert helper("erase", stdin=HOST, env=changes, wrap=wrap).status == 0


def without_a_home(folder: Path, users: str) -> tuple[str, ...]:
    """Return what to put before a command so that the user database is ``users``."""
    (folder / "passwd").write_text(users)
    return mounted(f"mount --bind {folder}/passwd /etc/passwd")


def test_a_user_that_nobody_knows(aws: FakeAWS, helper: Helper, tmp_path: Path) -> None:
    """In a container under any user id, with no HOME and no entry for it: the answer all the same."""
    wrap = without_a_home(tmp_path, "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")
    wrap = (*wrap, "unshare", "--user", "--map-user=4242")

    for calls in (1, 2):
        assert helper.get(env={"HOME": None}, wrap=wrap).secret in aws.issued
        assert aws.count(CALL) == calls


def test_an_empty_home_is_botocores(
    aws: FakeAWS, env: dict[str, str], helper: Helper, home: Path, tmp_path: Path
) -> None:
    """Below it botocore looks in the root, where nothing is, whatever the user database's home has."""
    place = tmp_path / "database"
    wrap = without_a_home(tmp_path, f"root:x:0:0:root:{place}:/bin/sh\n")
    env |= {"AWS_ECR_CACHE_DIR": str(home / "cache"), "HOME": ""}

    first = helper.get(wrap=wrap).secret
    write(place / ".aws" / "config", "[default]\n")

    assert helper.get(wrap=wrap).secret == first


def test_a_cache_far_down(aws: FakeAWS, helper: Helper, home: Path) -> None:
    """A path may have as many names as fit into it: all are made, and the second get finds the token."""
    env = {"AWS_ECR_CACHE_DIR": str(home) + "/d" * ((4000 - len(str(home))) // 2)}

    secrets = [helper.get(env=env).secret for _ in range(2)]
    subprocess.run(["rm", "-r", home / "d"], check=True)  # Python's own way ends at a thousand

    assert secrets[0] == secrets[1]
    assert aws.count(CALL) == 1


def test_a_logout_on_a_full_disk(aws: FakeAWS, helper: Helper, home: Path, cache: Path) -> None:
    """What is removed makes room for the mark: all has gone, and nothing is said to be left."""
    folder = home / ".cache"
    folder.mkdir()
    fill = (
        f"printf %s {HOST} | {helper.path} get >/dev/null && test -d {cache / HOST} &&"
        f' ! head -c 1M /dev/zero 2>/dev/null >{folder}/all && exec "$@"'
    )
    wrap = (*mounted(f"mount -t tmpfs -o size=64k tmpfs {folder}"), "sh", "-c", fill, "-")
    done = helper("erase", stdin=HOST, wrap=wrap)
    assert (done.status, done.stderr) == (0, "")
    assert aws.count(CALL) == 1


def test_below_a_directory_of_roots_a_user_keeps_a_cache(aws: FakeAWS, helper: Helper) -> None:
    """As /tmp is: the system's directory, in which anybody may make one of their own."""
    need_root("be another user")
    wrap = as_user(4321)
    with tempfile.TemporaryDirectory(prefix="cache-") as folder:
        os.chmod(folder, 0o1777)
        own = Path(folder) / "own"
        for _ in range(2):
            env = {"HOME": folder, "AWS_ECR_CACHE_DIR": str(own)}
            assert helper.get(env=env, wrap=wrap).secret in aws.issued
        assert own.stat().st_uid == 4321
    assert aws.count(CALL) == 1


NO_BOOT_ID = "mount -t tmpfs tmpfs /proc/sys/kernel/random"


@pytest.fixture
def of_the_machine(aws: FakeAWS, helper: Helper) -> Helper:
    """The helper where the identity is the instance's, as ``NO_BOOT_ID`` tells it from no other."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        del helper.env[name]
    helper.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url
    return helper


def test_a_machine_without_a_boot_id(aws: FakeAWS, of_the_machine: Helper) -> None:
    """As macOS and Windows, it is known by its name and by when it was started: a hit."""
    wrap = mounted(NO_BOOT_ID)
    first = of_the_machine.get(wrap=wrap).secret
    asked = aws.requests

    assert of_the_machine.get(wrap=wrap).secret == first
    assert aws.requests == asked
    assert of_the_machine.get().secret != first  # nor does it serve where there is a boot id


def test_a_machine_that_cannot_be_told_from_others(
    aws: FakeAWS, of_the_machine: Helper, cache: Path
) -> None:
    """Without a boot id, and without a name, its token is answered with and not kept."""
    nameless = "echo > /proc/sys/kernel/hostname"
    wrap = in_namespaces("--mount", "--uts", script=f"{nameless}; {NO_BOOT_ID}")
    first = of_the_machine.get(wrap=wrap).secret

    assert of_the_machine.get(wrap=wrap).secret != first
    assert not (cache / HOST).exists() or entries(cache) == []


@pytest.mark.parametrize("what", ["another machine", "another boot", "no time", "no name"])
def test_a_boot_by_its_time_is_this_one(
    of_the_machine: Helper, aws: FakeAWS, cache: Path, what: str
) -> None:
    """A disk's image, and a later boot, get no token of this machine and this boot."""
    wrap = mounted(NO_BOOT_ID)
    first = of_the_machine.get(wrap=wrap).secret
    (entry,) = (path for path in (cache / HOST).iterdir() if path.name[0] != ".")
    found = re.search(r"(?m)^booted (\d+) (\S+)$", entry.read_text())
    assert found is not None
    changed = {
        "another machine": f"booted {found[1]} {found[2]}x",
        "another boot": f"booted {int(found[1]) + 600} {found[2]}",
        "no time": f"booted {found[2]}",
        "no name": f"booted {found[1]}",
    }[what]
    entry.write_text(entry.read_text().replace(found[0], changed))

    assert of_the_machine.get(wrap=wrap).secret != first


def test_a_boot_by_its_time_drifts(of_the_machine: Helper, cache: Path) -> None:
    """The time of a boot is computed from clocks, which are set: half a minute is no other boot."""
    wrap = mounted(NO_BOOT_ID)
    first = of_the_machine.get(wrap=wrap).secret
    (entry,) = (path for path in (cache / HOST).iterdir() if path.name[0] != ".")
    found = re.search(r"(?m)^booted (\d+) ", entry.read_text())
    assert found is not None
    entry.write_text(entry.read_text().replace(found[0], f"booted {int(found[1]) - 30} "))

    assert of_the_machine.get(wrap=wrap).secret == first


def test_switched_off_means_neither_read_nor_written(
    aws: FakeAWS, helper: Helper, entry: Path
) -> None:
    """AWS_ECR_DISABLE_CACHE does not look at a token on disk, and leaves it as it is."""
    data = entry.read_bytes()

    assert helper.get(env={"AWS_ECR_DISABLE_CACHE": "1"}).secret != secret_of(entry)
    assert aws.count(CALL) == 2
    assert entry.read_bytes() == data
    assert list(entry.parent.iterdir()) == [entry]


def mounted(script: str) -> tuple[str, ...]:
    """Return what to put before a command so that it runs after ``script``, in its own mounts."""
    return in_namespaces("--mount", script=script)


def test_a_read_only_cache_that_is_empty(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A cache directory that cannot be written costs a call each time, and never the answer."""
    cache.mkdir(parents=True)
    wrap = mounted(f"mount -t tmpfs -o ro tmpfs {cache}")

    for calls in (1, 2):
        answer = helper.get(wrap=wrap)
        assert answer.secret in aws.issued
        assert answer.stderr == ""
        assert aws.count(CALL) == calls


def test_a_read_only_cache_with_a_token(
    aws: FakeAWS, helper: Helper, entry: Path, cache: Path
) -> None:
    """A token that is there is served from a read-only disk; erase succeeds, and changes nothing."""
    wrap = mounted(f"mount --bind {cache} {cache}; mount -o remount,ro,bind {cache}")

    assert helper.get(wrap=wrap).secret == secret_of(entry)
    assert aws.count(CALL) == 1
    assert helper("erase", stdin=HOST, wrap=wrap).status == 0
    assert helper.get(wrap=wrap).secret == secret_of(entry)


def test_a_read_only_cache_with_a_token_that_is_due(
    aws: FakeAWS, helper: Helper, entry: Path, cache: Path
) -> None:
    """Where no renewal can be kept the token is served, and no process is started in vain."""
    age(entry, 10 * HOUR)
    wrap = mounted(f"mount --bind {cache} {cache}; mount -o remount,ro,bind {cache}")

    assert helper.get(wrap=wrap).secret == secret_of(entry)
    assert aws.count(CALL) == 1


@pytest.mark.parametrize("size", ["4k", "8k", "12k", "16k", "20k"])
def test_a_full_disk(aws: FakeAWS, helper: Helper, cache: Path, size: str) -> None:
    """Whether not a byte fits, or part of an entry: the answer, and no part of an entry is kept."""
    cache.mkdir(parents=True)
    script = (
        f"mount -t tmpfs -o size={size} tmpfs {cache}; "
        f"head -c 1M /dev/zero > {cache}/.full 2> /dev/null || true"
    )
    look = (
        '"$1" get < "$2" > "$3/1"; "$1" get < "$2" > "$3/2"; '
        f"find {cache} -type f -path '*{HOST}*' -size -1k"
    )
    request = cache.parent / "host"
    request.write_text(HOST)
    done = subprocess.run(
        [*mounted(script), "sh", "-c", look, "-", helper.path, request, cache.parent],
        capture_output=True,
        text=True,
        env=helper.environment(),
        check=True,
    )

    assert done.stdout == ""
    assert done.stderr == ""
    for name in "12":
        assert json.loads((cache.parent / name).read_text())["Secret"] in aws.issued


@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EIO"])
def test_a_disk_without_locks(aws: FakeAWS, helper: Helper, error: str) -> None:
    """Where no lock is to be had, as on some file servers, it is done without: answered and kept."""
    secret = helper.get(wrap=failing("flock", error)).secret

    assert helper.get().secret == secret
    assert aws.count(CALL) == 1


@pytest.mark.parametrize("which", ["1", "2"], ids=["locks", "host"])
def test_a_directory_that_another_process_makes(
    aws: FakeAWS, helper: Helper, cache: Path, which: str
) -> None:
    """Who is told that a directory is there, and finds that a sweep has taken it, makes it again."""
    cache.mkdir(parents=True, mode=0o700)
    secret = helper.get(wrap=failing("mkdirat", "EEXIST", when=which)).secret

    assert helper.get().secret == secret
    assert aws.count(CALL) == 1


def test_a_mark_that_cannot_be_read(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """Where a link is in the place of a logout's mark nobody knows what came after it.

    No token of another registry is copied there, and what AWS issues then is not kept.
    """
    helper.get()
    helper("erase", stdin=OTHER)
    mark = cache / OTHER / ".erased"
    mark.unlink()
    mark.symlink_to("/dev/null")

    assert helper.get(OTHER).secret != helper.get().secret
    assert aws.count(CALL) == 2
    assert entries(cache, OTHER) == []


@pytest.mark.parametrize("call", ["openat", "read"])
def test_a_logout_that_cannot_read_an_entry(
    aws: FakeAWS, helper: Helper, entry: Path, call: str
) -> None:
    """What cannot be read may have copies for other registries: it goes, and that is said."""
    place = entry if call == "read" else entry.name  # by its descriptor, or within its directory
    answer = helper("erase", stdin=HOST, wrap=failing(call, "EIO", place))

    assert (answer.status, answer.stdout) == (0, "")
    assert f'the tokens of "{HOST}" could not all be removed' in answer.stderr
    assert not entry.exists()


def test_a_claim_whose_owner_is_done(aws: FakeAWS, helper: Helper, entry: Path) -> None:
    """A claim that was there, and is gone at the next look, has been made use of: nobody is asked."""
    age(entry, 10 * HOUR)
    # The command ends when all have ended that it has started.
    answer = helper.get(wrap=failing("openat", "EEXIST", f".{entry.name}.renewal"))

    assert answer.secret == secret_of(entry)
    assert aws.count(CALL) == 1


def test_a_lock_that_cannot_be_looked_at(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A sweep that meets one leaves it, and what it was called after is done all the same."""
    helper.get()
    old = cache / ".locks" / "0123456789abcdef"
    write(old, "")
    os.utime(old, (1, 1))

    answer = helper("refresh", HOST, wrap=failing("newfstatat", "EIO", old.name))
    assert (answer.status, answer.stderr) == (0, "")
    assert old.exists()
    helper("refresh", HOST)
    assert not old.exists()


def test_a_login_that_cannot_be_kept_is_an_error(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """A docker login must not succeed where the password is not kept: it says where."""
    request = login(aws.new_password("AKIALOGIN", "us-east-1"))
    cache.mkdir(parents=True)
    wrap = mounted(f"mount -t tmpfs -o ro tmpfs {cache}")

    answer = helper("store", stdin=request, wrap=wrap)
    off = helper("store", stdin=request, env={"AWS_ECR_DISABLE_CACHE": "1"})

    assert answer.status == off.status == 1
    assert answer.stdout == f'the login of "{HOST}" cannot be written below "{cache}"\n'
    assert "hint: or set AWS_ECR_CACHE_DIR to another directory" in answer.stderr
    assert "the cache is switched off" in off.stdout


def test_the_umask_does_not_matter(aws: FakeAWS, helper: Helper, cache: Path) -> None:
    """Under umask 0 and under umask 0777 the token is kept, for its owner only."""
    for mask in ("0000", "0777"):
        wrap = ("sh", "-c", f'umask {mask}; exec "$@"', "-")
        assert helper.get(wrap=wrap).secret in aws.issued
        places = [cache, *cache.rglob("*")]
        assert all(path.stat().st_mode & 0o077 == 0 for path in places)
        shutil.rmtree(cache)
