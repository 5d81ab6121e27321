"""Runs in the lab, as a Windows program: starts others there, for tests outside.

One JSON object a connection: ``argv``, ``env``, ``cwd``, ``stdin`` (base64), ``timeout`` (seconds);
the answer holds ``status``, ``stdout`` and ``stderr`` (base64) and ``seconds``, or ``error``. Why
it is needed: Wine adds variables of its own to what comes from outside, and leaves with its last
program; and a pipe held by Windows on both ends is what Docker has there.
"""

import base64
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from typing import Any


class Handler(socketserver.StreamRequestHandler):
    """One request."""

    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        if "leave" in request:
            threading.Thread(target=self.server.shutdown, daemon=True).start()
            return
        try:
            answer = run(request)
        except (OSError, subprocess.SubprocessError) as error:
            answer = {"error": repr(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def run(request: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    done = subprocess.run(
        request["argv"],
        input=base64.b64decode(request["stdin"]),
        capture_output=True,
        env=request["env"],
        cwd=request["cwd"],
        timeout=request["timeout"],
        check=False,
    )
    return {
        "status": done.returncode,
        "stdout": base64.b64encode(done.stdout).decode(),
        "stderr": base64.b64encode(done.stderr).decode(),
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        place = sys.argv[1]
        with open(f"{place}.new", "w") as file:
            file.write(str(server.server_address[1]))
        os.replace(f"{place}.new", place)
        server.serve_forever(0.05)


if __name__ == "__main__":
    main()
