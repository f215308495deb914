"""Several calls at the same moment, each on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from unibus_contract.recorder import describe


def at_once(*calls: Callable[[], object]) -> list[str]:
    """Make all of *calls* at once, wait for them, and return what they raised, described."""
    start = threading.Barrier(len(calls))
    raised: list[str] = []

    def make(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001  # a thread's end: whoever waits is told
            raised.append(describe(error))

    threads = [threading.Thread(target=make, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
