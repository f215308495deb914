"""A gate between the core and the adapter: publishes can be held back, or their answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from typing_extensions import override

from unibus import Bus
from unibus.outcome import Outcome
from unibus.spi import Adapter, Binding, Outgoing, Sender, Source
from unibus_contract.premises import Premises, closed_quietly
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap, SourceWrap


class Gate:
    """Stands open, unless a block shuts one half of it. Thread-safe.

    It is the same for every broker, and needs no fault: what is held back was provably not sent,
    and what is published while the answers are held back is provably at the broker.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # an answer may cause the next on the same thread
        self._is_held = self._is_mute = False
        self._answers: deque[Callable[[], None]] = deque()
        self._senders: list[Sender] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hand nothing over to the adapter while the block runs."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            for each in self._senders:
                each.offer()

    @contextmanager
    def mute(self) -> Iterator[None]:
        """Let what is published through, and keep the answers until the block ends."""
        self._is_mute = True
        try:
            yield
        finally:
            self._is_mute = False
            self._answer()

    # For what stands in the gate

    @property
    def is_held(self) -> bool:
        """Whether nothing is handed over now."""
        return self._is_held

    def let_through(self, answer: Callable[[], None]) -> None:
        """Give *answer* now, or in its turn when the gate is open again."""
        self._answers.append(answer)
        if not self._is_mute:
            self._answer()

    def add(self, sender: Sender) -> Sender:
        """Offer to *sender* what was held back, when the gate opens."""
        self._senders.append(sender)
        return sender

    def _answer(self) -> None:
        with self._lock:  # one at a time, in the order in which they came
            while self._answers:
                self._answers.popleft()()


class _GatedSource(SourceWrap):
    def __init__(self, inner: Source, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    @override
    def pull(self) -> Outgoing | None:
        return None if self._gate.is_held else super().pull()

    @override
    def completed(self, batch: Outgoing, first: int, count: int, outcome: Outcome) -> None:
        self._gate.let_through(lambda: self.inner.completed(batch, first, count, outcome))


class _GatedAdapter(AdapterWrap):
    def __init__(self, inner: Adapter, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    @override
    def source(self, source: Source, binding: Binding) -> Source:
        return _GatedSource(source, self._gate)

    @override
    def sender(self, sender: Sender, binding: Binding) -> Sender:
        return self._gate.add(sender)


def gated(premises: Premises) -> tuple[Bus, Gate]:
    """Return one more bus to the broker under test, and the gate that its publishes go through."""
    gate = Gate()
    broker = OverWrapped(premises.broker, lambda adapter: _GatedAdapter(adapter, gate))
    bus = broker.connect(premises.url)
    premises.handles.callback(closed_quietly, bus)
    return bus, gate
