"""Publishes behind the core's back, for a saboteur that delivers something once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from typing_extensions import override

from unibus.outcome import Outcome
from unibus.spi import (
    Adapter,
    Binding,
    Incoming,
    Link,
    Message,
    Outgoing,
    Receiver,
    Source,
    Verdict,
)
from unibus_contract.wrap import ReceiverWrap

_OPEN_S = 5.0


class Resender(Source):
    """Sends copies to the subscription of *binding* alone; nobody hears what became of them."""

    def __init__(self, adapter: Adapter, binding: Binding) -> None:
        self._waiting: deque[Outgoing] = deque()
        self._sender = adapter.open_sender(binding, "all", self, timeout_s=_OPEN_S)

    def send(self, message: Message) -> None:
        """Have *message* delivered once more, behind what waits."""
        copy = Outgoing([message.body])
        copy.keys, copy.ids = [message.key], [message.id]
        copy.routing_keys, copy.headers = [message.routing_key], [message.headers]
        self._waiting.append(copy)
        self._sender.offer()
        self._sender.push()

    @override
    def pull(self) -> Outgoing | None:
        return self._waiting.popleft() if self._waiting else None

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        """Nobody waits for it."""

    @override
    def state(self, state: Link, cause: Exception | None) -> None:
        """Nobody asks."""


class KnowingReceiver(ReceiverWrap):
    """Knows the message of each verdict; override ``decided``."""

    def __init__(self, inner: Receiver) -> None:
        super().__init__(inner)
        self._taken: dict[object, Incoming] = {}

    def decided(self, verdict: Verdict, message: Message) -> None:
        """Look at, or change, what was decided about *message*, one of those of *verdict*."""

    @override
    def take(self) -> Incoming | None:
        taken = super().take()
        if taken is not None:
            self._taken[taken.ticket] = taken
        return taken

    @override
    def settle(self, verdicts: Sequence[Verdict]) -> None:
        for each in verdicts:
            for index in range(each.first, each.first + each.count):
                self.decided(each, self._taken[each.ticket].message(index))
        super().settle(verdicts)
