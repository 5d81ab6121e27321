"""What a hit costs, or a miss, in instructions: the same number on a busy machine and on a quiet one.

Counted by valgrind's callgrind, for the installed executable or for those that are named (as two
versions in virtual environments of their own), and for an interpreter that does nothing. Compare
only environments that hold the same packages: the interpreter reads what lies beside ours.

    python benchmarks/instructions.py [--miss] [EXECUTABLE...]     # needs valgrind, and the project installed
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "kit"))

from fake_aws import FakeAWS
from kit import CALL, HOST, SYSTEM_PATH

COUNTED = re.compile(r"refs:\s+([0-9,]+)")


def instructions(argv: list[str], environ: dict[str, str], request: str) -> int:
    """Return how many instructions a command executes. Raises ``SystemExit`` if it fails."""
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *argv],
        input=request,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    counted = COUNTED.search(run.stderr)
    if run.returncode or counted is None:
        raise SystemExit(f"{argv[0]!r} exits {run.returncode} under valgrind")
    return int(counted[1].replace(",", ""))


def interpreter(executable: str) -> str:
    """Return the interpreter that a script names in its first line."""
    with open(executable, encoding="utf-8") as script:
        return script.readline().removeprefix("#!").strip()


def measured(executable: str, *, miss: bool) -> tuple[int, int]:
    """Return what a hit costs, or a ``miss``, and what its bare interpreter does."""
    with tempfile.TemporaryDirectory() as home, FakeAWS() as aws:
        environ = {
            "PATH": SYSTEM_PATH,
            "HOME": home,
            "PYTHONHASHSEED": "0",  # equal counts from equal runs
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ECR_TIMEOUT": "600",  # seconds: valgrind is slow
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        for _ in range(2):  # one that asks AWS, and one that compiles what a hit loads
            subprocess.run(
                [executable, "get"],
                input=HOST.encode(),
                env=environ,
                capture_output=True,
                check=True,
            )
        if miss:
            shutil.rmtree(Path(home, ".cache"))
        python = interpreter(executable)
        cost = instructions([python, executable, "get"], environ, HOST)
        if aws.count(CALL) != 1 + miss:
            raise SystemExit(f"{executable!r} does not serve from the disk")
        return cost, instructions([python, "-c", "pass"], environ, "")


def main() -> int:
    """Print a row for each executable."""
    miss = "--miss" in sys.argv
    what = "a miss" if miss else "a hit"
    ours = os.path.join(os.path.dirname(sys.executable), "docker-credential-ecr")
    print(f"| executable | {what} | of `python -c pass` |\n| --- | --- | --- |")
    for executable in [word for word in sys.argv[1:] if word != "--miss"] or [ours]:
        cost, bare = measured(os.path.abspath(executable), miss=miss)
        print(f"| {executable} | {cost:,} | {cost / bare:.3f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
