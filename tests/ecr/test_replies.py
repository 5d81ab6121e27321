"""False replies: what a broken, misled or hostile service answers, and what is said of it.

One row a lie, of every service that an answer may need. A lie ends in one line of reason and a
hint, exit code 1 and no entry on disk; nothing of it is shown, not even what the service calls a
code or a message. What is only unusual is served. And no lie costs a token that is still valid:
that goes only when AWS itself refuses the identity.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import canaries
import pytest
from _pytest.mark import ParameterSet
from canaries import Source
from fake_aws import FakeAWS
from kit import CALL, HOST, LIFE, PUBLIC, PUBLIC_CALL, ROLE, Helper, age, entries

NOW = int(time.time())
SOON = NOW + LIFE
FAR = "2037-01-01T00:00:00Z"
PAST = "2001-01-01T00:00:00Z"
LEVELS = 100_000  # of nested JSON: far beyond any parser's stack
REPLY_LIMIT = 16 << 20  # bytes, 16 MiB, of a reply without end, with what the kernel holds
SECONDS = 12  # for any answer
ESCAPE = "\x1b[31mCANARY"
HTML = b"<!doctype html><html><title>CANARY</title><p>Log in to use this network</html>"


@dataclasses.dataclass(frozen=True)
class Reply:
    """One lie: who tells it (an operation of FakeAWS), in which words, what is to be said of it."""

    operation: str
    name: str
    fault: dict[str, Any]  # as FakeAWS.fault takes it
    says: str = ""  # a pattern of the reason, for the registry's host; empty: it is served
    hint: str = ""  # which one of the hints has in it
    old: str = ""  # what becomes of a token still valid: it "serves", "stays" on disk, or "goes"

    def __str__(self) -> str:
        return f"{self.operation}: {self.name}"


# How replies are made: each returns what ``FakeAWS.fault`` takes.


def body(content: object, **how: object) -> dict[str, Any]:
    """Return a reply of status 200 with ``content``: bytes, a text, or a document as JSON."""
    if not isinstance(content, bytes | str):
        content = json.dumps(content)
    return {"body": content.encode() if isinstance(content, str) else content, **how}


def wire(head: str, content: bytes = b"") -> dict[str, Any]:
    """Return a reply of these bytes: a status line and headers, then the content."""
    return {"raw": head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + content}


def elsewhere(reply: dict[str, Any], status: int) -> dict[str, Any]:
    """Return ``reply`` as that of a redirection, which nobody is to follow."""
    return {**reply, "status": status, "headers": {"Location": "http://127.0.0.1:1/CANARY"}}


def refusal(status: int, code: object, message: object = "CANARY") -> dict[str, Any]:
    """Return a refusal in JSON."""
    return body({"__type": code, "message": message}, status=status)


def xml_refusal(status: int, code: str) -> dict[str, Any]:
    """Return a refusal as STS makes it."""
    error = f"<Error><Code>{code}</Code><Message>CANARY</Message></Error>"
    return body(f"<ErrorResponse>{error}</ErrorResponse>", status=status, kind="text/xml")


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``document`` with ``changes``; ``None`` leaves a key out."""
    return {k: v for k, v in {**document, **changes}.items() if v is not None}


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def data(**changes: object) -> dict[str, Any]:
    """Return the authorization data of ECR."""
    made = {
        "authorizationToken": basic("AWS:CANARYpassword"),
        "expiresAt": SOON,
        "proxyEndpoint": f"https://{HOST}",
    }
    return changed(made, changes)


def ecr(**changes: object) -> dict[str, Any]:
    return body({"authorizationData": [data(**changes)]})


def public(**changes: object) -> dict[str, Any]:
    return body({"authorizationData": data(proxyEndpoint=None, **changes)})


def literally(reply: dict[str, Any], text: str) -> dict[str, Any]:
    """Return ``reply`` with ``text`` in place of the text "@": numbers that JSON's writer refuses."""
    return {**reply, "body": bytes(reply["body"]).replace(b'"@"', text.encode())}


def keys(**changes: object) -> dict[str, Any]:
    """Return the keys that a container's or an instance's service gives."""
    made = {
        "Code": "Success",
        "AccessKeyId": "ASIACANARY",
        "SecretAccessKey": "SECRET-CANARY",
        "Token": "SESSION-CANARY",
        "Expiration": FAR,
    }
    return body(changed(made, changes))


