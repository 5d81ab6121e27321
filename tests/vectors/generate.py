"""Make the test vectors of this folder: README.md says what they are, and how they are run.

Run without arguments it writes them all, and removes what it does not make. The same at every run.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OTHER = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
NOW = 1_795_000_000  # epoch seconds, of every vector
HOUR = 3600  # seconds
LIFE = 12 * HOUR  # of a token
ENTRY_LIMIT = 128 << 10  # bytes
NAME, SECOND, THIRD = "0123456789abcdef", "00000000000000a0", "00000000000000b0"  # of entries
SECRET, NEWER, OLDER, LOGIN = "c2VjcmV0", "bmV3ZXI=", "b2xkZXI=", "bG9naW4="
REGION = "env AWS_REGION=us-east-1"
MERSENNE = 2**61 - 1  # what residues are divided by

# What is expected.
SERVED, DUE, LATE, ABSENT = "served", "due", "late", "absent"


def entry(
    *conditions: str,
    magic: str = "docker-credential-ecr 2",
    secret: str = f'"{SECRET}"',
    fields: dict[str, object] | None = None,
    **changes: Any,
) -> bytes:
    """Return an entry that is served; ``changes`` are of its fields, ``None`` leaves one out.

    ``fields`` takes the place of all of them.
    """
    usual = {
        "host": HOST,
        "issued": NOW - HOUR,
        "refresh": NOW + 4 * HOUR,
        "renew": NOW + 10 * HOUR,
        "expires": NOW + 11 * HOUR,
        "scope": "ecr us-east-1",
        "source": "shared-credentials-file",
    }
    made = {**usual, **changes} if fields is None else fields
    lines = [magic, *(f"{key} {value}" for key, value in made.items() if value is not None)]
    lines += conditions or [REGION]
    return encoded("\n".join([*lines, "", secret, ""]))


def varied(changes: Mapping[str, Any]) -> bytes:
    """Return an entry with these fields changed."""
    return entry(**changes)


def issued(seconds: int, secret: str, *conditions: str, **changes: Any) -> bytes:
    """Return an entry that was issued ``seconds`` before now, and goes its usual way from there."""
    begun = NOW - seconds
    times: dict[str, Any] = {
        "issued": begun,
        "refresh": begun + 5 * HOUR,
        "renew": begun + LIFE - 600,
        "expires": begun + LIFE,
    }
    return entry(*conditions, secret=f'"{secret}"', **{**times, **changes})


def login(seconds: int = HOUR, secret: str = LOGIN, **changes: Any) -> bytes:
    """Return the entry of a login made ``seconds`` before now: without conditions."""
    end = NOW - seconds + LIFE
    fields = {"host": HOST, "issued": NOW - seconds, "refresh": end, "renew": end, "expires": end}
    made = entry(secret=f'"{secret}"', fields={**fields, **changes}).decode()
    return made.replace(f"{REGION}\n", "").encode()


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def residue(value: bytes) -> int:
    """Return the residue of a variable's value, written out as it would be by hand."""
    remainder = 0
    for byte in value:
        remainder = (remainder * 256 + byte) % MERSENNE
    return remainder


def answer(secret: str, asked: str = HOST) -> str:
    return f'{{"ServerURL":"{asked}","Username":"AWS","Secret":"{secret}"}}'


@dataclasses.dataclass
class Case:
    """A cache, an environment and a request, and what is to be answered."""

    comment: str
    expect: str = ABSENT
    files: dict[str, bytes] = dataclasses.field(default_factory=lambda: {NAME: entry()})
    stdout: str | None = None  # what is answered, if anything is
    env: list[str] = dataclasses.field(default_factory=lambda: ["AWS_REGION=us-east-1"])
    before: list[str] = dataclasses.field(default_factory=list)  # what else to make, at first
    after: list[str] = dataclasses.field(default_factory=list)  # and at last
    first: bytes = b""  # what the files of ``before`` hold
    last: bytes = b""  # and those of ``after``
    cache: str = "cache"  # where the files go
    folders: tuple[str, str] = ("700", "700")  # modes of the cache and of the host's directory
    mode: str = "600"  # of the files
    host: str = HOST
    request: str = HOST
    exact: bool = False  # it hangs on the very second, or on how a time is written
    needs: str = ""
    places: list[str] | None = None  # in place of the variables that say where the cache is

    def rendered(self) -> bytes:
        header = [f"comment: {self.comment}", f"expect: {self.expect}"]
        if self.expect != ABSENT:
            header.append(
                f"stdout: {answer(SECRET, self.request) if self.stdout is None else self.stdout}"
            )
        header.append(f"now: {NOW}")
        if self.exact:
            header.append("clock: exact")
        if self.needs:
            header.append(f"needs: {self.needs}")
        places = ["AWS_ECR_CACHE_DIR={root}/cache"] if self.places is None else self.places
        header += [f"env: {line}" for line in ["HOME={root}/home", *places, *self.env]]
        header += [f"make: {line}" for line in ["dir home 700", *self.before]]
        payload = self.first
        if self.files:
            header.append(f"make: dir {self.cache} {self.folders[0]}")
            header.append(f"make: dir {self.cache}/{self.host} 700")
            for name, data in self.files.items():
                path = f"{self.cache}/{self.host}/{name}".replace(" ", "%20")
                header.append(f"make: file {path} {self.mode} {len(data)}")
                payload += data
            if self.folders[1] != "700":
                header.append(f"make: mode {self.cache}/{self.host} {self.folders[1]}")
        header += [f"make: {line}" for line in self.after]
        header.append(f"request: {self.request}")
        return encoded("\n".join(header)) + b"\n\n" + payload + self.last


Cases = Iterator[tuple[str, Case]]


def malformed(data: bytes, comment: str, expect: str = ABSENT, **how: Any) -> Case:
    """Return the case of an entry with one thing about its bytes."""
    return Case(comment, expect, {NAME: data}, **how)


