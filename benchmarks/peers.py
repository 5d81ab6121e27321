"""What AWS's own helpers do where this project does otherwise, seen by running them.

Both are built from their Go modules (tests/kit/rivals.py names the versions), and run in the
namespaces of run.py: AWS's hostnames on loopback, and a proxy that writes down which host a request
was for. The last column is this project, asked the same.

    python benchmarks/peers.py            # --rivals FOLDER keeps what was built
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "kit"))

import rivals
from run import HOST, OURS, Lab, arguments, enter_namespace

FIPS = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
PLUGIN_REQUEST = {
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "kind": "CredentialProviderRequest",
}
PATIENCE = 60  # seconds for an AWS that never answers: BuildKit cuts a helper off then
FLAVOURS: dict[str, dict[str, str]] = {
    "a FIPS registry's token is asked of": {},
    "the same with `AWS_USE_FIPS_ENDPOINT=true`": {"AWS_USE_FIPS_ENDPOINT": "true"},
}
IGNORE = {"AWS_ECR_IGNORE_CREDS_STORAGE": "true"}


class Recorder:
    """A proxy on loopback that notes the host of each CONNECT and refuses it."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                line = client.recv(4096).decode("latin-1").partition("\r\n")[0]
                self.hosts.append(line.split(" ")[1].partition(":")[0])
                client.sendall(b"HTTP/1.1 502 refused\r\nContent-Length: 0\r\n\r\n")