def sso_keys(**changes: object) -> dict[str, Any]:
    made = {
        "accessKeyId": "ASIACANARY",
        "secretAccessKey": "SECRET-CANARY",
        "sessionToken": "SESSION-CANARY",
        "expiration": SOON * 1000,
    }
    return body({"roleCredentials": changed(made, changes)})


def xml(content: str, before: str = "") -> dict[str, Any]:
    """Return a reply of AssumeRole."""
    return body(
        f'{before}<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<AssumeRoleResult>{content}</AssumeRoleResult></AssumeRoleResponse>",
        kind="text/xml",
    )


def role_keys(**changes: object) -> dict[str, Any]:
    made = {
        "AccessKeyId": "ASIACANARY",
        "SecretAccessKey": "SECRET-CANARY",
        "SessionToken": "SESSION-CANARY",
        "Expiration": FAR,
    }
    elements = "".join(f"<{key}>{value}</{key}>" for key, value in changed(made, changes).items())
    user = f"<AssumedRoleUser><Arn>{ROLE}/x</Arn></AssumedRoleUser>"
    return xml(f"<Credentials>{elements}</Credentials>{user}")


# What is said: each is a pattern of the whole reason, and what one of the hints has in it.

TRYING = 'cannot get a token for "HOST": '
NOT_AWS = TRYING + "the reply is not AWS's"
NO_TOKEN = 'the reply for "HOST" is not ECR\'s: it holds no authorization token'
NOT_OURS = 'the reply for "HOST" is not ECR\'s: its token is not for the user AWS'
TOO_LONG = 'the reply for "HOST" is not ECR\'s: its token is too long'
ANOTHER_REGION = 'the reply for "HOST" is not ECR\'s: it is for another region'
NO_REGISTRY = 'the reply for "HOST" is not ECR\'s: it is for no registry of ECR'
NO_EXPIRY = 'the reply for "HOST" is not ECR\'s: its token has no expiry'
EXPIRED = 'the reply for "HOST" is not ECR\'s: its token has expired'
SOURCE = TRYING + r'what a credential source( of profile "\w+")? gave cannot be read'
BROKE = TRYING + r'the connection to "127\.0\.0\.1:\d+" broke'
FAILED = TRYING + r"\w+ failed with status {}"
REFUSED = TRYING + r"AWS refused GetAuthorizationToken \(\w+\)"
NO_KEYS = 'no AWS credentials for "HOST": .+'
TOO_LARGE = TRYING + "a reply is larger than any of AWS's"
NOT_READ = f"{NOT_AWS}|{NO_TOKEN}"
ANY = ".+"
ENDPOINT = "AWS_ENDPOINT_URL_ECR"
CLOCK = "clock"
AGAIN = "try again"
LISTED = "aws configure list"

NOTHING = {"raw": b""}
ENDLESS = body(b" " * 65536, endless=True)
NESTED = b"[" * LEVELS + b"]" * LEVELS
DOCUMENTS = [
    ("empty", b""),
    ("null", b"null"),
    ("a list", b'["CANARY"]'),
    ("a text", b'"CANARY"'),
    ("a number", b"7"),
    ("no JSON", b"CANARY"),
    ("HTML", HTML),
    ("truncated JSON", b'{"authorizationData": [{"authorizationToken": "CANARY'),
    ("another encoding", '{"CANARY": "\xe9"}'.encode("utf-16")),
    ("bytes that are no text", b"\xff\xfe\x00CANARY\x80"),
    ("an empty object", b"{}"),
    ("compressed, unasked", gzip.compress(b'{"authorizationData": []}')),
    ("lists nested without end", NESTED),
    ("objects nested without end", b'{"a":' * LEVELS + b"1" + b"}" * LEVELS),
    ("nested and cut off", b'{"authorizationData":' + b"[" * LEVELS),
]


def documents(operation: str, says: str, hint: str, names: Iterable[str] = ()) -> list[Reply]:
    """Return the rows of what is no document at all: those named, or all."""
    chosen = set(names) or {name for name, _ in DOCUMENTS}
    return [
        Reply(operation, name, body(content), says, hint)
        for name, content in DOCUMENTS
        if name in chosen
    ]


