from __future__ import annotations

import pytest
from fakes_receive import UNCONFIRMED, make
from hypothesis import given, settings
from hypothesis import strategies as st

from unibus import spi
from unibus.clock import ManualClock
from unibus.errors import (
    AlreadySettledError,
    DeadlineExceededError,
    LeaseLostError,
    UnibusError,
    UnsupportedError,
)
from unibus.outcome import OutcomeKind


def test_acks_in_order_leave_as_one_range_when_a_quarter_is_reached() -> None:
    consumer, receiver = make(max_unsettled=8)
    receiver.bring(*[b"x"] * 6)
    batch = consumer.receive(6)

    batch[0].ack()
    assert receiver.settled() == []
    batch[1].ack()
    assert receiver.settled() == [("ack", 0, 2)]


def test_the_last_ack_of_a_batch_hands_over_the_rest() -> None:
    consumer, receiver = make()
    receiver.bring(b"a", b"b", b"c")

    for delivery in consumer.receive(3):
        delivery.ack()

    assert receiver.settled() == [("ack", 0, 3)]


def test_acks_out_of_order_leave_as_ranges_round_the_hole() -> None:
    consumer, receiver = make()
    receiver.bring(*[b"x"] * 5)
    batch = consumer.receive(5)

    for index in (4, 1, 0, 3):
        batch[index].ack()
    consumer.flush()
    assert receiver.settled() == [("ack", 0, 2), ("ack", 3, 2)]
    batch[2].ack()
    assert receiver.settled()[2:] == [("ack", 2, 1)]


def test_what_was_acked_leaves_before_a_nack_and_the_nack_at_once() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(*[b"x"] * 4)
    batch = consumer.receive(4)

    batch[0].ack()
    batch[1].nack(3.0)

    assert receiver.settled() == [("ack", 0, 1), ("nack", 1, 1)]
    assert (receiver.verdicts[1].delay_s, receiver.verdicts[1].incoming) == (3.0, incoming)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_each_index_is_told_once_whatever_the_program_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    consumer, receiver = make(max_unsettled=data.draw(st.sampled_from([1, 4, 40])), max_batch=40)
    receiver.bring(*[b"x"] * size)
    batch = consumer.receive(40)
    wanted: dict[int, str] = {}
    for index in data.draw(st.lists(st.integers(0, len(batch) - 1), max_size=30)):
        kind = data.draw(st.sampled_from(["ack", "nack", "reject", "release", "pull"]))
        if kind == "pull":
            receiver.settle(receiver.events.verdicts())
        elif wanted.setdefault(index, kind) == kind:
            getattr(batch[index], kind)()
        else:
            with pytest.raises(AlreadySettledError):
                getattr(batch[index], kind)()
    consumer.flush()

    told = [
        (index, each.kind.value)
        for each in receiver.verdicts
        for index in range(each.first, each.first + each.count)
    ]
    assert sorted(told) == sorted(wanted.items())
    outcomes = {index: batch[index].outcome for index in range(len(batch))}
    assert {index for index, outcome in outcomes.items() if outcome} == set(wanted)


def test_acking_a_batch_leaves_alone_what_was_settled_before() -> None:
    consumer, receiver = make()
    receiver.bring(*[b"x"] * 4)
    batch = consumer.receive(4)

    batch[2].reject("bad")
    batch.ack()

    assert receiver.settled() == [("reject", 2, 1), ("ack", 0, 2), ("ack", 3, 1)]
    assert receiver.verdicts[0].reason == "bad"


def test_a_hung_handler_does_not_hold_back_earlier_acks() -> None:
    clock = ManualClock()
    consumer, receiver = make(clock=clock)
    receiver.bring(*[b"x"] * 4)
    batch = consumer.receive(4)

    batch[0].ack()
    clock.advance(0.1)
    assert receiver.settled() == [("ack", 0, 1)]
    batch[1].ack()
    clock.advance(0.1)
    assert receiver.settled()[1:] == [("ack", 1, 1)]


def test_the_adapters_tick_pulls_what_was_settled_exactly_once() -> None:
    consumer, receiver = make()
    receiver.bring(*[b"x"] * 3)
    batch = consumer.receive(3)
    batch[0].ack()

    pulled = receiver.events.verdicts()

    assert [(each.first, each.count) for each in pulled] == [(0, 1)]
    assert list(receiver.events.verdicts()) == []


def test_a_lost_lease_is_answered_here_and_never_sent() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(b"a", b"b", b"c")
    batch = consumer.receive(2)

    receiver.lose(incoming)
    batch[0].ack()
    batch[1].nack()

    assert receiver.settled() == []
    assert [each.outcome and each.outcome.kind for each in batch] == [OutcomeKind.LEASE_LOST] * 2
    with pytest.raises(LeaseLostError, match="2 settlements"):
        consumer.flush()
    consumer.flush()


