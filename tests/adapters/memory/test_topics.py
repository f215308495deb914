from __future__ import annotations

import pytest

from unibus.spi import Exact, NotFoundError, Outgoing, Subscription, Topic
from unibus_memory.machine.topics import Directory

ORDERS = Topic("orders")


def _directory(*subscriptions: Subscription) -> Directory:
    directory = Directory()
    directory.declare_topic(ORDERS)
    for each in subscriptions:
        directory.declare_subscription(each)
    return directory


def _batch(*routing_keys: str) -> Outgoing:
    batch = Outgoing([key.encode() for key in routing_keys])
    batch.routing_keys = list(routing_keys)
    return batch


def test_each_subscription_gets_what_its_filter_matches() -> None:
    everything = Subscription("all", topic=ORDERS)
    directory = _directory(everything, Subscription("a", topic=ORDERS, filter=Exact("a")))
    routed = {
        state.spec.name: indexes
        for state, _, indexes in directory.route("orders", _batch("a", "b", "a"), 0.0)
    }

    assert routed == {"all": None, "a": [0, 2]}


def test_a_message_that_nobody_wants_goes_nowhere() -> None:
    directory = _directory(Subscription("a", topic=ORDERS, filter=Exact("a")))

    assert list(directory.route("orders", _batch("b"), 0.0)) == []


def test_ids_go_on_from_batch_to_batch() -> None:
    directory = _directory(Subscription("all", topic=ORDERS))
    ids = [
        run.chunk.message(run.start).id
        for _ in range(2)
        for _, run, _ in directory.route("orders", _batch("a", "b"), 0.0)
    ]

    assert ids == ["orders/0", "orders/2"]


def test_declaring_again_keeps_the_messages() -> None:
    subscription = Subscription("all", topic=ORDERS)
    directory = _directory(subscription)
    for state, run, indexes in directory.route("orders", _batch("a"), 0.0):
        state.messages.publish(run, indexes, 0.0)
    directory.declare_topic(ORDERS)
    directory.declare_subscription(subscription)

    assert directory.subscription("all").messages.waiting == 1


def test_a_deleted_topic_takes_its_subscriptions_along() -> None:
    directory = _directory(Subscription("all", topic=ORDERS))
    directory.delete_topic("orders")

    with pytest.raises(NotFoundError, match="'all' does not exist"):
        directory.subscription("all")
