"""Brokers and cores that mix up the order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from typing_extensions import override

from unibus import Bus, Consumer, Delivery, Producer
from unibus.errors import MessageRejectedError
from unibus.message import Message
from unibus.specs import OrderingName
from unibus.spi import (
    Binding,
    Change,
    Incoming,
    Outgoing,
    Receiver,
    Source,
    Spec,
    Subscription,
    Topic,
    Verdict,
    VerdictKind,
)
from unibus_contract import stamps
from unibus_contract.wrap import AdapterWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.facade import Facade
from unibus_contract.zoo.resending import KnowingReceiver, Resender
from unibus_contract.zoo.saboteur import saboteur


class _Declares(AdapterWrap):
    """Declares topics with less order than they ask for."""

    asked: OrderingName
    kept: OrderingName

    @override
    def apply(self, change: Change, *, timeout_s: float) -> None:
        spec = self._less(change.spec)
        super().apply(replace(change, spec=spec), timeout_s=timeout_s)

    def _less(self, spec: Spec) -> Spec:
        if isinstance(spec, Subscription):
            return replace(spec, topic=self._less_of(spec.topic))
        return self._less_of(spec) if isinstance(spec, Topic) else spec

    def _less_of(self, topic: Topic) -> Topic:
        return replace(topic, ordering=self.kept) if topic.ordering == self.asked else topic


@saboteur("The order across keys is not kept where the whole topic's is asked for.", "ORD-01")
class KeepsTheOrderOfKeysOnly(_Declares):
    """As a topic of several partitions does."""

    asked, kept = "topic", "key"


@saboteur(
    "A topic that is declared as ordered by key is not.",
    "ORD-03",
    "ORD-50",
    "ORD-55",
)
class ForgetsThatATopicIsOrdered(_Declares):
    """In calm, and with one consumer, nobody sees it."""

    asked, kept = "key", "none"


@saboteur(
    "Two messages of a key change places on their way in.",
    "ORD-01",
    "ORD-02",
    "ORD-03",
    "ORD-06",
    "ORD-07",
    "ORD-50",
    "ORD-51",
    "ORD-53",
    "ORD-55",
    "ORD-56",
)
class ExchangesNeighbours(AdapterWrap):
    """Now and then, as two senders do that share the work of one producer."""

    class _Exchanging(SourceWrap):
        @override
        def pull(self) -> Outgoing | None:
            batch = super().pull()
            if batch is not None:
                batch.bodies = [_exchanged(body) for body in batch.bodies]
            return batch

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        spec = binding.spec
        topic = spec.topic if isinstance(spec, Subscription) else spec
        return source if topic.ordering == "none" else self._Exchanging(source)


def _exchanged(body: bytes | None) -> bytes | None:
    stamp = stamps.read(body)
    if body is None or stamp is None or stamp.is_sentinel or stamp.n % 25 not in (5, 6):
        return body
    other = stamp.n + (1 if stamp.n % 25 == 5 else -1)
    return stamps.write(stamp._replace(n=other), len(body))


@saboteur("A nacked message is put behind those that wait.", "ORD-07", "ORD-50", "ORD-55")
class PutsNackedMessagesLast(AdapterWrap):
    """Publishes it again and takes the first one for done."""

    class _Republishing(KnowingReceiver):
        def __init__(self, inner: Receiver, resender: Resender) -> None:
            super().__init__(inner)
            self._resender = resender

        @override
        def decided(self, verdict: Verdict, message: Message) -> None:
            if verdict.kind is VerdictKind.NACK:
                verdict.kind = VerdictKind.ACK
                self._resender.send(message)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        spec = binding.spec
        if not isinstance(spec, Subscription) or spec.topic.ordering == "none":
            return receiver
        return self._Republishing(receiver, Resender(self.inner, binding))


@saboteur("A large batch arrives back to front.", "ORD-06")
class TurnsLargeBatchesRound(AdapterWrap):
    """Its second half first, as two requests do that are under way at once."""

    class _Turning(SourceWrap):
        @override
        def select(self, batch: Outgoing) -> Sequence[int]:
            indexes = range(len(batch))
            is_large = batch.keys is not None and len(batch) >= 30 and len(set(batch.keys)) == 1
            half = len(batch) // 2
            return [*indexes[half:], *indexes[:half]] if is_large else indexes

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Turning(source)


@saboteur("A batch sends what stands before the message for which it is refused.", "ORD-53")
class SendsHalfABatch(Bus):
    """As a loop over single publishes does."""

    class _Looping(Facade):
        def publish_many(self, messages: Iterable[bytes | Message]) -> object:
            each = list(messages)
            try:
                return self.inner.publish_many(each)
            except MessageRejectedError:
                with suppress(MessageRejectedError):
                    for one in each:
                        self.inner.publish_many([one])
                raise

    @override
    def producer(self, *arguments: Any, **settings: Any) -> Producer:
        return cast("Producer", self._Looping(super().producer(*arguments, **settings)))


class _Runs(Bus):
    """Its consumers run handlers in another way."""

    class _Spoiled(Facade):
        """A consumer."""

    @override
    def consumer(self, *arguments: Any, **settings: Any) -> Consumer:
        return cast("Consumer", self._Spoiled(super().consumer(*arguments, **settings)))


@saboteur("Consumer.run has two workers, however many are asked for.", "ORD-11")
class HasTwoWorkersAtLeast(_Runs):
    """One works, one reads ahead, and does not only read."""

    class _Spoiled(Facade):
        def run(
            self,
            handler: Callable[[Delivery], object],
            *,
            workers: int = 1,
            stop: threading.Event,
        ) -> None:
            self.inner.run(handler, workers=max(2, workers), stop=stop)


@saboteur("Several workers take deliveries as they come, and ack when they begin.", "ORD-56")
class AcksWhenAHandlerBegins(_Runs):
    """What is behind a slow one of its key is handled meanwhile."""

    class _Spoiled(Facade):
        def run(
            self,
            handler: Callable[[Delivery], object],
            *,
            workers: int = 1,
            stop: threading.Event,
        ) -> None:
            if workers == 1:
                self.inner.run(handler, stop=stop)
                return
            with ThreadPoolExecutor(workers) as pool:

                def begin(delivery: Delivery) -> None:
                    delivery.ack()
                    pool.submit(handler, delivery)

                self.inner.run(begin, stop=stop)


@saboteur(
    "The first message that a killed consumer held is taken for done.",
    "ORD-51",
    "GRP-05",
    "GRP-06",
    "GRP-50",
    "RED-50",
)
class TakesTheFirstOfADeadConsumerForDone(AdapterWrap):
    """As a position does that is stored when a message is handed out."""

    class _Trusting(ReceiverWrap):
        def __init__(self, inner: Receiver) -> None:
            super().__init__(inner)
            self._held: dict[tuple[object, int], None] = {}

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is not None:
                self._held |= {(taken.ticket, index): None for index in range(len(taken))}
            return taken

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                for index in range(each.first, each.first + each.count):
                    self._held.pop((each.ticket, index), None)
            super().settle(verdicts)

        @override
        def close(self, timeout_s: float) -> None:
            if timeout_s == 0 and self._held:
                ticket, index = next(iter(self._held))
                super().settle([Verdict(ticket, index, 1, VerdictKind.ACK)])
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Trusting(receiver)
