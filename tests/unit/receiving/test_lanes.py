from __future__ import annotations

import random
import threading
from collections import defaultdict

import pytest
from fakes_receive import make
from hypothesis import given
from hypothesis import strategies as st

from unibus import spi
from unibus.engine.deliveries import Delivery
from unibus.engine.lanes import Lanes
from unibus.specs import Subscription, Topic

KEYED = Subscription("work", topic=Topic("events", ordering="key"))


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=30), st.randoms(use_true_random=False))
def test_of_one_key_one_item_runs_at_a_time_and_in_order(
    keys: list[str | None], chance: random.Random
) -> None:
    lanes: Lanes[int] = Lanes()
    waiting = list(enumerate(keys))
    running: list[tuple[object, int]] = []
    ran: dict[object, list[int]] = defaultdict(list)
    while waiting or lanes.size:
        if waiting and chance.random() < 0.5:
            item, key = waiting.pop(0)
            lanes.add(key, item)
        elif running and chance.random() < 0.5:
            lanes.done(running.pop(chance.randrange(len(running)))[0])
        elif (job := lanes.start()) is not None:
            assert job[0] is None or job[0] not in [key for key, _ in running]
            running.append(job)
            ran[job[0]].append(job[1])

    assert {key: list(items) for key, items in ran.items()} == {
        key: [item for item, each in enumerate(keys) if each == key] for key in set(keys)
    }


def test_what_was_not_started_is_drained_in_order_and_its_keys_are_free() -> None:
    lanes: Lanes[int] = Lanes()
    for item, key in enumerate("aabb"):
        lanes.add(key, item)
    assert lanes.start() == ("a", 0)

    assert lanes.drain() == [2, 3, 1]
    assert lanes.done("a") is False
    assert (lanes.size, lanes.add("b", 9)) == (0, True)


def test_workers_never_exceed_their_bound_and_keep_each_key_in_order() -> None:
    consumer, receiver = make(spec=KEYED, max_unsettled=64)
    total, keys, workers = 200, 5, 4
    for first in range(0, total, 20):
        receiver.bring(
            *[spi.Message(str(i).encode(), f"k{i % keys}") for i in range(first, first + 20)]
        )
    lock = threading.Lock()
    seen: dict[str | None, list[int]] = defaultdict(list)
    now = most = handled = 0
    stop = threading.Event()
    meeting = threading.Barrier(workers)

    def handle(delivery: Delivery) -> None:
        nonlocal now, most, handled
        with lock:
            now += 1
            most = max(most, now)
            turn = handled = handled + 1
        if turn <= workers:
            meeting.wait(10)
        with lock:
            seen[delivery.key].append(int(delivery.body or b""))
            now -= 1
            if handled == total:
                stop.set()

    consumer.run(handle, workers=workers, stop=stop)
    consumer.flush()

    assert most == workers
    assert dict(seen) == {f"k{k}": list(range(k, total, keys)) for k in range(keys)}
    assert sum(each.count for each in receiver.verdicts) == total


@pytest.mark.parametrize("workers", [1, 3])
def test_a_handler_that_fails_does_not_end_the_work(workers: int) -> None:
    consumer, receiver = make()
    receiver.bring(b"bad", b"good")
    stop = threading.Event()

    def handle(delivery: Delivery) -> None:
        if delivery.body == b"bad":
            raise ValueError("broken")
        stop.set()

    consumer.run(handle, workers=workers, stop=stop)
    consumer.flush()

    assert sorted(receiver.settled()) == [("ack", 1, 1), ("nack", 0, 1)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupt_in_a_handler_ends_the_work_and_comes_out(workers: int) -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b")

    def handle(_: Delivery) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consumer.run(handle, workers=workers)

    consumer.close()
    assert ("release", 0, 1) in receiver.settled()


def test_closing_from_a_handler_ends_the_work_without_waiting_for_itself() -> None:
    consumer, receiver = make()
    receiver.bring(b"a")

    consumer.run(lambda _: consumer.close(timeout_s=60), workers=2)

    assert receiver.calls == ["close"]
