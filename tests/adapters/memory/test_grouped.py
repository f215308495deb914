from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from unibus.spi import Lease, Outgoing
from unibus_memory.machine.books import Tail
from unibus_memory.machine.chunks import Lane
from unibus_memory.machine.grouped import GroupedSubscription
from unibus_memory.machine.held import Held
from unibus_memory.machine.store import Moment

NOW = Moment(0.0, 0.0)


def _published(keys: str, *, keeps_whole_order: bool = False) -> GroupedSubscription:
    subscription = GroupedSubscription(keeps_whole_order=keeps_whole_order)
    batch = Outgoing([b"%d" % each for each in range(len(keys))])
    batch.keys = [None if key == "-" else key for key in keys]
    subscription.publish(0, [Tail(Lane("t")).append(batch, 0.0)])
    return subscription


def _take(subscription: GroupedSubscription, limit: int = 100) -> Held:
    held = subscription.hand_out(limit, Lease("test"), NOW)
    assert held is not None
    return held


def test_the_next_of_a_key_waits_for_the_one_before() -> None:
    subscription = _published("aab")
    held = _take(subscription)
    assert held.bodies() == [b"0", b"2"]
    assert subscription.is_empty
    subscription.done(held, 0, 1)

    assert _take(subscription).bodies() == [b"1"]


def test_a_nacked_message_keeps_the_later_ones_of_its_key_back() -> None:
    subscription = _published("aa")
    subscription.back(_take(subscription), 0, 1, counted=True, delay_s=5, at=NOW)
    assert subscription.is_empty
    subscription.wake(Moment(5, 5))
    again = _take(subscription)

    assert (again.bodies(), again.attempts) == ([b"0"], [1])


def test_messages_without_a_key_do_not_wait_for_each_other() -> None:
    assert _take(_published("--")).bodies() == [b"0", b"1"]


def test_a_topic_in_order_gives_one_at_a_time() -> None:
    assert _take(_published("ab", keeps_whole_order=True)).bodies() == [b"0"]


def test_what_is_held_survives_a_purge_and_nothing_else_does() -> None:
    subscription = _published("aab")
    held = _take(subscription, 1)
    subscription.purge()
    subscription.back(held, 0, 1, counted=False, delay_s=0, at=NOW)

    assert _take(subscription).bodies() == [b"0"]
    assert subscription.waiting == 0


@given(st.text("-abc", min_size=1, max_size=20), st.integers(0, 1 << 32))
def test_every_key_is_done_in_order_whatever_is_given_back(keys: str, seed: int) -> None:
    chance = random.Random(seed)
    subscription = _published(keys)
    done: dict[str, list[int]] = defaultdict(list)
    away: list[Held] = []
    while not subscription.is_empty or away:
        if not subscription.is_empty and chance.random() < 0.6:
            away.append(_take(subscription, chance.randint(1, 4)))
            continue
        held = away.pop(chance.randrange(len(away))) if away else _take(subscription)
        for index in chance.sample(range(len(held)), len(held)):
            _, place = held.place(index)
            if chance.random() < 0.6:
                done[keys[place]].append(place)
                subscription.done(held, index, 1)
            else:
                subscription.back(held, index, 1, counted=True, delay_s=0, at=NOW)

    for key, places in done.items():
        expected = [place for place, each in enumerate(keys) if each == key]
        assert (places if key != "-" else sorted(places)) == expected
    assert subscription.waiting == 0
    assert sum(map(len, done.values())) == len(keys)
