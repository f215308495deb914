"""A consumer, its layers and its redrive over the memory broker."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from typing_extensions import override

from unibus import spi
from unibus.binding import resolve
from unibus.consumer import Consumer
from unibus.emulation.relay import Relay
from unibus.engine.deliveries import Delivery
from unibus.redrive import Redrive, Redriven
from unibus.retry import Backoff
from unibus.specs import Queue, Spec, Subscription, Topic
from unibus_memory import MemoryAdapter

WORK = Queue("work", max_attempts=2, dead_letter="work.dead")
PROFILES = ("memory", "rabbitmq", "rabbitmq-classic", "sqs")


class OneShot(spi.Source):
    """Publishes what it is given, one batch after the other, and remembers what came of it."""

    def __init__(self) -> None:
        self.waiting: list[spi.Outgoing] = []
        self.done: dict[int, Callable[[spi.Outcome], None]] = {}

    @override
    def pull(self) -> spi.Outgoing | None:
        return self.waiting.pop(0) if self.waiting else None

    @override
    def completed(self, batch: spi.Outgoing, first: int, count: int, outcome: spi.Outcome) -> None:
        if (done := self.done.pop(id(batch), None)) is not None:
            done(outcome)

    @override
    def state(self, state: spi.Link, cause: Exception | None) -> None:
        pass


class Way(Relay):
    """Publishes at once to one target."""

    def __init__(self, adapter: spi.Adapter, binding: spi.Binding) -> None:
        self._source = OneShot()
        self._sender = adapter.open_sender(binding, "all", self._source, timeout_s=1)

    @override
    def hand_over(self, message: spi.Message, done: Callable[[spi.Outcome], None]) -> None:
        batch = spi.Outgoing([message.body])
        batch.keys, batch.routing_keys = [message.key], [message.routing_key]
        batch.headers, batch.ids = [message.headers], [message.id]
        batch.timings = [(message.delay_s, message.ttl_s, message.priority)]
        self._source.done[id(batch)] = done
        self._source.waiting.append(batch)
        self._sender.offer()


class Shop:
    def __init__(self, profile: str, *specs: Spec) -> None:
        self.adapter = MemoryAdapter.open(
            f"memory://?profile={profile}", {}, clock=spi.SystemClock(), timeout_s=1
        )
        self.profile = profile
        for change in self.adapter.plan(specs, timeout_s=1):
            self.adapter.apply(change, timeout_s=1)

    def binding(self, spec: Spec) -> spi.Binding:
        return resolve(spec, self.adapter.profiles, default_profile=self.profile)

    def publish(self, spec: Queue | Topic, messages: Sequence[spi.Message]) -> None:
        topic = spec.topic if isinstance(spec, Queue) else spec
        way = Way(self.adapter, self.binding(topic))
        for message in messages:
            way.hand_over(message, lambda _: None)

    def relay(self, spec: Queue | Subscription) -> Relay:
        half = spec.topic if isinstance(spec, Queue) else spec
        return Way(self.adapter, self.binding(half))

    @contextmanager
    def consumer(self, spec: Queue | Subscription, max_unsettled: int = 100) -> Iterator[Consumer]:
        consumer = Consumer(
            self.adapter,
            self.binding(spec),
            clock=spi.SystemClock(),
            delivery="at_least_once",
            max_unsettled=max_unsettled,
            max_batch=50,
            renew_leases=True,
            backoff=Backoff(initial_s=0),
            timeout_s=1,
            relays=self.relay,
            on_close=lambda _: None,
        )
        with consumer:
            yield consumer


@pytest.mark.parametrize("profile", PROFILES)
def test_a_poison_message_dies_says_why_and_can_be_sent_back(profile: str) -> None:
    dead = Queue("work.dead")
    shop = Shop(profile, dead, WORK)
    shop.publish(WORK, [spi.Message(b"good", id="g"), spi.Message(b"poison", id="p")])
    attempts: list[int | None] = []
    with shop.consumer(WORK) as consumer:
        while len(attempts) < 2:
            for delivery in consumer.receive(5, timeout_s=5):
                with delivery:
                    if delivery.body == b"poison":
                        attempts.append(delivery.attempt)
                        raise ValueError("no such shelf")
        consumer.flush()
    with shop.consumer(dead) as letters:
        (letter,) = letters.receive(5, timeout_s=5)
        record = letter.dead_letter
        letter.release()
    with shop.consumer(dead) as letters:
        relay = shop.relay(WORK.subscription)
        result = Redrive(letters, relay, WORK.subscription, quiet_s=0.05).run()
    with shop.consumer(WORK) as consumer:
        (again,) = consumer.receive(5, timeout_s=5)
        sent_back = (again.id, again.attempt, again.dead_letter)
        again.ack()

    assert attempts == [1, 2]
    assert record is not None
    assert (record.reason, record.attempts) == ("max attempts", 2)
    assert record.detail == "ValueError: no such shelf"
    assert result == Redriven(redriven=1, kept=0, foreign=0)
    assert sent_back[:2] == ("p", 1)
    assert sent_back[2] is not None
    assert sent_back[2].redrives == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_settled_stays_settled_and_the_rest_comes_back_in_order(profile: str) -> None:
    shop = Shop(profile, Queue("plain"))
    shop.publish(Queue("plain"), [spi.Message(str(i).encode()) for i in range(6)])
    with shop.consumer(Queue("plain")) as first:
        held: list[Delivery] = []
        while len(held) < 6:
            held += first.receive(6 - len(held), timeout_s=5)
        for index in (4, 0):
            held[index].ack()
        first.flush()
    with shop.consumer(Queue("plain")) as second:
        rest: list[bytes | None] = []
        while len(rest) < 4:
            batch = second.receive(6, timeout_s=5)
            rest += batch.bodies
            batch.ack()

    assert sorted(rest, key=str) == [b"1", b"2", b"3", b"5"]


def test_workers_keep_each_key_in_order_although_some_fail() -> None:
    topic = Topic("events", ordering="key")
    subscription = Subscription("handled", topic=topic)
    shop = Shop("rabbitmq", topic, subscription)
    total, keys = 200, 5
    shop.publish(topic, [spi.Message(str(i).encode(), f"k{i % keys}") for i in range(total)])
    seen: dict[str | None, list[int]] = defaultdict(list)
    failed: set[int] = set()
    stop, lock = threading.Event(), threading.Lock()

    def handle(delivery: Delivery) -> None:
        number = int(delivery.body or b"")
        with lock:
            if number % 7 == 0 and number not in failed:
                failed.add(number)
                raise ValueError("at first")
            seen[delivery.key].append(number)
            if sum(map(len, seen.values())) == total:
                stop.set()

    with shop.consumer(subscription) as consumer:
        consumer.run(handle, workers=4, stop=stop)

    assert dict(seen) == {f"k{k}": list(range(k, total, keys)) for k in range(keys)}
