"""Links and junctions in the cache's way: what they lead to is neither read nor touched.

Wine 8 makes no reparse points, but follows a link that this side has made, as Windows follows a
junction. So the links here are real, and are followed; the one thing that is supplied is what
Windows says of such a path: FILE_ATTRIBUTE_REPARSE_POINT.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fake_aws import FakeAWS
from lab import Lab, Run
from support import HOST, Helper, entries, login

# Runs the package with the rest of its arguments, where the paths in the first one, which "|"
# divides, are reparse points.
LINKED = """\
import os, sys
links = {os.path.normcase(path) for path in sys.argv[1].split("|")}
def told(path, state):
    if os.path.normcase(os.path.normpath(path)) not in links:
        return state
    rest = {name: getattr(state, name) for name in dir(state) if name.startswith("st_")}
    for name in "mode ino dev nlink uid gid size".split():
        del rest["st_" + name]
    rest["st_file_attributes"] |= 0x400
    return os.stat_result(tuple(state), rest)
def lstat(path, call=os.lstat):
    return told(path, call(path))
def stat(path, *, dir_fd=None, follow_symlinks=True, call=os.stat):
    state = call(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    return state if follow_symlinks else told(path, state)
os.lstat, os.stat = lstat, stat
sys.argv[:2] = ["docker-credential-ecr"]
from docker_credential_ecr import __main__
__main__.main()
"""
PLACES = ("cache", "host", "entry")
# Puts a link in a place; gives how to run with it, what the link leads to, and the token there.
Linked: TypeAlias = Callable[[str], tuple[Callable[..., Run], Path, str]]


@pytest.fixture
def folder(home: str) -> str:
    """The cache's directory, as Windows writes it."""
    return f"{home}\\AppData\\Local\\docker-credential-ecr\\Cache"


@pytest.fixture
def linked(helper: Helper, aws: FakeAWS, lab: Lab, folder: str) -> Linked:
    """Put a link in a place of the cache, once there is a token; return how to run with it.

    What was there lies elsewhere, and the link leads to it.
    """

    def put(place: str) -> tuple[Callable[..., Run], Path, str]:
        first = helper.get().secret
        (entry,) = entries(lab.unix(folder))
        path = {"cache": lab.unix(folder), "host": entry.parent, "entry": entry}[place]
        target = lab.unix(folder).parent / "elsewhere"
        path.rename(target)
        path.symlink_to(target)
        names = {"cache": folder, "host": f"{folder}\\{HOST}"}
        name = names.get(place, f"{folder}\\{HOST}\\{entry.name}")
        assert helper.get().secret == first  # Wine follows it: nothing else is in the way

        def run(*args: str, **how: Any) -> Run:
            return helper.python(LINKED, name, *args, **how)

        return run, target, first

    return put


def contents(target: Path) -> dict[str, bytes]:
    """Return what is in a place, but for the locks, which hold nothing."""
    if target.is_file():
        return {"": target.read_bytes()}
    return {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_read_through_a_link(aws: FakeAWS, linked: Linked, place: str) -> None:
    """In the place of the cache, of a host's directory or of an entry: AWS is asked instead."""
    run, target, first = linked(place)
    before = contents(target)

    assert run("get", stdin=HOST).secret not in ("", first)
    assert aws.requests == 2
    assert contents(target) == before


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_written_through_a_link(aws: FakeAWS, linked: Linked, place: str) -> None:
    """`docker login` leaves alone what a link leads to."""
    run, target, _ = linked(place)
    before = contents(target)

    login(run, aws.new_password("SOMEBODY", "us-east-1"))

    assert contents(target) == before


# An entry that is a link is removed: on Windows the link itself (DeleteFile), while Wine 8 removes
# what such a link leads to, so that this cannot be seen here.
@pytest.mark.parametrize("place", ["cache", "host"])
def test_nothing_is_erased_through_a_link(linked: Linked, place: str) -> None:
    """`docker logout` leaves alone what a link leads to."""
    run, target, _ = linked(place)
    before = contents(target)

    run("erase", stdin=HOST)

    assert contents(target) == before


@pytest.mark.parametrize("place", ["cache", "host"])
def test_doctor_names_a_link(aws: FakeAWS, linked: Linked, place: str) -> None:
    """It says which folder is a link, and how it is removed."""
    run, _, _ = linked(place)

    said = run("doctor", "--offline", HOST).out

    assert "is a link" in said
    assert "Remove-Item" in said


def test_doctor_warns_of_a_cache_outside_the_profile(
    helper: Helper, aws: FakeAWS, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """What keeps others from the tokens is the profile's access list: elsewhere is said, and works."""
    outside = f"{home}-shared"
    env["AWS_ECR_CACHE_DIR"] = outside
    done = helper.get()
    assert (done.secret in aws.issued, done.err) == (True, "")

    assert "outside your profile" in helper("doctor", "--offline", HOST).out
    inside = helper("doctor", "--offline", HOST, env={"AWS_ECR_CACHE_DIR": f"{home}\\tokens"})
    assert "outside your profile" not in inside.out
    assert entries(lab.unix(outside))
