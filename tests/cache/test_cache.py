"""Tokens on disk: what is served, what is not, and how an entry comes and goes.

The functions are called with a folder, an environment and a time of the test's own; the executable
meets the same disks in test_disk.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import HOST, HOUR, need_root
from kit import OTHER_ACCOUNT as OTHER

from docker_credential_ecr import cache, claims, keeping, sweeping

NOW = 1_795_000_000  # epoch seconds
PROD = {"AWS_PROFILE": "prod"}
NAME, SECOND, THIRD = "0123456789abcdef", "00000000000000a0", "00000000000000b0"  # of entries


def keep(folder: str, token: cache.Token) -> bool:
    """Keep a token that was fetched just now."""
    return keeping.write(folder, token, begun=cache_time())


def token(**changes: Any) -> cache.Token:
    """Return a token of 12 hours that was issued at NOW for the profile prod."""
    values = {
        "host": HOST,
        "secret": "c2VjcmV0" * 300,
        "issued": NOW,
        "refresh": NOW + 5 * HOUR,
        "renew": NOW + 11 * HOUR,
        "expires": NOW + 12 * HOUR,
        "name": NAME,
        "scope": "ecr us-east-1",
        "conditions": ["env AWS_PROFILE=prod"],
    }
    return cache.Token(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


def entry(folder: str, name: str = NAME) -> str:
    return f"{folder}/{HOST}/{name}"


def served(
    folder: str, now: float = NOW, environ: Mapping[str, str] | None = None, host: str = HOST
) -> str | None:
    """Return the secret that the cache serves, if it serves one."""
    found = cache.lookup(folder, host, PROD if environ is None else environ, now)
    return None if found is None else found.secret


def test_what_is_kept_comes_back(folder: str) -> None:
    """Every field of an entry survives the disk, and its repr does not show the secret."""
    kept = token(identity="profile=prod", source="env", replaced="5f0c")

    assert keep(folder, kept)
    found = cache.lookup(folder, HOST, PROD, NOW)

    assert found is not None
    for field in cache.Token.__slots__:
        assert getattr(found, field) == getattr(kept, field)
    assert kept.secret not in repr(found)
    assert HOST in repr(found)


def test_the_format_is_the_one_that_is_written_down(folder: str) -> None:
    """The bytes on disk are those of the design: other readers rely on them."""
    keep(folder, token(secret="c2VjcmV0", conditions=["env A=b", "unset C"]))

    with open(entry(folder), "rb") as file:
        data = file.read()

    assert data == (
        b"docker-credential-ecr 2\n"
        b"host 123456789012.dkr.ecr.us-east-1.amazonaws.com\n"
        b"issued 1795000000\n"
        b"refresh 1795018000\n"
        b"renew 1795039600\n"
        b"expires 1795043200\n"
        b"scope ecr us-east-1\n"
        b"env A=b\n"
        b"unset C\n"
        b"\n"
        b'"c2VjcmV0"\n'
    )


def test_only_the_owner_can_read_it_from_birth(folder: str) -> None:
    """Under the widest umask directories are 0700 and files 0600, and nothing is left beside."""
    before = os.umask(0)
    try:
        keep(folder, token())
    finally:
        os.umask(before)

    assert stat.S_IMODE(os.stat(entry(folder)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{folder}/{HOST}").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert os.listdir(f"{folder}/{HOST}") == [NAME]


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    """The user may point the cache at a directory of his own: its mode is his business."""
    tmp_path.chmod(0o755)

    assert keep(str(tmp_path), token())

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE(os.stat(tmp_path / HOST).st_mode) == 0o700


def test_a_wider_directory_of_ours_is_narrowed(folder: str) -> None:
    """A cache directory that others could enter is closed by the next write."""
    os.makedirs(f"{folder}/{HOST}", 0o755)

    assert keep(folder, token())

    assert stat.S_IMODE(os.stat(f"{folder}/{HOST}").st_mode) == 0o700


@pytest.mark.parametrize(
    ("now", "is_served"),
    [
        (NOW - 1, False),
        (NOW, True),
        (NOW + 5 * HOUR, True),
        (NOW + 11 * HOUR, True),
        (NOW + 12 * HOUR - 1, True),
        (NOW + 12 * HOUR, False),
        (NOW + 1000 * HOUR, False),
    ],
)
def test_a_token_is_served_from_its_issue_until_it_expires(
    folder: str, now: int, *, is_served: bool
) -> None:
    """Not before it was issued (the clock went back), and never from its expiry on."""
    keep(folder, token())

    assert (served(folder, now) is not None) == is_served


@pytest.mark.parametrize(
    "changes",
    [
        {"refresh": NOW - 1},
        {"renew": NOW + HOUR},
        {"expires": NOW + 2 * HOUR},
        {"expires": NOW + 12 * HOUR + 1},
        {"expires": NOW + 1000 * HOUR},
        {"issued": NOW + 13 * HOUR},
    ],
    ids=str,
)
def test_times_that_cannot_be(folder: str, changes: dict[str, int]) -> None:
    """Times out of order, or a life longer than ECR gives, make an entry as if absent."""
    keep(folder, token(**changes))

    assert served(folder) is None


@pytest.mark.parametrize(
    ("conditions", "environ", "is_served"),
    [
        (["env A=1"], {"A": "1"}, True),
        (["env A=1"], {"A": "2"}, False),
        (["env A=1"], {}, False),
        (["env A="], {"A": ""}, True),
        (["env A="], {}, False),
        (["env A=b=c"], {"A": "b=c"}, True),
        (["env A= b "], {"A": " b "}, True),
        (["unset A"], {}, True),
        (["unset A"], {"A": ""}, False),
        (["unset A", "env B=1"], {"B": "1"}, True),
        (["unset A", "env B=1"], {"A": "", "B": "1"}, False),
        (["residue A 97"], {"A": "a"}, True),
        (["residue A 97"], {"A": "b"}, False),
        (["residue A 97"], {}, False),
        (["absent /no/such/file"], {}, True),
        (["absent /"], {}, False),
        (["absent /no/such/file"] * 40, {}, True),
        (["unknown /a"], {}, False),
        (["env"], {}, False),
        (["ENV A=1"], {"A": "1"}, False),
        (["future-key 1"], {}, False),
        (["boot never"], {}, False),
        (["file 1 2 3 /no/such/file"], {}, False),
        (["file x"], {}, False),
        ([], {}, False),
    ],
    ids=str,
)
def test_conditions(
    folder: str, conditions: list[str], environ: dict[str, str], *, is_served: bool
) -> None:
    """A token is served only where all its conditions hold; never without one that we know."""
    keep(folder, token(conditions=conditions))

    assert (served(folder, environ=environ) is not None) == is_served


def test_this_boot_is_this_boot(folder: str) -> None:
    """A token bound to the machine's boot is served in it."""
    boot = cache.boot()
    assert boot

    keep(folder, token(conditions=[boot]))

    assert served(folder) is not None


