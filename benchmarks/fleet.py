"""A fleet under a virtual clock: how often it calls AWS, and whose pulls fail or wait.

Nodes pull from one registry, and AWS answers, throttles, or is out. Rows are

- the boot: all nodes come up within a minute, and none has a token;
- a steady week after it;
- a day with an outage of an hour, in which every call gets a 500 and a fiftieth of the nodes comes
  up anew: once when the half-life rule is due everywhere, once halfway between two such times;

under each of the two quotas that AWS publishes for GetAuthorizationToken, with pulls that follow
one another without a pause, and with one a minute. Compared are our rule, whose times and pauses
are the package's own, and a renewal at exactly half of the token's life, before the answer, with
botocore's standard retries, that serves the old token while it is valid.

    python benchmarks/fleet.py --nodes 10000
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import random
import sys
from array import array
from collections.abc import Generator
from pathlib import Path
from typing import Final

from docker_credential_ecr import deadline, renewal, schedule
from docker_credential_ecr.ecr import retries

MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
LIFE = 12 * HOUR  # an ECR token's
BOOT = MINUTE  # within which all nodes boot
LATENCY = 0.05  # seconds that a call takes, whatever its answer
PULL = 30.0  # seconds that a pull takes after its `get`; then the next one comes
KUBELET_PAUSE = (10.0, 300.0)  # seconds: the kubelet's back-off after a failed pull, first and most
# An instance role: how long its credentials live when they are new, and how long they stay the same.
ROLE_LIFE, ROLE_TURN = 6 * HOUR, HOUR

# botocore's standard retries: calls for one request, and the full jitter between them in seconds
# (botocore.retries.standard, 1.44): `scale * 2 ** count`, at most 20.
SDK_TRIES, SDK_THROTTLED, SDK_FAILED, SDK_MOST = 3, 1.0, 0.05, 20.0

OK, THROTTLED, FAILED = range(3)  # what a call gets

Calls = Generator[float, int, float]  # yields when it calls, is sent what it gets, returns when


@dataclasses.dataclass(frozen=True)
class Quota:
    """What AWS lets an account call in a region: ``rate`` a second, ``burst`` at once."""

    name: str
    rate: float
    burst: float


QUOTAS = (
    Quota("500/s", 500, 500),  # Service Quotas L-55A41110, adjustable; no burst named
    Quota("20/s, bursts of 200", 20, 200),  # ECR's page on throttling
)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What happens, from the boot at 0, in seconds; figures are of ``first`` to ``end``."""

    name: str
    end: int
    first: int = 0
    outage: tuple[int, int] = (0, 0)
    newcomers: float = 0.0  # of the nodes, that come up anew during the outage


SCENES = (
    Scene("boot within a minute", 2 * HOUR),
    Scene("steady week", 2 * HOUR + 7 * DAY, 2 * HOUR),
    # The half-life rule is due everywhere at every sixth hour, as at the boot.
    Scene("outage when half-life is due", 2 * DAY, DAY, (30 * HOUR, 31 * HOUR), 0.02),
    Scene("outage halfway between", 2 * DAY, DAY, (27 * HOUR, 28 * HOUR), 0.02),
)


class AWS:
    """The service: a bucket of ``burst`` calls, filled at ``rate`` a second, but for the outage."""

    def __init__(self, quota: Quota, scene: Scene) -> None:
        self.quota = quota
        self.begin, self.over = scene.outage
        self.level, self.at = quota.burst, 0.0
        slots = bytes(8 * (scene.end + HOUR))  # an hour more: a last request may run over the end
        self.calls, self.throttled = array("L", slots), array("L", slots)  # by second

    def is_out(self, now: float) -> bool:
        return self.begin <= now < self.over

    def call(self, now: float) -> int:
        """Return what a call gets; calls must come in the order of time, but for the outage's."""
        self.calls[int(now)] += 1
        if self.is_out(now):
            return FAILED
        self.level = min(self.quota.burst, self.level + (now - self.at) * self.quota.rate)
        self.at = now
        if self.level < 1:
            self.throttled[int(now)] += 1
            return THROTTLED
        self.level -= 1
        return OK


