from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from unibus.spi import Lease, Outgoing
from unibus_memory.machine.books import Tail
from unibus_memory.machine.chunks import Lane
from unibus_memory.machine.held import Held
from unibus_memory.machine.shared import SharedSubscription
from unibus_memory.machine.store import Moment

NOW = Moment(0.0, 0.0)


def _published(*sizes: int) -> SharedSubscription:
    subscription, tail = SharedSubscription(), Tail(Lane("t"))
    first = 0
    for size in sizes:
        bodies: list[bytes | None] = [b"%d" % each for each in range(first, first + size)]
        subscription.publish(0, [tail.append(Outgoing(bodies), 0.0)])
        first += size
    return subscription


def _take(subscription: SharedSubscription, limit: int = 1000) -> Held:
    held = subscription.hand_out(limit, Lease("test"), NOW)
    assert held is not None
    return held


def test_messages_come_in_publishing_order_across_batches() -> None:
    assert _take(_published(2, 3, 1)).bodies() == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_what_is_given_back_stands_where_it_stood() -> None:
    subscription = _published(6)
    held = _take(subscription, 3)
    subscription.done(held, 0, 1)
    subscription.back(held, 1, 2, counted=True, delay_s=0, at=NOW)

    assert _take(subscription).bodies() == [b"1", b"2", b"3", b"4", b"5"]


def test_only_what_failed_counts_an_attempt() -> None:
    subscription = _published(3)
    held = _take(subscription)
    subscription.back(held, 0, 1, counted=True, delay_s=0, at=NOW)
    subscription.back(held, 1, 1, counted=False, delay_s=0, at=NOW)
    again = _take(subscription)

    assert again.bodies() == [b"0", b"1"]
    assert again.attempts == [1, 0]


def test_a_delayed_message_waits_until_it_is_due() -> None:
    subscription = _published(1)
    subscription.back(_take(subscription), 0, 1, counted=True, delay_s=5, at=Moment(10, 10))

    subscription.wake(Moment(14.9, 14.9))
    assert (subscription.next_due(), subscription.waiting) == (15, 0)
    subscription.wake(Moment(15, 15))
    assert _take(subscription).attempts == [1]


def test_a_range_that_is_settled_twice_counts_once() -> None:
    subscription = _published(4)
    held = _take(subscription)
    subscription.done(held, 0, 3)
    subscription.back(held, 0, 4, counted=False, delay_s=0, at=NOW)

    assert _take(subscription).bodies() == [b"3"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 1 << 32))
def test_every_message_is_done_exactly_once(sizes: list[int], seed: int) -> None:
    chance = random.Random(seed)
    subscription = _published(*sizes)
    done: list[bytes | None] = []
    while (held := subscription.hand_out(chance.randint(1, 7), Lease("test"), NOW)) is not None:
        for index in chance.sample(range(len(held)), len(held)):
            if chance.random() < 0.5:
                chunk, place = held.place(index)
                done.append(chunk.bodies[place])
                subscription.done(held, index, 1)
            else:
                subscription.back(held, index, 1, counted=True, delay_s=0, at=NOW)

    assert sorted(int(body or b"") for body in done) == list(range(sum(sizes)))
    assert subscription.hand_out(1, Lease("test"), NOW) is None
