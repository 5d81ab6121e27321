"""doctor --kubelet: what a node's kubelet is told, what it calls, and what that will come to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from kit import (
    ELSEWHERE,
    EXECUTABLE,
    HOST,
    PUBLIC,
    Helper,
    failing,
    in_namespaces,
    need_root,
    without,
    write,
)
from node import KUBERNETES

from docker_credential_ecr.commands import yamltext

NAMES = ("ecr-credential-provider", "ecr-credential-provider-sa")
OWN = "credential-provider-config-service-accounts.yaml"
MIRROR = f'[[mirror]]\nsource = "docker.io"\nregistry = "{HOST}"\nprefix = "hub"\n'

CONFIG, BIN_DIR = "--image-credential-provider-config", "--image-credential-provider-bin-dir"
NOBODY = 65534

Findings = dict[str, list[tuple[str, str]]]


def states(found: Findings) -> set[str]:
    return {state for findings in found.values() for state, _ in findings}


class Files:
    """The files of a kubelet, as the installer leaves them; ``ask`` is doctor --kubelet."""

    def __init__(self, helper: Helper, folder: Path, home: Path) -> None:
        self.helper = helper
        self.home = home
        self.plugins = folder / "plugins"
        self.plugins.mkdir()
        for name in NAMES:
            (self.plugins / name).symlink_to(EXECUTABLE)
        self.config = folder / "config.yaml"
        self.write("credential-provider-config.yaml")
        self.hosts = folder / "containerd"  # what is to be /etc/containerd

    def write(self, shipped: str) -> None:
        text = (KUBERNETES / shipped).read_text()
        self.config.write_text(text.replace("value: /root", f"value: {self.home}"))

    def edit(self, before: str, after: str) -> None:
        text = self.config.read_text()
        assert before in text
        self.config.write_text(text.replace(before, after))

    def ask(self, *more: str, wrap: tuple[str, ...] = ()) -> Findings:
        named = ("--config", str(self.config), "--bin-dir", str(self.plugins))
        return self.asked("--offline", *named, *more, wrap=wrap)

    def asked(self, *arguments: str, wrap: tuple[str, ...] = ()) -> Findings:
        """Return the findings of each check: state and message."""
        run = self.helper("doctor", "--kubelet", "--json", *arguments, wrap=wrap)
        said = json.loads(run.stdout)
        found: Findings = {}
        for check in said["checks"]:
            text = " ".join([check["message"], *check["hints"]])
            found.setdefault(check["name"], []).append((check["state"], text))
        failed = "error" in states(found)
        assert (run.status, said["ok"]) == (int(failed), not failed)
        return found

    def containerd(self) -> tuple[str, ...]:
        """Return what to put before doctor, so that /etc/containerd is ours."""
        script = f"mount -t tmpfs tmpfs /etc/containerd; cp -r {self.hosts}/. /etc/containerd"
        return in_namespaces("--mount", script=script)

    def no_containerd(self) -> tuple[str, ...]:
        """The same, so that there is no /etc/containerd: of /etc what programs start with is left."""
        self.hosts.mkdir()
        kept = f"cp /etc/ld.so.cache {self.hosts}"
        script = f"{kept}; mount -t tmpfs tmpfs /etc; cp {self.hosts}/ld.so.cache /etc"
        return in_namespaces("--mount", script=script)


@pytest.fixture
def files(helper: Helper, tmp_path: Path, home: Path) -> Files:
    return Files(helper, tmp_path, home)


def test_what_the_installer_leaves_is_right(files: Files) -> None:
    """Nothing is wrong with the shipped configurations; Docker's own checks are left out."""
    for shipped in ("credential-provider-config.yaml", f"{OWN[:-5]}-only.yaml"):
        files.write(shipped)
        found = files.ask(HOST)
        assert states(found) <= {"ok", "skipped"}
        assert not {"docker", "auths", "fallback"} & set(found)
        assert ("kubectl auth can-i" in found["service accounts"][0][1]) is ("-only" in shipped)


def test_a_pod_that_is_pulled_by_the_node_in_silence(files: Files) -> None:
    """With both providers a pod whose role cannot be had is the node's: a warning says so."""
    files.write(OWN)
    ((state, said),) = files.ask(HOST)["service accounts"]
    assert state == "warning"
    assert 'is pulled by the node\'s identity ("ecr-credential-provider")' in said
    assert "--service-accounts-only" in said
    files.edit("serviceAccountTokenAudience: sts.amazonaws.com", 'serviceAccountTokenAudience: "x"')
    assert 'are for "x"' in files.ask(HOST)["service accounts"][0][1]


