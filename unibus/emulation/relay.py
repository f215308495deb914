"""How an emulation publishes: one relay per target, implemented by the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from unibus.message import Message
from unibus.outcome import Outcome
from unibus.specs import Queue, Subscription


class Relay(Protocol):
    """Publishes copies to one queue, or to one subscription alone. Thread-safe, never blocks."""

    def hand_over(self, message: Message, done: Callable[[Outcome], None]) -> None:
        """Publish *message*, reserved headers included, and report what became of it.

        *done* is called exactly once with accepted, rejected or unknown, on any thread, perhaps
        before this returns; it does not block and does not raise. Copies handed over one after
        the other are published in that order. A relay that is full or closed reports rejected.
        """


Relays = Callable[[Queue | Subscription], Relay]
"""Opens a relay; it may block, and raises what opening a sender raises."""
