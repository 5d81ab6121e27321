"""What the native executable is built from: the tables, and the changes to others' modules."""

from __future__ import annotations

import functools
import importlib.util
import marshal
import re
import ssl
import subprocess
import sys
import types
from pathlib import Path

import botocore.compat
import botocore.handlers
import botocore.hooks
import build_sources
import build_tables
import freeze_changes
import freeze_data
import freeze_marshal
import pytest
from kit import TESTS, TREE

REQUIREMENTS = TREE / "requirements"
COLUMNS = {"sources": 6, "openssl": 2, "extensions": 2, "modules": 3, "data": 3, "embedded": 7}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_line_of_a_table_is_whole(name: str) -> None:
    """Each line has all its columns, the reason last, and no line stands twice."""
    rows = build_tables.rows(name)

    assert rows
    assert all(len(row) == COLUMNS[name] and all(row) for row in rows)
    assert len({tuple(row[:-1]) for row in rows}) == len(rows)


def test_sources_are_pinned() -> None:
    """Each archive by its SHA-256, and every patched source has the archive with its patches."""
    archives = build_sources.archives()

    assert all(re.fullmatch("[0-9a-f]{64}", archive.sha256) for archive in archives)
    patched = {archive.name for archive in archives if ".debian." in archive.file}
    assert patched == set(build_sources.SECURITY_FROM)


def test_what_is_frozen_is_in_the_bill_of_materials() -> None:
    """Every package of others that is frozen in is one of embedded.tsv: the bill is made of that."""
    projects = {"dateutil": "python-dateutil"}
    packages = {row[1] for row in build_tables.rows("modules") if row[0] == "package"}
    others = packages - {"docker_credential_ecr", "encodings"}

    assert others
    assert {projects.get(name, name) for name in others} <= {
        row[0] for row in build_tables.rows("embedded")
    }


