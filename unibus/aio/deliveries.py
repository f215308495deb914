"""One delivery, and many one after the other, as a program on an event loop holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from unibus.aio.feed import wait
from unibus.engine.deliveries import AnyDelivery
from unibus.engine.inbox import Inbox
from unibus.engine.taken import Taken
from unibus.errors import DeadlineExceededError
from unibus.outcome import SENT, Outcome


class Delivery(AnyDelivery):
    """A message, and the duty to settle it; settling is a plain call that never waits.

    As an asynchronous context manager it acks when the block ends, and nacks with the consumer's
    backoff when the block raises an ``Exception``: that is logged, and goes no further. When the
    task is cancelled it is released, and the cancellation goes on. What was settled in the block
    stays so. Headers that cannot be decoded raise ``MessageRejectedError`` where they are read; the
    block then rejects it as ``undecodable``.
    """

    __slots__ = ()

    async def wait_settled(self, timeout_s: float = 30.0) -> Outcome:
        """Wait until the broker has answered, and return the outcome, whatever it is.

        Raises:
            DeadlineExceededError: There is no answer after *timeout_s* seconds.
            UnibusError: It is not settled yet.
        """
        done = self._begin_wait()
        end = asyncio.get_running_loop().time() + timeout_s
        if not await wait(self._taken.desk.watches, done, end):
            raise DeadlineExceededError(
                f"the broker of {self.subscription} has not confirmed the settlement within"
                f" {timeout_s:g} s; it may have taken effect"
            )
        return self.outcome or SENT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._leave(error)


class Deliveries:
    """Deliveries one by one, until the consumer is closed."""

    def __init__(self, inbox: Inbox, following: Callable[[], Awaitable[Taken | None]]) -> None:
        self._inbox = inbox
        self._following = following
        self._taken: Taken | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        taken = self._taken
        while True:
            if taken is not None and (index := taken.next) < taken.limit:
                # Counted before the look, as in ``unibus.consumer``.
                taken.next = index + 1
                if not taken.stale or (index := self._inbox.startable(taken, index)) >= 0:
                    return Delivery(taken.bodies[index], taken, index)
            taken = self._taken = await self._following()
            if taken is None:
                raise StopAsyncIteration
