"""Tokens on disk: the last that is served or kept, and the first that is not."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit import HOST, LIFE, OTHER_ACCOUNT

from docker_credential_ecr import cache, claims, keeping, sweeping

NOW = 1_795_000_000  # epoch seconds
NAME, OTHER_NAME = "0123456789abcdef", "fedcba9876543210"
SET = {"A": "b"}
LIMIT = 128 << 10  # bytes of an entry


def token(**changes: Any) -> cache.Token:
    values = {
        "host": HOST,
        "secret": "c2VjcmV0",
        "issued": NOW,
        "refresh": NOW + 100,
        "renew": NOW + 200,
        "expires": NOW + 300,
        "name": NAME,
        "conditions": ["env A=b"],
    }
    return cache.Token(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


def keep(folder: str, **changes: Any) -> bool:
    return keeping.write(folder, token(**changes), begun=time.time())


def served(
    folder: str, now: float = NOW, environ: Mapping[str, str] | None = None, host: str = HOST
) -> str | None:
    found = cache.lookup(folder, host, SET if environ is None else environ, now)
    return None if found is None else found.secret


def path(folder: str, name: str = NAME, host: str = HOST) -> str:
    return f"{folder}/{host}/{name}"


def put(folder: str, text: str, name: str = NAME, host: str = HOST) -> None:
    """Put an entry's text on disk as it is."""
    os.makedirs(f"{folder}/{host}", 0o700, exist_ok=True)
    with open(path(folder, name, host), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)


def text(**changes: Any) -> str:
    """Return an entry's text, field by field."""
    fields = {
        "host": HOST,
        "issued": NOW,
        "refresh": NOW,
        "renew": NOW,
        "expires": NOW + 300,
        **changes,
    }
    lines = [f"{key} {value}" for key, value in fields.items() if value is not None]
    return "\n".join(["docker-credential-ecr 2", *lines, "env A=b", "", '"c2VjcmV0"', ""])


@pytest.mark.parametrize(
    ("now", "is_served"),
    [(NOW - 1, False), (NOW, True), (NOW + 299, True), (NOW + 299.9, True), (NOW + 300, False)],
)
def test_the_second_in_which_a_token_expires(folder: str, now: float, is_served: bool) -> None:
    """It is served up to that second, and not in it; and not before it was issued."""
    assert keep(folder)
    assert (served(folder, now) is not None) == is_served


@pytest.mark.parametrize(
    ("now", "is_served"), [(NOW - 9, True), (NOW + 299, True), (NOW + 300, False)]
)
def test_a_login_begins_when_it_was_made(folder: str, now: int, is_served: bool) -> None:
    """Whatever the clock said then, a login counts until it ends."""
    assert keep(folder, name=cache.LOGIN, conditions=())
    assert (served(folder, now) is not None) == is_served


@pytest.mark.parametrize(
    ("changes", "is_one"),
    [
        ({}, True),
        ({"issued": 0, "refresh": 0, "renew": 0, "expires": LIFE}, True),
        ({"issued": "000000000000", "refresh": 0, "renew": 0, "expires": LIFE}, True),
        ({"issued": "0000000000000", "refresh": 0, "renew": 0, "expires": LIFE}, False),
        ({"issued": "-1"}, False),
        ({"issued": f"+{NOW}"}, False),
        ({"issued": f" {NOW}"}, False),
        ({"issued": f"{NOW}.0"}, False),
        ({"issued": "1_795_000_000"}, False),
        ({"issued": "١٧٩٥٠٠٠٠٠٠"}, False),
        ({"issued": ""}, False),
        ({"issued": None}, False),
        ({"refresh": None}, False),
        ({"renew": None}, False),
        ({"expires": None}, False),
        ({"host": None}, False),
        ({"expires": NOW + LIFE}, True),
        ({"expires": NOW + LIFE + 1}, False),
        ({"refresh": NOW - 1}, False),
        ({"refresh": NOW + 1, "renew": NOW}, False),
        ({"renew": NOW + 301, "refresh": NOW}, False),
        ({"refresh": NOW + 300, "renew": NOW + 300}, True),
        ({"issued": NOW + 300, "refresh": NOW + 300, "renew": NOW + 300}, True),
    ],
    ids=str,
)
def test_times(folder: str, changes: dict[str, object], is_one: bool) -> None:
    """Four times in order, of up to twelve digits and a life of up to twelve hours."""
    put(folder, text(**changes))
    assert len(cache.entries(folder, HOST)) == is_one


