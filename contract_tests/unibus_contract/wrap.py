"""Pass-through wrappers round an adapter, so that a test can look at, or spoil, one thing alone.

Each does nothing by itself. Override ``AdapterWrap.sender``, ``receiver``, ``source`` or ``events``
to put something of your own between the core and the adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from typing_extensions import override

from unibus.errors import UnibusError
from unibus.outcome import ACCEPTED, Outcome
from unibus.spi import (
    AcksLevel,
    Adapter,
    Binding,
    BrokerIdentity,
    Change,
    Clock,
    Events,
    Flow,
    Incoming,
    Lease,
    LeaseRange,
    Link,
    Message,
    Outgoing,
    Profile,
    Receiver,
    SeekTarget,
    Sender,
    Source,
    Spec,
    SupportsBacklog,
    SupportsDelete,
    SupportsPurge,
    SupportsSeek,
    Verdict,
)


class SourceWrap(Source):
    """The core's outbox, seen through; ``select`` can lose, repeat or reorder messages."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self._selections: dict[int, _Selection] = {}

    def select(self, batch: Outgoing) -> Sequence[int]:
        """Return which messages of *batch* the adapter gets, in which order; all, by default.

        What it does not get is reported to the core as accepted.
        """
        return range(len(batch))

    @override
    def pull(self) -> Outgoing | None:
        while (batch := self.inner.pull()) is not None:
            indexes = self.select(batch)
            if list(indexes) == list(range(len(batch))):
                return batch
            if not indexes:
                self.inner.completed(batch, 0, len(batch), ACCEPTED)
                continue
            selection = _Selection(batch, indexes)
            self._selections[id(selection.chosen)] = selection
            return selection.chosen
        return None

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        selection = self._selections.get(id(batch))
        if selection is None:
            self.inner.completed(batch, first, count, outcome)
            return
        if selection.complete(first, count, outcome):
            del self._selections[id(batch)]
            for index, each in enumerate(selection.outcomes):
                self.inner.completed(selection.batch, index, 1, each)

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        self.inner.state(state, cause)


class _Selection:
    """Some messages of a batch as a batch of their own, and what became of them."""

    def __init__(self, batch: Outgoing, indexes: Sequence[int]) -> None:
        self.batch = batch
        self.indexes = indexes
        self.outcomes: list[Outcome] = [ACCEPTED] * len(batch)
        self._open = len(indexes)
        self.chosen = pick(batch, indexes)

    def complete(self, first: int, count: int, outcome: Outcome) -> bool:
        for index in range(first, first + count):
            self.outcomes[self.indexes[index]] = outcome
        self._open -= count
        return self._open == 0


def pick(batch: Outgoing, indexes: Sequence[int]) -> Outgoing:
    """Return a batch of the messages of *batch* at *indexes*."""
    chosen = Outgoing([batch.bodies[index] for index in indexes])
    for column in ("keys", "routing_keys", "headers", "ids", "timings"):
        values = getattr(batch, column)
        if values is not None:
            setattr(chosen, column, [values[index] for index in indexes])
    return chosen


class SenderWrap(Sender):
    """An adapter's sender, seen through."""

    def __init__(self, inner: Sender) -> None:
        self.inner = inner

    @override
    def offer(self) -> None:
        self.inner.offer()

    @override
    def push(self) -> None:
        self.inner.push()

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)


class IncomingWrap(Incoming):
    """An adapter's batch, seen through; it has the ticket of the inner one."""

    def __init__(self, inner: Incoming) -> None:
        super().__init__(inner.ticket)
        self.inner = inner

    @override
    def __len__(self) -> int:
        return len(self.inner)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return self.inner.bodies()

    @override
    def message(self, index: int) -> Message:
        return self.inner.message(index)

    @override
    def attempt(self, index: int) -> int | None:
        return self.inner.attempt(index)

    @override
    def position(self, index: int) -> str | None:
        return self.inner.position(index)

    @override
    def native(self, index: int) -> object:
        return self.inner.native(index)

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return self.inner.leases()


