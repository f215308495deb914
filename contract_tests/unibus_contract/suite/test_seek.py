"""Logs: going back, and forth."""

from __future__ import annotations

from unibus.errors import ConfigurationError
from unibus.outcome import OutcomeKind
from unibus.specs import Topic
from unibus_contract.checkers import exclusivity, loss
from unibus_contract.consuming import Held, RecordingConsumer
from unibus_contract.history import Kind
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.passing import moment_between
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


@clause("SEEK-04")
def test_a_position_is_where_its_message_comes_again(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    sent = _publish(bench, subscription.topic, 20)
    first = bench.consumer(subscription, bus=bench.bus())
    read = _read(first, 20)
    place = read[7].raw.position
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    assert place is not None, "a log whose deliveries have no position"
    with require_quiet("seek to the position that a delivery has"):
        later.raw.seek(place)
    again = _read(later, 13)
    reached = bench.drain(later)

    require_equal(sent, _names(read), "the messages before")
    require_equal(sent[7:], _names(again), "the messages from a position on")
    assert reached


@clause("SEEK-05")
def test_earliest_reads_everything_again(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    sent = _publish(bench, subscription.topic, 20)
    consumer = bench.consumer(subscription)
    read = _read(consumer, 12)
    consumer.raw.seek("earliest")
    again = _read(consumer, 20)
    reached = bench.drain(consumer, quiet_s=bench.timing.quiet_s)
    came = bench.recorder.history.of(Kind.DELIVER)

    require_equal(sent[:12], _names(read), "the messages before")
    require_equal(sent, _names(again), "the messages from the beginning on")
    require_equal(32, len(came), "deliveries in all")
    assert reached


@clause("SEEK-07")
def test_a_position_is_that_of_one_message(bench: Bench) -> None:
    topic = bench.topic(ordering="key")
    subscriptions = [bench.subscribe(topic) for _ in range(2)]
    _publish(bench, topic, 10)
    one, other = (bench.consumer(each) for each in subscriptions)
    readings = [_positions(_read(one, 10)), _positions(_read(other, 10))]
    one.raw.seek("earliest")
    readings.append(_positions(_read(one, 10)))
    reached = [bench.drain(each) for each in (one, other)]

    require_equal(10, len(set(readings[0].values())), "positions of ten messages")
    require_equal(readings[0], readings[1], "the positions that another subscription sees")
    require_equal(readings[0], readings[2], "the positions when they are read again")
    assert all(reached)


@clause("SEEK-08")
def test_what_is_no_position_is_refused(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    consumer = bench.consumer(subscription)
    for nonsense in ("", "no position", "-1", "first"):
        with require_raises(ConfigurationError, sentence=f"seek({nonsense!r})"):
            consumer.raw.seek(nonsense)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, exclusivity)
    assert reached


@clause("SEEK-51")
def test_latest_passes_over_what_waits(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    _publish(bench, subscription.topic, 10)
    consumer = bench.consumer(subscription)
    _read(consumer, 3)
    consumer.raw.seek("latest")
    after = _publish(bench, subscription.topic, 5)
    came = _read(consumer, 5)
    is_all = consumer.is_quiet()

    require_equal(after, _names(came), "the messages after latest")
    require(is_all, "more comes than was published after it")


@clause("SEEK-52")
def test_a_time_is_between_before_and_after(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    consumer = bench.consumer(subscription)
    before = _publish(bench, subscription.topic, 5)
    assert len(_read(consumer, 5)) == len(before)
    moment = moment_between(bench, consumer)
    after = _publish(bench, subscription.topic, 5)
    _read(consumer, 5)
    consumer.raw.seek(moment)
    again = _read(consumer, 5)
    is_all = consumer.is_quiet()

    require_equal(after, _names(again), "the messages from the moment on")
    require(is_all, "more comes than was published after it")


@clause("SEEK-55")
def test_each_subscription_has_a_position_of_its_own(bench: Bench) -> None:
    topic = bench.topic(ordering="key")
    one, other = bench.subscribe(topic), bench.subscribe(topic)
    sent = _publish(bench, topic, 10)
    going_back, steady = bench.consumer(one), bench.consumer(other)
    _read(going_back, 10)
    half = _read(steady, 5)
    going_back.raw.seek("earliest")
    again = _read(going_back, 10)
    rest = _read(steady, 5)
    is_over = steady.is_quiet()

    require_equal(sent, _names(again), "the messages of the one that went back")
    require_equal(sent, _names(half + rest), "the messages of the other one")
    require(is_over, "the other one went back as well")


@clause("SEEK-56")
def test_what_is_held_is_lost_by_seek(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    sent = _publish(bench, subscription.topic, 10)
    consumer = bench.consumer(subscription)
    done = _read(consumer, 4)
    held = consumer.take(1)
    assert held, "one more is held"
    consumer.raw.seek("earliest")
    held[0].raw.ack()
    again = _read(consumer, 10)
    outcome = held[0].raw.outcome

    require(
        outcome is not None and outcome.kind is OutcomeKind.LEASE_LOST,
        f"the ack of what was held before: {outcome}",
        held[0].event,
    )
    require_equal(sent[:4], _names(done), "the messages before")
    require_equal(sent, _names(again), "the messages afterwards")


@clause("SEEK-57")
def test_the_next_consumer_goes_on_where_seek_went(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key")
    sent = _publish(bench, subscription.topic, 10)
    first = bench.consumer(subscription, bus=bench.bus())
    _read(first, 10)
    first.raw.seek("earliest")
    first.close()
    back = bench.consumer(subscription, bus=bench.bus())
    again = _read(back, 10)
    back.close()
    forth = bench.consumer(subscription, bus=bench.bus())
    forth.raw.seek("earliest")
    forth.raw.seek("latest")
    forth.close()
    after = _publish(bench, subscription.topic, 3)
    last = bench.consumer(subscription, bus=bench.bus())
    came = _read(last, 3)
    is_over = last.is_quiet()

    require_equal(sent, _names(again), "the messages after going back")
    require_equal(after, _names(came), "the messages after going forth")
    require(is_over, "more comes than was published after it")


def _publish(bench: Bench, topic: Topic, count: int) -> list[str]:
    """Publish *count* messages of one key; return their names in order."""
    return [each.message for each in bench.producer(topic).send(count, key="k")]


def _read(consumer: RecordingConsumer, count: int) -> list[Held]:
    """Take and ack *count* deliveries, one after the other; fewer if no more come in time."""
    read: list[Held] = []
    while len(read) < count and (taken := consumer.take(1)):
        read += taken
        taken[0].ack()
    consumer.settled()
    return read


def _names(held: list[Held]) -> list[str]:
    return [each.message for each in held]


def _positions(held: list[Held]) -> dict[str, str | None]:
    return {each.message: each.raw.position for each in held}
