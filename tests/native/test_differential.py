"""The native front against the Python reader, on trees that a generator aims at being served."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from pathlib import Path

import pytest
from front import DUE, LATE, Probe, kubelets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import HOST, HOUR, LIFE

from docker_credential_ecr import PROGRAM, cache, claims, kubelet, server_url, tokens

SHORT, LONG = 3_000, 100_000  # cases
NOW = 1_795_000_000  # epoch seconds
DECISIONS = {"": "served", DUE: "due", LATE: "late"}
CUSTOM = "registry.example.com"
NAMES = ("AWS_PROFILE", "AWS_REGION", "AWS_ECR", "X", "")
# Texts that are like each other, that need care, and that are no UTF-8.
VALUES = ("", "a", "A", "a=b", "a b", " a", "é", "e\u0301", "\udcff", "a\r", "x" * 300)
PATHS = ("a", "a b", "missing", "a/below", "folder", "link", "loop", "é", "\udcff", "x" * 300)
ODD = (b"", b" ", b"\n", b"\n\n", b"\0", b"\xff", b'"', b"\\", b"0", b"9", b"=", b"env X=a\n")


def mostly(usual: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw the usual in nine of ten cases."""
    return st.integers(0, 9).flatmap(lambda n: odd if n == 9 else usual)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry: what it says, and what is odd about it."""

    name: str
    ages: tuple[int, int, int, int]  # seconds from now
    secret: str
    informs: bool
    conditions: tuple[tuple[str, str], ...]  # kind and subject, as they are now
    mutation: tuple[float, int, bytes] | None  # where, how many bytes go, what comes
    mode: int


@st.composite
def ages(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Times in their order: of a fresh token mostly, or of any."""
    issued = -draw(st.integers(0, 11 * HOUR))
    expires = issued + draw(st.integers(11 * HOUR + 1, LIFE))
    if draw(st.integers(0, 9)) < 7:
        refresh = draw(st.integers(1, expires))
        return issued, refresh, draw(st.integers(refresh, expires)), expires
    edge = st.sampled_from([-1, 0, 1])
    return tuple(sorted(draw(edge | st.integers(-LIFE, LIFE)) for _ in range(4)))  # type: ignore[return-value]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    name = draw(mostly(st.sampled_from(["0" * 16, "0123456789abcdef", "f" * 16, "login"]), st.text("0aAf.", min_size=1, max_size=17)))  # fmt: skip
    kinds = ("env", "env", "residue", "unset", "file", "absent", "boot")
    conditions = []
    for _ in range(draw(st.integers(0 if name == "login" else 1, 4))):
        kind = draw(st.sampled_from(kinds))
        subject = st.sampled_from(PATHS if kind in ("file", "absent") else NAMES)
        conditions.append((kind, draw(subject)))
    mutation = None
    if draw(st.integers(0, 4)) == 0:
        where = draw(st.floats(0, 1, exclude_max=True))
        mutation = (where, draw(st.integers(0, 3)), draw(st.sampled_from(ODD)))
    return Entry(
        name,
        draw(ages()),
        draw(mostly(st.sampled_from(["c2VjcmV0", "YQ==", "x" * 3000]), st.text(max_size=5))),
        draw(st.booleans()),
        tuple(conditions),
        mutation,
        int(draw(mostly(st.just("600"), st.sampled_from(["400", "644", "620", "700", "604"]))), 8),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    host: str
    request: str
    variables: dict[str, str]
    held: list[Entry]
    place: str
    claim: int | None  # when one of all entries ends, in seconds from now
    host_mode: int
    cache_mode: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    host = draw(st.sampled_from([HOST, CUSTOM]))
    forms = ("{}", "https://{}", "{}/v2/", "{}:443", "{}.", " {}\n", "HTTPS://{}:0443/x")
    request = draw(mostly(st.sampled_from(forms), st.text(max_size=4).map("{{}}{}".format)))
    modes = st.sampled_from(["755", "750", "711"])
    return Case(
        host,
        request.replace("{}", draw(st.sampled_from([host, host.upper()]))),
        draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))),
        draw(st.lists(entries(), min_size=1, max_size=3)),
        draw(mostly(st.just("chosen"), st.sampled_from(["xdg", "home", "tilde", "link", "off"]))),
        draw(st.none() | st.integers(-20, 2000)),
        int(draw(mostly(st.just("700"), modes | st.sampled_from(["770", "707"]))), 8),
        int(draw(mostly(st.just("700"), modes | st.sampled_from(["1777", "777"]))), 8),
    )


def condition(kind: str, subject: str, environ: dict[str, str], root: Path) -> str:
    """Return the line of a condition that holds, or that is the nearest to it."""
    if kind in ("env", "unset"):
        return cache.variable(subject, environ)
    if kind == "residue":
        return cache.residue(subject, environ)
    if kind == "boot":
        return cache.boot()
    return cache.state_of(f"{root}/{subject}")