def as_it_was(path: Path, kind: str) -> None:
    """Change a file, and give it back the size and the time of modification that it had."""
    before = path.stat()
    if kind == "touch -r":
        path.write_text("b")
    elif kind == "cp -p, over it":
        path.write_bytes(b"c")
    else:  # tar x, or an editor: another file in its place
        beside = path.with_name("beside")
        beside.write_text("d")
        os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(beside, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("kind", ["touch -r", "cp -p, over it", "tar x"])
def test_a_file_that_looks_as_it_did_is_another(folder: str, tmp_path: Path, kind: str) -> None:
    """The old identity is not served after a change whose size and time of modification are equal."""
    watched = tmp_path / "config"
    watched.write_text("a")
    keep(folder, token(conditions=[cache.state_of(str(watched))]))
    assert served(folder) is not None

    as_it_was(watched, kind)

    assert served(folder) is None


def test_a_file_condition_sees_every_change(folder: str, tmp_path: Path) -> None:
    """It names both times, size, inode and device; a file's disappearance is a change, too."""
    watched = tmp_path / "con fig"
    watched.write_text("a")
    os.utime(watched, ns=(1, 1_790_000_000_123_456_789))
    line = cache.state_of(str(watched))
    state = watched.stat()
    assert line == (
        f"file 1790000000123456789 {state.st_ctime_ns} 1 {state.st_ino} {state.st_dev} {watched}"
    )
    keep(folder, token(conditions=[line]))
    assert served(folder) is not None

    watched.unlink()
    assert served(folder) is None


def test_a_path_that_cannot_be_examined_vouches_for_nothing(folder: str, tmp_path: Path) -> None:
    """A loop of links is neither there nor absent: no entry holds on it."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    line = cache.state_of(str(loop))
    keep(folder, token(conditions=[line]))

    assert line == f"unknown {loop}"
    assert served(folder) is None
    assert cache.state_of("a\0b") == "unknown a\0b"
    assert cache.state_of("/dev/null/x") == "absent /dev/null/x"


def test_a_login_wins_and_newer_wins(folder: str) -> None:
    """A login wins over every issued token, a newer token over an older one."""
    keep(folder, token(name=SECOND, secret="b2xk", issued=NOW))
    keep(folder, token(name=THIRD, secret="bmV3", issued=NOW + 1))
    assert served(folder, NOW + 2) == "bmV3"

    keep(folder, token(name=cache.LOGIN, secret="bG9naW4", conditions=[]))
    assert served(folder, NOW + 2) == "bG9naW4"
    assert served(folder, NOW + 2, environ={}) == "bG9naW4"


def test_each_identity_its_own_token(folder: str) -> None:
    """Two profiles keep two tokens side by side, and neither is served to the other or to none."""
    keep(folder, token(name=SECOND, secret="cHJvZA", conditions=["env AWS_PROFILE=prod"]))
    keep(folder, token(name=THIRD, secret="ZGV2", conditions=["env AWS_PROFILE=dev"]))

    assert served(folder, environ={"AWS_PROFILE": "prod"}) == "cHJvZA"
    assert served(folder, environ={"AWS_PROFILE": "dev"}) == "ZGV2"
    assert served(folder, environ={"AWS_PROFILE": "test"}) is None
    assert served(folder, environ={}) is None


def test_truncated_at_every_byte(folder: str) -> None:
    """No beginning of an entry is served, however long; the whole is."""
    keep(folder, token(conditions=["env AWS_PROFILE=prod", "unset AWS_ACCESS_KEY_ID"]))
    path = entry(folder)
    with open(path, "rb") as file:
        data = file.read()

    for length in range(len(data)):
        os.truncate(path, length)
        assert served(folder) is None, f"served after {length} bytes of {len(data)}"
        with open(path, "wb") as file:
            file.write(data)
    assert served(folder) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"docker-credential-ecr 2", b"docker-credential-ecr 1"),
        (b"docker-credential-ecr 2", b"docker-credential-ecr 20"),
        (b"host 1", b"host 2"),
        (b"issued 1795000000", b"issued x"),
        (b"issued 1795000000\n", b""),
        (b"refresh ", b"refreshes "),
        (b"env AWS_PROFILE=prod\n", b""),
        (b"env AWS_PROFILE=prod", b"future AWS_PROFILE=prod"),
        (b"env AWS_PROFILE=prod", b"env AWS_PROFILE=prod\nunheard-of x"),
        (b'"c2', b"c2"),
        (b'"c2', b'"c\\u0032'),
        (b'"c2', b'"c"2'),
        (b'"c2', b'"c\x1b2'),
        (b'"c2', b'"c\xff2'),
        (b'"\n', b'"\n\n'),
        (b'"\n', b'"\r\n'),
        (b"\n\n", b"\n"),
        (b"\n", b"\r\n"),
    ],
    ids=str,
)
def test_anything_odd_about_the_text(folder: str, old: bytes, new: bytes) -> None:
    """Another version, an unknown key, a missing one or a secret that needs an escape: absent."""
    keep(folder, token())
    path = entry(folder)
    with open(path, "rb") as file:
        data = file.read()
    assert old in data

    with open(path, "wb") as file:
        file.write(data.replace(old, new))

    assert served(folder) is None


@pytest.fixture(scope="module")
def bytes_on_disk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], list[cache.Token]]:
    """Return a function that says what the cache reads where an entry holds the given bytes."""
    folder = str(tmp_path_factory.mktemp("bytes"))
    keep(folder, token())

    def read(data: bytes) -> list[cache.Token]:
        with open(entry(folder), "wb") as file:
            file.write(data)
        return list(cache.entries(folder, HOST))

    return read


@given(data=st.binary(max_size=400))
def test_any_bytes_at_all(bytes_on_disk: Callable[[bytes], list[cache.Token]], data: bytes) -> None:
    """Whatever an entry's file holds, reading it does not raise."""
    assert bytes_on_disk(data) == []


@given(data=st.data())
def test_bytes_changed_anywhere(
    bytes_on_disk: Callable[[bytes], list[cache.Token]], data: st.DataObject
) -> None:
    """An entry with any bytes replaced is served with its own host's name, or not at all."""
    good = (
        f"{cache.MAGIC}\nhost {HOST}\nissued {NOW}\nrefresh {NOW + 1}\nrenew {NOW + 2}\n"
        f'expires {NOW + 3}\nenv A=1\n\n"c2VjcmV0"\n'
    ).encode()
    place = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 8))
    changed = good[:place] + data.draw(st.binary(max_size=8)) + good[place + length :]

    for found in bytes_on_disk(changed):
        assert found.host == HOST
        assert found.conditions
        assert cache.is_plain(found.secret)
        assert found.expires - found.issued <= 12 * HOUR


