"""Receives from what keeps a log, and goes back in it."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import override

from unibus.spi import ConfigurationError, SeekTarget, SupportsSeek
from unibus_memory.machine.books import Log
from unibus_memory.receiver import MemoryReceiver
from unibus_memory.wire import place_of


class MemoryLogReceiver(MemoryReceiver, SupportsSeek):
    """One consumer of a subscription that can go back."""

    _is_log = True

    @override
    def seek(self, target: SeekTarget, *, timeout_s: float) -> None:
        """Go on reading at *target*.

        Raises:
            ConfigurationError: It is no position, or one in a lane that somebody else reads.
            UnsupportedError: The topic keeps no log.
        """
        self._broker.offers.catch_up()
        found = False

        def place(log: Log) -> int | None:
            nonlocal found
            position = _position(log, target)
            found = found or position is not None
            return position

        self._consumers.seek(self._name, self, place)
        if not found:
            raise ConfigurationError(
                f"seek to {target!r}: this consumer does not read that lane; give it a position"
                " that one of its own deliveries had"
            )


def _position(log: Log, target: SeekTarget) -> int | None:
    if isinstance(target, datetime):
        return log.position_at(target.timestamp())
    if target == "earliest":
        return log.start
    if target == "latest":
        return log.end
    number, position = place_of(target)
    return min(position, log.end) if number == log.lane.number else None
