from __future__ import annotations

import pytest

import unibus
from unibus.spi import Exact, Queue, Subscription, Topic, TopologyConflictError

TOPIC = Topic("t", ordering="key")


def _changes(profile: str, *specs: Topic | Subscription, then: Topic | Subscription) -> list[str]:
    with unibus.connect(f"memory://?profile={profile}") as bus:
        bus.topology.apply(*specs)
        return [f"{change.kind}: {change.text}" for change in bus.topology.plan(then)]


@pytest.mark.parametrize(
    ("profile", "kind"), [("memory", "alter"), ("rabbitmq", "alter"), ("sqs-fifo", "alter")]
)
def test_another_filter_can_be_had(profile: str, kind: str) -> None:
    before = Subscription("s", topic=TOPIC, filter=Exact("a"))
    after = Subscription("s", topic=TOPIC, filter=Exact("b"))
    (text,) = _changes(profile, TOPIC, before, then=after)

    assert text.startswith(f"{kind}: change subscription s: filter is Exact")


def test_what_the_broker_does_not_keep_is_no_difference() -> None:
    before = Subscription("s", topic=TOPIC, filter=Exact("a"), lease_s=5)
    after = Subscription("s", topic=TOPIC, filter=Exact("b"), lease_s=9)

    assert _changes("kafka", TOPIC, before, then=after) == []


@pytest.mark.parametrize("profile", ["memory", "rabbitmq", "sqs"])
def test_another_number_of_attempts_is_refused_where_the_namesake_refuses_it(profile: str) -> None:
    topic = Topic("t")
    before, after = (
        Subscription("s", topic=topic, max_attempts=count, dead_letter="d") for count in (3, 4)
    )
    (text,) = _changes(profile, topic, before, then=after)

    kind = "alter" if profile == "sqs" else "refuse"
    assert text.startswith(f"{kind}: ")
    assert "max_attempts is 3, asked for 4" in text


def test_partitions_can_grow_on_kafka_alone_and_never_shrink() -> None:
    plain, four, eight = Topic("t"), Topic("t", partitions=4), Topic("t", partitions=8)

    assert _changes("kafka", plain, then=four) == []
    assert _changes("kafka", four, then=eight)[0].startswith("alter: ")
    assert _changes("kafka", eight, then=four)[0].startswith("refuse: ")
    keyed = (Topic("t", ordering="key", partitions=count) for count in (4, 8))
    before, after = keyed
    assert _changes("kafka", before, then=after)[0].startswith("danger: ")
    assert _changes("rabbitmq", before, then=after)[0].startswith("refuse: ")
    assert _changes("memory", before, then=after) == []


def test_grown_partitions_are_read_by_who_is_there() -> None:
    few, many = Topic("t", partitions=1), Topic("t", partitions=3)
    subscription = Subscription("s", topic=few)
    with unibus.connect("memory://?profile=kafka") as bus:
        bus.topology.apply(few, subscription)
        with bus.consumer(subscription) as consumer, bus.producer(few) as producer:
            bus.topology.apply(many)
            producer.publish_many([b"%d" % each for each in range(6)])
            producer.flush()
            bodies = sorted(
                body or b"" for _ in range(3) for body in consumer.receive(6, timeout_s=1).bodies
            )

    assert bodies == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_filter_that_was_changed_holds_for_what_comes() -> None:
    topic = Topic("t")
    with unibus.connect("memory://") as bus:
        bus.topology.apply(topic, Subscription("s", topic=topic, filter=Exact("a")))
        with bus.producer(topic) as producer:
            producer.publish(b"1", routing_key="a")
            changed = Subscription("s", topic=topic, filter=Exact("b"))
            bus.topology.apply(changed)
            for body, routing_key in ((b"2", "b"), (b"3", "a")):
                receipt = producer.publish(body, routing_key=routing_key)
                receipt.wait(5)
            last = receipt.outcome
        with bus.consumer(changed) as consumer:
            bodies = consumer.receive(9).bodies

    assert (bodies, str(last)[:9]) == ([b"1", b"2"], "<rejected")


def test_a_conflict_is_raised() -> None:
    with unibus.connect("memory://") as bus:
        bus.topology.apply(Queue("q"))

        with pytest.raises(TopologyConflictError, match="ordering is 'none', asked for 'key'"):
            bus.topology.apply(Queue("q", ordering="key"))
