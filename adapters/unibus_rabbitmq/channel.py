"""What traffic needs of pika's channel, and what a connection asks of whoever has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Channel(Protocol):
    """The part of pika's channel that traffic uses; every method belongs to the loop's thread."""

    channel_number: int
    is_open: bool
    is_closed: bool
    consumer_tags: Sequence[str]

    def add_on_close_callback(self, callback: Callable[[Channel, Exception], None]) -> None:
        """Have *callback* called when it is closed, by whomever."""

    def add_on_cancel_callback(self, callback: Callable[[object], None]) -> None:
        """Have *callback* called when the broker ends a consumer."""

    def add_on_return_callback(self, callback: Callable[..., None]) -> None:
        """Have *callback* called for each message that comes back."""

    def confirm_delivery(
        self, ack_nack_callback: Callable[[Any], None], callback: Callable[[object], None]
    ) -> None:
        """Ask for confirms."""

    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: object = ...,
        *,
        mandatory: bool = ...,
    ) -> None:
        """Publish."""

    def basic_qos(
        self, *, prefetch_count: int, callback: Callable[[object], None] | None = None
    ) -> None:
        """Set how many deliveries each consumer may hold."""

    def basic_consume(
        self,
        queue: str,
        on_message_callback: Callable[..., None],
        *,
        arguments: dict[str, object] | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> str:
        """Consume."""

    def basic_cancel(self, consumer_tag: str, callback: Callable[[object], None]) -> None:
        """End a consumer; what it holds stays outstanding."""

    def basic_get(self, queue: str, callback: Callable[[Channel, Any, Any, bytes], None]) -> None:
        """Get one message; the callback is not called if there is none."""

    def basic_ack(self, delivery_tag: int, *, multiple: bool) -> None:
        """Ack."""

    def basic_reject(self, delivery_tag: int, *, requeue: bool) -> None:
        """Reject."""

    def basic_nack(self, delivery_tag: int, *, multiple: bool, requeue: bool) -> None:
        """Give back."""

    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = False,
        exclusive: bool = False,
        callback: Callable[[Any], None] | None = None,
    ) -> None:
        """Declare a queue, or look at it."""

    def exchange_declare(
        self, exchange: str, *, passive: bool = False, callback: Callable[[Any], None] | None = None
    ) -> None:
        """Look at an exchange."""

    def close(self) -> None:
        """Close it; consumers are cancelled first, which breaks the order of what is unsettled."""


class User(Protocol):
    """Whoever has a channel on a connection; called on the loop's thread."""

    def connected(self) -> None:
        """The connection is open."""

    def disconnected(self, cause: Exception) -> None:
        """It is gone, and every channel with it."""

    def blocked(self, reason: str | None) -> None:
        """The broker takes no publishes for now, because of *reason*; ``None``: it does again."""

    def is_overdue(self, now: float) -> bool:
        """Return whether it has waited too long for an answer."""
