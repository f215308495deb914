from __future__ import annotations

from doubles import LOG, FakeCore, around, setting_of, taken, verdict
from hypothesis import given
from hypothesis import strategies as st

from unibus.clock import ManualClock
from unibus.emulation.filter import FilterLayer
from unibus.errors import LeaseLostError
from unibus.message import Message
from unibus.outcome import SENT, SETTLED
from unibus.specs import Exact, Subscription, Topic
from unibus.spi import Lease, LeaseRange, Verdict, VerdictKind

ACK = VerdictKind.ACK
WANTED, OTHER = Message(b"w", routing_key="a"), Message(b"o", routing_key="b")


def _layer(core: FakeCore) -> FilterLayer:
    subscription = Subscription("s", topic=Topic("t"), filter=Exact("a"))
    return FilterLayer(core, setting_of(subscription, LOG, ManualClock()))


def test_a_batch_that_matches_as_a_whole_is_passed_as_it_is() -> None:
    layer = _layer(FakeCore())
    batch = around(layer).bring("x", WANTED, WANTED)

    assert layer.take() is batch


def test_what_does_not_match_is_acknowledged_in_ranges_and_never_seen() -> None:
    core = FakeCore()
    layer = _layer(core)
    inner = around(layer)
    inner.bring("x", OTHER, OTHER, WANTED, OTHER, WANTED)

    batch = taken(layer)

    assert batch.bodies() == [b"w", b"w"]
    assert inner.done == [(ACK, "x", 0, 2), (ACK, "x", 3, 1)]
    assert core.settlements == []


def test_take_goes_on_until_something_matches() -> None:
    layer = _layer(FakeCore())
    inner = around(layer)
    inner.bring("x", OTHER)
    inner.bring("y", OTHER)
    inner.bring("z", WANTED)

    assert taken(layer).position(0) == "z:0"
    assert layer.take() is None


def test_a_message_that_cannot_be_decoded_is_left_to_the_core() -> None:
    layer = _layer(FakeCore())
    around(layer).bring("x", OTHER, ValueError("no header"))

    assert taken(layer).bodies() == [b"?"]


def test_what_lies_under_a_lost_lease_is_not_acknowledged() -> None:
    layer = _layer(FakeCore())
    inner = around(layer)
    batch = inner.bring("x", OTHER, OTHER, WANTED)
    lost = Lease("lost")
    lost.lost = LeaseLostError("gone")
    batch.cuts = [LeaseRange(0, 1, lost), LeaseRange(1, 2, Lease("held"))]

    assert [tuple(each)[:2] for each in taken(layer).leases()] == [(0, 1)]
    assert inner.done == [(ACK, "x", 1, 1)]


def test_an_answer_that_comes_twice_is_passed_on_twice() -> None:
    core = FakeCore()
    layer = _layer(core)
    inner = around(layer)
    inner.bring("x", OTHER, WANTED)
    batch = taken(layer)

    layer.settled("x", 0, 2, SENT)
    layer.settled("x", 0, 2, SETTLED)

    assert [(each[0] is batch.ticket, *each[1:]) for each in core.settlements] == [
        (True, 0, 1, SENT),
        (True, 0, 1, SETTLED),
    ]


def test_a_nack_carries_the_inner_batch_and_its_index() -> None:
    layer = _layer(FakeCore())
    inner = around(layer)
    source = inner.bring("x", OTHER, WANTED)

    layer.settle([verdict(VerdictKind.NACK, taken(layer), 0, 5.0)])

    nack = inner.verdicts[-1]
    assert (nack.ticket, nack.first, nack.delay_s, nack.incoming) == ("x", 1, 5.0, source)


def test_verdicts_that_the_adapter_fetches_are_mapped_too() -> None:
    core = FakeCore()
    layer = _layer(core)
    around(layer).bring("x", OTHER, WANTED)
    core.pending = [verdict(ACK, taken(layer), 0)]

    assert [(each.ticket, each.first) for each in layer.verdicts()] == [("x", 1)]


@given(
    matches=st.lists(st.booleans(), min_size=1, max_size=12).filter(any),
    cut=st.integers(0, 12),
    data=st.data(),
)
def test_indexes_map_both_ways_as_brute_force_says(
    matches: list[bool], cut: int, data: st.DataObject
) -> None:
    core = FakeCore()
    layer = _layer(core)
    inner = around(layer)
    inner.answer = None
    source = inner.bring("x", *(WANTED if each else OTHER for each in matches))
    cut = min(cut, len(matches))
    two = [(0, cut, Lease("a")), (cut, len(matches) - cut, Lease("b"))]
    source.cuts = [LeaseRange(*each) for each in two if each[1]]
    batch = taken(layer)
    wanted = [index for index, each in enumerate(matches) if each]
    inner.done.clear()

    assert [batch.lease(i) for i in range(len(batch))] == [source.lease(i) for i in wanted]

    first = data.draw(st.integers(0, len(wanted) - 1))
    count = data.draw(st.integers(1, len(wanted) - first))
    layer.settle([Verdict(batch.ticket, first, count, ACK)])
    assert inner.settled_places() == [("x", i) for i in wanted[first : first + count]]

    start = data.draw(st.integers(0, len(matches) - 1))
    stop = data.draw(st.integers(start + 1, len(matches)))
    layer.settled("x", start, stop - start, SETTLED)
    expected = {batch_index for batch_index, i in enumerate(wanted) if start <= i < stop}
    assert set(core.outcomes(batch)) == expected
