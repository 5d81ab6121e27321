"""A fleet under a virtual clock: how often it calls AWS, and whether a pull ever fails for it.

Nodes boot within a minute and pull from one registry for a week. AWS lets an account call
GetAuthorizationToken 20 times a second in a region, in bursts of 200; more is throttled. The times
of renewal are the real policy's (``docker_credential_ecr.tokens.schedule``), the pauses of a
throttled call those of ``docker_credential_ecr.ecr``; compared with a renewal at half of the token's
life, exactly, before the answer, as AWS's helper does it.

A pull that comes while a token is due is what makes a call, so nodes pull at random, every
``--pull-every`` seconds on average. 0 is the worst case: a pull is always waiting.

    python benchmarks/fleet.py --nodes 10000 --days 7
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import random
import statistics
import sys
from collections import Counter
from pathlib import Path

from docker_credential_ecr import ecr, tokens

LIFE = 12 * 3600  # seconds, an ECR token's
RATE, BURST = 20.0, 200.0  # calls a second, and at once: AWS's quota for one account and region
BOOT = 60.0  # seconds within which all nodes boot
LATENCY = 0.05  # seconds that a call takes
SDK_TRIES = 3  # botocore's and the Go SDK's standard retries: this many calls for one request
KUBELET_PAUSE = (10.0, 300.0)  # seconds: the kubelet's back-off after a failed pull, first and most


class Throttle:
    """AWS's side: a bucket of ``BURST`` calls, filled at ``RATE`` a second."""

    def __init__(self) -> None:
        self.level, self.at = BURST, 0.0
        self.calls: Counter[int] = Counter()  # per second, throttled ones included
        self.throttled = 0

    def call(self, now: float) -> bool:
        self.level = min(BURST, self.level + (now - self.at) * RATE)
        self.at = now
        self.calls[int(now)] += 1
        if self.level < 1:
            self.throttled += 1
            return False
        self.level -= 1
        return True


@dataclasses.dataclass
class Node:
    """One machine: its token's times, and the try that is under way."""

    booted: float
    refresh: float = 0.0
    renew: float = 0.0
    expires: float = 0.0
    started: float = 0.0  # of the request under way
    tries: int = 0
    pause: float = 0.5
    back_off: float = KUBELET_PAUSE[0]
    waited: float | None = None  # seconds from boot to the first answer


class Fleet:
    """All nodes, one policy, one throttle, and the virtual clock that drives them."""

    def __init__(self, policy: str, nodes: int, days: float, pull_every: float, seed: int) -> None:
        self.policy = policy
        self.end = days * 86400
        self.pull_every = pull_every
        self.random = random.Random(seed)
        self.throttle = Throttle()
        self.failed_boot = self.failed_later = 0
        self.nodes = [Node(self.random.uniform(0, BOOT)) for _ in range(nodes)]
        self.events = [(node.booted, number) for number, node in enumerate(self.nodes)]
        heapq.heapify(self.events)
        for node in self.nodes:
            node.started = node.booted

    def run(self) -> dict[str, object]:
        while self.events and self.events[0][0] < self.end:
            now, number = heapq.heappop(self.events)
            after = self._call(self.nodes[number], now)
            heapq.heappush(self.events, (after, number))
        waited = sorted(node.waited for node in self.nodes if node.waited is not None)
        settled = int(max(n.booted + (n.waited or 0) for n in self.nodes)) + 1
        later = [count for second, count in self.throttle.calls.items() if second > settled]
        return {
            "policy": self.policy,
            "nodes": len(self.nodes),
            "pull every, s": self.pull_every,
            "calls": sum(self.throttle.calls.values()),
            "boot over after, s": settled,
            "peak calls/s after the boot": max(later, default=0),
            "mean calls/s after the boot": round(sum(later) / (self.end - settled), 2),
            "pulls failed, boot": self.failed_boot,
            "pulls failed, later": self.failed_later,
            "boot wait, s": {
                "median": round(statistics.median(waited), 1),
                "95 %": round(waited[int(0.95 * len(waited))], 1),
                "most": round(waited[-1], 1),
            },
        }

    def _call(self, node: Node, now: float) -> float:
        """Make one call; return when the node makes its next one."""
        node.tries += 1
        if self.throttle.call(now):
            return self._answered(node, now + LATENCY)
        if node.tries % SDK_TRIES:
            return now + LATENCY + self.random.random() * 2 ** (node.tries % SDK_TRIES - 1)
        if self.policy == "ours":
            node.pause = min(2 * node.pause, ecr.THROTTLE_PAUSE)
            after = now + LATENCY + node.pause * self.random.random()
            if after < node.started + tokens.PATIENCE * tokens.TIMEOUT:
                return after
        return self._gave_up(node, now + LATENCY)

    def _answered(self, node: Node, now: float) -> float:
        if node.waited is None:
            node.waited = now - node.booted
        node.expires = now + LIFE
        if self.policy == "ours":
            node.refresh, node.renew = tokens.schedule(
                int(now), int(node.expires), None, self.random.random()
            )
        else:
            node.refresh = node.renew = now + LIFE / 2
        return self._next_pull(node, node.refresh)

    def _gave_up(self, node: Node, now: float) -> float:
        if now >= node.expires:  # nothing to fall back on: the pull fails, the kubelet tries again
            if node.waited is None:
                self.failed_boot += 1
            else:
                self.failed_later += 1
            after = now + node.back_off
            node.back_off = min(2 * node.back_off, KUBELET_PAUSE[1])
            self._begin(node, after)
            return after
        if self.policy == "ours" and now < node.renew:  # behind an answer: once in a while
            pause = tokens.CLAIM_LIFE + self.random.randrange(256)
            return self._next_pull(node, now + pause)
        return self._next_pull(node, now + 1)

    def _next_pull(self, node: Node, due: float) -> float:
        """Return when the first pull comes after ``due``: pulls at random have no memory."""
        after = due
        if self.pull_every:
            after += self.random.expovariate(1 / self.pull_every)
        self._begin(node, after)
        node.back_off = KUBELET_PAUSE[0]
        return after

    def _begin(self, node: Node, at: float) -> None:
        node.started, node.tries, node.pause = at, 0, 0.5


def main() -> int:
    """Print a table for both policies; the exit code says whether ours keeps its promises."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--pull-every", type=float, nargs="+", default=[0, 60], help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the rows there as JSON, too")
    options = parser.parse_args()
    rows = []
    print(
        "| nodes | pull every | rule | calls | peak calls/s after the boot | failed pulls:"
        " boot, later | wait at boot: median, 95 %, most |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    kept = True
    for nodes in options.nodes:
        for pull_every in options.pull_every:
            pair = [
                Fleet(policy, nodes, options.days, pull_every, options.seed).run()
                for policy in ("half-life", "ours")
            ]
            rows += pair
            for row in pair:
                wait = row["boot wait, s"]
                print(
                    f"| {nodes:,} | {pull_every:g} s | {row['policy']} | {row['calls']:,} "
                    f"| {row['peak calls/s after the boot']} "
                    f"| {row['pulls failed, boot']:,}, {row['pulls failed, later']:,} "
                    f"| {wait['median']:,} s, {wait['95 %']:,} s, {wait['most']:,} s |"
                )
            theirs, ours = (row["peak calls/s after the boot"] for row in pair)
            kept = kept and pair[1]["pulls failed, later"] == 0
            print(
                f"\n{nodes:,} nodes, a pull every {pull_every:g} s: the peak is"
                f" {theirs / max(ours, 1):.1f} times lower\n",
                file=sys.stderr,
            )
    if options.write:
        options.write.write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
