"""docs/platforms.md names every branch by system: a new one must be written down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kit import TREE

from docker_credential_ecr import tokens

PACKAGE = Path(tokens.__file__).parent
DOCUMENT = (TREE / "docs" / "platforms.md").read_text("utf-8")
ASKED = {"sys.platform", "os.name"}
NAMES = {"_POSIX", "WINDOWS", "MACOS", "IS_LINUX", "IS_WINDOWS"}  # what modules keep of them
WORDS = "commands.system"  # is nothing but such branches: named as a whole


def asked(node: ast.AST) -> str | None:
    """Return what an expression asks of the system, without its default, or ``None``."""
    text = ast.unparse(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
        what, name = ast.unparse(node.args[0]), ast.unparse(node.args[1])
        if node.func.id in ("getattr", "hasattr") and (what == "os" or "'st_" in name):
            return f"{node.func.id}({what}, {name})"
    if isinstance(node, ast.Attribute) and (text in ASKED or node.attr in NAMES):
        return text
    if isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        return text
    return None


def branches(node: ast.AST, where: str) -> Iterator[tuple[str, str]]:
    """Yield where in the package something of that kind is asked, and what."""
    for child in ast.iter_child_nodes(node):
        place = where
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and where != WORDS:
            place = f"{where}.{child.name}"
        found = asked(child)
        if found:
            yield place, found
        yield from branches(child, place)


def in_the_package() -> set[tuple[str, str]]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found |= set(branches(ast.parse(path.read_text("utf-8")), module))
    return found


def rows() -> list[tuple[list[str], list[str]]]:
    """Return, for each row of the table, its places and what is asked there."""
    part = DOCUMENT.partition("\n## Every branch\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (`.*?) \| (`.*?) \|", part, re.MULTILINE)
    return [(re.findall("`(.+?)`", where), re.findall("`(.+?)`", what)) for where, what in lines]


def test_every_branch_by_system_is_written_down() -> None:
    """Each place that asks for the system has its row, with what it asks; each row has its place."""
    package = in_the_package()
    written = rows()

    places = [place for where, _ in written for place in where]
    assert sorted(places) == sorted({place for place, _ in package})
    for where, what in written:
        assert {text for place, text in package if place in where} == set(what), where
