"""The same faults on AWS's own helper, 0.12: what was observed, printed.

Builds it from its Go module, outside of this tree, and runs it against FakeAWS. Go makes its calls
without libc, so a preloaded library does not see them: strace injects the faults. Needs go and
strace.

    python tests/faults/aws_helper.py
"""

# ruff: noqa: T201 - it is there to print

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "kit"))

import rivals
from fake_aws import FakeAWS

_AREAS = ("us-east", "us-west", "eu-west", "eu-central", "ap-northeast", "ap-southeast", "ap-south")
HOSTS = [f"123456789012.dkr.ecr.{area}-{n}.amazonaws.com" for n in (1, 2, 3) for area in _AREAS][
    :20
]
HOST = HOSTS[0]
TOKEN = "eyJ"  # how every password begins
PATIENCE = 40  # seconds for what may never end
CALL = "GetAuthorizationToken"


class Home:
    """A home of its own, and the helper in it."""

    def __init__(self, folder: Path, binary: Path, aws: FakeAWS) -> None:
        self.path = folder
        self.cache = folder / ".ecr" / "cache.json"
        self.binary = binary
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIAX",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, host: str = HOST, action: str = "get", inject: str = "", at: str = "") -> str:
        """Return the exit code and whether a token came; ``inject`` is strace's, ``at`` a path."""
        wrap = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={inject}"]
        wrap += ["-P", at] if at else []
        command = [*(wrap if inject else []), str(self.binary), action]
        try:
            done = subprocess.run(
                command,
                input=host.encode(),
                capture_output=True,
                env=self.env,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end within {PATIENCE} s"
        came = "a token" if TOKEN in done.stdout.decode() else "no token"
        return f"exit {done.returncode}, {came}"

    def kept(self) -> int:
        """Return how many tokens the cache holds."""
        try:
            return len(json.loads(self.cache.read_text())["Registries"])
        except (OSError, ValueError):
            return 0

    def leftovers(self) -> int:
        """Return how many temporary files lie about that hold a token."""
        files = [path for path in self.cache.parent.glob(".config.json.tmp*") if path.is_file()]
        return sum(b"AuthorizationToken" in path.read_bytes() for path in files)

    def fill(self, count: int = 3) -> None:
        """Fetch tokens for some hosts, one after another."""
        for host in HOSTS[:count]:
            self.run(host)

    def age(self, hours: int) -> None:
        """Make every token older."""
        data = json.loads(self.cache.read_text())
        for entry in data["Registries"].values():
            for key in ("RequestedAt", "ExpiresAt"):
                then = time.strptime(entry[key][:19], "%Y-%m-%dT%H:%M:%S")
                moved = time.gmtime(time.mktime(then) - hours * 3600)
                entry[key] = time.strftime("%Y-%m-%dT%H:%M:%SZ", moved)
        self.cache.write_text(json.dumps(data))


def observe(folder: Path, binary: Path) -> None:  # noqa: PLR0915 - one paragraph a fault
    """Try each fault in a home of its own, and print what comes of it."""

    def home(aws: FakeAWS, name: str) -> Home:
        place = folder / name
        place.mkdir()
        return Home(place, binary, aws)

    with FakeAWS() as aws:
        it = home(aws, "modes")
        it.fill(1)
        for path in sorted(it.path.rglob("*")):
            print(f"mode {path.stat().st_mode & 0o777:03o} {path.relative_to(it.path)}")

        for error in ("EIO", "EMFILE", "EACCES"):
            it = home(aws, f"open-{error}")
            it.fill()
            said = it.run(HOSTS[9], inject=f"openat:error={error}:when=1", at=str(it.cache))
            print(
                f"cache cannot be opened, {error}: {said}; of 3 tokens {min(it.kept() - 1, 3)} are left"
            )

        it = home(aws, "read")
        it.fill()
        said = it.run(HOSTS[9], inject="read:error=EIO:when=1", at=str(it.cache))
        print(f"cache cannot be read, EIO: {said}; of 3 tokens {it.kept() - 1} are left")

        for call in ("renameat", "unlinkat"):
            it = home(aws, call)
            it.fill(1)
            said = it.run(HOSTS[9], inject=f"{call}:error=EIO")
            print(
                f"{call} fails: {said}; {it.leftovers()} temporary file with tokens left, {it.kept()} kept"
            )
        it = home(aws, "kill")
        it.fill(1)
        said = it.run(HOSTS[9], inject="renameat:signal=SIGKILL")
        for host in HOSTS[10:13]:
            it.run(host)
        print(
            f"killed at the rename: {said}; {it.leftovers()} temporary file with tokens left after three more gets"
        )

        aws.delay = 0.3  # as the network has
        it = home(aws, "herd")
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(it.run, HOSTS))
        print(f"20 registries at once: {it.kept()} of 20 tokens kept")
        it = home(aws, "same")
        before = aws.count(CALL)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(it.run, [HOST] * 20))
        print(f"one registry, 20 at once: {aws.count(CALL) - before} calls")
        aws.delay = 0.0

        it = home(aws, "link")
        (it.path / "elsewhere").mkdir()
        (it.path / ".ecr").symlink_to("elsewhere")
        print(
            f"~/.ecr is a link: {it.run()}; written through it: {(it.path / 'elsewhere/cache.json').exists()}"
        )
        it = home(aws, "wide")
        it.fill(1)
        it.cache.chmod(0o666)
        if os.geteuid() == 0:
            os.chown(it.cache, 12345, 12345)
        before = aws.count(CALL)
        print(f"cache.json of another user, mode 666: {it.run()}, {aws.count(CALL) - before} calls")

        for hours, what in ((7, "past half of its life"), (13, "expired")):
            for fault in ({"status": 400, "code": "AccessDeniedException"}, {"status": 500}):
                it = home(aws, f"age-{hours}-{fault['status']}")
                it.fill(1)
                it.age(hours)
                aws.fault(CALL, **fault)
                before = aws.count(CALL)
                said = it.run()
                calls = aws.count(CALL) - before
                print(f"a token {what}, AWS says {fault.get('code', 500)}: {said}, {calls} calls")
                aws.reset()

        it = home(aws, "erase")
        it.fill(1)
        print(f"erase: {it.run(action='erase')}; {it.kept()} of 1 tokens kept")
        aws.fault(CALL, hang=True)
        it = home(aws, "hang")
        print(f"AWS does not answer: {it.run()}")
        aws.clear()


def main() -> None:
    """Build it, and observe."""
    for tool in ("go", "strace"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="aws-helper.") as folder:
        binary = rivals.build(rivals.HELPER, Path(folder) / "bin")
        observe(Path(folder), binary)


if __name__ == "__main__":
    main()