def test_an_empty_annotation_where_the_node_is_to_answer_for_none(files: Files) -> None:
    """A configuration for pods' own roles alone without its variable lets the node answer: a warning."""
    files.write(f"{OWN[:-5]}-only.yaml")
    files.edit('value: "false"', 'value: "true"')
    ((state, said),) = files.ask(HOST)["service accounts"]
    assert state == "warning"
    assert "whose annotation is empty is pulled by the node's identity" in said
    assert "AWS_ECR_NODE_IDENTITY" in said


@pytest.mark.parametrize(
    ("server", "state"),
    [
        (HOST, "ok"),
        (PUBLIC, "ok"),
        (f"{HOST}:8443", "error"),
        (ELSEWHERE, "error"),
        ("123456789012.dkr.ecr-fips.eusc-de-east-1.amazonaws.eu", "ok"),
    ],
)
def test_whether_the_kubelet_asks_for_a_registry(files: Files, server: str, state: str) -> None:
    """By the kubelet's own rules: each label fits, and the port is equal."""
    found = files.ask(server)["images"]
    assert found[0][0] == state
    if state == "error":
        assert f'for images of "{server}": no pattern in matchImages fits' in found[0][1]


def test_names(files: Files) -> None:
    """Equal names stop the kubelet, another's plugin for the same images is named, and one alone is none."""
    text = files.config.read_text()
    provider = text[text.index("  - name:") :]
    files.config.write_text(text + provider)
    ((state, said), _) = files.ask(HOST)["provider"]
    assert state == "error"
    assert 'two providers named "ecr-credential-provider": the kubelet does not start' in said

    files.config.write_text(text + provider.replace("ecr-credential-provider", "rival"))
    write(files.plugins / "rival", "#!/bin/sh\nexit 1\n", 0o755)
    ((state, said), (after, _)) = files.ask(HOST)["provider"]
    assert (state, after) == ("warning", "ok")
    assert 'asks "rival", too, for images of "*.dkr.ecr.*.amazonaws.com"' in said

    files.config.write_text(text.replace("ecr-credential-provider", "rival"))
    found = files.ask(HOST)
    assert 'is this program: "rival"' in found["provider"][0][1]
    assert found["provider"][0][0] == "error"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("true", "there is no plugin"),
        ("ln -s nowhere/at/all", 'is a link to nothing: "nowhere/at/all"'),
        ("mkdir", "is a directory"),
        ("touch", "is not executable"),
    ],
)
def test_a_plugin_that_is_not_there_stops_the_kubelet(files: Files, make: str, words: str) -> None:
    """A provider without an executable is an error, not one that the kubelet asks, too."""
    text = files.config.read_text()
    provider = text[text.index("  - name:") :]
    files.config.write_text(text + provider.replace("ecr-credential-provider", "rival"))
    subprocess.run([*make.split(), files.plugins / "rival"], check=True)
    ((state, said), (after, ours)) = files.ask(HOST)["provider"]
    assert (state, after) == ("error", "ok")
    assert words in said
    assert f'"{files.plugins}/rival"' in said
    assert ": the kubelet does not start" in said
    assert f'mend it, or take the provider "rival" out of "{files.config}"' in said
    assert "rival" not in ours


def test_our_own_plugin_is_not_there(files: Files) -> None:
    """That alone is said, with the installer as the way out; what is unknown is not said to be ok."""
    (files.plugins / NAMES[0]).unlink()
    found = files.ask(HOST)
    ((state, said),) = found["provider"]
    assert state == "error"
    assert f'there is no plugin "{files.plugins}/{NAMES[0]}": the kubelet does not start' in said
    assert "run install-node.sh again" in said
    for check in ("executable", "images", "service accounts"):
        assert found[check] == [("skipped", "see provider")]


def test_nothing_is_ok_of_a_provider_that_is_not_there(files: Files) -> None:
    """With another's plugin alone nothing is said of our patterns and our service accounts."""
    files.write(OWN)
    for name in NAMES:
        (files.plugins / name).unlink()
        write(files.plugins / name, "#!/bin/sh\nexit 1\n", 0o755)
    found = files.ask(HOST)
    assert "no provider in" in found["provider"][0][1]
    for check in ("executable", "images", "service accounts"):
        assert found[check] == [("skipped", "see provider")]