def test_fields_in_any_order_and_once(folder: str) -> None:
    """The fields may come in any order; one that comes twice makes the entry as if absent."""
    lines = text(scope="ecr us-east-1").split("\n")
    put(folder, "\n".join([lines[0], *reversed(lines[1:7]), *lines[7:]]))
    assert served(folder) == "c2VjcmV0"
    put(folder, "\n".join([*lines[:7], "scope ecr us-east-1", *lines[7:]]))
    assert served(folder) is None


@pytest.mark.parametrize(
    "change",
    [
        (b"docker-credential-ecr 2", b"docker-credential-ecr 1"),
        (b"docker-credential-ecr 2", b"docker-credential-ecr 2 "),
        (b"docker-credential-ecr 2\n", b"\ndocker-credential-ecr 2\n"),
        (b'"\n', b'"'),
        (b'"\n', b'"\n\n'),
        (b'"\n', b"'\n"),
        (b'\n"', b"\n'"),
        (b'"c2VjcmV0"', b'""'),
        (b'"c2VjcmV0"', b'"'),
        (b'"c2VjcmV0"', b'"c2Vj"cmV0"'),
        (b'"c2VjcmV0"', b'"c2Vj\\\\cmV0"'),
        (b'"c2VjcmV0"', b'"c2Vj\tcmV0"'),
        (b'"c2VjcmV0"', '"c2VjcmV0é"'.encode()),
        (b"env A=b\n", b""),
        (b"env A=b\n", b"surprise\n"),
    ],
    ids=str,
)
def test_each_byte_has_its_place(folder: str, change: tuple[bytes, bytes]) -> None:
    """Another first line, a secret that JSON would escape, or no condition: as if absent."""
    put(folder, text().replace(change[0].decode(), change[1].decode(), 1))
    assert served(folder) is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("0123456789abcdef", True),
        ("login", True),
        ("0123456789abcde", False),
        ("0123456789abcdef0", False),
        ("0123456789ABCDEF", False),
        ("0123456789abcdeg", False),
        ("Login", False),
        (".0123456789abcde", False),
    ],
)
def test_names_of_entries(folder: str, name: str, is_one: bool) -> None:
    """16 hexadecimal digits in lower case, or the login."""
    put(folder, text(), name)
    assert (served(folder) is not None) == is_one
    assert cache.is_entry(name) == is_one


def test_an_entry_of_128_kib(folder: str) -> None:
    """So much is kept and served, and not a byte more."""
    keep(folder)
    room = LIMIT - os.path.getsize(path(folder)) + len(token().secret)

    assert keep(folder, secret="x" * room)
    assert os.path.getsize(path(folder)) == LIMIT
    assert served(folder) == "x" * room
    assert not keep(folder, secret="x" * (room + 1))
    assert served(folder) == "x" * room

    put(folder, text().replace("c2VjcmV0", "x" * LIMIT))
    assert served(folder) is None
    # The reader's own limit: one byte more than the writer would write.
    put(folder, text())
    room = LIMIT - os.path.getsize(path(folder)) + len("c2VjcmV0")
    for more, found in ((0, 1), (1, 0)):
        put(folder, text().replace("c2VjcmV0", "x" * (room + more)))
        assert os.path.getsize(path(folder)) == LIMIT + more
        assert len(cache.entries(folder, HOST)) == found


@pytest.mark.parametrize("bit", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040])
def test_files_that_others_may_touch(folder: str, bit: int) -> None:
    """Any right of the group's or of others' makes an entry as if absent."""
    keep(folder)
    os.chmod(path(folder), 0o600 | bit)
    assert served(folder) is None
    os.chmod(path(folder), 0o700)
    assert served(folder) == "c2VjcmV0"


