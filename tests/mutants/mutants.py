"""Whether the tests notice: the package with one thing changed, and the tests that should fail.

One comparison, operator, number or truth value is changed at a time, in a copy of the installed
package, and the tests of that module run against it: a mutant that they let through has survived.
Those that change nothing anyone could notice are listed in equivalent.txt, with the reason.

    python tests/mutants/mutants.py --sample 100
    python tests/mutants/mutants.py --module cache --all
    python tests/mutants/mutants.py --only cache:123        # one, by the number that is printed
"""

# ruff: noqa: T201 - it is there to print

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import dataclasses
import functools
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TREE = Path(__file__).parent.parent.parent
PACKAGE = "docker_credential_ecr"
TIME_LIMIT = 900  # seconds for the tests of one mutant: far above what they take
# For each module the tests that should notice, the fast ones first.
_CLOCK = [f"tests/tokens/test_{name}.py" for name in ("boundaries", "logout", "clock")]
TESTS = {
    "registry": ["tests/registry"],
    "server_url": ["tests/registry"],
    "settings": ["tests/settings"],
    "keys": ["tests/settings"],
    "rule": ["tests/settings"],
    "cache": [f"tests/cache/test_{name}.py" for name in ("boundaries", "cache", "vectors", "disk")],
    "keeping": [
        *(f"tests/cache/test_{name}.py" for name in ("boundaries", "cache", "disk")),
        "tests/faults/test_faults.py",
    ],
    "claims": [*(f"tests/cache/test_{name}.py" for name in ("boundaries", "cache")), *_CLOCK],
    "sweeping": [f"tests/cache/test_{name}.py" for name in ("boundaries", "cache")],
    "tokens": _CLOCK,
    "renewal": [*_CLOCK, "tests/tokens/test_contention.py", "tests/protocol/test_protocol.py"],
    "schedule": _CLOCK,
    "login": ["tests/protocol", "tests/tokens/test_logout.py"],
    "deadline": _CLOCK,
    "kubelet": ["tests/kubelet/test_boundaries.py", "tests/kubelet/test_kubelet.py"],
    "protocol": ["tests/protocol"],
}
# What starts herds, waits for time-outs or builds the kubelet notices nothing that others do not.
_SLOW = (
    *("herd", "hundred", "kubelet_itself", "kubelets_decoding", "kubelet_asks", "capitals"),
    *("kubelet_passes", "kubelets_cache", "shipped", "whatever_hangs", "never_released"),
    *("whoever_annotates", "go_connects_to", "outlive_its_deadline", "docker_credential_pass"),
)
LEFT_OUT = ("-m", "not alone and not proof", "-k", f"not ({' or '.join(_SLOW)})")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.LShift: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of a module: the source line, what it was, what it becomes, and all the text."""

    module: str
    number: int
    line: int
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        """What equivalent.txt names it by: line numbers move."""
        return f"{self.module}: {self.before} -> {self.after}"

    def __str__(self) -> str:
        return f"{self.module}:{self.number} (line {self.line}) {self.before} -> {self.after}"


class _Points(ast.NodeVisitor):
    """Finds each place that can be changed; changes the one whose number is ``target``."""

    def __init__(self, lines: list[str], target: int = -1) -> None:
        self.lines = lines
        self.target = target
        self.count = 0
        self.statement: ast.AST | None = None
        self.found: tuple[int, str, str] = (0, "", "")

    def visit(self, node: ast.AST) -> None:  # noqa: C901 - what is left out, case by case
        if isinstance(node, ast.stmt | ast.match_case):
            if self._is_out_of_reach(node):
                return
            self.statement = node
        changes = self._changes(node)
        for change in changes:
            if self.count == self.target:
                # A number says nothing without what it stands in.
                alone = isinstance(node, ast.Constant) or not isinstance(node, ast.expr)
                place = self.statement if alone else node
                assert place is not None
                shown = ast.unparse(place)
                change()
                self.found = (getattr(node, "lineno", 0), shown, ast.unparse(place))
            self.count += 1
        for name, child in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params", "decorator_list"):
                continue
            if name == "args" and ast.unparse(node).startswith("getattr(os, "):
                continue  # what stands in for a constant that this system has
            if name == "orelse" and self._is_left_out(child):
                continue
            for one in child if isinstance(child, list) else [child]:
                if isinstance(one, ast.AST):
                    self.visit(one)

    def _is_out_of_reach(self, node: ast.stmt | ast.match_case) -> bool:
        """What runs on other systems only, or for checkers of types; and figures in seconds.

        A module's constant with a fraction is a time or a share: nobody waits to see that it is
        a little longer.
        """
        line = self.lines[getattr(node, "lineno", 1) - 1]
        if isinstance(node, ast.Assign) and node.col_offset == 0:
            parts = list(ast.walk(node.value))
            if any(isinstance(part, ast.Div) for part in parts):
                return True
            if any(isinstance(getattr(part, "value", None), float) for part in parts):
                return True
        return "pragma: no cover" in line or "TYPE_CHECKING" in line

    def _is_left_out(self, branch: object) -> bool:
        """Whether the line of ``else`` itself says that this branch is for other systems."""
        return (
            isinstance(branch, list)
            and bool(branch)
            and "else:  # pragma: no cover" in self.lines[branch[0].lineno - 2]
        )

    def _changes(self, node: ast.AST) -> list[Callable[[], object]]:  # noqa: PLR0911 - one case a kind
        if isinstance(node, ast.Compare):
            return [
                functools.partial(node.ops.__setitem__, i, COMPARISONS[type(op)]())
                for i, op in enumerate(node.ops)
            ]
        if isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            return [lambda: setattr(node, "op", other)]
        if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
            return [lambda: setattr(node, "op", OPERATORS[type(node.op)]())]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            # not x becomes bool(x), which is its contrary.
            return [lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), node.operand))]
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return [lambda: setattr(node, "value", not node.value)]
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            number = node.value + 1
            return [lambda: setattr(node, "value", number)]
        return []


def mutants(module: str, source: str) -> list[Mutant]:
    """Return every mutant of a module."""
    lines = source.splitlines()
    counter = _Points(lines)
    counter.visit(ast.parse(source))
    made = []
    for number in range(counter.count):
        tree = ast.parse(source)
        points = _Points(lines, number)
        points.visit(tree)
        line, before, after = points.found
        made.append(Mutant(module, number, line, _short(before), _short(after), ast.unparse(tree)))
    return made


def _short(text: str) -> str:
    return " ".join(text.partition("\n")[0].split())[:240]


class Place:
    """A virtual environment of its own, in which the package can be changed."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder = folder
        self.tree = tree
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = folder / "lib" / version / "site-packages"
        installed = Path(sysconfig.get_path("purelib"))
        (self.site / "rest.pth").write_text(f"{installed}\n")
        shutil.copytree(installed / PACKAGE, self.site / PACKAGE)
        script = Path(sysconfig.get_path("scripts")) / "docker-credential-ecr"
        _, _, rest = script.read_text().partition("\n")
        (folder / "bin" / script.name).write_text(f"#!{self.python}\n{rest}")
        (folder / "bin" / script.name).chmod(0o755)
        self._changes = 0

    def text(self, module: str) -> str:
        return (self.site / PACKAGE / f"{module}.py").read_text()

    def put(self, module: str, text: str) -> None:
        """Let ``module`` be ``text``."""
        path = self.site / PACKAGE / f"{module}.py"
        path.write_text(text)
        # Python tells by size and second whether its compiled form is of this source.
        self._changes += 1
        os.utime(path, (self._changes * 10 + 1_000_000_000,) * 2)

    def failures(self, tests: Sequence[str]) -> list[str]:
        """Return those of ``tests`` that fail without any change."""
        self.passes(tests)
        lines = (self.folder / "log").read_text().splitlines()
        found = [line.partition(" ")[2] for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return [name.partition(" - ")[0] for name in found]

    def noticed(self) -> str:
        """Return what the last run noticed first, or an empty string."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        found = (
            line.partition(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))
        )
        return next(found, "")

    def passes(self, tests: Sequence[str], *options: str) -> bool:
        """Whether ``tests`` succeed."""
        existing = [test for test in tests if (self.tree / test).exists()]
        command: list[str | Path] = [
            *(self.python, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"),
            *("--hypothesis-seed=0", f"--basetemp={self.folder / 'tmp'}"),
            *(*LEFT_OUT, *options, *existing),
        ]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.tree,
                env={**os.environ, "PYTHONSAFEPATH": "1"},  # not the package in the tree
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                status = -1
            try:
                os.killpg(process.pid, signal.SIGKILL)  # and what the tests left
            except ProcessLookupError:
                pass
            process.wait()
        return status == 0


def copy_of_tree(folder: Path) -> Path:
    """Copy what is tested with, so that it may be worked on meanwhile."""
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = subprocess.run(listed, cwd=TREE, check=True, capture_output=True, text=True).stdout
    for name in names.split("\0"):
        if name and (TREE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, folder / name)
    return folder


def equivalent() -> dict[str, str]:
    """Return the mutants that nobody could notice, and why."""
    found = {}
    for line in Path(__file__).with_name("equivalent.txt").read_text().splitlines():
        key, mark, reason = line.partition("  # ")
        if mark:
            found[key.strip()] = reason
    return found


def main() -> int:
    """Try the mutants that are asked for; the exit code says whether enough of them were killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--module", action="append", choices=TESTS, help="only of this module")
    parser.add_argument("--sample", type=int, default=40, help="how many of them, drawn at random")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--only", action="append", help="one of them, as in cache:123")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the draw")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once")
    parser.add_argument("--least", type=int, default=95, help="of 100 that must be killed")
    parser.add_argument("--green", action="store_true", help="take it that all tests pass now")
    parser.add_argument("--verbose", action="store_true", help="say which test notices each")
    parser.add_argument("--list", action="store_true", help="show them and try none")
    options = parser.parse_args()

    known = equivalent()
    found = []
    for module in options.module or TESTS:
        path = Path(sysconfig.get_path("purelib")) / PACKAGE / f"{module}.py"
        found += mutants(module, path.read_text())
    if not options.module and (stale := set(known) - {mutant.key for mutant in found}):
        parser.error(f"equivalent.txt names what is no mutant any more: {sorted(stale)}")
    if options.only:
        chosen = [m for m in found if f"{m.module}:{m.number}" in options.only]
    else:
        chosen = [m for m in found if m.key not in known]
        if not options.all:
            chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    if options.list:
        print(*chosen, sep="\n")
        return 0
    print(f"{len(chosen)} of {len(found)} mutants, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants.") as folder:
        survived = Trials(Path(folder), options.jobs, options).run(chosen)
    share = 100 * (len(chosen) - len(survived)) / max(1, len(chosen))
    print(f"killed {len(chosen) - len(survived)} of {len(chosen)}, {share:.0f} of 100")
    return 0 if share >= options.least else 1


