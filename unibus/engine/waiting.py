"""How a thread waits for something that another thread reports."""

from __future__ import annotations

import threading
from collections.abc import Callable

Wake = Callable[[], None]


def wait(register: Callable[[Wake], bool], timeout_s: float | None) -> bool:
    """Wait until what *register* is told to wait for has happened; return whether it has.

    *register* takes a function to call when it happens, from any thread and once, and returns
    whether it is going to: False means that there is nothing to wait for any more. *timeout_s*
    ``None`` waits without limit.
    """
    gate = threading.Lock()  # a tenth of the price of an Event
    gate.acquire()
    if not register(gate.release):
        return True
    if timeout_s is None:
        return gate.acquire()
    return gate.acquire(timeout=min(max(timeout_s, 0.0), threading.TIMEOUT_MAX))
