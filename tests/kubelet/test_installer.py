"""The node installer, tried twice over everything that it may find."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import os
import re
import subprocess
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest
from kit import EXECUTABLE, HOST, SYSTEM_PATH, TESTS, Run, need, need_root, write
from node import KUBERNETES

INSTALLER = KUBERNETES / "install-node.sh"
OF_1_0 = TESTS / "kubelet" / "credential-provider-config-service-accounts-1.0.0.yaml"
MARK = "# Installed by docker-credential-ecr's install-node.sh, which replaces and removes this file.\n"
NAMES = ("ecr-credential-provider", "ecr-credential-provider-sa")
TIME_LIMIT = 120  # seconds: pip is in it


class Place:
    """Directories of a node, and the installer for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin_dir = folder / "bin"
        self.config = folder / "etc" / "config.yaml"
        self.prefix = folder / "opt"
        self.hosts_dir = folder / "certs.d"
        self.script = INSTALLER

    def run(
        self, *options: str, wrap: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> Run:
        argv = ["--bin-dir", str(self.bin_dir), "--config", str(self.config)]
        argv += ["--prefix", str(self.prefix), "--hosts-dir", str(self.hosts_dir)]
        done = subprocess.run(
            [*wrap, "sh", str(self.script), *argv, *options],
            capture_output=True,
            text=True,
            check=False,
            env=env or {"PATH": SYSTEM_PATH},
            timeout=TIME_LIMIT,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def install(self, *options: str) -> Run:
        done = self.run(*options)
        assert (done.status, done.stderr) == (0, ""), done
        return done

    def program(self, says: str) -> Path:
        """Return an executable that says so."""
        made = self.folder / f"says-{says}"
        made.write_text(
            f'#!/bin/sh\ncase "$1" in --version) echo docker-credential-ecr 2;; *) echo {says};; esac\n'
        )
        made.chmod(0o755)
        return made

    def says(self, name: str = NAMES[0]) -> str:
        done = subprocess.run([self.bin_dir / name], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def files(self) -> dict[str, object]:
        """Return everything below: what it is and holds, and which file it is."""
        return {
            str(path): os.readlink(path)
            if path.is_symlink()
            else (path.read_bytes() if path.is_file() else "", path.stat().st_mode)
            for path in self.folder.rglob("*")
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_over_nothing(place: Place) -> None:
    """A dry run changes nothing, twice is once, and uninstalling leaves what was there."""
    program = place.program("one")
    before = place.files()
    dry = place.install("--dry-run", "--file", str(program))
    assert "would " in dry.stdout
    assert place.files() == before

    place.install("--file", str(program))
    once = place.files()
    inode = place.config.stat().st_ino
    assert [place.says(name) for name in NAMES] == ["one", "one"]
    for again in (place.install("--file", str(program)), place.install()):
        assert "kubelet flags: " in again.stdout
        assert place.files() == once
        assert place.config.stat().st_ino == inode  # a kubelet that reads it is not disturbed
    place.install("--uninstall")
    left = place.files()
    assert {path for path in left if not Path(path).is_dir()} == {str(program)}


def test_without_a_source_it_says_what_to_give(place: Place) -> None:
    """Nothing is fetched unasked."""
    if not Path("/usr/bin/docker-credential-ecr").exists():
        done = place.run()
        assert done.status == 1
        assert "no SOURCE is given" in done.stderr
    assert not place.files()


def test_an_executable_of_a_package(place: Place) -> None:
    """Links lead to what a package installed; running it again needs no option."""
    program = place.program("package")
    for options in (("--executable", str(program)), ()):
        place.install(*options)
        assert os.readlink(place.bin_dir / NAMES[0]) == str(program)
    assert place.run("--executable", "relative").status == 1
    place.install("--uninstall")
    assert program.exists()
    assert not (place.bin_dir / NAMES[0]).is_symlink()


def test_over_the_installer_of_1_0(place: Place) -> None:
    """Its virtual environment, links and configuration are taken over, in their mode."""
    old = place.prefix / "bin" / "docker-credential-ecr"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho old\n")
    old.chmod(0o755)
    for name in (".install-node", "pyvenv.cfg"):
        (place.prefix / name).touch()
    place.bin_dir.mkdir()
    for name in NAMES:
        (place.bin_dir / name).symlink_to(old)
    place.config.parent.mkdir()
    place.config.write_text(MARK + OF_1_0.read_text())
    assert place.says() == "old"

    for _ in range(2):
        place.install("--file", str(place.program("new")))
        assert [place.says(name) for name in NAMES] == ["new", "new"]
        shipped = KUBERNETES / "credential-provider-config-service-accounts.yaml"
        assert place.config.read_text() == MARK + shipped.read_text()
    assert not old.exists()  # a process of it may have run until now
    place.install("--uninstall")
    assert not place.prefix.exists()
    assert not place.config.exists()


def test_over_an_edited_configuration(place: Place, tmp_path: Path) -> None:
    """What a person changed stays, and a new version is put beside it: the mode stays, too."""
    program = place.program("one")
    place.install("--service-accounts", "--file", str(program))
    text = place.config.read_text()
    edited = text.replace('"public.ecr.aws"', '"public.ecr.aws:443"').replace(
        "      cacheType: ServiceAccount\n", ""
    )
    assert edited.count("\n") == text.count("\n") - 1
    place.config.write_text(edited)
    beside = place.config.with_name("config.yaml.new")
    for _ in range(2):
        done = place.install()
        assert f"kept, as it was edited: {place.config}\n" in done.stdout
        assert place.config.read_text() == edited
        assert not beside.exists()  # nothing in it is new

    place.script = tmp_path / "next" / "install-node.sh"
    place.script.parent.mkdir()
    for path in filter(Path.is_file, KUBERNETES.iterdir()):
        (place.script.parent / path.name).write_bytes(path.read_bytes())
    shipped = place.script.with_name("credential-provider-config-service-accounts.yaml")
    shipped.write_text(shipped.read_text() + "# of the next version\n")
    for _ in range(2):
        done = place.install()
        assert f"the new one is {beside}" in done.stdout
        assert place.config.read_text() == edited
        assert beside.read_text() == MARK + shipped.read_text()
    other = place.run("--node-identity")
    assert other.status == 1
    assert "was edited: another mode would lose that" in other.stderr
    assert place.config.read_text() == edited

    done = place.install("--uninstall")
    assert f"kept, as it was edited: {place.config}" in done.stdout
    assert place.config.read_text() == edited
    assert not beside.exists()


def test_pods_roles_alone(place: Place) -> None:
    """The mode in which the node answers for no pod stays, too."""
    place.install("--service-accounts-only", "--file", str(place.program("one")))
    shipped = KUBERNETES / "credential-provider-config-service-accounts-only.yaml"
    for options in ((), ("--service-accounts-only",)):
        place.install(*options)
        assert place.config.read_text() == MARK + shipped.read_text()
    place.install("--service-accounts")
    assert place.config.read_text().count("- name: ecr-credential-provider") == 2


def test_over_another_plugin(place: Place) -> None:
    """AWS's plugin is refused, replaced when that is asked for, and put back byte for byte."""
    place.bin_dir.mkdir()
    place.config.parent.mkdir()
    rival = place.bin_dir / NAMES[0]
    rival.write_text("#!/bin/sh\necho rival\n")
    rival.chmod(0o750)
    place.config.write_text('{"kind": "CredentialProviderConfig"}\n')
    place.config.chmod(0o600)
    program = str(place.program("ours"))
    before = place.files()
    for _ in range(2):
        refused = place.run("--file", program)
        assert refused.status == 1
        assert f'"{rival}" is another program' in refused.stderr
        assert "--replace" in refused.stderr
        assert place.files() == before
    for options in (("--replace",), (), ("--replace",)):
        place.install("--file", program, *options)
        assert place.says() == "ours"
        assert place.config.read_text().startswith(MARK)
    place.install("--uninstall")
    after = place.files()
    assert {path: after[path] for path in before} == before
    assert place.says() == "rival"


def test_only_the_plugin_of_an_image_whose_boot_writes_the_configuration(place: Place) -> None:
    """Where the boot writes the configuration anew, as on EKS's images, only the name is replaced."""
    place.bin_dir.mkdir()
    rival = place.bin_dir / NAMES[0]
    rival.write_text("#!/bin/sh\necho rival\n")
    rival.chmod(0o755)
    done = place.install("--replace", "--config", "none", "--file", str(place.program("ours")))
    assert "image-credential-provider-config" not in done.stdout
    assert place.says() == "ours"
    assert not place.config.parent.exists()
    place.install("--config", "none", "--uninstall")
    assert place.says() == "rival"


def in_a_mount(place: Place, setup: str, then: str = 'exec "$@"') -> tuple[str, ...]:
    """Return what to put before a command: there, opt is a file system of its own."""
    need_root("mount a file system")
    script = f"set -e; {setup.format(place.prefix)}; {then}"
    return (need("unshare"), "--mount", "sh", "-c", script, "-")


def test_over_a_read_only_directory(place: Place) -> None:
    """It is said before anything is changed, also where root may write everything else."""
    program = str(place.program("one"))
    place.prefix.mkdir()
    before = place.files()
    wrap = in_a_mount(place, "mount -t tmpfs -o ro tmpfs {0}")
    for _ in range(2):
        done = place.run("--file", program, "--prefix", f"{place.prefix}/here", wrap=wrap)
        assert done.status == 1
        assert f'"{place.prefix}" cannot be written' in done.stderr
        assert place.files() == before


def test_over_a_full_disk(place: Place) -> None:
    """A disk that is full leaves the version that is there, whole and in use."""
    big = place.program("big")
    big.write_bytes(big.read_bytes() + b"#" * (2 << 20))
    small = place.program("small")
    sh = f"sh {INSTALLER} --bin-dir {place.bin_dir} --config {place.config} --prefix {place.prefix}/o"
    sh += f" --hosts-dir {place.hosts_dir}"
    setup = f"mount -t tmpfs -o size=1m tmpfs {{0}}; {sh} --file {small} >&2"
    place.prefix.mkdir()
    after = f'{place.bin_dir}/{NAMES[0]}; ls {place.prefix}/o/releases | wc -l; exit "$s"'
    wrap = in_a_mount(place, setup, f's=0; "$@" || s=$?; {after}')
    for _ in range(2):
        done = place.run("--file", str(big), "--prefix", f"{place.prefix}/o", wrap=wrap)
        assert done.status == 1
        assert done.stdout == "small\n1\n"
        assert "cannot be installed" in done.stderr


def test_two_at_once_wait_for_each_other(place: Place) -> None:
    """Two installers at once, and one beside --uninstall, leave a whole node or none, and say no error."""
    programs = [place.program(says) for says in ("one", "two")]

    def at_once(*runs: tuple[str, ...]) -> list[Run]:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(lambda options: place.run(*options), runs))

    for _ in range(5):
        done = at_once(*(("--file", str(program)) for program in programs))
        assert [(run.status, run.stderr) for run in done] == [(0, "")] * 2
        assert {place.says(name) for name in NAMES} in ({"one"}, {"two"})
        done = at_once(("--file", str(programs[0])), ("--uninstall",))
        assert [(run.status, run.stderr) for run in done] == [(0, "")] * 2
        whole = place.prefix.exists()
        assert [(place.bin_dir / name).exists() for name in NAMES] == [whole] * 2
        assert place.config.exists() == whole


def test_it_remembers_where_it_put_things(place: Place) -> None:
    """Run again, or with --uninstall, it needs no directories; others than it has are refused."""
    place.bin_dir.mkdir()
    (place.bin_dir / NAMES[0]).write_text("AWS's\n")
    before = place.files()
    place.install("--file", str(place.program("one")), "--replace")
    bare = ("sh", str(INSTALLER), "--prefix", f"{place.prefix}/")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*bare, *options], capture_output=True, text=True, check=False)

    again = run("--file", str(place.program("two")))
    assert (again.returncode, again.stderr) == (0, "")
    assert f"--image-credential-provider-bin-dir={place.bin_dir}" in again.stdout
    assert place.says() == "two"
    for options in (["--bin-dir", "/elsewhere"], ["--config", "none"], ["--hosts-dir", "none"]):
        for more in ([], ["--uninstall"]):
            refused = run(*options, *more)
            assert refused.returncode == 1
            assert f'"{options[1]}" is not the {options[0]} of this installation' in refused.stderr
    assert place.says() == "two"
    gone = run("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    left = {path: what for path, what in place.files().items() if "says-" not in path}
    assert {p: w for p, w in left.items() if not Path(p).is_dir()} == {
        p: w for p, w in before.items() if not Path(p).is_dir()
    }


CHANGING = ("mkdir", "touch", "cp", "mv", "ln", "chmod", "rm")  # the commands that change something


def test_killed_at_any_step_it_goes_on(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed before or after each of its commands: the next run mends it, and edits nobody made are none."""
    tools = tmp_path_factory.mktemp("tools")
    count = tools / "count"
    for tool in CHANGING:
        real = need(tool)
        (tools / tool).write_text(
            "#!/bin/sh\n"
            f"n=$(cat {count}); echo $((n + 1)) >{count}\n"
            '[ "$n" != "$KILL_BEFORE" ] || kill -9 $PPID\n'
            f'{real} "$@" || exit\n'
            '[ "$n" != "$KILL_AFTER" ] || kill -9 $PPID\n'
        )
        (tools / tool).chmod(0o755)

    def killed(name: str, at: int, *options: str) -> int:
        count.write_text("0\n")
        env = {"PATH": f"{tools}:{SYSTEM_PATH}", name: str(at)}
        return place.run(*options, env=env).status

    program = str(place.program("one"))
    for options in ((), ("--service-accounts",)):
        for name in ("KILL_BEFORE", "KILL_AFTER"):
            for at in range(100):
                if options:  # from another mode
                    place.install("--file", program)
                if killed(name, at, "--file", program, *options) == 0:
                    break
                done = place.run("--file", program, *options)
                assert (done.status, done.stderr) == (0, ""), (options, name, at)
                assert "edited" not in done.stdout
                assert place.says() == "one"
                assert ("tokenAttributes:" in place.config.read_text()) == bool(options)
                place.install("--uninstall")
                assert not place.prefix.exists()
                assert not place.config.exists()
            assert 5 < at < 99
            place.install("--uninstall")


@pytest.mark.parametrize("what", ["empty", "another program"])
def test_what_is_not_ours_is_not_installed(place: Place, what: str) -> None:
    """A download that failed, or any other file, does not take the place of what works."""
    place.install("--file", str(place.program("one")))
    before = place.files()
    other = place.folder / "download"
    other.write_text("" if what == "empty" else "#!/bin/sh\necho hello\n")
    done = place.run("--file", str(other))
    other.unlink()

    assert done.status == 1
    assert "is not docker-credential-ecr" in done.stderr
    assert place.says() == "one"
    assert place.files() == before


def test_an_executable_that_leads_to_the_plugin(place: Place) -> None:
    """A link to the plugin would lead to itself: refused, and the plugin works on."""
    place.install("--file", str(place.program("one")))
    link = place.folder / "link"
    link.symlink_to(place.bin_dir / NAMES[0])
    for source in (link, place.bin_dir / NAMES[1]):
        done = place.run("--executable", str(source))
        assert done.status == 1
        assert "which would lead to it" in done.stderr
        assert place.says() == "one"


@pytest.mark.parametrize("what", ["a directory", "a pipe", "a relative path"])
def test_a_configuration_that_is_no_file(place: Place, what: str) -> None:
    """It is said before anything is changed."""
    config = place.folder / "providers.d"
    if what == "a directory":
        config.mkdir()
    elif what == "a pipe":
        os.mkfifo(config)
    program = place.program("one")
    before = place.files()
    given = config.name if what == "a relative path" else str(config)
    done = place.run("--file", str(program), "--replace", "--config", given)

    assert done.status == 1
    assert ("not an absolute path" if what == "a relative path" else "is not a file") in done.stderr
    assert place.files() == before


def test_under_a_running_kubelet(place: Place) -> None:
    """A plugin that is called without a pause is there at every moment of an upgrade."""
    programs = [place.program("one"), place.program("two")]
    place.install("--file", str(programs[0]))
    said: list[str] = []
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            said.append(place.says())

    caller = threading.Thread(target=call)
    caller.start()
    try:
        for number in range(12):
            place.install("--file", str(programs[number % 2]))
    finally:
        done.set()
        caller.join()
    assert set(said) == {"one", "two"}
    assert place.says() == "two"


def test_the_mirrors_of_config_toml(place: Place, tmp_path: Path, home: Path) -> None:
    """The kubelet asks for each mirror's source, and containerd goes to ECR alone, and back.

    Each file of containerd's is one of ours: another's is refused, one that a person changed stays.
    """
    place.script = tmp_path / "packaging" / "install-node.sh"
    place.script.parent.mkdir()
    for path in filter(Path.is_file, KUBERNETES.iterdir()):
        text = path.read_text().replace("value: /root", f"value: {home}")
        (place.script.parent / path.name).write_text(text)
    options = ("--service-accounts", "--executable", str(EXECUTABLE))
    place.install(*options)
    without = place.config.read_text()
    assert "docker.io" not in without
    assert not place.hosts_dir.exists()

    settings = write(
        home / ".config" / "docker-credential-ecr" / "config.toml",
        f'[[mirror]]\nsource = "docker.io"\nregistry = "{HOST}"\nprefix = "docker-hub"\n'
        '[[mirror]]\nsource = "quay.io"\nregistry = "public.ecr.aws"\n',
    )
    hub, quay = (place.hosts_dir / host / "hosts.toml" for host in ("docker.io", "quay.io"))
    write(hub, "# of a person\n")
    before = place.files()
    done = place.run(*options)
    assert f'"{hub}" is another\'s' in done.stderr
    assert done.status == 1
    assert place.files() == before
    for _ in range(2):
        place.install("--replace")
        written = place.config.read_text()
        added = '      - "docker.io"\n      - "quay.io"\n    defaultCacheDuration: 0s\n'
        assert written.replace(added, "    defaultCacheDuration: 0s\n") == without
        assert written.count(added) == 2
        url = f"https://{HOST}/v2/docker-hub"
        told = tomllib.loads(hub.read_text())
        assert (told["server"], list(told["host"])) == (url, [url])
        for part in (told, told["host"][url]):
            assert part["override_path"] is True
            assert part["capabilities"] == ["pull", "resolve"]
        assert list(tomllib.loads(quay.read_text())["host"]) == ["https://public.ecr.aws/v2"]

    before_it = place.config.read_text()
    edited = quay.read_text() + "# mine\n"
    quay.write_text(edited)
    write(Path(settings), "[[mirror]]\n")
    broken = place.run()
    assert broken.status == 1
    assert 'lacks "source"' in broken.stderr
    assert place.config.read_text() == before_it
    Path(settings).unlink()
    done = place.install()
    assert place.config.read_text() == without
    assert hub.read_text() == "# of a person\n"
    assert quay.read_text() == edited
    assert f"kept, as it was edited: {quay}" in done.stdout
    quay.unlink()
    place.install("--uninstall")
    assert not place.config.exists()


@pytest.mark.server  # pip and venv take seconds: not for `make check`
def test_a_wheel_with_hashes_and_without_a_network(place: Place) -> None:
    """What a wheel needs is installed by its hash only, from the wheel's own directory."""
    wheels = place.folder / "wheels"
    wheels.mkdir()
    ours = wheel(wheels, "docker_credential_ecr", "docker-credential-ecr")
    needed = wheel(wheels, "needed", "")
    requirements = place.folder / "requirements.txt"
    digest = hashlib.sha256(needed.read_bytes()).hexdigest()
    options = ["--wheel", str(ours), "--requirements", str(requirements)]
    for bad in ("0" * 64, ""):
        requirements.write_text("needed==1.0" + (f" --hash=sha256:{bad}\n" if bad else "\n"))
        done = place.run(*options)
        assert done.status == 1
        assert "hash" in done.stderr.lower()
        assert not list((place.prefix / "releases").iterdir())
        assert not place.bin_dir.joinpath(NAMES[0]).exists()
    requirements.write_text(f"needed==1.0 --hash=sha256:{digest}\n")
    for _ in range(2):
        place.install(*options)
        assert place.says() == "wheel"


def wheel(folder: Path, name: str, script: str) -> Path:
    """Write a wheel that holds one script, or nothing."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{name}-1.0.data/scripts/{script}"] = (
            "#!python\nimport sys\n"
            "print('docker-credential-ecr 1' if '--version' in sys.argv else 'wheel')\n"
        )
    record = ""
    for path, text in files.items():
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().strip("=")
        )
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    made = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (
                0o100755 if "/scripts/" in path else 0o100644
            ) << 16  # pip keeps it
            archive.writestr(entry, text)
    return made


def test_help_names_every_option(place: Place) -> None:
    """--help has each option that the script takes, and an unknown one leads there."""
    text = place.install("--help").stdout
    cases = re.findall(r"^    (--[a-z|\- ]+)\)", INSTALLER.read_text(), re.MULTILINE)
    taken = {option for case in cases for option in case.split(" | ") if option.startswith("--")}
    assert len(taken) >= 13
    for option in taken:
        assert option in text
    unknown = place.run("--package", "x")
    assert unknown.status == 1
    assert '"--package" is not an option' in unknown.stderr
    assert "--help" in unknown.stderr


def test_the_script_is_clean() -> None:
    """ShellCheck finds nothing."""
    done = subprocess.run(
        [need("shellcheck"), INSTALLER], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
