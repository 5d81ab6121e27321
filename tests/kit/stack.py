"""Real registries under real names, in namespaces of the tests' own.

One process holds a network, a mount and a process namespace for the whole session; everything runs
inside it by way of nsenter and ends with it. In there, ECR's and AWS's own hostnames are on
loopback, port 443, with a certificate authority that only the namespace trusts. The machine's
``/etc/hosts``, port 443 and Docker are left alone.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import hub
from kit import (
    ELSEWHERE,
    EXECUTABLE,
    FIPS,
    HOST,
    OTHER_ACCOUNT,
    OTHER_REGION,
    PUBLIC,
    SYSTEM_PATH,
    Run,
    missing,
    need,
)

DUAL_STACK = "123456789012.dkr-ecr.us-west-2.on.aws"
DUAL_STACK_FIPS = "123456789012.dkr-ecr-fips.us-east-2.on.aws"
CHINA = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
OF_ROLES = "333333333333.dkr.ecr.us-east-1.amazonaws.com"  # see role_registry.py
CUSTOM = "images.example.com"  # a name of the user's own in front of a registry
ELSEWHERE_LOGIN = ("somebody", "secret-of-elsewhere")
PRIVATE = (HOST, OTHER_ACCOUNT, OTHER_REGION, FIPS, DUAL_STACK, DUAL_STACK_FIPS, CHINA, CUSTOM)
ENDPOINTS = (
    "api.ecr.us-east-1.amazonaws.com",
    "api.ecr.eu-west-1.amazonaws.com",
    "api.ecr-fips.us-east-1.amazonaws.com",
    "ecr.us-west-2.api.aws",
    "ecr-fips.us-east-2.api.aws",
    "api.ecr.cn-north-1.amazonaws.com.cn",
    "api.ecr-public.us-east-1.amazonaws.com",
    "sts.us-east-1.amazonaws.com",
)
AWS_ADDRESS, ECR_ADDRESS, ELSEWHERE_ADDRESS, PUBLIC_ADDRESS = (
    "127.0.0.4",
    "127.0.0.1",
    "127.0.0.2",
    "127.0.0.3",
)
START_LIMIT = 60  # seconds until a server must answer


def docker_clients() -> list[str]:
    """Return every Docker client on PATH: a machine may have Debian's and Docker's own."""
    places = (Path(folder) / "docker" for folder in SYSTEM_PATH.split(":"))
    found = {place.resolve(): place for place in reversed(list(places)) if place.exists()}
    return sorted(str(place) for place in found.values()) or ["docker"]


def vfs(client: str) -> list[str]:
    """Podman or Buildah with storage in the namespaces' own /run: no mounts, short paths."""
    storage = f"/run/{client}"
    return [
        need(client),
        "--storage-driver=vfs",
        f"--root={storage}/storage",
        f"--runroot={storage}/run",
    ]


