"""What a take hands to the core: the machine's runs as lazy columns; and positions as text."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import ConfigurationError, Incoming, LeaseRange, Message
from unibus_memory.machine.held import Held


class MemoryIncoming(Incoming):
    """Deliveries of one take; the ticket is what the machine holds for it."""

    __slots__ = ("_counts", "_held", "_is_log")

    def __init__(self, held: Held, *, counts: bool, is_log: bool) -> None:
        super().__init__(held)
        self._held = held
        self._counts = counts
        self._is_log = is_log

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
        chunk, place = self._held.place(index)
        if not self._is_log or chunk.lane.number < 0:
            return None
        return f"{chunk.lane.number}:{chunk.first + place}"

    @override
    def native(self, index: int) -> object:
        return self.message(index)

    @override
    def leases(self) -> Sequence[LeaseRange]:
        return self._held.leases


def place_of(position: str) -> tuple[int, int]:
    """Return lane and place that *position* names.

    Raises:
        ConfigurationError: It names none.
    """
    number, colon, place = position.partition(":")
    if not (colon and number.isdecimal() and place.isdecimal()):
        raise ConfigurationError(
            f"seek to {position!r}: it can be 'earliest', 'latest', an aware datetime, or a"
            " position as a delivery has it, e.g. '0:42'"
        )
    return int(number), int(place)
