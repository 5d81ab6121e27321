"""Record README's terminal: real commands, a real Docker and a real registry, as an SVG.

Everything runs in the namespaces of the end-to-end tests (tests/kit/stack.py), where ECR's and
AWS's names are on loopback; what Docker and this program say there is drawn as it was said.

    make record            # needs root, dockerd, docker-registry, skopeo, openssl and apache2-utils
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE / "tests" / "kit"))

from kit import EXECUTABLE, HOST, SYSTEM_PATH, need  # noqa: E402 - of the tests' kit
from stack import Client, Stack  # noqa: E402

IMAGE = f"{HOST}/app:1"
SESSION = (
    f"docker-credential-ecr configure {HOST}",
    f"docker pull {IMAGE}",
    "docker-credential-ecr status",
    f"AWS_PROFILE=prdo docker-credential-ecr token {HOST}",
)
COLUMNS = 96
CHARACTER, LINE, MARGIN, BAR = 7.8, 19, 16, 34  # pixels: of 13-pixel letters, a line, the frame
PATIENCE = 60  # seconds until dockerd must answer


def main() -> int:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else TREE / "docs" / "session.svg"
    with tempfile.TemporaryDirectory(prefix="ecr-record-") as folder:
        stack = Stack(Path(folder))
        try:
            say("starting a registry and AWS's names on loopback ...")
            stack.start()
            client = user(stack, Path(folder))
            lines = []
            for command in SESSION:
                say(f"$ {command}")
                lines += [f"$ {command}", *run(client, command), ""]
        finally:
            stack.stop()
    out.write_text(drawn(lines[:-1]), "utf-8")
    say(f"written: {os.path.relpath(out)}")
    return 0


def say(text: str) -> None:
    print(f"record: {text}", file=sys.stderr, flush=True)


def user(stack: Stack, folder: Path) -> Client:
    """Return a user with a static key, a Docker daemon and nothing configured."""
    say("starting dockerd ...")
    socket = Path("/run/docker-record.sock")  # in the namespace's own /run
    state = folder / "docker"
    stack.spawn(
        "dockerd",
        [
            *(need("dockerd"), "--storage-driver=vfs", "--iptables=false", "--ip6tables=false"),
            *("--bridge=none", f"--data-root={state}/data", f"--exec-root={state}/exec"),
            *(f"--pidfile={state}.pid", f"--host=unix://{socket}"),
        ],
    )
    home = folder / "home" / "me"
    home.mkdir(parents=True)
    stack.run(["mount", "--bind", str(home.parent), "/home"], {"PATH": SYSTEM_PATH}, check=True)
    client = Client(stack, home, {"HOME": "/home/me", "LANG": "C.UTF-8", "TERM": "xterm"}, socket)
    shutil.rmtree(home / ".docker")
    until = time.monotonic() + PATIENCE
    while client.run(client.docker, "version").status != 0:
        if time.monotonic() > until:
            raise SystemExit(f"record: error: dockerd does not answer: {stack.log('dockerd')}")
        time.sleep(0.1)
    client.env["PATH"] = f"{EXECUTABLE.parent}:{Path(client.docker).parent}:{SYSTEM_PATH}"
    client.env["COLUMNS"] = str(COLUMNS)
    return client


def run(client: Client, command: str) -> list[str]:
    """Run a command at a terminal of its own, and return the lines that it shows in the end."""
    client.run(client.docker, "rmi", "--force", IMAGE)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        client.stack.inside(["sh", "-c", command]),
        env=client.env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    while True:
        try:
            said += os.read(master, 1 << 16)
        except OSError:  # the terminal has ended with the process
            break
    os.close(master)
    process.wait()
    return screen(said.decode())


def screen(said: str) -> list[str]:
    """Return the lines that are left of what a terminal was sent: Docker draws its bars anew."""
    lines = [""]
    row = 0
    for part in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\n|\r)", said):
        if part in ("\n", "\r\n"):
            row += 1
            if row == len(lines):
                lines.append("")
        elif found := re.fullmatch(r"\x1b\[(\d*)([AB])", part):
            row = max(0, row + int(found[1] or 1) * (1 if found[2] == "B" else -1))
            lines += [""] * (row + 1 - len(lines))
        elif re.fullmatch(r"\x1b\[\d*[KG]", part) or part == "\r":
            lines[row] = "" if part != "\r" else lines[row]
        elif part and not part.startswith("\x1b"):
            lines[row] = part
    return [line.rstrip() for line in lines if line.strip()]


def drawn(lines: list[str]) -> str:
    """Return a terminal as SVG: dark on pages of either kind, letters that can be selected."""
    folded: list[tuple[str, str]] = []
    for line in lines:
        kind = "typed" if line.startswith("$ ") else "said"
        if "error" in line.lower():
            kind = "wrong"
        elif "hint:" in line:
            kind = "hint"
        start = 0
        while start == 0 or start < len(line):
            folded.append((kind, line[start : start + COLUMNS]))
            start += COLUMNS
    width = round(COLUMNS * CHARACTER + 2 * MARGIN)
    height = BAR + LINE * len(folded) + MARGIN
    marks = [
        f'<text x="{MARGIN}" y="{BAR + LINE * (n + 1) - 4}" class="{kind}"'
        f' xml:space="preserve">{escape(text)}</text>'
        for n, (kind, text) in enumerate(folded)
        if text
    ]
    dots = "".join(
        f'<circle cx="{MARGIN + 6 + 18 * n}" cy="17" r="5" fill="{colour}"/>'
        for n, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    style = (
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#c9d1d9}"
        ".typed{fill:#fff;font-weight:bold}.wrong{fill:#ff9b8e}.hint{fill:#7ee0b5}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img"><title>A session, recorded by make record</title>'
        f'<style>{style}</style><rect width="{width}" height="{height}" rx="8" fill="#161b22"'
        f' stroke="#3d444d"/>{dots}' + "".join(marks) + "</svg>\n"
    )


if __name__ == "__main__":
    sys.exit(main())