class Stack:
    """The namespaces and what runs in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        expiration = int(time.time()) + 12 * 3600
        content = json.dumps({"type": "DATA_KEY", "expiration": expiration})
        # bcrypt takes 72 characters: a short password of ECR's form for the registry's htpasswd.
        self.password = base64.b64encode(content.encode()).decode()
        self.bundle = folder / "ca.crt"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._runnable = 0  # how many tags of the image that runs are there
        self._holder: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> None:
        """Make the namespaces, the certificates, the registries and the AWS endpoint."""
        self._certificates()
        self._namespaces()
        login = {"AWS": self.password}
        self._registry("ecr", ECR_ADDRESS, login)
        self._registry("elsewhere", ELSEWHERE_ADDRESS, dict([ELSEWHERE_LOGIN]))
        self._registry("public", PUBLIC_ADDRESS, {})
        fake = Path(__file__).parent / "fake_aws.py"
        tls = ["--tls", str(self.folder / "server.crt"), str(self.folder / "server.key")]
        self.spawn(
            "aws",
            [sys.executable, str(fake), f"--host={AWS_ADDRESS}", "--port=443", *tls]
            + [f"--password={self.password}"],
        )
        for address in (ECR_ADDRESS, ELSEWHERE_ADDRESS, PUBLIC_ADDRESS, AWS_ADDRESS):
            self._wait_for(address)
        self._seed()

    def stop(self) -> None:
        """End everything: the namespace's first process takes all others with it."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()
        for process in self._processes.values():
            process.wait(timeout=START_LIMIT)

    def run(
        self, argv: list[str], env: dict[str, str], stdin: str | bytes = b"", *, check: bool = False
    ) -> Run:
        """Run a command in the namespaces with exactly this environment."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self.inside(argv), input=data, capture_output=True, env=env, timeout=120, check=False
        )
        run = Run(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not check or run.status == 0, (argv, run)
        return run

    def spawn(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> None:
        """Start a server in the namespaces; what it says goes to a file for the failure report."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.inside(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env or {"PATH": SYSTEM_PATH, "HOME": str(self.folder)},
            )
        self._processes[name] = process

    def end(self, name: str) -> None:
        """End a server, and wait until it has gone: also one that has ended by itself."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        # nsenter waits for the server, its only child, and hands no signal on.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGTERM)
        process.wait(timeout=START_LIMIT)

    def has_ended(self, name: str) -> bool:
        """Whether a server has ended by itself."""
        return self._processes[name].poll() is not None

    def token(self, end: float) -> dict[str, object]:
        """Return what ECR answers, with a token that ends then (a time in seconds)."""
        token = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        return {"authorizationToken": token, "expiresAt": end, "proxyEndpoint": f"https://{HOST}"}

    def calls(self) -> list[dict[str, str]]:
        """Return every request that the AWS endpoint has seen since ``forget``."""
        return list(json.loads(self._ask("/_calls")))

    def endpoints(self) -> list[str]:
        """Return the hosts that were asked for a token, in order."""
        return [
            call["host"]
            for call in self.calls()
            if call["operation"].endswith("GetAuthorizationToken")
        ]

    def forget(self) -> None:
        """Forget the requests and the faults."""
        self._ask("/_fault", "{}")

    def fault(self, operation: str, **how: object) -> None:
        """Let an operation go wrong: see fake_aws.Fault."""
        self._ask("/_fault", json.dumps({"operation": operation, **how}))

    def log(self, name: str) -> str:
        """Return what a server said, for a failure report."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def _ask(self, path: str, body: str | None = None) -> str:
        argv = [need("curl"), "-sS", "--cacert", str(self.bundle)]
        argv += ["--data", body] if body is not None else []
        argv.append(f"https://{ENDPOINTS[0]}{path}")
        return self.run(argv, {"PATH": SYSTEM_PATH}, check=True).stdout

    def inside(self, argv: list[str]) -> list[str]:
        """Return the command that runs ``argv`` in the namespaces."""
        return ["nsenter", f"--target={self._pid}", "--net", "--mount", "--pid", "--", *argv]

    def _namespaces(self) -> None:
        names = {
            ECR_ADDRESS: PRIVATE,
            ELSEWHERE_ADDRESS: (ELSEWHERE,),
            PUBLIC_ADDRESS: (PUBLIC,),
            AWS_ADDRESS: ENDPOINTS,
            hub.ADDRESS: hub.NAMES,
            "127.0.0.7": (OF_ROLES,),
        }
        hosts = self.folder / "hosts"
        lines = [f"{address} {name}" for address, group in names.items() for name in group]
        hosts.write_text("127.0.0.1 localhost\n::1 localhost\n" + "\n".join(lines) + "\n")
        ready = self.folder / "ready"
        system_bundle = "/etc/ssl/certs/ca-certificates.crt"
        script = " && ".join(
            [
                "mount --make-rprivate /",
                f"mount --bind {hosts} /etc/hosts",
                f"mount --bind {self.bundle} {system_bundle}",
                "mount -t tmpfs tmpfs /run",
                "mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers",
                "ip link set lo up",
                f"touch {ready}",
                "exec sleep infinity",
            ]
        )
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*unshare, "sh", "-c", script], stderr=subprocess.PIPE, env={"PATH": SYSTEM_PATH}
        )
        until = time.monotonic() + START_LIMIT
        while not ready.exists():
            if self._holder.poll() is not None or time.monotonic() > until:
                assert self._holder.stderr is not None
                said = self._holder.stderr.read().decode()
                missing(f"namespaces cannot be made here: {said.strip()}")
            time.sleep(0.02)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self._pid = int(children.split()[0])

    def _certificates(self) -> None:
        openssl = need("openssl")
        names = [*PRIVATE, ELSEWHERE, PUBLIC, *ENDPOINTS, *hub.NAMES, OF_ROLES]
        extension = self.folder / "server.ext"
        extension.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for argv in (
            [*"req -x509 -days 2 -subj /CN=test-authority".split(), *key]
            + ["-keyout", "ca.key", "-out", "ca.crt"],
            [*"req -subj /CN=test-server".split(), *key]
            + ["-keyout", "server.key", "-out", "server.csr"],
            "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial"
            " -extfile server.ext -out server.crt".split(),
        ):
            subprocess.run([openssl, *argv], cwd=self.folder, check=True, capture_output=True)

    def _registry(self, name: str, address: str, users: dict[str, str]) -> None:
        config = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / f"{name}-storage")}},
            "http": {
                "addr": f"{address}:443",
                "tls": {
                    "certificate": str(self.folder / "server.crt"),
                    "key": str(self.folder / "server.key"),
                },
            },
        }
        if users:
            lines = []
            for user, password in users.items():
                hashed = subprocess.run(
                    [need("htpasswd"), "-niB", "-C", "4", user],
                    input=password.encode(),
                    capture_output=True,
                    check=True,
                )
                lines.append(hashed.stdout.decode().strip())
            passwords = self.folder / f"{name}.htpasswd"
            passwords.write_text("\n".join(lines) + "\n")
            config["auth"] = {"htpasswd": {"realm": name, "path": str(passwords)}}
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        self.spawn(f"registry-{name}", [need("docker-registry"), "serve", str(path)])

    def _wait_for(self, address: str) -> None:
        until = time.monotonic() + START_LIMIT
        probe = [
            sys.executable,
            "-c",
            f"import socket; socket.create_connection(('{address}', 443))",
        ]
        while self.run(probe, {}).status != 0:
            assert time.monotonic() < until, f"nothing answers on {address}"
            time.sleep(0.05)

    def _seed(self) -> None:
        """Push a tiny image to each registry."""
        image = write_image(self.folder / "image")
        for host, login in (
            (HOST, ("AWS", self.password)),
            (ELSEWHERE, ELSEWHERE_LOGIN),
            (PUBLIC, None),
        ):
            argv = [need("skopeo"), "copy", "--quiet"]
            argv += ["--dest-creds", ":".join(login)] if login else []
            env = {"PATH": SYSTEM_PATH, "HOME": str(self.folder)}
            self.run([*argv, image, f"docker://{host}/app:1"], env, check=True)

    def hub(self) -> Hub:
        """Return a Docker Hub in the namespaces, started once, with an image that runs."""
        if "hub" not in self._processes:
            self.seed_runnable(1)
            files = (self.folder / name for name in ("server.crt", "server.key", "runnable"))
            argv = [sys.executable, hub.__file__, hub.ADDRESS, *map(str, files)]
            self.spawn("hub", argv)
            self._wait_for(hub.ADDRESS)
        return Hub(self)

    def push(self, name: str) -> None:
        """Push the image that runs to ECR, under ``name`` (repository and tag)."""
        image = f"oci:{self.folder / 'runnable'}:1"
        argv = [need("skopeo"), "copy", "--quiet", "--dest-creds", f"AWS:{self.password}"]
        env = {"PATH": SYSTEM_PATH, "HOME": str(self.folder)}
        self.run([*argv, image, f"docker://{HOST}/{name}"], env, check=True)

    def seed_runnable(self, tags: int) -> None:
        """Push images that run, as HOST/run:1 to as many as ``tags``, and one for sandboxes."""
        image = f"oci:{self.folder / 'runnable'}:1"
        public = []
        if not self._runnable:
            busybox = Path(need("busybox"))  # of busybox-static: there is no library in the image
            files = {"bin/sleep": busybox.read_bytes()}
            write_image(self.folder / "runnable", files, ["/bin/sleep", "100000"])
            public = [f"{PUBLIC}/pause:1", f"{PUBLIC}/run:1"]
        login = ["--dest-creds", f"AWS:{self.password}"]
        # Whoever came first may have wanted fewer.
        lacking = [f"{HOST}/run:{tag}" for tag in range(self._runnable + 1, tags + 1)]
        for name in (*public, *lacking):
            options = [] if name in public else login
            argv = [need("skopeo"), "copy", "--quiet", *options, image, f"docker://{name}"]
            self.run(argv, {"PATH": SYSTEM_PATH, "HOME": str(self.folder)}, check=True)
        self._runnable = max(self._runnable, tags)


