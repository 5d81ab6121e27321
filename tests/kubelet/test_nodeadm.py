"""EKS's nodeadm: what it configures a kubelet with, asked of its own source, and what that leads to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FakeAWS
from kit import EXECUTABLE, HOST, SYSTEM_PATH, TESTS, Run, in_namespaces, write
from node import (
    KUBERNETES,
    Node,
    build_go,
    find_go,
    is_matched,
    keep,
    registry_hosts,
)

from docker_credential_ecr import registry

MODULE = TESTS / "kubelet" / "nodeadm"
NODEADM = "github.com/awslabs/amazon-eks-ami/nodeadm"
FOLDER = "/etc/eks/image-credential-provider"
CONFIG = f"{FOLDER}/config.json"
VARIABLE = "ECR_CREDENTIAL_PROVIDER_BIN_PATH"
BIN_DIR_FLAG = "--image-credential-provider-bin-dir"
CONFIG_FLAG = "--image-credential-provider-config"


@pytest.fixture(scope="session")
def nodeadm() -> Path:
    """The part of nodeadm about credential providers: kept for each state of what is in MODULE."""
    sources = sorted(path for path in MODULE.rglob("*") if path.is_file())
    return keep("nodeadm", sources, build)[0]


def build(made: Path) -> None:
    """Build nodeadm's source, which Go checks by its hash, with our two files added to it."""
    done = subprocess.run(
        [find_go(), "mod", "download", "-json", NODEADM],
        cwd=MODULE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    with tempfile.TemporaryDirectory(prefix="nodeadm-") as folder:
        source = Path(folder) / "nodeadm"
        shutil.copytree(json.loads(done.stdout)["Dir"], source)
        for path in (source, *source.rglob("*")):  # modules are read-only
            path.chmod(path.stat().st_mode | 0o200)
        for part in ("cmd", "internal"):
            shutil.copytree(MODULE / part, source / part, dirs_exist_ok=True)
        # All of EC2's client is in it: without optimization that takes half of the time.
        build_go(
            "./cmd/credential-provider", made.parent, made.name, source, ["-gcflags=all=-N -l"]
        )


class Machine:
    """A machine with an /etc of its own, in which nodeadm can be run."""

    def __init__(self, nodeadm: Path, folder: Path, env: dict[str, str]) -> None:
        self._nodeadm = nodeadm
        self.etc = folder / "etc"
        # The kubelet has no HOME, and nodeadm's configuration gives it none: this is asked then.
        write(self.etc / "passwd", f"root:x:0:0:root:{env['HOME']}:/bin/sh\n")
        libraries = Path("/etc/ld.so.cache")
        if libraries.exists():
            shutil.copy(libraries, self.etc)
        self.inside = in_namespaces("--mount", script=f"mount --bind '{self.etc}' /etc")
        self._bin = folder / "bin"
        says = '#!/bin/sh\n[ "$*" = --version ] && echo Kubernetes v1.37.2\n'
        write(self._bin / "kubelet", says, 0o755)

    def boot(self, *flags: str, **env: str) -> Run:
        """Run nodeadm, with the flags of a NodeConfig."""
        done = subprocess.run(
            [*self.inside, self._nodeadm, *flags],
            env={"PATH": f"{self._bin}:{SYSTEM_PATH}", **env},
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def flags(self, *flags: str, **env: str) -> list[str]:
        """Return the kubelet's flags after a boot."""
        run = self.boot(*flags, **env)
        assert run.status == 0, run
        return list(json.loads(run.stdout))

    def written(self) -> dict[str, Any]:
        """Return the configuration that nodeadm wrote."""
        return dict(json.loads((self.etc / CONFIG.removeprefix("/etc/")).read_text()))


@pytest.fixture
def machine(nodeadm: Path, tmp_path: Path, env: dict[str, str]) -> Machine:
    return Machine(nodeadm, tmp_path, env)


@pytest.fixture
def node(kubelet: Path, machine: Machine, tmp_path: Path, env: dict[str, str]) -> Node:
    """The kubelet's own plugin code on that machine; a directory of ours has our executable."""
    return Node(kubelet, tmp_path, env, "credential-provider-config.yaml", machine.inside)


def pulls(node: Node, aws: FakeAWS, flags: list[str]) -> None:
    """A kubelet with these flags has a right password for a regional registry."""
    named = dict(flag.split("=", 1) for flag in flags)  # the last of two equal ones counts
    node.bin_dir, node.config = Path(named[BIN_DIR_FLAG]), Path(named[CONFIG_FLAG])
    (answer,) = node.pull({"image": f"{HOST}/app", "namespace": "team", "pod": "web-1"})
    assert answer["found"], node.log
    (credential,) = answer["auth"]
    assert credential["username"] == "AWS"
    assert aws.issued[credential["password"]] == ("AKIATEST", "us-east-1")


def test_the_variable_names_us(machine: Machine, node: Node, aws: FakeAWS, cache: Path) -> None:
    """With the variable alone nodeadm's flags and configuration lead the kubelet to us.

    The token is kept in the home that the user database names, as there is no HOME.
    """
    ours = str(node.bin_dir)
    flags = machine.flags(**{VARIABLE: f"{ours}/ecr-credential-provider"})
    assert sorted(flags) == [f"{BIN_DIR_FLAG}={ours}", f"{CONFIG_FLAG}={CONFIG}"]
    pulls(node, aws, flags)
    assert (cache / HOST).is_dir()


def test_the_name_in_the_variable_is_the_providers(machine: Machine, node: Node) -> None:
    """The provider is named as the file is, whatever that is."""
    (node.bin_dir / "other").symlink_to(EXECUTABLE)
    machine.flags(**{VARIABLE: f"{node.bin_dir}/other"})
    (provider,) = machine.written()["providers"]
    assert provider["name"] == "other"


def test_in_the_place_of_awss_plugin(machine: Machine, node: Node, aws: FakeAWS) -> None:
    """Where our executable lies in the place of AWS's, every boot leaves it, and it is asked."""
    plugin = machine.etc / "eks" / "image-credential-provider" / "ecr-credential-provider"
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(EXECUTABLE)
    machine.flags()
    flags = machine.flags()
    assert plugin.readlink() == EXECUTABLE
    assert sorted(flags) == [f"{BIN_DIR_FLAG}={FOLDER}", f"{CONFIG_FLAG}={CONFIG}"]
    pulls(node, aws, flags)


def test_flags_of_the_node_config(machine: Machine, node: Node, aws: FakeAWS) -> None:
    """The flags of a NodeConfig come after nodeadm's own: the kubelet has our configuration."""
    theirs = str(node.bin_dir / "ecr-credential-provider-sa")
    ours = [f"{BIN_DIR_FLAG}={node.bin_dir}", f"{CONFIG_FLAG}={node.config}"]
    flags = machine.flags(*ours, **{VARIABLE: theirs})
    assert len(flags) == 4
    assert flags[2:] == ours
    pulls(node, aws, flags)


@pytest.mark.parametrize("named", [True, False])
def test_no_such_file(machine: Machine, tmp_path: Path, named: bool) -> None:
    """Without the executable nodeadm stops, names the path, and writes nothing."""
    path = str(tmp_path / "nothing") if named else f"{FOLDER}/ecr-credential-provider"
    run = machine.boot(**({VARIABLE: path} if named else {}))
    assert run.status == 1
    assert f"image credential provider binary was not found on path {path}." in run.stderr
    assert not (machine.etc / "eks").exists()


def test_what_its_configuration_does_not_cover(machine: Machine, node: Node) -> None:
    """The kubelet asks for IPv4 names in four domains, and FIPS ones in amazonaws.com; no more.

    No mirror, as each pattern is some registry's; no ``env`` and no service accounts.
    """
    machine.flags(**{VARIABLE: f"{node.bin_dir}/ecr-credential-provider"})
    (provider,) = machine.written()["providers"]
    patterns = provider.pop("matchImages")
    assert provider == {
        "name": "ecr-credential-provider",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "defaultCacheDuration": "12h",
    }
    hosts = registry_hosts()
    for pattern in patterns:
        assert any(is_matched(host, pattern) for host in hosts), pattern
    asked = {host for host in hosts if any(is_matched(host, pattern) for pattern in patterns)}
    forms = {form(host) for host in asked}
    assert forms == {
        "dkr.ecr amazonaws.com",
        "dkr.ecr-fips amazonaws.com",
        "dkr.ecr amazonaws.com.cn",
        "dkr.ecr c2s.ic.gov",
        "dkr.ecr sc2s.sgov.gov",
    }
    others = {form(host) for host in hosts if host not in asked}
    assert not forms & others
    for form_of_others in ("dkr-ecr on.aws", "dkr-ecr-fips on.aws", "dkr.ecr amazonaws.eu"):
        assert form_of_others in others
    assert set(registry.public_hosts()) <= others


def form(host: str) -> str:
    """Return what is not account and region in a hostname."""
    found = registry.parse(host)
    assert found is not None
    return host.removeprefix(f"{found.account}.").replace(f".{found.region}.", " ")


def test_the_page_names_this_version() -> None:
    """The page says of which day the source is that runs here."""
    (day,) = re.findall(rf"{NODEADM} v0\.0\.0-(\d{{8}})", (MODULE / "go.mod").read_text())
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    assert f"nodeadm of {day}" in (KUBERNETES / "README.md").read_text()
