"""What cannot be handled, published to a dead letter queue with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from unibus.capabilities import Capabilities, emulated
from unibus.emulation.expiry import is_expired
from unibus.emulation.handing import HandingLayer
from unibus.emulation.layer import Setting
from unibus.emulation.provenance import attempts, dead_copy, decoded, source_of
from unibus.emulation.relay import Relay
from unibus.message import DeadLetter
from unibus.specs import Subscription
from unibus.spi import Events, Incoming, Verdict, VerdictKind


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


class DeadLetterLayer(HandingLayer):
    """Answers a reject and the last nack by a copy in the dead letter queue.

    A delivery that comes after the last attempt (its consumer crashed each time) goes there too,
    and is not passed on.

    Args:
        events: Of the layer around.
        setting: What is received, and with what.
        relay: Publishes to the dead letter queue.
        expires: Whether what is too old is to go there as well.
    """

    def __init__(
        self, events: Events, setting: Setting, relay: Relay, *, expires: bool = False
    ) -> None:
        subscription = setting.subscription
        super().__init__(events, setting, f"dead letter queue {subscription.dead_letter!r}", relay)
        self._subscription = subscription
        self._max_attempts = subscription.max_attempts
        self._is_counted = bool(setting.binding.capabilities.attempts)
        self._expires = expires

    @override
    def pick(self, batch: Incoming) -> Sequence[int] | None:
        size = len(batch)
        dead = set(self._overdue(batch)) | set(self._expired(batch))
        return [index for index in range(size) if index not in dead] if dead else None

    @override
    def drop(self, batch: Incoming, indexes: Sequence[int]) -> None:
        overdue = set(self._overdue(batch))
        for index in indexes:
            reason = _LAST if index in overdue else "expired"
            made = self._attempts(batch, index)
            self._bury(batch, index, reason, "", None if made is None else made - 1)

    @override
    def pass_on(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        mapped = super().pass_on(verdicts)
        if not any(verdict.kind in _FATAL for verdict in mapped):
            return mapped
        return [verdict for verdict in mapped if not self._is_answered(verdict)]

    def _is_answered(self, verdict: Verdict) -> bool:
        batch, index = verdict.incoming, verdict.first
        if verdict.kind not in _FATAL or batch is None:
            return False
        made = self._attempts(batch, index)
        if verdict.kind is VerdictKind.NACK:
            if self._max_attempts is None or (made or 0) < self._max_attempts:
                return False
            reason = _LAST
        else:
            reason = "undecodable" if decoded(batch, index) is None else "rejected"
        self._bury(batch, index, reason, verdict.reason, made)
        return True

    def _attempts(self, batch: Incoming, index: int) -> int | None:
        return attempts(batch, index, decoded(batch, index), is_counted=self._is_counted)

    def _overdue(self, batch: Incoming) -> list[int]:
        limit = self._max_attempts
        if limit is None:
            return []
        # A copy is published only before the last attempt. What comes after that was delivered by
        # the broker before, so a first delivery need not be decoded.
        again = [index for index in range(len(batch)) if (batch.attempt(index) or 1) > 1]
        return [index for index in again if (self._attempts(batch, index) or 0) > limit]

    def _expired(self, batch: Incoming) -> list[int]:
        if not self._expires:
            return []
        wall = self._setting.clock.wall()
        return [i for i in range(len(batch)) if is_expired(decoded(batch, i), wall)]

    def _bury(
        self, batch: Incoming, index: int, reason: str, detail: str, made: int | None
    ) -> None:
        now = self._setting.clock.wall()
        death = DeadLetter(reason=reason, detail=detail, attempts=made, first_at_s=now)
        copy = dead_copy(source_of(batch, index), self._subscription, death)
        self._handover.begin(batch, index, copy)


_LAST = "max attempts"
_FATAL = (VerdictKind.NACK, VerdictKind.REJECT)
