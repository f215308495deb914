from __future__ import annotations

import pytest

from unibus.spi import Exact, Lease, NotFoundError, Outgoing, Subscription, Topic
from unibus_memory.machine.queue import Queue
from unibus_memory.machine.store import Moment
from unibus_memory.machine.topics import Directory
from unibus_memory.profiles import NATURES

NOW = Moment(0.0, 0.0)
ORDERS = Topic("orders")


def _directory(*subscriptions: Subscription, profile: str = "memory") -> Directory:
    directory = Directory(NATURES)
    directory.declare_topic(ORDERS, profile)
    for each in subscriptions:
        directory.declare_subscription(each, profile)
    return directory


def _batch(*routing_keys: str) -> Outgoing:
    batch = Outgoing([key.encode() for key in routing_keys])
    batch.routing_keys = list(routing_keys)
    return batch


def _bodies(directory: Directory, subscription: str) -> list[bytes | None]:
    store = directory.subscription(subscription).store
    assert isinstance(store, Queue)
    held = store.hand_out(100, Lease("test"), NOW)
    return [] if held is None else held.bodies()


def test_each_subscription_gets_what_its_filter_matches() -> None:
    everything = Subscription("all", topic=ORDERS)
    directory = _directory(everything, Subscription("a", topic=ORDERS, filter=Exact("a")))
    states, unwanted = directory.publish(ORDERS, _batch("a", "b", "a"), NOW)

    assert ([state.spec.name for state in states], list(unwanted)) == (["all", "a"], [])
    assert _bodies(directory, "all") == [b"a", b"b", b"a"]
    assert _bodies(directory, "a") == [b"a", b"a"]


def test_what_nobody_wants_is_not_stored_where_nothing_is_kept() -> None:
    directory = _directory(Subscription("a", topic=ORDERS, filter=Exact("a")), profile="rabbitmq")
    states, unwanted = directory.publish(ORDERS, _batch("b", "a", "c"), NOW)

    assert ([state.spec.name for state in states], list(unwanted)) == (["a"], [0, 2])
    assert _bodies(directory, "a") == [b"a"]


def test_what_nobody_wants_is_kept_where_there_is_a_stream() -> None:
    directory = _directory(Subscription("a", topic=ORDERS, filter=Exact("a"), mode="stream"))
    _, unwanted = directory.publish(ORDERS, _batch("b", "a"), NOW)
    directory.declare_subscription(Subscription("e", topic=ORDERS, start="earliest"), "memory")

    assert list(unwanted) == []
    assert _bodies(directory, "e") == [b"b", b"a"]


def test_ids_go_on_from_batch_to_batch() -> None:
    directory = _directory(Subscription("all", topic=ORDERS))
    for _ in range(2):
        directory.publish(ORDERS, _batch("a", "b"), NOW)
    store = directory.subscription("all").store
    assert isinstance(store, Queue)
    (run,) = store.pick(9, NOW)

    assert [run.message(n).id for n in range(4)] == [f"orders/{n}" for n in range(4)]


def test_declaring_again_keeps_the_messages() -> None:
    subscription = Subscription("all", topic=ORDERS)
    directory = _directory(subscription)
    directory.publish(ORDERS, _batch("a"), NOW)
    directory.declare_topic(ORDERS, "memory")
    directory.declare_subscription(subscription, "memory")

    assert directory.subscription("all").store.waiting == 1


def test_a_deleted_topic_takes_its_subscriptions_along() -> None:
    directory = _directory(Subscription("all", topic=ORDERS))
    directory.delete_topic("orders")

    with pytest.raises(NotFoundError, match="'all' does not exist"):
        directory.subscription("all")


def test_a_delayed_message_is_stored_when_it_is_due() -> None:
    directory = _directory(Subscription("all", topic=ORDERS))
    batch = _batch("later", "now")
    batch.timings = [(5.0, None, None), None]
    directory.publish(ORDERS, batch, NOW)
    assert (_bodies(directory, "all"), directory.next_due()) == ([b"now"], 5.0)
    states = directory.wake(Moment(5.0, 5.0))

    assert [state.spec.name for state in states] == ["all"]
    assert _bodies(directory, "all") == [b"later"]