ECR = [
    *documents(CALL, NOT_READ, ENDPOINT),
    Reply(CALL, "another user", ecr(authorizationToken=basic("root:CANARY")), NOT_OURS, ENDPOINT),
    Reply(CALL, "a user in lower case", ecr(authorizationToken=basic("aws:CANARY")), NOT_OURS, ENDPOINT),
    Reply(CALL, "no user", ecr(authorizationToken=basic(":CANARY")), NOT_OURS, ENDPOINT),
    Reply(CALL, "no colon", ecr(authorizationToken=basic("CANARY")), NOT_OURS, ENDPOINT),
    Reply(CALL, "no password", ecr(authorizationToken=basic("AWS:")), NOT_OURS, ENDPOINT),
    Reply(CALL, "not base64", ecr(authorizationToken="CANARY!!"), NO_TOKEN, ENDPOINT),
    Reply(CALL, "base64 cut off", ecr(authorizationToken=basic("AWS:CANARY")[:-3]), NO_TOKEN, ENDPOINT),
    Reply(CALL, "base64 with a line break", ecr(authorizationToken=basic("AWS:CANARY") + "\n"), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a token that is a number", ecr(authorizationToken=7), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a token that is a list", ecr(authorizationToken=["CANARY"]), NO_TOKEN, ENDPOINT),
    Reply(CALL, "no token", ecr(authorizationToken=None), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a token that is half a character", ecr(authorizationToken="\ud800"), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a password with a line break", ecr(authorizationToken=basic("AWS:CANARY\nx")), NOT_OURS, ENDPOINT),
    Reply(CALL, "a password with a NUL", ecr(authorizationToken=basic("AWS:CANARY\0x")), NOT_OURS, ENDPOINT),
    Reply(CALL, "a password with a quotation mark", ecr(authorizationToken=basic('AWS:CANARY"x')), NOT_OURS, ENDPOINT),
    Reply(CALL, "a password with an escape", ecr(authorizationToken=basic(f"AWS:{ESCAPE}")), NOT_OURS, ENDPOINT),
    Reply(CALL, "a password that is not ASCII", ecr(authorizationToken=basic("AWS:CANARY\xe9")), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a password that is too long", ecr(authorizationToken=basic("AWS:" + "C" * 65_537)), TOO_LONG, ENDPOINT),
    Reply(CALL, "a password of the longest length", ecr(authorizationToken=basic("AWS:" + "C" * 65_536))),
    Reply(CALL, "a password of 15 MB", ecr(authorizationToken=basic("AWS:" + "C" * 11_000_000)), TOO_LARGE, ENDPOINT),
    Reply(CALL, "no data", body({"authorizationData": []}), NO_TOKEN, ENDPOINT),
    Reply(CALL, "data that is null", body({"authorizationData": None}), NO_TOKEN, ENDPOINT),
    Reply(CALL, "data that is a text", body({"authorizationData": "CANARY"}), NOT_READ, ENDPOINT),
    Reply(CALL, "data that is no list", body({"authorizationData": data()}), NOT_READ, ENDPOINT),
    Reply(CALL, "a list of texts", body({"authorizationData": ["CANARY"]}), NOT_READ, ENDPOINT),
    Reply(CALL, "data for two registries", body({"authorizationData": [data(), data(authorizationToken=basic("root:CANARY"))]})),
    Reply(CALL, "another region", ecr(proxyEndpoint=f"https://{HOST.replace('us-east-1', 'eu-west-1')}"), ANOTHER_REGION, ENDPOINT),
    Reply(CALL, "another partition", ecr(proxyEndpoint="https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), ANOTHER_REGION, ENDPOINT),
    Reply(CALL, "another account of the region", ecr(proxyEndpoint=f"https://{HOST.replace('1234', '4321')}")),
    Reply(CALL, "no proxy", ecr(proxyEndpoint=None), NO_REGISTRY, ENDPOINT),
    Reply(CALL, "a proxy that is half a character", ecr(proxyEndpoint="\ud800"), NO_REGISTRY, ENDPOINT),
    Reply(CALL, "a proxy that is no registry", ecr(proxyEndpoint="https://evil.com/CANARY"), NO_REGISTRY, ENDPOINT),
    Reply(CALL, "expired", ecr(expiresAt=NOW - 60), EXPIRED, CLOCK),
    Reply(CALL, "expired in 1970", ecr(expiresAt=0), EXPIRED, CLOCK),
    Reply(CALL, "expired before that", ecr(expiresAt=-1e9), EXPIRED, CLOCK),
    Reply(CALL, "a date in words", ecr(expiresAt=FAR)),
    Reply(CALL, "a date of the past in words", ecr(expiresAt=PAST), EXPIRED, CLOCK),
    Reply(CALL, "valid for a thousand years", ecr(expiresAt=NOW + 1000 * 31_557_600)),
    Reply(CALL, "no expiry", ecr(expiresAt=None), NO_EXPIRY, ENDPOINT),
    Reply(CALL, "an expiry that is a text", ecr(expiresAt="CANARY"), NOT_AWS, ENDPOINT),
    Reply(CALL, "an expiry that is a list", ecr(expiresAt=["CANARY"]), NOT_AWS, ENDPOINT),
    Reply(CALL, "an expiry that is true", ecr(expiresAt=True), f"{NOT_AWS}|{EXPIRED}"),
    Reply(CALL, "an expiry that is not finite", literally(ecr(expiresAt="@"), "1e999"), NOT_AWS, ENDPOINT),
    Reply(CALL, "an expiry that is no number", literally(ecr(expiresAt="@"), "NaN"), NOT_AWS, ENDPOINT),
    Reply(CALL, "an expiry of 5,000 digits", literally(ecr(expiresAt="@"), "9" * 5000), NOT_READ, ENDPOINT),
    Reply(CALL, "an expiry in milliseconds", ecr(expiresAt=SOON * 1000), NOT_AWS, ENDPOINT),
    Reply(CALL, "an expiry beyond all years", ecr(expiresAt=1e300), NOT_AWS, ENDPOINT),
    Reply(CALL, "keys twice, and the last lies", body(bytes(ecr()["body"])[:-1] + b', "authorizationData": []}'), NO_TOKEN, ENDPOINT),
    Reply(CALL, "a byte order mark", body(b"\xef\xbb\xbf" + bytes(ecr()["body"])), NOT_READ, ENDPOINT),
    Reply(CALL, "another content type", {**ecr(), "kind": "text/html"}),
    Reply(CALL, "created", {**ecr(), "status": 201}),
    Reply(CALL, "no content", body(b"", status=204), NOT_READ, ENDPOINT),
    *(Reply(CALL, f"redirected, {status}", elsewhere(ecr(), status), ANY, old="stays") for status in (301, 302, 303, 307, 308)),
    Reply(CALL, "not modified", body(b"", status=304), ANY),
    Reply(CALL, "multiple choices", {**ecr(), "status": 300}, ANY),
    Reply(CALL, "a code with an escape", refusal(400, ESCAPE), REFUSED),
    Reply(CALL, "a code that is a sentence", refusal(400, "the key CANARY is wrong"), REFUSED),
    Reply(CALL, "a code that is null", refusal(400, None), NOT_AWS, ENDPOINT),
    Reply(CALL, "a code that is a list", refusal(400, ["CANARY"]), f"{REFUSED}|{NOT_AWS}"),
    Reply(CALL, "a code that is half a character", refusal(400, "\ud800"), REFUSED),
    Reply(CALL, "no code", body({"message": "CANARY"}, status=400), NOT_AWS, ENDPOINT),
    Reply(CALL, "a message that is a list", refusal(400, "AccessDeniedException", ["CANARY"]), TRYING + "access denied to GetAuthorizationToken", "ecr:GetAuthorizationToken", old="goes"),
    Reply(CALL, "access denied", refusal(400, "AccessDeniedException"), TRYING + "access denied to GetAuthorizationToken", "ecr:GetAuthorizationToken", old="goes"),
    Reply(CALL, "a key that is none", refusal(400, "UnrecognizedClientException"), TRYING + ".+ access key .+", "get-caller-identity", old="goes"),
    Reply(CALL, "a key that has ended", refusal(400, "ExpiredTokenException"), TRYING + ".+ have expired", old="serves"),
    Reply(CALL, "throttled", refusal(400, "ThrottlingException"), TRYING + "AWS throttles .+", AGAIN, old="serves"),
    Reply(CALL, "a refusal that is HTML", body(HTML, status=403), ANY, old="stays"),
    Reply(CALL, "a refusal nested without end", body(NESTED, status=403), ANY, old="stays"),
    Reply(CALL, "not found", body(b"CANARY", status=404), ANY, old="stays"),
    Reply(CALL, "a proxy wants a password", body(b"CANARY", status=407), ANY, old="stays"),
    Reply(CALL, "a teapot", body(b"CANARY", status=418), ANY),
    Reply(CALL, "a refusal without a body", body(b"", status=400), ANY),
    Reply(CALL, "HTML of a network's own", body(HTML), NOT_READ, ENDPOINT, old="stays"),
    Reply(CALL, "a gateway's error", body(HTML, status=502), FAILED.format(502), AGAIN, old="serves"),
    Reply(CALL, "an error nested without end", body(NESTED, status=500), FAILED.format(500), AGAIN, old="serves"),
    Reply(CALL, "a status of no class", body(b"CANARY", status=799), FAILED.format(799), AGAIN),
    Reply(CALL, "a status of a thousand", wire("HTTP/1.1 1000 CANARY\nContent-Length: 0"), BROKE, AGAIN),
    Reply(CALL, "no HTTP", {"raw": b"SSH-2.0-CANARY\r\n"}, BROKE, AGAIN, old="serves"),
    Reply(CALL, "nothing at all", NOTHING, BROKE, AGAIN, old="serves"),
    Reply(CALL, "a header without an end", wire("HTTP/1.1 200 OK\nX: " + "C" * 70_000), BROKE, AGAIN),
    Reply(CALL, "200 headers", wire("HTTP/1.1 200 OK" + "\nX: CANARY" * 200), BROKE, AGAIN),
    Reply(CALL, "a length that is none", wire("HTTP/1.1 200 OK\nContent-Length: CANARY", b"{}"), ANY),
    Reply(CALL, "a status line alone", {"raw": b"HTTP/1.1 200 OK\r\n"}, ANY),
    Reply(CALL, "a body shorter than its length", wire("HTTP/1.1 200 OK\nContent-Length: 900", bytes(ecr()["body"])[:100]), BROKE, AGAIN, old="serves"),
    Reply(CALL, "half a chunk", wire("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"400\r\n" + bytes(ecr()["body"])[:100]), BROKE, AGAIN, old="serves"),
    Reply(CALL, "a chunk without a length", wire("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"CANARY\r\n{}"), BROKE, AGAIN),
    Reply(CALL, "1 GiB in 1 MB", body(gzip.compress(bytes(64 << 20)) * 16, headers={"Content-Encoding": "gzip"}), NOT_READ, ENDPOINT),
    Reply(CALL, "a body without end", ENDLESS, TOO_LARGE, ENDPOINT),
    Reply(CALL, "a refusal without end", {**ENDLESS, "status": 400}, TOO_LARGE, ENDPOINT),
]  # fmt: skip

ECR_PUBLIC = [
    *documents(PUBLIC_CALL, NOT_READ, ENDPOINT, ["empty", "HTML", "lists nested without end"]),
    Reply(PUBLIC_CALL, "a list, as ECR's", ecr(), NOT_READ, ENDPOINT),
    Reply(PUBLIC_CALL, "another user", public(authorizationToken=basic("root:CANARY")), NOT_OURS, ENDPOINT),
    Reply(PUBLIC_CALL, "not base64", public(authorizationToken="CANARY!!"), NO_TOKEN, ENDPOINT),
    Reply(PUBLIC_CALL, "expired", public(expiresAt=NOW - 60), EXPIRED, CLOCK),
    Reply(PUBLIC_CALL, "no expiry", public(expiresAt=None), NO_EXPIRY, ENDPOINT),
    Reply(PUBLIC_CALL, "a 5xx", body(HTML, status=503), FAILED.format(503), AGAIN, old="serves"),
]  # fmt: skip

ASSUME, WEB = "AssumeRole", "AssumeRoleWithWebIdentity"
DENIED = TRYING + f'the role "{ROLE}" cannot be assumed' + r"( \(\w+\))?"
LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "CANARY">'
    + "".join(f'<!ENTITY {chr(n + 1)} "{f"&{chr(n)};" * 10}">' for n in range(ord("a"), ord("m")))
    + "]>"
)
OUTSIDE = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
STS = [
    *documents(ASSUME, SOURCE, LISTED, ["empty", "HTML", "an empty object"]),
    Reply(ASSUME, "truncated", body(bytes(role_keys()["body"])[:200], kind="text/xml"), SOURCE, LISTED),
    Reply(ASSUME, "nested without end", xml("<a>" * LEVELS + "</a>" * LEVELS), SOURCE, LISTED),
    Reply(ASSUME, "an entity of a billion", xml("<Credentials><AccessKeyId>&m;</AccessKeyId></Credentials>", LAUGHS), SOURCE, LISTED),
    Reply(ASSUME, "an entity from outside", xml("<Credentials><AccessKeyId>&a;</AccessKeyId></Credentials>", OUTSIDE), SOURCE, LISTED),
    Reply(ASSUME, "no result", xml(""), SOURCE, LISTED),
    Reply(ASSUME, "no key", role_keys(AccessKeyId=None), SOURCE, LISTED),
    Reply(ASSUME, "no secret", role_keys(SecretAccessKey=None), SOURCE, LISTED),
    Reply(ASSUME, "no expiry", role_keys(Expiration=None), SOURCE, LISTED),
    Reply(ASSUME, "an expiry that is a text", role_keys(Expiration="CANARY"), SOURCE, LISTED),
    Reply(ASSUME, "an expiry in the past", role_keys(Expiration=PAST), SOURCE, LISTED),
    Reply(ASSUME, "an expiry in the year 9999", role_keys(Expiration="9999-12-31T23:59:59Z")),
    Reply(ASSUME, "an expiry in the year 10000", role_keys(Expiration="10000-01-01T00:00:00Z"), SOURCE, LISTED),
    Reply(ASSUME, "an expiry that is not finite", role_keys(Expiration="1e999"), SOURCE, LISTED),
    Reply(ASSUME, "a key with a line break", role_keys(AccessKeyId="ASIA\nX-CANARY: 1"), SOURCE, LISTED),
    Reply(ASSUME, "a session with a line break", role_keys(SessionToken="a\nX-CANARY: 1"), SOURCE, LISTED),
    Reply(ASSUME, "access denied", xml_refusal(403, "AccessDenied"), DENIED, "trust policy", old="goes"),
    Reply(ASSUME, "a session that has ended", xml_refusal(403, "ExpiredToken"), TRYING + ".+ have expired", old="serves"),
    Reply(ASSUME, "a code with markup", xml_refusal(400, "&lt;CANARY&gt;"), ANY),
    Reply(ASSUME, "a refusal that is XHTML", body("<html>CANARY</html>", status=403, kind="text/html"), ANY, old="stays"),
    Reply(ASSUME, "redirected", elsewhere(role_keys(), 302), ANY, old="stays"),
    Reply(ASSUME, "no content", body(b"", status=204), SOURCE, LISTED),
    Reply(ASSUME, "a 5xx of a load balancer", body(b"CANARY", status=503), FAILED.format(503), AGAIN, old="serves"),
    Reply(ASSUME, "a 5xx", xml_refusal(500, "InternalFailure"), FAILED.format(500), AGAIN, old="serves"),
    Reply(ASSUME, "nothing at all", NOTHING, BROKE, AGAIN, old="serves"),
    Reply(ASSUME, "a body without end", {**ENDLESS, "kind": "text/xml"}, TOO_LARGE, ENDPOINT),
    *documents(WEB, SOURCE, LISTED, ["empty", "HTML"]),
    Reply(WEB, "access denied", xml_refusal(403, "AccessDenied"), DENIED, "trust policy", old="goes"),
    Reply(WEB, "a 5xx", xml_refusal(500, "InternalFailure"), FAILED.format(500), AGAIN, old="serves"),
    Reply(WEB, "redirected", elsewhere(role_keys(), 302), ANY, old="stays"),
    Reply(WEB, "a body without end", {**ENDLESS, "kind": "text/xml"}, TOO_LARGE, ENDPOINT),
]  # fmt: skip

CONTAINER, METADATA = "ContainerCredentials", "MetadataCredentials"
AGENT = TRYING + "the container's credential endpoint (does not answer|refused)"
# botocore asks a container's agent three times, a second apart, whatever it is that it does not like.
MACHINE = [
    *documents(CONTAINER, SOURCE, LISTED, ["null", "a list", "another encoding", "an empty object", "lists nested without end"]),
    Reply(CONTAINER, "HTML", body(HTML), AGENT, "agent"),
    Reply(CONTAINER, "no key", keys(AccessKeyId=None), SOURCE, LISTED),
    Reply(CONTAINER, "a key that is a list", keys(AccessKeyId=["CANARY"]), SOURCE, LISTED),
    Reply(CONTAINER, "a key with a line break", keys(AccessKeyId="ASIA\nX-CANARY: 1"), SOURCE, LISTED),
    Reply(CONTAINER, "no secret", keys(SecretAccessKey=None), SOURCE, LISTED),
    Reply(CONTAINER, "a failure", keys(Code="CANARY", Message="CANARY", AccessKeyId=None), SOURCE, LISTED),
    Reply(CONTAINER, "no expiry", keys(Expiration=None), SOURCE, LISTED),
    Reply(CONTAINER, "an expiry that is a number", keys(Expiration=7), SOURCE, LISTED),
    Reply(CONTAINER, "an expiry in the past", keys(Expiration=PAST), SOURCE, LISTED),
    Reply(CONTAINER, "an expiry without a zone", keys(Expiration="2037-01-01T00:00:00"), SOURCE, LISTED),
    Reply(CONTAINER, "an expiry in the year 10000", keys(Expiration="10000-01-01T00:00:00Z"), SOURCE, LISTED),
    Reply(CONTAINER, "a body without end", ENDLESS, ANY),
    *documents(METADATA, f"{NO_KEYS}|{SOURCE}", "aws configure", ["empty", "null", "HTML", "an empty object", "lists nested without end"]),
    Reply(METADATA, "no key", keys(AccessKeyId=None), NO_KEYS, "aws configure"),
    Reply(METADATA, "a failure", keys(Code="CANARY", Message="CANARY", AccessKeyId=None), NO_KEYS, "aws configure", old="serves"),
    Reply(METADATA, "an expiry that is a text", keys(Expiration="CANARY"), SOURCE, LISTED),
    Reply(METADATA, "refused", body(b"CANARY", status=403), NO_KEYS, "aws configure", old="serves"),
    Reply(METADATA, "a 5xx", body(b"CANARY", status=503), NO_KEYS, "aws configure", old="serves"),
    Reply("MetadataRole", "a path", body("../../x\n../CANARY"), NO_KEYS, "aws configure"),
    Reply("MetadataRole", "bytes that are no text", body(b"\xff\xfe\x00CANARY"), SOURCE, LISTED),
    Reply("MetadataRole", "without end", ENDLESS, ANY),
    Reply("MetadataToken", "a header", body("x\r\nX-CANARY: 1"), SOURCE, LISTED),
    Reply("MetadataToken", "without end", ENDLESS, ANY),
]  # fmt: skip

PORTAL = "GetRoleCredentials"
SSO = [
    *documents(PORTAL, SOURCE, LISTED, ["null", "a list", "HTML", "an empty object", "lists nested without end"]),
    Reply(PORTAL, "no keys", body({"roleCredentials": {}}), SOURCE, LISTED),
    Reply(PORTAL, "keys that are a list", body({"roleCredentials": ["CANARY"]}), SOURCE, LISTED),
    Reply(PORTAL, "no secret", sso_keys(secretAccessKey=None), SOURCE, LISTED),
    Reply(PORTAL, "a key that is a number", sso_keys(accessKeyId=7), SOURCE, LISTED),
    Reply(PORTAL, "no expiry", sso_keys(expiration=None), SOURCE, LISTED),
    Reply(PORTAL, "an expiry that is a text", sso_keys(expiration="CANARY"), SOURCE, LISTED),
    Reply(PORTAL, "an expiry in the past", sso_keys(expiration=1), SOURCE, LISTED),
    Reply(PORTAL, "an expiry that is not finite", literally(sso_keys(expiration="@"), "1e999"), SOURCE, LISTED),
    Reply(PORTAL, "an expiry beyond all years", literally(sso_keys(expiration="@"), "9" * 30), SOURCE, LISTED),
    Reply(PORTAL, "a code with an escape", refusal(403, ESCAPE), ANY),
    Reply(PORTAL, "the session has ended", refusal(401, "UnauthorizedException"), TRYING + "the SSO session.* has expired or was never opened", "aws sso login", old="serves"),
    Reply(PORTAL, "not that role", refusal(403, "ForbiddenException"), TRYING + ".+ does not give this role .+", "aws sso login", old="goes"),
    Reply(PORTAL, "redirected", elsewhere(sso_keys(), 302), ANY, old="stays"),
    Reply(PORTAL, "a refusal that is HTML", body(HTML, status=403, kind="text/html"), ANY, old="stays"),
    Reply(PORTAL, "a 5xx", body(b"CANARY", status=503), FAILED.format(503), AGAIN, old="serves"),
    Reply(PORTAL, "a body without end", ENDLESS, TOO_LARGE, ENDPOINT),
]  # fmt: skip

REPLIES = [*ECR, *ECR_PUBLIC, *STS, *MACHINE, *SSO]
SOURCES = {
    CALL: canaries.static,
    PUBLIC_CALL: canaries.static,
    ASSUME: canaries.role,
    WEB: canaries.web_identity,
    CONTAINER: canaries.container,
    METADATA: canaries.metadata,
    "MetadataRole": canaries.metadata,
    "MetadataToken": canaries.metadata,
    PORTAL: canaries.sso,
}


def rows(replies: Iterable[Reply], kind: str) -> list[ParameterSet]:
    """Return what parametrizes a test.

    Of each operation's rows of a kind, which that field says, the first is in the short form.
    """
    made, seen = [], set()
    for reply in replies:
        of = (reply.operation, getattr(reply, kind))
        mark = pytest.mark.proof(only=True) if of in seen else pytest.mark.proof
        seen.add(of)
        made.append(pytest.param(reply, id=str(reply), marks=mark))
    return made


def set_up(reply: Reply, helper: Helper, home: Path, aws: FakeAWS) -> str:
    """Let the service that ``reply`` is of be needed; return the host to ask for."""
    helper.env.update(
        AWS_MAX_ATTEMPTS="1", AWS_METADATA_SERVICE_NUM_ATTEMPTS="1", AWS_ECR_TIMEOUT=str(SECONDS)
    )
    Source(SOURCES[reply.operation]).set_up(helper.env, home, aws)
    return PUBLIC if reply.operation == PUBLIC_CALL else HOST


@pytest.mark.parametrize("reply", rows(REPLIES, "says"))
def test_a_false_reply(aws: FakeAWS, helper: Helper, home: Path, cache: Path, reply: Reply) -> None:
    """One line of reason and a hint, nothing of the reply on a stream or the disk, no defect."""
    host = set_up(reply, helper, home, aws)
    aws.fault(reply.operation, **reply.fault)
    started = time.monotonic()

    answer = helper.get(host)

    assert time.monotonic() - started < SECONDS + 8  # of a busy machine
    assert aws.sent <= REPLY_LIMIT
    assert aws.count(reply.operation) > 0
    if not reply.says:
        assert answer.secret
        (entry,) = entries(cache, host)
        (expires,) = re.findall(r"^expires (\d+)$", entry.read_text(), re.MULTILINE)
        assert int(expires) <= time.time() + LIFE
        return
    assert answer.status == 1
    [reason] = answer.stdout.splitlines()
    assert re.fullmatch(reply.says.replace("HOST", re.escape(host)), reason)
    error, *hints = answer.stderr.splitlines()
    assert error == f"docker-credential-ecr: error: {reason}"
    assert hints
    assert all(hint.startswith("docker-credential-ecr: hint: ") for hint in hints)
    assert any(reply.hint in hint for hint in hints)
    assert re.fullmatch(r"[ -~]{1,300}[^.]", reason)
    assert "CANARY" not in answer.stdout + answer.stderr
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert not any(b"CANARY" in path.read_bytes() for path in kept)
    assert not any(path.parent.name == host and path.name[0] != "." for path in kept)


def test_half_a_body(aws: FakeAWS, helper: Helper) -> None:
    """A body that ends before its length is no reply, whatever it says: it is asked for again."""
    aws.fault(CALL, times=1, **wire("HTTP/1.1 200 OK\nContent-Length: 900", b"{}"))

    assert helper.get().secret in aws.issued
    assert aws.count(CALL) == 2


@pytest.mark.parametrize("reply", rows((reply for reply in REPLIES if reply.old), "old"))
def test_what_a_false_reply_does_to_a_token_at_hand(
    aws: FakeAWS, helper: Helper, home: Path, cache: Path, reply: Reply
) -> None:
    """Of who is not there the valid token takes the place; it goes only if AWS itself refuses."""
    host = set_up(reply, helper, home, aws)
    if reply.operation == PUBLIC_CALL:
        aws.credential_life = LIFE
    secret = helper.get(host).secret
    (entry,) = entries(cache, host)
    age(entry, LIFE - 300)  # past renew: the answer asks AWS first
    helper.env["AWS_ECR_TIMEOUT"] = "120"  # of which a renewal gets a small share
    aws.fault(reply.operation, **reply.fault)

    answer = helper.get(host)

    assert aws.count(reply.operation) > 1
    if reply.old == "serves":
        assert answer.secret == secret
    else:
        assert entry.exists() == (reply.old == "stays")
