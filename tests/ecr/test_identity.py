"""Who refuses, and who has merely ended: the class of a failure decides what becomes of a token."""

from __future__ import annotations

from fake_aws import FakeAWS
from kit import Helper


def test_nobody_asked_for_a_registry_called_sts(helper: Helper) -> None:
    """Without credentials `token` and `doctor` name what they are for: no registry is invented."""
    said = helper("token")

    assert said.status == 1
    assert "no AWS credentials for the caller's identity: " in said.stderr
    assert '"sts"' not in said.stderr + helper("doctor", "--offline").stdout


def test_the_callers_identity_that_is_refused(aws: FakeAWS, helper: Helper) -> None:
    """A refusal of GetCallerIdentity is said of the caller's identity, not of a registry."""
    aws.fault("GetCallerIdentity", status=403, code="InvalidClientTokenId", message="CANARY")

    said = helper("token")

    assert said.status == 1
    assert "cannot get the caller's identity: AWS does not accept the access key" in said.stderr
