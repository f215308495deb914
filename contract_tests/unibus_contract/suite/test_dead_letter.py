"""What cannot be handled."""

from __future__ import annotations

from collections import Counter
from functools import partial

from unibus.errors import NotFoundError
from unibus_contract.checkers import dead_letter, duplicate, exclusivity, loss, phantom
from unibus_contract.consuming import Held
from unibus_contract.history import Kind, Phase
from unibus_contract.judgement import require, require_equal, require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench


def failing(held: Held) -> None:
    """Handle nothing."""
    held.nack()


@clause("DLQ-01")
def test_what_failed_at_its_last_attempt_is_a_dead_letter(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=2)
    bench.producer(subscription.topic).send(5, key="k", headers={"tenant": "acme", "empty": ""})
    reached = bench.drain(bench.consumer(subscription), handler=failing)
    found = bench.drain(bench.letters(subscription))

    bench.judge(subscription, dead_letter, loss, phantom)
    assert reached
    assert found


@clause("DLQ-02")
def test_a_message_is_tried_as_often_as_was_said(bench: Bench) -> None:
    for limit in (1, 3):
        subscription = bench.subscription(dead_letter=bench.name(), max_attempts=limit)
        sent = bench.producer(subscription.topic).send(4)
        consumer = bench.consumer(subscription)
        tries: Counter[str] = Counter()

        handler = partial(_spare, sent[0].message, limit, tries)
        reached = bench.drain(consumer, handler=handler, quiet_s=bench.timing.quiet_s)
        bench.drain(bench.letters(subscription))

        expected = {each.message: limit for each in sent}
        require_equal(expected, tries, f"how often each was delivered, of {limit} attempts")
        bench.judge(subscription, dead_letter)
        assert reached


def _spare(spared: str, limit: int, tries: Counter[str], held: Held) -> None:
    """Fail, but for the last attempt of one message."""
    tries[held.message] += 1
    if held.message == spared and tries[held.message] == limit:
        held.ack()
    else:
        held.nack()


@clause("DLQ-03")
def test_a_dead_letter_tells_why_and_whence(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name())
    bench.producer(subscription.topic).send(3, headers={"tenant": "acme"})
    consumer = bench.consumer(subscription)
    held = consumer.take(3)
    untouched = [each.raw.dead_letter for each in held]
    for each, reason in zip(held, ("schema 7 is unknown", "", "x" * 300), strict=True):
        each.reject(reason)
    consumer.settled()
    letters = bench.letters(subscription).take(3)
    deaths = [each.raw.dead_letter for each in letters]
    for each in letters:
        each.ack()

    bench.judge(subscription, dead_letter)
    require_equal([None] * 3, untouched, "what ordinary deliveries tell of a death")
    times = [death.first_at_s for death in deaths if death is not None]
    is_dated = [time is not None and time > 0 for time in times]
    require_equal([True] * 3, is_dated, "whether dead letters tell when they died")
    assert len(letters) == 3


@clause("DLQ-04")
def test_what_cannot_be_decoded_is_a_dead_letter(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name())
    producer = bench.producer(subscription.topic)
    producer.send(2)
    bench.native.publish_malformed(subscription.topic)
    producer.send(2)
    reached = bench.drain(bench.consumer(subscription))
    letters = bench.letters(subscription).raw
    batch = letters.receive(5, timeout_s=bench.timing.patience_s)
    reasons = [each.dead_letter and each.dead_letter.reason for each in batch]
    batch.ack()

    require_equal(["undecodable"], reasons, "what is in the dead letter queue")
    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("DLQ-09")
