"""CPython's own tests of types on the interpreter that is linked in, which we have patched."""

from __future__ import annotations

import os
import subprocess
import tempfile

import pytest
from kit import EXECUTABLE

# How many tests each has, at least, that are not skipped here.
THEIRS = {
    "test_descr": 140,
    "test_abc": 70,
    "test_super": 35,
    "test_subclassinit": 17,
    "test_operator": 100,
    "test_collections": 110,
    "test_hash": 30,
    "test_compare": 16,
    "test_iter": 55,
    "test_binop": 12,
    "test_genericclass": 20,
    "test_richcmp": 11,
    "test_index": 55,
    "test_isinstance": 20,
    "test_dict": 110,
    "test_set": 600,
    "test_enum": 1000,
}
# They ask how CPython was compiled, for what is none of ours.
RUN = """
import sys, types, unittest
made = "_sysconfigdata__linux_"
sys.modules[made] = types.ModuleType(made)
sys.modules[made].build_time_vars = {}
suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{sys.argv[1]}")
done = unittest.TextTestRunner(verbosity=0, buffer=True).run(suite)
print(done.testsRun - len(done.skipped), [str(test) for test, _ in (*done.failures, *done.errors)])
"""


@pytest.mark.parametrize("name", THEIRS)
def test_cpythons_own_tests_of_types_pass(name: str) -> None:
    """A class has the operations that it has without patches/cpython-slots.patch."""
    # Where the step before put it: NATIVE_FOLDER/for-tests has the executable.
    python = EXECUTABLE.parent.parent / f"cpython-{os.uname().machine}" / "python"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-B", "-c", RUN, name], cwd=folder, check=True, capture_output=True, text=True
        )
    count, failed = done.stdout.splitlines()[-1].split(" ", 1)

    assert failed == "[]"
    assert int(count) >= THEIRS[name]
