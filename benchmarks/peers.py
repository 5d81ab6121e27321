"""What AWS's own helpers do where this project does otherwise, seen by running them.

In the namespaces of run.py: AWS's hostnames on loopback, and a proxy that writes down which host a
request was for. The Go helper is `docker-credential-ecr-login` on PATH; the kubelet plugin is built
from the Go module k8s.io/cloud-provider-aws (cmd/ecr-credential-provider) and named with --plugin.
The last column is this project, asked the same.

    python benchmarks/peers.py --plugin ./ecr-credential-provider
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from run import GO, HOST, OURS, Lab, enter_namespace, go_version

FIPS = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
PLUGIN_REQUEST = {
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "kind": "CredentialProviderRequest",
}


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
        recorder = Recorder()
        ask(get, {**keys, "HTTPS_PROXY": recorder.url, "AWS_MAX_ATTEMPTS": "1"}, question(FIPS))
        note("a FIPS registry's token is asked of", ", ".join(dict.fromkeys(recorder.hosts)) or "-")
        lab.aws.reset()
        code, said, _ = ask(get, keys, question("registry.example.com"))
        given = code == 0 and '"AWS"' in said
        note("a host that is not ECR gets", "an ECR token" if given else "nothing")
        for identity in ("static keys", "assumed role", "instance metadata"):
            env = lab.environment(identity)
            lab.forget(identity)
            ask(get, env, question(HOST))
            seen = lab.requests()
            ask(get, env, question(HOST))
            note(f"requests of a second `get`, {identity}", str(lab.requests() - seen))
        if is_plugin:
            note("`docker login`", "-")
            note("past the expiry, when AWS says access denied", "-")
            continue
        login = {"ServerURL": HOST, "Username": "AWS", "Secret": "c2VjcmV0"}
        code, said, _ = ask([*argv, "store"], keys, json.dumps(login))
        note("`docker login`", "succeeds" if code == 0 else f"fails: `{said}`")
        ask([*argv, "erase"], keys, HOST)
        note("past the expiry, when AWS says access denied", expired(lab, argv, keys))
    return [[name, *cells] for name, cells in rows.items()]


def expired(lab: Lab, argv: list[str], env: dict[str, str]) -> str:
    """Let a token expire on disk, and AWS refuse the next one: what is answered?"""
    lab.forget("static keys")
    lab.aws.token_life = 2
    ask([*argv, "get"], env, HOST)
    lab.aws.token_life = 12 * 3600
    threading.Event().wait(2.5)  # seconds, for the token's two to pass
    lab.aws.fault(
        "GetAuthorizationToken", status=400, code="AccessDeniedException", message="denied"
    )
    code, said, _ = ask([*argv, "get"], env, HOST)
    lab.aws.reset()
    lab.forget("static keys")
    served = code == 0 and '"AWS"' in said
    return "the expired token is served" if served else "an error"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plugin", type=Path, help="the kubelet plugin's executable")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside is None:
        return enter_namespace(sys.argv[1:], "peers.py")
    tools: dict[str, tuple[list[str], bool]] = {}
    found = shutil.which(GO)
    if found:
        tools[f"Go helper {go_version(found)}"] = ([found], False)
    if options.plugin:
        tools["kubelet plugin"] = ([str(options.plugin.resolve())], True)
    tools["docker-credential-ecr"] = ([OURS], False)
    rows = observe(Lab(Path(options.inside)), tools)
    for line in [["", *tools], ["---"] * (len(tools) + 1), *rows]:
        print("| " + " | ".join(line) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
