"""Lifetimes at the consumer, where the broker has none."""

from __future__ import annotations

from dataclasses import replace

from unibus.capabilities import Capabilities, emulated
from unibus.specs import Subscription


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