def test_a_dead_letter_queue_is_described_and_planned(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=4)
    topology = bench.main.topology
    (found,) = topology.describe(subscription)
    (queue,) = bench.dead_letters(subscription)
    before = topology.plan(subscription)
    topology.delete(queue)
    after = topology.plan(subscription)

    have = (getattr(found, "dead_letter", None), getattr(found, "max_attempts", None))
    require_equal((subscription.dead_letter, 4), have, "what is described of dead letters")
    require_equal([], [each.text for each in before], "what is planned when all is there")
    named = [each.kind for each in after if queue.name in (each.spec.name, *each.text.split())]
    require("create" in named, f"the plan for a missing dead letter queue is {after}")


@clause("DLQ-50")
def test_a_failing_message_holds_up_no_other(bench: Bench) -> None:
    delay_s = bench.timing.delay_s
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=2)
    (poison, *others) = bench.producer(subscription.topic).send(20)
    consumer = bench.consumer(subscription, max_unsettled=5)
    failures: list[Held] = []

    def handle(held: Held) -> None:
        if held.message != poison.message:
            held.ack()
        else:
            failures.append(held)
            held.nack(delay_s if len(failures) == 1 else 0.0)

    reached = bench.drain(consumer, handler=handle)
    bench.drain(bench.letters(subscription))

    came = {each.message: each for each in bench.recorder.history.of(Kind.DELIVER)}
    first, second = failures
    late = [came[each.message] for each in others if came[each.message].t > second.event.t]
    require(not late, "others waited for one that failed", first.event, second.event, *late[:3])
    bench.judge(subscription, dead_letter, loss)
    assert reached


@clause("DLQ-51")
def test_each_that_is_given_up_is_a_dead_letter_once(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=2)
    bench.producer(subscription.topic).send(30, headers={"tenant": "acme"})

    def handle(held: Held) -> None:
        match int(held.message.rpartition("/")[2]) % 3:
            case 0:
                held.ack()
            case 1:
                held.nack()
            case _:
                held.reject()

    members = 3 if bench.capabilities.competing.value != 1 else 1
    with bench.crew(subscription, members, handler=handle, max_unsettled=5) as crew:
        reached = crew.drain(bench.end_of(subscription.name), quiet_s=bench.timing.quiet_s)
    found = bench.drain(bench.letters(subscription), quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, dead_letter, loss, phantom, duplicate, exclusivity)
    assert reached
    assert found


@clause("DLQ-56")
def test_nothing_is_given_up_unless_that_was_said(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send()
    consumer = bench.consumer(subscription)
    held: list[Held] = []
    for each in iter(consumer.take, []):
        held += each
        if len(held) == 25:
            break
        each[0].nack()

    require_equal(25, len(held), "how often a message comes that always fails", held[-1].event)
    held[-1].ack()


@clause("DLQ-60")
def test_what_follows_a_failing_message_comes_in_order(bench: Bench) -> None:
    subscription = bench.subscription(ordering="key", dead_letter=bench.name(), max_attempts=2)
    producer = bench.producer(subscription.topic)
    poison = producer.publish(key="a").message
    for key in "baaba":
        producer.publish(key=key)
    producer.confirm()

    def handle(held: Held) -> None:
        if held.message == poison:
            held.nack()
        else:
            held.ack()

    reached = bench.drain(bench.consumer(subscription), handler=handle)
    bench.drain(bench.letters(subscription))

    settled = [
        int(each.message.rpartition("/")[2])
        for each in bench.recorder.history.of(Kind.ACK, subscription=subscription.name)
        if each.phase in (Phase.OK, Phase.INFO) and "/a/" in each.message
    ]
    require_equal([1, 2, 3], settled, "what was handled after the one that failed")
    bench.judge(subscription, dead_letter, loss, duplicate)
    assert reached


@clause("DLQ-61")
def test_a_missing_dead_letter_queue_is_an_error_when_a_consumer_opens(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name())
    (queue,) = bench.dead_letters(subscription)
    bus = bench.bus()
    bench.main.topology.delete(queue)
    with require_raises(
        NotFoundError, sentence="a consumer without its dead letter queue", saying=[queue.name]
    ):
        bus.consumer(subscription)
