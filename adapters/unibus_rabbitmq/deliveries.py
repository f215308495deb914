"""Deliveries as they came, decoded when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import pika
from typing_extensions import override

from unibus import spi
from unibus_rabbitmq import fields, wire
from unibus_rabbitmq.scanner import Row


class Native(NamedTuple):
    """A delivery in pika's own words."""

    method: pika.spec.Basic.Deliver
    properties: pika.BasicProperties
    body: bytes


class Ticket:
    """Names a batch: the channel incarnation it came on, and the tag of its first delivery."""

    __slots__ = ("__weakref__", "first", "session")

    def __init__(self, session: object, first: int) -> None:
        self.session = session
        self.first = first


class Reader(Protocol):
    """Reads one kind of row; stateless."""

    def message(self, row: Any, origin: str | None) -> spi.Message:  # noqa: ANN401  # its own kind
        """Return the message, or raise if it cannot be decoded."""

    def is_redelivered(self, row: Any) -> bool:  # noqa: ANN401  # its own kind
        """Return the flag."""

    def count(self, row: Any) -> int:  # noqa: ANN401  # its own kind
        """Return which attempt it is, from a queue that counts."""

    def offset(self, row: Any) -> int | None:  # noqa: ANN401  # its own kind
        """Return where it lies in a stream."""

    def mentions(self, row: Any, header: str) -> bool:  # noqa: ANN401  # its own kind
        """Return whether it may have *header*, without decoding it."""

    def native(self, row: Any) -> Native:  # noqa: ANN401  # its own kind
        """Return it in pika's words."""


class OwnReader:
    """Of rows that our own transport made."""

    @staticmethod
    def _method(row: Row) -> tuple[bool, str, str]:
        arguments = row[1]
        at = 2 + arguments[1]
        exchange = arguments[2:at].decode(errors="backslashreplace")
        routing_key = arguments[at + 1 : at + 1 + arguments[at]]
        return bool(arguments[0] & 1), exchange, routing_key.decode(errors="backslashreplace")

    def message(self, row: Row, origin: str | None) -> spi.Message:
        """Return the message; see ``Reader``."""
        _, exchange, routing_key = self._method(row)
        return wire.message(row[3], exchange, routing_key, fields.decode(row[2]), origin=origin)

    def is_redelivered(self, row: Row) -> bool:
        """Return the flag."""
        return bool(row[1][0] & 1)

    def count(self, row: Row) -> int:
        """Return which attempt it is; see ``Reader``."""
        return fields.attempt(row[2], redelivered=self.is_redelivered(row))

    def offset(self, row: Row) -> int | None:
        """Return where it lies in a stream."""
        return fields.stream_offset(row[2])

    def mentions(self, row: Row, header: str) -> bool:
        """Return whether it may have *header*."""
        return header.encode() in row[2]

    def native(self, row: Row) -> Native:
        """Return it in pika's words; raises where pika cannot decode it."""
        redelivered, exchange, routing_key = self._method(row)
        method = pika.spec.Basic.Deliver(None, row[0], redelivered, exchange, routing_key)
        properties = pika.BasicProperties()
        properties.decode(row[2])
        return Native(method, properties, row[3])


PikaRow = tuple[int, pika.spec.Basic.Deliver, pika.BasicProperties, bytes]


class PikaReader:
    """Of rows that pika has decoded."""

    def message(self, row: PikaRow, origin: str | None) -> spi.Message:
        """Return the message; see ``Reader``."""
        _, method, properties, body = row
        values = fields.of_pika(properties)
        return wire.message(body, method.exchange, method.routing_key, values, origin=origin)

    def is_redelivered(self, row: PikaRow) -> bool:
        """Return the flag."""
        return bool(row[1].redelivered)

    def count(self, row: PikaRow) -> int:
        """Return which attempt it is; see ``Reader``."""
        if not self.is_redelivered(row):
            return 1
        return int((row[2].headers or {}).get("x-delivery-count", 0)) + 1

    def offset(self, row: PikaRow) -> int | None:
        """Return where it lies in a stream."""
        offset = (row[2].headers or {}).get("x-stream-offset")
        return None if offset is None else int(offset)

    def mentions(self, row: PikaRow, header: str) -> bool:
        """Return whether it has *header*."""
        return header in (row[2].headers or {})

    def native(self, row: PikaRow) -> Native:
        """Return what pika has made of it."""
        return Native(row[1], row[2], row[3])


class Shape(NamedTuple):
    """How the deliveries of one receiver are to be read.

    Attributes:
        reader: For their kind of row.
        is_counted: The queue counts attempts.
        stream: Name of the stream they come from; ``None``: from a queue.
    """

    reader: Reader
    is_counted: bool
    stream: str | None = None


