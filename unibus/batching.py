"""How messages are cut into batches; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def slices(sizes: Sequence[int], max_messages: int, max_bytes: int) -> Iterator[slice]:
    """Yield consecutive slices that together cover *sizes*, each as long as the limits allow.

    Each has at least one message, so one that is larger than *max_bytes* travels alone.
    """
    first = size = 0
    for index, each in enumerate(sizes):
        if index > first and (index - first == max_messages or size + each > max_bytes):
            yield slice(first, index)
            first, size = index, 0
        size += each
    if first < len(sizes):
        yield slice(first, len(sizes))
