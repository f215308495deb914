"""Lifetimes at the consumer, where the broker has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from unibus.capabilities import Capabilities, emulated
from unibus.emulation.layer import Setting
from unibus.emulation.provenance import decoded, expires_at_s
from unibus.emulation.selection import SelectingLayer
from unibus.message import Message
from unibus.specs import Subscription
from unibus.spi import Events, Incoming


def is_needed(capabilities: Capabilities, _subscription: Subscription) -> bool:
    """Return whether the broker has no lifetimes."""
    return not capabilities.ttl


def transform(capabilities: Capabilities, _subscription: Subscription) -> Capabilities:
    """Return *capabilities* with lifetimes."""
    if capabilities.ttl:
        return capabilities
    return replace(
        capabilities,
        ttl=emulated(
            value=True,
            how="a header with the end of the lifetime, looked at by the consumer",
            cost="other clients receive expired messages, and every header is decoded",
        ),
    )


def is_expired(message: Message | None, wall: float) -> bool:
    """Return whether *message* is too old to be delivered at Unix time *wall*."""
    end = expires_at_s(message) if message is not None else None
    return end is not None and end <= wall


class ExpiryLayer(SelectingLayer):
    """Passes on what is not too old, and acknowledges the rest.

    Where there is a dead letter queue its layer does this instead, and keeps what is too old.
    """

    def __init__(self, events: Events, setting: Setting) -> None:
        super().__init__(events)
        self._clock = setting.clock

    @override
    def pick(self, batch: Incoming) -> Sequence[int] | None:
        wall, size = self._clock.wall(), len(batch)
        passed = [i for i in range(size) if not is_expired(decoded(batch, i), wall)]
        return None if len(passed) == size else passed
