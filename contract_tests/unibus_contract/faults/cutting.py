"""A way to a broker that can be interrupted: a proxy of ours between the bus and the port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override

from unibus_contract.faults.proxy import TcpProxy
from unibus_contract.harness import Cut


class ProxyCut(Cut):
    """The way through a proxy."""

    def __init__(self, url: str, proxy: TcpProxy) -> None:
        super().__init__(url)
        self.proxy = proxy

    @override
    def swallow_answers(self) -> None:
        self.proxy.swallow_answers()

    @override
    def swallow_requests(self) -> None:
        self.proxy.swallow_requests()

    @override
    def silence(self) -> None:
        self.proxy.silence()

    @override
    def break_off(self) -> None:
        self.proxy.break_off()

    @override
    def refuse(self) -> None:
        self.proxy.refuse()

    @override
    def heal(self) -> None:
        self.proxy.heal()


@contextmanager
def cut_through(url: str, *, port: int) -> Iterator[Cut]:
    """Provide a way to *url*, whose *port* is that if it names none."""
    parts = urlsplit(url)
    with TcpProxy((parts.hostname or "127.0.0.1", parts.port or port)) as proxy:
        login = parts.netloc.rpartition("@")[0]
        netloc = f"{login}@127.0.0.1:{proxy.port}" if login else f"127.0.0.1:{proxy.port}"
        yield ProxyCut(urlunsplit(parts._replace(netloc=netloc)), proxy)