@pytest.mark.parametrize("name", ["../rival", "a b", ".."])
def test_a_name_that_the_kubelet_refuses(files: Files, name: str) -> None:
    """Such a configuration stops the kubelet; what the name leads to is not run."""
    trap = files.plugins.parent / "rival"
    write(trap, f"#!/bin/sh\ntouch {trap}.ran\n", 0o755)
    files.edit("name: ecr-credential-provider", f'name: "{name}"')
    ((state, said),) = files.ask(HOST)["provider"]
    assert state == "error"
    assert f'a provider cannot be named "{name}": the kubelet does not start' in said
    assert not Path(f"{trap}.ran").exists()


def test_what_others_may_change_is_not_run(files: Files) -> None:
    """Owner and mode are judged first, also of a link's target and of the links between."""
    text = files.config.read_text()
    provider = text[text.index("  - name:") :]
    files.config.write_text(text + provider.replace("ecr-credential-provider", "rival"))
    rival, trap = files.plugins / "rival", files.plugins.parent / "open" / "trap"
    script = f"#!/bin/sh\ntouch {files.home}/ran\n"
    write(trap, script, 0o755)
    trap.parent.chmod(0o777)
    write(files.plugins.parent / "safe", script, 0o755)
    between = trap.parent / "between"
    between.symlink_to(files.plugins.parent / "safe")
    for target in (trap, between):
        rival.unlink(missing_ok=True)
        rival.symlink_to(target)
        found = files.ask(HOST)
        assert not (files.home / "ran").exists()
        (state, said), (after, _) = found["executable"]
        assert (state, after) == ("error", "ok")
        assert f'"{trap.parent}" can be written by others' in said
    rival.unlink()
    write(rival, script, 0o777)
    assert f'"{rival}" can be written by others' in files.ask(HOST)["executable"][0][1]
    assert not (files.home / "ran").exists()
    write(rival, script, 0o755)
    rival.chmod(0o755)
    files.ask(HOST)
    assert (files.home / "ran").exists()  # it is the others' hand that keeps it from being run


def test_a_directory_of_configurations(files: Files) -> None:
    """The kubelet takes a directory, whose files it merges; an empty one stops it."""
    text = files.config.read_text()
    files.config.unlink()
    files.config.mkdir()
    assert files.ask(HOST)["provider"][0][0] == "error"
    (files.config / "10.yaml").write_text(text)
    (files.config / "20.json").write_text(
        json.dumps({"kind": "CredentialProviderConfig", "providers": [{"name": "other"}]})
    )
    write(files.plugins / "other", "#!/bin/sh\nexit 1\n", 0o755)
    (files.config / "notes.txt").write_text("{")
    ((state, said),) = files.ask(HOST)["provider"]
    assert state == "ok"
    assert '"ecr-credential-provider" in' in said
    (files.config / "20.yaml").write_text(text)
    assert "does not start" in files.ask(HOST)["provider"][0][1]


def test_what_others_may_change_is_an_error(files: Files) -> None:
    """The kubelet runs as root what lies there: file and directory are root's, or it is said."""
    for place, mode in ((files.plugins, 0o777), (files.plugins.parent, 0o775)):
        before = place.stat().st_mode
        place.chmod(mode)
        ((state, said), *_) = files.ask(HOST)["executable"]
        place.chmod(before)
        assert state == "error"
        assert f'"{place}" can be written by others' in said
        assert "chmod go-w" in said


def test_what_another_user_owns_is_an_error(files: Files) -> None:
    """Who owns a folder on the way to what the kubelet runs as root may put something else there."""
    need_root("give a folder away")
    os.chown(files.plugins, NOBODY, NOBODY)
    ((state, said),) = files.ask(HOST)["executable"]
    assert state == "error"
    assert f'"{files.plugins}" belongs to another user than root' in said
    assert f"chown -h root:root '{files.plugins}' && chmod go-w '{files.plugins}'" in said


def test_a_place_that_cannot_be_looked_at(files: Files) -> None:
    """A folder on the way whose owner the disk does not tell is no finding: the rest is checked."""
    place = files.plugins.parent
    wrap = failing("newfstatat", "EIO", place)
    assert files.ask(HOST, wrap=wrap)["executable"][0][0] == "ok"


