from __future__ import annotations

import pytest
from doubles import LOG, keyed, taken, verdict
from hold_rig import Rig

from unibus.errors import LeaseLostError
from unibus.message import Message
from unibus.outcome import SENT, SETTLED, OutcomeKind, lease_lost
from unibus.spi import Incoming, Lease, LeaseRange, Verdict, VerdictKind

ACK, NACK, RELEASE = VerdictKind.ACK, VerdictKind.NACK, VerdictKind.RELEASE


def _bodies(batch: Incoming | None) -> list[bytes | None]:
    return list(batch.bodies()) if batch else []


def _lost(batch: Incoming) -> list[int]:
    return [index for index in range(len(batch)) if batch.lease(index).lost is not None]


def test_a_failed_message_comes_again_before_what_follows_it() -> None:
    rig = Rig()
    batch = rig.bring("a", "a", "b", "a")
    rig.settle(ACK, batch, 0)

    rig.settle(NACK, batch, 1)

    assert _lost(batch) == [3]
    assert rig.core.lost_leases == [batch.lease(3)]
    assert _bodies(rig.layer.take()) == [b"a1", b"a3"]
    assert rig.inner.settled_places(NACK) == []


def test_the_core_is_told_at_once_and_has_a_reason_to_take() -> None:
    rig = Rig()
    batch = rig.bring("a")

    rig.settle(NACK, batch, 0)

    assert rig.core.outcomes(batch) == {0: SETTLED}
    assert rig.core.readies == 1


def test_a_delayed_one_holds_back_its_key_and_no_other() -> None:
    rig = Rig()
    first = rig.bring("a", "b")
    rig.settle(NACK, first, 0, delay_s=10)

    assert _bodies(rig.bring("a", "b", "c")) == [b"b1", b"c2"]
    rig.clock.advance(9.9)
    assert rig.layer.take() is None
    rig.clock.advance(0.1)
    assert rig.core.readies == 1
    assert _bodies(rig.layer.take()) == [b"a0", b"a0"]


def test_a_key_flows_again_once_its_held_messages_were_handed_out() -> None:
    rig = Rig()
    rig.settle(NACK, rig.bring("a"), 0)
    taken(rig.layer)

    assert _bodies(rig.bring("a", "b")) == [b"a0", b"b1"]


def test_attempts_count_nacks_and_not_releases_nor_what_was_called_back() -> None:
    rig = Rig()
    batch = rig.bring("a", "a")
    rig.settle(NACK, batch, 0)
    again = taken(rig.layer)
    assert [again.attempt(0), again.attempt(1)] == [2, 1]

    rig.settle(RELEASE, again, 0)
    third = taken(rig.layer)
    assert [third.attempt(0), third.attempt(1)] == [2, 1]

    rig.settle(NACK, third, 0)
    assert taken(rig.layer).attempt(0) == 3
    assert [again.attempt(0), batch.attempt(0)] == [2, 1]


def test_a_broker_that_does_not_count_is_counted_for() -> None:
    rig = Rig(have=LOG)
    rig.inner.bring("x", Message(b"m", "a"), attempts=[None])
    batch = taken(rig.layer)
    assert batch.attempt(0) == 1

    rig.settle(NACK, batch, 0)

    assert taken(rig.layer).attempt(0) == 2


def test_an_ack_of_what_was_called_back_is_answered_and_not_sent() -> None:
    rig = Rig()
    batch = rig.bring("a", "a")
    rig.settle(NACK, batch, 0)

    rig.layer.settle([Verdict(batch.ticket, 1, 1, ACK)])

    assert rig.core.outcomes(batch)[1].kind is OutcomeKind.LEASE_LOST
    assert rig.inner.done == []


def test_a_nack_of_what_was_called_back_is_answered_and_not_held_twice() -> None:
    rig = Rig()
    batch = rig.bring("a", "a")
    rig.settle(NACK, batch, 0)

    rig.settle(NACK, batch, 1)

    assert rig.core.outcomes(batch)[1].kind is OutcomeKind.LEASE_LOST
    assert _bodies(rig.layer.take()) == [b"a0", b"a1"]


def test_an_ack_that_comes_with_the_nack_is_kept() -> None:
    rig = Rig()
    batch = rig.bring("a", "a")

    rig.layer.settle([verdict(NACK, batch, 0), Verdict(batch.ticket, 1, 1, ACK)])

    assert [index for _, index in rig.inner.settled_places()] == [1]
    assert _lost(batch) == []


def test_a_range_is_acknowledged_without_what_was_called_back() -> None:
    rig = Rig()
    batch = rig.bring("b", "a", "a", "b")
    rig.settle(NACK, batch, 1)

    rig.layer.settle([Verdict(batch.ticket, 2, 2, ACK)])

    assert [index for _, index in rig.inner.settled_places()] == [3]


