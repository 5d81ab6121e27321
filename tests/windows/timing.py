"""What a hit costs under Wine, next to ``python -c pass``; of this tree, and of an older commit.

``python timing.py [--turns N] [COMMIT ...]``, in the lab that ``make test-windows`` has built. The
wheel of each commit is installed in turn, and this tree's in the end. In each turn the commands
follow one another, so that a slow minute meets all; a ratio is the median of the turns' ratios.
Windows' clock times them, from the start of a process to the end of its pipes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kit"))
if str(HERE) not in sys.path:  # PYTHONSAFEPATH
    sys.path.insert(0, str(HERE))

from fake_aws import FakeAWS  # noqa: E402 - of the tests' kit
from lab import ROOT, Lab  # noqa: E402 - of these tests
from support import HOST, environment, make_home, point  # noqa: E402 - of these tests

NOW = "this tree"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("commits", nargs="*")
    options = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("ratios to python -c pass; the time of that in brackets")
    for commit in (*options.commits, NOW):
        lab = Lab()
        install(lab, commit)
        with lab:
            measure(lab, commit, options.turns)


def install(lab: Lab, commit: str) -> None:
    """Put the wheel of a commit into the lab."""
    if commit == NOW:
        lab.install_wheel(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        lab.install_wheel(Path(folder))


def measure(lab: Lab, name: str, turns: int) -> None:
    """Print the ratios of a hit in the default directory, and of one in a directory of one's own."""
    home = make_home(lab)
    try:
        with FakeAWS() as aws:
            env = environment(lab, home)
            point(env, aws)
            # platformdirs' own variable would have us ask it, which a user's session has not.
            del env["WIN_PD_OVERRIDE_LOCAL_APPDATA"]
            chosen = {**env, "AWS_ECR_CACHE_DIR": f"{home}\\cache"}
            commands = {
                "pass": ((lab.python, "-c", "pass"), env),
                "executable": ((lab.helper, "get"), env),
                "module": ((lab.python, "-m", "docker_credential_ecr", "get"), env),
                "module, AWS_ECR_CACHE_DIR": (
                    (lab.python, "-m", "docker_credential_ecr", "get"),
                    chosen,
                ),
            }
            for argv, environ in commands.values():  # miss, and files read once
                lab.run(*argv, stdin=HOST, env=environ)
            asked = aws.requests
            taken: dict[str, list[float]] = {label: [] for label in commands}
            for _ in range(turns):
                for label, (argv, environ) in commands.items():
                    run = lab.run(*argv, stdin=HOST, env=environ)
                    assert run.status == 0, run.err
                    taken[label].append(run.seconds)
            assert aws.requests == asked, "a hit has asked AWS"
    finally:
        shutil.rmtree(lab.unix(home), ignore_errors=True)
    floor = taken.pop("pass")
    ratios = (
        f"{label} {statistics.median(a / b for a, b in zip(times, floor, strict=True)):.2f}"
        for label, times in taken.items()
    )
    print(f"{name}: {'; '.join(ratios)} ({1000 * statistics.median(floor):.0f} ms)", flush=True)


if __name__ == "__main__":
    main()
