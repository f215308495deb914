"""Publishing, for programs on an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Final, Self, TypeVar

from unibus.aio.crossing import Crossing
from unibus.aio.feed import blocking
from unibus.aio.receipts import BatchReceipt, Receipt
from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.engine.columns import Bulk
from unibus.engine.outlet import Outlet
from unibus.engine.pending import Pending
from unibus.engine.validation import Validation
from unibus.errors import DeadlineExceededError, OverloadedError, UnibusError
from unibus.message import HeaderValue, Message
from unibus.spi import Adapter, Binding, Outgoing

T = TypeVar("T")
_NO_OTHERS: Final = (None, None, None, None, None)


class Producer:
    """Publishes to one topic; made by ``bus.producer``, for the loop it is used on.

    Any number of tasks may share it. As a context manager it closes itself.
    """

    def __init__(
        self,
        adapter: Adapter,
        binding: Binding,
        outlet: Outlet,
        *,
        clock: Clock,
        crossing: Crossing,
        executor: Executor,
        on_close: Callable[[Producer], object],
    ) -> None:
        self._adapter = adapter
        self._binding = binding
        self._outlet = outlet
        self._outbox = outlet.outbox
        self._crossing = crossing
        self._executor = executor
        self._timeout_s = outlet.outbox.limits.timeout_s
        self._validation = Validation(binding, clock)
        self._on_close = on_close
        # One offer per turn of the loop, after everything that turn publishes.
        offer = partial(crossing.offer, outlet.sender.offer)
        self._outbox.attach(offer, outlet.sender.push)

    @property
    def topic(self) -> str:
        """Name of the topic."""
        return self._binding.spec.name

    @property
    def capabilities(self) -> Capabilities:
        """What is promised of this topic, emulations included."""
        return self._binding.capabilities

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._outlet.is_closed

    async def publish(
        self,
        body: bytes | None,
        *,
        key: str | None = None,
        routing_key: str | None = None,
        headers: Mapping[str, HeaderValue] | None = None,
        id: str | None = None,  # noqa: A002  # the field's name in every broker
        delay_s: float | None = None,
        ttl_s: float | None = None,
        priority: int | None = None,
    ) -> Receipt:
        """Publish one message and return its receipt, without waiting for the broker.

        It waits only while the window is full, at most the producer's ``timeout_s``. Cancelled
        then, nothing was sent.

        Args:
            body: The bytes, sent as they are; ``None`` is a tombstone (log brokers only).
            key: Messages of one key keep their order on an ordered topic.
            routing_key: What ``Exact`` and ``Pattern`` filters look at; dot-separated words.
            headers: What header filters look at; not changed later if the caller changes it.
            id: Stays the same for the life of the message. Name one if you may have to publish
                again after an unknown outcome.
            delay_s: Deliver no sooner than this many seconds after publishing.
            ttl_s: Do not deliver later than this many seconds after publishing.
            priority: Higher first, from 0.

        Raises:
            MessageRejectedError: The broker can never take the message as it is; nothing was sent.
            UnsupportedError: The broker does not promise what it needs; nothing was sent.
            OverloadedError: The window is full and stays so; nothing was sent.
            ClosedError: The producer is closed.
            UnibusError: The way to the broker is lost for good; nothing was sent.
        """
        size, extras = len(body or b""), None
        others = (headers, id, delay_s, ttl_s, priority)
        if others != _NO_OTHERS or not self._validation.is_plain(body, key, routing_key):
            size, extras = self._validation.check(Message(body, key, routing_key, *others))
        put = self._outbox.put
        receipt = put(body, size, key, routing_key, extras)
        if receipt is None:
            receipt = await self._put_until(
                lambda: put(body, size, key, routing_key, extras), monotonic() + self._timeout_s
            )
        return Receipt((*receipt, self._crossing))

    async def publish_many(self, messages: Iterable[bytes | Message]) -> BatchReceipt:
        """Publish all of *messages* in order and return one receipt for them.

        All are checked before the first is sent. It waits while the window is full, at most the
        producer's ``timeout_s``; what does not fit until then is rejected in the receipt.

        Raises:
            MessageRejectedError: The broker can never take one of them; nothing was sent.
            UnsupportedError: The broker does not promise what one of them needs; nothing was sent.
            ClosedError: The producer is closed.
            UnibusError: The way to the broker is lost for good; nothing was sent.
        """
        parts = Bulk(messages, self._validation).parts(self._outbox.slices)
        batches: list[Pending] = []
        end = monotonic() + self._timeout_s
        for columns, size in parts:
            batches.append(await self._put_part(columns, size, end, is_first=not batches))
        return BatchReceipt(batches, self._crossing)

    async def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything published so far has an outcome.

        Raises:
            PublishFailedError: Some of it failed; carries the receipts of those whose outcome
                nobody has looked at yet.
            DeadlineExceededError: Some is undecided after *timeout_s* seconds.
        """
        batches = self._outbox.undecided()
        with suppress(DeadlineExceededError):
            await BatchReceipt(batches, self._crossing).wait(timeout_s)
        self._outlet.conclude(batches, timeout_s)

    async def close(self, timeout_s: float = 10.0) -> None:
        """Refuse further messages, wait for the outcomes of the others, and end.

        What has none after *timeout_s* seconds is rejected if it was not sent, else unknown. Safe
        to call twice.

        Raises:
            PublishFailedError: As ``flush``.
            UnibusError: What closing came to at the broker.
        """
        try:
            await blocking(self._executor, self._adapter, partial(self._outlet.close, timeout_s))
        finally:
            self._on_close(self)

    def abandon(self) -> None:
        """Be dead in a forked child; for the bus."""
        self._outlet.abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except UnibusError as failure:
            if error is None:
                raise
            error.add_note(f"closing the producer also met {type(failure).__name__}: {failure}")

    async def _put_until(self, put: Callable[[], T | None], end: float) -> T:
        """Return what *put* returns once there is room; the window opens for all at once."""
        while (taken := put()) is None:
            if not await self._crossing.wait(self._outbox.when_room, end - monotonic()):
                raise self._outbox.overload()
        return taken

    async def _put_part(
        self, columns: Outgoing, size: int, end: float, *, is_first: bool
    ) -> Pending:
        """Put a part of many; what comes after the first is rejected rather than raised."""
        try:
            return await self._put_until(lambda: self._outbox.put_batch(columns, size), end)
        except UnibusError as refusal:
            if is_first and not isinstance(refusal, OverloadedError):
                raise
            return self._outbox.refused(columns, refusal)
