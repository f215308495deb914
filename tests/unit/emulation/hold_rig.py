"""A hold layer between a receiver and a core, with a clock that the test moves."""

from __future__ import annotations

from doubles import WORK, FakeCore, FakeReceiver, around, keyed, setting_of, taken, verdict

from unibus.capabilities import Capabilities
from unibus.clock import ManualClock
from unibus.emulation.hold import HoldLayer
from unibus.specs import OrderingName, Subscription, Topic
from unibus.spi import Incoming, VerdictKind


class Rig:
    def __init__(
        self,
        ordering: OrderingName = "key",
        have: Capabilities = WORK,
        max_batch: int = 500,
    ) -> None:
        self.clock = ManualClock()
        self.core = FakeCore()
        topic = Topic("t", ordering=ordering)
        subscription = Subscription("s", topic=topic, mode="queue" if have is WORK else "stream")
        self.layer = HoldLayer(
            self.core, setting_of(subscription, have, self.clock, max_batch=max_batch)
        )
        self.inner: FakeReceiver = around(self.layer)

    def bring(self, *keys: str) -> Incoming:
        self.inner.bring(f"batch {len(self.inner.waiting)} {id(keys)}", *keyed(*keys))
        return taken(self.layer)

    def settle(self, kind: VerdictKind, batch: Incoming, index: int, delay_s: float = 0) -> None:
        self.layer.settle([verdict(kind, batch, index, delay_s)])
