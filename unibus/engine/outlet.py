"""An outbox and the sender that empties it, from open to close."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final

from unibus.clock import Clock
from unibus.engine.closing import Budget
from unibus.engine.outbox import Outbox
from unibus.engine.pending import Pending
from unibus.engine.translation import translated
from unibus.engine.window import Limits
from unibus.errors import (
    ClosedError,
    DeadlineExceededError,
    UnavailableError,
    UnsupportedError,
)
from unibus.spi import AcksLevel, Adapter, Binding, Sender

_STRONGEST_FIRST: Final[tuple[AcksLevel, ...]] = ("all", "leader", "none")
_FLUSH_SHARE: Final = 0.9  # of a close: what is left is for the sender to end in an orderly way


class Outlet:
    """Takes messages for one topic, or one subscription alone, until it is closed. Thread-safe.

    Raises:
        UnsupportedError: The profile does not offer *acks*.
        UnibusError: What opening the sender came to.
    """

    def __init__(
        self,
        adapter: Adapter,
        binding: Binding,
        acks: AcksLevel | None,
        *,
        clock: Clock,
        limits: Limits,
        timeout_s: float,
    ) -> None:
        self.outbox = Outbox(binding, clock, limits, adapter.translate)
        self.is_closed = False
        self._name = binding.spec.name
        self._adapter = adapter
        self._clock = clock
        level = _level(binding, acks)
        with translated(adapter):
            self.sender: Sender = adapter.open_sender(
                binding, level, self.outbox, timeout_s=timeout_s
            )
        self.outbox.attach(self.sender.offer, self.sender.push)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything that was put in so far is decided.

        Raises:
            PublishFailedError: Some of it failed, and nobody has looked at that yet.
            DeadlineExceededError: Some is undecided after *timeout_s* seconds.
        """
        batches = self.outbox.undecided()
        _wait_for(batches, timeout_s)
        self.conclude(batches, timeout_s)

    def conclude(self, batches: Sequence[Pending], timeout_s: float) -> None:
        """Raise what there is to say after *batches* were waited for.

        Raises:
            PublishFailedError: As ``flush``.
            DeadlineExceededError: As ``flush``.
        """
        if failed := self.outbox.take_failures():
            raise failed
        if left := sum(len(batch) - batch.decided for batch in batches):
            raise DeadlineExceededError(
                f"{self._name}: {left} publishes were still undecided after {timeout_s:g} s"
            )

    def close(self, timeout_s: float) -> None:
        """Take nothing more, wait for what is under way, and close the sender.

        Raises:
            PublishFailedError: Some of it failed, and nobody has looked at that yet.
            UnibusError: What closing the sender came to.
        """
        if self.is_closed:
            return
        self.is_closed = True
        budget = Budget(self._clock, timeout_s)
        self.outbox.stop(ClosedError(f"the producer of {self._name} is closed"))
        _wait_for(self.outbox.undecided(), timeout_s * _FLUSH_SHARE)
        try:
            with translated(self._adapter):
                self.sender.close(budget.left_s)
        finally:
            self._end(timeout_s)
        if failed := self.outbox.take_failures():
            raise failed

    def abandon(self) -> None:
        """Be dead in a forked child: the sender is the parent's."""
        self.is_closed = True
        self.outbox.abandon()

    def _end(self, timeout_s: float) -> None:
        within = f"within {timeout_s:g} s of closing"
        self.outbox.reject_rest(UnavailableError(f"{self._name}: not sent {within}"))
        self.outbox.give_up(DeadlineExceededError(f"{self._name}: sent, no answer {within}"))


def _wait_for(batches: Sequence[Pending], timeout_s: float) -> None:
    end = monotonic() + timeout_s
    for batch in batches:
        batch.wait(len(batch) - 1, end - monotonic())


def _level(binding: Binding, acks: AcksLevel | None) -> AcksLevel:
    offered = binding.capabilities.acks
    if acks is None:
        return next((level for level in _STRONGEST_FIRST if level in offered.value), "all")
    if offered and acks in offered.value:
        return acks
    levels = ", ".join(level for level in _STRONGEST_FIRST if level in offered.value)
    raise UnsupportedError(
        f"acks {acks!r} was asked for, profile {binding.profile.name} offers {levels or 'none'};"
        " choose one of these or leave acks out"
    )
