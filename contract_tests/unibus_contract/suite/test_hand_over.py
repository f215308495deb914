"""Dead letters when something fails on the way, and their way back."""

from __future__ import annotations

import logging
from contextlib import suppress

from typing_extensions import override

from unibus.errors import DeadlineExceededError, UnibusError
from unibus.specs import Subscription
from unibus_contract.checkers import dead_letter, fidelity, loss
from unibus_contract.consuming import Held
from unibus_contract.harness import Evidence
from unibus_contract.judgement import require, require_equal, require_raises
from unibus_contract.registry import clause
from unibus_contract.tether import tethered
from unibus_contract.workbench import Bench


class _Heard(logging.Handler):
    """What unibus logs as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _reject(held: Held) -> None:
    held.reject("broken")


@clause("DLQ-52")
def test_a_hand_over_that_is_cut_short_loses_nothing(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name())
    (queue,) = bench.dead_letters(subscription)
    bench.producer(subscription.topic).send(5)
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    held = consumer.take(5)
    bench.main.topology.delete(queue)  # so that no copy can be accepted
    for each in held:
        each.reject("broken")
    with suppress(UnibusError):
        consumer.raw.flush(bench.timing.quiet_s)  # so that it is tried
    consumer.raw.pause()
    tether.tear()
    bench.main.topology.apply(queue)
    consumer.raw.resume()
    again = consumer.take(5, timeout_s=bench.timing.recovery_s)
    for each in again:
        each.reject("broken")
    bench.drain(bench.letters(subscription))

    require_equal(5, len(again), "what comes again of five that were to be handed over")
    bench.judge(subscription, dead_letter, loss)
    assert len(held) == 5


@clause("DLQ-53")
def test_sources_are_kept_while_their_queue_is_missing(bench: Bench) -> None:
    heard, log = _Heard(), logging.getLogger("unibus")
    subscription = bench.subscription(dead_letter=bench.name())
    (queue,) = bench.dead_letters(subscription)
    bench.producer(subscription.topic).send(3)
    consumer = bench.consumer(subscription)
    held = consumer.take(3)
    bench.main.topology.delete(queue)
    log.addHandler(heard)
    try:
        for each in held:
            each.reject("broken")
        with require_raises(DeadlineExceededError, sentence="flushing what cannot be handed over"):
            consumer.raw.flush(bench.timing.quiet_s)
    finally:
        log.removeHandler(heard)
    bench.main.topology.apply(queue)
    letters = bench.letters(subscription)
    reached = bench.drain(letters)

    is_named = any(queue.name in line for line in heard.lines)
    require(is_named, f"that the queue is missing is logged: {heard.lines}")
    bench.judge(subscription, dead_letter, loss)
    assert reached


@clause("DLQ-54")
def test_a_redriven_message_comes_back_as_it_was(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name())
    bench.producer(subscription.topic).send(5, key="k", headers={"tenant": "acme"})
    consumer = bench.consumer(subscription)
    reached = bench.drain(consumer, handler=_reject)
    done = bench.main.redrive(subscription, max_messages=3)
    rest = bench.main.redrive(subscription, max_messages=2)
    back = consumer.take(5)
    told = [each.raw.dead_letter for each in back]
    for each in back:
        each.ack()
    left = bench.letters(subscription).is_quiet()

    counts = (done.redriven, rest.redriven, done.kept + rest.kept)
    require_equal((3, 2, 0), counts, "what two redrives of three and of two say")
    require_equal(5, len(back), "how many messages come back")
    attempts = {each.event.attempt for each in back}
    require(attempts <= {1, -1}, f"a redriven message begins with attempt 1, not {attempts}")
    stories = {None if each is None else (each.reason, each.redrives) for each in told}
    require_equal({("rejected", 1)}, stories, "what a redriven message tells")
    require(left, "a letter that was sent back is still there")
    bench.judge(subscription, fidelity)
    assert reached


@clause("DLQ-55")
def test_what_kills_its_consumers_is_dead_lettered(bench: Bench) -> None:
    subscription = bench.subscription(dead_letter=bench.name(), max_attempts=2)
    (sent,) = bench.producer(subscription.topic).send(headers={"tenant": "acme"})
    for _ in range(2):
        _die_of_it(bench, subscription)
    heir = bench.consumer(subscription)
    given = heir.take(timeout_s=bench.timing.quiet_s)
    found = bench.letters(subscription).take()
    for each in found:
        each.ack()

    handed = [each.event for each in given]
    require(not handed, "what killed two consumers, of two attempts, is given to a third", *handed)
    require_equal([sent.message], [each.message for each in found], "what is a dead letter")
    death = found[0].raw.dead_letter
    told = None if death is None else (death.reason, death.subscription)
    require_equal(("max attempts", subscription.name), told, "what the dead letter tells")
    require_equal("acme", found[0].raw.headers.get("tenant"), "a header of the dead letter")


def _die_of_it(bench: Bench, subscription: Subscription) -> None:
    """Have a consumer get what there is, and end without a word."""
    if bench.broker.evidence is not Evidence.IN_PROCESS:
        agent = bench.agent(subscription)
        assert agent.wait_for(1)
        agent.kill()
        return
    tether = tethered(bench)
    consumer = tether.consumer(subscription)
    assert consumer.take()
    consumer.raw.pause()
    tether.tear()
    consumer.close()


@clause("DLQ-58")
def test_a_redrive_sends_back_its_own_letters_to_its_own_subscription(bench: Bench) -> None:
    topic, letters = bench.topic(), bench.name()
    ours = bench.subscribe(topic, dead_letter=letters)
    theirs = bench.subscribe(topic, dead_letter=letters)
    bench.producer(topic).send(4)
    consumers = [bench.consumer(each) for each in (ours, theirs)]
    for consumer in consumers:
        for held in consumer.take(4):
            held.reject("broken")
        consumer.settled()
    done = bench.main.redrive(ours, max_messages=4)
    back = consumers[0].take(4)
    for each in back:
        each.ack()
    stray = consumers[1].is_quiet()
    left = bench.letters(ours).take(4)
    whose = {each.raw.dead_letter and each.raw.dead_letter.subscription for each in left}
    for each in left:
        each.ack()

    require_equal(4, done.redriven, "how many letters a redrive sends back")
    require_equal(4, len(back), "how many messages come back")
    require(stray, "a redrive gave a message to another subscription of the topic")
    require_equal((4, {theirs.name}), (len(left), whose), "what is left in a shared queue")