@pytest.mark.parametrize(
    ("mode", "is_served"),
    [(0o700, True), (0o755, True), (0o711, True), (0o720, False), (0o702, False), (0o1777, False)],
)
def test_directories_that_others_may_change(folder: str, mode: int, is_served: bool) -> None:
    """Where others may write they could have put an entry; that they may look is no harm."""
    keep(folder)
    os.chmod(f"{folder}/{HOST}", mode)
    assert (served(folder) is not None) == is_served
    assert keep(folder, secret="bmV3")
    assert os.stat(f"{folder}/{HOST}").st_mode & 0o777 == 0o700


def test_the_cache_itself_may_be_entered_by_all(folder: str) -> None:
    """Others may write beside our directories, as in /tmp, but to none of them."""
    keep(folder)
    os.chmod(folder, 0o1777)
    assert served(folder) == "c2VjcmV0"
    assert cache.hosts(folder) == [HOST]
    assert os.stat(f"{folder}/{HOST}").st_mode & 0o777 == 0o700
    assert keep(folder, secret="bmV3")
    assert served(folder) == "bmV3"
    assert keep(folder, host=OTHER_ACCOUNT)
    assert claims.claim(folder, token(), NOW, 1, unwritable=False)
    lock = claims.lock(folder, NAME)
    assert lock is not None
    os.close(lock)
    assert keeping.erase(folder, HOST)
    assert served(folder) is None


def test_of_two_the_newer(folder: str) -> None:
    """The later of two wins, whatever its name; a login wins over both."""
    for first, second in ((NAME, OTHER_NAME), (OTHER_NAME, NAME)):
        keep(folder, name=first, secret="b2xk", issued=NOW - 1)
        keep(folder, name=second, secret="bmV3")
        assert served(folder) == "bmV3"
    keep(folder, name=cache.LOGIN, secret="bG9n", issued=NOW - 2, conditions=())
    assert served(folder) == "bG9n"


@pytest.mark.parametrize(
    ("conditions", "environ", "is_served"),
    [
        (["env A=b"], {"A": "b"}, True),
        (["env A=b"], {"A": "c"}, False),
        (["env A=b"], {}, False),
        (["env A=b=c"], {"A": "b=c"}, True),
        (["env A="], {"A": ""}, True),
        (["env A="], {}, False),
        (["unset A"], {}, True),
        (["unset A"], {"A": ""}, False),
        (["residue A 98"], {"A": "b"}, True),
        (["residue A 99"], {"A": "b"}, False),
        (["residue A 98"], {}, False),
        (["residue A 098"], {"A": "b"}, False),
        (["env A=b", "unset B"], {"A": "b"}, True),
        (["env A=b", "unset B"], {"A": "b", "B": "c"}, False),
        (["unset B", "env A=b"], {"A": "c"}, False),
        (["unknown A"], {}, False),
        (["boot"], {}, False),
        (["boot x"], {}, False),
        (["absent /"], {}, False),
        (["absent /no/such/file"], {}, True),
        (["file /"], {}, False),
        ([" env A=b"], {"A": "b"}, False),
        (["ENV A=b"], {"A": "b"}, False),
    ],
)
def test_conditions(conditions: list[str], environ: dict[str, str], is_served: bool) -> None:
    """All of them must hold, and one of a kind that is not known never does."""
    assert cache.holds(conditions, environ) == is_served


def test_a_residue_is_a_remainder() -> None:
    """Of the number that the bytes are, by 2**61 - 1."""
    assert cache.residue_of("") == "0"
    assert cache.residue_of("b") == "98"
    assert cache.residue_of((2**61 - 1).to_bytes(8, "big").decode("latin-1")) != ""
    assert cache.residue_of("\x01" + "\0" * 8) == str(2**64 % (2**61 - 1))


def test_what_can_be_kept() -> None:
    """Not what never holds, and not what would begin another line."""
    assert cache.is_keepable(["env A=b", "unset B"])
    assert cache.is_keepable([])
    assert not cache.is_keepable(["env A=b", "unknown /x"])
    assert not cache.is_keepable(["env A=b\nc"])


