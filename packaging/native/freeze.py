"""Freeze code and data for the executable: FOLDER PACKAGE SITE LIB.

Writes to FOLDER what is linked in: code.bin and data.bin, frozen.c and data.S, which name them. Run
by the very interpreter that is linked in, as what is written is for its version alone; PACKAGE,
SITE and LIB are where modules are looked for, in this order: ours, others', the interpreter's.

Equal sources give equal bytes: see freeze_marshal.py.
"""

import ast
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import build_tables
import freeze_changes
import freeze_data
import freeze_lazy
import freeze_marshal
import freeze_patterns
import freeze_texts

WITHOUT_DOCSTRINGS = 2  # as python -OO
OURS = "docker_credential_ecr"

FROZEN_C = """\
#include <Python.h>

extern const unsigned char frozen_code[];
const size_t frozen_data_size = {data_size};
const struct _frozen frozen_modules[] = {{
{rows}
    {{0}},
}};
"""
DATA_S = """\
.section .rodata, "a", %progbits
.balign 64
.globl frozen_code
frozen_code:
.incbin "code.bin"
.balign 64
.globl frozen_data
frozen_data:
.incbin "data.bin"
.section .note.GNU-stack, "", %progbits
"""


class Module(NamedTuple):
    """A module's source, and where others would say that it lies."""

    name: str
    path: Path
    is_package: bool

    @property
    def package(self) -> str:
        """The package that its relative imports are of."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def file(self) -> str:
        """What ``__file__`` and tracebacks say."""
        inner = "/__init__" if self.is_package else ""
        return f"{freeze_changes.ROOT}/{self.name.replace('.', '/')}{inner}.py"

    def tree(self) -> ast.Module:
        """Return its syntax, changed; raise SyntaxError for what is no Python of this version."""
        source = freeze_changes.changed(self.name, self.path.read_text(encoding="utf-8"))
        tree = ast.parse(source, self.file)
        if any(isinstance(node, ast.Name) and node.id == "__file__" for node in ast.walk(tree)):
            place = freeze_lazy.start(tree)
            tree.body[place:place] = ast.parse(f"__file__ = {self.file!r}").body
        return tree

    def imports(self, tree: ast.Module) -> Iterable[str]:
        """Yield the names that may be modules which ``tree`` imports, wherever it does."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = freeze_lazy.absolute(node, self.package)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


