"""A TCP proxy in this process that can lose what either side says, and tear connections."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16
_MOST_BUFFERED = 1 << 20
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s: closing sends a reset
_COMMAND_S = 5.0

Address = tuple[str, int]


class _End:
    """One side of a connection: its socket, and what is to be written to it."""

    def __init__(self, sock: socket.socket, *, is_client: bool) -> None:
        self.sock = sock
        self.is_client = is_client
        self.is_mute = False
        self.pending = bytearray()
        self.other: _End | None = None

    def events(self) -> int:
        can_read = self.other is not None and len(self.other.pending) < _MOST_BUFFERED
        reads = selectors.EVENT_READ if can_read else 0
        return reads | (selectors.EVENT_WRITE if self.pending else 0)


class TcpProxy:
    """Listens on a free port of this machine and passes everything on to *target*.

    One thread; every method returns when it has taken effect. As a context manager it closes
    itself.
    """

    def __init__(self, target: Address) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._commands: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._ends: set[_End] = set()
        self._swallowed: frozenset[str] = frozenset()
        self._refuses = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name="unibus-proxy", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where to connect."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections pass through it now."""
        return len(self._ends) // 2

    def swallow_answers(self) -> None:
        """From now on, lose what the target says; it still hears."""
        self._do(lambda: self._swallow("answers"))

    def swallow_requests(self) -> None:
        """From now on, lose what the target is told; it may still speak."""
        self._do(lambda: self._swallow("requests"))

    def silence(self) -> None:
        """From now on, lose everything on the connections there are; new ones work."""

        def mute() -> None:
            for end in self._ends:
                end.is_mute = True

        self._do(mute)

    def break_off(self) -> None:
        """Reset every connection and let new ones through untouched."""
        self._do(self._break_off)

    def refuse(self) -> None:
        """Reset every connection and every new one, until ``heal``."""

        def stop() -> None:
            self._break_off()
            self._refuses = True

        self._do(stop)

    def heal(self) -> None:
        """Let new connections through; those that lost something are reset, as TCP would."""

        def start() -> None:
            if self._swallowed:
                self._break_off()
            self._refuses = False

        self._do(start)

    def close(self) -> None:
        """Reset every connection and stop listening. Safe to call twice."""
        if not self._over:
            self._do(self._stop)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _do(self, command: Callable[[], None]) -> None:
        done = threading.Event()
        self._commands.append((command, done))
        self._waker.send(b"!")
        if not done.wait(_COMMAND_S):
            raise TimeoutError("the proxy's thread does not answer")

    # On the proxy's thread

    def _run(self) -> None:
        while not self._over:
            for key, events in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake:
                    self._obey()
                elif key.data in self._ends:
                    self._serve(key.data, events)
        for sock in (self._listener, self._wake, self._waker):
            sock.close()
        self._selector.close()

    def _obey(self) -> None:
        self._wake.recv(_CHUNK)
        while self._commands:
            command, done = self._commands.popleft()
            command()
            done.set()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # gone before it was accepted
            return
        if self._refuses:
            _reset(accepted)
            return
        try:
            onward = socket.create_connection(self._target, timeout=_COMMAND_S)
        except OSError:  # nobody there: the client sees what it would see without a proxy
            _reset(accepted)
            return
        client, target = _End(accepted, is_client=True), _End(onward, is_client=False)
        client.other, target.other = target, client
        for end in (client, target):
            end.sock.settimeout(0)
            end.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends.add(end)
            self._selector.register(end.sock, end.events(), end)

    def _serve(self, end: _End, events: int) -> None:
        other = end.other
        assert other is not None, "every end has another"
        try:
            if events & selectors.EVENT_WRITE:
                del end.pending[: end.sock.send(end.pending)]
            if events & selectors.EVENT_READ:
                chunk = end.sock.recv(_CHUNK)
                if not chunk:
                    self._drop(end, other)
                    return
                whose = "requests" if end.is_client else "answers"
                if whose not in self._swallowed and not end.is_mute:
                    other.pending += chunk
        except BlockingIOError:
            pass
        except OSError:  # reset by one side: reset the other
            self._drop(end, other)
            return
        self._watch(end)
        self._watch(other)

    def _watch(self, end: _End) -> None:
        wanted = end.events()
        registered = end.sock in self._selector.get_map()
        if wanted and registered:
            self._selector.modify(end.sock, wanted, end)
        elif wanted:
            self._selector.register(end.sock, wanted, end)
        elif registered:
            self._selector.unregister(end.sock)

    def _swallow(self, what: str) -> None:
        self._swallowed |= {what}

    def _break_off(self) -> None:
        self._swallowed = frozenset()
        for end in list(self._ends):
            self._discard(end, _reset)

    def _drop(self, *ends: _End) -> None:
        for end in ends:
            self._discard(end, socket.socket.close)

    def _discard(self, end: _End, how: Callable[[socket.socket], None]) -> None:
        self._ends.discard(end)
        if end.sock in self._selector.get_map():
            self._selector.unregister(end.sock)
        how(end.sock)

    def _stop(self) -> None:
        self._break_off()
        self._over = True


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):  # the peer was quicker
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
