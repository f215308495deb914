"""Cores that take headers which they had better refuse, or keep the program's own mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from unibus import Receipt
from unibus.header_names import is_reserved
from unibus.message import Headers, HeaderValue
from unibus_contract.zoo.facade import BusWithProducers, ProducerFacade
from unibus_contract.zoo.saboteur import saboteur

_KNOWN = (str, bytes, int, float, bool, datetime, type(None))


class _Changing(ProducerFacade):
    """Changes each header before the producer sees it."""

    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        headers = fields.get("headers")
        if isinstance(headers, Mapping) and not isinstance(headers, Headers):
            pairs = (self.change(name, value) for name, value in headers.items())
            fields["headers"] = dict(each for each in pairs if each is not None)
        return super().publish(*arguments, **fields)

    def change(self, name: Any, value: Any) -> tuple[Any, Any] | None:  # noqa: ANN401  # whatever a program says
        """Return the header as it goes on; ``None`` leaves it out."""
        return name, value


class _Replacing(_Changing):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        for name in ("key", "routing_key", "id"):
            fields[name] = _whole(fields.get(name))
        return super().publish(*arguments, **fields)

    @override
    def change(self, name: Any, value: Any) -> tuple[Any, Any] | None:
        return _whole(name), _whole(value)


def _whole(text: object) -> object:
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


@saboteur("Halves of characters become question marks.", "HDR-04")
class ReplacesHalves(BusWithProducers):
    """So that what arrives is not what was sent, and nobody hears of it."""

    facade = _Replacing


class _Local(_Changing):
    @override
    def change(self, name: Any, value: Any) -> tuple[Any, Any] | None:
        is_naive = isinstance(value, datetime) and value.tzinfo is None
        return name, value.replace(tzinfo=UTC) if is_naive else value


@saboteur("A datetime without a time zone is taken for UTC.", "HDR-17")
class TakesItForUtc(BusWithProducers):
    """Which is another moment than the program meant."""

    facade = _Local


class _Stringing(_Changing):
    @override
    def change(self, name: Any, value: Any) -> tuple[Any, Any] | None:
        return name, value if isinstance(value, _KNOWN) else str(value)


@saboteur("A value of a type that is not declared becomes text.", "HDR-52")
class MakesTextOfWhatItDoesNotKnow(BusWithProducers):
    """As clients do, so that nobody can read it back."""

    facade = _Stringing


class _Dropping(_Changing):
    @override
    def change(self, name: Any, value: Any) -> tuple[Any, Any] | None:
        return None if isinstance(name, str) and is_reserved(name) else (name, value)


@saboteur("A header with a name that unibus uses is left out without a word.", "HDR-53")
class LeavesOutItsOwnNames(BusWithProducers):
    """As layers do that think nobody will use them."""

    facade = _Dropping


class _Live(Headers):
    """Headers that are whatever the program's mapping is when somebody looks."""

    __slots__ = ("_look",)

    def __init__(self, look: Callable[[], Mapping[str, HeaderValue]]) -> None:
        self._look = look
        super().__init__()

    @override
    def __getitem__(self, name: str) -> HeaderValue:
        return self._look()[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._look())

    @override
    def __len__(self) -> int:
        return len(self._look())

    @override
    def __getattribute__(self, name: str) -> Any:  # what it passes on
        if name == "pairs":
            return tuple(self._look().items())
        return super().__getattribute__(name)


class _Lending(ProducerFacade):
    @override
    def publish(self, *arguments: object, **fields: object) -> Receipt:
        headers: Any = fields.get("headers")
        if headers and not isinstance(headers, Headers):
            fields["headers"] = _Live(lambda: headers)
        return super().publish(*arguments, **fields)


@saboteur("A mapping that is changed after publish changes what was published.", "HDR-10")
class KeepsTheProgramsMapping(BusWithProducers):
    """As layers do that save the copy."""

    facade = _Lending