def entries() -> Cases:  # noqa: C901, PLR0915 - a table
    """What of an entry's bytes is read, one thing at a time; all else about it is right."""
    good = entry()
    yield "usual", malformed(good, "an entry as it is written", SERVED)
    # The first line.
    for name, magic in (
        ("magic-1", "docker-credential-ecr 1"),
        ("magic-3", "docker-credential-ecr 3"),
        ("magic-20", "docker-credential-ecr 20"),
        ("magic-without-version", "docker-credential-ecr"),
        ("magic-capitals", "Docker-Credential-ECR 2"),
        ("magic-space-behind", "docker-credential-ecr 2 "),
        ("magic-space-before", " docker-credential-ecr 2"),
        ("magic-zero-before", "docker-credential-ecr 02"),
        ("magic-empty", ""),
        ("magic-tab", "docker-credential-ecr\t2"),
    ):
        yield name, malformed(entry(magic=magic), "the first line is another one")
    yield "magic-missing", malformed(good.partition(b"\n")[2], "there is no first line")
    yield "magic-alone", malformed(good.partition(b"\n")[0] + b"\n", "there is only the first line")
    yield "byte-order-mark", malformed(b"\xef\xbb\xbf" + good, "three bytes before the first line")
    yield "line-break-before", malformed(b"\n" + good, "the head is empty")
    yield "carriage-returns", malformed(good.replace(b"\n", b"\r\n"), "lines end with CR LF")
    yield "empty", malformed(b"", "there are no bytes")
    yield "one-byte", malformed(b"d", "there is one byte")
    yield "line-breaks", malformed(b"\n" * 100, "there are only line breaks")
    yield "nul-bytes", malformed(b"\0" * len(good), "a disk that lost the data kept the length")
    # What comes after the first blank line.
    head, _, secret = good.partition(b"\n\n")
    for name, tail, comment in (
        ("blank-line-missing", b"\n" + secret, "the secret follows the last condition"),
        ("blank-line-with-space", b"\n \n" + secret, "the line between is not empty"),
        ("blank-lines", b"\n\n\n" + secret, "two empty lines"),
        ("cut-after-head", b"", "nothing after the last condition, not even a line break"),
        ("cut-after-line", b"\n", "nothing after the last condition"),
        ("cut-after-blank-line", b"\n\n", "nothing after the empty line"),
        ("cut-in-secret", b"\n\n" + secret[:5], "the secret is cut off"),
        ("cut-before-line-break", b"\n\n" + secret[:-1], "no line break after the secret"),
        ("secret-quote-alone", b'\n\n"', "the secret is a quotation mark"),
        ("secret-quote-and-line-break", b'\n\n"\n', "a quotation mark and a line break"),
        ("secret-empty", b'\n\n""\n', "the secret is empty"),
        ("secret-bare", b"\n\nc2VjcmV0\n", "the secret has no quotation marks"),
        ("secret-single-quotes", b"\n\n'c2VjcmV0'\n", "the secret has single quotation marks"),
        ("secret-unclosed", b'\n\n"c2VjcmV0\n', "the secret has no second quotation mark"),
        ("secret-unopened", b'\n\nc2VjcmV0"\n', "the secret has no first quotation mark"),
        ("secret-twice", b"\n\n" + secret + secret, "two secrets"),
        ("secret-and-line-break", b"\n\n" + secret + b"\n", "a line break too many"),
        ("secret-and-nul", b"\n\n" + secret + b"\0", "a NUL behind"),
        ("secret-and-space", b'\n\n"c2VjcmV0" \n', "a space behind the secret"),
        ("secret-behind-space", b'\n\n "c2VjcmV0"\n', "a space before the secret"),
        ("secret-with-quote", b'\n\n"c2Vj"cmV0"\n', "a quotation mark in the secret"),
        ("secret-with-backslash", b'\n\n"c2Vj\\ncmV0"\n', "an escape in the secret"),
        ("secret-with-escaped-quote", b'\n\n"c2Vj\\"cmV0"\n', "an escaped quotation mark"),
        ("secret-with-line-break", b'\n\n"c2Vj\ncmV0"\n', "a line break in the secret"),
        ("secret-with-blank-line", b'\n\n"c2Vj\n\ncmV0"\n', "an empty line in the secret"),
        ("secret-with-carriage-return", b'\n\n"c2VjcmV0\r"\n', "a CR in the secret"),
        ("secret-with-tab", b'\n\n"c2Vj\tcmV0"\n', "a tab in the secret"),
        ("secret-with-nul", b'\n\n"c2Vj\0cmV0"\n', "a NUL in the secret"),
        ("secret-with-escape", b'\n\n"\x1b[31m"\n', "an escape character in the secret"),
        ("secret-with-delete", b'\n\n"c2Vj\x7fcmV0"\n', "a DEL in the secret"),
        ("secret-not-ascii", '\n\n"c2Vjé"\n'.encode(), "a letter that is not ASCII in the secret"),
        ("secret-not-utf-8", b'\n\n"c2Vj\xff"\n', "a byte that is no text in the secret"),
    ):
        yield name, malformed(head + tail, comment)
    for name, text, comment in (
        ("secret-of-one-letter", "x", "the shortest secret"),
        ("secret-with-space", "a b ", "a space needs no escape"),
        ("secret-printable", "".join(chr(c) for c in range(33, 127) if chr(c) not in '"\\'), "all that needs no escape"),
        ("secret-long", "0123456789abcdef" * 4096, "64 KiB"),
    ):  # fmt: skip
        data = entry(secret=f'"{text}"')
        yield name, malformed(data, comment, SERVED, stdout=answer(text))
    # The fields.
    for key in ("host", "issued", "refresh", "renew", "expires"):
        yield f"{key}-missing", malformed(varied({key: None}), f"there is no {key}")
        line = next(line for line in good.split(b"\n") if line.startswith(key.encode()))
        twice = good.replace(line, line + b"\n" + line)
        yield f"{key}-twice", malformed(twice, f"{key} comes twice, and says the same")
        yield f"{key}-empty", malformed(varied({key: ""}), f"{key} says nothing")
        bare = good.replace(line, key.encode())
        yield f"{key}-bare", malformed(bare, f"{key} says nothing, without a space")
    for key in ("scope", "identity", "source", "replaced"):
        data = varied({"scope": None, "source": None, key: "x"})
        yield f"{key}-alone", malformed(data, f"of what informs only there is {key}", SERVED)
        data = varied({"scope": None, "source": None, key: ""})
        yield f"{key}-empty", malformed(data, f"{key} says nothing, and informs only", SERVED)
        line = f"{key} x\n".encode()
        data = varied({"scope": None, "source": None, key: "x"}).replace(line, line + line)
        yield f"{key}-twice", malformed(data, f"{key} comes twice")
    shortest = entry(scope=None, source=None)
    yield "nothing-that-informs", malformed(shortest, "no scope, no source", SERVED)
    fields = {
        "replaced": residue(b"x"),
        "source": "assume-role",
        "expires": NOW + 11 * HOUR,
        "identity": "profile=prod",
        "renew": NOW + 10 * HOUR,
        "scope": "ecr us-east-1",
        "refresh": NOW + 4 * HOUR,
        "issued": NOW - HOUR,
        "host": HOST,
    }
    yield "fields-reversed", malformed(entry(fields=fields), "fields in another order", SERVED)
    late = b"\n".join(good.split(b"\n")[:1] + [REGION.encode()] + good.split(b"\n")[1:])
    yield "condition-before-fields", malformed(late, "what follows a condition is no field")
    after = entry(REGION, "scope ecr us-east-1", scope=None)
    yield "field-after-condition", malformed(after, "a field's key is no kind of condition")
    unknown = good.replace(b"scope ", b"scopes ")
    yield "field-unknown", malformed(unknown, "a key that no reader knows is a condition")
    yield "field-capitals", malformed(good.replace(b"host ", b"Host "), "keys are in lower case")
    yield "field-indented", malformed(good.replace(b"\nhost", b"\n host"), "a space before a key")
    yield "field-tab", malformed(good.replace(b"host ", b"host\t"), "a tab in place of the space")
    yield "field-colon", malformed(good.replace(b"host ", b"host: "), "a colon behind a key")
    yield "field-with-nul", malformed(entry(source="x\0y"), "a NUL in what informs only", SERVED)
    yield "field-not-utf-8", malformed(entry(source="\udcff"), "bytes in what informs only", SERVED)
    # The host.
    for name, host in (
        ("host-other", OTHER),
        ("host-capitals", HOST.upper()),
        ("host-with-dot", f"{HOST}."),
        ("host-with-port", f"{HOST}:443"),
        ("host-with-space", f"{HOST} "),
        ("host-behind-space", f" {HOST}"),
        ("host-longer", f"{HOST}.evil.com"),
        ("host-shorter", HOST[:-1]),
        ("host-with-nul", f"{HOST}\0"),
        ("host-with-carriage-return", f"{HOST}\r"),
    ):
        yield name, malformed(entry(host=host), "the host is not the directory's")
    # Times.
    for name, text, comment in (
        ("time-negative", "-1", "a sign"),
        ("time-plus", f"+{NOW - HOUR}", "a sign"),
        ("time-spaces", f" {NOW - HOUR}", "two spaces behind the key"),
        ("time-space-behind", f"{NOW - HOUR} ", "a space behind"),
        ("time-carriage-return", f"{NOW - HOUR}\r", "a CR behind"),
        ("time-nul", f"{NOW - HOUR}\0", "a NUL behind"),
        ("time-underscore", "1794_996400", "a separator"),
        ("time-fraction", f"{NOW - HOUR}.0", "a fraction"),
        ("time-exponent", "1e9", "an exponent"),
        ("time-hexadecimal", f"{NOW - HOUR:#x}", "hexadecimal"),
        ("time-hexadecimal-bare", f"{NOW - HOUR:x}", "hexadecimal digits"),
        ("time-arabic", str(NOW - HOUR).translate({48 + n: 0x660 + n for n in range(10)}), "digits of another script"),
        ("time-full-width", str(NOW - HOUR).translate({48 + n: 0xFF10 + n for n in range(10)}), "digits of another width"),
        ("time-superscript", "²", "a digit that is none"),
        ("time-not-a-number", "nan", "words"),
        ("time-twice", f"1 {NOW - HOUR}", "two numbers"),
        ("time-13-digits", "1794996400000", "thirteen digits, as milliseconds"),
        ("time-zeros-before", f"{NOW - HOUR:013}", "thirteen digits, with zeros"),
        ("time-64-bits", str(2**64 + NOW - HOUR), "as much as 64 bits, and more"),
        ("time-40-digits", "9" * 40, "forty digits"),
    ):  # fmt: skip
        yield name, malformed(entry(issued=text), f"when it was issued: {comment}")
    data = entry(issued=f"{NOW - HOUR:012}")
    comment = "when it was issued: twelve digits, with zeros"
    yield "time-12-digits", malformed(data, comment, SERVED, exact=True)
    for key in ("refresh", "renew", "expires"):
        for name, text in (("negative", "-1"), ("words", "never"), ("13-digits", "9" * 13)):
            data = varied({key: text})
            yield f"{key}-{name}", malformed(data, f"{key} is no time")
    for name, changes, comment in (
        ("refresh-before-issued", {"refresh": NOW - HOUR - 1}, "refresh comes before issued"),
        ("renew-before-refresh", {"renew": NOW + 4 * HOUR - 1}, "renew comes before refresh"),
        ("expires-before-renew", {"expires": NOW + 10 * HOUR - 1}, "expires comes before renew"),
        ("life-too-long", {"expires": NOW - HOUR + LIFE + 1}, "a second more than 12 hours"),
    ):
        yield name, malformed(varied(changes), comment)
    data = entry(expires=NOW - HOUR + LIFE)
    yield "life-longest", malformed(data, "12 hours", SERVED)
    data = entry(refresh=NOW - HOUR, renew=NOW + HOUR, expires=NOW + HOUR)
    yield "times-equal", malformed(data, "refresh is issued, renew is expires", DUE)
    yield (
        "conditions-missing",
        malformed(good.replace(f"{REGION}\n".encode(), b""), "it would be served to any identity"),
    )
    # The length of the file.
    for name, length, expect in (
        ("length-most", ENTRY_LIMIT, SERVED),
        ("length-too-much", ENTRY_LIMIT + 1, ABSENT),
    ):
        short = entry(source="")
        data = entry(source=f"{{repeat:x:{length - len(short)}}}")
        yield name, malformed(data, f"{length:,} bytes", expect)