@pytest.mark.parametrize(
    ("says", "state", "words"),
    [
        ("docker-credential-ecr (docker_credential_ecr) 0.9.0", "warning", "is version 0.9.0"),
        ("", "ok", 'is "'),
    ],
    ids=["older", "none"],
)
def test_a_plugin_of_another_version(files: Files, says: str, state: str, words: str) -> None:
    """An older version that the kubelet still runs is named; one that says none is no finding."""
    path = files.plugins.parent / "old" / "docker-credential-ecr"
    error = "echo 'docker-credential-ecr: error: no request on stdin' >&2; exit 1"
    write(path, f"#!/bin/sh\n[ \"$1\" = version ] || {{ {error}; }}\necho '{says}'\n", 0o755)
    link = files.plugins / NAMES[0]
    link.unlink()
    link.symlink_to(path)
    ((found, said),) = files.ask(HOST)["executable"]
    assert found == state
    assert words in said


def test_a_plugin_that_is_no_link(files: Files) -> None:
    """A copy under the kubelet's own name, as images of nodes have it, is this program."""
    copy = files.plugins / NAMES[0]
    copy.unlink()
    shutil.copy(EXECUTABLE, copy)
    assert files.ask(HOST)["executable"] == [("ok", f'"{NAMES[0]}" is "{copy}"')]


def test_mirrors_and_their_hosts_toml(files: Files, helper: Helper) -> None:
    """A mirror is in matchImages, and containerd goes to it alone, or doctor says what will happen."""
    write(files.home / ".config" / "docker-credential-ecr" / "config.toml", MIRROR)
    files.hosts.mkdir()
    wrap = files.containerd()
    found = files.ask(HOST, wrap=wrap)
    assert 'for images of "docker.io"' in found["images"][0][1]
    assert found["images"][0][0] == "error"
    files.edit("    defaultCacheDuration", '      - "docker.io"\n    defaultCacheDuration')
    found = files.ask(HOST, wrap=wrap)
    assert found["images"][0][0] == "ok"
    assert 'not told that "docker.io" is mirrored' in found["mirrors"][0][1]

    write(files.hosts / "config.toml", "version = 2\n")
    assert "has no config_path" in files.ask(HOST, wrap=wrap)["mirrors"][0][1]
    registry = 'plugins."io.containerd.grpc.v1.cri".registry'
    write(files.hosts / "config.toml", f'{registry}.config_path = "/etc/containerd/certs.d"\n')
    url = f"https://{HOST}/v2/hub"
    alone = f'server = "{url}"\n[host."{url}"]\noverride_path = true\n'
    for text, state, words in (
        (alone, "ok", f'"docker.io" comes from "{HOST}" alone'),
        (f'[host."{url}"]\n', "warning", 'containerd shows the token of ECR to "docker.io"'),
        (
            alone.replace(f'server = "{url}', 'server = "https://registry-1.docker.io'),
            "warning",
            'to "registry-1.docker.io"',
        ),
        (alone + '[host."https://other.example"]\n', "warning", 'to "other.example"'),
        ('server = "https://registry-1.docker.io"\n', "warning", "does not lead to"),
        ("server = \n", "error", "cannot be read"),
    ):
        write(files.hosts / "certs.d" / "docker.io" / "hosts.toml", text)
        assert files.ask("docker.io", wrap=wrap)["mirrors"][0][0] == state
        assert words in files.ask("docker.io", wrap=wrap)["mirrors"][0][1]


def test_mirrors_without_containerd(files: Files) -> None:
    """Where another runtime pulls, nothing is said of hosts.toml; a file that is none is an error."""
    write(files.home / ".config" / "docker-credential-ecr" / "config.toml", MIRROR)
    ((state, said),) = files.ask(HOST, wrap=files.no_containerd())["mirrors"]
    assert (state, said) == ("skipped", "no containerd here; other runtimes are not looked at")
    write(files.hosts / "config.toml", "version = \n")
    ((state, said),) = files.ask(HOST, wrap=files.containerd())["mirrors"]
    assert state == "error"
    assert 'cannot read "/etc/containerd/config.toml"' in said


def test_a_name_of_the_users_own(files: Files) -> None:
    """A pattern of a name that a rule maps to ECR is answered for, and is no finding."""
    files.edit("    defaultCacheDuration", '      - "images.example.com"\n    defaultCacheDuration')
    rule = f'[[registry]]\nmatch = "images.example.com"\nregistry = "{HOST}"\n'
    write(files.home / ".config" / "docker-credential-ecr" / "config.toml", rule)
    ((state, _),) = files.ask(HOST)["images"]
    assert state == "ok"


