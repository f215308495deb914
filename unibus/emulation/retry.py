"""A failed delivery published again to its subscription, where the broker cannot delay or count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from unibus.capabilities import Attempts, Capabilities, emulated
from unibus.emulation.handing import HandingLayer
from unibus.emulation.layer import Setting
from unibus.emulation.provenance import attempts, retry_copy, source_of
from unibus.emulation.relay import Relay
from unibus.emulation.rules import is_nack_complete, is_ordered, patience_s
from unibus.message import Message
from unibus.specs import Subscription
from unibus.spi import Events, Incoming, Verdict, VerdictKind

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


class RetryLayer(HandingLayer):
    """Answers a nack by a copy to the subscription alone.

    Only where the broker's own nack does not do: what it takes back and counts, and is not to be
    delayed, it is given. What cannot be published with a delay waits here, its lease extended.
    """

    def __init__(self, events: Events, setting: Setting, relay: Relay) -> None:
        subscription = setting.subscription
        super().__init__(events, setting, f"subscription {subscription.name!r}", relay)
        have = setting.binding.profile.capabilities
        self._subscription = subscription
        self._has_nack = bool(have.nack and have.attempts)
        self._max_delay_s = have.delay.value.max_s

    @override
    def pass_on(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        if not any(verdict.kind is VerdictKind.NACK for verdict in verdicts):
            return verdicts
        return [verdict for verdict in verdicts if not self._is_answered(verdict)]

    def _is_answered(self, verdict: Verdict) -> bool:
        batch, delay_s = verdict.incoming, verdict.delay_s
        if verdict.kind is not VerdictKind.NACK or batch is None:
            return False
        if self._has_nack and delay_s <= 0:
            return False
        if delay_s <= self._max_delay_s:
            self._handover.begin(batch, verdict.first, self._copy(batch, verdict.first, delay_s))
            return True
        copy = None if self._has_nack else self._copy(batch, verdict.first, 0.0)
        self._handover.begin(batch, verdict.first, copy, wait_s=delay_s)
        return True

    def _copy(self, batch: Incoming, index: int, delay_s: float) -> Message:
        source = source_of(batch, index)
        return retry_copy(
            source,
            self._subscription,
            attempts=attempts(batch, index, source, is_counted=True) or 1,
            delay_s=delay_s or None,
            wall=self._setting.clock.wall(),
        )
