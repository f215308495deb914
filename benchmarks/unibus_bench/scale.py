"""What more workers bring, what a broker keeps while nobody consumes, and order while workers die.

These are not timed against anything: throughput is compared with one worker of the same run, and
the other two count messages.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import unibus
from unibus.specs import OrderingName
from unibus_bench.measure import BenchError

HANDLER_S = 0.005
WORKERS = (1, 2, 4, 8)
PER_WORKER = 200
KEYS = 40
_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Throughput with *workers* workers, beside one; *idle* of them say that they have no share."""

    profile: str
    ordering: str
    workers: int
    messages_s: float
    factor: float
    idle: int


def throughput(bus: unibus.Bus, profile: str, ordering: OrderingName) -> list[Step]:
    """Return how much quicker more workers are, with a handler that takes 5 ms."""
    queue = unibus.Queue("unibus-scale", ordering=ordering, profile=profile)
    steps: list[Step] = []
    for workers in WORKERS:
        bus.topology.apply(queue)
        count = PER_WORKER * workers
        _publish(bus, queue, count)
        taken_s, idle = _work(bus, queue, workers, count)
        bus.topology.delete(queue)
        messages_s = count / taken_s
        factor = messages_s / steps[0].messages_s if steps else 1.0
        steps.append(
            Step(
                profile=profile,
                ordering=ordering,
                workers=workers,
                messages_s=messages_s,
                factor=factor,
                idle=idle,
            )
        )
    return steps


def buffer(
    connect: Callable[[], unibus.Bus], restart: Callable[[], None], profile: str, count: int
) -> int:
    """Publish *count* with nobody consuming, restart the broker, drain; return how many came."""
    queue = unibus.Queue("unibus-buffer", profile=profile)
    with connect() as bus:
        bus.topology.apply(queue)
        _publish(bus, queue, count)
    restart()
    with connect() as bus:
        seen: set[bytes | None] = set()
        with bus.consumer(queue) as consumer:
            while batch := consumer.receive(1000, timeout_s=5.0):
                seen.update(batch.bodies)
                batch.ack()
        bus.topology.delete(queue)
    return len(seen)


def order_while_dying(url: str, profile: str, count: int) -> dict[str, int]:
    """Return what became of *count* keyed messages while workers were killed and closed in turn.

    Returns:
        ``lost``, ``disordered`` (first handlings of a key out of order), ``repeated``, ``ended``.
    """
    queue = unibus.Queue("unibus-order", ordering="key", profile=profile)
    with ExitStack() as stack:
        bus = stack.enter_context(unibus.connect(url))
        bus.topology.apply(queue)
        stack.callback(lambda: bus.topology.delete(queue))
        _publish(bus, queue, count)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unibus-scale-")))
        log = folder / "handled"
        log.touch()
        crew = _Crew(url, profile, log)
        stack.callback(crew.end)
        crew.work_through(count)
        return _judge(log, count) | {"ended": crew.ended}


class _Crew:
    """Three worker processes; one after the other is killed or closed, and replaced."""

    def __init__(self, url: str, profile: str, log: Path) -> None:
        self._command = [sys.executable, "-m", "unibus_bench.order_worker", url, profile, str(log)]
        self._log = log
        self._workers = [self._start() for _ in range(3)]
        self.ended = 0

    def work_through(self, count: int) -> None:
        end = time.monotonic() + _DEADLINE_S
        next_end = count // 15
        while (handled := len(set(self._log.read_text().splitlines()))) < count:
            if handled >= next_end:
                self._end_one()
                next_end = handled + count // 15
            if time.monotonic() > end:
                raise BenchError(f"{handled} of {count} messages handled in {_DEADLINE_S:g} s")
            time.sleep(0.05)

    def end(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()

    def _end_one(self) -> None:
        worker = self._workers.pop(0)
        worker.send_signal(signal.SIGTERM if self.ended % 2 else signal.SIGKILL)
        worker.wait()
        self.ended += 1
        self._workers.append(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command)  # noqa: S603  # our own module


def _publish(bus: unibus.Bus, queue: unibus.Queue, count: int) -> None:
    keyed = queue.ordering != "none"
    with bus.producer(queue) as producer:
        for number in range(count):
            key = f"key-{number % KEYS}" if keyed else None
            producer.publish(b"%d" % number, key=key)


def _work(bus: unibus.Bus, queue: unibus.Queue, workers: int, count: int) -> tuple[float, int]:
    done = threading.Semaphore(0)

    def work(consumer: unibus.Consumer) -> None:
        for delivery in consumer:
            time.sleep(HANDLER_S)
            delivery.ack()
            done.release()

    with ExitStack() as stack:
        consumers = [
            stack.enter_context(bus.consumer(queue, max_unsettled=2)) for _ in range(workers)
        ]
        begin = time.perf_counter()
        threads = [threading.Thread(target=work, args=(each,)) for each in consumers]
        for thread in threads:
            thread.start()
        arrived = sum(done.acquire(timeout=30.0) for _ in range(count))
        taken_s = time.perf_counter() - begin
        idle = sum(each.is_idle for each in consumers)
    for thread in threads:
        thread.join()
    if arrived != count:
        raise BenchError(f"{arrived} of {count} messages arrived with {workers} workers")
    return taken_s, idle


def _judge(log: Path, count: int) -> dict[str, int]:
    first: dict[int, list[int]] = defaultdict(list)
    seen: set[int] = set()
    lines = [int(line) for line in log.read_text().splitlines()]
    for number in lines:
        if number not in seen:
            seen.add(number)
            first[number % KEYS].append(number)
    disordered = sum(
        before > after
        for numbers in first.values()
        for before, after in itertools.pairwise(numbers)
    )
    return {
        "lost": count - len(seen),
        "disordered": disordered,
        "repeated": len(lines) - len(seen),
    }


def append_line(descriptor: int, text: str) -> None:
    """Write one line at once, so that lines of several processes never mix."""
    os.write(descriptor, f"{text}\n".encode())
