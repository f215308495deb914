"""From many messages to the columns of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeGuard, TypeVar

from unibus.engine.pending import Extras
from unibus.engine.validation import Validation
from unibus.message import Message
from unibus.spi import Outgoing

T = TypeVar("T")
Cut = Callable[[Sequence[int]], Iterable[slice]]


class Bulk:
    """Messages that are all checked, and cut into batches one by one.

    Raises:
        MessageRejectedError: The broker can never take one of them.
        UnsupportedError: The broker does not promise what one of them needs.
    """

    def __init__(self, messages: Iterable[bytes | Message], validation: Validation) -> None:
        items = messages if isinstance(messages, list) else list(messages)
        self._sizes: Sequence[int]
        if _are_plain(items):
            self._columns = Outgoing([*items])
            self._sizes = list(map(len, items))
            if min(self._sizes) < validation.min_plain_bytes:
                validation.check(Message(b""))
            if max(self._sizes) > validation.max_plain_bytes:
                validation.check(Message(max(items, key=len)))
        else:
            self._columns, self._sizes = _checked(items, validation)

    def parts(self, cut: Cut) -> Iterator[tuple[Outgoing, int]]:
        """Yield the columns of one batch after the other, and its bytes."""
        for part in cut(self._sizes):
            yield _part(self._columns, part), sum(self._sizes[part])


def _are_plain(items: Sequence[bytes | Message]) -> TypeGuard[list[bytes]]:
    return set(map(type, items)) == {bytes}  # three calls in C, however many there are


def _checked(
    items: Iterable[bytes | Message], validation: Validation
) -> tuple[Outgoing, Sequence[int]]:
    messages = [item if isinstance(item, Message) else Message(item) for item in items]
    checked = [validation.check(message) for message in messages]
    columns = Outgoing([message.body for message in messages])
    columns.keys = _column([message.key for message in messages])
    columns.routing_keys = _column([message.routing_key for message in messages])
    if any(each.extras is not None for each in checked):
        extras = [each.extras or Extras() for each in checked]
        columns.headers = _column([each.headers for each in extras])
        columns.ids = _column([each.id for each in extras])
        columns.timings = _column([each.timing for each in extras])
    return columns, [each.size for each in checked]


def _column(values: list[T | None]) -> list[T | None] | None:
    return values if any(value is not None for value in values) else None


def _part(columns: Outgoing, part: slice) -> Outgoing:
    cut = Outgoing(columns.bodies[part])
    cut.keys = columns.keys and columns.keys[part]
    cut.routing_keys = columns.routing_keys and columns.routing_keys[part]
    cut.headers = columns.headers and columns.headers[part]
    cut.ids = columns.ids and columns.ids[part]
    cut.timings = columns.timings and columns.timings[part]
    return cut
