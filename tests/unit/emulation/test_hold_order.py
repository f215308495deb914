from __future__ import annotations

from collections.abc import Sequence

from hold_rig import Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from unibus.message import Message
from unibus.spi import Incoming, VerdictKind

ACK, NACK, RELEASE = VerdictKind.ACK, VerdictKind.NACK, VerdictKind.RELEASE


class _Program:
    """Settles what it gets, by chance, one delivery after the other."""

    def __init__(self, rig: Rig, draw: st.DataObject, *, is_orderly: bool) -> None:
        self.rig = rig
        self.draw = draw
        self.is_orderly = is_orderly
        self.open: list[tuple[Incoming, int]] = []
        self.acked: list[bytes | None] = []

    def step(self) -> None:
        self._drop_lost()
        if not self.open:
            return
        last = 0 if self.is_orderly else len(self.open) - 1
        batch, index = self.open.pop(self.draw.draw(st.integers(0, last)))
        kind = self.draw.draw(st.sampled_from([ACK, ACK, NACK, RELEASE]))
        delay_s = self.draw.draw(st.sampled_from([0, 0, 2])) if kind is NACK else 0
        if kind is ACK:
            self.acked.append(batch.bodies()[index])
        self.rig.settle(kind, batch, index, delay_s)

    def receive(self) -> None:
        batch = self.rig.layer.take()
        if batch is not None:
            self.open += [(batch, index) for index in range(len(batch))]

    def finish(self) -> None:
        for _ in range(1000):
            self.receive()
            self._drop_lost()
            while self.open:
                batch, index = self.open.pop(0)
                self.acked.append(batch.bodies()[index])
                self.rig.settle(ACK, batch, index)
                self._drop_lost()
            self.rig.clock.advance(1)
            if not self.rig.layer._lanes and not self.rig.inner.waiting:
                return
        raise AssertionError("something is held for ever")

    def _drop_lost(self) -> None:
        self.open = [(b, i) for b, i in self.open if b.lease(i).lost is None]


@settings(max_examples=150)
@given(
    batches=st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6),
    max_batch=st.integers(1, 4),
    is_orderly=st.booleans(),
    data=st.data(),
)
def test_every_message_is_acked_once_and_in_order_whatever_fails(
    batches: Sequence[str], max_batch: int, *, is_orderly: bool, data: st.DataObject
) -> None:
    rig = Rig(max_batch=max_batch)
    numbers = iter(range(1000))
    for name, keys in enumerate(batches):
        rig.inner.bring(str(name), *(Message(b"%d" % next(numbers), key) for key in keys))
    key_of = dict(enumerate("".join(batches)))
    program = _Program(rig, data, is_orderly=is_orderly)
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from([program.step, program.step, program.receive]))
        action()
        rig.clock.advance(data.draw(st.sampled_from([0, 0.5])))

    program.finish()

    places = rig.inner.settled_places()
    assert sorted(places) == [
        (str(n), i) for n, keys in enumerate(batches) for i in range(len(keys))
    ]
    if is_orderly:
        acked = [int(body or b"") for body in program.acked]
        for key in "abc":
            mine = [number for number in acked if key_of[number] == key]
            assert mine == sorted(mine)
