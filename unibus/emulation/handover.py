"""Publishes a copy elsewhere, and settles the source only when the copy is accepted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial

from unibus.clock import Timer
from unibus.emulation.keeper import LeaseKeeper
from unibus.emulation.layer import Layer, Setting
from unibus.emulation.relay import Relay
from unibus.errors import ClosedError, LeaseLostError, UnibusError
from unibus.message import Message
from unibus.outcome import Outcome, OutcomeKind, lease_lost, unknown
from unibus.spi import Incoming, Lease, Verdict, VerdictKind

_log = logging.getLogger("unibus.emulation")


class _Pending:
    """One source on its way; *message* is ``None`` if it is only to be nacked after a while."""

    __slots__ = (
        "batch",
        "failures",
        "index",
        "is_awaited",
        "is_finished",
        "is_out",
        "message",
        "timer",
    )

    def __init__(self, batch: Incoming, index: int, message: Message | None) -> None:
        self.batch = batch
        self.index = index
        self.message = message
        self.failures = 0
        self.timer: Timer | None = None
        self.is_out = True  # on its way, not waiting for a moment
        self.is_awaited = False  # by a barrier
        self.is_finished = False  # nothing is to be done any more

    @property
    def lease(self) -> Lease:
        return self.batch.lease(self.index)


class Handover:
    """Hand-overs to one target, and what has become of their sources. Thread-safe.

    A copy that is rejected or unknown is tried again with growing backoff while the source is kept
    and its lease extended; nothing is ever given up but by ``close`` or with the lease, and then
    the broker has the source.

    Args:
        target: Names the target in logs.
        relay: Publishes the copies.
        layer: Its inner receiver takes the acknowledgements of the sources, and its ``settled``
            hears of those whose lease ended first.
        setting: Clock, backoff and leases.
    """

    def __init__(self, target: str, relay: Relay, layer: Layer, setting: Setting) -> None:
        self._target = target
        self._relay = relay
        self._layer = layer
        self._setting = setting
        self._keeper = LeaseKeeper(setting.clock, setting.lease_s, layer.settle_inner)
        self._changed = threading.Condition()
        self._pending: dict[tuple[object, int], _Pending] = {}
        self._is_closing = False
        self._is_failing = False

    def begin(
        self, batch: Incoming, index: int, message: Message | None, *, wait_s: float = 0.0
    ) -> None:
        """Publish *message* after *wait_s*, then acknowledge its source, delivery *index*.

        Without a message the source is nacked after *wait_s* instead.
        """
        pending = _Pending(batch, index, message)
        with self._changed:
            self._pending[batch.ticket, index] = pending
        self._keeper.keep(batch, index)
        if wait_s > 0:
            self._call_later(pending, wait_s)
        else:
            self._go(pending)

    def drop_lost(self) -> None:
        """Give up what lies under a lost lease: the broker delivers it again."""
        with self._changed:
            lost = [each for each in self._pending.values() if each.lease.lost is not None]
        for pending in lost:
            self._finish(pending, partial(self._report_lost, pending))

    def await_barrier(self) -> None:
        """Have a barrier follow the hand-overs that are pending now."""
        with self._changed:
            for pending in self._pending.values():
                pending.is_awaited = True

    def wait(self, timeout_s: float, leases: Sequence[Lease] | None = None) -> None:
        """Try at once what waits for a moment, and wait until nothing is on its way.

        At most *timeout_s*; only what lies under *leases*, if given. May block.
        """
        concerned = None if leases is None else {id(lease) for lease in leases}
        self._hurry(concerned)
        with self._changed:
            self._changed.wait_for(lambda: not self._is_any_out(concerned), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Finish what can be finished in *timeout_s*, and leave the other sources to the broker."""
        with self._changed:
            self._is_closing = True
        self.wait(timeout_s)
        with self._changed:
            left = list(self._pending.values())
        for pending in left:
            self._finish(pending, partial(self._report_left, pending))
        self._keeper.close()

    def _go(self, pending: _Pending) -> None:
        if pending.message is None:
            verdict = _verdict(pending, VerdictKind.NACK)
            self._finish(pending, partial(self._layer.settle_inner, [verdict]))
        else:
            self._relay.hand_over(pending.message, partial(self._handed_over, pending))

    def _handed_over(self, pending: _Pending, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.ACCEPTED:
            pending.failures = 0
            self._note_recovery()
            if pending.lease.lost is None:
                verdict = _verdict(pending, VerdictKind.ACK)
                self._finish(pending, partial(self._layer.settle_inner, [verdict]))
            else:
                self._finish(pending, partial(self._report_lost, pending))
            return
        self._note_failure(outcome)
        pending.failures += 1
        if self._is_closing:
            self._finish(pending, partial(self._report_left, pending, outcome))
            return
        setting = self._setting
        self._call_later(pending, setting.backoff.delay_s(pending.failures, setting.random))

    def _call_later(self, pending: _Pending, wait_s: float) -> None:
        with self._changed:
            if pending.is_finished:
                return
            pending.is_out = False
            when = self._setting.clock.now() + wait_s
            pending.timer = self._setting.clock.call_at(when, partial(self._due, pending))
            self._changed.notify_all()

    def _due(self, pending: _Pending) -> None:
        with self._changed:
            if pending.is_out or pending.is_finished:
                return
            pending.is_out = True
            timer, pending.timer = pending.timer, None
        if timer is not None:
            timer.cancel()
        self._go(pending)

    def _hurry(self, concerned: set[int] | None) -> None:
        with self._changed:
            waiting = [each for each in self._concerned(concerned) if not each.is_out]
        for pending in waiting:
            self._due(pending)

    def _is_any_out(self, concerned: set[int] | None) -> bool:
        return any(pending.is_out for pending in self._concerned(concerned))

    def _concerned(self, leases: set[int] | None) -> list[_Pending]:
        pending = list(self._pending.values())
        return pending if leases is None else [each for each in pending if id(each.lease) in leases]

    def _finish(self, pending: _Pending, last_act: Callable[[], None]) -> None:
        """Do the last thing for *pending*, once, and only then stop waiting for it."""
        with self._changed:
            if pending.is_finished:
                return
            pending.is_finished = True
            timer, pending.timer = pending.timer, None
        if timer is not None:
            timer.cancel()
        self._keeper.forget(*_key(pending))
        last_act()
        with self._changed:
            del self._pending[_key(pending)]
            is_barrier_due = pending.is_awaited and not any(
                each.is_awaited for each in self._pending.values()
            )
            self._changed.notify_all()
        if is_barrier_due:
            self._layer.barrier_inner()

    def _report_lost(self, pending: _Pending) -> None:
        cause = LeaseLostError(
            f"the lease {pending.lease.scope} ended before the message was handed over to"
            f" {self._target}; the broker delivers it again"
        )
        cause.__cause__ = pending.lease.lost
        self._layer.settled(*_key(pending), 1, lease_lost(cause))

    def _report_left(self, pending: _Pending, outcome: Outcome | None = None) -> None:
        cause: UnibusError = ClosedError(
            f"the consumer was closed before the message was handed over to {self._target};"
            " the broker delivers it again"
        )
        cause.__cause__ = outcome.cause if outcome else None
        self._layer.settled(*_key(pending), 1, unknown(cause))

    def _note_failure(self, outcome: Outcome) -> None:
        with self._changed:
            was_failing, self._is_failing = self._is_failing, True
        if not was_failing:
            _log.warning(
                "cannot publish to %s, its sources are kept and it is tried again: %s",
                self._target,
                outcome.cause or outcome.kind.value,
            )

    def _note_recovery(self) -> None:
        if not self._is_failing:
            return
        with self._changed:
            # While one message cannot be published, others that can are no news.
            if any(pending.failures for pending in self._pending.values()):
                return
            self._is_failing = False
        _log.info("can publish to %s again", self._target)


def _key(pending: _Pending) -> tuple[object, int]:
    return pending.batch.ticket, pending.index


def _verdict(pending: _Pending, kind: VerdictKind) -> Verdict:
    return Verdict(pending.batch.ticket, pending.index, 1, kind, incoming=pending.batch)