def test_the_subject_of_a_condition() -> None:
    """What it is about, whatever it says of it, with blanks in a path."""
    assert cache.subject("file 1 2 3 4 5 /a b c") == "/a b c"
    assert cache.subject("absent /a b c") == "/a b c"
    assert cache.subject("env A=b c") == "A=b c"
    assert cache.subject("unset A") == "A"
    assert cache.variables(["env A=b=c", "unset B", "env C=", "file 1 2 3 4 5 /x"]) == {
        "A": "b=c",
        "C": "",
    }


# Logouts and claims.


def mark(folder: str, when: str, host: str = HOST) -> None:
    os.makedirs(f"{folder}/{host}", 0o700, exist_ok=True)
    with open(path(folder, ".erased", host), "w") as file:
        file.write(when)


@pytest.mark.parametrize(("begun", "is_kept"), [(999.0, False), (1000.0, False), (1000.5, True)])
def test_what_was_begun_before_a_logout(folder: str, begun: float, is_kept: bool) -> None:
    """It is not kept, nor what was begun in that very moment."""
    mark(folder, "1000.0\n")
    assert keeping.write(folder, token(), begun=begun)
    assert (served(folder) is not None) == is_kept


@pytest.mark.parametrize(("issued", "may"), [(NOW - 1, False), (NOW, False), (NOW + 1, True)])
def test_what_was_issued_before_a_logout(folder: str, issued: int, may: bool) -> None:
    """It is not copied to the host that was erased."""
    mark(folder, f"{NOW}\n")
    assert keeping.may_copy(folder, token(host=OTHER_ACCOUNT, issued=issued), HOST) == may
    assert keeping.may_copy(folder, token(host=HOST, issued=0), OTHER_ACCOUNT)


def test_a_mark_that_says_nothing(folder: str) -> None:
    """One whose text is none is of when it was made; one from the future is of a wrong clock."""
    now = time.time()
    for text_, begun, is_kept in (
        ("", now - 5, False),
        ("x", now - 5, False),
        ("x", now + 5, True),
        (f"{now + 3600}", now - 5, True),
    ):
        mark(folder, text_)
        keeping.write(folder, token(), begun=begun)
        assert (served(folder) is not None) == is_kept
        keeping.forget(folder, token())


def test_how_long_a_claim_lasts(folder: str) -> None:
    """For the life that it was given and not a moment longer, by its time of modification."""
    keep(folder)
    claimed = token()

    assert claims.claim(folder, claimed, NOW, 100, unwritable=False)
    assert os.stat(path(folder, f".{NAME}.renewal")).st_mtime == NOW + 100
    assert not claims.claim(folder, claimed, NOW, 100, unwritable=True)
    assert not claims.claim(folder, claimed, NOW + 99, 100, unwritable=True)
    # For ten seconds more it could be one that has just been made, and has no time yet.
    assert not claims.claim(folder, claimed, NOW + 109, 100, unwritable=True)
    assert claims.claim(folder, claimed, NOW + 110, 100, unwritable=False)
    claims.release(folder, claimed)
    assert claims.claim(folder, claimed, NOW, 100, unwritable=False)


def test_the_longest_claim(folder: str) -> None:
    """A claim of more than half an hour is cut; one that ends later is of a wrong clock."""
    keep(folder)
    limit = claims.CLAIM_LIMIT
    assert limit == 1800

    assert claims.claim(folder, token(), NOW, limit + 1, unwritable=False)
    claim = path(folder, f".{NAME}.renewal")
    assert os.stat(claim).st_mtime == NOW + limit
    assert not claims.claim(folder, token(), NOW, 1, unwritable=False)
    os.utime(claim, (NOW + limit + 1,) * 2)
    assert claims.claim(folder, token(), NOW, 1, unwritable=False)


def test_no_place_for_a_claim(folder: str) -> None:
    """Where nobody can claim, the caller says what that means."""
    for unwritable in (True, False):
        assert claims.claim(folder, token(), NOW, 1, unwritable=unwritable) == unwritable


def test_a_claim_that_cannot_be_removed(folder: str) -> None:
    """One that has ended and stays, as on a disk that is read-only by now, is nobody's claim."""
    keep(folder)
    os.mkdir(path(folder, f".{NAME}.renewal"))
    os.utime(path(folder, f".{NAME}.renewal"), (1, 1))
    for unwritable in (True, False):
        assert claims.claim(folder, token(), NOW, 1, unwritable=unwritable) == unwritable


