"""Waiting for another process, which has no better way to call back than to be asked."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.05


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Ask *condition* until it holds; return False when it did not within *timeout_s* seconds.

    It is asked at least once, and once more at the deadline.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(POLL_S, left_s))
    return True
