from __future__ import annotations

from collections import Counter, defaultdict
from typing import Literal

import pytest

import unibus
from unibus.spi import ConfigurationError, ManualClock, OutcomeKind, Subscription, Topic
from unibus_memory import MemoryAdapter
from unibus_memory.machine.chooser import Adversary, Freedom
from unibus_memory.profiles import PROFILES

Mode = Literal["queue", "stream"]
TOTAL, KEYS = 60, 4


class Program:
    """Publishes until everything is accepted, and receives until everything is settled."""

    def __init__(self, profile: str, seed: int) -> None:
        self.clock = ManualClock()
        self.adapter = MemoryAdapter.open(
            f"memory://?profile={profile}&adversary={seed}", {}, clock=self.clock, timeout_s=1
        )
        have = PROFILES[profile]
        is_ordered = bool(have.capabilities.ordering)
        mode: Mode = "stream" if have.mode == "stream" else "queue"
        self.topic = Topic("t", ordering="key" if is_ordered else "none")
        self.subscription = Subscription("s", topic=self.topic, mode=mode)
        self.is_ordered = is_ordered
        self.delivered: list[tuple[int, int | None]] = []
        self.settled: set[int] = set()

    def run(self) -> None:
        with unibus.Bus.over(self.adapter, clock=self.clock, profile=self._profile) as bus:
            bus.topology.apply(self.topic, self.subscription)
            with bus.producer(self.topic) as producer, bus.consumer(self.subscription) as consumer:
                for number in range(TOTAL):
                    self._publish(producer, number)
                    if number % 7 == 0:
                        self._receive(consumer)
                for _ in range(1000):
                    if len(self.settled) == TOTAL:
                        break
                    self._receive(consumer)

    @property
    def _profile(self) -> str:
        return self.adapter.profiles[0].name

    def _publish(self, producer: unibus.Producer, number: int) -> None:
        key = f"k{number % KEYS}"
        for _ in range(100):
            receipt = producer.publish(b"%d" % number, key=key, id=f"id-{number}")
            self.clock.advance(0.001)
            if receipt.wait(5).kind is OutcomeKind.ACCEPTED:
                return
        raise AssertionError(number)

    def _receive(self, consumer: unibus.Consumer) -> None:
        for delivery in consumer.receive(10, timeout_s=0):
            number = int(delivery.body or b"")
            assert delivery.id == f"id-{number}"
            self.delivered.append((number, delivery.attempt))
            delivery.ack()
            if delivery.wait_settled(5).kind in (OutcomeKind.SETTLED, OutcomeKind.SENT):
                self.settled.add(number)
        self.clock.advance(1)

    @property
    def used(self) -> Counter[Freedom]:
        chooser = self.adapter.native.chooser
        assert isinstance(chooser, Adversary)
        return chooser.used


@pytest.mark.parametrize("profile", PROFILES)
def test_a_program_for_at_least_once_survives_every_freedom(profile: str) -> None:
    for seed in range(8):
        program = Program(profile, seed)
        program.run()
        firsts: dict[int, list[int]] = defaultdict(list)
        for number in dict.fromkeys(number for number, _ in program.delivered):
            firsts[number % KEYS].append(number)

        assert program.settled == set(range(TOTAL)), seed
        if program.is_ordered:
            expected = {key: list(range(key, TOTAL, KEYS)) for key in range(KEYS)}
            assert dict(firsts) == expected, seed


def _used(profile: str) -> set[Freedom]:
    used: Counter[Freedom] = Counter()
    for seed in range(8):
        program = Program(profile, seed)
        program.run()
        used += program.used
    return set(used)


def test_each_freedom_is_used_where_it_is_left_and_nowhere_else() -> None:
    everywhere = {Freedom.SHORT, Freedom.LATE}
    breaking = {Freedom.DISCONNECT, Freedom.RESTART, Freedom.UNANSWERED, Freedom.UNSTORED}
    found = {name: _used(name) for name in ("sqs", "sqs-fifo", "rabbitmq", "kafka")}

    assert found == {
        "sqs": everywhere | {Freedom.REORDER, Freedom.REPEAT},
        "sqs-fifo": everywhere | {Freedom.REORDER},
        "rabbitmq": everywhere | breaking | {Freedom.REORDER, Freedom.UNSETTLED},
        "kafka": everywhere | breaking | {Freedom.REORDER},
    }


def test_the_same_seed_makes_the_same_history_and_another_one_another() -> None:
    histories = []
    for seed in (3, 3, 4):
        program = Program("rabbitmq", seed)
        program.run()
        histories.append(program.delivered)

    assert histories[0] == histories[1]
    assert histories[1] != histories[2]


def test_a_backlog_that_need_not_be_exact_is_not() -> None:
    counts = {}
    for profile in ("sqs", "memory"):
        with unibus.connect(f"memory://?profile={profile}&adversary=1") as bus:
            jobs = unibus.Queue("jobs")
            bus.topology.apply(jobs)
            counts[profile] = {bus.backlog(jobs) for _ in range(20)}

    assert counts["memory"] == {0}
    assert len(counts["sqs"]) > 1


def test_a_seed_is_a_number_and_one_broker_has_one() -> None:
    with pytest.raises(ConfigurationError, match="adversary is 'x'"):
        unibus.connect("memory://?adversary=x")
    with (
        unibus.connect("memory://seeded?adversary=1"),
        unibus.connect("memory://seeded"),
        pytest.raises(ConfigurationError, match="was opened with adversary 1, asked for 2"),
    ):
        unibus.connect("memory://seeded?adversary=2")