def test_docker_hub_without_a_mirror(files: Files) -> None:
    """A pattern that we have no answer for is named: such images are pulled without credentials."""
    files.edit("    defaultCacheDuration", '      - "docker.io"\n    defaultCacheDuration')
    ((state, said), _) = files.ask(HOST)["images"]
    assert state == "warning"
    assert '"docker.io" in matchImages is neither ECR nor a [[mirror]]' in said


def test_the_mirrors_registry_is_asked_and_shown_the_token(
    files: Files, aws: FakeAWS, env: dict[str, str]
) -> None:
    """With docker.io named, it is the ECR registry that is shown a token, and nobody else."""
    write(files.home / ".config" / "docker-credential-ecr" / "config.toml", MIRROR)
    found = files.ask("docker.io")
    assert f'"{HOST}": ECR, us-east-1' in found["registry name"][0][1]


def running(files: Files, aws: FakeAWS, *flags: str) -> tuple[str, ...]:
    """Return what to put before doctor: there, one process runs, called kubelet, with those flags."""
    variables = (
        f"env -i AWS_ENDPOINT_URL={aws.url} AWS_ACCESS_KEY_ID=AKIANODE "
        "AWS_SECRET_ACCESS_KEY=SECRET-CANARY-node AWS_ECR_TIMEOUT=60"
    )
    sleeper = "import sys, time; print(flush=True); time.sleep(100)"
    script = (
        "mkfifo {0}/ready; {1} bash -c 'exec -a /usr/bin/kubelet {2} -c \"$@\"' - '{3}' {4} "
        ">{0}/ready & read -r _ <{0}/ready; rm {0}/ready"
    ).format(files.home, variables, sys.executable, sleeper, " ".join(flags))
    return in_namespaces("--mount", "--pid", "--fork", "--mount-proc", script=script)


def test_a_kubelet_that_runs(files: Files, aws: FakeAWS, env: dict[str, str]) -> None:
    """Its flags name the files, and what asks AWS has its environment, not the caller's."""
    env["AWS_ACCESS_KEY_ID"] = "AKIACALLER"
    flags = (f"--image-credential-provider-config={files.config}", "--v 2")
    bin_dir = f"--image-credential-provider-bin-dir {files.plugins}"
    wrap = running(files, aws, *flags, bin_dir)
    found = files.asked(HOST, wrap=wrap)
    assert found["kubelet"][0][0] == "ok"
    assert f'configuration "{files.config}", plugins in "{files.plugins}"' in found["kubelet"][0][1]
    assert found["credentials"][0] == ("ok", "from the environment variables")
    assert found["token"][0][0] == "ok"
    assert {call.access_key for call in aws.calls if call.access_key} == {"AKIANODE"}
    said = json.dumps(found)
    assert "CANARY" not in said

    os.utime(files.config, (2e9, 2e9))
    ((state, said), _) = files.asked("--offline", HOST, wrap=wrap)["kubelet"]
    assert state == "warning"
    assert "is newer than the kubelet" in said
    wrap = running(files, aws, *flags)
    ((state, said),) = files.asked("--offline", HOST, wrap=wrap)["kubelet"]
    assert state == "error"
    assert 'runs without "--image-credential-provider-bin-dir"' in said


def test_no_kubelet(files: Files) -> None:
    """Where none runs it is said what to do; half of its files is refused."""
    wrap = in_namespaces("--mount", "--pid", "--fork", "--mount-proc")
    ((state, said),) = files.asked("--offline", wrap=wrap)["kubelet"]
    assert state == "error"
    assert "no kubelet runs here" in said
    assert "--config FILE --bin-dir DIRECTORY" in said
    for half in (("--kubelet", "--config", "x"), ("--config", "x", "--bin-dir", "y")):
        assert files.helper("doctor", *half).status == 1


def test_a_kubelet_whose_environment_is_not_ours_to_read(files: Files, aws: FakeAWS) -> None:
    """Who may not look into the kubelet's environment is told that its variables were not seen."""
    flags = (f"{CONFIG}={files.config}", f"{BIN_DIR}={files.plugins}")
    wrap = (*running(files, aws, *flags), *without("sys_ptrace"))
    ((state, said), (after, _)) = files.asked("--offline", HOST, wrap=wrap)["kubelet"]
    assert (state, after) == ("warning", "ok")
    assert "the environment of the kubelet, process" in said
    assert "run this as root" in said