def ages() -> Cases:
    """What is done with a token at each time of its life; the first and last second of each."""
    first = {"issued": NOW - 2 * HOUR, "refresh": NOW, "renew": NOW, "expires": NOW + HOUR}
    for name, times, expect, comment in (
        ("fresh", {}, SERVED, "long before refresh"),
        ("due", {"refresh": NOW - HOUR}, DUE, "long after refresh"),
        ("late", {"refresh": NOW - HOUR, "renew": NOW - 60, "expires": NOW + HOUR}, LATE, "after renew"),
        ("expired", {"refresh": NOW - HOUR, "renew": NOW - HOUR, "expires": NOW - 60}, ABSENT, "after its end"),
        ("future", {"issued": NOW + HOUR}, ABSENT, "issued in an hour: the clock was set back"),
    ):  # fmt: skip
        yield name, malformed(varied(times), comment, expect)
    for name, times, expect, comment in (
        ("issued-now", {"issued": NOW}, SERVED, "issued this very second"),
        ("issued-next", {"issued": NOW + 1}, ABSENT, "issued in the next second"),
        ("refresh-next", {**first, "refresh": NOW + 1, "renew": NOW + 1}, SERVED, "the last second before refresh"),
        ("refresh-now", {**first, "renew": NOW + 1}, DUE, "the second of refresh"),
        ("renew-next", {**first, "refresh": NOW - 60, "renew": NOW + 1}, DUE, "the last second before renew"),
        ("renew-now", first, LATE, "the second of renew"),
        ("expires-next", {**first, "expires": NOW + 1}, LATE, "the last second before its end"),
        ("expires-now", {**first, "expires": NOW}, ABSENT, "the second of its end"),
    ):  # fmt: skip
        yield name, malformed(varied(times), comment, expect, exact=True)
    for word, value, expect in (
        ("false", "false", LATE),
        ("0", "0", LATE),
        ("no", "no", LATE),
        ("off", "off", LATE),
        ("capitals", "FALSE", LATE),
        ("capital", "Off", LATE),
        ("nothing", "", DUE),
        ("true", "true", DUE),
        ("1", "1", DUE),
        ("nope", "nope", DUE),
        ("space", "off ", DUE),
    ):
        data = entry(refresh=NOW - HOUR)
        env = ["AWS_REGION=us-east-1", f"AWS_ECR_BACKGROUND_REFRESH={value}"]
        comment = "after refresh: whether it is renewed behind the answer, by a word for no"
        yield f"due-and-{word}", malformed(data, comment, expect, env=env)


def logins() -> Cases:
    """The entry that `docker login` made: no conditions, never renewed."""
    for name, data, expect, comment in (
        ("usual", login(), SERVED, "a login"),
        ("expired", login(LIFE + 60), ABSENT, "a login whose password has ended"),
        ("future", login(-HOUR), SERVED, "made by a clock that was fast"),
        ("past-renew", login(refresh=NOW - 60, renew=NOW - 30), SERVED, "a login is never renewed"),
        ("other-host", login(host=OTHER), ABSENT, "a login of another registry"),
        ("life-too-long", login(expires=NOW - HOUR + LIFE + 1), ABSENT, "more than 12 hours"),
    ):
        case = Case(comment, expect, {"login": data}, stdout=answer(LOGIN))
        yield name, case
    data = entry(secret=f'"{LOGIN}"')
    yield (
        "condition-that-holds",
        Case("a login with a condition", SERVED, {"login": data}, stdout=answer(LOGIN)),
    )
    yield (
        "condition-that-fails",
        Case("a login with a condition", ABSENT, {"login": data}, env=["AWS_REGION=eu-west-1"]),
    )
    yield "without-conditions", Case("the name is an issued token's", files={NAME: login()})


def choices() -> Cases:
    """Which of several entries is served: a login before the others, then the newest."""
    old, new = issued(2 * HOUR, OLDER), issued(HOUR, NEWER)
    elsewhere = issued(60, NEWER, "env AWS_REGION=eu-west-1")

    def case(
        comment: str, secret: str, *files: bytes, expect: str = SERVED, **named: bytes
    ) -> Case:
        made = dict(zip((NAME, SECOND, THIRD), files, strict=False))
        return Case(comment, expect, {**made, **named}, stdout=answer(secret))

    yield "newer-first", case("the newer is served", NEWER, new, old)
    yield "newer-last", case("the newer is served", NEWER, old, new)
    yield "of-three", case("the newest is served", NEWER, old, new, issued(3 * HOUR, SECRET))
    yield (
        "newer-by-a-second",
        case("the newer is served", NEWER, issued(61, OLDER), issued(60, NEWER)),
    )
    yield "newer-of-another-identity", case("its conditions fail", OLDER, old, elsewhere)
    yield "newer-is-malformed", case("it is cut off", OLDER, old, new[:-3])
    yield "newer-is-of-the-future", case("it is not served yet", OLDER, old, issued(-HOUR, NEWER))
    yield "newer-has-expired", case(
        "it had a shorter life", OLDER, old,
        issued(HOUR, NEWER, refresh=NOW - 90, renew=NOW - 80, expires=NOW - 70),
    )  # fmt: skip
    yield "newer-is-due", case(
        "the newer is served, though the older is not due", NEWER, issued(3 * HOUR, OLDER),
        issued(2 * HOUR, NEWER, refresh=NOW - HOUR), expect=DUE,
    )  # fmt: skip
    yield "newer-is-late", case(
        "the newer is renewed, though the older is not due", NEWER, issued(3 * HOUR, OLDER),
        issued(2 * HOUR, NEWER, refresh=NOW - HOUR, renew=NOW - 60), expect=LATE,
    )  # fmt: skip
    yield "login-is-older", case("a login is served", LOGIN, new, login=login(5 * HOUR))
    yield "login-is-newer", case("a login is served", LOGIN, old, login=login(60))
    yield (
        "login-before-due",
        case(
            "a login is served, and nothing renewed", LOGIN, issued(6 * HOUR, OLDER), login=login()
        ),
    )
    yield "login-has-expired", case("a token is served", NEWER, new, login=login(LIFE + 60))
    yield "login-is-malformed", case("a token is served", NEWER, new, login=login()[:-2])
    yield "login-of-another-host", case("a token is served", NEWER, new, login=login(host=OTHER))
    yield (
        "none-of-two",
        Case("each has a condition that fails", files={NAME: elsewhere, SECOND: elsewhere}),
    )
    yield (
        "many",
        Case(
            "seventy identities, and one of them is this one",
            SERVED,
            {
                f"{n:016x}": issued(n, SECRET, f"env AWS_REGION=eu-west-{n}")
                for n in range(100, 170)
            },
            env=["AWS_REGION=eu-west-142"],
        ),
    )


