"""The order of the emulations, and how they are put round a receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.emulation import dead_letter, expiry, filter, hold, retry  # noqa: A004  # a layer's name
from unibus.emulation.layer import Layer, Setting
from unibus.emulation.relay import Relays
from unibus.specs import Queue, Subscription
from unibus.spi import Adapter, Binding, Events, Flow, Receiver


class Emulation(NamedTuple):
    """One emulation, as ``unibus.binding`` sees it.

    Attributes:
        name: As in ``Binding.stack``.
        is_needed: Whether a subscription has to be read through it.
        transform: What is promised with it.
        make: The layer that does it.
        is_lossless: Whether it is allowed unless refused: it weakens no promise, and other clients
            read what it writes.
    """

    name: str
    is_needed: Callable[[Capabilities, Subscription], bool]
    transform: Callable[[Capabilities, Subscription], Capabilities]
    make: Callable[[Events, Setting, Relays], Layer]
    is_lossless: bool = True


def _filter(events: Events, setting: Setting, _relays: Relays) -> Layer:
    return filter.FilterLayer(events, setting)


def _expiry(events: Events, setting: Setting, _relays: Relays) -> Layer:
    return expiry.ExpiryLayer(events, setting)


def _hold(events: Events, setting: Setting, _relays: Relays) -> Layer:
    return hold.HoldLayer(events, setting)


def _retry(events: Events, setting: Setting, relays: Relays) -> Layer:
    return retry.RetryLayer(events, setting, relays(setting.subscription))


def _dead_letter(events: Events, setting: Setting, relays: Relays) -> Layer:
    binding = setting.binding
    # As the resolver wrote it: with the profile that can carry it.
    queue = next(spec for spec in binding.extra_specs if isinstance(spec, Queue))
    expires = "expiry" in binding.stack
    return dead_letter.DeadLetterLayer(events, setting, relays(queue), expires=expires)


EMULATIONS = (
    Emulation("filter", filter.is_needed, filter.transform, _filter),
    Emulation("expiry", expiry.is_needed, expiry.transform, _expiry, is_lossless=False),
    Emulation("hold", hold.is_needed, hold.transform, _hold),
    Emulation("retry", retry.is_needed, retry.transform, _retry),
    Emulation("dead_letter", dead_letter.is_needed, dead_letter.transform, _dead_letter),
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
    if not binding.stack:
        return adapter.open_receiver(binding, flow, events, timeout_s=timeout_s)
    setting = Setting(binding=binding, flow=flow, clock=clock)
    layers: list[Layer] = []  # from the core inwards, since each reports to the one around it
    for emulation in reversed(EMULATIONS):
        if _is_built(emulation.name, binding):
            outer = layers[-1] if layers else events
            layers.append(emulation.make(outer, setting, relays))
    receiver = adapter.open_receiver(binding, flow, layers[-1], timeout_s=timeout_s)
    for layer in reversed(layers):
        layer.attach(receiver)
        receiver = layer
    return receiver


def _is_built(name: str, binding: Binding) -> bool:
    if name == "expiry" and "dead_letter" in binding.stack:
        return False  # that layer keeps what expired, this one would drop it
    return name in binding.stack
