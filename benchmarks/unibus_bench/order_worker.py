"""A worker of ``unibus bench scale``: notes what it handles in a file, then acks it."""

from __future__ import annotations

import os
import signal
import sys

import unibus
from unibus_bench.scale import append_line


def main() -> None:
    """Work until SIGTERM, which closes the consumer in order."""
    url, profile, log = sys.argv[1:]
    queue = unibus.Queue("unibus-order", ordering="key", profile=profile)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with unibus.connect(url) as bus, bus.consumer(queue, max_unsettled=50) as consumer:
            for delivery in consumer:
                append_line(descriptor, (delivery.body or b"").decode())
                delivery.ack()
    except KeyboardInterrupt:
        return


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