def directories() -> Cases:
    """What of a directory, and of a file in it, is as it must be; the entry's bytes always are."""
    place = f"cache/{HOST}"
    file = f"{place}/{NAME}"
    # Modes.
    for mode, expect in (
        ("600", SERVED), ("400", SERVED), ("700", SERVED), ("500", SERVED), ("4600", SERVED),
        ("640", ABSENT), ("620", ABSENT), ("610", ABSENT), ("604", ABSENT), ("602", ABSENT),
        ("601", ABSENT), ("644", ABSENT), ("666", ABSENT), ("777", ABSENT),
    ):  # fmt: skip
        yield f"file-{mode}", Case("the mode of an entry", expect, mode=mode)
    for mode, expect in (
        ("700", SERVED), ("500", SERVED), ("755", SERVED), ("750", SERVED), ("711", SERVED),
        ("2755", SERVED), ("770", ABSENT), ("720", ABSENT), ("702", ABSENT), ("707", ABSENT),
        ("777", ABSENT), ("1777", ABSENT), ("775", ABSENT),
    ):  # fmt: skip
        folders = ("700", mode)
        yield f"host-{mode}", Case("the mode of a host's directory", expect, folders=folders)
    for mode in ("700", "755", "777", "1777"):
        comment = "the mode of the cache: others may write beside our directories, as in /tmp"
        yield f"cache-{mode}", Case(comment, SERVED, folders=(mode, "700"))
    # As another user than root, what may not be read.
    yield "file-000", Case("an entry that cannot be read", mode="000", needs="user")
    yield "host-000", Case("a directory that cannot be read", folders=("700", "000"), needs="user")
    yield (
        "host-300",
        Case("a directory that cannot be listed", folders=("700", "300"), needs="user"),
    )
    # Owners.
    for name, path in (("file", file), ("host", place), ("cache", "cache")):
        yield (
            f"{name}-of-another",
            Case("another user's", after=[f"owner {path} 65534"], needs="root"),
        )
    # Links.
    yield (
        "file-is-link",
        Case(
            "an entry is never reached by a link",
            files={},
            after=["dir cache 700", f"dir {place} 700", f"file entry 600 {len(entry())}"]
            + [f"link {file} {{root}}/entry"],
            last=entry(),
        ),
    )
    yield (
        "file-is-link-beside",
        Case(
            "an entry is never reached by a link, not even to another entry",
            SERVED,
            {NAME: entry()},
            after=[f"link {place}/{SECOND} {NAME}"],
        ),
    )
    yield (
        "file-is-dangling-link",
        Case("a link to nowhere beside an entry", SERVED, after=[f"link {place}/{SECOND} nowhere"]),
    )
    yield "file-has-another-name", Case("a hard link elsewhere", after=[f"hard {file} another"])
    yield (
        "file-has-another-name-beside",
        Case("a hard link of an entry's name", after=[f"hard {file} {place}/{SECOND}"]),
    )
    yield (
        "host-is-link",
        Case(
            "a host's directory is never reached by a link",
            cache="elsewhere",
            after=["dir cache 700", f"link {place} {{root}}/elsewhere/{HOST}"],
        ),
    )
    yield (
        "host-is-link-beside",
        Case(
            "a host's directory is never reached by a link",
            host="real",
            after=[f"link {place} real"],
        ),
    )
    for name, target in (("absolute", "{root}/elsewhere"), ("relative", "elsewhere")):
        yield (
            f"cache-is-{name}-link",
            Case(
                "the cache may be a link that its owner made",
                SERVED,
                cache="elsewhere",
                after=[f"link cache {target}"],
            ),
        )
    yield (
        "cache-is-link-of-another",
        Case(
            "who else can make links there would choose the cache",
            cache="elsewhere",
            after=["link cache elsewhere", "owner cache 65534"],
            needs="root",
        ),
    )
    yield (
        "cache-is-link-to-link",
        Case(
            "a link leads to a directory",
            cache="elsewhere",
            after=["link second elsewhere", "link cache second"],
        ),
    )
    yield (
        "cache-is-link-to-another's",
        Case(
            "a link leads to a directory of the same owner",
            cache="elsewhere",
            after=["link cache elsewhere", "owner elsewhere 65534"],
            needs="root",
        ),
    )
    yield (
        "cache-is-dangling-link",
        Case("a link to nowhere", files={}, after=["link cache nowhere"]),
    )
    yield "cache-is-link-to-itself", Case("a loop", files={}, after=["link cache cache"])
    yield (
        "cache-above-is-link",
        Case(
            "above the cache a link is as good as a directory",
            SERVED,
            cache="elsewhere/cache",
            before=["dir elsewhere 700"],
            after=["link above elsewhere"],
            places=["AWS_ECR_CACHE_DIR={root}/above/cache"],
        ),
    )
    # What is no file and no directory.
    yield (
        "file-is-directory",
        Case("a directory of an entry's name", SERVED, after=[f"dir {place}/{SECOND} 700"]),
    )
    yield (
        "file-is-fifo",
        Case(
            "a FIFO of an entry's name, which nobody writes",
            SERVED,
            after=[f"fifo {place}/{SECOND} 600"],
        ),
    )
    yield (
        "only-fifo",
        Case(
            "a FIFO alone",
            files={},
            after=["dir cache 700", f"dir {place} 700", f"fifo {file} 600"],
        ),
    )
    yield (
        "host-is-file",
        Case("a file of a host's name", files={}, after=["dir cache 700", f"file {place} 600 0"]),
    )
    yield (
        "host-is-fifo",
        Case("a FIFO of a host's name", files={}, after=["dir cache 700", f"fifo {place} 600"]),
    )
    yield "cache-is-file", Case("a file of the cache's name", files={}, after=["file cache 600 0"])
    yield "cache-is-fifo", Case("a FIFO of the cache's name", files={}, after=["fifo cache 600"])
    yield "cache-missing", Case("there is no cache", files={})
    yield "host-missing", Case("there is nothing for this host", files={}, after=["dir cache 700"])
    yield "host-empty", Case("nothing in it", files={}, after=["dir cache 700", f"dir {place} 700"])
    # Names of entries.
    for name, called in (
        ("name-of-15", "123456789abcdef"),
        ("name-of-17", "00123456789abcdef"),
        ("name-with-capitals", "0123456789ABCDEF"),
        ("name-not-hexadecimal", "0123456789abcdeg"),
        ("name-with-dot", ".123456789abcdef"),
        ("name-with-space", "0123456789abcde "),
        ("name-not-ascii", "0123456789abcd\xe9"),
        ("name-with-suffix", f"{NAME}.tmp"),
        ("name-login-capitals", "Login"),
        ("name-login-hidden", ".login"),
        ("name-logins", "logins"),
    ):
        files = {called: login() if "login" in called.lower() else entry()}
        yield name, Case("the name is none of an entry", files=files)
    for called in ("0" * 16, "f" * 16, "00000000deadbeef"):
        yield f"name-{called}", Case("a name of an entry", SERVED, {called: entry()})
    yield (
        "names-beside",
        Case(
            "what others leave in a directory changes nothing",
            SERVED,
            after=[
                f"file {place}/.{NAME}.tmp 600 0",
                f"file {place}/README 644 0",
                f"dir {place}/x 777",
                "file cache/x 666 0",
                "dir cache/.locks 700",
            ],
        ),
    )
    yield (
        "host-with-capitals",
        Case("hosts are in lower case on the disk", host=HOST.upper(), needs="linux"),
    )


