"""A home to torture: the executable in it, with one fault at its n-th call, and what is right after."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from fake_aws import FakeAWS
from kit import CALL, EXECUTABLE, HOST, OTHER_ACCOUNT, SYSTEM_PATH, need, processes_with

REGION = "us-east-1"  # of HOST and OTHER_ACCOUNT, which share a token
LIMIT = 60  # seconds for one run; what we promise is LATEST
LATEST = 20  # seconds until any answer, with a service that answers: no fault is waited for
BEHIND = 40  # seconds until a renewal behind an answer has ended by itself
# Of every kind of call: what may go wrong with it. Kinds are fault.c's.
ERRORS = {
    "open": (errno.EIO, errno.EACCES, errno.EMFILE),
    "create": (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE),
    "read": (errno.EIO,),
    "write": (errno.EIO, errno.ENOSPC),
    "fsync": (errno.EIO, errno.ENOSPC),
    "close": (errno.EIO,),
    "truncate": (errno.EIO,),
    "rename": (errno.EIO, errno.ENOSPC, errno.EACCES),
    "unlink": (errno.EIO, errno.EACCES),
    "mkdir": (errno.EIO, errno.ENOSPC, errno.EACCES),
    "stat": (errno.EIO, errno.EACCES),
    "chmod": (errno.EIO, errno.EPERM),
    "utime": (errno.EIO, errno.EPERM),
    "xattr": (errno.EIO, errno.ENOTSUP),
    "opendir": (errno.EIO, errno.EACCES, errno.EMFILE),
    "readdir": (errno.EIO,),
    "flock": (errno.EIO, errno.EAGAIN, errno.ENOLCK),
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "spawn": (errno.EAGAIN, errno.ENOMEM),
    "exec": (errno.EACCES,),
    "thread": (errno.EAGAIN,),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """At call ``number``, which is a ``kind`` of ``path`` (in the run that recorded), do ``what``."""

    number: int
    kind: str
    path: str
    what: str  # FAULT_DO of fault.c

    @property
    def harmless(self) -> bool:
        """Whether nothing fails: less at once, later, or when asked again."""
        return not self.what.startswith("errno") or self.what == f"errno {errno.EAGAIN}"

    @property
    def of_cache(self) -> bool:
        """Whether it is the cache or a process: ours to do without."""
        return self.path.startswith("~/.cache") or self.path == ""

    def __str__(self) -> str:
        what = self.what
        if what.startswith("errno "):
            what = errno.errorcode[int(what[6:])]
        return f"{self.number} {self.kind} {self.path}: {what}"


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a run. ``hit`` is the call that went wrong as it was logged, or nothing."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    hit: str

    def is_at(self, case: Case) -> bool:
        """Whether it went wrong where it was to: names of temporary files aside."""
        return self.hit.split(" ", 2)[:2] == [str(case.number), case.kind]

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def said(self) -> str:
        return f"{self.status} {self.stdout[:80]!r} {self.stderr[:160]!r}"


def build(folder: Path) -> Path:
    """Return the library, compiled from fault.c without a warning."""
    library = folder / "fault.so"
    source = Path(__file__).with_name("fault.c")
    command = [need("gcc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", library, source], check=True)
    return library


class Home:
    """One user's home, with a key of its own at AWS, so that homes can be tortured side by side.

    Its rule for ``HOST`` names a profile, and the default profile is another identity: an answer
    shows whether a fault made us take the wrong one.
    """

    def __init__(
        self, folder: Path, aws: FakeAWS, library: Path, measuring: dict[str, str]
    ) -> None:
        self.path = folder / "home"
        self.aws = aws
        self.key = f"AKIAPROD{folder.name.upper()}"
        self.cache = self.path / ".cache" / "docker-credential-ecr"
        self.docker = self.path / ".docker" / "config.json"
        self._state = folder / "state"
        self._log = folder / "log"
        self.env = {
            "PATH": SYSTEM_PATH,
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": aws.url,
            "PYTHONUSERBASE": "/nonexistent",  # coverage would look for it in the home
            **measuring,
        }
        self._fault_env = {
            "LD_PRELOAD": str(library),
            "FAULT_STATE": str(self._state),
            "FAULT_LOG": str(self._log),
            "FAULT_BELOW": str(self.path),
        }
        (self.path / ".aws").mkdir(parents=True)
        (self.path / ".aws" / "config").write_text("[default]\nregion = eu-west-1\n")
        (self.path / ".aws" / "credentials").write_text(
            "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = CANARY-other\n"
            f"[prod]\naws_access_key_id = {self.key}\naws_secret_access_key = CANARY-prod\n"
        )
        ours = self.path / ".config" / "docker-credential-ecr" / "config.toml"
        ours.parent.mkdir(parents=True)
        ours.write_text(
            '[[registry]]\nmatch = "*.dkr.ecr.us-east-1.amazonaws.com"\nprofile = "prod"\n'
        )
        self._entries: dict[Path, str] = {}
        self.old = ""  # the secret of the token that was on disk before

    def clean(self) -> None:
        """Forget everything that the program made; what the user wrote stays as it is."""
        shutil.rmtree(self.path / ".cache", ignore_errors=True)
        shutil.rmtree(self.path / ".local", ignore_errors=True)
        shutil.rmtree(self.docker.parent, ignore_errors=True)

    def keep_tokens(self, *, age: str = "") -> None:
        """Put a token for ``HOST`` and ``OTHER_ACCOUNT`` on disk; ``old`` is its secret.

        ``age`` is the time of the token that has just passed: ``refresh`` or ``renew``.
        """
        if not self._entries:
            for host in (HOST, OTHER_ACCOUNT):
                assert self.get(host).status == 0
                [path] = [p for p in (self.cache / host).iterdir() if p.name[0] != "."]
                self._entries[path] = path.read_text()
            self.clean()
        for path, text in self._entries.items():
            aged = _aged(text, age) if age else text
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            self.cache.chmod(0o700)
            path.write_text(aged)
            path.chmod(0o600)
            self.old = json.loads(text.rstrip("\n").rpartition("\n")[2])

    def run(self, *args: str, stdin: str = "", case: Case | None = None) -> Result:
        """Run with ``args``; with a ``case``, under its fault (number 0 only records)."""
        env = self.env
        if case is not None:
            self._state.write_bytes(bytes(8))
            self._log.write_bytes(b"")
            env = {**env, **self._fault_env, "FAULT_AT": str(case.number), "FAULT_DO": case.what}
        begun = time.monotonic()
        done = subprocess.run(
            [EXECUTABLE, *args],
            input=stdin.encode(),
            capture_output=True,
            env=env,
            timeout=LIMIT,
            check=False,
        )
        seconds = time.monotonic() - begun
        if case is not None:
            self.wait_for_all()
        hit = "".join(line[1:] for line in self.log() if line[0] == "!") if case else ""
        stdout, stderr = done.stdout.decode(), done.stderr.decode()
        return Result(done.returncode, stdout, stderr, seconds, hit)

    def get(self, host: str = HOST) -> Result:
        return self.run("get", stdin=host)

    def log(self) -> list[str]:
        """Return the lines of fault.c's log, with ``~`` for the home."""
        text = self._log.read_text(errors="replace").replace(str(self.path), "~")
        return text.splitlines()

    def calls(self) -> int:
        """How many tokens AWS was asked for by this home's identity."""
        return sum(c.operation == CALL and c.access_key == self.key for c in list(self.aws.calls))

    def wait_for_all(self) -> None:
        """Wait until no process of this home's is left: renewals behind an answer."""
        end = time.monotonic() + BEHIND
        while self.processes():
            assert time.monotonic() < end, "a process is left"
            time.sleep(0.02)

    def processes(self) -> list[int]:
        return processes_with(f"HOME={self.path}")


