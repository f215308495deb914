"""A broker that hangs, dies, is short of memory, or takes leases back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from unibus.errors import DeadlineExceededError, UnibusError
from unibus.outcome import OutcomeKind
from unibus_contract.beside import Beside
from unibus_contract.checkers import duplicate, fencing, loss, phantom
from unibus_contract.history import History, Kind
from unibus_contract.judgement import judge, require, require_equal, require_raises
from unibus_contract.publishing import RecordingProducer
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

if TYPE_CHECKING:
    from unibus import Receipt

_SHORT_S = 0.3
_HANGS_S = 1.0
_PACE_S = 0.003
_MANY = 1000


@clause("LIF-50")
def test_a_broker_that_hangs_and_goes_on_has_lost_nothing(bench: Bench) -> None:
    subscription = bench.subscription()
    producer, consumer = bench.producer(subscription.topic), bench.consumer(subscription)
    producer.send(10)
    held = consumer.take(5)
    with bench.faults.paused():
        for each in held:
            each.ack()
        sent = [producer.publish() for _ in range(10)]
        with require_raises(DeadlineExceededError, sentence="an outcome while the broker hangs"):
            sent[-1].receipt.wait(_HANGS_S)
    producer.confirm(bench.timing.recovery_s)
    consumer.settled(bench.timing.recovery_s)
    reached = bench.drain(consumer)
    outcomes = [each.receipt.outcome for each in sent]
    settled = [each.raw.outcome for each in held]

    other = [each for each in outcomes if each is None or each.kind is not OutcomeKind.ACCEPTED]
    require(not other, f"{len(other)} of 10 publishes are not accepted: {other[:1]}")
    other = [each for each in settled if each is None or each.kind is not OutcomeKind.SETTLED]
    require(not other, f"{len(other)} of 5 acks are not settled: {other[:1]}")
    bench.judge(subscription, loss, phantom, duplicate, fencing)
    assert reached


@clause("LIF-62")
def test_every_call_keeps_its_deadline_while_the_broker_hangs(bench: Bench) -> None:
    subscription = bench.subscription()
    other = bench.subscription()
    bus = bench.bus()
    producer, consumer = bus.producer(subscription.topic), bus.consumer(subscription)
    producer.publish(b"before").wait(bench.timing.patience_s)
    (held,) = consumer.receive(1, timeout_s=bench.timing.patience_s)
    calls: dict[str, Callable[[], object]] = {
        "receipt.wait": lambda: producer.publish(b"x").wait(_SHORT_S),
        "producer.flush": lambda: producer.flush(_SHORT_S),
        "delivery.wait_settled": lambda: held.wait_settled(_SHORT_S),
        "consumer.flush": lambda: consumer.flush(_SHORT_S),
        "consumer.receive": lambda: consumer.receive(1, timeout_s=_SHORT_S),
        "topology.describe": lambda: bus.topology.describe(other, timeout_s=_SHORT_S),
        "topology.apply": lambda: bus.topology.apply(other, timeout_s=_SHORT_S),
        "bus.producer": lambda: bus.producer(other.topic, timeout_s=_SHORT_S),
        "bus.consumer": lambda: bus.consumer(other, timeout_s=_SHORT_S),
        "connect": lambda: bench.broker.connect(bench.url, timeout_s=_SHORT_S).close(),
        "bus.close": lambda: bus.close(_SHORT_S),
    }
    late: dict[str, float] = {}
    with bench.faults.paused():
        held.ack()
        for name, call in calls.items():
            began = monotonic()
            try:
                call()
            except UnibusError:
                pass
            except Exception as error:  # noqa: BLE001  # what no program expects
                late[f"{name}: {error!r}"] = monotonic() - began
            if (took_s := monotonic() - began) > _SHORT_S + bench.timing.slack_s:
                late[name] = took_s

    told = ", ".join(f"{name} {took_s:.2f} s" for name, took_s in late.items())
    require(not late, f"{_SHORT_S} s were given, and taken were: {told}")


class _Load:
    """Publishes on a thread of its own, until the block is left and every outcome is known."""

    def __init__(self, bench: Bench, producer: RecordingProducer) -> None:
        self._producer = producer
        self._recovery_s = bench.timing.recovery_s
        self._is_over = threading.Event()
        self._work = Beside(self._publish, "load")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        assert self._work.ended(self._recovery_s), "publishing does not end"
        self._producer.confirm(self._recovery_s)
        assert self._work.error is None, f"publishing ended with {self._work.error!r}"

    def _publish(self) -> None:
        while not self._is_over.wait(_PACE_S):
            self._producer.publish()


@clause("LIF-63")
def test_restarts_under_load_leave_nobody_deaf(bench: Bench) -> None:
    subscription = bench.subscription()
    members = min(3, bench.capabilities.competing.value or 3)
    deaf: list[str] = []
    with bench.crew(subscription, members) as crew:
        with _Load(bench, bench.producer(subscription.topic)):
            names = {each.name for each in crew.members}
            for _ in range(2):
                bench.recorder.fault("restart")
                bench.faults.restart()
                began = bench.recorder.count

                def heard(began: int = began) -> set[str]:
                    events = bench.recorder.history.events[began:]
                    return {each.process for each in events if each.kind is Kind.DELIVER}

                if not bench.eventually(lambda: names <= heard(), within_s=bench.timing.recovery_s):
                    deaf += sorted(names - heard())
        reached = crew.drain(bench.end_of(subscription.name))

    require(not deaf, f"deaf since a restart of the broker: {', '.join(deaf)}")
    if bench.capabilities.durable:
        bench.judge(subscription, loss, phantom)
    else:
        last = max(each.seq for each in bench.recorder.history.of(Kind.FAULT))
        since = History(each for each in bench.recorder.history.events if each.seq > last)
        judge(loss(since, bench.recorder.scope(subscription.name)))
    assert reached


@clause("LIF-64")
def test_publishing_waits_while_the_broker_lacks_memory(bench: Bench) -> None:
    subscription = bench.subscription()
    bus = bench.bus()
    producer = bench.producer(subscription.topic, bus=bus)
    consumer = bench.consumer(subscription, bus=bus)
    producer.send(10)
    with bench.faults.alarm():
        sent = [producer.publish()]
        while (took_s := _seconds_without_outcome(sent[-1].receipt)) is None:
            assert len(sent) < _MANY, "the broker takes everything although memory is short"
            sent.append(producer.publish())
        came = consumer.take(10)
        for each in came:
            each.ack()
    producer.confirm(bench.timing.recovery_s)
    consumer.settled(bench.timing.recovery_s)
    settled = [each.raw.outcome for each in came]
    reached = bench.drain(consumer)
    outcomes = [each.receipt.outcome for each in sent]

    require(took_s <= _SHORT_S + bench.timing.slack_s, f"wait({_SHORT_S}) took {took_s:.2f} s")
    require_equal(10, len(came), "deliveries of what was published before memory was short")
    other = [each for each in settled if each is None or each.kind is not OutcomeKind.SETTLED]
    require(not other, f"{len(other)} of 10 acks are not settled: {other[:1]}")
    other = [each for each in outcomes if each is None or each.kind is not OutcomeKind.ACCEPTED]
    require(not other, f"{len(other)} publishes are not accepted afterwards: {other[:1]}")
    bench.judge(subscription, loss, phantom, duplicate)
    assert reached


def _seconds_without_outcome(receipt: Receipt) -> float | None:
    began = monotonic()
    try:
        receipt.wait(_SHORT_S)
    except DeadlineExceededError:
        return monotonic() - began
    return None


@clause("LIF-65")
def test_what_was_accepted_survives_the_death_of_the_broker(bench: Bench) -> None:
    subscription = bench.subscription()
    producer, consumer = bench.producer(subscription.topic), bench.consumer(subscription)
    bench.let_settle()
    producer.send(100)
    for _ in range(100):
        producer.publish()
    bench.recorder.fault("kill")
    bench.faults.kill()
    producer.confirm(bench.timing.recovery_s)
    producer.send(10)
    came = consumer.take(timeout_s=bench.timing.recovery_s)
    for each in came:
        each.ack()
    reached = bench.drain(consumer)

    require(came, "nothing is received since the broker was started again")
    bench.judge(subscription, loss, phantom)
    assert reached


@clause("LIF-66")
def test_a_consumer_goes_on_when_its_leases_were_taken_back(bench: Bench) -> None:
    subscription = bench.subscription()
    producer, consumer = bench.producer(subscription.topic), bench.consumer(subscription)
    producer.send(10)
    held = consumer.take(10)
    for each in held[:3]:
        each.ack()
    consumer.settled()
    bench.recorder.fault("the leases are taken back")
    bench.faults.lose_leases(subscription)
    for each in held[3:]:
        each.ack()
    consumer.settled()
    producer.send(5)
    reached = bench.drain(consumer)
    outcomes = [each.raw.outcome for each in held[3:]]

    told = (OutcomeKind.LEASE_LOST, OutcomeKind.UNKNOWN)
    kept = [each for each in outcomes if each is None or each.kind not in told]
    require(not kept, f"{len(kept)} of 7 acks under a lease that was taken back: {kept[:1]}")
    bench.judge(subscription, loss, phantom, duplicate)
    assert reached
