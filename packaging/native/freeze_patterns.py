"""Regular expressions compiled at the build: what modules compile while they are imported.

``re`` spends a tenth of a miss on expressions that never change. They are noted in a process that
imports what is frozen, and written as a module, ``_patterns``, which ``re._compiler`` asks first.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import freeze_marshal

PYTHON = """\
# What freeze_patterns.py wrote: pattern and flags, and the other arguments of _sre.compile.
import marshal

_ROWS = {rows!r}


def ready(pattern, flags):
    if pattern.__class__ is not str and pattern.__class__ is not bytes:
        return None
    row = _ROWS.get((pattern.__class__ is str, pattern, int(flags)))
    return None if row is None else marshal.loads(row)
"""
# Their modules run something, or want what is not here, when they are imported.
LEFT = ("docker_credential_ecr", "encodings", "_")

Rows = dict[tuple[bool, "str | bytes", int], bytes]


def source(names: Iterable[str], roots: list[Path]) -> str:
    """Return the module ``_patterns``, of all that the modules ``names`` compile at their import."""
    compiler: Any = importlib.import_module("re._compiler")
    expressions: Any = importlib.import_module("re")
    seen: set[tuple[str | bytes, int]] = set()
    theirs = compiler.compile

    def noting(pattern: Any, flags: int = 0) -> Any:
        if isinstance(pattern, str | bytes):
            seen.add((pattern, int(flags)))
        return theirs(pattern, flags)

    compiler.compile = noting
    expressions.purge()
    try:
        import_all(names, roots)
    finally:
        compiler.compile = theirs
    return PYTHON.format(rows=rows(seen))


def import_all(names: Iterable[str], roots: list[Path]) -> None:
    """Import the modules ``names`` that can be, and forget them again."""
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(root) for root in roots]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            for name in names:
                if not name.startswith(LEFT) and not name.endswith("__main__"):
                    with contextlib.suppress(Exception):
                        importlib.import_module(name)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            del sys.modules[name]


def rows(seen: Iterable[tuple[str | bytes, int]]) -> Rows:
    """Return for each pattern with its flags what ``re._compiler.compile`` hands on, marshalled."""
    compiler: Any = importlib.import_module("re._compiler")
    inside = vars(compiler)
    theirs = inside["_sre"]
    found: Rows = {}
    for pattern, flags in sorted(seen, key=repr):
        handed: list[Any] = []
        inside["_sre"] = _Receiver(theirs, handed)
        try:
            compiler.compile(pattern, flags)
        finally:
            inside["_sre"] = theirs
        _, combined, code, groups, names, indices = handed
        arguments = (int(combined), [int(word) for word in code], groups, dict(names), indices)
        found[isinstance(pattern, str), pattern, flags] = freeze_marshal.dumps(arguments)
    return found


class _Receiver:
    """``_sre``, but for ``compile``, whose arguments it keeps."""

    def __init__(self, theirs: Any, handed: list[Any]) -> None:
        self._theirs, self._handed = theirs, handed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def compile(self, *arguments: Any) -> None:
        self._handed[:] = arguments