def _aged(text: str, age: str) -> str:
    """Return an entry whose time ``age`` passed a minute ago."""
    found = re.search(rf"^{age} (\d+)$", text, re.MULTILINE)
    assert found is not None
    shift = int(time.time()) - 60 - int(found[1])
    return re.sub(
        r"^(issued|refresh|renew|expires) (\d+)$",
        lambda line: f"{line[1]} {int(line[2]) + shift}",
        text,
        flags=re.MULTILINE,
    )


def cases(log: list[str]) -> list[Case]:
    """Return all that can go wrong in a run that wrote ``log``.

    Each call fails, is cut short and is the last. Of those that are made of the same thing again
    and again (a directory that is read, say) the first meets every error and a delay, the others
    one error each, in turn.
    """
    found = []
    seen: set[tuple[str, str]] = set()
    for line in log:
        number, kind, path = line.split(" ", 2)
        errors = [*ERRORS[kind]]
        if path.startswith("<"):
            errors.append(errno.EAGAIN)  # a pipe that does not block: to be asked again
        what = ["kill"]
        if (kind, path) in seen:
            errors = [errors[int(number) % len(errors)]]
        else:
            what.append("delay 100")
        seen.add((kind, path))
        if kind in ("read", "write"):
            what.append("short")
        what += [f"errno {error}" for error in errors]
        found += [Case(int(number), kind, path, one) for one in what]
    return found