# Sweeping.

SWEPT = [
    # name, age in seconds, and whether it goes
    (NAME, LIFE - 60, False),
    (NAME, LIFE + 60, True),
    ("login", LIFE - 60, False),
    ("login", LIFE + 60, True),
    (".erased", LIFE - 60, False),
    (".erased", LIFE + 60, True),
    (f".{NAME}.renewal", LIFE - 60, False),
    (f".{NAME}.renewal", LIFE + 60, True),
    (f".{NAME}.0123456789abcdef", 540, False),
    (f".{NAME}.0123456789abcdef", 660, True),
    (".login.0123456789abcdef", 660, True),
    (".erased.0123456789abcdef", 540, False),
    (".erased.0123456789abcdef", 660, True),
    (f".{NAME}.1234", 660, True),
    (".login.1234", 660, True),
    # From the future.
    (NAME, -1740, False),
    (NAME, -1860, True),
    (f".{NAME}.renewal", -1740, False),
    (f".{NAME}.renewal", -1860, True),
    # Of nobody's form: never.
    ("id_rsa", 10 * LIFE, False),
    (".bashrc", 10 * LIFE, False),
    (f".{NAME}", 10 * LIFE, False),
    (f".{NAME}.", 10 * LIFE, False),
    (f".{NAME}.txt", 10 * LIFE, False),
    (f".{NAME}.0123456789ABCDEF", 10 * LIFE, False),
    (f".{NAME}.١٢", 10 * LIFE, False),
    (f"x{NAME}.0123456789abcdef", 10 * LIFE, False),
    (".config.0123456789abcdef", 10 * LIFE, False),
    (".config.renewal", 10 * LIFE, False),
    (f"{NAME}.renewal", 10 * LIFE, False),
    ("..renewal", 10 * LIFE, False),
    ("renewal", 10 * LIFE, False),
]


@pytest.mark.parametrize(("name", "age", "goes"), SWEPT)
def test_what_is_swept(folder: str, name: str, age: int, goes: bool) -> None:
    """What has had its time, or comes from the future, and bears a name of ours."""
    keep(folder, host=OTHER_ACCOUNT)
    put(folder, "x", name)
    when = time.time() - age
    os.utime(path(folder, name), (when, when))

    sweeping.sweep(folder)

    assert os.path.lexists(path(folder, name)) != goes
    assert os.path.exists(f"{folder}/{HOST}") != goes  # an empty directory goes with it
    assert served(folder, host=OTHER_ACCOUNT) == "c2VjcmV0"


@pytest.mark.parametrize(
    ("age", "goes"), [(LIFE - 60, False), (LIFE + 60, True), (-540, False), (-660, True)]
)
def test_which_locks_are_swept(folder: str, age: int, goes: bool) -> None:
    """Those that nobody has used for the life of a token, or whose time is ahead."""
    descriptor = claims.lock(folder, NAME)
    assert descriptor is not None
    os.close(descriptor)
    lock = f"{folder}/.locks/{NAME}"
    assert abs(os.stat(lock).st_mtime - time.time()) < 60
    when = time.time() - age
    os.utime(lock, (when, when))

    sweeping.sweep(folder)

    assert os.path.exists(lock) != goes


def test_how_many_identities_are_kept(folder: str) -> None:
    """64 of one host, the newest; a login is none of them."""
    put(folder, "x", "login")
    for number in range(66):
        put(folder, "x", f"{number:016x}")
        os.utime(path(folder, f"{number:016x}"), (time.time() - 1000 + number,) * 2)

    sweeping.sweep(folder)

    assert sorted(os.listdir(f"{folder}/{HOST}")) == [f"{n:016x}" for n in range(2, 66)] + ["login"]


