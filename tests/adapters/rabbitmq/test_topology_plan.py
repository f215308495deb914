from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import pika.exceptions
import pytest

from unibus import spi
from unibus_rabbitmq import topology
from unibus_rabbitmq.objects import ALTERNATE

ORDERS = spi.Topic("orders")
LANES = spi.Topic("orders", ordering="key", partitions=2)
EMAIL = spi.Subscription("email", topic=ORDERS, max_attempts=3, dead_letter="orders.dead")
DEAD = spi.Queue("orders.dead")


class Broker:
    """The part of RabbitMQ that topology meets: it compares, and answers in RabbitMQ's words."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], tuple[object, ...]] = {}
        self.bound: list[tuple[object, ...]] = []
        self.begun: list[tuple[str, str]] = []
        self.may_declare = True

    def channel(self) -> Channel:
        return Channel(self)

    def begin(self, stream: str, position_queue: str) -> None:
        self.begun.append((stream, position_queue))


class Channel:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.is_open = True

    def exchange_declare(
        self,
        exchange: str,
        exchange_type: str = "direct",
        *,
        passive: bool = False,
        arguments: Mapping[str, object] | None = None,
        **switches: object,
    ) -> None:
        wanted = {"type": exchange_type, **switches, ALTERNATE: (arguments or {}).get(ALTERNATE)}
        self._declare("exchange", exchange, wanted, passive=passive)

    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = False,
        durable: bool = False,
        arguments: Mapping[str, object] | None = None,
    ) -> object:
        self._declare("queue", queue, {"durable": durable, **(arguments or {})}, passive=passive)
        return SimpleNamespace(method=SimpleNamespace(message_count=0))

    def _declare(
        self, kind: str, name: str, wanted: Mapping[str, object], *, passive: bool
    ) -> None:
        found = self.broker.items.get((kind, name))
        if passive:
            if found is None:
                self._fail(404, f"NOT_FOUND - no {kind} '{name}' in vhost '/'")
            return
        if not self.broker.may_declare:
            self._fail(403, "ACCESS_REFUSED")
        if found is None:
            self.broker.items[kind, name] = tuple(wanted.items())
            return
        before = dict(found)
        for argument in dict.fromkeys([*before, *wanted]):
            asked, has = wanted.get(argument), before.get(argument)
            if asked != has:
                said = "received none" if asked is None else f"received '{asked}'"
                text = f"inequivalent arg '{argument}' for {kind} '{name}' in vhost '/': {said}"
                what = f"'{has}'" if asked is not None else f"the value '{has}' of type 'longstr'"
                text = f"PRECONDITION_FAILED - {text} but current is {what}"
                self._fail(406, text if len(text) <= 255 else text[:252] + "...")

    def _fail(self, code: int, text: str) -> None:
        self.is_open = False
        raise pika.exceptions.ChannelClosedByBroker(code, text)

    def exchange_bind(self, *binding: object) -> None:
        self.broker.bound.append(("exchange", *map(_frozen, binding)))

    def queue_bind(self, *binding: object) -> None:
        self.broker.bound.append(("queue", *map(_frozen, binding)))

    def queue_unbind(self, *binding: object) -> None:
        self.broker.bound.remove(("queue", *map(_frozen, binding)))

    def exchange_delete(self, exchange: str) -> None:
        self.broker.items.pop(("exchange", exchange), None)

    def queue_delete(self, queue: str) -> None:
        self.broker.items.pop(("queue", queue), None)


def _frozen(each: object) -> object:
    return tuple(each.items()) if isinstance(each, Mapping) else each


@pytest.fixture
def broker() -> Broker:
    return Broker()


def apply(broker: Broker, *specs: spi.Spec, default: str | None = None) -> list[str]:
    changes = topology.plan(broker, specs, default)
    for change in changes:
        topology.apply(broker, change, broker.begin)
    return [change.text for change in changes]


def planned(broker: Broker, *specs: spi.Spec) -> list[tuple[str, str]]:
    return [(change.kind, change.text) for change in topology.plan(broker, specs, None)]


def test_a_plan_is_empty_once_it_was_applied(broker: Broker) -> None:
    stream = spi.Subscription("audit", topic=ORDERS, mode="stream")
    specs = (EMAIL, DEAD, ORDERS, stream, spi.Queue("jobs", ordering="key"))
    apply(broker, *specs)
    assert planned(broker, *specs) == []


def test_a_plan_changes_nothing(broker: Broker) -> None:
    topology.plan(broker, [EMAIL, ORDERS], None)

    assert broker.items == {}


def test_a_stream_subscription_begins_once_where_the_log_ends(broker: Broker) -> None:
    stream = spi.Subscription("audit", topic=ORDERS, mode="stream")
    apply(broker, ORDERS, stream)
    apply(broker, ORDERS, stream)

    assert broker.begun == [("orders~stream", "audit~position")]


def test_topics_come_first_in_the_brokers_own_words(broker: Broker) -> None:
    subscription = replace(EMAIL, filter=spi.Pattern("order.*"))

    assert [text for _, text in planned(broker, subscription, ORDERS)][1:] == [
        "declare exchange orders (topic)",
        "bind topic orders",
        "declare queue email (quorum)",
        'bind email to orders by ["order.*"]',
    ]


def test_what_was_interrupted_before_its_record_is_bound_again(broker: Broker) -> None:
    apply(broker, ORDERS, EMAIL)
    del broker.items["exchange", "email~subscription"]

    assert planned(broker, ORDERS, EMAIL) == [("create", "bind email to orders by everything")]


def test_a_queue_that_somebody_deleted_is_bound_again(broker: Broker) -> None:
    apply(broker, ORDERS, EMAIL)
    del broker.items["queue", "email"]

    assert planned(broker, ORDERS, EMAIL) == [
        ("create", "declare queue email (quorum)"),
        ("create", "bind email to orders by everything"),
    ]


def test_a_record_goes_with_its_topic(broker: Broker) -> None:
    apply(broker, ORDERS, EMAIL)
    assert ("exchange", "orders", "email~subscription", "", ()) in broker.bound
    assert dict(broker.items["exchange", "email~subscription"])["auto_delete"]


def test_another_filter_is_bound_instead_of_the_old_one(broker: Broker) -> None:
    apply(broker, ORDERS, replace(EMAIL, filter=spi.Pattern("a", "b")))

    after = replace(EMAIL, filter=spi.Pattern("b", "c"))

    [text] = apply(broker, after)
    assert text.startswith('bind email by ["b", "c"] instead of ["a", "b"]')
    keys = {row[3] for row in broker.bound if row[:3] == ("queue", "email", "orders")}
    assert keys == {"b", "c"}
    assert planned(broker, after) == []


def test_another_filter_leaves_the_exchange_beside_the_topic_to_others(broker: Broker) -> None:
    apply(broker, ORDERS, replace(EMAIL, filter=spi.HeaderMatch({"a": 1})))
    apply(broker, replace(EMAIL, filter=None))

    assert ("exchange", "orders~headers", "orders", "#", ()) in broker.bound
    assert [row for row in broker.bound if row[:3] == ("queue", "email", "orders~headers")] == []


def test_a_filter_the_broker_does_not_say_in_full_is_not_replaced(broker: Broker) -> None:
    apply(broker, ORDERS, replace(EMAIL, filter=spi.Exact("k" * 250)))

    [(kind, text)] = planned(broker, EMAIL)
    assert kind == "refuse"
    assert "another filter, which RabbitMQ does not say in full" in text


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (
            EMAIL,
            replace(EMAIL, max_attempts=9),
            "queue email (quorum) exists with another x-delivery-limit: asked 8, it has 2",
        ),
        (EMAIL, replace(EMAIL, topic=spi.Topic("other")), "email is subscribed to orders"),
        (ORDERS, LANES, "orders exists as ordering=none lanes=0, asked is ordering=key lanes=2"),
        (
            spi.Subscription("email", topic=LANES),
            spi.Subscription("email", topic=replace(LANES, partitions=3)),
            "email exists with 2 lanes, asked are 3",
        ),
        (
            spi.Topic("log", retention_s=60.0),
            spi.Topic("log", retention_s=90.0),
            "stream log~stream exists with another x-max-age: asked 90s, it has 60s",
        ),
    ],
    ids=["attempts", "topic", "ordering", "lanes", "retention"],
)
def test_what_cannot_be_changed_is_refused_and_says_what_differs(
    broker: Broker, before: spi.Spec, after: spi.Spec, why: str
) -> None:
    apply(broker, before)

    changes = topology.plan(broker, [after], None)

    assert {change.kind for change in changes} == {"refuse"}
    assert why in changes[0].text
    with pytest.raises(spi.TopologyConflictError, match="delete it"):
        topology.apply(broker, changes[0], broker.begin)


def test_a_user_who_may_not_declare_gets_a_plan_all_the_same(broker: Broker) -> None:
    apply(broker, ORDERS, EMAIL)
    broker.may_declare = False
    assert planned(broker, ORDERS, EMAIL) == []


def test_nothing_is_declared_for_what_is_not_managed(broker: Broker) -> None:
    legacy = spi.Topic("orders", managed=False, native={"name": "legacy.x"})

    [(kind, text)] = planned(broker, legacy)
    assert kind == "refuse"
    assert "exchange legacy.x does not exist, and is not managed" in text
    broker.channel().exchange_declare("legacy.x", "direct")
    assert planned(broker, legacy) == []
    assert len(broker.items) == 1


def test_an_exchange_of_another_type_than_was_said_is_refused(broker: Broker) -> None:
    broker.channel().exchange_declare("x", "direct", durable=True)
    legacy = spi.Topic("x", managed=False, native={"type": "headers"})

    assert "another type: asked headers, it has direct" in planned(broker, legacy)[0][1]


def test_deleting_leaves_nothing_but_the_ladder(broker: Broker) -> None:
    specs = (
        ORDERS,
        replace(EMAIL, filter=spi.HeaderMatch({"a": 1})),
        DEAD,
        spi.Subscription("audit", topic=ORDERS, mode="stream"),
        spi.Queue("jobs", ordering="key"),
    )
    apply(broker, *specs)

    for spec in specs:
        topology.delete(broker, spec)

    assert [name for _, name in broker.items if not name.startswith("unibus~")] == []


def test_what_exists_comes_back_with_the_filter_it_is_bound_by(broker: Broker) -> None:
    bound = replace(EMAIL, filter=spi.HeaderMatch({"x-a": 1, "b": None}, "any"))
    apply(broker, ORDERS, bound)

    assert topology.inspect(broker, [ORDERS, EMAIL, DEAD], None) == (ORDERS, bound)


def test_a_stream_is_neither_purged_nor_counted(broker: Broker) -> None:
    spec = spi.Subscription("audit", topic=ORDERS, mode="stream")
    profile = spi.Profile(name="rabbitmq-stream", capabilities=spi.Capabilities())
    binding = spi.Binding(spec=spec, profile=profile, capabilities=profile.capabilities)

    for ask in (topology.purge, topology.backlog):
        with pytest.raises(spi.UnsupportedError, match="stream"):
            ask(broker, binding)
