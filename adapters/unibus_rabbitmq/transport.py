"""A transport for pika that joins the writes of a turn and keeps the frames that are ours.

pika takes any ``AbstractIOServices`` as ``custom_ioloop``, a documented parameter; the class itself
calls itself "not a public API". So this is used with the versions of pika it was tested with
(``connection.is_tested``), and pika's own transport with all others.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from pika.adapters.utils.nbio_interface import AbstractIOReference, AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from typing_extensions import override

from unibus_rabbitmq.frames import HEARTBEAT
from unibus_rabbitmq.loop import Loop
from unibus_rabbitmq.scanner import Scanner

log = logging.getLogger("unibus.rabbitmq.transport")

_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)
_READ_BYTES = 65_536
_READS = 4
_SLICE_BYTES = 4096
_FLUSH_BYTES = 1 << 18
_CONGESTED_BYTES = 1 << 20
_HEARTBEAT_S = 0.5


class StreamProtocol(Protocol):
    """The part of pika's ``AbstractStreamProtocol`` that is used here."""

    def connection_made(self, transport: object) -> None:
        """Take over *transport*."""

    def connection_lost(self, error: BaseException | None) -> None:
        """Hear that the connection is gone."""

    def eof_received(self) -> bool | None:
        """Hear that the other side has closed it."""

    def data_received(self, data: bytes) -> None:
        """Take bytes."""


class Transport(AbstractStreamTransport):  # type: ignore[misc]  # pika ships no types
    """A plain TCP connection; lives on the loop's thread.

    Attributes:
        scanner: What is kept from pika.
        bursts: Channel to what is called when deliveries have come for it, once a turn.
        is_muted: Drops what pika writes.
        has_room: Called once, when a congested connection has sent enough; set by who waits.
    """

    def __init__(self, sock: socket.socket, services: Services, loop: Loop) -> None:
        self.scanner = Scanner(self._to_pika)
        self.bursts: dict[int, Callable[[], None]] = {}
        self.is_muted = False
        self.has_room: list[Callable[[], None]] = []
        self._sock = sock
        self._services = services
        self._loop = loop
        self._protocol: StreamProtocol
        self._out: list[bytes | memoryview] = []
        self._size = 0
        self._is_waiting = False
        self._is_dead = False
        self._fed = 0.0

    def begin(self, protocol: StreamProtocol) -> None:
        """Read for *protocol* from now on."""
        self._protocol = protocol
        self._services.set_reader(self._sock.fileno(), self._readable)
        protocol.connection_made(self)

    @property
    def is_congested(self) -> bool:
        """Whether so much waits to be sent that nothing should be added."""
        return self._size > _CONGESTED_BYTES

    @override
    def get_protocol(self) -> StreamProtocol:
        return self._protocol

    @override
    def get_write_buffer_size(self) -> int:
        return self._size

    @override
    def write(self, data: bytes) -> None:
        if self._is_dead or self.is_muted:
            return
        if not self._out:
            self._loop.is_dirty(self)
        self._out.append(data)
        self._size += len(data)
        if self._size > _FLUSH_BYTES and not self._is_waiting:
            self.flush()

    def flush(self) -> None:
        """Send what was written, as far as the kernel takes it."""
        try:
            while self._out and not self._is_dead:
                data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
                self._out = [data]
                sent = self._sock.send(data)
                self._size -= sent
                self._out = [memoryview(data)[sent:]] if sent < len(data) else []
        except OSError as error:
            if error.errno not in _AGAIN:
                self.fail(error)
            elif not self._is_waiting:
                self._is_waiting = True
                self._services.set_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        self.flush()
        if self._is_dead:
            return
        if not self._out and self._is_waiting:
            self._is_waiting = False
            self._services.remove_writer(self._sock.fileno())
        if not self.is_congested and self.has_room:
            waiting, self.has_room = self.has_room, []
            for resume in waiting:
                resume()

    def _readable(self) -> None:
        ours = False
        try:
            for _ in range(_READS):
                data = self._sock.recv(_READ_BYTES)
                if not data:
                    self._protocol.eof_received()
                    self.fail(None)
                    return
                ours |= self.scanner.feed(data)
                if len(data) < _READ_BYTES or self._is_dead:
                    break
        except OSError as error:
            if error.errno not in _AGAIN:
                self.fail(error)
                return
        except Exception as error:  # noqa: BLE001  # the seam: pika and the core are called from here
            self.fail(error)
            return
        self._after_reading(ours=ours)

    def _after_reading(self, *, ours: bool) -> None:
        touched = self.scanner.touched
        if touched:
            for channel in touched:
                if (burst := self.bursts.get(channel)) is not None:
                    self._loop.burst(burst)
            touched.clear()
        if ours and (now := time.monotonic()) - self._fed > _HEARTBEAT_S:
            # pika counts what it receives, to tell a live peer from a dead one.
            self._fed = now
            self._to_pika(HEARTBEAT)

    def _to_pika(self, data: bytes) -> None:
        # pika slices its whole buffer again for every frame in it.
        for at in range(0, len(data), _SLICE_BYTES):
            self._protocol.data_received(data[at : at + _SLICE_BYTES])

    @override
    def abort(self) -> None:
        self.fail(None)

    def crash(self, error: Exception) -> None:
        """Give up the connection; the loop calls it."""
        self.fail(error)

    def fail(self, error: BaseException | None) -> None:
        """Tear the socket; pika hears of it later, as it wants to."""
        if self._is_dead:
            return
        self._is_dead = self.scanner.stopped = True
        self._services.remove_reader(self._sock.fileno())
        if self._is_waiting:
            self._services.remove_writer(self._sock.fileno())
        self._out.clear()
        self._size = 0

        def lost() -> None:
            try:
                self._protocol.connection_lost(error)
            finally:
                self._sock.close()

        self._services.add_callback_threadsafe(lost)


