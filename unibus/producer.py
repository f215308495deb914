"""Publishing, for programs that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from unibus.capabilities import Capabilities
from unibus.clock import Clock
from unibus.engine.columns import Bulk
from unibus.engine.outlet import Outlet
from unibus.engine.pending import Pending
from unibus.engine.receipts import BatchReceipt, Receipt
from unibus.engine.validation import Validation, is_surely_short
from unibus.engine.waiting import wait
from unibus.engine.window import Limits
from unibus.errors import OverloadedError, UnibusError
from unibus.message import HeaderValue, Message
from unibus.spi import AcksLevel, Adapter, Binding, Outgoing

T = TypeVar("T")


class Producer:
    """Publishes to one topic; made by ``bus.producer``.

    Any number of threads may share it. As a context manager it closes itself.
    """

    def __init__(
        self,
        adapter: Adapter,
        binding: Binding,
        *,
        clock: Clock,
        acks: AcksLevel | None,
        limits: Limits,
        on_close: Callable[[Producer], object],
    ) -> None:
        self._binding = binding
        self._outlet = Outlet(
            adapter, binding, acks, clock=clock, limits=limits, timeout_s=limits.timeout_s
        )
        self._put = self._outlet.outbox.put
        self._validation = Validation(binding, clock)
        self._min_plain = self._validation.min_plain_bytes
        self._max_plain = self._validation.max_plain_bytes
        self._known: str | None = None
        self._timeout_s = limits.timeout_s
        self._on_close = on_close

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

    def publish(  # one parameter per column of a message
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

        It waits only while the window is full, at most the producer's ``timeout_s``.

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
        if (
            headers is None
            and id is None
            and delay_s is None
            and ttl_s is None
            and priority is None
            and type(body) is bytes
            and self._min_plain <= (size := len(body)) <= self._max_plain
            and (routing_key is None or routing_key is self._known or self._is_short(routing_key))
            and (key is None or is_surely_short(key))
        ):
            extras = None
        else:
            message = Message(body, key, routing_key, headers, id, delay_s, ttl_s, priority)
            size, extras = self._validation.check(message)
        receipt = self._put(body, size, key, routing_key, extras)
        if receipt is None:
            put = partial(self._put, body, size, key, routing_key, extras)
            receipt = self._put_until(put, monotonic() + self._timeout_s)
        return receipt

    def publish_many(self, messages: Iterable[bytes | Message]) -> BatchReceipt:
        """Publish all of *messages* in order and return one receipt for them.

        All are checked before the first is sent. It waits while the window is full, at most the
        producer's ``timeout_s``; what does not fit until then is rejected in the receipt.

        Raises:
            MessageRejectedError: The broker can never take one of them; nothing was sent.
            UnsupportedError: The broker does not promise what one of them needs; nothing was sent.
            ClosedError: The producer is closed.
            UnibusError: The way to the broker is lost for good; nothing was sent.
        """
        parts = Bulk(messages, self._validation).parts(self._outlet.outbox.slices)
        end = monotonic() + self._timeout_s
        return BatchReceipt(
            [
                self._put_part(columns, size, end, is_first=number == 0)
                for number, (columns, size) in enumerate(parts)
            ]
        )

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything published so far has an outcome.

        Raises:
            PublishFailedError: Some of it failed; carries the receipts of those whose outcome
                nobody has looked at yet.
            DeadlineExceededError: Some is undecided after *timeout_s* seconds.
        """
        self._outlet.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Refuse further messages, wait for the outcomes of the others, and end.

        What has none after *timeout_s* seconds is rejected if it was not sent, else unknown. Safe
        to call twice.

        Raises:
            PublishFailedError: As ``flush``.
            UnibusError: What closing came to at the broker.
        """
        try:
            self._outlet.close(timeout_s)
        finally:
            self._on_close(self)

    def abandon(self) -> None:
        """Be dead in a forked child; for the bus."""
        self._outlet.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except UnibusError as failure:
            if error is None:
                raise
            error.add_note(f"closing the producer also met {type(failure).__name__}: {failure}")

    def _is_short(self, routing_key: str) -> bool:
        """Return whether it needs no look; most programs use the same object again and again."""
        is_short = is_surely_short(routing_key)
        if is_short:
            self._known = routing_key
        return is_short

    def _put_until(self, put: Callable[[], T | None], end: float) -> T:
        """Return what *put* returns once there is room; the window opens for all at once."""
        while (taken := put()) is None:
            if not wait(self._outlet.outbox.when_room, end - monotonic()):
                raise self._outlet.outbox.overload()
        return taken

    def _put_part(self, columns: Outgoing, size: int, end: float, *, is_first: bool) -> Pending:
        """Put a part of many; what comes after the first is rejected rather than raised."""
        outbox = self._outlet.outbox
        try:
            return self._put_until(lambda: outbox.put_batch(columns, size), end)
        except UnibusError as refusal:
            if is_first and not isinstance(refusal, OverloadedError):
                raise
            return outbox.refused(columns, refusal)