class Trials:
    """Places in which mutants are tried, several at once."""

    def __init__(self, folder: Path, jobs: int, options: argparse.Namespace) -> None:
        self.options = options
        self.jobs = jobs
        self.failing: dict[tuple[str, ...], list[str]] = {}
        tree = copy_of_tree(folder / "tree")
        self.places: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for number in range(jobs):
            self.places.put(Place(folder / str(number), tree))

    def run(self, chosen: list[Mutant]) -> list[Mutant]:
        """Try them, say who survives, and return those."""
        survived = []
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            self._prepare(pool, sorted({mutant.module for mutant in chosen}))
            tasks = [pool.submit(self._try, mutant) for mutant in chosen]
            for task in concurrent.futures.as_completed(tasks):
                mutant, killed, noticed = task.result()
                if not killed:
                    survived.append(mutant)
                    print(f"survived: {mutant}", flush=True)
                elif self.options.verbose or not noticed:
                    print(f"killed by {noticed or 'the time limit'}: {mutant}", flush=True)
        return survived

    def _prepare(self, pool: concurrent.futures.Executor, modules: list[str]) -> None:
        """Find the tests that fail already, and see that each module's tests run the copy of it."""
        if not self.options.green:
            distinct = sorted({tuple(TESTS[module]) for module in modules})  # some share theirs
            self.failing = dict(zip(distinct, pool.map(self._failures, distinct), strict=True))
        for test in sorted({test for tests in self.failing.values() for test in tests}):
            print(f"left out, as it fails without any change: {test}", flush=True)
        broken = "raise RuntimeError('a mutant that nobody can miss')\n"
        certain = [Mutant(module, -1, 1, "all", "nothing", broken) for module in modules]
        for mutant, killed, _ in pool.map(self._try, certain):
            if not killed:
                sys.exit(f"the tests of {mutant.module} do not run the copy of it")

    def _failures(self, tests: Sequence[str]) -> list[str]:
        place = self.places.get()
        try:
            return place.failures(tests)
        finally:
            self.places.put(place)

    def _try(self, mutant: Mutant) -> tuple[Mutant, bool, str]:
        """Return the mutant, whether it was killed, and by which test; none is the time limit."""
        place = self.places.get()
        original = place.text(mutant.module)
        try:
            place.put(mutant.module, mutant.text)
            tests = tuple(TESTS[mutant.module])
            left_out = [f"--deselect={test}" for test in self.failing.get(tests, ())]
            killed = not place.passes(tests, "-x", *left_out)
            return mutant, killed, place.noticed()
        finally:
            place.put(mutant.module, original)
            self.places.put(place)


if __name__ == "__main__":
    sys.exit(main())
