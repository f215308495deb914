"""Adapters that do not leave an id alone."""

from __future__ import annotations

import hashlib

from typing_extensions import override

from unibus.spi import Binding, Incoming, Message, Outgoing, Receiver, Source, Subscription, Topic
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, IncomingWrap, ReceiverWrap, SourceWrap
from unibus_contract.zoo.saboteur import saboteur
from unibus_contract.zoo.saboteurs.headers import SpoiledReceiver

_ROOM = 100


@saboteur("An id is cut off after a hundred characters.", "HDR-08")
class CutsOffIds(AdapterWrap):
    """As columns of databases do."""

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        def spoil(message: Message) -> None:
            message.id = (message.id or "")[:_ROOM]

        return SpoiledReceiver(receiver, spoil)


@saboteur("Each further subscription of a topic gives messages ids of its own.", "HDR-08")
def names_each_copy_by_itself(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As services do whose id is the id of a delivery."""
    firsts: dict[str, str] = {}

    class Naming(AdapterWrap):
        @override
        def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
            spec = binding.spec
            assert isinstance(spec, Subscription)
            if firsts.setdefault(spec.topic.name, spec.name) == spec.name:
                return receiver

            def spoil(message: Message) -> None:
                message.id = f"{spec.name}/{message.id}"

            return SpoiledReceiver(receiver, spoil)

    return OverWrapped(broker, Naming)


class _Digesting(SourceWrap):
    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None:
            named = batch.ids or [None] * len(batch)
            batch.ids = [
                name or hashlib.sha256(body or b"").hexdigest()
                for name, body in zip(named, batch.bodies, strict=True)
            ]
        return batch


@saboteur("A message that nobody named is named by its body.", "HDR-09")
class NamesByBody(AdapterWrap):
    """So that two orders for the same thing are one."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Digesting(source) if isinstance(binding.spec, Topic) else source


@saboteur("The third delivery of a message has another id.", "HDR-06", "HDR-13")
class NamesRetriesAnew(AdapterWrap):
    """As layers do that retry by publishing."""

    class _Renamed(IncomingWrap):
        @override
        def message(self, index: int) -> Message:
            message = super().message(index)
            attempt = super().attempt(index) or 1
            if attempt > 2:
                message.id = f"{message.id}/{attempt}"
            return message

    class _Renaming(ReceiverWrap):
        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            return None if taken is None else NamesRetriesAnew._Renamed(taken)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Renaming(receiver)


class _Nameless(SourceWrap):
    @override
    def pull(self) -> Outgoing | None:
        batch = super().pull()
        if batch is not None:
            batch.ids = None
        return batch


@saboteur("What is redriven has a new id.", "HDR-18")
class NamesRedrivenAnew(AdapterWrap):
    """As consoles do that send it again."""

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _Nameless(source) if isinstance(binding.spec, Subscription) else source
