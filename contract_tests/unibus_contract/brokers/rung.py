"""What a kind of broker brings to the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.progress import Progress
from unibus_contract.brokers.state import State


class Rung(Protocol):
    """One way to get a broker of one kind."""

    @property
    def name(self) -> str:
        """Such as ``docker``; written into the state of what it starts."""

    def prepare(self, version: str, progress: Progress) -> str | None:
        """Fetch and install what *version* needs; return why this way is not open, or None.

        Called again when everything is there it is quick. It may take minutes the first time.
        """

    def start(self, state: State, version: str, progress: Progress) -> Broker:
        """Start a broker in the claimed folder of *state* and return when it answers.

        Processes are written into the state as soon as they exist.

        Raises:
            UnavailableError: It did not come up; the message says why.
        """

    def attach(self, state: State) -> Broker:
        """Return the broker that *state* describes, which another process started."""


class Kind(Protocol):
    """One kind of broker: what to call it and how to get one, best way first."""

    @property
    def name(self) -> str:
        """Such as ``rabbitmq``."""

    @property
    def default_version(self) -> str:
        """What is started when nobody says which."""

    @property
    def rungs(self) -> Sequence[Rung]:
        """The ways to start one, best first."""

    def given(self, version: str | None) -> Broker | str:
        """Return the broker that the environment names, or why it is not to be used.

        Raises:
            UnavailableError: It is named and does not answer.
        """
