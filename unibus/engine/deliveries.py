"""One delivery of a taken batch, as a program holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from typing_extensions import override

from unibus import header_names, observe, spi
from unibus.emulation import provenance
from unibus.engine.taken import Taken
from unibus.errors import (
    DeadlineExceededError,
    MessageRejectedError,
    UnibusError,
    UnsupportedError,
)
from unibus.message import DeadLetter, HeaderValue
from unibus.outcome import SENT, Outcome
from unibus.spi import VerdictKind

_log = observe.logger("consumer")


class AnyDelivery:
    """A message, and the duty to settle it; what both fronts have in common.

    The body is there at once, everything else is decoded when it is read. Settling is a plain call
    that records and never waits; ``outcome`` says what came of it. The same settlement twice is
    quiet, a different one raises ``AlreadySettledError``, and neither touches the broker again.
    One that comes after the lease has ended is not sent and does not raise: its outcome is "lease
    lost". Any thread may read and settle a delivery.

    Attributes:
        body: The bytes, not copied; ``None`` is a tombstone.
    """

    __slots__ = ("_index", "_taken", "body")

    def __init__(self, body: bytes | None, taken: Taken, index: int) -> None:
        self.body = body
        self._taken = taken
        self._index = index

    def ack(self) -> None:
        """Say that it is done: never again.

        Recorded, and handed over with others: at a quarter of ``max_unsettled``, when nothing more
        is there to hand out, on ``flush`` and ``close``, and after some milliseconds.

        Raises:
            AlreadySettledError: It was settled in another way before.
        """
        taken = self._taken
        index = self._index
        if index == taken.upto:
            # Only the one delivery at ``upto`` gets here, so no lock is needed; what two acks of
            # the same one do to each other is put right by the fold.
            taken.upto = index + 1
            if index + 1 >= taken.mark:
                taken.desk.marked(taken, index)
        else:
            taken.acked_late(index)

    def nack(self, delay_s: float = 0.0) -> None:
        """Say that it failed and is to be tried again, no sooner than in *delay_s* seconds.

        Counts as an attempt.

        Raises:
            AlreadySettledError: It was settled in another way before.
            UnsupportedError: The broker does not wait that long, or nothing can be tried again.
        """
        capabilities = self._taken.desk.rules.capabilities
        if not capabilities.nack:
            raise UnsupportedError(f"a nack is not possible: {capabilities.nack.how}; use reject()")
        limit_s = capabilities.nack_delay_s.value
        if not 0 <= delay_s <= limit_s:
            raise UnsupportedError(
                f"nack(delay_s={delay_s:g}): this subscription waits from 0 to {limit_s:g} s"
            )
        self._settle(VerdictKind.NACK, delay_s)

    def release(self) -> None:
        """Give it back unhandled: somebody else, or this consumer, gets it again.

        Counts as an attempt only where ``capabilities.release`` says ``counted``.

        Raises:
            AlreadySettledError: It was settled in another way before.
        """
        self._settle(VerdictKind.RELEASE)

    def reject(self, reason: str = "") -> None:
        """Say that it can never be handled: it goes to the dead letter queue, with *reason*.

        Where the subscription has no dead letter queue, it is dropped.

        Raises:
            AlreadySettledError: It was settled in another way before.
        """
        self._settle(VerdictKind.REJECT, 0.0, reason)

    def extend(self, lease_s: float) -> None:
        """Keep it for *lease_s* more seconds, counted from now.

        Calling it late is safe: if the broker refuses, ``outcome`` becomes "lease lost".

        Raises:
            AlreadySettledError: It is settled.
            LeaseLostError: The lease is known to have ended.
            UnsupportedError: Leases of this subscription cannot be extended, or not that far.
        """
        taken = self._taken
        lease = taken.desk.rules.capabilities.lease
        if not lease or not lease.value.extendable:
            raise UnsupportedError(f"a lease of {taken.desk.rules.subscription} cannot be extended")
        if not 0 < lease_s <= lease.value.max_s:
            raise UnsupportedError(
                f"extend({lease_s:g}): a lease lasts more than 0 and at most"
                f" {lease.value.max_s:g} s"
            )
        taken.desk.extend(taken, self._index, lease_s)

    @property
    def outcome(self) -> Outcome | None:
        """Sent, settled, lease lost or unknown, as soon as that is known; ``None`` before."""
        return self._taken.ledger.outcome(self._index)

    @property
    def key(self) -> str | None:
        """Order key; messages of one key keep their order on an ordered topic."""
        return self._message().key

    @property
    def routing_key(self) -> str | None:
        """Routing key that filters look at."""
        return self._message().routing_key

    @property
    def headers(self) -> Mapping[str, HeaderValue]:
        """Headers that the publisher set; those of unibus itself are left out."""
        return header_names.program_headers(self._message().headers)

    @property
    def id(self) -> str:
        """Id that stays the same for the life of the message."""
        return self._message().id or ""

    @property
    def timestamp_s(self) -> float | None:
        """When it was published, in Unix seconds; ``None`` if nobody tells."""
        return self._message().timestamp_s

    @property
    def attempt(self) -> int | None:
        """1 for a first delivery; ``None`` if nobody counts; see ``capabilities.attempts``."""
        taken = self._taken
        is_counted = bool(taken.desk.rules.capabilities.attempts)
        message = self._message()
        return provenance.attempts(taken.incoming, self._index, message, is_counted=is_counted)

    @property
    def dead_letter(self) -> DeadLetter | None:
        """Why and whence it was dead-lettered; ``None`` if it was not."""
        return provenance.dead_letter(self._message().headers)

    @property
    def position(self) -> str | None:
        """Where it lies in its log, for ``seek``; ``None`` if there is no log."""
        return self._taken.incoming.position(self._index)

    @property
    def native(self) -> object:
        """The client library's own object."""
        return self._taken.incoming.native(self._index)

    @property
    def subscription(self) -> str:
        """Name of the subscription it was received from."""
        return self._taken.desk.rules.subscription

    def is_startable(self) -> bool:
        """Return whether to begin with it, after it waited for its turn; for those that hand out.

        It is not when its lease has ended meanwhile. When that is about to end, it is released.
        """
        taken, index = self._taken, self._index
        if not taken.stale or taken.desk.rules.settles_first:
            return True
        lease = taken.incoming.lease(index)
        if index in taken.lost or lease.lost is not None:
            return False
        if lease.stopping:
            self.release()
        return not lease.stopping

    def _message(self) -> spi.Message:
        taken = self._taken
        try:
            return taken.message(self._index)
        except Exception as error:  # what a decoder meets in foreign bytes cannot be listed
            refusal = MessageRejectedError(
                "the headers of this delivery cannot be decoded"
                f" ({type(error).__name__}); reject it"
            )
            taken.bad[self._index] = refusal
            raise refusal from error

    def _settle(self, kind: VerdictKind, delay_s: float = 0.0, reason: str = "") -> None:
        taken = self._taken
        if taken.desk.rules.settles_first:
            raise UnsupportedError(
                f"{kind.value} is not possible: with delivery='at_most_once' a delivery is settled"
                " before it is handed out"
            )
        taken.desk.settle(taken, self._index, kind, delay_s, reason)

    def _leave(self, error: BaseException | None) -> bool:
        """End a ``with`` block; return whether *error* is dealt with."""
        taken = self._taken
        index = self._index
        if error is None:
            if index not in taken.odd:
                self.ack()
            return False
        if not taken.desk.rules.settles_first and not taken.is_settled(index):
            if not isinstance(error, Exception):
                self.release()
            elif error is taken.bad.get(index):
                self.reject("undecodable")
            else:
                self._failed(error)
        if isinstance(error, Exception):
            _log.warning("a delivery from %s failed", self.subscription, exc_info=error)
            return True
        return False

    def _failed(self, error: Exception) -> None:
        rules = self._taken.desk.rules
        if not rules.capabilities.nack:
            self.release()
            return
        try:
            attempt = self.attempt or 1
        except MessageRejectedError:
            self.reject("undecodable")
            return
        delay_s = min(
            rules.backoff.delay_s(attempt, rules.random), rules.capabilities.nack_delay_s.value
        )
        self._settle(VerdictKind.NACK, delay_s, f"{type(error).__name__}: {error}")

    def _begin_wait(self) -> Callable[[], bool]:
        taken = self._taken
        if not taken.is_settled(self._index):
            raise UnibusError(
                "wait_settled() on a delivery that is not settled; call ack(), nack(), release() or"
                " reject() first"
            )
        return taken.desk.flush_one(taken, self._index)

    @override
    def __repr__(self) -> str:
        return f"<Delivery {self._index} of {self._taken.size} from {self.subscription}>"