def test_what_erase_leaves(folder: str) -> None:
    """A mark, and what is not of our form; of other hosts all but the copies."""
    keep(folder)
    keep(folder, name=cache.LOGIN, conditions=(), secret="bG9n")
    keep(folder, host=OTHER_ACCOUNT)
    keep(folder, host=OTHER_ACCOUNT, name=OTHER_NAME, secret="b3duLg")
    put(folder, "x", "id_rsa")
    put(folder, "x", f".{NAME}.1234")
    put(folder, "x", f".{NAME}.{NAME}")
    os.utime(path(folder, f".{NAME}.1234"), (1, 1))

    assert keeping.erase(folder, HOST)

    # A young temporary has a writer, who finds the mark.
    assert sorted(os.listdir(f"{folder}/{HOST}")) == [f".{NAME}.{NAME}", ".erased", "id_rsa"]
    assert os.listdir(f"{folder}/{OTHER_ACCOUNT}") == [OTHER_NAME]
    with open(path(folder, ".erased")) as file:
        assert abs(float(file.read()) - time.time()) < 60


def test_nothing_to_erase(tmp_path: Path) -> None:
    """A cache that is not there has nothing, and is not made."""
    assert keeping.erase(str(tmp_path / "none"), HOST)
    assert not (tmp_path / "none").exists()


def test_a_link_is_as_old_as_itself(folder: str) -> None:
    """What it leads to counts for nothing: the link goes, and that stays as it is."""
    keep(folder)
    target = path(folder, "target")
    put(folder, "x", "target")
    for name in (OTHER_NAME, f".{NAME}.0123456789abcdef"):
        os.symlink(target, path(folder, name))
        os.utime(path(folder, name), (time.time() - 2 * LIFE,) * 2, follow_symlinks=False)

    sweeping.sweep(folder)

    assert sorted(os.listdir(f"{folder}/{HOST}")) == [NAME, "target"]


def test_nothing_is_left_open(folder: str) -> None:
    """Whatever is looked up, kept, claimed, swept or erased, its descriptors are closed."""
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        keep(folder)
        keep(folder, host=OTHER_ACCOUNT)
        served(folder)
        cache.hosts(folder)
        claims.claim(folder, token(), NOW, 1, unwritable=False)
        claims.release(folder, token())
        keeping.may_copy(folder, token(), OTHER_ACCOUNT)
        lock = claims.lock(folder, NAME)
        assert lock is not None
        os.close(lock)
        keeping.forget(folder, token())
        sweeping.sweep(folder)
        keeping.erase(folder, HOST)
        keep(folder)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_directory_is_to_be_private_unless_said_otherwise(tmp_path: Path) -> None:
    """What others may change is a fault; for the whole cache it is none."""
    os.chmod(tmp_path, 0o777)
    state = os.stat(tmp_path)
    assert cache.folder_fault(state) == "can be changed by others"
    assert cache.folder_fault(state, private=False) == ""


@pytest.mark.parametrize(
    ("seconds", "limit", "ends"),
    [(0, 0.1, True), (0, 2, True), (0.7, 5, True), (5, 0.1, False), (5, 0.7, False)],
)
def test_work_that_may_never_end(seconds: float, limit: float, ends: bool) -> None:
    """It is waited for until it ends, or its time is up, and no longer."""
    started = time.monotonic()
    assert cache.in_time(lambda: time.sleep(seconds), limit) == ends
    assert min(seconds, limit) - 0.05 <= time.monotonic() - started < 4


