"""Several deliveries at once, as ``receive`` returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar, overload

from typing_extensions import override

from unibus.engine.deliveries import AnyDelivery
from unibus.engine.taken import Taken

D = TypeVar("D", bound=AnyDelivery)
Slice = tuple[Taken, int, int]
"""Deliveries of one batch, from the first index up to, not including, the second."""


class Batch(Sequence[D], Generic[D]):
    """What one ``receive`` returned, in the order of the subscription; perhaps nothing."""

    __slots__ = ("_deliveries", "_make", "_slices")

    def __init__(self, slices: Sequence[Slice], make: type[D]) -> None:
        self._slices = slices
        self._make = make
        self._deliveries: list[D] | None = None

    @property
    def bodies(self) -> Sequence[bytes | None]:
        """Every body, without making a delivery for each."""
        if len(self._slices) == 1:
            taken, first, stop = self._slices[0]
            bodies = taken.bodies
            return bodies if stop - first == taken.size else bodies[first:stop]
        return [body for taken, first, stop in self._slices for body in taken.bodies[first:stop]]

    def ack(self) -> None:
        """Ack what is not settled yet, as ranges; what was settled otherwise stays so."""
        for taken, first, stop in self._slices:
            taken.desk.ack_range(taken, first, stop)

    @override
    def __len__(self) -> int:
        return sum([stop - first for _, first, stop in self._slices])

    @overload
    def __getitem__(self, index: int) -> D: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[D]: ...
    @override
    def __getitem__(self, index: int | slice) -> D | Sequence[D]:
        if self._deliveries is None:
            make = self._make
            self._deliveries = [
                make(taken.bodies[each], taken, each)
                for taken, first, stop in self._slices
                for each in range(first, stop)
            ]
        return self._deliveries[index]

    @override
    def __repr__(self) -> str:
        return f"<Batch of {len(self)}>"
