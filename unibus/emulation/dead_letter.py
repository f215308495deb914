"""What cannot be handled, published to a dead letter queue with its reason."""

from __future__ import annotations

from dataclasses import replace

from unibus.capabilities import Capabilities, emulated
from unibus.specs import Subscription


def is_needed(_capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether the subscription has a dead letter queue.

    Also where the broker dead-letters natively: no broker writes the program's reason, and the
    broker's own stays as the back-stop for consumers that crash.
    """
    return subscription.dead_letter is not None


def transform(capabilities: Capabilities, _subscription: Subscription) -> Capabilities:
    """Return *capabilities* with dead letters and their way back."""
    changes = capabilities
    if not changes.dead_letter:
        grade = emulated(
            value=True,
            how="a copy with the reason is published, then the source is acknowledged",
            cost="a crash between the two leaves a duplicate",
        )
        changes = replace(changes, dead_letter=grade)
    if not changes.redrive:
        grade = emulated(
            value=True,
            how="a copy is published to the subscription alone, then the source is acknowledged",
            cost="a crash between the two leaves a duplicate",
        )
        changes = replace(changes, redrive=grade)
    return changes