class Hub:
    """What the Docker Hub of the namespaces has seen."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ask("/_forget")

    def seen(self) -> list[dict[str, str]]:
        """Return every request since this was made: see hub.py."""
        return list(json.loads(self._ask("/_seen")))

    def shown(self) -> list[str]:
        """Return the hosts that were shown a password, in whatever form."""
        return [
            request["host"]
            for request in self.seen()
            if request["password"] or request["authorization"].startswith("Basic ")
        ]

    def _ask(self, path: str) -> str:
        argv = [need("curl"), "-sS", "--cacert", str(self._stack.bundle)]
        argv.append(f"https://{hub.AUTH}{path}")
        return self._stack.run(argv, {"PATH": SYSTEM_PATH}, check=True).stdout


def write_image(
    folder: Path, files: Mapping[str, bytes] | None = None, command: Sequence[str] = ()
) -> str:
    """Write an image of one layer as an OCI layout; return its name for skopeo.

    ``files`` are executable files by their path; without them there is a small text.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as layer:
        for name, content in (files or {"hello": b"hello\n"}).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755
            layer.addfile(entry, io.BytesIO(content))
    prefix = "application/vnd.oci.image"
    packed = gzip.compress(plain.getvalue(), 1, mtime=0)
    layer_blob = blob(packed, f"{prefix}.layer.v1.tar+gzip")
    diff = f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": [*command]} if command else {},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{prefix}.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), f"{prefix}.config.v1+json"),
        "layers": [layer_blob],
    }
    described = blob(json.dumps(manifest).encode(), f"{prefix}.manifest.v1+json")
    described["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return f"oci:{folder}:1"


class Client:
    """A user in the namespaces: a home, Docker's configuration, AWS credentials, a Docker."""

    def __init__(self, stack: Stack, home: Path, env: dict[str, str], socket: Path | None) -> None:
        self.stack = stack
        self.home = home
        self.socket = socket
        self.env = {
            **env,
            "PATH": f"{EXECUTABLE.parent}:{SYSTEM_PATH}",
            "AWS_CA_BUNDLE": str(stack.bundle),
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY-static",
        }
        if socket is not None:
            self.env["DOCKER_HOST"] = f"unix://{socket}"
        self.docker = need("docker") if socket is not None else ""
        self.configure({"credHelpers": dict.fromkeys(PRIVATE, "ecr")})

    def configure(self, config: dict[str, object]) -> None:
        """Write Docker's configuration, which skopeo, Podman and Buildah read too."""
        folder = self.home / ".docker"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))

    def run(self, *argv: str, stdin: str = "", check: bool = False) -> Run:
        """Run a command as this user."""
        return self.stack.run(list(argv), self.env, stdin, check=check)

    def pull(self, image: str) -> Run:
        """Pull with Docker what is not there yet."""
        self.run(self.docker, "rmi", "--force", image)
        return self.run(self.docker, "pull", image)

    def without_aws(self) -> None:
        """Take the AWS credentials away."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.env.pop(name, None)