def test_what_becomes_of_a_message_had_again_is_told_of_its_new_delivery() -> None:
    rig = Rig()
    rig.inner.answer = SENT
    batch = rig.bring("b", "a", "b")
    rig.settle(NACK, batch, 1)
    again = taken(rig.layer)
    rig.settle(ACK, again, 0)

    rig.layer.settled(rig.inner.done[0][1], 0, 3, SETTLED)

    assert rig.core.outcomes(again) == {0: SETTLED}
    assert rig.core.outcomes(batch) == {0: SETTLED, 1: SETTLED, 2: SETTLED}


def test_a_whole_topic_is_one_key_and_nothing_is_decoded_for_it() -> None:
    rig = Rig("topic", LOG)
    rig.inner.bring("x", ValueError("no header"), ValueError("no header"))
    batch = taken(rig.layer)

    rig.settle(NACK, batch, 0)

    assert _lost(batch) == [1]


def test_headers_are_decoded_only_once_something_failed() -> None:
    rig = Rig()
    rig.inner.bring("x", ValueError("no header"), Message(b"m", "a"))
    batch = taken(rig.layer)
    rig.layer.settle([Verdict(batch.ticket, 0, 1, ACK)])

    rig.settle(NACK, batch, 1)

    assert _bodies(rig.layer.take()) == [b"m"]


def test_messages_without_a_key_wait_for_nobody() -> None:
    rig = Rig()
    rig.inner.bring("x", Message(b"1"), Message(b"2"))
    batch = taken(rig.layer)

    rig.settle(NACK, batch, 0, delay_s=5)

    assert _lost(batch) == []
    rig.inner.bring("y", Message(b"3"))
    assert _bodies(rig.layer.take()) == [b"3"]


def test_held_messages_come_in_batches_no_larger_than_asked_and_first() -> None:
    rig = Rig(max_batch=2)
    batch = rig.bring("a", "a", "a", "b")
    rig.settle(NACK, batch, 0)
    rig.inner.bring("y", Message(b"later", "a"))

    assert [_bodies(rig.layer.take()) for _ in range(3)] == [[b"a0", b"a1"], [b"a2"], [b"later"]]


def test_an_earlier_failure_takes_its_place_before_a_later_one() -> None:
    rig = Rig()
    batch = rig.bring("a", "a", "a")
    rig.settle(NACK, batch, 1, delay_s=10)
    rig.settle(NACK, batch, 0)

    assert _bodies(rig.layer.take()) == [b"a0"]
    assert rig.layer.take() is None
    rig.clock.advance(10)
    assert _bodies(rig.layer.take()) == [b"a1", b"a2"]


def test_a_lost_lease_ends_what_is_held_under_it() -> None:
    rig = Rig()
    batch = rig.bring("a", "a")
    rig.settle(NACK, batch, 0, delay_s=5)
    held = batch.lease(0)
    held.lost = LeaseLostError("gone")

    rig.layer.lost([held], held.lost)
    rig.clock.advance(5)

    assert rig.layer.take() is None
    assert rig.core.readies == 0
    assert rig.inner.done == []


def test_what_waited_for_a_lost_message_goes_back_with_it() -> None:
    rig = Rig()
    source = rig.inner.bring("x", *keyed("a", "a"))
    source.cuts = [LeaseRange(0, 1, Lease("first")), LeaseRange(1, 1, Lease("second"))]
    batch = taken(rig.layer)
    rig.settle(NACK, batch, 0, delay_s=5)
    lost = source.lease(0)
    lost.lost = LeaseLostError("gone")

    rig.layer.lost([lost], lost.lost)

    assert rig.inner.settled_places(RELEASE) == [("x", 1)]
    assert _bodies(rig.bring("a")) == [b"a0"]


def test_a_held_message_whose_extension_failed_is_let_go() -> None:
    rig = Rig()
    rig.inner.bring("x", Message(b"m", "a"))
    batch = taken(rig.layer)
    rig.settle(NACK, batch, 0, delay_s=5)

    rig.layer.settled("x", 0, 1, lease_lost(LeaseLostError("gone")))
    rig.clock.advance(5)

    assert rig.layer.take() is None


def test_nothing_is_handed_out_after_close() -> None:
    rig = Rig()
    rig.settle(NACK, rig.bring("a"), 0, delay_s=5)

    rig.layer.close(1.0)
    rig.clock.advance(5)

    assert rig.layer.take() is None
    assert rig.core.readies == 0


def test_settled_batches_leave_nothing_behind() -> None:
    rig = Rig()
    for _ in range(3):
        batch = rig.bring("a", "a")
        rig.settle(NACK, batch, 0)
        again = taken(rig.layer)
        rig.layer.settle([Verdict(again.ticket, 0, 2, ACK)])
    del batch, again
    rig.core.settlements.clear()

    out = rig.layer._out
    assert [len(each) for each in (out._views, out._whole, out._moved, rig.layer._lanes)] == [0] * 4


@pytest.mark.parametrize("kind", [ACK, RELEASE])
def test_an_unordered_log_holds_one_message_alone(kind: VerdictKind) -> None:
    rig = Rig("none", LOG)
    batch = rig.bring("a", "a")

    rig.settle(NACK, batch, 0)
    rig.settle(kind, batch, 1)

    again = [b"a0"] if kind is ACK else [b"a0", b"a1"]
    assert _bodies(rig.layer.take()) == again
