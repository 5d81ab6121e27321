"""containerd pulls with what the kubelet's code got from the installed executable."""

from __future__ import annotations

import time
from pathlib import Path

from kit import FIPS, HOST, PUBLIC, SYSTEM_PATH, need
from node import Node
from stack import (
    DUAL_STACK,
    START_LIMIT,
    Client,
)


def test_containerd_pulls_with_the_answer(user: Client, kubelet: Path, tmp_path: Path) -> None:
    """A private, a FIPS and a dual-stack image are pulled by containerd, each with its own token.

    Nothing overrides an endpoint here: the FIPS image's token comes from the FIPS endpoint.
    """
    ctr, containerd = need("ctr"), need("containerd")
    node = Node(
        kubelet, tmp_path, user.env, "credential-provider-config.yaml", user.stack.inside([])
    )
    hosts = [HOST, FIPS, DUAL_STACK, PUBLIC, "registry.k8s.io"]
    pod = {"namespace": "team", "pod": "web-1", "serviceAccount": "web"}
    answers = node.pull(*({"image": f"{host}/app", **pod} for host in hosts))
    assert [answer["found"] for answer in answers] == [True, True, True, True, False], node.log
    assert user.stack.endpoints() == [
        "api.ecr.us-east-1.amazonaws.com",
        "api.ecr-fips.us-east-1.amazonaws.com",
        "ecr.us-west-2.api.aws",
        "api.ecr-public.us-east-1.amazonaws.com",
    ]
    socket = "/run/containerd-test.sock"
    state = "/run/containerd-test"
    config = tmp_path / "containerd.toml"
    config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    argv = [containerd, "--config", str(config), "--address", socket]
    user.stack.spawn("containerd", [*argv, "--root", f"{state}/root", "--state", f"{state}/state"])
    client = [ctr, "--address", socket]
    until = time.monotonic() + START_LIMIT
    while user.stack.run([*client, "version"], {"PATH": SYSTEM_PATH}).status != 0:
        assert time.monotonic() < until, user.stack.log("containerd")
        time.sleep(0.05)
    for answer, host in zip(answers[:3], hosts, strict=False):
        (credential,) = answer["auth"]
        login = f"{credential['username']}:{credential['password']}"
        pull = [*client, "images", "pull", "--snapshotter", "native", "--user"]
        refused = user.stack.run([*pull, "AWS:wrong", f"{host}/app:1"], {"PATH": SYSTEM_PATH})
        assert refused.status != 0
        pulled = user.stack.run([*pull, login, f"{host}/app:1"], {"PATH": SYSTEM_PATH})
        assert pulled.status == 0, pulled
