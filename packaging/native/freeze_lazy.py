"""Imports made lazy, as PEP 810 defines it: a module is imported when its name is first used.

CPython 3.15 has this built in; here modules are rewritten for it. An import at the top of a module
leaves, where only what runs later uses its name; there ``name`` becomes ``_lazy_["name"]``, and the
table imports it then. Whoever asks the module for the name gets it by a module's ``__getattr__``.

What stays as it is, so that nothing can go wrong with scopes: names that anything else binds too,
anywhere in the module; names that the module's own code, its classes, decorators, defaults or
evaluated annotations use; imports in a ``try`` or an ``if``; modules of which somebody imports ``*``.
"""

import ast
from collections.abc import Collection, Iterator

TABLE = "_lazy_"  # embedded/_lazy.py has what it does
LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
NAMED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar),
)
# What dataclasses looks for among a module's names when it reads a class's annotations, which are
# text where they are postponed: ClassVar, InitVar, KW_ONLY, and the modules that have these.
MARKERS = {"typing", "typing_extensions", "dataclasses"}
# Code that looks into its own names in other ways than by them.
LOOKS = {"globals", "locals", "vars", "eval", "exec", "dir"}
# Modules that do, and are known to look for none of their imports: one adds names to its own, one
# asks for another object's.
HARMLESS = {"http.client", "urllib.request"}

Row = tuple[str, str | None]  # module, and what of it; None: the module, or the package above it
Rows = dict[str, list[Row]]


def lazy(tree: ast.Module, name: str, package: str, starred: Collection[str]) -> int:
    """Make the imports of the module ``name`` lazy, in place; return how many names that are.

    ``package`` is what its relative imports are of, ``starred`` are modules of which all is imported.
    """
    _without_types(tree)
    if name in starred or (_looks_into_itself(tree) and name not in HARMLESS):
        return 0
    rows = _imports(tree, package)
    for bound in _used_now(tree) | _bound_elsewhere(tree) | _markers(tree, rows) | _matched(tree):
        rows.pop(bound, None)
    if not rows:
        return 0
    _Later(rows).visit(tree)
    _drop(tree, rows)
    head = (
        f"import _lazy\n{TABLE} = _lazy.Table(__name__, {rows!r})\n__getattr__ = {TABLE}.attribute"
    )
    place = start(tree)
    tree.body[place:place] = ast.parse(head).body
    if "__getattr__" in _own_functions(tree):
        tree.body += ast.parse(f"__getattr__ = {TABLE}.before(__getattr__)").body
    ast.fix_missing_locations(tree)
    return len(rows)


def start(tree: ast.Module) -> int:
    """Return the place in a module's body before which nothing may come."""
    return next((at for at, node in enumerate(tree.body) if not _goes_first(node)), len(tree.body))


def _goes_first(node: ast.stmt) -> bool:
    """Whether nothing may come before ``node``: a docstring, and imports from __future__."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _without_types(tree: ast.Module) -> None:
    """Drop what is for type checkers only."""

    class Types(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            test = node.test
            name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
            return (node.orelse or [ast.Pass()]) if name == "TYPE_CHECKING" else node

    Types().visit(tree)
    ast.fix_missing_locations(tree)


def without_annotations(tree: ast.Module) -> None:
    """Drop what functions say of their arguments' types, in place: nobody asks them here.

    Variables keep theirs, which dataclasses read, as do functions that are registered by them.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(getattr(part, "attr", "") == "register" for part in node.decorator_list):
            continue  # functools.singledispatch
        node.returns = None
        named = node.args
        others = [named.vararg] if named.vararg else []
        others += [named.kwarg] if named.kwarg else []
        for argument in (*named.posonlyargs, *named.args, *named.kwonlyargs, *others):
            argument.annotation = None


def _looks_into_itself(tree: ast.Module) -> bool:
    """Whether the module asks for its names in other ways than by them."""
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return bool(called & LOOKS)


def _own_functions(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _imports(tree: ast.Module, package: str) -> Rows:
    """Return what the imports at the top of the module bind, and to what."""
    found: Rows = {}
    eager: set[str] = set()
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found.setdefault(bound, []).append((alias.name, None))
                if alias.asname and alias.name.startswith(f"{alias.asname}."):
                    eager.add(bound)  # import a.b as a
                if bound not in used:
                    eager.add(bound)  # for what its import does
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            base = absolute(node, package)
            for alias in node.names:
                if alias.name != "*":
                    found.setdefault(alias.asname or alias.name, []).append((base, alias.name))
    # Twice the same name: only for packages whose modules are imported one by one.
    return {
        name: rows
        for name, rows in found.items()
        if name not in eager and (len(rows) == 1 or all(part is None for _, part in rows))
    }


def absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module of which an import in ``package`` takes something."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: 1 - node.level or None]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _used_now(tree: ast.Module) -> set[str]:
    """Return the names that are used while the module is imported."""
    postponed = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )
    return {node.id for node in _now(tree, annotations=not postponed) if isinstance(node, ast.Name)}


def _now(node: ast.AST, *, annotations: bool) -> Iterator[ast.AST]:
    """Yield the nodes below ``node`` that run with it; of a function what is said at its head."""
    for field, value in ast.iter_fields(node):
        if isinstance(node, LATER) and field == "body":
            if any(isinstance(inner, ast.ClassDef) for inner in ast.walk(node)):
                # Scopes of their own: what they use stays eager.
                for inner in ast.walk(node):
                    if isinstance(inner, ast.ClassDef):
                        yield from ast.walk(inner)
            continue
        if not annotations and field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from _now(child, annotations=annotations)


def _markers(tree: ast.Module, rows: Rows) -> set[str]:
    """Return the names in annotations of variables that may be dataclasses' markers."""
    annotated = [node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    names = {node.id for part in annotated for node in ast.walk(part) if isinstance(node, ast.Name)}
    return {name for name in names & rows.keys() if any(row[0] in MARKERS for row in rows[name])}


def _matched(tree: ast.Module) -> set[str]:
    """Return the names of classes in patterns, where nothing but a name may stand."""
    patterns = [node.cls for node in ast.walk(tree) if isinstance(node, ast.MatchClass)]
    return {node.id for part in patterns for node in ast.walk(part) if isinstance(node, ast.Name)}


def _bound_elsewhere(tree: ast.Module) -> set[str]:
    """Return the names that anything but an import at the top binds, in whatever scope."""
    top = {id(node) for node in tree.body}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        elif isinstance(node, NAMED):
            found.add(node.name or "")
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        elif isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in top:
            found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return found


class _Later(ast.NodeTransformer):
    """Writes the table's entry for each use of a name in what runs later."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """All uses are later ones: see _used_now. An annotation among them is one that nobody evaluates, or an inner function's."""
        if node.id not in self.rows:
            return node
        entry = ast.Subscript(ast.Name(TABLE, ast.Load()), ast.Constant(node.id), ast.Load())
        return ast.copy_location(entry, node)


def _drop(tree: ast.Module, rows: Rows) -> None:
    """Take the imports of what is lazy away."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            node.names = [
                alias
                for alias in node.names
                if (alias.asname or alias.name.partition(".")[0]) not in rows
            ]
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            node.names = [alias for alias in node.names if (alias.asname or alias.name) not in rows]
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom) or node.names
    ]
