"""The simulations behind the published figures: what they count, and that ours loses no row."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from kit import TREE

sys.path.insert(0, str(TREE / "benchmarks"))

import fleet
import pods

NARROW = fleet.Quota("2/s, bursts of 20", 2, 20)  # a tenth of AWS's, for a tenth of the nodes


def made(
    rule: type[fleet.Node],
    quota: fleet.Quota,
    scene: fleet.Scene,
    *,
    every: float = 60.0,
    seed: int = 1,
) -> fleet.Row:
    return fleet.Fleet(rule, quota, scene, nodes=1000, every=every, seed=seed).run()


def test_quota_lets_a_burst_through_and_then_its_rate() -> None:
    """20 a second in bursts of 200: 200 at once, none more then, 20 more a second later."""
    aws = fleet.AWS(fleet.QUOTAS[1], fleet.Scene("", 60))

    at_once = [aws.call(0.0) for _ in range(300)]
    later = [aws.call(1.0) for _ in range(300)]

    assert at_once.count(fleet.OK) == 200
    assert later.count(fleet.OK) == 20
    assert (sum(aws.calls), sum(aws.throttled)) == (600, 380)


def test_outage_answers_nobody() -> None:
    """Every call of the outage fails, and takes nothing from the quota."""
    aws = fleet.AWS(fleet.QUOTAS[1], fleet.Scene("", 60, outage=(10, 20)))

    assert {aws.call(at) for at in (10.0, 15.0, 19.9)} == {fleet.FAILED}
    assert [aws.call(20.0) for _ in range(201)].count(fleet.OK) == 200


def test_same_seed_same_figures() -> None:
    """A published figure can be had again."""
    scene = dataclasses.replace(fleet.SCENES[0], end=fleet.HOUR)

    rows = [made(fleet.OurNode, NARROW, scene) for _ in range(2)]

    assert rows[0] == rows[1]


@pytest.mark.parametrize("every", [0.0, 60.0])
@pytest.mark.parametrize("scene", fleet.SCENES, ids=lambda scene: scene.name)
def test_ours_calls_less_and_fails_less(scene: fleet.Scene, every: float) -> None:
    """A thousand nodes under a tenth of the quota: never more calls or failed pulls than half-life."""
    scene = dataclasses.replace(scene, end=min(scene.end, 2 * fleet.DAY))
    theirs, ours = (made(rule, NARROW, scene, every=every) for rule in (fleet.Node, fleet.OurNode))

    assert ours.calls <= theirs.calls
    assert ours.failed <= theirs.failed
    assert ours.spare_wait <= 2


def test_pods_start_through_an_outage_by_the_tokens_time() -> None:
    """Answers kept for the token's time cost less and hold fewer pods than the session's."""
    session, _, token = (
        pods.measure(rule, fleet.QUOTAS[0], nodes=400, accounts=30, every=600, seed=1)
        for rule in pods.RULES
    )

    assert token.calls < session.calls / 6
    assert all(few < many / 3 for few, many in zip(token.held, session.held, strict=True))
