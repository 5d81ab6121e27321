"""How often AWS is asked again: one policy for every client of an answer, in place of botocore's.

botocore's own number of tries is one, as its default and its modes change from version to version.
What a user has set wins: a number of tries is ours to keep to, and with a retry mode
(AWS_RETRY_MODE, ``retry_mode``) botocore does it all by itself, and this policy nothing.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..deadline import Deadline

FAULT_CALLS = 3  # at most, for one answer, while AWS or the network fails
THROTTLED_CALLS = 3  # at most, for one answer, while AWS throttles us: more only prolong it
# Seconds, doubled at each try; the pause is drawn from zero up to that (full jitter), as those who
# failed together must not come back together. benchmarks/fleet.py shows what other numbers cost.
FAULT_PAUSE = 1.0
THROTTLE_PAUSE = 8.0
LONGEST_PAUSE = 16.0  # seconds
LEAST = 0.3  # seconds for a call: with less left there is no further try
_RETRY_AFTER = "x-amz-retry-after"  # milliseconds: what AWS asks us to wait
_RETRY_AFTER_LENGTH = 9  # digits, 11 days
_FAULTS = frozenset((500, 502, 503, 504))  # HTTP
_TOO_MANY = 429  # HTTP

THROTTLED = frozenset(
    (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
    )
)
# Not refusals: the service, or one behind it, did not answer in time.
TRANSIENT = frozenset(("RequestTimeout", "RequestTimeoutException", "IDPCommunicationError"))


class Retries:
    """The tries of one answer, over all the services that it needs.

    ``calls`` is the user's number of calls, ``None`` for ours.
    """

    def __init__(self, deadline: "Deadline", calls: int | None) -> None:
        self._deadline = deadline
        self._fault_calls = FAULT_CALLS if calls is None else calls
        self._throttled_calls = THROTTLED_CALLS if calls is None else calls
        self._again = 0  # tries after the first, of whatever kind

    def needs_retry(
        self, *, attempts: int, response: "Any", caught_exception: "Any", **_: "Any"
    ) -> float | None:
        """Return the seconds to wait before the next try, ``None`` if there is none.

        botocore's event of that name: ``attempts`` counts the calls so far, ``response`` is an HTTP
        response and what it says, or ``None`` after an exception.
        """
        throttled = response is not None and is_throttling(*response)
        if not throttled and not _is_fault(response, caught_exception):
            return None
        if self._again + 1 >= (self._throttled_calls if throttled else self._fault_calls):
            return None
        base = THROTTLE_PAUSE if throttled else FAULT_PAUSE
        pause = _draw() * min(base * float(2 ** (attempts - 1)), LONGEST_PAUSE)
        if response is not None:
            pause += _asked(response[0].headers.get(_RETRY_AFTER))
        if pause + LEAST > self._deadline.left:
            return None
        self._again += 1
        if throttled:
            self._deadline.doing("waiting, as AWS throttles this account")
        return pause


def is_throttling(http: "Any", said: "Any") -> bool:
    """Whether AWS refused a call only because there were too many."""
    return http.status_code == _TOO_MANY or code_of(said) in THROTTLED


def code_of(said: "Any") -> str:
    """Return the error code of what AWS said, or an empty string."""
    error = said.get("Error") if isinstance(said, dict) else None
    code = error.get("Code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _is_fault(response: "Any", error: "Any") -> bool:
    """Whether nobody answered, or could: neither a refusal nor a mistake of ours."""
    if response is not None:
        http, said = response
        return http.status_code in _FAULTS or code_of(said) in TRANSIENT
    import botocore.exceptions as aws

    cause = getattr(error, "kwargs", {}).get("error")
    if isinstance(error, aws.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return False  # as it will be the next time
    # A plain HTTPClientError wraps whatever came up, such as a reply that is too large.
    return isinstance(error, aws.ConnectionError | aws.HTTPClientError) and (
        type(error) is not aws.HTTPClientError
    )


def _asked(milliseconds: str | None) -> float:
    """Return the seconds that AWS asks us to wait, zero where it says nothing that makes sense."""
    if milliseconds is None or not milliseconds.isdecimal():
        return 0.0
    return int(milliseconds[:_RETRY_AFTER_LENGTH]) / 1000


def _draw() -> float:
    """Return a random number from 0 up to 1."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