def test_what_the_format_cannot_say_is_not_kept(folder: str) -> None:
    """A value with a line break, or a secret that needs an escape, is never written."""
    assert not keep(folder, token(conditions=["env A=b\nunset C"]))
    assert not keep(folder, token(secret='a"b'))
    assert not keep(folder, token(secret="a\\b"))
    assert not keep(folder, token(secret="é"))
    assert not keep(folder, token(secret=""))
    assert not keep(folder, token(secret="a" * (cache.ENTRY_LIMIT + 1)))
    assert not os.path.exists(folder)


def test_bytes_that_are_no_text_in_a_variable(folder: str) -> None:
    """A variable's bytes that are not UTF-8 make a condition like any other."""
    environ = {"HOME": os.fsdecode(b"/home/m\xfcller")}
    keep(folder, token(conditions=[f"env HOME={environ['HOME']}"]))

    assert served(folder, environ=environ) is not None
    assert served(folder, environ={"HOME": "/home/müller"}) is None


def make_writable_by_others(path: str) -> None:
    os.chmod(path, 0o602)


def make_readable_by_others(path: str) -> None:
    os.chmod(path, 0o604)


def make_readable_by_the_group(path: str) -> None:
    os.chmod(path, 0o640)


def make_a_symlink(path: str) -> None:
    os.rename(path, f"{path}.away")
    os.symlink(f"{path}.away", path)
    os.rename(f"{path}.away", os.path.join(os.path.dirname(path), ".away"))
    os.unlink(path)
    os.symlink(".away", path)


