"""What the Windows tests say often: the executable, an entry, what happens behind an answer."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_aws import FakeAWS
    from lab import Lab, Run

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
LIFE = 12 * 3600  # seconds, of a token
APPEAR_LIMIT = 60  # seconds for what happens behind an answer


def make_home(lab: Lab) -> str:
    """Make a user's profile, and return its path as Windows writes it."""
    path = f"C:\\users\\{uuid.uuid4().hex[:8]} x"  # a space: people have names
    for part in ("AppData\\Local", "AppData\\Roaming", "Temp"):
        lab.unix(f"{path}\\{part}").mkdir(parents=True)
    return path


def environment(lab: Lab, home: str) -> dict[str, str]:
    """Return what a user's session has on Windows, no credentials, no network."""
    return {
        "SystemRoot": "C:\\windows",
        "SystemDrive": "C:",
        "ComSpec": "C:\\windows\\system32\\cmd.exe",
        "PATH": f"{lab.scripts};C:\\windows\\system32;C:\\windows",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD",
        "ProgramData": f"{home}\\ProgramData",
        "TEMP": f"{home}\\Temp",
        "TMP": f"{home}\\Temp",
        "USERPROFILE": home,
        "HOMEDRIVE": "C:",
        "HOMEPATH": home[2:],
        "LOCALAPPDATA": f"{home}\\AppData\\Local",
        # platformdirs asks the shell before the environment; these are its own, for such a case.
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": f"{home}\\AppData\\Local",
        "WIN_PD_OVERRIDE_COMMON_APPDATA": f"{home}\\ProgramData",
        "APPDATA": f"{home}\\AppData\\Roaming",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def point(env: dict[str, str], aws: FakeAWS) -> None:
    """Let ``env`` lead to a loopback AWS, with a static key."""
    env["AWS_ENDPOINT_URL"] = aws.url
    env["AWS_ACCESS_KEY_ID"] = "AKIATEST"
    env["AWS_SECRET_ACCESS_KEY"] = "SECRET-CANARY-static"


class Helper:
    """The executable that pip made, run in an environment made from scratch."""

    def __init__(self, lab: Lab, env: dict[str, str]) -> None:
        self.lab = lab
        self.env = env
        self.path = lab.helper

    def __call__(
        self,
        *args: str,
        stdin: str | bytes = b"",
        env: dict[str, str | None] | None = None,
        cwd: str = "C:\\windows",
    ) -> Run:
        """Run with ``args``; ``env`` adds variables, ``None`` removes one."""
        return self.lab.run(self.path, *args, stdin=stdin, env=self.environment(env), cwd=cwd)

    def get(self, host: str = HOST, **how: Any) -> Run:
        """Ask as Docker does: the bare host on stdin, without a newline."""
        return self("get", stdin=host, **how)

    def python(self, code: str, *args: str, **how: Any) -> Run:
        """Run ``code`` with the lab's Python, in the same environment."""
        environment = self.environment(how.pop("env", None))
        return self.lab.run(self.lab.python, "-c", code, *args, env=environment, **how)

    def environment(self, changes: dict[str, str | None] | None = None) -> dict[str, str]:
        merged = {**self.env, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}


def login(helper: Callable[..., Run], secret: str, host: str = HOST, **how: Any) -> Run:
    """Say what `docker login` says."""
    request = {"ServerURL": host, "Username": "AWS", "Secret": secret}
    return helper("store", stdin=json.dumps(request), **how)


def rules(lab: Lab, env: dict[str, str], home: str, text: str) -> None:
    """Make ``text`` the configuration."""
    env["AWS_ECR_CONFIG_FILE"] = f"{home}\\config.toml"
    lab.unix(env["AWS_ECR_CONFIG_FILE"]).write_text(text)


def soon(holds: Callable[[], object], what: str) -> None:
    """Wait until ``holds``, for what happens behind an answer."""
    end = time.monotonic() + APPEAR_LIMIT
    while not holds():
        assert time.monotonic() < end, f"{what} did not happen within {APPEAR_LIMIT} s"
        time.sleep(0.05)


def entries(cache: Path, host: str = HOST) -> list[Path]:
    """Return the files that hold a token of ``host``."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(p for p in (cache / host).iterdir() if not p.name.startswith("."))
    return []


def age(entry: Path, seconds: int) -> None:
    """Make an entry older, as if it had been written that long ago."""
    lines = []
    for line in entry.read_bytes().split(b"\n"):
        key, _, value = line.partition(b" ")
        if key in (b"issued", b"refresh", b"renew", b"expires"):
            line = key + b" " + str(int(value) - seconds).encode()  # noqa: PLW2901
        lines.append(line)
    entry.write_bytes(b"\n".join(lines))
