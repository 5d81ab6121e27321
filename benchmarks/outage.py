"""An outage on one node: how long pulls wait, and how often AWS is called.

The installed executable is asked for a token ``--pulls`` times a minute, in herds, while a loopback
AWS answers with a 500, throttles, or does not answer at all. A valid token is on disk: one that is
renewed behind the answer, or one past ``renew``, which is renewed before it. The minutes are not
waited for: after each herd everything on disk is made older. Then the same with nothing on disk,
once: nobody can be answered, and the question is what that costs.

    python benchmarks/outage.py --minutes 60      # an hour; needs the project installed
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "kit"))

from fake_aws import FakeAWS
from kit import CALL, HOST, HOUR, SYSTEM_PATH, Helper, age, entries

HERD = 10  # pulls at once
LIMIT = 2.0  # seconds, the longest that a pull with a valid token may wait
BARE_LIMIT = 25.0  # seconds, the longest for one without: docker_credential_ecr.deadline.TIMEOUT
SETTLE = 30.0  # seconds within which what runs behind the answers has ended

WELL = "well"
FAULTS: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "throttled": {"status": 400, "code": "ThrottlingException"},
    "no answer": {"hang": True},
}
# Where the token stands: seconds since `renew` (negative: until then), and seconds until it expires.
STATES = {"due, renewed behind": (-HOUR, 3 * HOUR), "past renew": (60, 3 * HOUR)}
BARE = "none, one herd"


@dataclasses.dataclass
class Figures:
    """What pulls saw of an outage. Times are seconds."""

    pulls: int
    failed: int
    calls: int  # GetAuthorizationToken
    waits: list[float]


class Lab:
    """A home with a token in it, and the AWS that issued it."""

    def __init__(self, folder: Path, aws: FakeAWS) -> None:
        self.aws = aws
        self.cache = folder / ".cache" / "docker-credential-ecr"
        self.helper = Helper(
            {
                "PATH": SYSTEM_PATH,
                "HOME": str(folder),
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_ACCESS_KEY_ID": "AKIATEST",
                "AWS_SECRET_ACCESS_KEY": "secret",
            }
        )

    def pull(self, _: int = 0) -> tuple[float, bool]:
        """Return the seconds that a `get` took, and whether it was answered."""
        begun = time.monotonic()
        status = self.helper.get().status
        return time.monotonic() - begun, status == 0

    def herds(self, minutes: int, pulls: int) -> Figures:
        """Pull for so many minutes of the clock on disk."""
        figures = Figures(0, 0, 0, [])
        size = min(HERD, pulls)
        herds = pulls // size
        with ThreadPoolExecutor(size) as pool:
            for _ in range(minutes * herds):
                for waited, answered in pool.map(self.pull, range(size)):
                    figures.pulls += 1
                    figures.failed += not answered
                    figures.waits.append(waited)
                self.grow_older(60 / herds)
        return figures

    def stand(self, renew: int, expires: int) -> None:
        """Put a token on disk that has been renewable for ``renew`` s, and lives ``expires`` s."""
        # An answer does not wait for a disk that is busy, and is then not kept.
        while not (self.cache / HOST).is_dir() or not entries(self.cache):
            assert self.pull()[1], "there is no token to begin with"
        (entry,) = entries(self.cache)
        now = int(time.time())
        times = {
            "issued": now - 9 * HOUR,
            "refresh": now - 2 * 60,
            "renew": now - renew,
            "expires": now + expires,
        }
        lines = entry.read_text().split("\n")
        for number, line in enumerate(lines):
            key = line.partition(" ")[0]
            if key in times:
                lines[number] = f"{key} {times.pop(key)}"
        entry.write_text("\n".join(lines))

    def grow_older(self, seconds: float) -> None:
        """Move the clock of what is on disk."""
        for entry in entries(self.cache) if (self.cache / HOST).is_dir() else ():
            age(entry, round(seconds))
            # Claims end at their time of modification.
            for claim in (self.cache / HOST).glob(".*.renewal"):
                state = claim.stat()
                os.utime(claim, (state.st_atime, state.st_mtime - round(seconds)))

    def settled(self) -> int:
        """Return the calls, when what runs behind the answers has made its own."""
        end = time.monotonic() + SETTLE
        seen = -1
        while seen != self.aws.count(CALL) and time.monotonic() < end:
            seen = self.aws.count(CALL)
            time.sleep(3.0)  # longer than any pause between two calls of one renewal
        return seen


def outage(
    fault: dict[str, object] | None, state: tuple[int, int] | None, minutes: int, pulls: int
) -> Figures:
    """Return what pulls see of ``fault``, if any; without ``state`` there is no token, and one herd."""
    with tempfile.TemporaryDirectory() as folder, FakeAWS() as aws:
        lab = Lab(Path(folder), aws)
        if state is not None:
            lab.stand(*state)
        aws.reset()
        if fault is not None:
            aws.fault(CALL, **fault)
        figures = lab.herds(minutes, pulls) if state is not None else lab.herds(1, HERD)
        figures.calls = lab.settled()
        return figures


def line(name: str, state: str, figures: Figures) -> str:
    """Return a row of the table."""
    waits = sorted(figures.waits)
    return (
        f"| {name} | {state} | {figures.pulls:,} | {figures.failed:,} | {figures.calls:,}"
        f" | {statistics.median(waits) * 1000:,.0f} ms, {waits[int(0.99 * len(waits))]:.2f} s,"
        f" {waits[-1]:.2f} s |"
    )


def main() -> int:
    """Print the table; the exit code says whether a pull failed or waited for too long."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=6, help="of the outage")
    parser.add_argument("--pulls", type=int, default=200, help="in each minute")
    parser.add_argument("--fault", nargs="*", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    print(
        f"An outage of {options.minutes} min, {options.pulls} pulls a minute, {HERD} at once\n\n"
        "| AWS | the token on disk | pulls | failed | calls | wait: median, 99 %, longest |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    figures = outage(None, (-2 * HOUR, 3 * HOUR), 1, options.pulls)
    print(line(WELL, "due, renewed behind", figures), flush=True)
    kept = True
    for name in options.fault:
        for state, times in STATES.items():
            figures = outage(FAULTS[name], times, options.minutes, options.pulls)
            kept = kept and not figures.failed and max(figures.waits) <= LIMIT
            print(line(name, state, figures), flush=True)
        figures = outage(FAULTS[name], None, options.minutes, options.pulls)
        kept = kept and max(figures.waits) <= BARE_LIMIT + LIMIT
        print(line(name, BARE, figures), flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