class Freezer:
    """All modules that the program may import, and no other."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = roots
        self.out = {name for how, name, _ in build_tables.rows("modules") if how == "out"}

    def find(self, name: str) -> Module | None:
        """Return the module of this name, if it is written in Python."""
        for root in self.roots:
            path = root / name.replace(".", "/")
            if (path / "__init__.py").is_file():
                return Module(name, path / "__init__.py", is_package=True)
            if path.with_name(f"{path.name}.py").is_file():
                return Module(name, path.with_name(f"{path.name}.py"), is_package=False)
        return None

    def is_out(self, name: str) -> bool:
        """Whether the module, or a package that it is of, is left out."""
        parts = name.split(".")
        return any(".".join(parts[: at + 1]) in self.out for at in range(len(parts)))

    def seeds(self) -> Iterable[str]:
        """Yield what modules.tsv and the interpreter ask for."""
        yield from ("_program", "_embedded", "_lazy", "abc", "codecs", "io", "os", "warnings")
        for how, name, _ in build_tables.rows("modules"):
            if how == "in":
                yield name
            elif how == "package":
                found = self.find(name)
                if found is None:
                    raise SystemExit(f"freeze: no package {name!r}")
                for path in sorted(found.path.parent.rglob("*.py")):
                    parts = path.relative_to(found.path.parent).with_suffix("").parts
                    yield ".".join([name, *(part for part in parts if part != "__init__")])

    def modules(self) -> dict[str, tuple[Module, ast.Module]]:
        """Return all modules by their names, with what they say."""
        found: dict[str, tuple[Module, ast.Module]] = {}
        todo = set(self.seeds())
        while todo:
            name = todo.pop()
            module = None if name in found or self.is_out(name) else self.find(name)
            if module is not None:
                tree = module.tree()
                found[name] = module, tree
                todo |= {name.rpartition(".")[0], *module.imports(tree)} - {""}
        return dict(sorted(found.items()))


# What the interpreter itself starts with gains nothing; the others are what all the rest is made of.
EAGER = frozenset(
    {
        "__future__",
        "_collections_abc",
        "_compat_pickle",
        "_embedded",
        "_lazy",
        "_patterns",
        "_program",
        "_texts",
        "_weakrefset",
        "abc",
        "codecs",
        "collections",
        "contextlib",
        "copyreg",
        "dataclasses",
        "docker_credential_ecr",
        "encodings",
        "enum",
        "functools",
        "genericpath",
        "heapq",
        "importlib",
        "io",
        "keyword",
        "linecache",
        "locale",
        "operator",
        "os",
        "posixpath",
        "queue",
        "re",
        "reprlib",
        "signal",
        "six",
        "stat",
        "string",
        "struct",
        "threading",
        "types",
        "typing",
        "warnings",
        "weakref",
        "zipimport",
    }
)

# Of these packages, the modules that gain.
NOT_EAGER = frozenset({"encodings.idna"})


def made_lazy(modules: dict[str, tuple[Module, ast.Module]]) -> int:
    """Make the imports of all that may be lazy; return how many names that are."""
    starred = {
        name
        for module, tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        for name in module.imports(ast.Module([node], []))
    }
    return sum(
        freeze_lazy.lazy(tree, name, module.package, starred)
        for name, (module, tree) in modules.items()
        if name.partition(".")[0] not in EAGER or name in NOT_EAGER
    )


def without_lines(code: types.CodeType) -> types.CodeType:
    """Return ``code`` without its table of lines, which is a twentieth of what a miss reads.

    What a person is told of a defect is the line of ours that led to it.
    """
    inner = (without_lines(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_linetable=b"", co_consts=tuple(inner))


def freeze(folder: Path, roots: list[Path]) -> None:
    """Write the four files to ``folder``."""
    code, rows = bytearray(), []
    modules = Freezer(roots).modules()
    for name, by in (("_patterns", freeze_patterns), ("_texts", freeze_texts)):
        made = Module(name, Path(f"{name}.py"), is_package=False)
        modules[name] = made, ast.parse(by.source(modules, roots[1:]), made.file)
    for _, tree in modules.values():
        freeze_lazy.without_annotations(tree)
    print(f"{made_lazy(modules)} lazy names")
    for name, (module, tree) in sorted(modules.items()):
        compiled = compile(
            tree, module.file, "exec", dont_inherit=True, optimize=WITHOUT_DOCSTRINGS
        )
        if not name.startswith(OURS):
            compiled = without_lines(compiled)
        marshalled = freeze_marshal.dumps(compiled)
        is_package = int(module.is_package)
        rows.append(
            f'    {{"{name}", frozen_code + {len(code)}, {len(marshalled)}, {is_package}}},'
        )
        code += marshalled
    (botocore,) = (root / "botocore" for root in roots if (root / "botocore").is_dir())
    data = freeze_data.data(botocore)
    (folder / "code.bin").write_bytes(code)
    (folder / "data.bin").write_bytes(data)
    text = FROZEN_C.format(data_size=len(data), rows="\n".join(rows))
    (folder / "frozen.c").write_text(text, encoding="ascii")
    (folder / "data.S").write_text(DATA_S, encoding="ascii")
    print(f"{len(rows)} modules, {len(code):,} bytes; data, {len(data):,} bytes")


if __name__ == "__main__":
    place, *where = map(Path, sys.argv[1:])
    freeze(place, [build_tables.HERE / "embedded", *where])
