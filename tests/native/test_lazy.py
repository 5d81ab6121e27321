"""Imports made lazy and expressions compiled at the build: the same program, as its users see it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import build_tables
import freeze_lazy
import freeze_patterns
import freeze_texts
import pytest


class Package:
    """A package of modules, some made lazy, imported by a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lazy = 0
        (folder / "_lazy.py").write_text((build_tables.HERE / "embedded" / "_lazy.py").read_text())

    def add(self, name: str, text: str, *, starred: tuple[str, ...] = ()) -> str:
        """Add a module, made lazy; return what became of it."""
        path = self.folder / name.replace(".", "/")
        is_package = path.is_dir() or name == "package"
        tree = ast.parse(textwrap.dedent(text))
        package = name if is_package else name.rpartition(".")[0]
        self.lazy += freeze_lazy.lazy(tree, name, package, starred)
        file = path / "__init__.py" if is_package else path.with_name(f"{path.name}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(ast.unparse(tree))
        return file.read_text()

    def run(self, text: str) -> str:
        """Run ``text`` with the modules at hand; return what it prints."""
        done = subprocess.run(
            [
                sys.executable,
                "-IS",  # without what the tests measure themselves with: it imports, too
                "-c",
                f"import sys; sys.path.insert(0, {str(self.folder)!r})\n{text}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


def test_what_only_runs_later_is_imported_then(package: Package) -> None:
    """Neither module is there after the import, both after the call, under all ways to import."""
    package.add(
        "m",
        """
        import json
        import xml.dom as dom
        import html.parser, html.entities
        from base64 import b64encode as encode, b64decode
        def f(x): return json.dumps([x, encode(b'a').decode(), dom.Node.TEXT_NODE, len(html.entities.html5) > 9])
        g = lambda: b64decode(b'YQ==')
        """,
    )
    said = package.run(
        "import m; names = 'json', 'xml.dom', 'html.parser', 'base64'\n"
        "print([name in sys.modules for name in names]); print(m.f(1), m.g())\n"
        "print([name in sys.modules for name in names], m.f(2))"
    )

    assert package.lazy == 5
    assert said.splitlines() == [
        "[False, False, False, False]",
        "[1, \"YQ==\", 3, true] b'a'",
        '[True, True, True, True] [2, "YQ==", 3, true]',
    ]


def test_functions_inside_functions(package: Package) -> None:
    """Decorators, defaults and annotations of an inner function run with the outer one."""
    package.add(
        "m",
        """
        from functools import wraps
        from json import dumps, loads
        def outer(f):
            @wraps(f)
            def inner(x: dumps(2)=dumps([1]), *, y: loads("1")=loads("2")) -> dumps(3): return f(x, y)
            return inner
        """,
    )

    assert package.lazy == 3
    assert package.run("import m; print(m.outer(lambda x, y: (x, y))())") == "('[1]', 2)"


def test_a_name_is_there_for_who_asks_the_module(package: Package) -> None:
    """``module.name``, ``from module import name`` and ``hasattr`` find it, and no other."""
    package.add("m", "import json\nfrom base64 import b64decode\ndef f(): return json, b64decode\n")
    said = package.run(
        "import m; from m import b64decode; import json, base64\n"
        "print(m.json is json, b64decode is base64.b64decode, hasattr(m, 'other'))\n"
        "print(m.f() == (json, base64.b64decode), 'json' in vars(m))"
    )

    assert package.lazy == 2
    assert said.split() == ["True", "True", "False", "True", "True"]


@pytest.mark.parametrize(
    "text",
    [
        "import json\nx = json.dumps(1)\ndef f(): json\n",
        "import json\nclass C(json.JSONDecoder): pass\ndef f(): json\n",
        "import json\nclass C:\n    x = json.dumps\n",
        "import json\n@json.loads\ndef f(): json\n",
        "import json\ndef f(x=json.dumps): json\n",
        "import json\ndef f(x: json.JSONDecoder): json\n",
        "from __future__ import annotations\nimport typing\nclass C:\n    x: typing.X\n    def f(self): typing\n",
        "import json\ng = lambda x=json.dumps: json\n",
        "import json\nx = [json for _ in ()]\ndef f(): json\n",
        "import json\ndef f():\n    class C(json.JSONDecoder): pass\n",
        "import json\ndef f(json): json\n",
        "import json\ndef f():\n    json = 1\n    def g(): json\n",
        "import json\ndef f(): global json; json = 1\n",
        "import json\ndef f():\n    try: pass\n    except E as json: json\n",
        "import json\ndef f(x):\n    match x:\n        case [*json]: json\n",
        "import json\ndef f(x):\n    match x:\n        case {**json}: json\n",
        "import json\ndef f(x): [0 for json in x]\ndef g(): json\n",
        "import json\ndef f(x): (json := x)\n",
        "import json\ndef f(): import json\n",
        "try: import json\nexcept ImportError: json = None\ndef f(): json\n",
        "import json\nfrom other import json\ndef f(): json\n",
        "import json\ndef f(): globals()['json']; json\n",
        "import encodings.idna\n",
        "import a.b as a\ndef f(): a\n",
        "import json\ndel json\ndef f(): json\n",
    ],
)
def test_what_is_not_sure_stays(package: Package, text: str) -> None:
    """Where anything but what runs later uses or binds the name, the import is where it was."""
    assert package.add("m", text) == ast.unparse(ast.parse(text))
    assert package.lazy == 0


def test_a_module_of_which_all_is_imported_stays(package: Package) -> None:
    """``from module import *`` takes what is in it."""
    assert "_lazy_" not in package.add("m", "import json\ndef f(): json\n", starred=("m",))


def test_modules_of_a_package(package: Package) -> None:
    """Relative imports, a package's own modules, and one that another's import would have brought."""
    package.add(
        "package", "from . import one\nfrom .two import pair\ndef f(): return one.f() + pair()\n"
    )
    package.add(
        "package.one",
        "from .two import pair\nfrom . import two as m\ndef f(): return pair() + m.pair()\n",
    )
    package.add("package.two", "def pair(): return 2\n")
    package.add("package.three", "import package\ndef f(): return package.four.five\n")
    package.add("package.four", "five = 5\n")
    said = package.run(
        "import package\nprint([n for n in sys.modules if n.startswith('package.')])\n"
        "from package import three; print(package.f(), three.f())"
    )

    assert said.splitlines() == ["[]", "6 5"]


def test_what_cannot_be_imported_is_said_as_ever(package: Package) -> None:
    """A module that is missing, or fails, raises what the statement would have."""
    package.add(
        "m",
        """
        import missing
        from json import absent
        from json.missing import y
        import failing
        def f(): missing
        def g(): absent
        def h(): y
        def i(): failing
        """,
    )
    (package.folder / "failing.py").write_text("import not_there\n")
    said = package.run(
        "import m\nfor f in (m.f, m.g, m.h, m.i):\n"
        "    try: f()\n"
        "    except ImportError as error: print(type(error).__name__, error.name)"
    )

    assert said.splitlines() == [
        "ModuleNotFoundError missing",
        "ImportError json",
        "ModuleNotFoundError json.missing",
        "ModuleNotFoundError not_there",
    ]


def test_what_is_for_type_checkers_goes(package: Package) -> None:
    """The block is dropped, so that typing is lazy."""
    text = package.add(
        "m",
        "from typing import TYPE_CHECKING, cast\nif TYPE_CHECKING:\n    import json\nelse:\n    x = 1\n"
        "def f(): return cast('int', x)\n",
    )

    assert "json" not in text
    assert package.run("import m; print('typing' in sys.modules, m.f())") == "False 1"


PATTERNS: list[tuple[str | bytes, int]] = [
    ("", 0),
    (r"(?P<year>\d{4})-(\d\d)", 0),
    (r"(a)|b", re.IGNORECASE | re.MULTILINE),
    (r"ä+[^ß]*", re.VERBOSE),
    (rb"[\x00-\xff]{2,5}?", re.DOTALL),
    (r"\w+\s", re.ASCII),
    (r"(?i:a)(?=b)(?<!c)(?>d)", 0),
]


@pytest.mark.parametrize(("pattern", "flags"), PATTERNS, ids=str)
def test_an_expression_that_is_ready_is_the_same(pattern: str | bytes, flags: int) -> None:
    """What was compiled at the build is equal to what is compiled now: groups, flags, matches."""
    sre: Any = importlib.import_module("_sre")
    found = freeze_patterns.rows([(pattern, int(flags))])
    scope: dict[str, object] = {}
    exec(freeze_patterns.PYTHON.format(rows=found), scope)
    ready = scope["ready"]
    assert callable(ready)
    again = sre.compile(pattern, *ready(pattern, flags))

    assert again == re.compile(pattern, flags)
    assert (again.flags, again.groups, again.groupindex) == (
        re.compile(pattern, flags).flags,
        re.compile(pattern, flags).groups,
        re.compile(pattern, flags).groupindex,
    )
    assert ready(pattern, int(flags) ^ int(re.DOTALL)) is None
    assert ready(re.compile(pattern, flags), 0) is None


def test_text_and_bytes_are_told_apart() -> None:
    """An expression over bytes is not that over text, though they look alike."""
    rows = freeze_patterns.rows([("a", 0), (b"a", 0)])

    assert len(rows) == 2
    assert len(set(rows.values())) == 2


def made(by: str, names: list[str], folder: Path) -> dict[str, Any]:
    """Return what the module holds that ``by`` writes of the modules ``names``, in a process of its own."""
    program = (
        f"import sys; sys.path[:0] = [{str(build_tables.HERE)!r}]\n"
        f"import {by}, functools, pathlib\n"
        f"print({by}.source({names!r}, [pathlib.Path({str(folder)!r})]))"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True
    ).stdout
    scope: dict[str, Any] = {}
    exec(said, scope)
    return scope


def test_what_modules_compile_is_noted(tmp_path: Path) -> None:
    """Expressions that a module makes while it is imported, composed ones too, and no others'."""
    (tmp_path / "noted.py").write_text(
        "import re\nA = 'x{1}'\nB = re.compile(A + 'y', re.I)\ndef f(): re.compile('z')\n"
    )
    scope = made("freeze_patterns", ["noted"], tmp_path)

    assert set(scope["_ROWS"]) == {(True, "x{1}y", int(re.IGNORECASE))}


def test_a_module_with_attributes_of_its_own(package: Package) -> None:
    """Its own ``__getattr__`` is asked for all but the lazy names."""
    package.add(
        "m",
        """
        import json
        def __getattr__(name):
            if name == "own": return 1
            raise AttributeError(f"no {name}")
        def f(): return json.dumps(2)
        """,
    )
    assert package.lazy == 1
    said = package.run(
        "import sys, m; print('json' in sys.modules, m.own, m.json is sys.modules['json'], m.f())\n"
        "try: m.other\nexcept AttributeError as error: print(error)"
    )
    assert said.splitlines() == ["False 1 True 2", "no other"]


def test_types_of_arguments_go(package: Package) -> None:
    """Functions say no more of what they take; variables and what is registered by type still do."""
    text = """
        import functools, inspect, dataclasses
        def f(a: int, /, *b: int, c: int = 1, **d: int) -> int: return a + len(b) + c + len(d)
        async def g(a: int) -> int: return a
        @dataclasses.dataclass
        class D:
            x: int = 1
            def m(self, y: "D") -> "D": return y
        @functools.singledispatch
        def kind(value: object) -> str: return "other"
        @kind.register
        def _(value: int) -> str: return "int"
        """
    tree = ast.parse(textwrap.dedent(text))
    freeze_lazy.without_annotations(tree)
    package.add("m", ast.unparse(tree))
    said = package.run(
        "import m, inspect\nprint([f.__annotations__ for f in (m.f, m.g, m.D.m)], inspect.signature(m.f))\n"
        "print(m.f(1, 2, c=3, e=4), m.D(5).x, m.kind(1), m.kind('a'))"
    )
    assert said.splitlines() == ["[{}, {}, {}] (a, /, *b, c=1, **d)", "6 5 int other"]


def test_a_text_that_is_ready_is_the_same() -> None:
    """Classes are made of code that was compiled at the build as of the text; others stay text."""
    texts = [("exec", "def f(x, y=2):\n return x * y\n"), ("eval", "lambda _cls, a, b: (a, b)")]
    scope: dict[str, Any] = {}
    exec(freeze_texts.PYTHON.format(rows=freeze_texts.rows(texts)), scope)
    ready = scope["ready"]
    made: dict[str, Any] = {}
    exec(ready(texts[0][1]), made)

    assert made["f"](3) == 6
    assert eval(ready(texts[1][1]))(None, 1, 2) == (1, 2)
    assert ready("1 + 1") == "1 + 1"


def test_what_modules_write_is_noted(tmp_path: Path) -> None:
    """Texts of dataclasses and named tuples, of modules that were there before, too."""
    (tmp_path / "noted.py").write_text(
        "import collections, dataclasses\nP = collections.namedtuple('P', 'noted_field')\n"
        "@dataclasses.dataclass\nclass D:\n    x: int\n"
    )
    scope = made("freeze_texts", ["noted", "functools"], tmp_path)
    texts = "\n".join(scope["_ROWS"])

    assert "lambda _cls, noted_field,: " in texts
    assert "def __init__" in texts
    assert "hits, misses, maxsize, currsize" in texts  # functools


def test_a_dataclass_knows_its_markers(package: Package) -> None:
    """Postponed annotations of a class are no use of a name, but for what dataclasses look for."""
    package.add(
        "m",
        """
        from __future__ import annotations
        import decimal
        import typing as t
        from dataclasses import KW_ONLY, InitVar, dataclass
        from typing import ClassVar
        @dataclass
        class D:
            a: dict[str, decimal.Decimal]
            b: ClassVar[int] = 1
            c: t.ClassVar[int] = 2
            d: InitVar[int] = 3
            _: KW_ONLY
            e: int = 4
        """,
    )
    assert package.lazy == 1
    said = package.run(
        "import sys, m, dataclasses\n"
        "print('decimal' in sys.modules, [f.name for f in dataclasses.fields(m.D)], m.D({}, 5, e=6))"
    )
    assert said == "False ['a', 'e'] D(a={}, e=6)"


def test_a_class_in_a_pattern_is_a_name(package: Package) -> None:
    """Where a pattern names a class nothing else may stand: its import stays where it is."""
    package.add(
        "m",
        """
        import json
        from decimal import Decimal
        def f(value):
            match value:
                case Decimal(): return "number"
                case _: return json.dumps(value)
        """,
    )
    assert package.lazy == 1
    assert package.run("import decimal, m\nprint(m.f(decimal.Decimal(1)), m.f(1))") == "number 1"
