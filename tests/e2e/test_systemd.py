"""The units that have a token before the first pull, under a systemd of their own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    CALL,
    EXECUTABLE,
    HOST,
    OTHER_ACCOUNT,
    SYSTEM_PATH,
    TREE,
    Helper,
    entries,
    need,
    need_root,
    until,
)

UNITS = TREE / "packaging" / "systemd"
NAME = "docker-credential-ecr-refresh"
INSTALLED = "/usr/bin/docker-credential-ecr"


class Boot:
    """A machine that boots: systemd as the first process of its namespaces, and our units there."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        need_root("start a systemd")
        self.folder = folder
        self.units = folder / "units"
        self.defaults = folder / "default"
        self.units.mkdir()
        self.defaults.mkdir()
        self.env = env
        for path in UNITS.glob(f"{NAME}.*"):
            text = path.read_text().replace(INSTALLED, str(EXECUTABLE))
            (self.units / path.name).write_text(
                text.replace("HOME=/root", f"HOME={env['HOME']}").replace(
                    "PrivateTmp=yes", "PrivateTmp=no"
                )
            )
        variables = {name: value for name, value in env.items() if name.startswith("AWS_")}
        variables["REGISTRIES"] = f'"{HOST} {OTHER_ACCOUNT}"'
        (self.defaults / "docker-credential-ecr").write_text(
            "".join(f"{name}={value}\n" for name, value in variables.items())
        )
        self.group = f"boot-{os.getpid()}-{folder.name}"
        self._process: subprocess.Popen[bytes] | None = None

    def unit(self, name: str, text: str) -> None:
        (self.units / name).write_text(text)

    def start(self) -> None:
        """Boot with what is enabled, and a ``kubelet.service``."""
        enable = [need("systemctl"), f"--root={self.folder}/root", "enable"]
        place = self.folder / "root" / "etc" / "systemd" / "system"
        place.mkdir(parents=True)
        for path in self.units.iterdir():
            (place / path.name).write_text(path.read_text())
        subprocess.run(
            [*enable, f"{NAME}.service", f"{NAME}.timer"], check=True, capture_output=True
        )
        wanted = [path.name for path in place.glob("*.target.wants/*")]
        assert sorted(wanted) == [f"{NAME}.service", f"{NAME}.timer"]
        wants = " ".join([*wanted, "kubelet.service"])
        self.unit("boot.target", f"[Unit]\nWants={wants}\n")
        for name in ("sysinit", "basic", "network-online", "shutdown", "timers"):
            self.unit(f"{name}.target", "[Unit]\nDefaultDependencies=no\n")
        # No unit of this machine's is there: its tmpfiles would empty /tmp. Nor can anything be
        # written but below the test's folder. The control group is the root to what is inside.
        script = f"""
            set -e
            mount --make-rprivate /
            mount --bind {self.folder} {self.folder}
            for place in /run /etc/systemd /usr/lib/systemd/system-generators; do
                mount -t tmpfs tmpfs $place
            done
            mount --bind {self.units} /usr/lib/systemd/system
            mount --bind {self.defaults} /etc/default
            for place in / /proc/sys; do
                [ $place = / ] || mount --bind $place $place
                mount -o remount,bind,ro $place
            done
            kind="cgroup -o none,name=systemd" place=/sys/fs/cgroup/systemd
            if [ -e /sys/fs/cgroup/cgroup.controllers ]; then kind=cgroup2 place=/sys/fs/cgroup; fi
            mkdir $place/{self.group}
            echo $$ >$place/{self.group}/cgroup.procs
            echo $place/{self.group} >{self.folder}/cgroup
            exec unshare --cgroup sh -ec '
                mount -t tmpfs tmpfs /sys/fs/cgroup
                mkdir -p '$place'
                mount -t '"$kind"' cgroup '$place'
                export container=tests
                exec /lib/systemd/systemd --system --unit=boot.target --log-target=console'
        """
        unshare = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]
        self._process = subprocess.Popen(
            [*unshare, "--mount-proc", "sh", "-c", script],
            env={"PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it, and all that it has started; take its control groups away."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        group = Path((self.folder / "cgroup").read_text().strip())
        for path in [*sorted(filter(Path.is_dir, group.rglob("*")), reverse=True), group]:
            until(functools.partial(_is_removed, path), f"{path} is in use")


def _is_removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


@pytest.fixture
def boot(tmp_path: Path, aws: FakeAWS, env: dict[str, str]) -> Iterator[Boot]:
    made = Boot(tmp_path, env)
    yield made
    made.stop()


def test_a_token_is_there_before_the_kubelet_starts(
    boot: Boot, aws: FakeAWS, cache: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Booted with the units enabled, the kubelet finds a token and nobody is asked again."""
    request = tmp_path / "request"
    request.write_text(
        json.dumps(
            {
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "kind": "CredentialProviderRequest",
                "image": f"{HOST}/app",
            }
        )
    )
    answer = tmp_path / "answer"
    boot.unit(
        "kubelet.service",
        "[Service]\nType=oneshot\nEnvironmentFile=/etc/default/docker-credential-ecr\n"
        f"Environment=HOME={env['HOME']}\nExecStart=/bin/sh -c "
        f"'{EXECUTABLE} kubelet <{request} >{answer}.new && mv {answer}.new {answer}'\n",
    )
    boot.start()
    until(answer.exists, "the kubelet has not asked")
    password = json.loads(answer.read_text())["auth"][HOST]["password"]
    assert password in aws.issued
    assert aws.count(CALL) == 1  # both registries are of one region: they share it
    for host in (HOST, OTHER_ACCOUNT):
        (entry,) = entries(cache, host)
        assert entry.stat().st_mode & 0o777 == 0o600


def test_the_timer_asks_again(boot: Boot, aws: FakeAWS) -> None:
    """The timer starts the service again: with seconds in place of its hours."""
    timer = boot.units / f"{NAME}.timer"
    text = timer.read_text()
    assert text.count("=5h\n") == 2
    timer.write_text(text.replace("=5h\n", "=1s\n").replace("=1h\n", "=0\nAccuracySec=1ms\n"))
    boot.start()
    until(lambda: aws.count(CALL) >= 3, "the timer does not fire")


def test_without_aws_the_kubelet_starts_all_the_same(
    boot: Boot, aws: FakeAWS, tmp_path: Path
) -> None:
    """The units are an order, not a condition."""
    aws.fault(CALL, status=400, code="AccessDeniedException")
    boot.unit(
        "kubelet.service", f"[Service]\nType=oneshot\nExecStart=/bin/touch {tmp_path}/started\n"
    )
    boot.start()
    until((tmp_path / "started").exists)
    assert aws.count(CALL) >= 1


def test_the_command_of_the_cron_table(helper: Helper, aws: FakeAWS, cache: Path) -> None:
    """What the page has cron run is a command that fetches a token."""
    page = (UNITS / "README.md").read_text()
    lines = [line for line in page.splitlines() if " root docker-credential-ecr " in line]
    assert len(lines) == 2
    for line in lines:
        assert helper(*line.partition(" root docker-credential-ecr ")[2].split()).status == 0
    assert len(entries(cache)) == 1
    assert aws.count(CALL) == 2


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    """What systemd-analyze verify has to say: nothing."""
    paths = []
    for path in UNITS.glob(f"{NAME}.*"):
        made = tmp_path / path.name
        text = path.read_text().replace(INSTALLED, "/bin/true")
        made.write_text(text.replace("Documentation=man:docker-credential-ecr(1)\n", ""))
        paths.append(str(made))
    assert len(paths) == 2
    done = subprocess.run(
        [need("systemd-analyze"), "verify", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
