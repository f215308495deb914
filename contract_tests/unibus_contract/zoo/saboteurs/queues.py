"""Brokers that are careless with queues, and with what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import (
    Adapter,
    Binding,
    Change,
    Incoming,
    Outgoing,
    Queue,
    Receiver,
    Source,
    Spec,
    Topic,
    Verdict,
)
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publishing import counter


@saboteur("Of what is published to a queue, one message in ten is stored twice.", "QUE-01")
class StoresTwiceInQueues(AdapterWrap):
    """Where topics are none the worse."""

    class _Doubling(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            again = [index for index in indexes if counter(batch.bodies[index]) % 20 == 19]
            return sorted([*indexes, *again])

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        spec = binding.spec
        is_queue = isinstance(spec, Topic) and spec.point_to_point
        return self._Doubling(source) if is_queue else source


@saboteur("A message with the name of another queue as routing key is lost.", "QUE-02")
class MistakesRoutingKeysForQueues(AdapterWrap):
    """As the default exchange of AMQP 0-9-1 invites to."""

    def __init__(self, inner: Adapter) -> None:
        super().__init__(inner)
        self.queues: set[str] = set()

    class _Misled(SourceWrap):
        def __init__(self, inner: Source, own: str, queues: set[str]) -> None:
            super().__init__(inner)
            self._own = own
            self._queues = queues

        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            keys = batch.routing_keys or [None] * len(batch)
            others = self._queues - {self._own}
            return [index for index, key in enumerate(keys) if key not in others]

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        super().apply(change, timeout_s=timeout_s)
        if isinstance(change.spec, Topic) and change.spec.point_to_point:
            self.queues.add(change.spec.name)

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Misled(source, binding.spec.name, self.queues)


@saboteur("Declaring a queue again empties it.", "QUE-03")
class EmptiesWhatIsDeclaredAgain(AdapterWrap):
    """As a program does that deletes first, to be sure."""

    @override
    def plan(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Change]:
        for spec in specs:
            if isinstance(spec, Queue) and self.inspect([spec], timeout_s=timeout_s):
                profile = self.profiles[0]
                whole = Binding(
                    spec=spec.subscription, profile=profile, capabilities=profile.capabilities
                )
                self.purge(whole, timeout_s=timeout_s)
        return super().plan(specs, timeout_s=timeout_s)


@saboteur("purge says that it is done, and does nothing.", "TOP-06")
class PurgesNothing(AdapterWrap):
    """As a command does for which the right is missing."""

    @override
    def purge(self, binding: Binding, *, timeout_s: float) -> None:
        """Leave everything."""


@saboteur("What is held is counted as waiting.", "TOP-07")
class CountsWhatIsHeld(AdapterWrap):
    """As the number of messages in a queue does, if one asks for the wrong one."""

    def __init__(self, inner: Adapter) -> None:
        super().__init__(inner)
        self.held: Counter[str] = Counter()

    class _Counting(ReceiverWrap):
        def __init__(self, inner: Receiver, name: str, held: Counter[str]) -> None:
            super().__init__(inner)
            self._name = name
            self._held = held

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            self._held[self._name] += 0 if taken is None else len(taken)
            return taken

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            self._held[self._name] -= sum(each.count for each in verdicts)
            super().settle(verdicts)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Counting(receiver, binding.spec.name, self.held)

    @override
    def backlog(self, binding: Binding, *, timeout_s: float) -> int:
        waiting = super().backlog(binding, timeout_s=timeout_s)
        return waiting + self.held[binding.spec.name]
