"""A plugin of coverage.py that measures threads started by ``_thread``, too.

coverage.py follows what ``threading`` starts (``threading.settrace``); a bare thread has no trace
function on Python 3.11. The package starts one around each answer, as ``threading`` costs a third
of a hit (see ``cache.in_time``), so without this a third of what the tests run counts as not run.

make test copies it into the environment of the tests, where every measured process finds it.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any


def coverage_init(reg: object, options: object) -> None:
    """Let bare threads be traced as others are. Called by coverage.py in each process."""
    bare = _thread.start_new_thread

    def start(function: Callable[..., object], *given: Any) -> int:
        def traced(*arguments: object, **named: object) -> None:
            sys.settrace(threading.gettrace())
            function(*arguments, **named)

        return bare(traced, *given)

    _thread.start_new_thread = start