def places() -> Cases:
    """Where the cache is, by the environment. As on Linux; others have a directory of their own."""
    below = "docker-credential-ecr"
    chosen = "{root}/cache"
    for name, where, cache, expect, comment in (
        ("chosen", [f"AWS_ECR_CACHE_DIR={chosen}"], "cache", SERVED, "AWS_ECR_CACHE_DIR names it"),
        ("chosen-with-slash", [f"AWS_ECR_CACHE_DIR={chosen}/"], "cache", SERVED, "a slash behind"),
        ("chosen-by-tilde", ["AWS_ECR_CACHE_DIR=~/cache"], "home/cache", SERVED, "~ is HOME"),
        ("chosen-is-tilde", ["AWS_ECR_CACHE_DIR=~"], "home", SERVED, "~ alone is HOME"),
        ("chosen-tilde-inside", ["AWS_ECR_CACHE_DIR={root}/~/cache"], "~/cache", SERVED, "~ is a name"),
        ("chosen-relative", ["AWS_ECR_CACHE_DIR=cache"], "cache", ABSENT, "a relative path is none"),
        ("chosen-empty", ["AWS_ECR_CACHE_DIR="], f"home/.cache/{below}", SERVED, "as if unset"),
        ("chosen-before-xdg", [f"AWS_ECR_CACHE_DIR={chosen}", "XDG_CACHE_HOME={root}/xdg"], "cache", SERVED, "before XDG_CACHE_HOME"),
        ("chosen-elsewhere", ["AWS_ECR_CACHE_DIR={root}/other"], "cache", ABSENT, "another directory"),
        ("switched-off", [f"AWS_ECR_CACHE_DIR={chosen}", "AWS_ECR_DISABLE_CACHE=1"], "cache", ABSENT, "switched off"),
        ("switched-off-by-any-word", [f"AWS_ECR_CACHE_DIR={chosen}", "AWS_ECR_DISABLE_CACHE=false"], "cache", ABSENT, "any word switches it off"),
        ("switched-off-by-nothing", [f"AWS_ECR_CACHE_DIR={chosen}", "AWS_ECR_DISABLE_CACHE="], "cache", SERVED, "empty is as if unset"),
        ("home", [], f"home/.cache/{below}", SERVED, "below HOME"),
        ("home-not-xdg", ["XDG_CACHE_HOME={root}/xdg"], f"home/.cache/{below}", ABSENT, "not below HOME"),
        ("xdg", ["XDG_CACHE_HOME={root}/xdg"], f"xdg/{below}", SERVED, "XDG_CACHE_HOME names its parent"),
        ("xdg-empty", ["XDG_CACHE_HOME="], f"home/.cache/{below}", SERVED, "as if unset"),
        ("xdg-relative", ["XDG_CACHE_HOME=xdg"], f"home/.cache/{below}", SERVED, "a relative path is as if unset"),
        ("xdg-tilde", ["XDG_CACHE_HOME=~/xdg"], f"home/.cache/{below}", SERVED, "~ is a relative path here"),
        ("home-with-slash", ["HOME={root}/home/"], f"home/.cache/{below}", SERVED, "a slash behind"),
        ("home-with-slashes", ["HOME={root}/home//"], f"home/.cache/{below}", SERVED, "slashes behind"),
    ):  # fmt: skip
        above = cache.split("/")[:-1]
        made = ["/".join(above[: n + 1]) for n in range(len(above))]
        yield (
            name,
            Case(
                comment,
                expect,
                before=[f"dir {path} 700" for path in made if path != "home"],
                cache=cache,
                places=where,
                needs="linux",
            ),
        )


