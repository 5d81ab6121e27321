"""Show what a user does, on an AWS endpoint of the demo's own: no account, no network.

Run by ``make demo`` in an environment that has this project. Everything happens in a temporary
home; the endpoint (tests/kit/fake_aws.py) listens on loopback and ends with the demo.
"""

from __future__ import annotations

import json
import os
import signal
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
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="ecr-demo-") as home, FakeAWS() as aws:
        say(f"an AWS endpoint of the demo's own listens on {aws.url}")
        env = {
            "PATH": f"{SCRIPTS}:{os.defpath}",
            "HOME": home,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIADEMO",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        run("once: have Docker ask this program", env, "configure", HOST)
        show("what that wrote", Path(home) / ".docker" / "config.json", home)
        first = run("docker pull asks for a password: AWS is asked for a token", env, "get")
        asked = aws.requests
        second = run("the next docker pull: the token is on disk, nobody is asked", env, "get")
        if aws.requests != asked:
            raise SystemExit("demo: error: AWS was asked again")
        run("what is kept", env, "status")
        run("is everything as it should be?", env, "doctor", HOST, "--offline")
        if json.loads(first)["Secret"] != json.loads(second)["Secret"]:
            raise SystemExit("demo: error: the two answers differ")
    print()
    say(f'that was all. The endpoint has ended, and the demo\'s home "{home}" is gone')
    return 0


def run(title: str, env: dict[str, str], action: str, *arguments: str) -> str:
    """Run a command, for ``get`` as Docker does; show what it said and how long it took."""
    command = " ".join(["docker-credential-ecr", action, *arguments])
    asked = HOST if action == "get" else ""
    shown = f"echo {asked} | {command}" if asked else command
    print(f"\n{paint('1', '# ' + title)}\n{paint('36', '$ ' + shown)}", flush=True)
    start = time.perf_counter()
    done = subprocess.run(
        [SCRIPTS / "docker-credential-ecr", action, *arguments],
        input=asked,
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    took = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        raise SystemExit(f"demo: error: {command} failed: {done.stderr or done.stdout}")
    answer = done.stdout.rstrip()
    if action == "get":
        fields = json.loads(answer)
        secret = fields["Secret"]
        fields["Secret"] = f"{secret[:6]}... ({len(secret)} characters)"
        answer = json.dumps(fields)
    print(answer.replace(env["HOME"], "~"))
    print(paint("2", f"{took:.0f} ms"))
    return done.stdout


def show(title: str, path: Path, home: str) -> None:
    """Show a file."""
    print(f"\n{paint('1', '# ' + title)}\n{paint('36', f'$ cat {path}'.replace(home, '~'))}")
    print(path.read_text("utf-8").strip())


def say(text: str) -> None:
    print(paint("2", f"- {text}"), flush=True)


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