def written(entry: Entry, host: str, environ: dict[str, str], root: Path) -> bytes:
    """Return the bytes of an entry."""
    names = ("issued", "refresh", "renew", "expires")
    times = [f"{name} {NOW + age}" for name, age in zip(names, entry.ages, strict=True)]
    informs = ["scope ecr us-east-1", "identity", "source static"] if entry.informs else []
    conditions = [condition(kind, about, environ, root) for kind, about in entry.conditions]
    lines = [cache.MAGIC, f"host {host}", *times, *informs, *conditions]
    text = "\n".join(lines) + f'\n\n"{entry.secret}"\n'
    data = text.encode("utf-8", "surrogateescape")
    if entry.mutation is not None:
        where, gone, come = entry.mutation
        place = int(where * len(data))
        data = data[:place] + come + data[place + gone :]
    return data


def build(case: Case, root: Path) -> dict[str, str]:
    """Make the tree of a case; return the environment."""
    environ = {**case.variables, "HOME": str(root)}
    folder = root / "cache" / PROGRAM
    if case.place == "home":
        folder = root / ".cache" / PROGRAM
    elif case.place == "xdg":
        environ["XDG_CACHE_HOME"] = str(root / "cache")
    elif case.place == "tilde":
        environ["AWS_ECR_CACHE_DIR"] = f"~/cache/{PROGRAM}"
    elif case.place == "link":
        environ["AWS_ECR_CACHE_DIR"] = str(root / "linked")
        (root / "linked").symlink_to(f"cache/{PROGRAM}")
    else:
        environ["AWS_ECR_CACHE_DIR"] = str(folder)
    if case.place == "off":
        environ["AWS_ECR_DISABLE_CACHE"] = "1"
    (root / "a").touch()
    (root / "a b").write_text("text")
    (root / "folder").mkdir()
    (root / "link").symlink_to("a")
    (root / "loop").symlink_to("loop")
    place = folder / case.host
    place.mkdir(parents=True)
    for entry in case.held:
        path = place / entry.name
        if path.is_dir():
            continue
        path.write_bytes(written(entry, case.host, environ, root))
        path.chmod(entry.mode)
        if case.claim is not None and cache.is_entry(entry.name):
            claim = place / f".{entry.name}.renewal"
            claim.touch()
            os.utime(claim, (NOW + case.claim, NOW + case.claim))
    place.chmod(case.host_mode)
    folder.chmod(case.cache_mode)
    return environ


def by_python(case: Case, environ: dict[str, str]) -> tuple[str, cache.Token | None]:
    """Return the Python reader's decision, and the token that it would answer with."""
    asked = case.request.strip(server_url.WHITE)
    host, folder = server_url.host_of(asked), cache.directory(environ)
    token = cache.lookup(folder, host, environ, NOW) if host and folder else None
    if token is None:
        return "absent", None
    if token.is_login or token.refresh > NOW:
        return "served", token
    if not claims.claim(folder or "", token, NOW, 60, unwritable=True):
        return "served", token  # another renews it
    behind = tokens.renews_behind(environ) and token.renew > NOW
    return ("due" if behind else "late"), token


def answer_of(case: Case, token: cache.Token) -> bytes:
    asked = case.request.strip(server_url.WHITE)
    return f'{{"ServerURL":"{asked}","Username":"AWS","Secret":"{token.secret}"}}\n'.encode()


@pytest.mark.proof
def test_the_front_decides_as_the_python_reader(
    tmp_path: Path, probe: Probe, proof: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same decision, the same bytes; a third of the cases at least are served.

    The kubelet is answered by ``kubelet.converse`` itself, whose clock stands still.
    """
    decided: list[str] = []
    monkeypatch.setattr(time, "time", lambda: float(NOW))

    @settings(
        max_examples=LONG if proof else SHORT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def check(case: Case) -> None:
        root = tmp_path / "root"
        root.mkdir()
        try:
            environ = build(case, root)
            request = case.request.encode("utf-8", "surrogatepass")
            found, reason = probe(request, environ, NOW, root)
            image = kubelets(f"{case.host}/x")
            for_node, its_reason = probe(image.encode(), environ, NOW, root, kubelet=True)
            said = None
            if for_node is not None:
                said = kubelet.converse(lambda _: image.encode(), environ).stdout
            decision, token = by_python(case, environ)
        finally:
            shutil.rmtree(root)
        decided.append(decision)
        assert DECISIONS.get(reason, "absent") == decision, reason
        assert found == (answer_of(case, token) if token and decision != "late" else None)
        assert for_node == said
        if (
            found is not None and case.host == HOST
        ):  # a request of Docker's may be odd, that of the kubelet is not
            assert for_node is not None, its_reason

    check()

    assert decided.count("served") * 3 >= len(decided)