def test_a_kubelet_without_its_files(files: Files, aws: FakeAWS) -> None:
    """A configuration that has gone since the kubelet began is said by the check that reads it."""
    wrap = running(files, aws, f"{CONFIG}={files.config}", f"{BIN_DIR}={files.plugins}")
    files.config.unlink()
    found = files.asked("--offline", HOST, wrap=wrap)
    assert found["kubelet"][0][0] == "ok"
    assert f'cannot read "{files.config}": No such file or directory' in found["provider"][0][1]


def test_a_kubelet_whose_start_is_not_known(files: Files, aws: FakeAWS) -> None:
    """Where the system does not tell when it began, no file is called newer than it."""
    os.utime(files.config, (2e9, 2e9))
    wrap = running(files, aws, f"{CONFIG}={files.config}", f"{BIN_DIR}={files.plugins}")
    wrap += failing("openat", "ENOENT", "/proc/stat")
    ((state, _),) = files.asked("--offline", HOST, wrap=wrap)["kubelet"]
    assert state == "ok"


def test_a_system_without_processes_to_see(files: Files) -> None:
    """Where there is no /proc, as on macOS, no kubelet is found, and its files can be named."""
    wrap = failing("openat", "ENOENT", "/proc")
    ((state, said),) = files.asked("--offline", wrap=wrap)["kubelet"]
    assert state == "error"
    assert "no kubelet runs here" in said
    assert files.ask(HOST, wrap=wrap)["provider"][0][0] == "ok"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read"),
        (b'kind: "\xff"\n', "is not UTF-8"),
        (b"kind: KubeletConfiguration\n", "is not a CredentialProviderConfig"),
        (b"- kind: CredentialProviderConfig\n", "is not a CredentialProviderConfig"),
        (b"kind: CredentialProviderConfig\nproviders:\n", "is this program: none"),
    ],
    ids=["none", "bytes", "another kind", "a list", "no providers"],
)
def test_a_configuration_that_is_none(files: Files, text: bytes | None, words: str) -> None:
    """A file that the kubelet could do nothing with is named, with what is wrong with it."""
    files.config.unlink()
    if text is not None:
        files.config.write_bytes(text)
    ((state, said),) = files.ask(HOST)["provider"]
    assert state == "error"
    assert f'"{files.config}"' in said
    assert words in said


def test_a_directory_of_configurations_that_is_closed(files: Files) -> None:
    """A directory that may not be listed is an error, with the system's reason."""
    files.config.unlink()
    files.config.mkdir(mode=0o300)
    ((state, said),) = files.ask(HOST, wrap=without("dac_override", "dac_read_search"))["provider"]
    assert (state, said) == ("error", f'cannot read "{files.config}": Permission denied')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: &a b\n", 1),
        ("kind: |\n  b\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("a:\n  - b\n c: d\n", 3),
        ("a: b: c\n", 1),
        ("a: b\na: c\n", 2),
        ("\ta: b\n", 1),
        ("{", 1),
        ("a: [b, c]\n", 1),
        ("a: 'b\n", 1),
        ("a: b\nc\n", 2),
        ("- " * 60 + "a\n", 1),
        ("a:\n  b: " + "[" * 100_000, 2),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_yaml_that_is_more_than_is_read(files: Files, text: str, line: int) -> None:
    """It is an error with its line, never half read."""
    files.config.write_text(text)
    ((state, said),) = files.ask(HOST)["provider"]
    assert state == "error"
    assert f"has something at line {line} that doctor does not read" in said


def test_yaml_as_people_write_it() -> None:
    """Lists below their key, quotes, comments, JSON within: what a kubelet's configuration has."""
    text = """\
---
# a comment
providers:
- name: one   # and another
  matchImages: ["*.example.com", "a#b"]
  env:
  - {"name": "A", "value": "b"}
  -
    name: 'it''s'
    value: "x: y # z"
  nothing:
other: true
"""
    assert yamltext.read(text) == {
        "providers": [
            {
                "name": "one",
                "matchImages": ["*.example.com", "a#b"],
                "env": [{"name": "A", "value": "b"}, {"name": "it's", "value": "x: y # z"}],
                "nothing": None,
            }
        ],
        "other": "true",
    }
    assert yamltext.read("") is None
