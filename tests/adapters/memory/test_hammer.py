from __future__ import annotations

import random
import threading

import pytest

import unibus
from unibus.spi import OutcomeKind, Queue

JOBS = Queue("jobs")
TOTAL = 2000


class Work:
    """Two threads publish, two consume, come and go, and give back."""

    def __init__(self, bus: unibus.Bus) -> None:
        self.bus = bus
        self.done: set[bytes | None] = set()
        self.is_over = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        threads = [threading.Thread(target=self._publish, args=(part,)) for part in range(2)]
        threads += [threading.Thread(target=self._consume, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        self.is_over.wait(30)
        self.is_over.set()
        for thread in threads:
            thread.join()

    def _publish(self, part: int) -> None:
        with self.bus.producer(JOBS) as producer:
            for number in range(part, TOTAL, 2):
                producer.publish(b"%d" % number)

    def _consume(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.is_over.is_set():
            with self.bus.consumer(JOBS, max_unsettled=50) as consumer:
                for _ in range(chance.randint(5, 30)):
                    batch = consumer.receive(20, timeout_s=0.01)
                    given_back = chance.sample(range(len(batch)), len(batch) // 8)
                    for index, delivery in enumerate(batch):
                        if index in given_back:
                            delivery.release()
                        else:
                            delivery.ack()
                    self._note([each for n, each in enumerate(batch) if n not in given_back])

    def _note(self, acked: list[unibus.Delivery]) -> None:
        lost = OutcomeKind.LEASE_LOST
        bodies = {each.body for each in acked if each.wait_settled(5).kind is not lost}
        with self._lock:
            self.done |= bodies
            if len(self.done) == TOTAL:
                self.is_over.set()


@pytest.mark.parametrize(
    "profile", ["memory", "rabbitmq", "kafka", "kafka-share", "sqs", "sqs-fifo"]
)
def test_four_threads_lose_and_invent_nothing(profile: str) -> None:
    with unibus.connect(f"memory://?profile={profile}") as bus:
        bus.topology.apply(JOBS)
        work = Work(bus)
        work.run()

        assert work.done == {b"%d" % number for number in range(TOTAL)}
        assert bus.backlog(JOBS) == 0
