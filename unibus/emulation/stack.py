"""The order of the emulations, and how they are put round a receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.emulation import dead_letter, expiry, filter, hold, retry  # noqa: A004  # a layer's name
from unibus.emulation.relay import Relays
from unibus.specs import Subscription
from unibus.spi import Adapter, Binding, Events, Flow, Receiver


class Emulation(NamedTuple):
    """One emulation, as ``unibus.binding`` sees it.

    Attributes:
        name: As in ``Binding.stack``.
        is_needed: Whether a subscription has to be read through it.
        transform: What is promised with it.
        is_lossless: Whether it is allowed unless refused: it weakens no promise, and other clients
            read what it writes.
    """

    name: str
    is_needed: Callable[[Capabilities, Subscription], bool]
    transform: Callable[[Capabilities, Subscription], Capabilities]
    is_lossless: bool = True


EMULATIONS = (
    Emulation("filter", filter.is_needed, filter.transform),
    Emulation("expiry", expiry.is_needed, expiry.transform, is_lossless=False),
    Emulation("hold", hold.is_needed, hold.transform),
    Emulation("retry", retry.is_needed, retry.transform),
    Emulation("dead_letter", dead_letter.is_needed, dead_letter.transform),
)
"""Innermost first. What does not match or is too old is dropped before anybody counts or holds it;
the dead letter layer stands outside, since it decides which nack is the last."""


def build(
    adapter: Adapter,
    binding: Binding,
    flow: Flow,
    events: Events,
    *,
    relays: Relays,
    clock: Clock,
    timeout_s: float,
) -> Receiver:
    """Open a receiver with the layers of ``binding.stack`` round it.

    A relay is opened for the layers that publish, and for no other.

    Raises:
        Exception: What opening the receiver or a relay raises.
    """
    raise NotImplementedError