class Node:
    """One machine, one rule: its token's times (0 while it has none), and one pull after another."""

    name = "half-life"

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.draw = fleet.random.random
        self.due = self.expires = 0.0
        self.got = FAILED

    def run(self, at: float) -> Calls:
        """Pull from ``at`` to the end: a generator of the times of calls, which is sent the answers."""
        fleet = self.fleet
        at = began = self.after(at)
        back_off, most = KUBELET_PAUSE
        while at < fleet.scene.end:
            spare = at < self.expires
            done = yield from self.get(at)
            if self.got == OK or done < self.expires:
                fleet.waited(began, done, spare=spare)
                at = began = self.next_pull(at, done)
                back_off = KUBELET_PAUSE[0]
            else:
                fleet.failed[int(done)] += 1
                at = done + back_off
                back_off = min(2 * back_off, most)
        return at

    def get(self, at: float) -> Calls:
        """Ask for a token; return when that is answered, with the result in ``got``."""
        at = yield from self.fetch(at)
        return at

    def fetch(self, at: float) -> Calls:
        """Call AWS as botocore's standard retries do."""
        for count in range(SDK_TRIES):
            yield from self.call(at)
            at += LATENCY
            if self.got == OK:
                self.keep(at)
                break
            if count < SDK_TRIES - 1:
                scale = SDK_THROTTLED if self.got == THROTTLED else SDK_FAILED
                at += self.draw() * min(SDK_MOST, scale * 2**count)
        return at

    def call(self, at: float) -> Calls:
        aws = self.fleet.aws
        # During the outage the order of calls does not matter: the clock need not be asked.
        self.got = aws.call(at) if aws.is_out(at) else (yield at)
        return at

    def keep(self, now: float) -> None:
        """Keep the token that came at ``now``."""
        self.due = now + LIFE / 2
        self.expires = now + LIFE

    def next_pull(self, begun: float, done: float) -> float:
        """Return when the first pull comes that has to call, or just the next one if that may be."""
        del begun
        if self.due > done:
            return self.after(self.due)
        return self.after(done) if self.fleet.every else done + PULL

    def after(self, at: float) -> float:
        """Return when the first pull comes after ``at``: pulls at random have no memory."""
        every = self.fleet.every
        return at + self.fleet.random.expovariate(1 / every) if every else at


class OurNode(Node):
    """Our rule: renewed behind the answer, one call while a token is valid, then a pause."""

    name = "ours"

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self.renew = 0.0
        self.pause = 0.0  # of the claim that is held

    def get(self, at: float) -> Calls:
        self.pause = 0.0
        if at >= self.expires:
            until = at + deadline.TIMEOUT
            at = yield from self.tries(at, retries.FAULT_CALLS, retries.THROTTLED_CALLS, until)
            return at
        self.pause = schedule.pause(at, int(self.expires), self.draw())
        behind = at < self.renew
        done = yield from self.tries(at, 1, 1, at + renewal.SPARE_SHARE * deadline.TIMEOUT)
        return at if behind else done

    def tries(self, at: float, failed: int, throttled: int, until: float) -> Calls:
        """Call up to ``failed`` times while AWS is out, ``throttled`` while it says so."""
        count = 0
        while True:
            yield from self.call(at)
            at += LATENCY
            count += 1
            if self.got == OK:
                self.keep(at)
                return at
            is_throttling = self.got == THROTTLED
            base = retries.THROTTLE_PAUSE if is_throttling else retries.FAULT_PAUSE
            pause = self.draw() * min(base * 2 ** (count - 1), retries.LONGEST_PAUSE)
            calls = throttled if is_throttling else failed
            if count >= calls or at + pause + retries.LEAST > until:
                return at
            at += pause

    def keep(self, now: float) -> None:
        self.expires = now + LIFE
        end = now + ROLE_LIFE - ROLE_TURN * self.draw() if self.fleet.role else None
        self.due, self.renew = schedule.times(int(now), int(self.expires), end, self.draw())
        self.pause = 0.0

    def next_pull(self, begun: float, done: float) -> float:
        # What comes before the claim's end is served and calls nobody.
        if self.pause:
            return self.after(max(begun + self.pause, done))
        return self.after(max(self.due, done))


@dataclasses.dataclass
class Row:
    """The figures of one rule in one scene."""

    rule: str
    quota: str
    scene: str
    every: float  # seconds between two pulls of a node; 0: one follows the other
    role: bool
    calls: int
    peak: int  # calls in the worst second
    throttled: int
    failed: int  # pulls, each try of the kubelet counted
    spare_wait: float  # seconds, the longest of a pull with a valid token at hand
    bare_wait: float  # seconds, of one without, until the kubelet's last try is answered


