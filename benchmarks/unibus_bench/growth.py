"""What a waiting message and an import cost, each measured in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass
from math import inf

_WAITING = """
import gc, os, unibus
page = os.sysconf("SC_PAGE_SIZE")
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * page
bus = unibus.connect("memory://")
queue = unibus.Queue("bench")
bus.topology.apply(queue)
producer = bus.producer(queue)
for number in range(10_000):
    producer.publish(b"%0100d" % number)
producer.flush()
gc.collect()
before = resident()
for number in range({count}):
    producer.publish(b"%0100d" % number)
producer.flush()
gc.collect()
print((resident() - before) / {count})
os._exit(0)
"""
_IMPORT = """
import time
begin = time.process_time()
import unibus
{use}
print((time.process_time() - begin) * 1000)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure and what is aimed at: *value* <= *ceiling*, in *unit*."""

    name: str
    unit: str
    value: float
    ceiling: float

    @property
    def is_met(self) -> bool:
        """Whether it stays below what is aimed at."""
        return self.value <= self.ceiling


def figures(*, count: int, rounds: int) -> list[Figure]:
    """Return the memory and import figures, medians of *rounds* processes each."""
    waiting = [_run(_WAITING.format(count=count)) for _ in range(rounds)]
    imports = [_run(_IMPORT.format(use="")) for _ in range(rounds)]
    connects = [_run(_IMPORT.format(use="unibus.connect('memory://')")) for _ in range(rounds)]
    return [
        Figure(
            name=f"memory: a waiting message of 100 bytes, {count:,} of them",
            unit="bytes",
            value=statistics.median(waiting),
            ceiling=250,
        ),
        Figure(name="import unibus", unit="ms CPU", value=statistics.median(imports), ceiling=60),
        Figure(
            name="import unibus and connect to memory://",
            unit="ms CPU",
            value=statistics.median(connects),
            ceiling=inf,
        ),
    ]


def _run(program: str) -> float:
    done = subprocess.run(  # noqa: S603  # our own program text
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(done.stdout)