def test_the_table_of_one_executables_tests_names_tests() -> None:
    """Each line of one-only.tsv names a test that there is, and says why it is for one of the two."""
    text = (TESTS / "native" / "one-only.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]

    assert rows
    for executable, name, reason in rows:
        assert executable in {"pip", "clocked"}
        file, _, function = name.partition("[")[0].partition("::")
        source = (TESTS / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in source, name
        assert reason
    assert len({name for _, name, _ in rows}) == len(rows)


def test_a_wrong_archive_is_not_taken(tmp_path: Path) -> None:
    """An archive in the folder with another content is as if absent."""
    archive = build_sources.archives()[0]
    (tmp_path / archive.file).write_bytes(b"another")

    assert not archive.lies_in(tmp_path)


def test_what_is_frozen_is_what_is_tested() -> None:
    """The versions that are frozen in are those that the whole suite runs with."""
    pins = {
        name: dict(
            re.findall(r"^([\w.-]+)==(\S+)", (REQUIREMENTS / name).read_text(), re.MULTILINE)
        )
        for name in ("native.txt", "test.txt")
    }
    frozen = {
        package: version for package, version in pins["native.txt"].items() if package != "ziglang"
    }

    assert {"boto3", "botocore", "filelock", "platformdirs", "urllib3"} <= set(frozen)
    assert frozen == {package: pins["test.txt"][package] for package in frozen}


def source(module: str) -> str:
    """Return the source of an installed module."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


# Those of the interpreter are of the version that is linked in: the build stops where one does not apply.
OTHERS = {
    change.module
    for change in freeze_changes.CHANGES
    if change.module.partition(".")[0] not in sys.stdlib_module_names
}


@pytest.mark.parametrize("module", sorted(OTHERS))
def test_changes_apply(module: str) -> None:
    """Each change finds its text in the module that is installed, and what comes of it is Python."""
    compile(freeze_changes.changed(module, source(module)), module, "exec")


def test_a_change_that_does_not_apply_stops_the_build() -> None:
    """A new version of a module, with another text, is not frozen unchanged."""
    with pytest.raises(SystemExit, match=r"botocore\.loaders: 0 times, not 1"):
        freeze_changes.changed("botocore.loaders", "import sys\n")


def test_accepts_kwargs_says_what_botocores_says() -> None:
    """The changed question has botocore's answer for every handler of botocore's, and odd callables."""

    def text_of(**_: object) -> None:
        pass

    class Odd:
        def __call__(self, **_: object) -> None:
            pass

        def method(self, **_: object) -> None:
            pass

        def without(self) -> None:
            pass

    module = types.ModuleType("changed")
    text = freeze_changes.changed("botocore.compat", source("botocore.compat"))
    exec(compile(text, "botocore.compat", "exec"), module.__dict__)
    theirs = botocore.handlers.BUILTIN_HANDLERS
    odd = [
        Odd(),
        Odd,
        Odd().method,
        Odd().without,
        functools.partial(text_of, a=1),
        lambda **_: None,
    ]
    handlers = [*(handler[1] for handler in theirs), *odd]

    answers = [bool(module.accepts_kwargs(handler)) for handler in handlers]
    assert answers == [bool(botocore.compat.accepts_kwargs(handler)) for handler in handlers]
    assert {True, False} == set(answers)
    module.__dict__["inspect"] = None  # which is a tenth of a miss, and asked for odd ones alone
    assert all(module.accepts_kwargs(handler[1]) for handler in theirs)


def test_events_have_the_names_that_botocore_gives_them() -> None:
    """The changed search for an event's old name finds what botocore's does, for every name."""

    class Echo:
        def emit(self, name: str) -> str:
            return name

    module = types.ModuleType("changed")
    module.__dict__["__name__"] = "botocore.hooks"  # for its logger
    text = freeze_changes.changed("botocore.hooks", source("botocore.hooks"))
    exec(compile(text, "botocore.hooks", "exec"), module.__dict__)
    ours, theirs = (m.EventAliaser(Echo()) for m in (module, botocore.hooks))
    aliases = botocore.hooks.EVENT_ALIASES
    names = {handler[0] for handler in botocore.handlers.BUILTIN_HANDLERS}
    names |= {*aliases, *aliases.values()}
    names |= {
        f"{before}{name}{after}"
        for name in aliases
        for before in ("", "x", "before-call.")
        for after in ("", "x", ".GetItem")
    }

    found = {name: ours.emit(name) for name in names}
    assert found == {name: theirs.emit(name) for name in names}
    assert any(name != new for name, new in found.items())


def test_operations_have_all_their_shapes() -> None:
    """What is kept of a service's operations leads to no shape that was left out."""
    folder = Path(botocore.__file__).parent / "data"
    for pattern, kept, _ in build_tables.rows("data"):
        if kept == "*":
            continue
        (path,) = folder.glob(f"{pattern}.json.gz")
        model = freeze_data.trimmed(pattern, freeze_data.read(path), kept.split())
        assert set(model["operations"]) == set(kept.split())
        assert freeze_data.reachable(model, model["shapes"]) == set(model["shapes"])


def test_authorities_are_botocores() -> None:
    """All certificates of botocore's bundle, as OpenSSL counts them."""
    bundle = Path(botocore.__file__).parent / "cacert.pem"
    theirs, ours = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    theirs.load_verify_locations(bundle)
    ours.load_verify_locations(cadata=freeze_data.authorities(bundle.read_text(encoding="utf-8")))

    assert ours.get_ca_certs(binary_form=True) == theirs.get_ca_certs(binary_form=True)


def test_equal_values_give_equal_bytes() -> None:
    """Neither what is shared in the process nor what is interned shows; and it is all read again."""
    name, text = "a_name", "not a name: ä"
    once = [(name, text, 1.5, -(1 << 80), frozenset({"b", "a"})), {name: None, "x": [True, ...]}]
    again = [
        (name[:1] + name[1:], text[:3] + text[3:], 3 / 2, -(2**80), frozenset({"a", "b"})),
        {sys.intern(name): None, "x": [True, ...]},
    ]

    assert marshal.loads(freeze_marshal.dumps(once)) == once
    assert freeze_marshal.dumps(once) == freeze_marshal.dumps(again)
    assert marshal.dumps(once) != marshal.dumps(again)


def test_code_is_read_again_and_runs() -> None:
    """A code object with cells, defaults and a class comes back equal, smaller than without references."""
    text = source("botocore.session")
    code = compile(text, "session", "exec", dont_inherit=True)
    written = freeze_marshal.dumps(code)

    assert marshal.loads(written) == code
    assert len(written) < len(marshal.dumps(code, 2))


def test_equal_sources_give_equal_bytes() -> None:
    """Two processes whose hashes differ write the same data."""
    program = (
        f"import sys; sys.path.insert(0, {str(build_tables.HERE)!r}); import freeze_data, hashlib, botocore, pathlib\n"
        "data = freeze_data.data(pathlib.Path(botocore.__file__).parent); print(hashlib.sha256(data).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1
