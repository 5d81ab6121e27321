"""A fleet: the chart, the manifest, the image, and what its container does to a node."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from kit import EXECUTABLE, HOST, SYSTEM_PATH, TESTS, Run, in_namespaces, need, write
from node import KUBERNETES, build_go, kubernetes_says
from stack import write_image

CHART = KUBERNETES / "chart"
MODES = ("node-identity", "service-accounts", "service-accounts-only")
MIRROR = f'[[mirror]]\nsource = "docker.io"\nregistry = "{HOST}"\nprefix = "hub"\n'
FLEET = "fleet.sh", "install-node.sh", *(path.name for path in KUBERNETES.glob("credential-*.yaml"))


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Helm's own loader and engine, of the version that tests/helm pins."""
    return build_go(".", tmp_path_factory.mktemp("helm"), "helm-template", TESTS / "helm")


def rendered(helm: Path, values: Path | None = None) -> str:
    """Return what helm template makes of the chart, with a file of values."""
    argv = [helm, CHART, *([values] if values is not None else [])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[str]:
    """Return the documents of a manifest without comments and what is empty."""
    lines = [line.partition(" # ")[0].rstrip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.lstrip().startswith("#")]
    return [
        part.strip() for part in "\n".join(["", *kept, ""]).split("\n---\n") if part.strip("- \n")
    ]


def test_the_manifest_is_what_the_chart_says(helm: Path) -> None:
    """daemonset.yaml is the chart with its own values: one fact, written down for those without helm."""
    assert documents((KUBERNETES / "daemonset.yaml").read_text()) == documents(rendered(helm))


@pytest.mark.parametrize("mode", MODES)
def test_kubernetes_takes_the_chart(
    helm: Path, kubernetes: Path, tmp_path: Path, mode: str
) -> None:
    """Decoded strictly and validated as the API server does, with settings and without."""
    for settings, kinds in (("", ["DaemonSet"]), (MIRROR, ["ConfigMap", "DaemonSet"])):
        values = tmp_path / "values.json"
        values.write_text(json.dumps({"mode": mode, "replace": True, "settings": settings}))
        manifest = tmp_path / "manifest.yaml"
        manifest.write_text(rendered(helm, values))
        said = kubernetes_says(kubernetes, manifest)
        rbac = [] if mode == MODES[0] else ["ClusterRole", "ClusterRoleBinding"]
        assert sorted(said["kinds"]) == sorted([*kinds, *rbac])
        assert f"--{mode}" in manifest.read_text()


class Fleet:
    """The files of the image, and a node whose root is another one than this machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "image"
        self.image.mkdir()
        for name in FLEET:
            shutil.copy(KUBERNETES / name, self.image)
        shutil.copy(EXECUTABLE, self.image / "docker-credential-ecr")
        self.root = folder / "node"
        self.root.mkdir()
        write(folder / "systemctl", f'#!/bin/sh\necho "$@" >>{folder}/restarts\n', 0o755)

    def run(self, script: str) -> Run:
        """Run a script on the node, in which ``fleet MODE`` is what the container does."""
        setup = f"""
            mount --rbind / {self.root}
            for place in opt run etc/xdg; do mount -t tmpfs tmpfs {self.root}/$place; done
            mount --bind {self.folder}/systemctl {need("systemctl")}
            fleet() {{
                busybox sh {self.image}/fleet.sh --bin-dir /opt/bin --config /opt/etc/config.yaml \\
                    --prefix /opt/p --hosts-dir /opt/certs.d --"$1" | tail -n 1
            }}
            export FLEET_HOST={self.root} FLEET_RESTART=kubelet.service
            cd {self.root}/opt
            {script}
        """
        wrap = in_namespaces("--mount", "--pid", "--fork", "--mount-proc")
        done = subprocess.run(
            [*wrap, "bash", "-c", f"set -eo pipefail; {setup}"],
            capture_output=True,
            text=True,
            env={"PATH": SYSTEM_PATH},
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def restarts(self) -> list[str]:
        path = self.folder / "restarts"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_the_kubelet_is_restarted_only_when_something_changed(fleet: Fleet) -> None:
    """Once for the configuration, never for the same again, nor for a new executable: it is started anew."""
    new = f"echo '# new' >>{fleet.image}/docker-credential-ecr"
    run = fleet.run(f"""
        fleet node-identity; fleet node-identity
        {new}; fleet node-identity
        tail -n 1 p/current/bin/docker-credential-ecr; ls bin
        fleet service-accounts-only; FLEET_RESTART= fleet node-identity
    """)
    assert (run.status, run.stderr) == (0, "")
    assert run.stdout.splitlines() == [
        "changed: restarted kubelet.service",
        "unchanged: the kubelet runs on",
        "unchanged: the kubelet runs on",
        "# new",
        "ecr-credential-provider",
        "ecr-credential-provider-sa",
        "changed: restarted kubelet.service",
        "changed: restart the kubelet",
    ]
    assert fleet.restarts() == ["restart kubelet.service"] * 2


def test_settings_come_with_the_image(fleet: Fleet) -> None:
    """A config.toml is put on the node and taken away; its mirrors are the kubelet's; another's stays."""
    settings = write(fleet.folder / "config.toml", MIRROR)
    place = "../etc/xdg/docker-credential-ecr/config.toml"
    run = fleet.run(f"""
        FLEET_SETTINGS={settings} fleet node-identity
        tail -n +2 {place} | cmp - {settings}
        grep -c '"docker.io"' etc/config.yaml; ls certs.d
        fleet node-identity; test ! -e {place}
        grep -c docker.io etc/config.yaml || ls certs.d
        echo another >{place}; fleet node-identity || cat {place}
    """)
    assert run.stdout.splitlines() == [
        "changed: restarted kubelet.service",
        "1",
        "docker.io",
        "changed: restarted kubelet.service",
        "0",
        "another",
    ]
    assert "on the node is another's" in run.stderr


def test_a_root_that_is_read_only_is_said(fleet: Fleet) -> None:
    """The container fails with the reason, and the node is as it was."""
    run = fleet.run("mount -o remount,ro ../opt; fleet node-identity; echo never")
    assert run.status == 1
    assert run.stdout == ""
    assert "cannot be written" in run.stderr
    assert "its file system may be read-only" in run.stderr
    assert fleet.restarts() == []


def test_the_image_holds_what_its_container_runs(tmp_path: Path, fleet: Fleet) -> None:
    """Built on a base of busybox: the files, executable as they are here, and fleet.sh to be run."""
    write_image(tmp_path / "base", {"bin/busybox": Path(need("busybox")).read_bytes()})
    shutil.copy(KUBERNETES / "Containerfile", fleet.image)
    storage = ["--root", f"{tmp_path}/s", "--runroot", f"{tmp_path}/r", "--storage-driver", "vfs"]
    base = f"--build-arg=BASE=oci:{tmp_path}/base:1"
    build = [need("buildah"), *storage, "build", "--isolation=chroot", base, "--tag=node"]
    subprocess.run([*build, fleet.image], check=True, capture_output=True)
    push = [need("buildah"), *storage, "push", "--quiet", "node", f"oci-archive:{tmp_path}/made"]
    subprocess.run(push, check=True, capture_output=True)
    with tarfile.open(tmp_path / "made") as archive:
        blobs = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        read = {name: file.read() for name, file in blobs.items() if file is not None}
    (entry,) = json.loads(read["index.json"])["manifests"]
    manifest = json.loads(read[f"blobs/sha256/{entry['digest'][7:]}"])
    config = json.loads(read[f"blobs/sha256/{manifest['config']['digest'][7:]}"])
    assert config["config"]["Entrypoint"] == ["/opt/node/fleet.sh"]
    layer = io.BytesIO(read[f"blobs/sha256/{manifest['layers'][-1]['digest'][7:]}"])
    with tarfile.open(fileobj=layer) as files:
        modes = {Path(file.name).name: file.mode & 0o777 for file in files if file.isfile()}
    assert set(modes) == {*FLEET, "docker-credential-ecr"}
    assert modes["fleet.sh"] == modes["docker-credential-ecr"] == 0o755