def environments() -> Cases:
    """Which conditions hold: each case has one, or what is said of it."""

    def of(
        line: str, env: Iterable[str], expect: str, comment: str, *after: str, **how: Any
    ) -> Case:
        return Case(comment, expect, {NAME: entry(line)}, env=list(env), before=list(after), **how)

    long = "0123456789" * 400
    for name, line, env, expect, comment in (
        ("env", "env A=b", ["A=b"], SERVED, "as it was"),
        ("env-other", "env A=b", ["A=c"], ABSENT, "another value"),
        ("env-unset", "env A=b", [], ABSENT, "unset"),
        ("env-empty", "env A=b", ["A="], ABSENT, "empty"),
        ("env-longer", "env A=b", ["A=bc"], ABSENT, "a longer value"),
        ("env-shorter", "env A=bc", ["A=b"], ABSENT, "a shorter value"),
        ("env-capitals", "env A=b", ["A=B"], ABSENT, "another case"),
        ("env-name-capitals", "env A=b", ["a=b"], ABSENT, "a name of another case"),
        ("env-name-longer", "env A=b", ["AA=b"], ABSENT, "a longer name"),
        ("env-of-nothing", "env A=", ["A="], SERVED, "empty, as it was"),
        ("env-of-nothing-unset", "env A=", [], ABSENT, "unset is not empty"),
        ("env-of-nothing-other", "env A=", ["A=b"], ABSENT, "not empty"),
        ("env-equals", "env A=b=c", ["A=b=c"], SERVED, "an equals sign in the value"),
        ("env-equals-alone", "env A==", ["A=="], SERVED, "the value is an equals sign"),
        ("env-space", "env A= b ", ["A= b "], SERVED, "spaces around the value"),
        ("env-space-missing", "env A=b ", ["A=b"], ABSENT, "no space behind the value"),
        ("env-tab", "env A=b\tc", ["A=b\tc"], SERVED, "a tab in the value"),
        ("env-carriage-return", "env A=b\r", ["A=b\r"], SERVED, "a CR in the value"),
        ("env-utf-8", "env A=\u00e9\U0001f600", ["A=\u00e9\U0001f600"], SERVED, "letters beyond ASCII"),
        ("env-decomposed", "env A=\u00e9", ["A=e\u0301"], ABSENT, "the same letter by other bytes"),
        ("env-not-utf-8", "env A=\udcff\udc80", ["A=\udcff\udc80"], SERVED, "bytes that are no text"),
        ("env-not-utf-8-other", "env A=\udcff", ["A=\udcfe"], ABSENT, "other bytes that are no text"),
        ("env-overlong", "env A=\udcc1\udc81", ["A=A"], ABSENT, "A in two bytes is not A"),
        ("env-long", f"env A={long}", [f"A={long}"], SERVED, "4,000 characters"),
        ("env-long-other", f"env A={long}", [f"A={long[:-1]}8"], ABSENT, "the last of them is another"),
        ("env-without-equals", "env A", ["A="], SERVED, "a line without an equals sign means an empty value"),
        ("env-without-equals-unset", "env A", [], ABSENT, "a line without an equals sign means an empty value"),
        ("env-without-name", "env =b", [], ABSENT, "no name"),
        ("env-nothing", "env ", [], ABSENT, "no name and no value"),
        ("env-bare", "env", [], ABSENT, "the kind alone"),
        ("env-spaces", "env  A=b", ["A=b"], ABSENT, "two spaces: the name has one"),
        ("env-with-nul", "env A=b\0", ["A=b"], ABSENT, "a NUL in the line"),
        ("unset", "unset A", [], SERVED, "unset, as it was"),
        ("unset-set", "unset A", ["A=b"], ABSENT, "set"),
        ("unset-empty", "unset A", ["A="], ABSENT, "empty is not unset"),
        ("unset-longer", "unset A", ["AA=b"], SERVED, "a longer name is set"),
        ("unset-capitals", "unset A", ["a=b"], SERVED, "a name of another case is set"),
        ("unset-space", "unset A ", ["A=b"], SERVED, "a space behind: the name has one"),
        ("unset-nothing", "unset ", ["A=b"], SERVED, "no name"),
        ("residue", f"residue A {residue(b'secret')}", ["A=secret"], SERVED, "as it was"),
        ("residue-other", f"residue A {residue(b'secret')}", ["A=secreu"], ABSENT, "another value"),
        ("residue-unset", f"residue A {residue(b'secret')}", [], ABSENT, "unset"),
        ("residue-of-nothing", "residue A 0", ["A="], SERVED, "of an empty value"),
        ("residue-of-nothing-unset", "residue A 0", [], ABSENT, "unset is not empty"),
        ("residue-one-byte", "residue A 98", ["A=b"], SERVED, "of one byte, which is that byte"),
        ("residue-8-bytes", f"residue A {residue(b'12345678')}", ["A=12345678"], SERVED, "of eight bytes, more than 61 bits"),
        ("residue-zeros-before", "residue A 098", ["A=b"], ABSENT, "a zero before the number"),
        ("residue-plus", "residue A +98", ["A=b"], ABSENT, "a sign"),
        ("residue-space-behind", "residue A 98 ", ["A=b"], ABSENT, "a space behind"),
        ("residue-unreduced", f"residue A {98 + MERSENNE}", ["A=b"], ABSENT, "a number that is no residue"),
        ("residue-of-many", f"residue A {residue(long.encode())}", [f"A={long}"], SERVED, "4,000 characters"),
        ("residue-of-ones", f"residue A {residue(bytes([127]) * 61)}", ["A=" + chr(127) * 61], SERVED, "bytes of seven ones"),
        ("residue-utf-8", f"residue A {residue('é'.encode())}", ["A=é"], SERVED, "letters beyond ASCII"),
        ("residue-not-utf-8", f"residue A {residue(bytes([0xFF]) * 9)}", ["A=" + chr(0xDCFF) * 9], SERVED, "bytes that are no text"),
        ("residue-bare", "residue A", ["A="], ABSENT, "no number"),
        ("residue-nothing", "residue ", [], ABSENT, "no name"),
        ("unknown", "unknown /etc/passwd", [], ABSENT, "the condition that never holds"),
        ("unknown-kind", "weather fine", [], ABSENT, "a kind of some later time"),
        ("kind-capitals", "ENV A=b", ["A=b"], ABSENT, "kinds are in lower case"),
        ("kind-indented", " env A=b", ["A=b"], ABSENT, "a space before the kind"),
        ("kind-tab", "env\tA=b", ["A=b"], ABSENT, "a tab in place of the space"),
        ("kind-longer", "envs A=b", ["A=b"], ABSENT, "a letter more"),
        ("kind-shorter", "en A=b", ["A=b"], ABSENT, "a letter less"),
        ("kind-alone", "boot", [], ABSENT, "a kind alone"),
    ):  # fmt: skip
        yield name, of(line, env, expect, comment)

    state = (
        "{mtime:config} {ctime:config} {size:config} {inode:config} {device:config} {root}/config"
    )
    config = "file config 600 0"
    for name, line, expect, comment in (
        ("file", f"file {state}", SERVED, "as it was"),
        ("file-mtime", f"file 1{state}", ABSENT, "another time of modification"),
        ("file-ctime", f"file {state.replace(' {ctime', ' 1{ctime')}", ABSENT, "another time of change"),
        ("file-size", f"file {state.replace(' {size', ' 1{size')}", ABSENT, "another size"),
        ("file-inode", f"file {state.replace(' {inode', ' 1{inode')}", ABSENT, "another inode"),
        ("file-device", f"file {state.replace(' {device', ' 1{device')}", ABSENT, "another device"),
        ("file-path", f"file {state}2", ABSENT, "another path, where nothing is"),
        ("file-zero-before", f"file 0{state}", ABSENT, "a zero before a number"),
        ("file-plus", f"file +{state}", ABSENT, "a sign before a number"),
        ("file-spaces", f"file {state.replace(' {size', '  {size')}", ABSENT, "two spaces"),
        ("file-space-behind", f"file {state} ", ABSENT, "a space behind: the path has one"),
        ("file-slash-behind", f"file {state}/", ABSENT, "a slash behind: it is no directory"),
        ("file-seconds", f"file 1795000000 1795000000 {state.partition(' ')[2].partition(' ')[2]}", ABSENT, "times in seconds"),
        ("file-4-numbers", f"file {state.replace(' {device:config}', '')}", ABSENT, "no device, as in format 1"),
        ("file-6-numbers", f"file 0 {state}", ABSENT, "a number too many"),
        ("file-nothing", "file ", ABSENT, "nothing"),
        ("file-absent", "absent {root}/config", ABSENT, "it was absent, and is there"),
        ("file-same-by-another-path", f"file {state.replace('/config', '/./config')}", SERVED, "the same file by another path"),
    ):  # fmt: skip
        yield name, of(line, [], expect, comment, config)
    yield (
        "file-missing",
        of("file 1 1 0 1 1 {root}/config", [], ABSENT, "it was there, and is absent"),
    )
    yield "file-of-other", of(
        f"file {state.replace('{root}/config', '{root}/other')}", [], ABSENT,
        "another file with the same content", config, "file other 600 0",
    )  # fmt: skip
    yield (
        "file-with-content",
        Case(
            "a file of some bytes",
            SERVED,
            {NAME: entry(f"file {state}")},
            env=[],
            before=["file config 644 5"],
            first=b"hello",
        ),
    )
    yield (
        "file-is-directory",
        of(f"file {state}", [], SERVED, "a directory has a state, too", "dir config 755"),
    )
    yield (
        "file-by-link",
        of(
            f"file {state}", [], SERVED, "a link is followed", "file real 600 0", "link config real"
        ),
    )
    linked = "{mtime:real} {ctime:real} {size:real} {inode:real} {device:real} {root}/config"
    yield (
        "file-by-link-of-target",
        of(
            f"file {linked}",
            [],
            SERVED,
            "the state is the target's",
            "file real 600 0",
            "link config real",
        ),
    )
    spaced = state.replace("config", "a b/c d ")
    yield (
        "file-with-spaces",
        of(
            f"file {spaced}",
            [],
            SERVED,
            "spaces in the path",
            "dir a%20b 700",
            "file a%20b/c%20d%20 600 0",
        ),
    )
    bytes_ = state.replace("config", "\u00e9\udcff")
    yield (
        "file-not-utf-8",
        of(
            f"file {bytes_}",
            [],
            SERVED,
            "bytes in the path",
            "file \u00e9\udcff 600 0",
            needs="linux",
        ),
    )
    relative = state.replace("{root}/", "")
    yield (
        "file-by-relative-path",
        of(f"file {relative}", [], SERVED, "from the reader's directory on", config),
    )
    for name, line, expect, comment, after in (
        ("absent", "absent {root}/config", SERVED, "as it was", []),
        ("absent-by-relative-path", "absent config", SERVED, "from the reader's directory on", []),
        ("absent-but-by-relative-path", "absent config", ABSENT, "from the reader's directory on", [config]),
        ("absent-below-nothing", "absent {root}/a/b/c", SERVED, "nor is its directory there", []),
        ("absent-below-file", "absent {root}/config/x", SERVED, "its directory is a file", [config]),
        ("absent-dangling-link", "absent {root}/config", SERVED, "a link to nowhere", ["link config nowhere"]),
        ("absent-but-link", "absent {root}/config", ABSENT, "a link to a file", ["file real 600 0", "link config real"]),
        ("absent-but-directory", "absent {root}/config", ABSENT, "a directory is there", ["dir config 700"]),
        ("absent-loop", "absent {root}/config", ABSENT, "a link to itself cannot be examined", ["link config config"]),
        ("absent-name-too-long", "absent {root}/{repeat:n:300}", ABSENT, "a name that no file can have", []),
        ("absent-path-too-long", "absent {root}/{repeat:n/:5000}", ABSENT, "a path that no file can have", []),
        ("absent-with-nul", "absent {root}/config\0", ABSENT, "a path that no file can have", []),
        ("absent-nothing", "absent ", SERVED, "the empty path names nothing", []),
        ("absent-with-spaces", "absent {root}/a b ", SERVED, "spaces in the path", []),
    ):  # fmt: skip
        yield name, of(line, [], expect, comment, *after)
    yield "absent-unreadable", of(
        "absent {root}/closed/config", [], ABSENT, "a directory that may not be searched",
        "dir closed 600", needs="user",
    )  # fmt: skip
    yield "boot", of("boot {boot}", [], SERVED, "this boot", needs="linux")
    yield "boot-other", of("boot 00000000-0000-0000-0000-000000000000", [], ABSENT, "another boot")
    yield "boot-capitals", of("boot X{boot}", [], ABSENT, "another text")
    yield "boot-empty", of("boot ", [], ABSENT, "no boot")
    yield "boot-space-behind", of("boot {boot} ", [], ABSENT, "a space behind")
    # Where the kernel has a boot id, no entry says it otherwise.
    for name, line in (
        ("booted", "booted 1795000000 elsewhere"),
        ("booted-nothing", "booted "),
        ("booted-alone", "booted"),
        ("booted-long-ago", "booted 0 {boot}"),
        ("booted-at-no-time", "booted x {boot}"),
    ):
        comment = "the kind for machines without a boot id"
        yield name, of(line, [], ABSENT, comment, needs="linux")
    every = [
        "env A=b",
        "unset C",
        f"residue D {residue(b'e')}",
        f"file {state}",
        "absent {root}/none",
    ]
    usual = ["A=b", "D=e"]
    yield "all", Case("one of each kind", SERVED, {NAME: entry(*every)}, env=usual, before=[config])
    for number, line in enumerate(every):
        kind = line.partition(" ")[0]
        broken = [*every[:number], *every[number + 1 :], "env Z=z"]
        yield f"all-but-{kind}", Case(
            "without one, and one that fails at the end", files={NAME: entry(*broken)},
            env=usual, before=[config],
        )  # fmt: skip
    yield "first-fails", Case(
        "one that fails, then one of each kind", files={NAME: entry("env Z=z", *every)},
        env=usual, before=[config],
    )  # fmt: skip
    yield "twice", Case("the same twice", SERVED, {NAME: entry("env A=b", "env A=b")}, env=["A=b"])
    yield (
        "contradiction",
        Case("two that cannot both hold", files={NAME: entry("env A=b", "unset A")}, env=["A=b"]),
    )
    lines = [f"unset N{n}" for n in range(1000)]
    yield "thousand", Case("a thousand of them", SERVED, {NAME: entry(*lines)}, env=["A=b"])
    yield (
        "thousand-and-one",
        Case("the last of a thousand fails", files={NAME: entry(*lines)}, env=["N999=x"]),
    )


