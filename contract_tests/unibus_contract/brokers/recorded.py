"""A broker whose properties are those that its state file has."""

from __future__ import annotations

from typing_extensions import override

from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.state import State


class RecordedBroker(Broker):
    """Base of the brokers that the ladder starts."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    @override
    def kind(self) -> str:
        return self._state.kind

    @property
    @override
    def name(self) -> str:
        return self._state.name

    @property
    @override
    def url(self) -> str:
        return self._state.url

    @property
    @override
    def management_url(self) -> str:
        return self._state.management_url

    @property
    @override
    def version(self) -> str:
        return self._state.version