class Services(SelectorIOServicesAdapter):  # type: ignore[misc]  # pika ships no types
    """pika's own services, but for the transport."""

    def __init__(self, loop: Loop, made: Callable[[Transport], None]) -> None:
        super().__init__(loop.native)
        self._own_loop = loop
        self._made = made

    @override
    def create_streaming_connection(  # pika's signature
        self,
        protocol_factory: Callable[[], StreamProtocol],
        sock: socket.socket,
        on_done: Callable[[Any], None],
        ssl_context: object | None = None,
        server_hostname: str | None = None,
    ) -> AbstractIOReference:
        if ssl_context is not None:
            return super().create_streaming_connection(
                protocol_factory, sock, on_done, ssl_context, server_hostname
            )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reference = _Reference()

        def go() -> None:
            if reference.is_cancelled:
                sock.close()
                return
            transport = Transport(sock, self, self._own_loop)
            protocol = protocol_factory()
            self._made(transport)
            transport.begin(protocol)
            on_done((transport, protocol))

        self.add_callback_threadsafe(go)
        return reference


class _Reference(AbstractIOReference):  # type: ignore[misc]  # pika ships no types
    """What pika holds while it waits for the transport."""

    def __init__(self) -> None:
        self.is_cancelled = False

    @override
    def cancel(self) -> bool:
        was, self.is_cancelled = self.is_cancelled, True
        return not was


class WatchedLoop:
    """pika's loop as one connection sees it: it remembers the socket, so that it can be torn."""

    def __init__(self, loop: Any) -> None:  # noqa: ANN401  # pika ships no types
        self._loop = loop
        self._fd = -1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever pika asks for
        return getattr(self._loop, name)

    def add_handler(self, fd: int, handler: Callable[..., None], events: int) -> None:
        """Have *handler* called for *events* of *fd*."""
        self._fd = fd
        self._loop.add_handler(fd, handler, events)

    def remove_handler(self, fd: int) -> None:
        """Forget *fd*."""
        self._fd = -1
        self._loop.remove_handler(fd)

    def tear(self) -> None:
        """Break the connection both ways."""
        if self._fd < 0:
            return
        with socket.socket(fileno=os.dup(self._fd)) as other:
            try:
                other.shutdown(socket.SHUT_RDWR)
            except OSError:
                log.debug("the socket was torn already")