class RabbitIncoming(spi.Incoming):
    """A batch from one channel incarnation, so under one lease."""

    __slots__ = ("_lease", "_rows", "_shape")

    def __init__(self, rows: list[Any], ticket: Ticket, lease: spi.Lease, shape: Shape) -> None:
        super().__init__(ticket)
        self._rows = rows
        self._lease = lease
        self._shape = shape

    @override
    def __len__(self) -> int:
        return len(self._rows)

    @override
    def bodies(self) -> Sequence[bytes | None]:
        return [row[3] for row in self._rows]

    @override
    def message(self, index: int) -> spi.Message:
        origin = None
        if self._shape.stream is not None:
            origin = f"{self._shape.stream}/{self.position(index)}"
        return self._shape.reader.message(self._rows[index], origin)

    @override
    def attempt(self, index: int) -> int | None:
        row, reader = self._rows[index], self._shape.reader
        if self._shape.is_counted:
            return reader.count(row)
        return None if reader.is_redelivered(row) else 1

    @override
    def position(self, index: int) -> str | None:
        if self._shape.stream is None:
            return None
        offset = self._shape.reader.offset(self._rows[index])
        return None if offset is None else str(offset)

    @override
    def native(self, index: int) -> object:
        return self._shape.reader.native(self._rows[index])

    @override
    def leases(self) -> Sequence[spi.LeaseRange]:
        return (spi.LeaseRange(0, len(self._rows), self._lease),)


class Inbox:
    """What has come and was not taken; filled by the loop's thread, emptied by any.

    It keeps the window of unsettled deliveries, which the broker's prefetch does not always: a
    stream of RabbitMQ 3.10 delivers more at times, and each lane has a prefetch of its own.
    """

    __slots__ = ("_chunks", "_flow", "_is_hungry", "_is_paused", "_lock", "_taken", "_unsettled")

    def __init__(self, flow: spi.Flow, lock: Any) -> None:  # noqa: ANN401  # a threading.Lock
        self._chunks: list[tuple[Ticket, spi.Lease, list[Any]]] = []
        self._is_hungry = True
        self._is_paused = False
        self._lock = lock
        self._flow = flow
        self._unsettled = 0
        self._taken: dict[object, int] = {}

    def put(self, ticket: Ticket, lease: spi.Lease, rows: list[Any]) -> bool:
        """Add *rows*; return whether somebody waits for them."""
        with self._lock:
            self._chunks.append((ticket, lease, rows))
            return self._ring()

    def take(
        self, make: Callable[[list[Any], Ticket, spi.Lease], spi.Incoming]
    ) -> spi.Incoming | None:
        """Return the next batch; ``None`` if there is none, or none is to be given out."""
        with self._lock:
            limit = min(self._flow.max_batch, self._flow.max_unsettled - self._unsettled)
            if self._is_paused or not self._chunks or limit <= 0:
                self._is_hungry = True
                return None
            ticket, lease, rows = self._chunks.pop(0)
            rows = self._merge(ticket, rows, limit)
            if len(rows) > limit:
                rest = Ticket(ticket.session, ticket.first + limit)
                self._chunks.insert(0, (rest, lease, rows[limit:]))
                del rows[limit:]
            self._unsettled += len(rows)
            self._taken[ticket.session] = self._taken.get(ticket.session, 0) + len(rows)
        return make(rows, ticket, lease)

    def settled(self, session: object, count: int) -> bool:
        """Make room for *count* more; return whether somebody waits for what is there."""
        with self._lock:
            self._unsettled -= count
            self._taken[session] -= count
            return bool(self._chunks) and self._ring()

    def _merge(self, ticket: Ticket, rows: list[Any], limit: int) -> list[Any]:
        """Add the chunks that follow without a gap, as far as a batch goes."""
        while self._chunks and len(rows) < limit:
            after, _, more = self._chunks[0]
            is_next = after.session is ticket.session and after.first == ticket.first + len(rows)
            if not is_next:
                break
            rows += more
            del self._chunks[0]
        return rows

    def drop(self, session: object) -> None:
        """Give out nothing more of *session*; what was taken stays unsettled."""
        with self._lock:
            self._chunks = [each for each in self._chunks if each[0].session is not session]

    def end(self, session: object) -> bool:
        """Forget *session*, whose lease has ended; return whether somebody waits for the rest."""
        self.drop(session)
        with self._lock:
            self._unsettled -= self._taken.pop(session, 0)
            return bool(self._chunks) and self._ring()

    def hold(self) -> None:
        """Give nothing out."""
        with self._lock:
            self._is_paused = True

    def release(self) -> bool:
        """Give out again; return whether there is something and somebody waits for it."""
        with self._lock:
            self._is_paused = False
            return bool(self._chunks) and self._ring()

    def _ring(self) -> bool:
        was, self._is_hungry = self._is_hungry, self._is_hungry and self._is_paused
        return was and not self._is_paused
