"""Show the main job on an embedded AWS endpoint: no account, no network, nothing left behind.

Run by ``make demo`` in an environment that has this project and ministack. Everything happens in a
temporary home; the endpoint listens on loopback and ends with the demo.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
SCRIPTS = Path(sysconfig.get_path("scripts"))
START_LIMIT = 60  # seconds until the endpoint must answer
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="ecr-demo-") as home, endpoint(Path(home)) as url:
        env = {
            "PATH": os.defpath,
            "HOME": home,
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        say(f"an AWS endpoint of our own listens on {url}")
        say(
            'Docker asks because of this line in ~/.docker/config.json: "credHelpers": {HOST: "ecr"}'
        )
        first = run("the first pull: boto3 asks ECR for a token", env, "get", HOST)
        second = run("the next pull: the token is on disk, no network", env, "get", HOST)
        run("what is kept", env, "list")
        run("docker logout", env, "erase", HOST)
        after = run("nothing is left", env, "list")
        if json.loads(first)["Secret"] != json.loads(second)["Secret"] or json.loads(after):
            print("demo: error: the answers do not fit together", file=sys.stderr)
            return 1
    say("the endpoint has stopped and the temporary home is gone")
    return 0


def run(title: str, env: dict[str, str], action: str, stdin: str = "") -> str:
    """Run one action as Docker does, and show what it said and how long it took."""
    command = f"docker-credential-ecr {action}"
    shown = f"echo {shlex.quote(stdin)} | {command}" if stdin else command
    print(f"\n{paint('1', '# ' + title)}\n{paint('36', '$ ' + shown)}")
    start = time.perf_counter()
    done = subprocess.run(
        [SCRIPTS / "docker-credential-ecr", action],
        input=stdin,
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    took = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        raise SystemExit(f"demo: error: {command} failed: {done.stderr or done.stdout}")
    answer = done.stdout.strip()
    if action == "get":
        fields = json.loads(answer)
        secret = fields["Secret"]
        fields["Secret"] = f"{secret[:6]}... ({len(secret)} characters)"
        answer = json.dumps(fields)
    print("\n".join(filter(None, [answer, paint("2", f"{took:.0f} ms")])))
    return done.stdout


@contextlib.contextmanager
def endpoint(home: Path) -> Iterator[str]:
    """Run ministack on a free loopback port until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = home / "ministack.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [SCRIPTS / "ministack"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=home,
            env={
                "PATH": os.defpath,
                "HOME": str(home),
                "TMPDIR": str(home),
                "BIND_HOST": "127.0.0.1",  # it would listen on every interface
                "GATEWAY_PORT": str(port),
                "EDGE_PORT": str(port),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            start_new_session=True,
        )
    try:
        until = time.monotonic() + START_LIMIT
        while not answers(url):
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit(
                    f"demo: error: the endpoint did not start: {log.read_text()[-500:]}"
                )
            time.sleep(0.05)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def say(text: str) -> None:
    print(paint("2", f"- {text}"))


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
