"""Who is connected to the broker, as it sees them. Nothing here is called under its lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unibus.spi import Lease, Link
from unibus_memory.machine.held import Loss


class Linked(Protocol):
    """A sender or a consumer."""

    def link(self, state: Link, cause: Exception | None) -> None:
        """The way to the broker changed."""


class Taker(Linked, Protocol):
    """A consumer of a subscription."""

    @property
    def is_waiting(self) -> bool:
        """Whether it found nothing, and wants to hear of what comes."""

    def wake(self) -> None:
        """There is something to take."""

    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        """These leases are about to end; waits for handlers, at most *budget_s*."""

    def lose(self, losses: Sequence[Loss]) -> None:
        """Leases have ended, perhaps of others too."""
