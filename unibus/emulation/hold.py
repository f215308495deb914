"""A failed delivery held in process, where the broker would let later ones overtake it."""

from __future__ import annotations

from dataclasses import replace

from unibus.capabilities import Attempts, Capabilities, emulated
from unibus.emulation.rules import is_nack_complete, is_ordered, patience_s
from unibus.specs import Subscription
from unibus.spi import VerdictKind

_HOW = "held in process and delivered again to the same consumer"
_COST = "a held message stays in the window of unsettled ones"


def held_kinds(capabilities: Capabilities, subscription: Subscription) -> frozenset[VerdictKind]:
    """Return the verdicts that are answered by holding the message."""
    is_lacking = not is_nack_complete(capabilities)
    kinds = set()
    if is_ordered(capabilities, subscription):
        if is_lacking or capabilities.on_nack.value == "overtakes":
            kinds |= {VerdictKind.NACK, VerdictKind.RELEASE}
    elif is_lacking and subscription.mode == "stream":
        kinds.add(VerdictKind.NACK)
    if not capabilities.release:
        kinds.add(VerdictKind.RELEASE)
    return frozenset(kinds)


def is_needed(capabilities: Capabilities, subscription: Subscription) -> bool:
    """Return whether a nack would break the order, or the broker takes nothing back."""
    return bool(held_kinds(capabilities, subscription))


def transform(capabilities: Capabilities, subscription: Subscription) -> Capabilities:
    """Return *capabilities* with what holding adds."""
    kinds = held_kinds(capabilities, subscription)
    changes = capabilities
    if VerdictKind.RELEASE in kinds:
        changes = replace(changes, release=emulated("uncounted", how=_HOW, cost=_COST))
    if VerdictKind.NACK not in kinds:
        return changes
    if is_ordered(capabilities, subscription):
        cost = "later messages of the key wait in the window of unsettled ones"
        changes = replace(changes, on_nack=emulated("blocks", how=_HOW, cost=cost))
    return replace(
        changes,
        nack=emulated(value=True, how=_HOW, cost=_COST),
        nack_delay_s=emulated(patience_s(capabilities), how=_HOW, cost=_COST),
        attempts=emulated(
            Attempts.APPROXIMATE,
            how="counted in process",
            cost="a crash forgets the nacks, and what is left is what the broker counts",
        ),
    )
