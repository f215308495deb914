"""Publishing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, cast

from typing_extensions import override

from unibus.errors import UnsupportedError
from unibus.specs import Exact
from unibus.spi import AcksLevel, Adapter, Binding, Outgoing, Source
from unibus_contract.checkers import certainty, duplicate, exclusivity, fidelity, loss, phantom
from unibus_contract.history import Kind, Phase
from unibus_contract.judgement import require, require_equal, require_raises
from unibus_contract.publishing import RecordingProducer
from unibus_contract.registry import clause
from unibus_contract.watch import OverWrapped, watched
from unibus_contract.workbench import Bench
from unibus_contract.wrap import AdapterWrap, SourceWrap

_LEVELS: Final[tuple[AcksLevel, ...]] = ("all", "leader", "none")


@clause("PUB-01")
def test_what_was_accepted_is_delivered_once_and_nothing_else(bench: Bench) -> None:
    subscription = bench.subscription()
    producer = bench.producer(subscription.topic)
    consumer = bench.consumer(subscription)
    producer.send(50)
    producer.send_batch([{"size": 200}] * 50)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, phantom, duplicate, exclusivity, certainty, fidelity)
    assert reached


@clause("PUB-02")
def test_what_is_published_while_nobody_consumes_waits(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(400)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, phantom, duplicate)
    assert reached


@clause("PUB-03")
def test_a_message_that_nobody_hurries_arrives(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    sent = bench.producer(subscription.topic).publish()
    came = [each.message for each in consumer.take()]

    require_equal([sent.message], came, "one message was published, and nobody waited for it")


@clause("PUB-04")
def test_threads_share_a_producer(bench: Bench) -> None:
    subscription = bench.subscription()
    shared = bench.main.producer(subscription.topic)
    patience_s = bench.timing.patience_s
    producers = [
        RecordingProducer(bench.recorder, shared, subscription.topic.name, patience_s)
        for _ in range(4)
    ]
    together = threading.Barrier(len(producers))

    def work(producer: RecordingProducer) -> None:
        together.wait(patience_s)
        for _ in range(25):
            producer.publish(headers={"from": producer.name}, routing_key=producer.name)
        producer.confirm()

    threads = [threading.Thread(target=work, args=(each,)) for each in producers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    reached = bench.drain(bench.consumer(subscription))
    shared.close()

    bench.judge(subscription, loss, phantom, duplicate, fidelity)
    assert reached


@clause("PUB-05")
def test_one_call_publishes_more_than_fits_at_once(bench: Bench) -> None:
    subscription = bench.subscription()
    at_once = bench.capabilities.max_batch.value.max_messages
    bench.producer(subscription.topic).send_batch([{}] * (at_once + 500))
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, phantom, duplicate)
    assert reached


@clause("PUB-06")
def test_no_hand_over_is_larger_than_promised(bench: Bench) -> None:
    subscription = bench.subscription()
    limits = bench.capabilities.max_batch.value
    seen: list[tuple[int, int]] = []
    broker = OverWrapped(bench.broker, lambda adapter: _Weighing(adapter, seen))
    with broker.connect(bench.url) as bus:
        producer = bench.producer(subscription.topic, bus=bus)
        producer.send_batch([{}] * (limits.max_messages + 1))
        producer.send_batch([{"size": limits.max_bytes // 3}] * 4)

    for messages, size in seen:
        require(messages <= limits.max_messages, f"{messages} messages at once, not {limits}")
        require(size <= limits.max_bytes, f"{messages} messages of {size} bytes, not {limits}")
    assert seen


class _Weighing(AdapterWrap):
    def __init__(self, inner: Adapter, seen: list[tuple[int, int]]) -> None:
        super().__init__(inner)
        self._seen = seen

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        weigh = self._seen.append

        class Scales(SourceWrap):
            @override
            def select(self, batch: Outgoing) -> Sequence[int]:
                weigh((len(batch), sum(len(body or b"") for body in batch.bodies)))
                return super().select(batch)

        return Scales(source)


@clause("PUB-07")
def test_one_that_fails_fails_alone(bench: Bench) -> None:
    topic = bench.topic()
    subscription = bench.subscribe(
        topic, filter=Exact("wanted"), wants=lambda event: event.routing_key == "wanted"
    )
    keys = ["wanted", "nobody's", "wanted", "wanted", "nobody's"]
    sent = bench.producer(topic).send_batch([{"routing_key": key} for key in keys])
    reached = bench.drain(bench.consumer(subscription))

    ends = {each.message: each for each in bench.recorder.history.of(Kind.PUBLISH)}
    for name, key in zip(sent, keys, strict=True):
        expected = Phase.OK if key == "wanted" else Phase.FAIL
        require_equal(expected, ends[name].phase, f"one of {len(keys)} went to {key!r}", ends[name])
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("PUB-08")
def test_a_publish_gets_its_outcome_by_itself(bench: Bench) -> None:
    subscription = bench.subscription()
    sent = bench.producer(subscription.topic).publish()
    has_ended = bench.eventually(lambda: sent.receipt.outcome is not None)

    require(has_ended, f"{sent.message} has no outcome, and nobody has asked for one")


@clause("PUB-15")
def test_a_program_that_only_publishes_may_end(bench: Bench) -> None:
    subscription = bench.subscription()
    with bench.bus() as bus:
        bench.producer(subscription.topic, bus=bus).send(20)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, duplicate)
    assert reached


@clause("PUB-17")
def test_closing_sends_what_was_published(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    closed, left_open = (bench.producer(subscription.topic, bus=bus) for _ in range(2))
    sent = [each.publish() for each in (closed, left_open) for _ in range(30)]
    closed.close()
    bus.close()
    undecided = [each.message for each in sent if each.receipt.outcome is None]
    left_open.confirm(0.0)
    reached = bench.drain(bench.consumer(subscription))

    require(not undecided, f"after the close, {', '.join(undecided)} had no outcome")
    bench.judge(subscription, loss, phantom, duplicate, certainty)
    assert reached


@clause("PUB-18")
def test_each_level_of_acks_carries_messages(bench: Bench) -> None:
    subscription = bench.subscription()
    for level in _LEVELS:
        if level in bench.capabilities.acks.value:
            bench.producer(subscription.topic, acks=level).send(10)
    reached = bench.drain(bench.consumer(subscription))

    bench.judge(subscription, loss, phantom, duplicate, certainty)
    assert reached


@clause("PUB-19")
def test_a_level_of_acks_that_is_not_offered_is_refused(bench: Bench) -> None:
    topic = bench.subscription().topic
    broker, watch = watched(bench.broker)
    offered = bench.capabilities.acks.value
    unknown = cast("AcksLevel", "most")
    with broker.connect(bench.url) as bus:
        for level in (unknown, *_LEVELS):
            if level not in offered:
                sentence = f"acks={level!r} is not offered"
                with require_raises(UnsupportedError, sentence=sentence, saying=(level, *offered)):
                    bus.producer(topic, acks=level)
    late = watch.since(0)

    require(not late, f"it is refused before any I/O; it came after {', '.join(late)}")
