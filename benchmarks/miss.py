"""Where the time of a miss goes, above the network: one process for each stage, in turn.

Each stage runs all that come before it, so the difference of two lines is a stage's own cost. The
endpoint is on loopback without TLS and without a delay.

    python benchmarks/miss.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "kit"))

from fake_aws import FakeAWS

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
SCRIPTS = Path(sysconfig.get_path("scripts"))
TURNS = 15
BEGIN = "import gc, os; gc.disable(); os.environ.setdefault('HOME', '/');"
STAGES = {
    "python -c pass": "pass",
    "our own modules": "from docker_credential_ecr import protocol;",
    "conditions, configuration": (
        "from docker_credential_ecr import deadline, settings;"
        "from docker_credential_ecr.ecr import request, session, sources;"
        "sources.conditions(os.environ); settings.load(os.environ);"
    ),
    "the lock library, a lock": (
        "from filelock import FileLock; lock = FileLock(os.environ['HOME'] + '/lock');"
        "lock.acquire(timeout=0);"
    ),
    "import botocore": "import botocore.session, botocore.loaders;",
    "session and credentials": (
        "session = session.load(None, os.environ); session.get_credentials().get_frozen_credentials();"
    ),
    "client": (
        "import botocore.config;"
        "client = session.create_client('ecr', region_name='us-east-1',"
        " config=botocore.config.Config(connect_timeout=5));"
    ),
    "request and answer": "client.get_authorization_token();",
}


def main() -> int:
    """Print a table of the stages: each one's own share, and the sum so far."""
    with FakeAWS() as aws, tempfile.TemporaryDirectory(prefix="ecr-miss-") as home:
        env = {
            "PATH": os.defpath,
            "HOME": home,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        python = [str(SCRIPTS / "python"), "-P", "-c"]
        commands: dict[str, list[str]] = {}
        script = ""
        for name, stage in STAGES.items():
            if stage == "pass":
                commands[name] = [*python, "pass"]
            else:
                script += stage
                commands[name] = [*python, f"{BEGIN}{script}os._exit(0)"]
        commands["a whole miss: and the cache written"] = [
            str(SCRIPTS / "docker-credential-ecr"),
            "get",
        ]
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(TURNS + 1):
            for name, argv in commands.items():
                shutil.rmtree(f"{home}/.cache", ignore_errors=True)
                start = time.perf_counter()
                subprocess.run(argv, input=HOST.encode(), env=env, check=True, capture_output=True)
                if turn:
                    taken[name].append(1000 * (time.perf_counter() - start))
    print(f"| stage | own share, ms | so far, ms (medians of {TURNS} turns) |\n| --- | --- | --- |")
    before: list[float] = [0.0] * TURNS
    for name, times in taken.items():
        own = statistics.median(a - b for a, b in zip(times, before, strict=True))
        print(f"| {name} | {own:.1f} | {statistics.median(times):.1f} |")
        before = times
    return 0


if __name__ == "__main__":
    sys.exit(main())
