"""Adapters that do not leave headers alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from typing_extensions import override

from unibus.header_names import is_reserved
from unibus.message import Headers, HeaderValue
from unibus.spi import Binding, Incoming, Message, Outgoing, Receiver, Source
from unibus_contract.wrap import AdapterWrap, IncomingWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur

Pairs = list[tuple[str, HeaderValue]]


def pairs_of(headers: Mapping[str, HeaderValue]) -> Pairs:
    """Return *headers* one by one, repeated names and all."""
    return list(headers.pairs if isinstance(headers, Headers) else headers.items())


class _Spoiled(IncomingWrap):
    def __init__(self, inner: Incoming, spoil: Callable[[Message], None]) -> None:
        super().__init__(inner)
        self._spoil = spoil

    @override
    def message(self, index: int) -> Message:
        message = super().message(index)
        self._spoil(message)
        return message


class SpoiledReceiver(ReceiverWrap):
    """Gives out every message with something done to it."""

    def __init__(self, inner: Receiver, spoil: Callable[[Message], None]) -> None:
        super().__init__(inner)
        self._spoil = spoil

    @override
    def take(self) -> Incoming | None:
        taken = super().take()
        return None if taken is None else _Spoiled(taken, self._spoil)


def _of_programs(
    change: Callable[[str, HeaderValue], tuple[str, HeaderValue] | None],
) -> Callable[[Message], None]:
    """Return what changes each header that a program has set, or leaves it out."""

    def spoil(message: Message) -> None:
        if message.headers:
            pairs = [
                (name, value) if is_reserved(name) else change(name, value)
                for name, value in pairs_of(message.headers)
            ]
            message.headers = Headers(each for each in pairs if each is not None)

    return spoil


@saboteur("Control characters in values of headers are left out.", "HDR-02")
class LeavesOutControlCharacters(AdapterWrap):
    """As HTTP libraries do, for fear of split headers."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return SpoiledReceiver(receiver, _of_programs(_without_controls))


def _without_controls(name: str, value: HeaderValue) -> tuple[str, HeaderValue]:
    return name, re.sub(r"[\x00-\x1f\x7f]", "", value) if isinstance(value, str) else value


@saboteur("Text in headers is normalised.", "HDR-03")
class NormalisesText(AdapterWrap):
    """As file systems do."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return SpoiledReceiver(receiver, _of_programs(_normalised))


def _normalised(name: str, value: HeaderValue) -> tuple[str, HeaderValue]:
    form = unicodedata.normalize("NFC", value) if isinstance(value, str) else value
    return unicodedata.normalize("NFC", name), form


@saboteur("Values of headers arrive as text.", "HDR-07")
class MakesTextOfValues(AdapterWrap):
    """As transports do whose headers are text, under adapters that do not say so."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return SpoiledReceiver(receiver, _of_programs(lambda name, value: (name, str(value))))


@saboteur("A header without a value is left out.", "HDR-07")
class LeavesOutNothing(AdapterWrap):
    """As clients do that ask ``if value is not None``."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        spoil = _of_programs(lambda name, value: None if value is None else (name, value))
        return SpoiledReceiver(receiver, spoil)


@saboteur("Of a name that is repeated only the last value is kept.", "HDR-51")
class KeepsTheLastOfEachName(AdapterWrap):
    """As mappings do."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        def spoil(message: Message) -> None:
            message.headers = Headers(dict(pairs_of(message.headers or {})).items())

        return SpoiledReceiver(receiver, spoil)


@saboteur("Names that differ by case are one.", "HDR-51")
class FoldsNames(AdapterWrap):
    """Keeps the first spelling, and the last value."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        def spoil(message: Message) -> None:
            kept: dict[str, tuple[str, HeaderValue]] = {}
            for name, value in pairs_of(message.headers or {}):
                first, _ = kept.get(name.lower(), (name, value))
                kept[name.lower()] = (first, value)
            message.headers = Headers(kept.values())

        return SpoiledReceiver(receiver, spoil)


@saboteur("A delivery tells a program how often it was delivered, by a header.", "HDR-06")
class LetsItsOwnHeadersThrough(AdapterWrap):
    """As RabbitMQ does with ``x-delivery-count``."""

    class _Counted(IncomingWrap):
        @override
        def message(self, index: int) -> Message:
            message = super().message(index)
            attempt = super().attempt(index)
            if attempt is not None and attempt > 1:
                pairs = pairs_of(message.headers or {})
                message.headers = Headers([*pairs, ("x-delivery-count", attempt - 1)])
            return message

    class _Counting(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else LetsItsOwnHeadersThrough._Counted(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Counting(receiver)


@saboteur("In a batch, a message without headers gets those of the one before.", "HDR-05")
class LendsHeaders(AdapterWrap):
    """As loops do that forget to begin with none."""

    class _Lending(SourceWrap):
        @override
        def pull(self) -> Outgoing | None:
            batch = super().pull()
            if batch is not None and batch.headers is not None:
                before: Mapping[str, HeaderValue] | None = None
                for index, each in enumerate(batch.headers):
                    before = batch.headers[index] = each or before
            return batch

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return self._Lending(source)


@saboteur("A header of the longest name that is allowed is left out.", "HDR-50", profile="rabbitmq")
class LeavesOutLongNames(AdapterWrap):
    """As encoders do that are off by one."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        longest = binding.capabilities.headers.value.max_name_bytes or 0

        def change(name: str, value: HeaderValue) -> tuple[str, HeaderValue] | None:
            return None if len(name.encode()) >= longest else (name, value)

        return SpoiledReceiver(receiver, _of_programs(change))


@saboteur("Deliveries have no native object.", "HDR-12")
class HidesTheClient(AdapterWrap):
    """As layers do that know best."""

    class _Hidden(IncomingWrap):
        @override
        def native(self, index: int) -> object:
            return None

    class _Hiding(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else HidesTheClient._Hidden(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Hiding(receiver)
