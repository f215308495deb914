"""Faults of a broker that the ladder started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from typing_extensions import override

from unibus_contract.brokers.broker import Broker
from unibus_contract.faults.cutting import cut_through
from unibus_contract.harness import Cut, Faults


class NetworkFaults(Faults):
    """What can be done to a broker that belongs to somebody else: cut our own way to it."""

    kinds = frozenset({"cut"})

    def __init__(self, port: int) -> None:
        self._port = port

    @override
    def cut(self, url: str) -> AbstractContextManager[Cut]:
        return cut_through(url, port=self._port)


class LadderFaults(NetworkFaults):
    """What can be done to a broker of our own."""

    kinds = frozenset({"cut", "kill", "pause", "restart"})

    def __init__(self, broker: Broker, port: int) -> None:
        super().__init__(port)
        self._broker = broker

    @override
    def restart(self) -> None:
        self._broker.restart()

    @override
    def kill(self) -> None:
        self._broker.kill()
        self._broker.start()

    @override
    @contextmanager
    def paused(self) -> Iterator[None]:
        self._broker.pause()
        try:
            yield
        finally:
            self._broker.resume()
