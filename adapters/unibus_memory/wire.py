"""What a take hands to the core: the machine's runs as lazy columns."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Incoming, LeaseRange, Message
from unibus_memory.machine.shared import Held


class MemoryIncoming(Incoming):
    """Deliveries of one take; the ticket is what the machine holds for it."""

    __slots__ = ("_counts", "_held")

    def __init__(self, held: Held, *, counts: bool) -> None:
        super().__init__(held)
        self._held = held
        self._counts = counts

    @override
    def __len__(self) -> int:
        return len(self._held)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return self._held.bodies()

    @override
    def message(self, index: int) -> Message:
        chunk, place = self._held.place(index)
        return chunk.message(place)

    @override
    def attempt(self, index: int) -> int | None:
        if not self._counts:
            return None
        attempts = self._held.attempts
        return 1 if attempts is None else attempts[index] + 1

    @override
    def position(self, index: int) -> str | None:
        return None

    @override
    def native(self, index: int) -> object:
        return self.message(index)

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return (LeaseRange(0, len(self._held), self._held.lease),)
