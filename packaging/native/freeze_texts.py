"""Code that is written while modules are imported, compiled at the build.

``dataclasses`` and ``collections.namedtuple`` write the functions of each class as text, and a tenth
of a miss is spent on parsing that. The texts are noted in a process that imports what is frozen, and
written as a module, ``_texts``, which both ask first.
"""

import collections
import contextlib
import dataclasses
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import freeze_marshal
import freeze_patterns

PYTHON = """\
# What freeze_texts.py wrote: texts, and the code that they are.
import marshal

_ROWS = {rows!r}


def ready(text):
    row = _ROWS.get(text)
    return text if row is None else marshal.loads(row)
"""
FILE = "<string>"  # what exec and eval say of a text
WITHOUT_DOCSTRINGS = 2  # as freeze.py
WRITERS = ("namedtuple", "dataclass")  # how those who write texts are named

Rows = dict[str, bytes]


def source(names: Iterable[str], roots: list[Path]) -> str:
    """Return the module ``_texts``, of all that is written where the modules ``names`` are imported."""
    seen: set[tuple[str, str]] = set()

    def noting(kind: str, theirs: Any) -> Any:
        def run(text: Any, *spaces: Any) -> Any:
            seen.add((kind, text))
            return theirs(text, *spaces)

        return run

    # Names of the modules' own come before the builtins.
    vars(collections)["eval"] = noting("eval", eval)
    vars(dataclasses)["exec"] = noting("exec", exec)
    names = list(names)
    loaded = [sys.modules[name] for name in names if name in sys.modules]
    try:
        freeze_patterns.import_all(names, roots)
        for module in loaded:
            _again(module)
    finally:
        del vars(collections)["eval"], vars(dataclasses)["exec"]
    return PYTHON.format(rows=rows(seen))


def _again(module: types.ModuleType) -> None:
    """Run what was imported before once more, beside it, if it may write texts."""
    text = Path(module.__file__ or "").read_text(encoding="utf-8") if _has_source(module) else ""
    if any(writer in text for writer in WRITERS) and module not in (collections, dataclasses):
        beside = types.ModuleType(module.__name__)
        vars(beside).update({name: vars(module).get(name) for name in ("__spec__", "__package__")})
        with contextlib.suppress(Exception):
            exec(compile(text, FILE, "exec", dont_inherit=True), vars(beside))


def _has_source(module: types.ModuleType) -> bool:
    return str(getattr(module, "__file__", None)).endswith(".py")


def rows(seen: Iterable[tuple[str, str]]) -> Rows:
    """Return for each text its code, marshalled."""
    found: Rows = {}
    for kind, text in sorted(seen):
        code = compile(text, FILE, kind, dont_inherit=True, optimize=WITHOUT_DOCSTRINGS)
        found[text] = freeze_marshal.dumps(code)
    return found