@dataclasses.dataclass
class Name:
    """A server URL, and what it is."""

    asked: bytes
    comment: str
    host: str = ""  # canonical; empty if no token is ever sent there
    port: str = ""
    registry: str = ""  # what one token covers, if it is one of ECR
    echoed: str = ""  # what the answer calls it, if it is not what was asked

    def rendered(self) -> bytes:
        header = [f"comment: {self.comment}"]
        if not self.host:
            header.append("expect: refused")
        else:
            header += ["expect: host" if not self.registry else "expect: registry"]
            header.append(f"host: {self.host}")
            header += [f"port: {self.port}"] if self.port else []
            header += [f"registry: {self.registry}"] if self.registry else []
            header.append(f"stdout: {answer(SECRET, self.echoed or self.asked.decode())}")
        return encoded("\n".join(header)) + b"\n\n" + self.asked


def hosts() -> Iterator[tuple[str, Name]]:
    """What names a host, and which of these are registries."""
    account = HOST.partition(".")[0]

    def ecr(asked: str, comment: str, **how: str) -> Name:
        given = {"host": HOST, "registry": "ecr us-east-1", **how}
        return Name(asked.encode(), comment, **given)

    # Every form of every partition.
    for region, plain, dual in (
        ("us-east-1", "amazonaws.com", "on.aws"),
        ("us-gov-west-1", "amazonaws.com", "on.aws"),
        ("cn-north-1", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
        ("eusc-de-east-1", "amazonaws.eu", "on.amazonwebservices.eu"),
        ("us-iso-east-1", "c2s.ic.gov", ""),
        ("us-isob-east-1", "sc2s.sgov.gov", ""),
        ("eu-isoe-west-1", "cloud.adc-e.uk", ""),
        ("us-isof-south-1", "csp.hci.ic.gov", ""),
    ):
        for form, domain, flavour in (
            ("dkr.ecr", plain, ""),
            ("dkr.ecr-fips", plain, " fips"),
            ("dkr-ecr", dual, " dual-stack"),
            ("dkr-ecr-fips", dual, " fips dual-stack"),
        ):
            host = f"{account}.{form}.{region}.{domain or plain}"
            name = f"{region}{flavour.replace(' ', '-')}"
            if domain:
                covers = f"ecr {region}{flavour}"
                yield name, ecr(host, "a form of a registry's name", host=host, registry=covers)
            else:
                yield name, Name(host.encode(), "this partition has no dual-stack names", host)
    public = {"public.ecr.aws": "", "ecr-public.aws.com": " dual-stack"}
    for host, flavour in public.items():
        covers = f"ecr-public us-east-1{flavour}"
        yield host.replace(".", "-"), ecr(host, "ECR Public", host=host, registry=covers)
    # Every way to write one.
    for name, asked, port, comment in (
        ("https", f"https://{HOST}", "", "a scheme"),
        ("https-capitals", f"HTTPS://{HOST}", "", "a scheme in capitals"),
        ("capitals", HOST.upper(), "", "capitals"),
        ("slash", f"{HOST}/", "", "a slash"),
        ("path", f"https://{HOST}/v2/", "", "a path"),
        ("path-bare", f"{HOST}/team/app", "", "a path without a scheme"),
        ("path-with-colon", f"{HOST}/team/app:1", "", "a colon in the path"),
        ("path-with-scheme", f"https://{HOST}/https://", "", "a scheme in the path"),
        ("path-with-percent", f"{HOST}/%zz", "", "no escape in the path is undone"),
        ("port", f"{HOST}:443", "443", "a port"),
        ("port-1", f"{HOST}:1", "1", "the least port"),
        ("port-65535", f"{HOST}:65535", "65535", "the greatest port"),
        ("port-zeros", f"{HOST}:00443", "00443", "zeros before a port"),
        ("port-and-path", f"https://{HOST}:5000/v2/", "5000", "a port and a path"),
        ("dot", f"{HOST}.", "", "a trailing dot"),
        ("dot-and-port", f"{HOST}.:443/", "443", "a trailing dot and a port"),
    ):
        yield f"written-{name}", ecr(asked, comment, port=port)
    for name, asked in (
        ("spaces", f"  {HOST}  "),
        ("line-break", f"{HOST}\n"),
        ("carriage-return", f"{HOST}\r\n"),
        ("tab", f"\t{HOST}\t"),
        ("vertical-tab", f"\v{HOST}\f"),
    ):
        yield f"written-{name}", ecr(asked, "white space around", echoed=asked.strip())
    # What is refused before anything is looked up.
    for name, asked, comment in (
        ("empty-host", "https://", "no host"),
        ("slashes", "https:///", "no host"),
        ("http", f"http://{HOST}", "a token never travels in clear"),
        ("ssh", f"ssh://{HOST}", "another scheme"),
        ("scheme-empty", f"://{HOST}", "an empty scheme"),
        ("scheme-twice", f"https://https://{HOST}", "two schemes"),
        ("scheme-relative", f"//{HOST}", "no scheme before two slashes"),
        ("scheme-one-slash", f"https:/{HOST}", "one slash: the port is none"),
        ("scheme-three-slashes", f"https:///{HOST}", "three slashes: no host"),
        ("scheme-backslashes", f"https:\\\\{HOST}", "backslashes"),
        ("user", f"user@{HOST}", "user info"),
        ("user-and-password", f"https://user:password@{HOST}", "user info"),
        ("user-is-host", f"https://{HOST}@evil.com", "the host is user info"),
        ("at-in-path", f"{HOST}/a@b", "an at sign anywhere"),
        ("query", f"{HOST}?x", "a query"),
        ("query-in-path", f"{HOST}/?x", "a query"),
        ("fragment", f"{HOST}#x", "a fragment"),
        ("fragment-in-path", f"{HOST}/#x", "a fragment"),
        ("fragment-and-host", f"https://evil.com#{HOST}", "a fragment that is a host"),
        ("quote", f'{HOST}/"', "a quotation mark, which our answer would have to escape"),
        ("backslash", f"{HOST}/\\", "a backslash, which our answer would have to escape"),
        ("backslash-in-host", f"evil.com\\{HOST}", "a backslash in the host"),
        ("space", f"{HOST} evil.com", "a space inside"),
        ("space-in-path", f"{HOST}/a b", "a space inside"),
        ("line-break-inside", f"{HOST}\n.evil.com", "a line break inside"),
        ("tab-inside", f"{HOST}\t.evil.com", "a tab inside"),
        ("nul", f"{HOST}\0", "a NUL"),
        ("escape", f"{HOST}/\x1b[31m", "an escape character"),
        ("delete", f"{HOST}/\x7f", "a DEL"),
        ("port-empty", f"{HOST}:", "a port that is none"),
        ("port-0", f"{HOST}:0", "a port that is none"),
        ("port-65536", f"{HOST}:65536", "a port that is none"),
        ("port-100000", f"{HOST}:100000", "a port that is none, though its first five digits are"),
        ("port-negative", f"{HOST}:-1", "a port that is none"),
        ("port-plus", f"{HOST}:+443", "a port that is none"),
        ("port-letters", f"{HOST}:44a", "a port that is none"),
        ("port-huge", f"{HOST}:99999999999999999999", "a port that is none"),
        ("port-twice", f"{HOST}:443:443", "two ports"),
        ("dots", f"{HOST}..", "an empty label"),
        ("dot-before", f".{HOST}", "an empty label"),
        ("dots-inside", HOST.replace(".ecr.", ".ecr.."), "an empty label"),
        ("dot-alone", ".", "no label"),
        ("percent", HOST.replace(".", "%2e", 1), "an escape in the host"),
        ("star", f"*.{HOST}", "a star"),
        ("plus", f"a+b.{HOST}", "a plus sign"),
        ("ipv6", "[::1]", "an address"),
        ("ipv6-and-port", "[::1]:443", "an address and a port"),
        ("254-characters", "a." * 126 + "aa", "longer than a host's name may be"),
        ("full-width", HOST.replace("1", "\uff11"), "digits of another width"),
        ("superscript", HOST.replace("2.dkr", "\u00b2.dkr"), "a digit that is none"),
        ("cyrillic", HOST.replace("a", "\u0430"), "letters that look alike"),
        ("kelvin", HOST.replace("dkr", "d\u212ar"), "a letter whose small one is k"),
        ("dotless-i", HOST.replace("us-e", "\u0131s-e"), "a letter whose capital is I"),
        ("ideographic-dot", HOST.replace(".", "\u3002", 1), "a dot that some take for one"),
        ("zero-width", HOST.replace(".", "\u200b.", 1), "a letter of no width"),
        ("bidirectional", f"\u202e{HOST}", "a mark that turns the text around"),
        ("byte-order-mark", f"\ufeff{HOST}", "a mark before it"),
        ("not-ascii-in-path", f"{HOST}/\u00e9", "a letter that is not ASCII anywhere"),
    ):
        yield f"refused-{name}", Name(asked.encode(), comment)
    yield "refused-not-utf-8", Name(f"{HOST}/".encode() + b"\xff", "bytes that are no text")
    # Hosts that are none of ECR: an entry of theirs is one that a rule of the user's made.
    for name, host, comment in (
        ("custom", "images.example.com", "a name of the user's own"),
        ("label", "localhost", "one label"),
        ("underscore", "my_registry.example.com", "an underscore"),
        ("253-characters", "a." * 126 + "a", "as long as a host's name may be"),
        ("numbers", "127.0.0.1", "numbers"),
        ("docker", "index.docker.io", "Docker Hub"),
        ("suffix", f"{HOST}.evil.com", "a look-alike"),
        ("suffix-cn", f"{HOST}.cn", "a look-alike, which China's domain ends with"),
        ("prefix", f"evil{HOST}", "a look-alike"),
        ("subdomain", f"evil.{HOST}", "below a registry"),
        ("13-digits", f"1{HOST}", "an account of 13 digits"),
        ("11-digits", HOST[1:], "an account of 11 digits"),
        ("account-letters", f"a{HOST[1:]}", "an account that is none"),
        ("form-x", HOST.replace(".dkr.", ".dkrx."), "a look-alike"),
        ("form-fips", HOST.replace(".ecr.", ".ecrfips."), "a look-alike"),
        ("form-mixed", HOST.replace(".dkr.ecr.", ".dkr-ecr."), "a dual-stack form under a plain domain"),
        ("domain-dual", f"{account}.dkr.ecr.us-east-1.on.aws", "a plain form under a dual-stack domain"),
        ("domain-glued", HOST.replace(".amazonaws", ".evilamazonaws"), "a look-alike"),
        ("domain-joined", HOST.replace(".amazonaws", "amazonaws"), "no dot before the domain"),
        ("domain-other", HOST.replace(".com", ".net"), "another domain"),
        ("region-of-china", HOST.replace("us-east-1", "cn-north-1"), "a region under another partition's domain"),
        ("domain-of-china", f"{HOST}.cn", "a region under another partition's domain"),
        ("region-secret", HOST.replace("us-east-1", "us-iso-east-1"), "a region under another partition's domain"),
        ("region-two-parts", HOST.replace("us-east-1", "us-1"), "a region that is none"),
        ("region-without-number", HOST.replace("us-east-1", "us-east-x"), "a region that is none"),
        ("region-underscore", HOST.replace("us-east-1", "us_east-1"), "a region that is none"),
        ("region-hyphens", HOST.replace("us-east-1", "us--east-1"), "a region that is none"),
        ("region-hyphen-before", HOST.replace("us-east-1", "-us-east-1"), "a region that is none"),
        ("region-hyphen-behind", HOST.replace("us-east-1", "us-east-1-"), "a region that is none"),
        ("region-labels", HOST.replace("us-east-1", "us-east-1.x"), "a region that is none"),
        ("public-suffix", "public.ecr.aws.evil.com", "a look-alike"),
        ("public-prefix", "xpublic.ecr.aws", "a look-alike"),
        ("public-subdomain", "a.public.ecr.aws", "below ECR Public"),
    ):  # fmt: skip
        yield f"other-{name}", Name(host.encode(), comment, host)
    region = HOST.replace("us-east-1", "us-nowhere-9")
    yield (
        "region-unknown",
        ecr(region, "a region of some later time", host=region, registry="ecr us-nowhere-9"),
    )
    long = HOST.replace("us-east-1", "ap-southeast-12345")
    yield (
        "region-long",
        ecr(long, "a region of some later time", host=long, registry="ecr ap-southeast-12345"),
    )


FOLDERS: dict[str, Callable[[], Iterable[tuple[str, Case | Name]]]] = {
    "entries": entries,
    "ages": ages,
    "logins": logins,
    "choices": choices,
    "directories": directories,
    "places": places,
    "environments": environments,
    "hosts": hosts,
}


def vectors() -> dict[str, bytes]:
    """Return every vector: its path below this folder, and its bytes."""
    made: dict[str, bytes] = {}
    for folder, make in FOLDERS.items():
        for name, vector in make():
            path = f"{folder}/{name}"
            if path in made:
                raise ValueError(path)
            made[path] = vector.rendered()
    return made


def main() -> None:
    """Write the vectors, and remove what is no longer one."""
    made = vectors()
    for folder in FOLDERS:
        (HERE / folder).mkdir(exist_ok=True)
        for path in (HERE / folder).iterdir():
            if f"{folder}/{path.name}" not in made:
                path.unlink()
    for name, data in made.items():
        (HERE / name).write_bytes(data)
    sys.stdout.write(f"{len(made)} vectors{os.linesep}")


if __name__ == "__main__":
    main()
