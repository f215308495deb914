from __future__ import annotations

import time

import unibus
from unibus.spi import ManualClock, Queue
from unibus_memory import MemoryAdapter
from unibus_memory.offers import Offers

JOBS = Queue("jobs")


class Sender:
    def __init__(self) -> None:
        self.delivered = 0

    def deliver(self) -> None:
        self.delivered += 1


def test_a_sender_that_was_put_off_is_emptied_once_when_somebody_looks() -> None:
    offers, sender = Offers(ManualClock()), Sender()
    offers.put_off(sender)
    assert sender.delivered == 0
    offers.catch_up()
    offers.catch_up()

    assert sender.delivered == 1


def test_a_sender_that_nobody_asks_for_is_emptied_by_the_clock() -> None:
    clock = ManualClock()
    offers, senders = Offers(clock), [Sender(), Sender()]
    for _ in range(2):
        for sender in senders:
            offers.put_off(sender)
        clock.advance(0)

    assert [sender.delivered for sender in senders] == [2, 2]


def test_a_loop_of_publishes_is_stored_as_few_batches() -> None:
    adapter = MemoryAdapter.open("memory://", {}, clock=(clock := ManualClock()), timeout_s=1)
    with unibus.Bus.over(adapter, clock=clock) as bus:
        bus.topology.apply(JOBS)
        with bus.producer(JOBS) as producer:
            for _ in range(500):
                producer.publish(b"x")
            with bus.consumer(JOBS) as consumer:
                batch = consumer.receive(500)

    assert len(batch) == 500


def test_a_receipt_that_is_only_looked_at_gets_its_outcome_too() -> None:
    with unibus.connect("memory://") as bus:
        bus.topology.apply(JOBS)
        with bus.producer(JOBS) as producer:
            receipt = producer.publish(b"x")
            end = time.monotonic() + 5
            while receipt.outcome is None and time.monotonic() < end:
                pass

            assert receipt.outcome is not None


def test_what_was_published_before_a_subscription_does_not_reach_it() -> None:
    topic = unibus.Topic("news")
    early, late = (unibus.Subscription(name, topic=topic) for name in ("early", "late"))
    with unibus.connect("memory://") as bus:
        bus.topology.apply(topic, early)
        with bus.producer(topic) as producer:
            producer.publish(b"x")
            bus.topology.apply(late)

            assert (bus.backlog(early), bus.backlog(late)) == (1, 0)
