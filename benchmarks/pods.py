"""Pods' own roles: how often AWS is called, and which pods cannot start, by what the kubelet keeps.

From Kubernetes 1.35 on a pod whose image is already on the node starts only if the kubelet has an
answer for its service account: its own, kept one, or ours. Nothing of it is on disk, so there is no
old token to fall back on. Compared are answers kept until the role's session is about to end, as
long as its credentials last; until the token's own refresh time, as the node's are; and until half
of the token's life, as AWS's plugin does it.

One fleet in ``SHARE`` is simulated, with as small a part of the quota.

    python benchmarks/pods.py --nodes 10000 --accounts 30
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

from fleet import HOUR, KUBELET_PAUSE, LIFE, OK, QUOTAS, Calls, Fleet, OurNode, Quota, Scene

from docker_credential_ecr import schedule

SESSION = HOUR  # AssumeRoleWithWebIdentity, unless the role allows more and is asked for it
SHARE = 40  # one node in so many is simulated
WARM = 2 * HOUR  # before anything is counted
STEADY = 2 * HOUR  # counted, before the outage
OUTAGES = (1, 3)  # hours, each in a run of its own
AFTER = HOUR  # after an outage, that still counts as its doing


class Account(OurNode):
    """One service account on one node; a pod of it starts every now and then."""

    kept = "until the token's refresh time"
    cycle = 0.57 * LIFE  # seconds that an answer is kept, about: the first come spread over that

    def run(self, at: float) -> Calls:
        while at < self.fleet.scene.end:
            started = at  # the pod that is to start next
            back_off, most = KUBELET_PAUSE
            while True:
                done = yield from self.get(at)
                if self.got == OK:
                    break
                at = done + back_off
                back_off = min(2 * back_off, most)
                # Nor can those that come until then: the provider is not asked meanwhile.
                while started < at:
                    self.fleet.failed[int(started)] += 1
                    started = self.after(started)
            at = self.after(self.due)
        return at

    def keep(self, now: float) -> None:
        self.due, _ = schedule.times(int(now), int(now + LIFE), self.end(now), self.draw())

    def end(self, now: float) -> float | None:
        """Return the end of the credentials, as far as it matters."""
        del now
        return None


class SessionAccount(Account):
    kept = "until the role's session is about to end"
    cycle = 0.85 * SESSION

    def end(self, now: float) -> float | None:
        return now + SESSION


class HalfLifeAccount(Account):
    kept = "until half of the token's life (AWS's plugin)"
    cycle = LIFE / 2

    def get(self, at: float) -> Calls:
        at = yield from self.fetch(at)
        return at

    def keep(self, now: float) -> None:
        self.due = now + LIFE / 2


RULES: tuple[type[Account], ...] = (SessionAccount, HalfLifeAccount, Account)


@dataclasses.dataclass
class Row:
    """What one rule does to AWS and to pods; counts are of the whole fleet."""

    kept: str
    quota: str
    every: float  # seconds between two starts of an account's pods on a node
    calls: float  # an hour, of GetAuthorizationToken, and as many of AssumeRoleWithWebIdentity
    throttled: float  # an hour
    idle: float  # pods an hour that cannot start although AWS is well
    held: list[int]  # pods that could not start in an outage of so many hours (OUTAGES)


def measure(
    rule: type[Account], quota: Quota, *, nodes: int, accounts: int, every: float, seed: int
) -> Row:
    """Return the figures of one rule."""
    small = Quota(quota.name, quota.rate / SHARE, quota.burst / SHARE)
    begin = WARM + STEADY
    row = Row(rule.kept, quota.name, every, 0, 0, 0, [])
    for hours in OUTAGES:
        over = begin + hours * HOUR
        fleet = Fleet(
            rule,
            small,
            Scene("", over + AFTER, WARM, (begin, over)),
            nodes=nodes * accounts // SHARE,
            boot=rule.cycle + every,
            every=every,
            seed=seed,
        )
        fleet.run()
        share = SHARE * HOUR / STEADY
        row.calls = share * sum(fleet.aws.calls[WARM:begin])
        row.throttled = share * sum(fleet.aws.throttled[WARM:begin])
        row.idle = share * sum(fleet.failed[WARM:begin])
        row.held.append(SHARE * sum(fleet.failed[begin : over + AFTER]))
    return row


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=10000)
    parser.add_argument("--accounts", type=int, default=30, help="service accounts on each node")
    parser.add_argument(
        "--start-every",
        type=float,
        nargs="+",
        default=[600, 3600],
        help="seconds between two starts of one account's pods on one node",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{options.nodes:,} nodes with {options.accounts} service accounts each\n\n"
        "| quota | an account's pods start every | answers are kept | calls an hour | a second"
        " | throttled an hour | pods an hour that cannot start | in an outage of 1 h | of 3 h |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for quota in QUOTAS:
        for every in options.start_every:
            for rule in RULES:
                row = measure(
                    rule,
                    quota,
                    nodes=options.nodes,
                    accounts=options.accounts,
                    every=every,
                    seed=options.seed,
                )
                held = " | ".join(f"{count:,}" for count in row.held)
                print(
                    f"| {row.quota} | {every / 60:g} min | {row.kept} | {row.calls:,.0f}"
                    f" | {row.calls / HOUR:.1f} | {row.throttled:,.0f} | {row.idle:,.0f}"
                    f" | {held} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
