"""Pods with roles of their own: an API server, a kubelet that joins it, and a registry that knows roles.

One cluster serves all of these: what a test leaves has names of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import TEAM, Cluster
from kit import ACCOUNT, CALL, EXECUTABLE, SYSTEM_PATH
from stack import OF_ROLES, Stack

BOTH = "credential-provider-config-service-accounts.yaml"  # pods' roles, then the node
ONLY = "credential-provider-config-service-accounts-only.yaml"
NODE = "credential-provider-config.yaml"
ROLE_CALL = "AssumeRoleWithWebIdentity"
HERD = 10  # pods at once


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def image(repository: str) -> str:
    """Return an image that ``for/WHO/NAME`` names: for a role, the node, or all."""
    return f"{OF_ROLES}/{repository}:1"


@pytest.fixture(scope="module")
def whole_cluster(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(stack, tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Callable[..., Cluster]:
    """The cluster after a restart of its kubelet, with a configuration and with the RBAC, or without."""

    def of(shipped: str, *edits: tuple[str, str], rbac: bool = True) -> Cluster:
        whole_cluster.apply_rbac() if rbac else whole_cluster.take_rbac_away()
        whole_cluster.forget()
        shutil.rmtree(whole_cluster.cache, ignore_errors=True)
        whole_cluster.configure(shipped, *edits)
        whole_cluster.node.restart()
        return whole_cluster

    return of


def test_two_roles_never_share(cluster: Callable[..., Cluster]) -> None:
    """Each pod is pulled with its own role, or not at all: also where the other's image is on the node.

    The role session is named after the service account, and nothing touches the disk.
    """
    c = cluster(ONLY)
    for name in ("a", "b"):
        c.service_account(name, role(name))
        assert c.run_pod(f"own-{name}", image(f"for/{name}/app"), name) == "running"
        assert c.pulled_by(f"for/{name}/app") == [name]
    bodies = [call["body"] for call in c.calls(ROLE_CALL)]
    assert len(bodies) == 2
    for name, body in zip("ab", bodies, strict=True):
        assert f"RoleSessionName={TEAM}%2B{name}" in body
        assert f"role%2F{name}" in body
    assert c.run_pod("theirs", image("for/a/app"), "b").startswith("ErrImagePull: ")
    assert c.pulled_by("for/a/app") == ["a"]
    assert not [path for path in c.cache.rglob("*") if path.is_file()]


def test_which_rbac_kubelets_need(cluster: Callable[..., Cluster]) -> None:
    """Without rbac.yaml no token is had: the pull fails, the log says why, and it heals with the RBAC.

    What doctor --kubelet has people ask (kubectl auth can-i) tells the two apart.
    """
    c = cluster(ONLY, rbac=False)
    asked = ("system:node:node-1", "system:nodes", "request-serviceaccounts-token-audience")
    c.service_account("r", role("r"))
    assert not c.may(*asked, "sts.amazonaws.com")
    assert c.run_pod("refused", image("for/r/app"), "r").startswith("ErrImagePull: ")
    assert c.node.lines("not authorized to request tokens for audience .*sts.amazonaws.com")
    assert c.calls(ROLE_CALL) == []
    c.apply_rbac()
    assert c.may(*asked, "sts.amazonaws.com")
    c.comes_to_run("refused")
    assert c.pulled_by("for/r/app") == ["r"]


def test_what_the_node_pulls_in_silence(cluster: Callable[..., Cluster]) -> None:
    """With both providers a pod without the RBAC, or whose annotation is no ARN, is the node's.

    Nor is a role that was changed asked for an image that is on the node: the kubelet's record of
    who may have it is the service account's.
    """
    c = cluster(BOTH, rbac=False)
    c.service_account("n", role("n"))
    assert c.run_pod("without-rbac", image("for/all/n1"), "n") == "running"
    assert c.pulled_by("for/all/n1") == ["node"]
    c.apply_rbac()
    c.annotate("n", "nonsense")
    assert c.run_pod("no-arn", image("for/all/n2"), "n") == "running"
    assert c.pulled_by("for/all/n2") == ["node"]
    assert c.node.lines("docker-credential-ecr: error: the annotation .* is not the ARN of a role")
    c.annotate("n", role("n"))
    assert c.run_pod("own", image("for/all/n3"), "n") == "running"
    assert c.pulled_by("for/all/n3") == ["n"]
    c.annotate("n", role("other"))
    assert c.run_pod("changed", image("for/all/n3"), "n") == "running"
    assert c.pulled_by("for/all/n3") == ["n"]


def test_aws_is_down_and_the_image_is_on_the_node(cluster: Callable[..., Cluster]) -> None:
    """The answer that the kubelet keeps starts pods; after its restart they fail, until AWS is back."""
    c = cluster(ONLY)
    c.service_account("o", role("o"))
    assert c.run_pod("before", image("for/o/app"), "o") == "running"
    calls = len(c.calls(ROLE_CALL))
    c.fault("*", status=503)
    assert c.run_pod("during", image("for/o/app"), "o") == "running"
    assert len(c.calls(ROLE_CALL)) == calls
    c.node.restart()
    assert c.run_pod("restarted", image("for/o/app"), "o").startswith("ErrImagePull: ")
    c.forget()
    c.comes_to_run("restarted")


def test_ten_pods_at_once(
    cluster: Callable[..., Cluster], record_property: Callable[[str, object], None]
) -> None:
    """Ten pods of one service account are ten tokens of Kubernetes', and ten calls; of the node, one."""
    c = cluster(ONLY)
    c.service_account("h", role("h"))
    begun = time.monotonic()
    names = [f"herd-{number}" for number in range(HERD)]
    for name in names:
        c.add_pod(name, image(f"for/h/{name}"), "h")
    assert c.outcome(*names) == ["running"] * HERD
    roles = [call for call in c.calls(ROLE_CALL) if "role%2Fh&" in f"{call['body']}&"]
    tokens = [call for call in c.calls(CALL) if call["access_key"].endswith("h")]
    said = f"{HERD} pods in {time.monotonic() - begun:.1f} s, {len(roles)} + {len(tokens)} calls"
    record_property("cluster_herd", said)
    assert len(roles) == len(tokens) <= HERD
    assert tokens
    assert {c.pulled_by(f"for/h/{name}")[0] for name in names} == {"h"}

    c = cluster(NODE)
    names = [f"node-{number}" for number in range(HERD)]
    for name in names:
        c.add_pod(name, image(f"for/node/{name}"))
    assert c.outcome(*names) == ["running"] * HERD
    assert len(c.calls(CALL)) == 1


