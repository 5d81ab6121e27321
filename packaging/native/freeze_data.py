"""What is embedded of botocore's data: the files and operations of data.tsv, and the authorities."""

import base64
import fnmatch
import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import build_tables
import freeze_marshal

SERVICES = (
    "api.ecr",
    "api.ecr-public",
    "ecr",
    "oidc",
    "portal.sso",
    "signin",
    "sts",
)  # in endpoints.json
AUTHORITIES = "cacert.der"


def data(botocore: Path) -> bytes:
    """Return what the executable carries: size of the index (8 bytes, little-endian), index, values."""
    values: dict[str, bytes] = {}
    for path in sorted((botocore / "data").rglob("*.json*")):
        name = (
            path.relative_to(botocore / "data").as_posix().removesuffix(".gz").removesuffix(".json")
        )
        for pattern, kept, _ in build_tables.rows("data"):
            if fnmatch.fnmatchcase(name, pattern):
                values[f"{name}.json"] = freeze_marshal.dumps(
                    trimmed(name, read(path), kept.split())
                )
    for pattern, *_ in build_tables.rows("data"):
        if not fnmatch.filter(values, f"{pattern}.json"):
            raise SystemExit(f"freeze: botocore has no {pattern}")
    values[AUTHORITIES] = authorities((botocore / "cacert.pem").read_text(encoding="utf-8"))
    index, body = {}, bytearray()
    for name, value in values.items():
        index[name] = (len(body), len(value))
        body += value
    head = freeze_marshal.dumps(index)
    return len(head).to_bytes(8, "little") + head + body


def read(path: Path) -> Any:
    """Return what a JSON file holds."""
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def trimmed(name: str, value: Any, operations: list[str]) -> Any:
    """Return ``value`` without its manual, and of a service only what ``operations`` need."""
    value = undocumented(value)
    if name == "endpoints":
        for partition in value["partitions"]:
            theirs = partition["services"]
            partition["services"] = {
                service: theirs[service] for service in SERVICES if service in theirs
            }
    elif name.endswith("/service-2") and operations != ["*"]:
        value["operations"] = {
            operation: value["operations"][operation] for operation in operations
        }
        kept = reachable(value["operations"], value["shapes"])
        value["shapes"] = {
            shape: value["shapes"][shape] for shape in value["shapes"] if shape in kept
        }
    return value


def undocumented(value: Any) -> Any:
    """Return ``value`` without the texts of its manual."""
    if isinstance(value, dict):
        return {
            key: undocumented(inner)
            for key, inner in value.items()
            if not (key == "documentation" and isinstance(inner, str))
        }
    return [undocumented(inner) for inner in value] if isinstance(value, list) else value


def reachable(operations: Any, shapes: dict[str, Any]) -> set[str]:
    """Return the names of the shapes that ``operations`` lead to."""
    kept: set[str] = set()
    todo = set(named(operations))
    while todo:
        shape = todo.pop()
        kept.add(shape)
        todo |= set(named(shapes[shape])) - kept
    return kept


def named(value: Any) -> Iterable[str]:
    """Yield the names of shapes in ``value``."""
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from named(inner)


def authorities(pem: str) -> bytes:
    """Return the certificates of ``pem`` as DER, one after the other, which OpenSSL reads faster."""
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.DOTALL)
    return b"".join(base64.b64decode(text) for text in found)
