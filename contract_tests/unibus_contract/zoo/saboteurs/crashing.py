"""Brokers that spoil the moment in which a consumer, or they themselves, end."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.spi import Binding, Incoming, Receiver, Verdict, VerdictKind
from unibus_contract.wrap import AdapterWrap, ReceiverWrap
from unibus_contract.zoo.saboteur import saboteur


@saboteur("What a killed consumer held and had not settled is gone.", "RED-50")
class LosesWhatTheDeadHeld(AdapterWrap):
    """Takes it for settled when the connection breaks."""

    class _Grasping(ReceiverWrap):
        def __init__(self, inner: Receiver) -> None:
            super().__init__(inner)
            self._open: dict[object, set[int]] = {}

        @override
        def take(self) -> Incoming | None:
            taken = super().take()
            if taken is not None:
                self._open[taken.ticket] = set(range(len(taken)))
            return taken

        @override
        def settle(self, verdicts: Sequence[Verdict]) -> None:
            for each in verdicts:
                if each.kind is not VerdictKind.EXTEND:
                    self._open[each.ticket] -= set(range(each.first, each.first + each.count))
            super().settle(verdicts)

        @override
        def close(self, timeout_s: float) -> None:
            if timeout_s == 0.0:  # it is torn away, not closed
                for ticket, indexes in self._open.items():
                    lost = [Verdict(ticket, index, 1, VerdictKind.ACK) for index in sorted(indexes)]
                    super().settle(lost)
            super().close(timeout_s)

    @override
    def receiver(self, receiver: Receiver, binding: Binding) -> Receiver:
        return self._Grasping(receiver)
