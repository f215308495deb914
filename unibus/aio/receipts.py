"""What a publish returns, for programs on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import overload

from typing_extensions import override

from unibus.aio.crossing import Crossing
from unibus.engine import receipts
from unibus.engine.pending import Pending
from unibus.engine.receipts import publish_failed, undecided
from unibus.outcome import ACCEPTED, Outcome


class Receipt(tuple[Pending, int, Crossing]):
    """What became of one publish, as soon as that is known.

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
        ids = self[0].ids
        return ids[self[1]] if ids is not None else None

    async def wait(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the outcome and return it, whatever it is.

        Without *timeout_s* the producer's own ``timeout_s`` bounds it: then the outcome is
        rejected (it was not sent) or unknown.

        Raises:
            DeadlineExceededError: It is still undecided after *timeout_s* seconds.
        """
        batch, index, crossing = self
        if not await _wait(batch, index, crossing, timeout_s):
            raise undecided("the publish was", timeout_s)
        return batch.outcome(index) or ACCEPTED

    async def result(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the outcome like ``wait``, and return it if the broker accepted the message.

        Raises:
            UnibusError: The cause, if it was rejected or the outcome is unknown.
            DeadlineExceededError: It is still undecided after *timeout_s* seconds.
        """
        outcome = await self.wait(timeout_s)
        if outcome.cause is not None:
            raise outcome.cause.with_traceback(None)  # shared: its traceback would grow
        return outcome

    @override
    def __repr__(self) -> str:
        return f"<Receipt {self[0].peek(self[1]) or 'undecided'}>"


class BatchReceipt(Sequence[Receipt]):
    """What became of each message of ``publish_many``, in publishing order.

    As a sequence it gives one receipt a message.
    """

    __slots__ = ("_batches", "_crossing", "_receipts")

    def __init__(self, batches: Sequence[Pending], crossing: Crossing) -> None:
        self._batches = batches
        self._crossing = crossing
        self._receipts = receipts.BatchReceipt(batches)

    @property
    def outcomes(self) -> list[Outcome | None]:
        """The outcome of each message; ``None`` while it is undecided."""
        return self._receipts.outcomes

    @property
    def failures(self) -> tuple[Receipt, ...]:
        """The receipts of what is known to be rejected or unknown."""
        return tuple(map(self._own, self._receipts.failures))

    async def wait(self, timeout_s: float | None = None) -> list[Outcome]:
        """Wait until every message is decided and return the outcomes, whatever they are.

        Without *timeout_s* the producer's own ``timeout_s`` bounds it.

        Raises:
            DeadlineExceededError: Some are still undecided after *timeout_s* seconds.
        """
        loop = asyncio.get_running_loop()
        end = None if timeout_s is None else loop.time() + timeout_s
        for batch in self._batches:
            left_s = None if end is None else end - loop.time()
            if not await _wait(batch, len(batch) - 1, self._crossing, left_s):
                raise undecided("some of the messages were", timeout_s)
        return [outcome for outcome in self.outcomes if outcome is not None]

    async def result(self, timeout_s: float | None = None) -> None:
        """Wait like ``wait``, and return if the broker accepted every message.

        Raises:
            PublishFailedError: With the receipts of those that it did not.
            DeadlineExceededError: Some are still undecided after *timeout_s* seconds.
        """
        await self.wait(timeout_s)
        if failed := self._receipts.failures:
            raise publish_failed(failed)

    @overload
    def __getitem__(self, index: int) -> Receipt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Receipt]: ...
    @override
    def __getitem__(self, index: int | slice) -> Receipt | Sequence[Receipt]:
        if isinstance(index, slice):
            return list(map(self._own, self._receipts[index]))
        return self._own(self._receipts[index])

    @override
    def __len__(self) -> int:
        return len(self._receipts)

    @override
    def __repr__(self) -> str:
        return f"<BatchReceipt of {len(self)}>"

    def _own(self, receipt: receipts.Receipt) -> Receipt:
        return Receipt((*receipt, self._crossing))


async def _wait(batch: Pending, index: int, crossing: Crossing, timeout_s: float | None) -> bool:
    if index < batch.decided:
        return True
    return await crossing.wait(lambda wake: batch.when_decided(index, wake), timeout_s)
