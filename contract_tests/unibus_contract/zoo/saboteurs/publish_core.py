"""Cores that publish carelessly."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from typing_extensions import override

from unibus import Bus, Producer, Receipt
from unibus.errors import DeadlineExceededError, OverloadedError, UnsupportedError
from unibus.outcome import Outcome, OutcomeKind, rejected
from unibus.spi import BatchLimits, Binding
from unibus_contract.zoo.facade import BusWithBindings, BusWithProducers, Facade, ProducerFacade
from unibus_contract.zoo.saboteur import saboteur


class _Racy(ProducerFacade):
    last: tuple[int, object] = (0, None)

    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        owner, headers = self.last
        mine = threading.get_ident()
        self.last = (mine, fields.get("headers"))
        if owner not in {0, mine}:
            fields["headers"] = headers
        return super().publish(*arguments, **fields)


@saboteur("What another thread has published last lends its headers.", "PUB-04")
class MixesUpThreads(BusWithProducers):
    """As producers do that keep the message at hand in themselves."""

    facade = _Racy


@saboteur("Batches are as large as they come, whatever the broker takes.", "PUB-06")
class JoinsWhateverThereIs(BusWithBindings):
    """Leaves it to the client library to refuse what is too large."""

    @override
    def rebind(self, binding: Binding) -> Binding:
        vast = BatchLimits(max_messages=1 << 20, max_bytes=1 << 40)
        limit = replace(binding.capabilities.max_batch, value=vast)
        return replace(binding, capabilities=replace(binding.capabilities, max_batch=limit))


class _Sure(Facade):
    """A receipt that takes unknown for rejected."""

    @property
    def outcome(self) -> Outcome | None:
        return _sure(self.inner.outcome)

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        return _sure(self.inner.wait(timeout_s))

    @override
    def __eq__(self, other: object) -> bool:
        return bool(self.inner == other)

    @override
    def __hash__(self) -> int:
        return hash(self.inner)


def _sure(outcome: Outcome | None) -> Outcome | None:
    if outcome is None or outcome.kind is not OutcomeKind.UNKNOWN or outcome.cause is None:
        return outcome
    return rejected(outcome.cause)


class _Certain(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        return cast("Receipt", _Sure(super().publish(*arguments, **fields)))


@saboteur("An answer that does not come in time is a rejection.", "PUB-50", "PUB-55", "PUB-56")
class TakesSilenceForNo(BusWithProducers):
    """So that programs publish again what is there."""

    facade = _Certain


class _Stubborn(ProducerFacade):
    def __init__(self, inner: Producer) -> None:
        super().__init__(inner)
        self._watched: list[tuple[Receipt, tuple[object, ...], dict[str, object]]] = []

    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        for receipt, first, rest in self._watched:
            outcome = receipt.outcome
            if outcome is not None and outcome.kind is OutcomeKind.REJECTED:
                super().publish(*first, **rest)
        receipt = super().publish(*arguments, **fields)
        self._watched = [each for each in self._watched if each[0].outcome is None]
        self._watched.append((receipt, arguments, fields))
        return receipt


@saboteur("What was rejected is tried again without a word.", "ERR-06", "FAN-07", "PUB-51")
class TriesAgainBehindOnesBack(BusWithProducers):
    """So that the program and its bus both publish it."""

    facade = _Stubborn


class _Dropping(ProducerFacade):
    last: Receipt

    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        with suppress(OverloadedError):
            self.last = super().publish(*arguments, **fields)
        return self.last


@saboteur("What finds no room in the window is dropped without a word.", "PUB-55")
class DropsWhatFindsNoRoom(BusWithProducers):
    """As loggers do."""

    facade = _Dropping


class _Quiet(Facade):
    def flush(self, timeout_s: float = 30.0) -> None:
        with suppress(DeadlineExceededError):
            self.inner.flush(timeout_s)


@saboteur("flush returns when its time is up as if all was well.", "PUB-56")
class FlushesQuietly(BusWithProducers):
    """As clients do whose flush returns a number that nobody looks at."""

    facade = _Quiet


@saboteur("A level of acks that is not offered is taken for the default.", "PUB-19")
class KnowsBetterThanToAsk(Bus):
    """So that a program believes in copies that nobody makes."""

    @override
    def producer(self, *arguments: Any, **settings: Any) -> Producer:
        try:
            return super().producer(*arguments, **settings)
        except UnsupportedError:
            return super().producer(*arguments, **{**settings, "acks": None})
