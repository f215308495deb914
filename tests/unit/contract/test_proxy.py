from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from unibus_contract.faults.proxy import TcpProxy


class Echo:
    """Answers every chunk with itself, and remembers what it was told."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.heard = bytearray()
        self.got = threading.Condition()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(accepted,), daemon=True).start()

    def _answer(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                while chunk := accepted.recv(1 << 16):
                    with self.got:
                        self.heard += chunk
                        self.got.notify_all()
                    accepted.sendall(chunk)
            except ConnectionError:
                return

    def hears(self, what: bytes) -> bool:
        with self.got:
            return self.got.wait_for(lambda: what in self.heard, 2.0)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy(echo.server.getsockname()) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as client:
        yield client


def exchange(client: socket.socket, what: bytes) -> bytes:
    threading.Thread(target=client.sendall, args=(what,), daemon=True).start()
    answer = bytearray()
    while len(answer) < len(what):
        answer += client.recv(1 << 16)
    return bytes(answer)


def test_everything_passes_until_told_otherwise(client: socket.socket) -> None:
    much = bytes(range(256)) * 20_000  # more than both buffers hold

    assert exchange(client, much) == much


def test_swallowed_answers_are_lost_and_the_request_has_arrived(
    client: socket.socket, proxy: TcpProxy, echo: Echo
) -> None:
    exchange(client, b"connected")
    proxy.swallow_answers()
    client.sendall(b"are you there?")
    assert echo.hears(b"are you there?")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(100)

    proxy.break_off()
    with pytest.raises(ConnectionError):
        client.recv(100)


def test_swallowed_requests_never_arrive(
    client: socket.socket, proxy: TcpProxy, echo: Echo
) -> None:
    exchange(client, b"connected")
    proxy.swallow_requests()
    client.sendall(b"lost")
    proxy.heal()

    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as another:
        assert exchange(another, b"found") == b"found"
    assert b"lost" not in echo.heard


def test_a_refusal_lasts_until_it_is_healed(client: socket.socket, proxy: TcpProxy) -> None:
    exchange(client, b"connected")
    proxy.refuse()
    with pytest.raises(ConnectionError):
        client.recv(100)
    with (
        pytest.raises(ConnectionError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as refused,
    ):
        refused.recv(100)

    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as welcome:
        assert exchange(welcome, b"again") == b"again"