def make_a_hard_link(path: str) -> None:
    os.link(path, f"{os.path.dirname(path)}/.second")


def make_a_fifo(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path, 0o600)


def make_a_directory(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def make_it_huge(path: str) -> None:
    os.truncate(path, cache.ENTRY_LIMIT + 1)


def make_the_directory_writable_by_others(path: str) -> None:
    os.chmod(os.path.dirname(path), 0o777)


def make_the_directory_a_symlink(path: str) -> None:
    place = os.path.dirname(path)
    os.rename(place, f"{os.path.dirname(place)}/.away")
    os.symlink(f"{os.path.dirname(place)}/.away", place)


def make_the_directory_a_file(path: str) -> None:
    place = os.path.dirname(path)
    os.rename(place, f"{os.path.dirname(place)}/.away")
    with open(place, "wb"):
        pass


def give_it_to_another_user(path: str) -> None:
    need_root("give a file away")
    os.chown(path, 12345, -1)


def give_the_directory_to_another_user(path: str) -> None:
    need_root("give a directory away")
    os.chown(os.path.dirname(path), 12345, -1)


ODDITIES = [
    make_writable_by_others,
    make_readable_by_others,
    make_readable_by_the_group,
    make_a_symlink,
    make_a_hard_link,
    make_a_fifo,
    make_a_directory,
    make_it_huge,
    make_the_directory_writable_by_others,
    make_the_directory_a_symlink,
    make_the_directory_a_file,
    give_it_to_another_user,
    give_the_directory_to_another_user,
]


@pytest.mark.parametrize("spoil", ODDITIES, ids=lambda spoil: spoil.__name__)
def test_anything_odd_about_the_file(folder: str, spoil: Callable[[str], None]) -> None:
    """Another owner, a wider mode, a link, a FIFO or a directory in its place: as if absent."""
    keep(folder, token())
    assert served(folder) is not None

    spoil(entry(folder))

    assert served(folder) is None


def test_a_writer_that_dies_or_fails_leaves_the_old_entry(folder: str) -> None:
    """The rename decides: where it fails the old entry stays, and nothing is left beside it."""
    keep(folder, token(secret="b2xk"))
    os.makedirs(f"{folder}/{HOST}/{SECOND}/in-the-way")

    assert not keep(folder, token(name=SECOND))

    assert served(folder) == "b2xk"
    assert sorted(os.listdir(f"{folder}/{HOST}")) == [SECOND, NAME]


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/x"])
def test_a_place_that_cannot_be_written(place: str) -> None:
    """Where nothing can be written, writing says so and everything else finds nothing."""
    assert not keep(place, token())
    assert served(place) is None
    assert cache.hosts("/dev/null") == []
    assert not claims.claim("/dev/null", token(), NOW, 60, unwritable=False)
    assert claims.claim("/dev/null", token(), NOW, 60, unwritable=True)
    keeping.erase("/dev/null", HOST)


def test_erase_forgets_a_host_and_the_copies_of_its_tokens(folder: str) -> None:
    """What was issued for one registry and copied for another is forgotten with it, no more."""
    keep(folder, token(secret="c2hhcmVk"))
    keep(folder, token(secret="c2hhcmVk", host=OTHER))
    keep(folder, token(secret="b3du", host=OTHER, name=SECOND))

    keeping.erase(folder, HOST)
    keeping.erase(folder, HOST)

    assert cache.entries(folder, HOST) == []
    assert os.listdir(f"{folder}/{HOST}") == [".erased"]
    assert [t.secret for t in cache.entries(folder, OTHER)] == ["b3du"]


def test_erase_does_not_follow_a_link(folder: str, tmp_path: Path) -> None:
    """A host's directory that is a link is not ours: what is behind it stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    os.makedirs(folder)
    os.symlink(outside, f"{folder}/{HOST}")

    keeping.erase(folder, HOST)

    assert (outside / "file").read_text() == "mine"


def test_what_has_had_its_time_is_swept(folder: str) -> None:
    """Of every host what is past any life goes, or from the future; nothing that is not ours."""
    now = cache_time()
    hour = 3600
    temporary = f".{NAME}.{SECOND}"
    aged = {
        NAME: 12 * hour - 60,
        SECOND: 12 * hour + 60,
        THIRD: -2 * hour,
        temporary: keeping.LEFTOVER_AGE + 60,
        f".{NAME}.1234": keeping.LEFTOVER_AGE - 60,
        f".{SECOND}.1234": keeping.LEFTOVER_AGE + 60,
        f".{NAME}.renewal": 12 * hour + 60,
        ".erased": 12 * hour + 60,
        "notes.txt": 1000 * hour,
        ".hidden": 1000 * hour,
    }
    for host in (HOST, OTHER):
        os.makedirs(f"{folder}/{host}", 0o700)
        for name, age in aged.items():
            path = f"{folder}/{host}/{name}"
            with open(path, "wb"):
                pass
            os.utime(path, (now - age, now - age))
    os.makedirs(f"{folder}/123456789012.dkr.ecr.eu-west-1.amazonaws.com", 0o700)

    sweeping.sweep(folder)

    left = sorted([NAME, f".{NAME}.1234", "notes.txt", ".hidden"])
    assert sorted(os.listdir(f"{folder}/{HOST}")) == left
    assert sorted(os.listdir(f"{folder}/{OTHER}")) == left
    assert cache.hosts(folder) == sorted([HOST, OTHER])


def test_old_locks_are_swept(folder: str) -> None:
    """A lock that nobody has used for the life of a token goes, one in use does not."""
    for name in (NAME, SECOND):
        held = claims.lock(folder, name)
        assert held is not None
        os.close(held)
    os.utime(f"{folder}/.locks/{SECOND}", (1, 1))

    sweeping.sweep(folder)

    assert os.listdir(f"{folder}/.locks") == [NAME]


def test_identities_without_end_do_not_fill_the_disk(folder: str) -> None:
    """Of more identities than anybody has the oldest are removed; a login never is."""
    now = cache_time()
    count = sweeping.ENTRIES_PER_HOST + 5
    os.makedirs(f"{folder}/{HOST}", 0o700)
    for number in range(count):
        path = f"{folder}/{HOST}/{number:016}"
        with open(path, "wb"):
            pass
        os.utime(path, (now - count + number, now - count + number))
    login = f"{folder}/{HOST}/{cache.LOGIN}"
    with open(login, "wb"):
        pass
    os.utime(login, (now - 2 * count, now - 2 * count))

    sweeping.sweep(folder)

    names = sorted(os.listdir(f"{folder}/{HOST}"))
    assert names[0] == f"{5:016}"
    assert len(names) == sweeping.ENTRIES_PER_HOST + 1
    assert cache.LOGIN in names


def test_one_claim_of_a_renewal(folder: str) -> None:
    """The first takes the claim, the others do not, until its life is over or it is given back."""
    kept = token()
    keep(folder, kept)
    now = cache_time()

    def claim(when: float) -> bool:
        return claims.claim(folder, kept, when, 60, unwritable=False)

    assert claim(now)
    assert not claim(now + 30)
    assert claim(now + 90)
    claims.release(folder, kept)
    assert claim(now + 90)
    # A clock that went back must not keep a renewal away for ever.
    assert claim(now - 10_000)


def test_a_claim_ends_by_our_clock(folder: str) -> None:
    """A claim from the future, by a clock that was wrong, starts one renewal and not one a get."""
    kept = token()
    keep(folder, kept)
    now = cache_time()
    path = f"{folder}/{HOST}/.{NAME}.renewal"
    with open(path, "wb"):
        pass
    os.utime(path, (now + 100_000, now + 100_000))

    made = [claims.claim(folder, kept, now, 60, unwritable=False) for _ in range(5)]

    assert made == [True, False, False, False, False]


@given(st.text())
def test_a_residue_is_a_small_number(secret: str) -> None:
    """For any text: at most 61 bits, decimal, and the same again."""
    residue = cache.residue_of(secret)

    assert residue.isdecimal()
    assert int(residue) < 2**61
    assert residue == cache.residue_of(secret)


def cache_time() -> float:
    """Return the time as the file system has it."""
    from time import time

    return time()