def test_work_that_fails() -> None:
    """What it raises is raised."""
    with pytest.raises(ZeroDivisionError):
        cache.in_time(lambda: 1 // 0, 2)


@pytest.mark.parametrize(
    ("path_", "expanded"),
    [("~", "/h"), ("~/", "/h/"), ("~/a", "/h/a"), ("/a", "/a"), ("a", "a"), ("a~", "a~"), ("./~", "./~"), ("", ""),
     ("~root/a", os.path.expanduser("~root/a")), ("~no-such-user/a", "~no-such-user/a")],
)  # fmt: skip
def test_tildes(path_: str, expanded: str) -> None:
    """The home is the environment's; another user's is the system's; all else stays as it is."""
    assert cache.expanded(path_, {"HOME": "/h"}) == expanded


def test_how_conditions_are_said() -> None:
    """A variable as it is, a secret one by its residue, and one that is not set."""
    assert cache.variable("A", {"A": "b=c"}) == "env A=b=c"
    assert cache.variable("A", {"A": ""}) == "env A="
    assert cache.variable("A", {}) == "unset A"
    assert cache.residue("A", {"A": "b"}) == "residue A 98"
    assert cache.residue("A", {}) == "unset A"
    assert cache.boot() == cache.boot()
    assert cache.unknown("x") == "unknown x"


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
def test_whatever_the_umask_is(folder: str, mask: int) -> None:
    """What is made is the owner's alone, and his in full; the umask is as before."""
    before = os.umask(mask)
    try:
        assert keep(folder)
        assert keeping.erase(folder, OTHER_ACCOUNT)
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    for place in (folder, f"{folder}/{HOST}", f"{folder}/{OTHER_ACCOUNT}"):
        assert os.stat(place).st_mode & 0o777 == 0o700
    for file in (path(folder), path(folder, ".erased", OTHER_ACCOUNT)):
        assert os.stat(file).st_mode & 0o777 == 0o600


# A disk that fails, by the calls that it fails.


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, *names: str) -> None:
    """Let a call of the system's fail for names that begin so, and for no other."""
    real = getattr(os, call)

    def failing(name: Any, *args: Any, **how: Any) -> Any:
        if str(name).startswith(names):
            raise PermissionError(13, "refused")
        return real(name, *args, **how)

    monkeypatch.setattr(os, call, failing)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("unlink", [NAME]),  # the entry
        ("unlink", [OTHER_NAME]),  # its copy
        ("open", [".erased."]),  # the mark
        ("replace", [".erased."]),
    ],
)
def test_an_erase_that_fails_says_so(
    folder: str, monkeypatch: pytest.MonkeyPatch, call: str, names: list[str]
) -> None:
    """Whatever could not be removed, or marked, the user is to know."""
    keep(folder)
    keep(folder, host=OTHER_ACCOUNT, name=OTHER_NAME)
    refuse(monkeypatch, call, *names)

    assert not keeping.erase(folder, HOST)


def test_what_is_forgotten(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone where it never was; where it cannot be removed it is not."""
    assert keeping.forget(folder, token())
    keep(folder)
    refuse(monkeypatch, "unlink", NAME)
    assert not keeping.forget(folder, token())
    monkeypatch.undo()
    assert keeping.forget(folder, token())
    assert served(folder) is None


def test_a_temporary_that_could_not_be_removed(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bears a name by which a later sweep knows it."""
    keep(folder)
    refuse(monkeypatch, "replace", ".")
    refuse(monkeypatch, "unlink", ".")
    assert not keep(folder, secret="bmV3")
    assert not keeping.erase(folder, OTHER_ACCOUNT)
    monkeypatch.undo()
    for host in (HOST, OTHER_ACCOUNT):
        left = [name for name in os.listdir(f"{folder}/{host}") if name[0] == "."]
        assert len(left) == (1 if host == HOST else 2)  # a logout tries its mark twice
        for name in left:
            os.utime(path(folder, name, host), (time.time() - 3600,) * 2)

    sweeping.sweep(folder)

    assert os.listdir(folder) == [HOST]
    assert os.listdir(f"{folder}/{HOST}") == [NAME]


@pytest.mark.parametrize(
    "changes", [{"name": "id_rsa"}, {"name": ""}, {"host": "a/b"}, {"host": ".."}]
)
def test_names_that_are_not_written(folder: str, changes: dict[str, str]) -> None:
    """An entry has a name of ours, in the directory of a host."""
    assert not keep(folder, **changes)
    assert not os.path.exists(folder)


def test_what_no_file_can_say_is_not_written(folder: str) -> None:
    """Half of a surrogate pair, as a variable of Windows may hold, has no UTF-8: nothing is kept."""
    assert not keep(folder, conditions=["env AWS_PROFILE=\ud83d"])
    assert not os.path.exists(folder)


def test_a_mark_that_hangs(folder: str) -> None:
    """A FIFO in the mark's place keeps nobody waiting: it is as old as it is."""
    os.makedirs(f"{folder}/{HOST}", 0o700)
    os.mkfifo(path(folder, ".erased"))
    keep(folder)
    assert served(folder) is not None
