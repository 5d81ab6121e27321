"""Which host a name is, against an independent reading: Go's, Docker's and AWS's own code.

Docker and the kubelet are Go programs: a name that we read otherwise than they do would send a
token to a host that is not the one that the user named. A few thousand generated names, a million
as a proof; the same ones at every run.
"""

from __future__ import annotations

import collections
import functools
import itertools
import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import botocore
import pytest
from kit import ACCOUNT, REGISTRIES
from node import build_go

from docker_credential_ecr import registry, server_url

NAMES, NAMES_OF_PROOF = 6_000, 1_000_000
BATCH = 1_000  # names from one seed
DOCUMENTED = [line.split("\t")[0] for line in REGISTRIES.read_text().splitlines()[1:]]


class Name(NamedTuple):
    """One generated name, what we say of it, and what the others read."""

    text: str
    split: tuple[str, str] | None
    ours: registry.Registry | None
    go: dict[str, Any]

    @property
    def stripped(self) -> str:
        return self.text.strip(" \t\n\v\f\r")

    @property
    def go_host(self) -> str:
        """The host that Go connects to, as names are compared: DNS ignores case and a last dot."""
        return canonical(self.go["host"])


def canonical(host: object) -> str:
    return str(host).lower().removesuffix(".")


def without_port(authority: object) -> str:
    """Return the host of ``host:port``, as Go's net.SplitHostPort does for a name."""
    return canonical(str(authority).rpartition(":")[0] if ":" in str(authority) else authority)


# Where we refuse a name whose host, by Go's reading, is an ECR registry. Any other is a defect.
REFUSED: dict[str, Callable[[Name], bool]] = {
    "it travels in clear, or is not HTTP": lambda n: n.go["scheme"] != "https",
    "user info": lambda n: bool(n.go["user"]),
    "a query or a fragment": lambda n: bool(n.go["rest"]),
    "a port that is none": lambda n: ":" in n.stripped and not 0 < int(n.go["port"] or 0) < 65536,
    "an at sign in the path": lambda n: "@" in n.stripped,
    "a character that our JSON answer would have to escape": lambda n: (
        not n.stripped.isascii()
        or not n.stripped.isprintable()
        or any(c in ' "\\' for c in n.stripped)
    ),
}

# Where a name is a registry for us, and Go's url.Parse refuses it: no client connects.
UNREAD: dict[str, Callable[[Name], bool]] = {
    "an escape in the path that is none": lambda n: "%" in n.stripped,
}

# Where a name is a registry for us and not for AWS's helper.
ONLY_OURS: dict[str, Callable[[Name], bool]] = {
    "upper case": lambda n: n.stripped != n.stripped.lower(),
    "a trailing dot": lambda n: str(n.go["host"]).endswith("."),
    "dual-stack names of the European partition": lambda n: n.go_host.endswith(
        ".on.amazonwebservices.eu"
    ),
    **UNREAD,
}

# Where it is a registry for AWS's helper and not for us.
ONLY_AWS: dict[str, Callable[[Name], bool]] = {
    **REFUSED,
    "a region that is none": lambda n: not is_region(n.go["aws"]["region"]),
    "a region under another partition's domain": lambda n: (
        is_region(n.go["aws"]["region"]) and registry.parse(plain(n)) is None
    ),
    "a dual-stack name under a plain domain, or the reverse": lambda n: (
        registry.parse(plain(n)) is not None and registry.parse(n.go_host) is None
    ),
    "longer than a host's name may be": lambda n: len(n.go_host) > 253,
}


def is_region(name: str) -> bool:
    parts = name.split("-")
    return len(parts) > 2 and all(p.isalnum() for p in parts) and parts[-1].isdecimal()


def plain(name: Name) -> str:
    """Return the host that AWS's helper reads, in whichever flavour its domain has."""
    account, region = name.go["aws"]["account"], name.go["aws"]["region"].lower()
    domain = name.go_host.partition(f".{region}.")[2]
    word = "dkr-ecr" if domain.startswith("on.") else "dkr.ecr"
    return f"{account}.{word}.{region}.{domain}"


