"""What a publish returns, and the batch it points into.

Millions of receipts must cost next to nothing, so nothing is written to one when its message is
decided. A receipt is a tuple ``(batch, index)``, built in C; the batch keeps one number, up to
which everything is decided, and a dict of what was not accepted, which hardly ever exists
(``pending.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from time import monotonic
from typing import overload

from typing_extensions import override

from unibus.engine.pending import Pending
from unibus.errors import DeadlineExceededError, PublishFailedError
from unibus.outcome import ACCEPTED, Outcome


class Receipt(tuple[Pending, int]):
    """What became of one publish, as soon as that is known; thread-safe.

    Waiting on it is optional: ``flush`` and ``close`` of the producer wait for all and raise for
    the failures that nobody has looked at. It keeps the message's batch in memory.
    """

    __slots__ = ()

    @property
    def outcome(self) -> Outcome | None:
        """Accepted, rejected or unknown; ``None`` while it is undecided."""
        return self[0].outcome(self[1])

    @property
    def late_outcome(self) -> Outcome | None:
        """What the broker said after the deadline had made the outcome unknown; else ``None``."""
        return self[0].late_outcome(self[1])

    @property
    def id(self) -> str | None:
        """The id the message was published with; ``None`` if the caller named none."""
        batch, index = self
        return batch.ids[index] if batch.ids is not None else None

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the outcome and return it, whatever it is.

        Without *timeout_s* the producer's own ``timeout_s`` bounds it: then the outcome is
        rejected (it was not sent) or unknown.

        Raises:
            DeadlineExceededError: It is still undecided after *timeout_s* seconds.
        """
        batch, index = self
        if not batch.wait(index, timeout_s):
            raise undecided("the publish was", timeout_s)
        return batch.outcome(index) or ACCEPTED

    def result(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the outcome like ``wait``, and return it if the broker accepted the message.

        Raises:
            UnibusError: The cause, if it was rejected or the outcome is unknown.
            DeadlineExceededError: It is still undecided after *timeout_s* seconds.
        """
        outcome = self.wait(timeout_s)
        if outcome.cause is not None:
            # Shared by the whole batch: a traceback would grow with every raise.
            raise outcome.cause.with_traceback(None)
        return outcome

    @override
    def __repr__(self) -> str:
        return f"<Receipt {self[0].peek(self[1]) or 'undecided'}>"


class BatchReceipt(Sequence[Receipt]):
    """What became of each message of ``publish_many``, in publishing order; thread-safe.

    As a sequence it gives one receipt a message.
    """

    __slots__ = ("_batches", "_ends")

    def __init__(self, batches: Sequence[Pending]) -> None:
        self._batches = batches
        self._ends = tuple(accumulate(map(len, batches)))

    @property
    def outcomes(self) -> list[Outcome | None]:
        """The outcome of each message; ``None`` while it is undecided."""
        return [each.outcome(index) for each in self._batches for index in range(len(each))]

    @property
    def failures(self) -> tuple[Receipt, ...]:
        """The receipts of what is known to be rejected or unknown."""
        return tuple(Receipt((each, index)) for each in self._batches for index in each.failures())

    def wait(self, timeout_s: float | None = None) -> list[Outcome]:
        """Wait until every message is decided and return the outcomes, whatever they are.

        Without *timeout_s* the producer's own ``timeout_s`` bounds it.

        Raises:
            DeadlineExceededError: Some are still undecided after *timeout_s* seconds.
        """
        end = None if timeout_s is None else monotonic() + timeout_s
        for batch in self._batches:
            if not batch.wait(len(batch) - 1, None if end is None else end - monotonic()):
                raise undecided("some of the messages were", timeout_s)
        return [outcome for outcome in self.outcomes if outcome is not None]

    def result(self, timeout_s: float | None = None) -> None:
        """Wait like ``wait``, and return if the broker accepted every message.

        Raises:
            PublishFailedError: With the receipts of those that it did not.
            DeadlineExceededError: Some are still undecided after *timeout_s* seconds.
        """
        self.wait(timeout_s)
        if failed := self.failures:
            raise publish_failed(failed)

    @overload
    def __getitem__(self, index: int) -> Receipt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Receipt]: ...
    @override
    def __getitem__(self, index: int | slice) -> Receipt | Sequence[Receipt]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        at = range(len(self))[index]  # wraps a negative index, refuses one out of range
        place = bisect_right(self._ends, at)
        batch = self._batches[place]
        return Receipt((batch, at - self._ends[place] + len(batch)))

    @override
    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @override
    def __repr__(self) -> str:
        return f"<BatchReceipt of {len(self)}>"


def publish_failed(failures: Sequence[Receipt], dropped: int = 0) -> PublishFailedError:
    """Return the error that carries *failures* and says what the first one met.

    *dropped* is how many more there were whose receipts are gone.
    """
    count = len(failures) + dropped
    text = f"{count} publishes failed" if count > 1 else "1 publish failed"
    if failures:
        batch, index = failures[0]
        text = f"{text}, the first {batch.peek(index)!r}"
    return PublishFailedError(text, tuple(failures))


def undecided(what: str, timeout_s: float | None) -> DeadlineExceededError:
    """Return the error of a wait for *what* that took too long."""
    return DeadlineExceededError(f"{what} still undecided after {timeout_s} s")