def test_what_was_not_handed_out_is_not_started_under_a_lost_lease() -> None:
    consumer, receiver = make()
    lost = receiver.bring(b"a", b"b", b"c")
    assert consumer.receive(1).bodies == [b"a"]

    receiver.lose(lost)
    receiver.bring(b"d")

    assert consumer.receive(3).bodies == [b"d"]


def test_one_index_under_a_lost_lease_of_its_own_is_left_out() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(*[b"0", b"1", b"2", b"3"])
    consumer.receive(1)
    whole, single = incoming.cuts[0].lease, spi.Lease("one")
    incoming.cuts = [
        spi.LeaseRange(0, 2, whole),
        spi.LeaseRange(2, 1, single),
        spi.LeaseRange(3, 1, whole),
    ]

    single.lost = LeaseLostError("called back")
    receiver.events.lost([single], single.lost)

    assert list(consumer.receive(9).bodies) == [b"1", b"3"]


def test_an_ack_never_straddles_two_leases() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(*[b"x"] * 4)
    incoming.cuts = [
        spi.LeaseRange(0, 1, spi.Lease("a")),
        spi.LeaseRange(1, 3, spi.Lease("b")),
    ]

    consumer.receive(4).ack()

    assert receiver.settled() == [("ack", 0, 1), ("ack", 1, 3)]


def test_an_extension_that_fails_loses_the_delivery() -> None:
    consumer, receiver = make()
    incoming = receiver.bring(b"a", b"b")
    (delivery,) = consumer.receive(1)

    delivery.extend(30)
    lost = spi.lease_lost(LeaseLostError("too late"))
    receiver.events.settled(incoming.ticket, 0, 1, lost)
    delivery.ack()

    assert receiver.settled() == [("extend", 0, 1)]
    assert delivery.outcome is lost
    with pytest.raises(LeaseLostError):
        delivery.extend(30)


def test_waiting_for_a_settlement_asks_a_silent_broker() -> None:
    consumer, receiver = make(capabilities=UNCONFIRMED)
    receiver.answer = spi.SENT
    receiver.answers_barriers = False
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)
    delivery.ack()
    assert delivery.outcome is spi.SENT

    with pytest.raises(DeadlineExceededError):
        delivery.wait_settled(0.01)
    receiver.answers_barriers = True

    assert delivery.wait_settled(1.0).kind is OutcomeKind.SETTLED
    consumer.flush(1.0)


def test_a_flush_does_not_wait_for_what_a_log_cannot_have_yet() -> None:
    consumer, receiver = make(capabilities=UNCONFIRMED)
    receiver.answer = receiver.barrier_answer = spi.SENT
    receiver.bring(b"a", b"b")
    first, second = consumer.receive(2)
    second.ack()
    consumer.flush(1.0)
    assert second.wait_settled(1.0) is spi.SENT
    receiver.answers_barriers = False
    with pytest.raises(DeadlineExceededError):  # each asks anew
        consumer.flush(0.01)
    receiver.answers_barriers, receiver.barrier_answer = True, spi.SETTLED
    first.ack()
    consumer.flush(1.0)

    assert [first.outcome, second.outcome] == [spi.SETTLED, spi.SETTLED]


def test_what_is_only_sent_is_confirmed_before_it_piles_up() -> None:
    consumer, receiver = make(capabilities=UNCONFIRMED)
    receiver.answer = spi.SENT
    for _ in range(300):
        receiver.bring(b"a")
        consumer.receive(1).ack()

    assert receiver.barriers == 1
    assert len(consumer._inbox.settlements._ledgers) == 50


def test_waiting_for_what_is_not_settled_is_refused_at_once() -> None:
    consumer, receiver = make()
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)

    with pytest.raises(UnibusError, match="not settled"):
        delivery.wait_settled(60)


def test_flush_reports_an_unknown_outcome_once() -> None:
    consumer, receiver = make()
    receiver.answer = spi.unknown(spi.ConnectionLostError("cut"))
    receiver.bring(b"a")
    consumer.receive(1).ack()

    with pytest.raises(spi.ConnectionLostError):
        consumer.flush()
    consumer.flush()


def test_flush_is_bounded_when_the_broker_does_not_answer() -> None:
    consumer, receiver = make()
    receiver.answer = None
    receiver.bring(b"a")
    consumer.receive(1).ack()

    with pytest.raises(DeadlineExceededError):
        consumer.flush(0.01)


def test_a_nack_the_broker_cannot_wait_for_is_refused_before_any_io() -> None:
    consumer, receiver = make()
    receiver.bring(b"a")
    (delivery,) = consumer.receive(1)

    with pytest.raises(UnsupportedError, match="60 s"):
        delivery.nack(61.0)

    assert receiver.settled() == []
