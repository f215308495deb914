"""A connection that can be torn, so that what its consumers hold is lost to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from unibus.specs import Subscription
from unibus_contract.consuming import RecordingConsumer
from unibus_contract.fields import ConsumerFields
from unibus_contract.harness import Cut
from unibus_contract.premises import closed_quietly
from unibus_contract.workbench import Bench

if TYPE_CHECKING:
    from unibus import Bus


class Tether:
    """A connection of its own; ``tear`` ends the leases of its consumers without a word.

    Through the network where the broker is behind one. A broker in this process ends the leases
    instead, those of other consumers of the same subscription too: open these afterwards.

    Attributes:
        bus: The connection; it comes back by itself.
    """

    def __init__(self, bench: Bench, bus: Bus, cut: Cut | None) -> None:
        self.bus = bus
        self._bench = bench
        self._cut = cut
        self._consumers: list[tuple[RecordingConsumer, Subscription]] = []

    def consumer(
        self, subscription: Subscription, **options: Unpack[ConsumerFields]
    ) -> RecordingConsumer:
        """Open a consumer that loses what it holds when the connection is torn."""
        consumer = self._bench.consumer(subscription, bus=self.bus, **options)
        self._consumers.append((consumer, subscription))
        return consumer

    def tear(self) -> None:
        """Tear it, and note a crash of each consumer, which goes on as a new one would."""
        for consumer, _ in self._consumers:
            consumer.crashed()
        if self._cut is not None:
            self._cut.break_off()
            return
        for _, subscription in self._consumers:
            self._bench.faults.lose_leases(subscription)


def tethered(bench: Bench) -> Tether:
    """Open a connection that can be torn; for clauses that need ``tear``."""
    if "cut" not in bench.faults.kinds:
        return Tether(bench, bench.bus(), None)
    cut = bench.handles.enter_context(bench.faults.cut(bench.url))
    bus = bench.bus(url=cut.url)
    bench.handles.callback(closed_quietly, bus)  # while the way is still there
    return Tether(bench, bus, cut)
