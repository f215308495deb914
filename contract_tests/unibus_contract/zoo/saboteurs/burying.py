"""Brokers that spoil what goes to a dead letter queue, or comes back from it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from unibus import header_names
from unibus.message import HeaderValue
from unibus.outcome import ACCEPTED, Outcome, OutcomeKind
from unibus.spi import (
    AcksLevel,
    Binding,
    Incoming,
    Outgoing,
    Receiver,
    Sender,
    Source,
    Spec,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
)
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.publishing import counter

_LAST = "max attempts"


def header(batch: Outgoing, index: int, name: str) -> HeaderValue:
    """Return what message *index* says under *name*; ``None`` if nothing."""
    headers = batch.headers[index] if batch.headers else None
    return None if headers is None else headers.get(name)


class Letters(SourceWrap):
    """Changes the headers of dead letters on their way."""

    def changed(self, headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
        """Return what a dead letter is to say."""
        return headers

    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None and batch.headers is not None:
            batch.headers = [self._told(each) for each in batch.headers]
        return batch

    def _told(self, headers: Mapping[str, HeaderValue] | None) -> Mapping[str, HeaderValue] | None:
        if headers is None or header_names.DEATH_REASON not in headers:
            return headers
        return self.changed(headers)


@saboteur("The fourth message that has failed too often is nowhere.", "DLQ-01", "DLQ-51")
class LosesALetter(AdapterWrap):
    """Takes it for a duplicate."""

    class _Losing(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            return [each for each in range(len(batch)) if not self._is_lost(batch, each)]

        def _is_lost(self, batch: Outgoing, index: int) -> bool:
            is_last = header(batch, index, header_names.DEATH_REASON) == _LAST
            return is_last and counter(batch.bodies[index]) == 4

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Losing(source)


@saboteur("The seventh dead letter is there twice.", "DLQ-51")
class BuriesTwice(AdapterWrap):
    """Takes the confirm for lost and publishes again."""

    class _Doubling(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            every = range(len(batch))
            again = [each for each in every if counter(batch.bodies[each]) == 7]
            dead = [each for each in again if header(batch, each, header_names.DEATH_REASON)]
            return sorted([*every, *dead])

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Doubling(source)


@saboteur("What the program said is cut to 255 characters.", "DLQ-03")
class CutsTheReason(AdapterWrap):
    """As brokers do whose headers are short strings."""

    class _Cutting(Letters):
        @override
        def changed(self, headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
            detail = headers.get(header_names.DEATH_DETAIL)
            if not isinstance(detail, str):
                return headers
            return {**headers, header_names.DEATH_DETAIL: detail[:255]}

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Cutting(source)


@saboteur("What cannot be decoded is nowhere.", "DLQ-04", harness="rabbitmq", profile="rabbitmq")
class LosesWhatItCannotDecode(AdapterWrap):
    """Since nobody can read it anyhow."""

    class _Losing(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            reasons = [header(batch, each, header_names.DEATH_REASON) for each in range(len(batch))]
            return [each for each, reason in enumerate(reasons) if reason != "undecodable"]

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Losing(source)


@saboteur("A subscription is described without its dead letter queue.", "DLQ-09")
class DescribesNoDeadLetters(AdapterWrap):
    """Forgets what it has declared."""

    @override
    def inspect(self, specs: Sequence[Spec], *, timeout_s: float) -> Sequence[Spec]:
        found = super().inspect(specs, timeout_s=timeout_s)
        return [
            replace(each, dead_letter=None, max_attempts=None)
            if isinstance(each, Subscription)
            else each
            for each in found
        ]


@saboteur("While a nack waits for its delay, its consumer gets nothing.", "DLQ-50")
class SleepsOnANack(AdapterWrap):
    """As clients do that wait on the thread that receives."""

    class _Sleeping(ReceiverWrap):
        _until = 0.0

        @override
        def take(self) -> Incoming | None:
            return None if time.monotonic() < self._until else super().take()

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                if each.kind is VerdictKind.NACK and each.delay_s > 0:
                    self._until = time.monotonic() + each.delay_s
            super().settle(verdicts)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Sleeping(receiver)


@saboteur("A dead letter that is refused counts as accepted.", "DLQ-52", "DLQ-53")
class BuriesInThinAir(AdapterWrap):
    """As forwarders do that send and forget."""

    class _Careless(SourceWrap):
        @override
        def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
            is_letter = header(batch, first, header_names.DEATH_REASON) is not None
            is_refused = outcome.kind is OutcomeKind.REJECTED
            super().completed(
                batch, first, count, ACCEPTED if is_letter and is_refused else outcome
            )

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Careless(source)


@saboteur("A redriven message goes on counting where it had died.", "DLQ-54")
class RedrivesWithOldAttempts(AdapterWrap):
    """So that it dies again at once."""

    class _Counting(Letters):
        @override
        def changed(self, headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
            if header_names.REDRIVES not in headers:
                return headers
            return {**headers, header_names.ATTEMPTS: "1"}

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Counting(source)


@saboteur("What goes to one subscription alone goes to its topic.", "DLQ-58")
class RedrivesToTheTopic(AdapterWrap):
    """And so to all others, which had handled it."""

    @override
    def open_sender(
        self, binding: Binding, acks: AcksLevel, source: Source, *, timeout_s: float
    ) -> Sender:
        spec = binding.spec
        if isinstance(spec, Subscription) and not spec.topic.point_to_point:
            binding = replace(binding, spec=spec.topic)
        return super().open_sender(binding, acks, source, timeout_s=timeout_s)


@saboteur("What comes next under the key of a dead letter is lost with it.", "DLQ-60")
def loses_the_next_of_the_key(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Take the whole group for dead."""
    cursed: set[str] = set()

    class Cursing(SourceWrap):
        @override
        def pull(self) -> Outgoing | None:
            batch = super().pull()
            for index in range(len(batch) if batch is not None else 0):
                key = batch.keys[index] if batch is not None and batch.keys else None
                if batch is not None and key and header(batch, index, header_names.DEATH_REASON):
                    cursed.add(key)
            return batch

    class Losing(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is None or len(taken) != 1 or taken.message(0).key not in cursed:
                return taken
            cursed.discard(taken.message(0).key or "")
            self.settle([Verdict(taken.ticket, 0, 1, VerdictKind.ACK)])
            return self.take()

    class Spoiled(AdapterWrap):
        @override
        def source(self, source: Source, binding: Binding) -> Source:
            spec = binding.spec
            return Cursing(source) if isinstance(spec, Topic) and spec.point_to_point else source

        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            is_ordered = isinstance(spec, Subscription) and spec.topic.ordering == "key"
            return Losing(receiver) if is_ordered else receiver

    return OverWrapped(broker, Spoiled)