class EventsWrap(Events):
    """The core's inbox, seen through."""

    def __init__(self, inner: Events) -> None:
        self.inner = inner

    @override
    def ready(self) -> None:
        self.inner.ready()

    @override
    def verdicts(self) -> Sequence[Verdict]:
        return self.inner.verdicts()

    @override
    def settled(self, ticket: object, first: int, count: int, outcome: Outcome) -> None:
        self.inner.settled(ticket, first, count, outcome)

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        self.inner.revoking(leases, budget_s)

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self.inner.lost(leases, cause)

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        self.inner.state(state, cause)


class ReceiverWrap(Receiver, SupportsSeek):
    """An adapter's receiver, seen through."""

    def __init__(self, inner: Receiver) -> None:
        self.inner = inner

    @override
    def take(self) -> Incoming | None:
        return self.inner.take()

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        self.inner.settle(verdicts)

    @override
    def barrier(self) -> None:
        self.inner.barrier()

    @override
    def pause(self, give_back: bool = False) -> None:
        self.inner.pause(give_back)

    @override
    def resume(self) -> None:
        self.inner.resume()

    @override
    def is_idle(self) -> bool:
        return self.inner.is_idle()

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)

    @override
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsSeek), "the adapter declares replay and has no seek"
        self.inner.seek(target, timeout_s=timeout_s)


class AdapterWrap(Adapter, SupportsBacklog, SupportsDelete, SupportsPurge):
    """An adapter, seen through; made over one that is open."""

    def __init__(self, inner: Adapter) -> None:
        self.inner = inner

    def source(self, source: Source, binding: Binding) -> Source:
        """Return what the adapter's sender of *binding* pulls from."""
        del binding
        return source

    def sender(self, sender: Sender, binding: Binding) -> Sender:
        """Return what the core gets for the adapter's *sender*."""
        del binding
        return sender

    def events(self, events: Events, binding: Binding) -> Events:
        """Return what the adapter's receiver of *binding* reports to."""
        del binding
        return events

    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        """Return what the core gets for the adapter's *receiver*."""
        del binding
        return receiver

    @classmethod
    @override
    def open(
        cls, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Self:
        raise NotImplementedError("a wrapper is made over an adapter that is open")

    @property
    @override
    def profiles(self) -> Sequence[Profile]:
        return self.inner.profiles

    @property
    @override
    def identity(self) -> BrokerIdentity:
        return self.inner.identity

    @property
    @override
    def native(self) -> object:
        return self.inner.native

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        wrapped = self.source(source, binding)
        sender = self.inner.open_sender(binding, acks, wrapped, timeout_s=timeout_s)
        return self.sender(sender, binding)

    @override
    def open_receiver(
        self, binding: Binding, flow: Flow, events: Events, *, timeout_s: float
    ) -> Receiver:
        wrapped = self.events(events, binding)
        receiver = self.inner.open_receiver(binding, flow, wrapped, timeout_s=timeout_s)
        return self.receiver(receiver, binding)

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        return self.inner.inspect(specs, timeout_s=timeout_s)

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        return self.inner.plan(specs, timeout_s=timeout_s)

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        self.inner.apply(change, timeout_s=timeout_s)

    @override
    def translate(self, error: Exception) -> UnibusError:
        return self.inner.translate(error)

    @override
    def close(self, timeout_s: float) -> None:
        self.inner.close(timeout_s)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        assert isinstance(self.inner, SupportsBacklog), "declared and not there"
        return self.inner.backlog(binding, timeout_s=timeout_s)

    @override
    def delete(self, spec: Spec, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsDelete), "declared and not there"
        self.inner.delete(spec, timeout_s=timeout_s)

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        assert isinstance(self.inner, SupportsPurge), "declared and not there"
        self.inner.purge(binding, timeout_s=timeout_s)
