"""Questions that several emulations put to a broker's promises."""

from __future__ import annotations

from unibus.capabilities import Capabilities, Ordering
from unibus.specs import Subscription


def is_ordered(capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether the subscription is promised an order."""
    return subscription.topic.ordering != "none" and capabilities.ordering.value > Ordering.NONE


def is_nack_complete(capabilities: Capabilities) -> bool:
    """Return whether the broker takes a nack back, later if asked, and counts it."""
    return bool(capabilities.nack and capabilities.nack_delay_s and capabilities.attempts)


def patience_s(capabilities: Capabilities) -> float:
    """Return how many seconds a delivery can safely be kept in process, unsettled."""
    lease = capabilities.lease.value
    if lease.extendable or lease.default_s is None:
        return lease.max_s
    return lease.default_s / 2  # what is left is for the program's own work