def test_an_aws_that_hangs_costs_the_limit_of_each_provider(
    cluster: Callable[..., Cluster],
) -> None:
    """The kubelet asks one after the other: each has half of the time, AWS_ECR_TIMEOUT in its env."""
    limit = 3  # seconds, in place of those that are shipped
    c = cluster(BOTH, ('"12"', f'"{limit}"'))
    c.service_account("w", role("w"))
    c.fault("*", hang=True)
    begun = time.monotonic()
    assert c.run_pod("hangs", image("for/w/app"), "w").startswith("ErrImagePull: ")
    assert time.monotonic() - begun >= 2 * limit
    said = c.node.lines(f"docker-credential-ecr: error: no answer .* within {limit} s.*for/w/app")
    assert len(said) == 2
    c.forget()


def test_a_directory_of_configurations(cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    """The kubelet merges the files of a directory; equal names, or no file, stop it."""
    c = cluster(NODE)
    node, file = c.node, c.node.config
    text = file.read_text()
    node.config = tmp_path / "providers.d"
    node.config.mkdir()
    node.stop()
    try:
        assert "no configuration files found" in node.refuses_to_start()
        (node.config / "10-ours.yaml").write_text(text)
        (node.config / "20-more.yaml").write_text(text)
        assert "duplicate provider name" in node.refuses_to_start()
        other = text.replace(
            "- name: ecr-credential-provider", "- name: ecr-credential-provider-sa"
        )
        (node.config / "20-more.yaml").write_text(other)
        (node.config / "notes.txt").write_text("{")
        node.start()
        assert c.run_pod("dropped-in", image("for/node/dropped-in")) == "running"
    finally:
        node.config = file


def test_doctor_sees_the_kubelet_that_runs(cluster: Callable[..., Cluster]) -> None:
    """Its flags, its files, its environment: on a node that pulls, nothing is an error."""
    c = cluster(BOTH)
    env = {"PATH": SYSTEM_PATH, "HOME": "/nonexistent"}
    run = c.stack.run([str(EXECUTABLE), "doctor", "--kubelet", OF_ROLES], env)
    assert f'configuration "{c.node.config}", plugins in "{c.node.plugins}"' in run.stdout
    assert "warning  service accounts: a pod whose role cannot be had" in run.stdout
    assert "ok       token: " in run.stdout
    assert "error" not in run.stdout
    assert run.status == 0
