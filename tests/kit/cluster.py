"""A cluster of one node: an API server on etcd, the whole node of ``whole_node``, and AWS with roles.

One serves a whole file of tests: names of pods and repositories are never used twice. AWS and the
registry are those of ``role_registry``, which knows whose token it is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import role_registry
from kit import SYSTEM_PATH, need, until
from node import KUBERNETES
from stack import OF_ROLES, Stack
from whole_node import NODE, WholeNode, build_kubernetes, state_of

TEAM = "team"  # the namespace of the tests' pods
_ADDRESS = "127.0.0.6"  # of the API server and etcd
_NODE_ADDRESS = "192.0.2.10"  # a kubelet that joins takes none of loopback's (RFC 5737)
_ADMIN, _KUBELET = "token-of-admin", "token-of-kubelet"  # of the token file: nobody else gets in
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Cluster:
    """The cluster: ``node`` is its node, with the shipped configuration for service accounts."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self._url = f"https://{_ADDRESS}:6443"
        self._aws = f"http://{role_registry.ADDRESS}:{role_registry.AWS_PORT}"
        home = folder / "home"
        home.mkdir()
        env = {
            "PATH": SYSTEM_PATH,
            "HOME": str(home),
            "AWS_ENDPOINT_URL": self._aws,
            "AWS_ACCESS_KEY_ID": role_registry.NODE_KEY,
            "AWS_SECRET_ACCESS_KEY": "SECRET-CANARY-node",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.cache = home / ".cache"
        (folder / "node").mkdir()
        self.node = WholeNode(stack, build_kubernetes()[0], folder / "node", env)
        (self.node.plugins / "ecr-credential-provider-sa").symlink_to(
            self.node.plugins / "ecr-credential-provider"
        )
        self._home = home

    def __enter__(self) -> Self:
        self.stack.seed_runnable(1)
        self._inside("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node1")
        for link in ("node0", "node1"):
            self._inside("ip", "link", "set", link, "up")
        self._inside("ip", "addr", "add", f"{_NODE_ADDRESS}/24", "dev", "node0")
        self._inside("ip", "route", "add", "default", "dev", "node0")
        files = [str(self.stack.folder / name) for name in ("server.crt", "server.key")]
        images = self.folder / "images"
        images.mkdir()
        argv = [sys.executable, role_registry.__file__, *files, str(images), need("busybox")]
        self.stack.spawn("role-registry", argv)
        self._start_etcd()
        self._start_api_server()
        self.create("/api/v1/namespaces", {"metadata": {"name": TEAM}})
        self.service_account("default")
        self.node.more = ["--kubeconfig", str(self._kubeconfig()), "--node-ip", _NODE_ADDRESS]
        self.configure("credential-provider-config-service-accounts.yaml")
        self.node.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.node.__exit__()
        for name in ("apiserver", "etcd", "role-registry"):
            self.stack.end(name)
        self._inside("ip", "link", "delete", "node0")

    def _start_etcd(self) -> None:
        argv = [need("etcd"), "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync"]
        argv.append(f"--initial-cluster=default=http://{_ADDRESS}:2380")
        for name, said, port in (
            ("client", "advertise-client", 2379),
            ("peer", "initial-advertise-peer", 2380),
        ):
            url = f"http://{_ADDRESS}:{port}"
            argv += [f"--listen-{name}-urls={url}", f"--{said}-urls={url}"]
        self.stack.spawn("etcd", argv)

    def _start_api_server(self) -> None:
        key = self.folder / "accounts.key"
        made = [need("openssl"), "genrsa", "-out", str(key), "2048"]
        subprocess.run(made, check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        tokens.write_text(
            f'{_ADMIN},admin,1,"system:masters"\n{_KUBELET},system:node:{NODE},2,"system:nodes"\n'
        )
        argv = [
            str(build_kubernetes("kube-apiserver")[0]),
            f"--etcd-servers=http://{_ADDRESS}:2379",
            f"--bind-address={_ADDRESS}",
            "--secure-port=6443",
            f"--advertise-address={_NODE_ADDRESS}",  # loopback's is refused
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://oidc.example.com",
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
        ]
        self.stack.spawn("apiserver", argv)
        until(self._is_ready, "the API server does not answer")

    def configure(self, shipped: str, *edits: tuple[str, str]) -> None:
        """Give the kubelet a configuration that we ship, changed so: it reads it at its start."""
        text = (KUBERNETES / shipped).read_text()
        for before, after in (("value: /root", f"value: {self._home}"), *edits):
            assert before in text
            text = text.replace(before, after)
        self.node.config.write_text(text)

    # AWS, and what the registry has seen.

    def calls(self, operation: str) -> list[dict[str, str]]:
        """Return the requests for an operation since ``forget``."""
        calls = json.loads(self._curl(f"{self._aws}/_calls"))
        return [call for call in calls if call["operation"] == operation]

    def forget(self) -> None:
        """Forget the requests and the faults."""
        self._curl(f"{self._aws}/_fault", "--data", "{}")

    def fault(self, operation: str, **how: object) -> None:
        """Let an operation go wrong: see fake_aws.Fault."""
        self._curl(f"{self._aws}/_fault", "--data", json.dumps({"operation": operation, **how}))

    def pulled_by(self, repository: str) -> list[str]:
        """Return whose tokens pulled a repository: a role's name, or ``node``."""
        url = f"https://{OF_ROLES}/_pulls"
        pulls = json.loads(self._curl(url, "--cacert", str(self.stack.bundle)))
        return [who for name, who in pulls if name == repository]

    # The API.

    def ask(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        """Return what the API server answers the administrator."""
        argv = [need("curl"), "-sS", "--cacert", str(self.folder / "apiserver.crt")]
        argv += ["-X", method, "-H", f"Authorization: Bearer {_ADMIN}"]
        text = body if isinstance(body, str) else json.dumps(body)
        if body is not None:
            argv += ["-H", f"Content-Type: {kind}", "--data-binary", "@-"]
        run = self.stack.run([*argv, self._url + path], {"PATH": SYSTEM_PATH}, text)
        return dict(json.loads(run.stdout)) if run.status == 0 else {}

    def create(self, path: str, body: object, kind: str = "application/json") -> dict[str, Any]:
        """Create an object, which must succeed."""
        made = self.ask("POST", path, body, kind)
        assert made.get("kind") != "Status", made
        return made

    def service_account(self, name: str, role: str | None = None) -> None:
        """Create a service account, with the annotation of its role."""
        annotations = {} if role is None else {"eks.amazonaws.com/ecr-role-arn": role}
        account = {"metadata": {"name": name, "annotations": annotations}}
        self.create(f"/api/v1/namespaces/{TEAM}/serviceaccounts", account)

    def annotate(self, name: str, role: str) -> None:
        """Change the role of a service account."""
        change = {"metadata": {"annotations": {"eks.amazonaws.com/ecr-role-arn": role}}}
        path = f"/api/v1/namespaces/{TEAM}/serviceaccounts/{name}"
        made = self.ask("PATCH", path, change, "application/merge-patch+json")
        assert made.get("kind") == "ServiceAccount", made

    def apply_rbac(self) -> None:
        """Create what the shipped rbac.yaml has, where it is not there."""
        for kind, name, text in _rbac():
            if self.ask("GET", f"{_RBAC}/{kind}/{name}").get("kind") == "Status":
                self.create(f"{_RBAC}/{kind}", text, "application/yaml")

    def take_rbac_away(self) -> None:
        """Delete what the shipped rbac.yaml has."""
        for kind, name, _ in _rbac():
            self.ask("DELETE", f"{_RBAC}/{kind}/{name}")

    def may(self, user: str, group: str, verb: str, resource: str) -> bool:
        """Whether a user may do so: what ``kubectl auth can-i --as`` asks."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": [group],
                "resourceAttributes": {"verb": verb, "resource": resource},
            },
        }
        made = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(made["status"]["allowed"])

    def add_pod(self, name: str, image: str, account: str = "default", **container: str) -> None:
        """Let a pod of one container be there, on the node."""
        spec = {
            "nodeName": NODE,
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": False,
            "containers": [
                {"name": "c", "image": image, "imagePullPolicy": "IfNotPresent", **container}
            ],
        }
        pod = {"metadata": {"name": name}, "spec": spec}
        self.create(f"/api/v1/namespaces/{TEAM}/pods", pod)

    def outcome(self, *names: str) -> list[str]:
        """Wait for pods; return for each ``running`` or why it does not run."""
        found: dict[str, str] = {}

        def all_known() -> bool:
            for pod in self.ask("GET", f"/api/v1/namespaces/{TEAM}/pods").get("items", []):
                state = state_of(pod)
                if state:
                    found.setdefault(pod["metadata"]["name"], state)
            return set(names) <= set(found)

        until(all_known, f"what these pods do: {names}")
        return [found[name] for name in names]

    def run_pod(self, name: str, image: str, account: str = "default", **container: str) -> str:
        """Add a pod; return ``running`` or the first reason why it does not run."""
        self.add_pod(name, image, account, **container)
        (state,) = self.outcome(name)
        return state

    def comes_to_run(self, name: str) -> None:
        """Wait until a pod runs, whatever it said before."""
        path = f"/api/v1/namespaces/{TEAM}/pods/{name}"
        until(lambda: state_of(self.ask("GET", path)) == "running", f"{name} does not run")

    def _kubeconfig(self) -> Path:
        """Write what the node's kubelet joins with."""
        path = self.folder / "kubeconfig"
        authority = str(self.folder / "apiserver.crt")
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [
                        {
                            "name": "c",
                            "cluster": {"server": self._url, "certificate-authority": authority},
                        }
                    ],
                    "users": [{"name": "u", "user": {"token": _KUBELET}}],
                }
            )
        )
        return path

    def _curl(self, url: str, *more: str) -> str:
        argv = [need("curl"), "-sS", *more, url]
        return self.stack.run(argv, {"PATH": SYSTEM_PATH}, check=True).stdout

    def _inside(self, *argv: str) -> None:
        self.stack.run(list(argv), {"PATH": SYSTEM_PATH}, check=True)

    def _is_ready(self) -> bool:
        role = self.ask("GET", f"{_RBAC}/clusterroles/system:node")
        space = self.ask("GET", "/api/v1/namespaces/kube-system")
        return (role.get("kind"), space.get("kind")) == ("ClusterRole", "Namespace")


def _rbac() -> list[tuple[str, str, str]]:
    """Return the objects of rbac.yaml: the plural of its kind, its name, and its text."""
    found = []
    for text in (KUBERNETES / "rbac.yaml").read_text().split("\n---\n"):
        lines = text.splitlines()
        kind = next(line[6:] for line in lines if line.startswith("kind: "))
        name = next(line[8:] for line in lines if line.startswith("  name: "))
        found.append((f"{kind.lower()}s", name, text))
    return found
