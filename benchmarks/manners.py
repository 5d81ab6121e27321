"""What AWS sees of one get in a bad hour, and how long its user waits, with several botocores.

For each version of botocore an environment is made (kept in --environments for the next run), this
tree is installed there, and the real executable asks a loopback AWS that fails. A number is the
worst of the rounds. The exit code is 1 if a bound is broken.

    python benchmarks/manners.py
    python benchmarks/manners.py --botocore 1.34.0 newest --package /path/to/another/tree
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE / "tests" / "kit"))

from fake_aws import FakeAWS  # noqa: E402 - from the tests' kit

CALL = "GetAuthorizationToken"
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
# The oldest that setup.cfg allows, the last before botocore's retries changed, the newest there is.
VERSIONS = ["1.41.0", "1.43.127", "newest"]
HOUR = 3600  # seconds
ROUNDS = 3
STARTING = 3.0  # seconds: an interpreter and botocore on a machine that does other things, too


@dataclass
class Situation:
    """What goes wrong, and the bounds: calls at most, and seconds without and with a token."""

    name: str
    fault: dict[str, Any]
    calls: int
    seconds: float
    rounds: int = ROUNDS


# Without a token at hand the time-out is 25 s, with a valid one two seconds for the renewal.
SITUATIONS = [
    Situation("500", {"status": 500, "code": "ServerException"}, 3, 2),
    Situation("throttled", {"code": "ThrottlingException"}, 5, 16),
    Situation(
        "throttled, asked to wait 1 s",
        {"code": "ThrottlingException", "headers": {"x-amz-retry-after": "1000"}},
        5,
        20,
    ),
    Situation("hang", {"hang": True}, 3, 25, rounds=1),
    Situation("connection dropped", {"drop": True}, 3, 2),
    Situation("refused", {"code": "AccessDeniedException"}, 1, 0),
]
SPARE = 2.0  # seconds for a renewal with a valid token at hand


def environment(place: Path, version: str, package: Path) -> Path:
    """Make an environment with that botocore and the package; return the executable."""
    folder = place / version
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not python.exists():
        venv.create(folder, with_pip=True)
        pins = ["boto3", "botocore"]
        if version != "newest":
            pins = [f"{name}=={version}" for name in pins]
        subprocess.run([*pip, *pins, "filelock", "platformdirs"], check=True)
    with tempfile.TemporaryDirectory(prefix="ecr-manners-") as copy:
        # A copy, as setuptools would leave a build directory in the tree.
        tree = Path(copy) / "tree"
        left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "results")
        shutil.copytree(package, tree, ignore=left_out)
        subprocess.run([*pip, "--no-deps", "--force-reinstall", str(tree)], check=True)
    return folder / "bin" / "docker-credential-ecr"


def version_in(executable: Path) -> str:
    """Return the version of botocore beside the executable."""
    ask = "import botocore; print(botocore.__version__)"
    python = executable.with_name("python")
    return subprocess.run(
        [str(python), "-c", ask], capture_output=True, text=True, check=True
    ).stdout.strip()


def ask(executable: Path, situation: Situation, *, with_token: bool) -> Measured:
    """Let one get meet the situation; an AWS of its own, as a renewal behind it may go on."""
    with tempfile.TemporaryDirectory(prefix="ecr-manners-") as home, FakeAWS() as aws:
        env = {
            "PATH": os.defpath,
            "HOME": home,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ECR_CACHE_DIR": f"{home}/cache",
        }
        command = [str(executable), "get"]
        if with_token:
            subprocess.run(command, input=HOST.encode(), env=env, check=True, capture_output=True)
            for entry in (Path(home) / "cache" / HOST).glob("[!.]*"):
                make_late(entry)
        aws.reset()
        aws.fault(CALL, **situation.fault)
        started = time.monotonic()
        done = subprocess.run(
            command, input=HOST.encode(), env=env, check=False, capture_output=True
        )
        seconds = time.monotonic() - started
        return Measured(aws.count(CALL), seconds, served=done.returncode == 0)


@dataclass
class Measured:
    """What one get came to."""

    calls: int
    seconds: float
    served: bool


def make_late(entry: Path) -> None:
    """Let a token of twelve hours have five minutes left: it is renewed before it is served."""
    past = 12 * HOUR - 300
    entry.write_text(
        re.sub(
            r"^(issued|refresh|renew|expires) (\d+)$",
            lambda found: f"{found[1]} {int(found[2]) - past}",
            entry.read_text(),
            flags=re.MULTILINE,
        )
    )


def main() -> int:
    """Print the table; return 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--botocore", nargs="+", default=VERSIONS, metavar="VERSION")
    parser.add_argument("--package", type=Path, default=TREE, help="the tree to install")
    parser.add_argument("--environments", type=Path, help="where to keep the environments")
    options = parser.parse_args()
    broken = []
    with tempfile.TemporaryDirectory(prefix="ecr-manners-") as temporary:
        place = options.environments or Path(temporary)
        print("| botocore | situation | a token at hand | calls | seconds | answered |")
        print("| --- | --- | --- | ---: | ---: | --- |")
        for version in options.botocore:
            executable = environment(place, version, options.package)
            exact = version_in(executable)
            for situation in SITUATIONS:
                for with_token in (False, True):
                    runs = [
                        ask(executable, situation, with_token=with_token)
                        for _ in range(situation.rounds)
                    ]
                    calls = max(run.calls for run in runs)
                    seconds = max(run.seconds for run in runs)
                    bound = SPARE if with_token else situation.seconds
                    late = seconds > bound + STARTING
                    if calls > situation.calls or late:
                        broken.append(f"{situation.name} with botocore {exact}")
                    print(
                        f"| {exact} | {situation.name} | {'yes' if with_token else 'no'} "
                        f"| {calls}{' (!)' if calls > situation.calls else ''} "
                        f"| {seconds:.1f}{' (!)' if late else ''} "
                        f"| {'yes' if all(run.served for run in runs) else 'no'} |",
                        flush=True,
                    )
    for name in broken:
        print(f"bound broken: {name}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
