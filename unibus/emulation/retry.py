"""A failed delivery published again to its subscription, where the broker cannot delay or count."""

from __future__ import annotations

from dataclasses import replace

from unibus.capabilities import Attempts, Capabilities, emulated
from unibus.emulation.rules import is_nack_complete, is_ordered, patience_s
from unibus.specs import Subscription

_HOW = "a copy with a delay is published to the subscription alone, then the source is acknowledged"
_COST = "a publish for each nack, and a crash between the two leaves a duplicate"


def is_needed(capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether the broker lacks the nack, its delay or the count of attempts.

    Never on an ordered subscription: a copy would come after what was published later.
    """
    return not (is_nack_complete(capabilities) or is_ordered(capabilities, subscription))


def transform(capabilities: Capabilities, subscription: Subscription) -> Capabilities:
    """Return *capabilities* with what a copy adds."""
    if not is_needed(capabilities, subscription):
        return capabilities
    changes = capabilities
    if not changes.nack:
        changes = replace(changes, nack=emulated(value=True, how=_HOW, cost=_COST))
    if not changes.attempts:
        cost = "a delivery that ended with a crash is not counted"
        how = "a header on the copy"
        changes = replace(changes, attempts=emulated(Attempts.APPROXIMATE, how=how, cost=cost))
    if not changes.nack_delay_s:
        longest_s = max(capabilities.delay.value.max_s, patience_s(capabilities))
        changes = replace(changes, nack_delay_s=emulated(longest_s, how=_HOW, cost=_COST))
    return changes
