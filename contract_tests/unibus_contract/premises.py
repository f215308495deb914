"""Where a clause is proven: a broker under test, buses to it, names, specs, and their removal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Unpack

import unibus
from unibus.binding import reach, resolve
from unibus.capabilities import Capabilities, Profile
from unibus.errors import UnibusError
from unibus.requirements import Requirements
from unibus.specs import OrderingName, Queue, Spec, Subscription, Topic
from unibus_contract.due import View
from unibus_contract.fields import QueueFields, SubscriptionFields
from unibus_contract.harness import BrokerUnderTest, Faults, Native
from unibus_contract.history import Event, Scope
from unibus_contract.recorder import Recorder
from unibus_contract.timing import TimingProfile, eventually

if TYPE_CHECKING:
    from unibus import Bus

_CLOSE_S = 10.0


class Premises:
    """One run of one clause on one profile: names, specs, buses, a recorder; closed by the runner.

    Everything opened or declared through it is closed and removed afterwards.

    Attributes:
        broker: The broker under test.
        profile_name: The profile under test.
        prefix: What every name of this run begins with.
        recorder: Writes the history.
        timing: How long things take; the only source of seconds.
        url: What connects to the broker with the profile under test.
        declared: What is deleted in the end.
        handles: What is closed in the end, before the buses.
    """

    def __init__(self, broker: BrokerUnderTest, profile_name: str, run: str, clause: str) -> None:
        self.broker = broker
        self.profile_name = profile_name
        self.prefix = f"ub-{run}-{clause.lower()}"
        self.recorder = Recorder(run)
        self.timing: TimingProfile = broker.timing
        self.url = broker.url_of(profile_name)
        self._numbers = itertools.count(1)
        self.handles = ExitStack()
        self._buses = ExitStack()
        self.declared: list[Spec] = []

    # The broker

    @cached_property
    def main(self) -> Bus:
        """The bus that everything uses unless another is named; opened when first asked for."""
        return self.bus()

    def bus(self, *, require: Requirements | None = None, url: str | None = None) -> Bus:
        """Open one more connection to the broker under test, at *url* if it has another way."""
        bus = self.broker.connect(url or self.url, require=require)
        self._buses.callback(closed_quietly, bus)
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
        subscription = self.undeclared(topic, **fields)
        self.declare(topic, subscription)
        self.expect(subscription, wants=wants, with_past=with_past)
        return subscription

    def undeclared(self, topic: Topic, **fields: Unpack[SubscriptionFields]) -> Subscription:
        """Return a new subscription to *topic*, for ``declare`` and ``expect``."""
        if self.profile.mode == "stream":
            fields.setdefault("mode", "stream")
        return Subscription(self.name(), topic=topic, **fields)

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
        """Make *specs* exist; they are deleted afterwards, unless they are somebody else's."""
        self.sweep(*(each for each in specs if each.managed))
        self.main.topology.apply(*specs)

    def sweep(self, *specs: Spec) -> None:
        """Have *specs* deleted afterwards, for what was declared in another way."""
        for spec in specs:
            if spec not in self.declared:
                self.declared.append(spec)
            if isinstance(spec, Subscription) and spec.dead_letter is not None:
                self.sweep(*self.dead_letters(spec))

    def dead_letters(self, subscription: Subscription) -> Sequence[Queue]:
        """Return the dead letter queue of *subscription*, if it has one.

        Where the profile under test carries no queues, another one of the broker does.
        """
        profiles = tuple(self.main.profiles.values())
        binding = resolve(subscription, profiles, default_profile=self.profile_name)
        return [each for each in binding.extra_specs if isinstance(each, Queue)]

    def let_settle(self) -> None:
        """Wait until what was declared would survive a crash."""
        eventually(lambda: False, within_s=self.timing.settle_s)

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

    # For the runner

    def close(self) -> Sequence[str]:
        """Close what is open, delete what was declared; return what could not be deleted."""
        with self._buses:
            self.handles.close()
        return self._delete_all() if self.declared else ()

    def _delete_all(self) -> Sequence[str]:
        left = []
        # A connection of its own: the clause may have broken those it used, or a saboteur them all.
        with unibus.connect(self.url) as bus:
            for spec in reversed(self.declared):
                try:
                    bus.topology.delete(spec)
                except UnibusError as error:
                    left.append(f"{spec.name}: {error}")
        return left


class Handle(Protocol):
    """A bus, a producer or a consumer."""

    def close(self, timeout_s: float) -> None:
        """Close it."""


def closed_quietly(handle: Handle) -> None:
    """Close *handle*; that it cannot be closed any more is the clause's business, not ours."""
    with suppress(UnibusError):
        handle.close(_CLOSE_S)
