"""Logs that begin, or go on, at another place than they are asked to."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

from typing_extensions import override

from unibus.spi import (
    Binding,
    Change,
    Events,
    Flow,
    Incoming,
    Receiver,
    SeekTarget,
    Subscription,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, IncomingWrap, ReceiverWrap
from unibus_contract.zoo.facade import BusWithConsumers, Facade
from unibus_contract.zoo.saboteur import saboteur

_POSITION = re.compile(r"((?:\d+:)?)(\d+)")


class _Starts(AdapterWrap):
    """Declares subscriptions with another start."""

    def started(self, spec: Subscription) -> Subscription:
        """Return what is declared instead of *spec*."""
        raise NotImplementedError

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        if isinstance(change.spec, Subscription):
            change = replace(change, spec=self.started(change.spec))
        super().apply(change, timeout_s=timeout_s)


@saboteur("A subscription that starts at earliest begins when it is declared.", "SEEK-01")
class BeginsWhenDeclared(_Starts):
    """As if the log were a queue."""

    @override
    def started(self, spec: Subscription) -> Subscription:
        return replace(spec, start=None) if spec.start == "earliest" else spec


@saboteur("A subscription that starts at latest begins at the beginning.", "SEEK-02")
class BeginsAtTheBeginning(_Starts):
    """As a reset policy of its own makes a client do."""

    @override
    def started(self, spec: Subscription) -> Subscription:
        return replace(spec, start="earliest") if spec.start == "latest" else spec


@saboteur("A subscription that starts at a time begins at the beginning.", "SEEK-50")
class StartsAtNoTime(_Starts):
    """As a log does that knows no times."""

    @override
    def started(self, spec: Subscription) -> Subscription:
        return replace(spec, start="earliest") if isinstance(spec.start, datetime) else spec


class _Moves(AdapterWrap):
    """Goes on reading somewhere else."""

    def place(self, target: SeekTarget) -> SeekTarget | None:
        """Return where it goes; ``None`` for nowhere."""
        raise NotImplementedError

    class _Moving(ReceiverWrap):
        def __init__(self, inner: Receiver, owner: _Moves) -> None:
            super().__init__(inner)
            self._owner = owner

        @override
        def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
            place = self._owner.place(target)
            if place is not None:
                super().seek(place, timeout_s=timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Moving(receiver, self)


@saboteur("seek to a position goes on behind its message.", "SEEK-04")
class GoesOnBehindAPosition(_Moves):
    """Off by one."""

    @override
    def place(self, target: SeekTarget) -> SeekTarget | None:
        found = _POSITION.fullmatch(target) if isinstance(target, str) else None
        return f"{found[1]}{int(found[2]) + 1}" if found else target


@saboteur("seek to earliest does nothing.", "SEEK-05", "SEEK-07", "SEEK-55", "SEEK-56", "SEEK-57")
class NeverGoesBack(_Moves):
    """As for a queue, which has nothing to go back to."""

    @override
    def place(self, target: SeekTarget) -> SeekTarget | None:
        return None if target == "earliest" else target


@saboteur("seek to latest does nothing.", "SEEK-51", "SEEK-57")
class NeverGoesForth(_Moves):
    """And what waits is delivered all the same."""

    @override
    def place(self, target: SeekTarget) -> SeekTarget | None:
        return None if target == "latest" else target


@saboteur("seek to a time goes to the beginning.", "SEEK-52")
class GoesToNoTime(_Moves):
    """As a log does that knows no times."""

    @override
    def place(self, target: SeekTarget) -> SeekTarget | None:
        return "earliest" if isinstance(target, datetime) else target


@saboteur("seek to what is no position goes to the beginning.", "SEEK-08")
class TakesNonsenseForTheBeginning(_Moves):
    """As offsets out of range are taken for."""

    @override
    def place(self, target: SeekTarget) -> SeekTarget | None:
        if isinstance(target, datetime) or target in ("earliest", "latest"):
            return target
        return target if _POSITION.fullmatch(target) else "earliest"


@saboteur("seek takes a time without a zone for one in UTC.", "SEEK-53")
class TakesNaiveTimesForUtc(BusWithConsumers):
    """Which is right on one machine in two."""

    class _Trusting(Facade):
        def seek(self, target: SeekTarget, timeout_s: float = 30.0) -> None:
            if isinstance(target, datetime) and target.tzinfo is None:
                target = target.replace(tzinfo=UTC)
            self.inner.seek(target, timeout_s)

    facade = _Trusting


@saboteur("Positions count from where a reader began.", "SEEK-04", "SEEK-07")
class CountsPositionsFromItsBeginning(AdapterWrap):
    """As numbers of deliveries do."""

    class _Numbered(IncomingWrap):
        def __init__(self, inner: Incoming, first: int) -> None:
            super().__init__(inner)
            self._first = first

        @override
        def position(self, index: int) -> str | None:
            return str(self._first + index)

    class _Counting(ReceiverWrap):
        _taken = 0

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is None:
                return None
            first, self._taken = self._taken, self._taken + len(taken)
            return CountsPositionsFromItsBeginning._Numbered(taken, first)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Counting(receiver)


@saboteur("A subscription that is declared with start latest again begins there again.", "SEEK-03")
def starts_anew_when_declared_again(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Take a start for something that always holds."""
    opened: set[str] = set()

    class Restarting(AdapterWrap):
        @override
        def open_receiver(
            self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
        ) -> Receiver:
            receiver = super().open_receiver(binding, flow, events, timeout_s=timeout_s)
            spec = binding.spec
            is_again = spec.name in opened
            opened.add(spec.name)
            if is_again and isinstance(spec, Subscription) and spec.start == "latest":
                ReceiverWrap(receiver).seek("latest", timeout_s=timeout_s)
            return receiver

    return OverWrapped(broker, Restarting)


@saboteur("seek moves every subscription of the topic.", "SEEK-55")
def moves_all_who_read_the_log(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Have one position for all of them."""
    readers: defaultdict[str, list[ReceiverWrap]] = defaultdict(list)

    class Together(ReceiverWrap):
        def __init__(self, inner: Receiver, topic: str) -> None:
            super().__init__(inner)
            self._topic = topic
            readers[topic].append(ReceiverWrap(inner))

        @override
        def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
            for each in readers[self._topic]:
                each.seek(target, timeout_s=timeout_s)

        @override
        def close(self, timeout_s: float) -> None:
            super().close(timeout_s)
            mine = self.inner
            readers[self._topic] = [e for e in readers[self._topic] if e.inner is not mine]

    class Moving(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            assert isinstance(binding.spec, Subscription)
            return Together(receiver, binding.spec.topic.name)

    return OverWrapped(broker, Moving)


@saboteur("Where seek went is forgotten by a close before anything was read there.", "SEEK-57")
class ForgetsWhereItWent(AdapterWrap):
    """As a position does that is stored with the first message."""

    class _Forgetful(ReceiverWrap):
        _has_moved = False

        @override
        def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
            super().seek(target, timeout_s=timeout_s)
            self._has_moved = target == "earliest"

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            self._has_moved = self._has_moved and taken is None
            return taken

        @override
        def close(self, timeout_s: float) -> None:
            if self._has_moved:
                self.seek("latest", timeout_s=1.0)
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Forgetful(receiver)
