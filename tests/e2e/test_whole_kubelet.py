"""Pods on a whole node: containerd and a kubelet, with the configuration that we ship."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit import CALL, EXECUTABLE, FIPS, HOST, OTHER_ACCOUNT, PUBLIC, make_due
from stack import CHINA, Client, Stack
from whole_node import WholeNode

IN_STACK = HOST, OTHER_ACCOUNT, FIPS, CHINA  # each with an endpoint of its own, or a name
HERD = 20  # pods at once
SOON = 15  # seconds of a life, for a token whose end a test waits for


@pytest.fixture
def node(
    whole_kubelet: tuple[Path, float], stack: Stack, user: Client, tmp_path: Path
) -> Iterator[WholeNode]:
    """A node with nothing on it, whose AWS is the stack's."""
    stack.seed_runnable(HERD)
    with WholeNode(stack, whole_kubelet[0], tmp_path, user.env) as made:
        yield made


def test_pods_of_private_fips_and_public_images_run(
    node: WholeNode,
    stack: Stack,
    whole_kubelet: tuple[Path, float],
    record_property: Callable[[str, object], None],
) -> None:
    """The kubelet starts our executable for each registry, and the pods run: one call for each.

    The FIPS image's token comes from the FIPS endpoint.
    """
    begun = time.monotonic()
    assert node.run_pod("private", f"{HOST}/run:1") == "running"
    record_property("node_first_pod", f"{time.monotonic() - begun:.1f} s")
    record_property("node_build", f"{whole_kubelet[1]:.0f} s (0: it was there)")
    for name, host in (("fips", FIPS), ("public", PUBLIC)):
        assert node.run_pod(name, f"{host}/run:1") == "running"
    assert stack.endpoints() == [
        "api.ecr.us-east-1.amazonaws.com",
        "api.ecr-fips.us-east-1.amazonaws.com",
        "api.ecr-public.us-east-1.amazonaws.com",
    ]
    assert node.lines("docker-credential-ecr: error") == []


def test_a_node_that_reboots_calls_nobody(node: WholeNode, stack: Stack, cache: Path) -> None:
    """A kubelet that starts anew has forgotten its credentials: ours are on the disk.

    Nor does an AWS that is down keep its pods, while the token is valid.
    """
    assert node.run_pod("before", f"{HOST}/run:1") == "running"
    stack.forget()
    node.restart()
    assert node.run_pod("after", f"{HOST}/run:2") == "running"
    assert stack.calls() == []

    make_due(cache)  # past its renewal time, and AWS does not answer
    stack.fault("*", status=503)
    node.restart()
    assert node.run_pod("outage", f"{HOST}/run:3") == "running"


def test_upgrades_under_a_running_kubelet(node: WholeNode, stack: Stack, tmp_path: Path) -> None:
    """While the installer puts one version in the place of another, the kubelet finds a plugin.

    Each image is of another registry, so that the kubelet asks for each; what it has started goes
    on, and a kubelet that starts anew finds what the last run has left.
    """
    versions = []
    for number in range(2):
        versions.append(tmp_path / f"version-{number}")
        shutil.copy(EXECUTABLE, versions[-1])
        with versions[-1].open("a") as file:
            file.write(f"# version {number}\n")
    done = threading.Event()
    runs: list[int] = []

    def upgrade() -> None:
        while not done.is_set():
            node.install("--file", str(versions[len(runs) % 2]))
            runs.append(1)

    upgrading = threading.Thread(target=upgrade)
    upgrading.start()
    try:
        names = [f"pod-{number}" for number, _ in enumerate(IN_STACK)]
        for name, host in zip(names, IN_STACK, strict=True):
            node.add_pod(name, f"{host}/run:1")
            assert node.outcome(name) == ["running"]
    finally:
        done.set()
        upgrading.join()
    assert len(runs) >= 2
    assert node.lines("Failed to provide credentials") == []
    node.install("--file", str(versions[0]))
    node.restart()
    assert node.run_pod("after", f"{HOST}/run:2") == "running"


def test_a_denied_node_reads_why_in_the_kubelets_log(node: WholeNode, stack: Stack) -> None:
    """The pod's own message does not say why; one line of the kubelet's log does, with the image."""
    stack.fault(CALL, status=400, code="AccessDeniedException", message="CANARY")
    state = node.run_pod("denied", f"{HOST}/run:1")
    assert state.startswith("ErrImagePull: ")
    assert "docker-credential-ecr" not in state
    said = node.lines("docker-credential-ecr: error: .*access denied")
    assert said, node.log[-4000:]
    for line in said:
        assert "hint: allow ecr:GetAuthorizationToken" in line
        assert f'image="{HOST}/run"' in line
    assert "CANARY" not in node.log
    # It heals by itself, without a restart.
    stack.forget()
    node.add_pod("again", f"{HOST}/run:2")
    assert node.outcome("again") == ["running"]


@pytest.mark.alone
def test_twenty_pods_at_once_make_one_call(
    node: WholeNode, stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """Twenty pods of twenty images of one registry start together: AWS is asked once."""
    begun = time.monotonic()
    names = [f"pod-{number}" for number in range(1, HERD + 1)]
    for number, name in enumerate(names, 1):
        node.add_pod(name, f"{HOST}/run:{number}")
    assert node.outcome(*names) == ["running"] * HERD
    record_property("node_herd", f"{HERD} pods in {time.monotonic() - begun:.1f} s, 1 call")
    assert len(stack.endpoints()) == 1


def test_a_new_image_after_the_kubelets_own_memory_has_ended(
    node: WholeNode, stack: Stack, user: Client
) -> None:
    """The kubelet keeps an answer as long as we said; the next image is asked for anew."""
    end = time.time() + SOON
    token = stack.token(end)
    stack.fault(CALL, body=json.dumps({"authorizationData": [token]}))
    assert node.run_pod("old", f"{HOST}/run:1") == "running"
    assert node.run_pod("same", f"{HOST}/run:2") == "running"
    assert len(stack.endpoints()) == 1  # the second is the kubelet's own memory
    stack.forget()
    time.sleep(max(end - time.time(), 0) + 1)  # what is waited for is that time itself
    assert node.run_pod("new", f"{HOST}/run:3") == "running"
    assert len(stack.endpoints()) == 1
