"""The layer that hands deliveries over to another target, and waits for that when it has to."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from unibus.emulation.handover import Handover
from unibus.emulation.layer import Setting
from unibus.emulation.relay import Relay
from unibus.emulation.selection import SelectingLayer
from unibus.spi import Events, Lease

_SHARE_OF_CLOSE = 0.75  # the rest is for giving back in order


class HandingLayer(SelectingLayer):
    """A layer that hands sources over to one target."""

    def __init__(self, events: Events, setting: Setting, target: str, relay: Relay) -> None:
        super().__init__(events)
        self._setting = setting
        self._handover = Handover(target, relay, self, setting)

    @override
    def barrier(self) -> None:
        self._handover.await_barrier()
        super().barrier()

    @override
    def lost(self, leases: Sequence[Lease], cause: Exception) -> None:
        self._handover.drop_lost()
        super().lost(leases, cause)

    @override
    def revoking(self, leases: Sequence[Lease], budget_s: float) -> None:
        now = self._setting.clock.now
        end = now() + budget_s
        super().revoking(leases, budget_s)
        if budget_s > 0:
            self._handover.wait(max(end - now(), 0), leases)

    @override
    def close(self, timeout_s: float) -> None:
        now = self._setting.clock.now
        end = now() + timeout_s
        self._handover.close(timeout_s * _SHARE_OF_CLOSE)
        super().close(max(end - now(), timeout_s * (1 - _SHARE_OF_CLOSE)))
