"""A whole node: containerd and a kubelet in the namespaces of the stack, without an API server.

The kubelet is built from the module that the driver is built from. What it is told beyond the
defaults is what a small machine needs: no cgroups of its own, pods on the host's network.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from kit import EXECUTABLE, SYSTEM_PATH, TESTS, need, until
from node import KUBERNETES, build_kept
from stack import Stack

PAUSE = "public.ecr.aws/pause:1"  # the sandbox's image, which containerd pulls by itself
NODE = "node-1"
POD_LIMIT = 60  # seconds until a pod must run or say why not
_SYSTEM = "/var/lib/kubelet", "/var/log/pods", "/var/log/containers"  # paths without a setting


def build_kubernetes(name: str = "kubelet") -> tuple[Path, float]:
    """Return a command of Kubernetes', and the seconds that building took: see ``build_kept``."""
    return build_kept(TESTS / "kubelet", f"k8s.io/kubernetes/cmd/{name}")


class WholeNode:
    """A node with the shipped configuration; ``run_pod`` is what users do with it."""

    def __init__(self, stack: Stack, kubelet: Path, folder: Path, env: Mapping[str, str]) -> None:
        self.stack = stack
        self.folder = folder
        self.manifests = folder / "manifests"
        self.plugins = folder / "plugins"
        self.hosts_dir = folder / "certs.d"  # containerd's: a hosts.toml for each registry
        for made in (self.manifests, self.plugins):
            made.mkdir()
        (self.plugins / "ecr-credential-provider").symlink_to(EXECUTABLE)
        shipped = (KUBERNETES / "credential-provider-config.yaml").read_text()
        self.config = folder / "config.yaml"
        self.config.write_text(shipped.replace("value: /root", f"value: {env['HOME']}"))
        # systemd starts a kubelet without HOME: the configuration says it.
        self.env = {name: value for name, value in env.items() if name != "HOME"}
        self.home = env["HOME"]
        self._kubelet = kubelet
        self._socket = folder / "containerd.sock"
        self._logs = 0
        self.more: list[str] = []  # of the kubelet's flags

    def __enter__(self) -> Self:
        for path in _SYSTEM:
            self._inside("mkdir", "-p", path)
            self._inside("mount", "-t", "tmpfs", "tmpfs", path)
        need("runc")
        containerd = {
            "version": 2,
            "root": str(self.folder / "root"),
            "state": str(self.folder / "state"),
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in containerd.items()]
        lines += [
            f'[grpc]\naddress = "{self._socket}"',
            f'[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "{PAUSE}"',
            "restrict_oom_score_adj = true",
            '[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"',
            f'[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{self.hosts_dir}"',
            f'[plugins."io.containerd.grpc.v1.cri".cni]\nconf_dir = "{self.folder}/cni"',
        ]
        (self.folder / "containerd.toml").write_text("\n".join(lines) + "\n")
        argv = [need("containerd"), "--config", str(self.folder / "containerd.toml")]
        self.stack.spawn("node-containerd", argv)
        version = [*self._ctr(), "version"]
        until(lambda: self.stack.run(version, {"PATH": SYSTEM_PATH}).status == 0)
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "staticPodPath": str(self.manifests),
            "podLogsDir": str(self.folder / "pod-logs"),
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "address": "127.0.0.1",
            "readOnlyPort": 10255,
            "serializeImagePulls": False,
            "registryPullQPS": 0,  # by default 5 a second, and the rest wait for the next round
            # A small machine: no cgroups of its own, whatever swap and disk there are.
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "1Mi"},
        }
        (self.folder / "kubelet.json").write_text(json.dumps(settings))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        tasks = self.folder / "state" / "io.containerd.runtime.v2.task" / "k8s.io"
        containers = [path.name for path in tasks.glob("*")]
        if containers:  # at once: each call of ctr's takes a second where much else is done
            delete = [*self._ctr(), "-n", "k8s.io", "tasks", "delete", "--force", *containers]
            self.stack.run(delete, {"PATH": SYSTEM_PATH})
        self.stack.end("node-containerd")
        for container in containers:
            for cgroup in Path("/sys/fs/cgroup").glob(f"*/k8s.io/{container}"):
                with contextlib.suppress(OSError):
                    cgroup.rmdir()
        for path in _SYSTEM:
            self._inside("umount", "-l", path)

    def start(self) -> None:
        """Start the kubelet, and wait until it answers."""
        self._spawn()
        until(lambda: self._get("/healthz", "10248") == "ok", "the kubelet does not answer")

    def _spawn(self) -> None:
        self._logs += 1
        argv = [str(self._kubelet), "--config", str(self.folder / "kubelet.json"), "--v=2"]
        argv += ["--root-dir", str(self.folder / "kubelet"), "--hostname-override", NODE]
        argv += self.more
        argv += ["--image-credential-provider-bin-dir", str(self.plugins)]
        argv += ["--image-credential-provider-config", str(self.config)]
        self.stack.spawn(f"kubelet-{self._logs}", argv, self.env)

    def install(self, *options: str) -> None:
        """Run the installer over this node's files, for the home that its AWS credentials are in."""
        packaging = self.folder / "packaging"
        if not packaging.exists():
            packaging.mkdir()
            for path in filter(Path.is_file, KUBERNETES.iterdir()):
                text = path.read_text().replace("value: /root", f"value: {self.home}")
                (packaging / path.name).write_text(text)
        argv = ["sh", str(packaging / "install-node.sh"), "--replace", *options]
        argv += ["--bin-dir", str(self.plugins), "--config", str(self.config)]
        argv += ["--prefix", str(self.folder / "opt"), "--hosts-dir", str(self.hosts_dir)]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, env={"PATH": SYSTEM_PATH}
        )
        assert (done.returncode, done.stderr) == (0, ""), done

    def refuses_to_start(self) -> str:
        """Start a kubelet that ends by itself; return what it said."""
        self._spawn()
        name = f"kubelet-{self._logs}"
        until(lambda: self.stack.has_ended(name), "the kubelet runs on")
        self.stack.end(name)
        return self.log

    def stop(self) -> None:
        """Stop the kubelet; pods run on."""
        self.stack.end(f"kubelet-{self._logs}")

    def restart(self) -> None:
        """What a reboot is for us: the kubelet has forgotten everything, the disk has not."""
        self.stop()
        self.start()

    @property
    def log(self) -> str:
        """What the kubelet has said since its start."""
        return (self.stack.folder / f"kubelet-{self._logs}.log").read_text(errors="replace")

    def add_pod(self, name: str, image: str) -> None:
        """Let a static pod of one container be there."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "hostNetwork": True,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "image": image, "imagePullPolicy": "IfNotPresent"}],
            },
        }
        temporary = self.folder / f"{name}.json"
        temporary.write_text(json.dumps(pod))
        temporary.replace(self.manifests / f"{name}.json")

    def outcome(self, *names: str) -> list[str]:
        """Wait for pods; return for each ``running`` or why it does not run."""
        found: dict[str, str] = {}

        def all_known() -> bool:
            for pod in json.loads(self._get("/pods", "10255") or '{"items": []}')["items"] or []:
                name = pod["metadata"]["name"].removesuffix(f"-{NODE}")
                state = state_of(pod)
                if state:
                    found.setdefault(name, state)
            return set(names) <= set(found)

        until(all_known, f"what these pods do: {names}")
        return [found[name] for name in names]

    def run_pod(self, name: str, image: str) -> str:
        """Add a pod; return ``running`` or the first reason why it does not run."""
        self.add_pod(name, image)
        (state,) = self.outcome(name)
        return state

    def lines(self, pattern: str) -> list[str]:
        """Return the lines of the kubelet's log in which ``pattern`` is found."""
        return [line for line in self.log.splitlines() if re.search(pattern, line)]

    def _get(self, path: str, port: str) -> str:
        argv = [need("curl"), "-sS", f"http://127.0.0.1:{port}{path}"]
        return self.stack.run(argv, {"PATH": SYSTEM_PATH}).stdout

    def _ctr(self) -> list[str]:
        return [need("ctr"), "--address", str(self._socket)]

    def _inside(self, *argv: str) -> None:
        self.stack.run(list(argv), {"PATH": SYSTEM_PATH}, check=True)


def state_of(pod: Mapping[str, Any]) -> str:
    """Return ``running``, why a pod does not run, or nothing while that is not known."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        if "running" in container["state"]:
            return "running"
        waiting = container["state"].get("waiting", {})
        if "message" in waiting:
            return f"{waiting['reason']}: {waiting['message']}"
    return ""