def ask(argv: list[str], env: dict[str, str], stdin: str) -> tuple[int, str, str]:
    done = subprocess.run(
        argv, input=stdin, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def image(host: str) -> str:
    return json.dumps({**PLUGIN_REQUEST, "image": f"{host}/app"})


def observe(lab: Lab, tools: dict[str, tuple[list[str], bool]]) -> list[list[str]]:
    """Return one row for each behaviour: what each tool did."""
    keys = lab.environment("static keys")
    bare = {k: v for k, v in keys.items() if not k.startswith("AWS_A")}
    bare["AWS_EC2_METADATA_DISABLED"] = "true"
    rows: dict[str, list[str]] = {}

    def note(row: str, what: str) -> None:
        rows.setdefault(row, []).append(what)

    for argv, is_plugin in tools.values():
        question = image if is_plugin else str
        get = argv if is_plugin else [*argv, "get"]
        lab.forget("static keys")
        _, said, more = ask(get, bare, question(HOST))
        note("without AWS credentials it says", f"`{(said or more).splitlines()[-1][:110]}`")
        for row, more_env in FLAVOURS.items():
            recorder = Recorder()
            proxied = {**keys, "HTTPS_PROXY": recorder.url, "AWS_MAX_ATTEMPTS": "1"}
            ask(get, {**proxied, **more_env}, question(FIPS))
            note(row, ", ".join(dict.fromkeys(recorder.hosts)) or "-")
        lab.aws.reset()
        code, said, _ = ask(get, keys, question("registry.example.com"))
        given = code == 0 and '"AWS"' in said
        note("a host that is not ECR gets", "an ECR token" if given else "nothing")
        for identity in ("static keys", "assumed role", "web identity", "instance metadata"):
            env = lab.environment(identity)
            lab.forget(identity)
            ask(get, env, question(HOST))
            seen = lab.requests()
            ask(get, env, question(HOST))
            note(f"requests of a second `get`, {identity}", str(lab.requests() - seen))
        note("AWS never answers: it gives up", silence(lab, get, keys, question(HOST)))
        for row, tried in DOCKERS_ALONE.items():
            note(row, "-" if is_plugin else tried(lab, argv, keys))
    return [[name, *cells] for name, cells in rows.items()]


def silence(lab: Lab, get: list[str], env: dict[str, str], question: str) -> str:
    """Let AWS be silent, and see for how long a pull waits."""
    lab.forget("static keys")
    lab.aws.fault("GetAuthorizationToken", hang=True)
    start = time.monotonic()
    try:
        subprocess.run(
            get,
            input=question.encode(),
            env=env,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return f"after {time.monotonic() - start:.0f} s"
    except subprocess.TimeoutExpired:
        return f"not within {PATIENCE} s"
    finally:
        lab.aws.reset()


def login(lab: Lab, argv: list[str], env: dict[str, str]) -> str:
    """Do what docker login does."""
    lab.forget("static keys")
    request = {"ServerURL": HOST, "Username": "AWS", "Secret": "c2VjcmV0"}
    code, said, _ = ask([*argv, "store"], env, json.dumps(request))
    ask([*argv, "erase"], env, HOST)
    return "succeeds" if code == 0 else f"fails: `{said}`"


def login_ignored(lab: Lab, argv: list[str], env: dict[str, str]) -> str:
    return login(lab, argv, {**env, **IGNORE})


def expired(lab: Lab, argv: list[str], env: dict[str, str]) -> str:
    """Let a token expire on disk, and AWS refuse the next one: what is answered?"""
    lab.forget("static keys")
    lab.aws.token_life = 2
    ask([*argv, "get"], env, HOST)
    lab.aws.fault(
        "GetAuthorizationToken", status=400, code="AccessDeniedException", message="denied"
    )
    # Seconds: for the token's two to pass, and those of one that was fetched behind the answer.
    threading.Event().wait(5)
    lab.aws.token_life = 12 * 3600
    code, said, _ = ask([*argv, "get"], env, HOST)
    lab.aws.reset()
    lab.forget("static keys")
    served = code == 0 and '"AWS"' in said
    return "the expired token is served" if served else "an error"


def typed_code(lab: Lab, argv: list[str], _: dict[str, str]) -> str:
    """Ask for a role with ``mfa_serial`` from a terminal, with pipes as Docker has them."""
    env = lab.environment("assumed role")
    config = Path(env["HOME"]) / ".aws" / "config"
    plain = config.read_text()
    device = "mfa_serial = arn:aws:iam::123456789012:mfa/me\nregion ="
    lab.forget("assumed role")  # which writes the profile anew
    config.write_text(plain.replace("region =", device, 1))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*argv, "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
        pass_fds=[slave],
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(slave)  # so that the terminal ends with the process
    if process.stdin is None:
        raise TypeError("no pipe")
    process.stdin.write(HOST.encode())
    process.stdin.close()
    process.stdin = None
    shown = b""
    with contextlib.suppress(OSError):  # it has ended without a question
        while b"code" not in shown:
            shown += os.read(master, 1024)
        os.write(master, b"123456\n")
    said, more = process.communicate(timeout=PATIENCE)
    os.close(master)
    lab.forget("assumed role")
    if b'"AWS"' in said:
        return "asks for the code"
    return f"fails: `{(said or more).decode().splitlines()[0][:90]}`"


# What the kubelet has nothing of.
DOCKERS_ALONE = {
    "`docker login`": login,
    "`docker login` with `AWS_ECR_IGNORE_CREDS_STORAGE=true`": login_ignored,
    "a role that needs MFA, at a terminal": typed_code,
    "past the expiry, when AWS says access denied": expired,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments(parser)
    options = parser.parse_args()
    if options.inside is None:
        return enter_namespace(options, "peers.py", *rivals.PACKAGES)
    helper, plugin = (str(rivals.build(name, options.rivals)) for name in rivals.PACKAGES)
    tools = {
        f"AWS's helper {rivals.VERSIONS[rivals.HELPER]}": ([helper], False),
        f"AWS's kubelet plugin {rivals.VERSIONS[rivals.PLUGIN]}": ([plugin], True),
        "docker-credential-ecr": ([OURS], False),
    }
    rows = observe(Lab(Path(options.inside)), tools)
    for line in [["", *tools], ["---"] * (len(tools) + 1), *rows]:
        print("| " + " | ".join(line) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
