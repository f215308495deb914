"""Adapters of the real RabbitMQ that live in a world of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping

from typing_extensions import override

from unibus.header_names import is_reserved
from unibus.message import Headers, HeaderValue
from unibus.spi import Binding, Incoming, Message, Outgoing, Receiver, Source
from unibus_contract.wrap import AdapterWrap, IncomingWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.headers import SpoiledReceiver, pairs_of

_PACKED = "packed"
_MANY = 3


@saboteur(
    "What RabbitMQ itself could not have got from unibus, it leaves out: other kinds of integer.",
    "HDR-14",
    harness="rabbitmq",
    profile="rabbitmq",
)
class KnowsItsOwnIntegersOnly(AdapterWrap):
    """As adapters do that are only tried against themselves; pika writes small ones as ``I``."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        def spoil(message: Message) -> None:
            if message.id == "theirs":
                pairs = pairs_of(message.headers or {})
                message.headers = Headers(each for each in pairs if type(each[1]) is not int)

        return SpoiledReceiver(receiver, spoil)


class _Packing(SourceWrap):
    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None and batch.headers is not None:
            batch.headers = [each and _packed(each) for each in batch.headers]
        return batch


def _packed(headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
    pairs = pairs_of(headers)
    ours = [each for each in pairs if is_reserved(each[0])]
    programs = [each for each in pairs if not is_reserved(each[0])]
    is_text = all(isinstance(value, str | int | None) for _, value in programs)
    if len(programs) < _MANY or not is_text:
        return headers
    return Headers([*ours, (_PACKED, json.dumps(programs))])


def _unpack(message: Message) -> None:
    pairs = pairs_of(message.headers or {})
    packed = dict(pairs).get(_PACKED)
    if isinstance(packed, str):
        ours = [each for each in pairs if each[0] != _PACKED]
        programs = [(str(name), value) for name, value in json.loads(packed)]
        message.headers = Headers([*ours, *programs])


@saboteur(
    "Three headers or more travel in one of the adapter's own.",
    "HDR-15",
    harness="rabbitmq",
    profile="rabbitmq",
)
class PacksHeaders(AdapterWrap):
    """As frameworks do, so that nobody else can read them."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Packing(source)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return SpoiledReceiver(receiver, _unpack)


class _Forgiving(IncomingWrap):
    @override
    def message(self, index: int) -> Message:
        try:
            return super().message(index)
        except ValueError:
            return Message(self.bodies()[index], id="malformed")


@saboteur(
    "Headers that cannot be decoded are taken for none.",
    "HDR-16",
    harness="rabbitmq",
    profile="rabbitmq",
)
class TakesMalformedForNone(AdapterWrap):
    """As clients do that log it."""

    class _Receiver(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else _Forgiving(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Receiver(receiver)