@functools.cache
def real_hosts() -> list[str]:
    path = Path(botocore.__file__).parent / "data" / "partitions.json"
    regions = [
        region
        for partition in json.loads(path.read_text())["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    ]
    return [
        *registry.public_hosts(),
        *(host for region in regions for host in registry.hosts_in(ACCOUNT, region)),
        *DOCUMENTED,
    ]


ELSEWHERE = ["evil.com", "evil.com.", "localhost", "127.0.0.1", "[::1]", "[fe80::1%25eth0]", "x"]
WHITE = [" ", "\t", "\n", "\r\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u2028"]
BETWEEN = ["/", "\\", "@", "#", "?", ":", ";", ",", "&", "%", "$", ".", "..", "//", "://", "\0"]
BETWEEN += ["%2f", "%40", "%23", "%00", "%2e", "\u3002", "\uff0f", "\u2024", *WHITE]
BEFORE = ["", "https://", "HTTPS://", "Https://", "http://", "HTTP://", "ssh://", "docker://"]
BEFORE += ["https:", "https:/", "https:///", "https:\\\\", "https://https://", "//", "/", "://"]
BEFORE += ["user@", "AWS:secret@", "https://user:p@", "@", "\u200b", "\ufeff", "\0", "%20"]
BEFORE += ["[", "xn--", "*.", ".", "-", *WHITE]
AFTER = ["", "/", "/v2/", "/team/app:1", "/a@sha256:0", "/a%zz", "/a%2fb", "/a b", '/"', "/\\"]
AFTER += ["/\xe9", ":443", ":0", ":", ":65535", ":65536", ":00443", ":4\uff143", ":-1", ":x"]
AFTER += [":443:443", ":443/x", "?", "?x", "#", "#x", "/?x", "/#x", ".", "..", ".:443", "]"]
AFTER += [".evil.com", ".cn", "@evil.com", ":443@evil.com", "\0", "%00", ";x", "/.", "/..", *WHITE]
# Letters that fold, normalize or look like what they stand in for.
ALIKE = {
    "a": "аａ\u1d43", "c": "сｃ", "e": "еｅ", "k": "\u212aｋ", "s": "\u017fｓ", "i": "\u0131і",  # noqa: RUF001
    "o": "оｏ0", "1": "１²l", "2": "２²", ".": "。．\u2024·", "-": "\u2010\u2011\u2212_", "r": "ｒ",  # noqa: RUF001
}  # fmt: skip
STRAY = (
    "abz019-._~%:/?#[]@!$&'()*+,;=\\\"<>^`{|} \t\r\n\0\x1b\x7f\x80éß\u0130\u200d\u202e\U0001f600"
)


def mutated(name: str, chance: random.Random) -> str:  # noqa: C901, PLR0911, PLR0912 - one case a kind
    """Return ``name`` with one thing about it changed."""
    at = chance.randrange(len(name)) if name else 0
    letter = name[at : at + 1]
    match chance.randrange(14):
        case 0:
            return name[:at] + chance.choice(STRAY) + name[at:]
        case 1:
            return name[:at] + chance.choice(STRAY) + name[at + 1 :]
        case 2:
            return name[:at] + name[at + 1 :]
        case 3:
            return name[:at] + f"%{ord(letter or 'x'):02x}" + name[at + 1 :]
        case 4:
            return name[:at] + chance.choice(ALIKE.get(letter, STRAY)) + name[at + 1 :]
        case 5:
            return "".join(c.upper() if chance.random() < 0.3 else c for c in name)
        case 6:
            return chance.choice(BEFORE) + name
        case 7:
            return name + chance.choice(AFTER)
        case 8:
            return name + chance.choice(BETWEEN) + chance.choice(ELSEWHERE)
        case 9:
            return chance.choice(ELSEWHERE) + chance.choice(BETWEEN) + name
        case 10:  # labels of two registries
            labels, others = name.split("."), chance.choice(real_hosts()).split(".")
            labels[chance.randrange(len(labels))] = chance.choice(others)
            return ".".join(labels)
        case 11:  # the end of another registry, from any label on
            labels, others = name.split("."), chance.choice(real_hosts()).split(".")
            return ".".join(labels[: chance.randrange(len(labels)) + 1] + others[-2:])
        case 12:  # a label of a length that no name may have
            labels = name.split(".")
            where = chance.randrange(len(labels))
            labels[where] += "-1" * 120
            return ".".join(labels)
        case _:
            labels = name.split(".")
            del labels[chance.randrange(len(labels))]
            return ".".join(labels)


def generated(seed: int) -> list[str]:
    """Return a batch of names: registries with up to three changes, each in a usual setting."""
    chance = random.Random(seed)  # not for secrets: the same names at every run
    names = []
    for _ in range(BATCH):
        name = chance.choice(real_hosts())
        if chance.random() < 0.3:
            name = name.replace(ACCOUNT, f"{chance.randrange(10**12):012}")
        for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
            name = mutated(name, chance)
        if chance.random() < 0.3:
            name = chance.choice(BEFORE) + name
        if chance.random() < 0.3:
            name += chance.choice(AFTER)
        names.append(name)
    return names


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that reads names as Go, Docker and AWS's helper do."""
    return build_go("hosts", tmp_path_factory.mktemp("hosts"))


def read(reader: Path, batches: Iterator[list[str]]) -> Iterator[Name]:
    """Yield every name of ``batches`` with its readings."""
    sent: collections.deque[str] = collections.deque()
    with subprocess.Popen([reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def send(pipe: IO[bytes] = process.stdin) -> None:
            with pipe:
                for batch in batches:
                    sent.extend(batch)
                    pipe.write("".join(f"{json.dumps(name)}\n" for name in batch).encode())
                    pipe.flush()

        threading.Thread(target=send, daemon=True).start()
        for line in process.stdout:
            text = sent.popleft()
            yield Name(text, server_url.split(text), registry.parse(text), json.loads(line))
    assert process.returncode == 0


TABLES = {"unread": UNREAD, "refused": REFUSED, "only ours": ONLY_OURS, "only AWS's": ONLY_AWS}
DEFECT = "another host or registry"  # which nothing explains


def differences(name: Name) -> Iterator[str]:
    """Yield what differs between the readings of ``name``: a table that explains it, or DEFECT."""
    found, go, aws = name.ours, name.go, name.go["aws"]
    if found is None:
        if not name.go_host.endswith(".") and registry.parse(name.go_host) is not None:
            yield "refused"
        if aws is not None:
            yield "only AWS's"
        return
    if not go["host"]:
        yield "unread"
    elif not goes_to(name, found.host):
        yield DEFECT
    if aws is None:
        yield "only ours"
    elif aws["service"] == "ecr":
        if (found.account, found.region, found.fips) != (
            aws["account"],
            aws["region"].lower(),
            aws["fips"],
        ):
            yield DEFECT
    elif found.service != "ecr-public":
        yield DEFECT


def goes_to(name: Name, host: str) -> bool:
    """Whether every reading of ``name`` is ``host``, at our port, by HTTPS, and nothing else."""
    go = name.go
    return (
        (name.go_host, go["port"]) == name.split
        and name.split[0] == host == canonical(go["helper"]) == without_port(go["cli"])
        and go["scheme"] == "https"
        and not go["user"]
        and not go["rest"]
        and (not go["image"] or without_port(go["image"]) == host)
    )


@pytest.mark.proof
def test_a_token_goes_where_go_connects_to(reader: Path, proof: bool) -> None:
    """Whenever we say that a name is a registry, Go and Docker read that same host and port.

    Where we refuse what Go reads as a registry's host, the reason is one of the table's, and so is
    every difference to AWS's own helper; each reason occurs.
    """
    names = NAMES_OF_PROOF if proof else NAMES
    count = ours = theirs = 0
    seen: collections.Counter[tuple[str, str]] = collections.Counter()
    defects: list[str] = []

    for name in read(reader, (generated(seed) for seed in range(names // BATCH))):
        count += 1
        ours += name.ours is not None
        theirs += name.go["aws"] is not None
        for table in differences(name):
            explained = [why for why, holds in TABLES.get(table, {}).items() if holds(name)]
            seen.update((table, why) for why in explained)
            if not explained:
                defects.append(f"{table}: {name.text!r} {name.split} {name.go}")

    sys.stderr.write(f"{count:,} names, {ours:,} registries, {theirs:,} by AWS's helper\n")
    for (table, why), times in sorted(seen.items()):
        sys.stderr.write(f"{table:12}{times:9,}  {why}\n")
    assert count == names
    assert not defects, f"{len(defects)}: " + "\n".join(defects[:20])
    assert ours > names / 10
    assert set() == {(table, why) for table, known in TABLES.items() for why in known} - set(seen)


def test_the_generator_is_the_same_at_every_run() -> None:
    """A name that fails can be made again: the seed alone decides."""
    assert generated(7) == generated(7)
    assert generated(7) != generated(8)
    assert len(set(itertools.chain(generated(1), generated(2)))) > BATCH
