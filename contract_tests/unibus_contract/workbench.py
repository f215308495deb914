"""What the proof of a clause is given: a broker under test and everything to write short tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Unpack

import unibus
from unibus.binding import reach
from unibus.capabilities import Capabilities, Profile
from unibus.errors import UnibusError
from unibus.requirements import Requirements
from unibus.specs import OrderingName, Queue, Spec, Subscription, Topic
from unibus_contract.checkers import Checker
from unibus_contract.consuming import Handler, RecordingConsumer, acked
from unibus_contract.crew import Crew
from unibus_contract.draining import Drain, drain
from unibus_contract.due import View
from unibus_contract.fields import ConsumerFields, ProducerFields, QueueFields, SubscriptionFields
from unibus_contract.harness import BrokerUnderTest, Faults, Native
from unibus_contract.history import Event, Scope
from unibus_contract.judgement import judge
from unibus_contract.publishing import RecordingProducer
from unibus_contract.recorder import Recorder
from unibus_contract.timing import TimingProfile, eventually

if TYPE_CHECKING:
    from unibus import Bus, Producer

_CLOSE_S = 10.0


class Bench:
    """One run of one clause on one profile: names, specs, buses, a recorder; closed by the runner.

    Everything opened or declared through it is closed and removed afterwards.

    Attributes:
        broker: The broker under test.
        profile_name: The profile under test.
        prefix: What every name of this run begins with.
        recorder: Writes the history.
        timing: How long things take; the only source of seconds.
        url: What connects to the broker with the profile under test.
    """

    def __init__(self, broker: BrokerUnderTest, profile_name: str, run: str, clause: str) -> None:
        self.broker = broker
        self.profile_name = profile_name
        self.prefix = f"ub-{run}-{clause.lower()}"
        self.recorder = Recorder(run)
        self.timing: TimingProfile = broker.timing
        self.url = broker.url_of(profile_name)
        self._numbers = itertools.count(1)
        self._handles = ExitStack()
        self._buses = ExitStack()
        self._declared: list[Spec] = []
        self._sentinels: dict[str, Producer] = {}

    # The broker

    @cached_property
    def main(self) -> Bus:
        """The bus that everything uses unless another is named; opened when first asked for."""
        return self.bus()

    def bus(self, *, require: Requirements | None = None) -> Bus:
        """Open one more connection to the broker under test."""
        bus = self.broker.connect(self.url, require=require)
        self._buses.callback(_closed_quietly, bus)
        return bus

    @property
    def profile(self) -> Profile:
        """The profile under test, as the adapter declares it."""
        return self.main.profiles[self.profile_name]

    @property
    def view(self) -> View:
        """What the profile promises, for expressions that say when a clause is due."""
        profile = self.profile
        return View(reach(profile), reach(profile, is_ordered=True), profile)

    @property
    def capabilities(self) -> Capabilities:
        """What a plain subscription of this profile is promised."""
        return reach(self.profile)

    @property
    def faults(self) -> Faults:
        """What can be done to the broker; note it with ``recorder.fault``."""
        return self.broker.faults

    @property
    def native(self) -> Native:
        """The bare client; only for clauses that need ``native``."""
        assert self.broker.native is not None, "the clause did not say that it needs native"
        return self.broker.native

    # Names and specs

    def name(self) -> str:
        """Return a name that nobody else has, and that is swept by its prefix."""
        return f"{self.prefix}-{next(self._numbers)}"

    def topic(self, *, ordering: OrderingName = "none", partitions: int | None = None) -> Topic:
        """Return a new topic; declared with its first subscription, or by ``declare``."""
        return Topic(self.name(), ordering=ordering, partitions=partitions)

    def subscribe(
        self,
        topic: Topic,
        *,
        wants: Callable[[Event], bool] | None = None,
        with_past: bool = False,
        **fields: Unpack[SubscriptionFields],
    ) -> Subscription:
        """Declare a new subscription to *topic* and await what is published from now on.

        Args:
            topic: Declared as well, if it is not yet.
            wants: Which publish events the filter lets through; everything by default.
            with_past: Await what was published before, too (``start="earliest"``).
            **fields: Of the subscription.
        """
        if self.profile.mode == "stream":
            fields.setdefault("mode", "stream")
        subscription = Subscription(self.name(), topic=topic, **fields)
        self.declare(topic, subscription)
        self.expect(subscription, wants=wants, with_past=with_past)
        return subscription

    def subscription(
        self, *, ordering: OrderingName = "none", **fields: Unpack[SubscriptionFields]
    ) -> Subscription:
        """Declare a new topic with one new subscription to it."""
        return self.subscribe(self.topic(ordering=ordering), **fields)

    def queue(self, **fields: Unpack[QueueFields]) -> Queue:
        """Declare a new queue and await what is published to it."""
        queue = Queue(self.name(), **fields)
        self.declare(queue)
        self.expect(queue.subscription)
        return queue

    def declare(self, *specs: Spec) -> None:
        """Make *specs* exist; they are deleted afterwards."""
        self.sweep(*specs)
        self.main.topology.apply(*specs)

    def sweep(self, *specs: Spec) -> None:
        """Have *specs* deleted afterwards, for what was declared in another way."""
        for spec in specs:
            if spec not in self._declared:
                self._declared.append(spec)
            if isinstance(spec, Subscription) and spec.dead_letter is not None:
                self.sweep(Queue(spec.dead_letter))

    def expect(
        self,
        subscription: Subscription,
        *,
        wants: Callable[[Event], bool] | None = None,
        with_past: bool = False,
    ) -> None:
        """Await what is published for *subscription*; the methods above have done so."""
        scope = Scope(
            subscription.topic.name,
            subscription.name,
            lease_s=subscription.lease_s,
            max_attempts=subscription.max_attempts,
            dead_letter=subscription.dead_letter,
        )
        self.recorder.expect(
            scope if wants is None else replace(scope, wants=wants), with_past=with_past
        )
        if subscription.dead_letter is not None:
            self.recorder.expect(Scope(subscription.dead_letter, subscription.dead_letter))

    # Traffic

    def producer(
        self,
        target: Topic | Queue,
        *,
        bus: Bus | None = None,
        **options: Unpack[ProducerFields],
    ) -> RecordingProducer:
        """Open a producer that writes down what it does."""
        raw = (bus or self.main).producer(target, **options)
        self._handles.callback(_closed_quietly, raw)
        return RecordingProducer(self.recorder, raw, target.name, self.timing.patience_s)

    def consumer(
        self,
        source: Subscription | Queue,
        *,
        bus: Bus | None = None,
        **options: Unpack[ConsumerFields],
    ) -> RecordingConsumer:
        """Open a consumer that writes down what it gets and does."""
        raw = (bus or self.main).consumer(source, **options)
        self._handles.callback(_closed_quietly, raw)
        return RecordingConsumer(self.recorder, raw, self.recorder.scope(source.name), self.timing)

    def letters(self, subscription: Subscription) -> RecordingConsumer:
        """Open a consumer of the dead letter queue of *subscription*."""
        assert subscription.dead_letter is not None, "the subscription has no dead letter queue"
        return self.consumer(Queue(subscription.dead_letter))

    def crew(
        self,
        source: Subscription | Queue,
        members: int,
        *,
        handler: Handler = acked,
        **options: Unpack[ConsumerFields],
    ) -> Crew:
        """Return *members* consumers, each on a bus and a thread of its own, to be entered."""
        consumers = [self.consumer(source, bus=self.bus(), **options) for _ in range(members)]
        return Crew(self.recorder, consumers, handler)

    def drain(
        self,
        *consumers: RecordingConsumer,
        handler: Handler = acked,
        quiet_s: float | None = None,
    ) -> bool:
        """Read one subscription to its end with its *consumers*; return whether it was reached.

        The end: all that was accepted is settled, and a sentinel published behind it has arrived.
        What ``handler`` leaves unsettled is never the end.
        """
        end = self.end_of(consumers[0].subscription)
        return drain(end, consumers, handler=handler, quiet_s=quiet_s)

    def end_of(self, subscription: str) -> Drain:
        """Return what knows when *subscription* has come to its end, for a crew's ``drain``."""
        return Drain(self.recorder, subscription, self.timing, self._sentinel_producer)

    # Verdict

    def judge(self, source: Subscription | Queue, *checkers: Checker) -> None:
        """Break the clause if one of *checkers* finds a counter-example in what was recorded.

        Raises:
            ViolationError: One does.
        """
        history, scope = self.recorder.history, self.recorder.scope(source.name)
        judge(*(checker(history, scope) for checker in checkers))

    def eventually(self, predicate: Callable[[], object], *, within_s: float | None = None) -> bool:
        """Return whether *predicate* becomes true; within the profile's patience by default."""
        limit_s = self.timing.patience_s if within_s is None else within_s
        return eventually(predicate, within_s=limit_s)

    # For the runner

    def close(self) -> Sequence[str]:
        """Close what is open, delete what was declared; return what could not be deleted."""
        with self._buses:
            self._handles.close()
        return self._delete_all() if self._declared else ()

    def _delete_all(self) -> Sequence[str]:
        left = []
        # A connection of its own: the clause may have broken those it used, or a saboteur them all.
        with unibus.connect(self.url) as bus:
            for spec in reversed(self._declared):
                try:
                    bus.topology.delete(spec)
                except UnibusError as error:
                    left.append(f"{spec.name}: {error}")
        return left

    def _sentinel_producer(self, topic: str) -> Producer:
        if topic not in self._sentinels:
            spec = next(each for each in self._declared if each.name == topic)
            target = spec.topic if isinstance(spec, Subscription) else spec
            producer = self._sentinels[topic] = self.main.producer(target)
            self._handles.callback(_closed_quietly, producer)
        return self._sentinels[topic]


class _Handle(Protocol):
    """A bus, a producer or a consumer."""

    def close(self, timeout_s: float) -> None: ...


def _closed_quietly(handle: _Handle) -> None:
    """Close *handle*; that it cannot be closed any more is the clause's business, not ours."""
    with suppress(UnibusError):
        handle.close(_CLOSE_S)
