"""Asks the broker one thing after another on the I/O thread, for callers that wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from typing_extensions import override

from unibus import spi
from unibus_rabbitmq.channel import Channel, User
from unibus_rabbitmq.connection import Connection
from unibus_rabbitmq.control import Frame
from unibus_rabbitmq.loop import Done


class Rpc:
    """What ``control`` asks for as a connection; every answer has to come before one deadline.

    A context manager: it closes the channels it has opened.
    """

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + timeout_s
        self._channels: list[RpcChannel] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for channel in self._channels:
            self._connection.loop.nudge(channel.leave)

    def channel(self) -> RpcChannel:
        """Open a channel; waits for the connection if that is just coming back.

        Raises:
            DeadlineExceededError: It has not come back in time.
        """
        channel = RpcChannel(self._connection, self._end)
        self._channels.append(channel)
        channel.open()
        return channel


class RpcChannel(User):
    """A channel whose methods wait for the answer; not for the loop's thread."""

    def __init__(self, connection: Connection, end: float) -> None:
        self._connection = connection
        self._end = end
        self._channel: Channel | None = None
        self._done: Done[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._channel is not None and self._channel.is_open

    def open(self) -> None:
        """Open it."""

        def start(done: Done[None]) -> None:
            self._done = done
            self._connection.join(self)

        self._connection.loop.call(start, self._left_s(), "opening a channel")

    def exchange_declare(
        self,
        exchange: str,
        exchange_type: str = "direct",
        *,
        passive: bool = False,
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: Mapping[str, object] | None = None,
    ) -> Frame:
        """Declare an exchange, or see whether it is there."""
        return self._ask(
            "exchange_declare",
            exchange=exchange,
            exchange_type=exchange_type,
            passive=passive,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )

    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = False,
        durable: bool = False,
        arguments: Mapping[str, object] | None = None,
    ) -> Frame:
        """Declare a queue, or see whether it is there."""
        return self._ask(
            "queue_declare", queue=queue, passive=passive, durable=durable, arguments=arguments
        )

    def exchange_bind(
        self, destination: str, source: str, routing_key: str, arguments: Mapping[str, object]
    ) -> Frame:
        """Bind an exchange to another."""
        return self._ask(
            "exchange_bind",
            destination=destination,
            source=source,
            routing_key=routing_key,
            arguments=arguments,
        )

    def exchange_unbind(
        self, destination: str, source: str, routing_key: str, arguments: Mapping[str, object]
    ) -> Frame:
        """Undo that."""
        return self._ask(
            "exchange_unbind",
            destination=destination,
            source=source,
            routing_key=routing_key,
            arguments=arguments,
        )

    def queue_bind(
        self, queue: str, exchange: str, routing_key: str, arguments: Mapping[str, object]
    ) -> Frame:
        """Bind a queue to an exchange."""
        return self._ask(
            "queue_bind",
            queue=queue,
            exchange=exchange,
            routing_key=routing_key,
            arguments=arguments,
        )

    def queue_unbind(
        self, queue: str, exchange: str, routing_key: str, arguments: Mapping[str, object]
    ) -> Frame:
        """Undo that."""
        return self._ask(
            "queue_unbind",
            queue=queue,
            exchange=exchange,
            routing_key=routing_key,
            arguments=arguments,
        )

    def exchange_delete(self, exchange: str) -> Frame:
        """Delete an exchange; quiet if it is not there."""
        return self._ask("exchange_delete", exchange=exchange)

    def queue_delete(self, queue: str) -> Frame:
        """Delete a queue and what is in it; quiet if it is not there."""
        return self._ask("queue_delete", queue=queue)

    def queue_purge(self, queue: str) -> Frame:
        """Empty a queue."""
        return self._ask("queue_purge", queue=queue)

    def _left_s(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def _ask(self, method: str, **arguments: object) -> Frame:
        def start(done: Done[Frame]) -> None:
            self._done = done
            getattr(self._channel, method)(**arguments, callback=self._answer)

        return self._connection.loop.call(start, self._left_s(), method.replace("_", " "))

    # ---- the loop's thread

    def _answer(self, result: object) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)

    @override
    def connected(self) -> None:
        if self._channel is None:
            try:
                self._channel = self._connection.channel(self._answer)
            except Exception as error:  # noqa: BLE001  # the seam: it is raised where somebody waits
                self._answer(error)
                return
            self._channel.add_on_close_callback(lambda _channel, cause: self._answer(cause))

    @override
    def disconnected(self, cause: Exception) -> None:
        self._answer(cause)

    @override
    def blocked(self, reason: str | None) -> None:
        """Nothing: only publishing is blocked."""

    @override
    def is_overdue(self, now: float) -> bool:
        return False  # each call has a deadline of its own

    def leave(self) -> None:
        """Close it."""
        self._connection.leave(self)
        self._answer(spi.ClosedError("the channel is closed"))
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