class Fleet:
    """All nodes under one rule, and the virtual clock that drives them."""

    def __init__(
        self,
        rule: type[Node],
        quota: Quota,
        scene: Scene,
        *,
        nodes: int,
        boot: float = BOOT,
        every: float,
        role: bool = False,
        seed: int,
    ) -> None:
        self.rule, self.scene, self.every, self.role = rule, scene, every, role
        self.random = random.Random(seed)
        self.aws = AWS(quota, scene)
        self.failed = array("L", bytes(8 * (scene.end + HOUR)))  # pulls, by second
        self.spare_wait = self.bare_wait = 0.0
        begin, over = scene.outage
        starts = [self.random.uniform(0, boot) for _ in range(nodes)]
        newcomers = int(nodes * scene.newcomers)
        starts += [self.random.uniform(begin, over) for _ in range(newcomers)]
        self.runs = [rule(self).run(start) for start in starts]

    def run(self) -> Row:
        events: list[tuple[float, int]] = []
        for number, run in enumerate(self.runs):
            self._go_on(run, None, events, number)
        while events:
            at, number = heapq.heappop(events)
            self._go_on(self.runs[number], self.aws.call(at), events, number)
        span = slice(self.scene.first, self.scene.end)
        return Row(
            rule=self.rule.name,
            quota=self.aws.quota.name,
            scene=self.scene.name,
            every=self.every,
            role=self.role,
            calls=sum(self.aws.calls[span]),
            peak=max(self.aws.calls[span]),
            throttled=sum(self.aws.throttled[span]),
            failed=sum(self.failed[span]),
            spare_wait=self.spare_wait,
            bare_wait=self.bare_wait,
        )

    def waited(self, began: float, done: float, *, spare: bool) -> None:
        if began < self.scene.first:
            return
        if spare:
            self.spare_wait = max(self.spare_wait, done - began)
        else:
            self.bare_wait = max(self.bare_wait, done - began)

    def _go_on(
        self, run: Calls, got: int | None, events: list[tuple[float, int]], number: int
    ) -> None:
        try:
            at = next(run) if got is None else run.send(got)
        except StopIteration:
            return
        if at < self.scene.end:
            heapq.heappush(events, (at, number))


def compare(
    quota: Quota, scene: Scene, *, nodes: int, every: float, role: bool, seed: int
) -> tuple[Row, Row]:
    """Return the figures of the half-life rule and of ours."""
    theirs, ours = (
        Fleet(rule, quota, scene, nodes=nodes, every=every, role=role, seed=seed).run()
        for rule in (Node, OurNode)
    )
    return theirs, ours


def is_lost(theirs: Row, ours: Row) -> bool:
    """Whether ours calls more, or fails more pulls: as many is as good where none fails."""
    return (
        ours.calls > theirs.calls
        or ours.failed > theirs.failed
        or (ours.failed == theirs.failed > 0)
    )


HEAD: Final = (
    "| quota | scene | pulls | rule | calls | peak, calls/s | throttled | failed pulls"
    " | longest wait: token at hand, none | |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def line(row: Row, verdict: str) -> str:
    """Return the row as Markdown."""
    pulls = f"one in {row.every:g} s" if row.every else "always one"
    scene = row.scene + (", instance role" if row.role else "")
    return (
        f"| {row.quota} | {scene} | {pulls} | {row.rule} | {row.calls:,} | {row.peak:,}"
        f" | {row.throttled:,} | {row.failed:,} | {row.spare_wait:,.1f} s, {row.bare_wait:,.0f} s"
        f" | {verdict} |"
    )


def main() -> int:
    """Print a table of both rules; the exit code says whether ours loses a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=10000)
    parser.add_argument("--pull-every", type=float, nargs="+", default=[0, 60], help="seconds")
    parser.add_argument(
        "--role",
        action="store_true",
        help="the end of an instance role's credentials bounds our renewals, too",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the rows there as JSON, too")
    options = parser.parse_args()
    rows: list[Row] = []
    lost = 0
    print(f"{options.nodes:,} nodes\n\n{HEAD}", flush=True)
    for quota in QUOTAS:
        for scene in SCENES:
            for every in options.pull_every:
                pair = compare(
                    quota,
                    scene,
                    nodes=options.nodes,
                    every=every,
                    role=options.role,
                    seed=options.seed,
                )
                verdict = "lost" if is_lost(*pair) else ""
                lost += bool(verdict)
                rows += pair
                print(line(pair[0], ""), line(pair[1], verdict), sep="\n", flush=True)
    if options.write:
        made = [dataclasses.asdict(row) for row in rows]
        options.write.write_text(json.dumps(made, indent=2) + "\n")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