class Delivery(AnyDelivery):
    """A message, and the duty to settle it.

    As a context manager it acks when the block ends, and nacks with the consumer's backoff when
    the block raises an ``Exception``: that is logged, and goes no further, so that one bad message
    does not end a loop. On ``KeyboardInterrupt`` and the like it is released, and they go on. What
    was settled in the block stays so. Headers that cannot be decoded raise ``MessageRejectedError``
    where they are read; the block then rejects it as ``undecodable``.
    """

    __slots__ = ()

    def wait_settled(self, timeout_s: float = 30.0) -> Outcome:
        """Wait until the broker has answered, and return the outcome, whatever it is.

        Raises:
            DeadlineExceededError: There is no answer after *timeout_s* seconds.
            UnibusError: It is not settled yet.
        """
        done = self._begin_wait()
        if not self._taken.desk.watches.wait(done, timeout_s):
            raise DeadlineExceededError(
                f"the broker of {self.subscription} has not confirmed the settlement within"
                f" {timeout_s:g} s; it may have taken effect"
            )
        return self.outcome or SENT

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._leave(error)


def message_of(delivery: AnyDelivery) -> spi.Message:
    """Return *delivery* as it is on the wire, unibus's own headers included.

    Raises:
        MessageRejectedError: It cannot be decoded.
    """
    return delivery._message()  # noqa: SLF001  # of this module
