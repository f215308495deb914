from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from doubles import LOG, WORK, FakeCore, FakeReceiver, FakeRelay, around, setting_of, taken, verdict

from unibus import header_names as names
from unibus.capabilities import Capabilities, LeaseLimits, native, none
from unibus.clock import ManualClock
from unibus.emulation.dead_letter import DeadLetterLayer
from unibus.emulation.handing import HandingLayer
from unibus.emulation.provenance import dead_letter
from unibus.emulation.retry import RetryLayer
from unibus.errors import LeaseLostError, NotFoundError, UnavailableError
from unibus.message import Headers, Message
from unibus.outcome import ACCEPTED, SETTLED, OutcomeKind, rejected, unknown
from unibus.specs import Subscription, Topic
from unibus.spi import Lease, LeaseRange, Verdict, VerdictKind

ACK, NACK, REJECT, EXTEND = (
    VerdictKind.ACK,
    VerdictKind.NACK,
    VerdictKind.REJECT,
    VerdictKind.EXTEND,
)
MISSING = rejected(NotFoundError("no such queue"))
WHO_KNOWS = unknown(UnavailableError("gone"))
SUBSCRIPTION = Subscription("s", topic=Topic("t"), dead_letter="d", max_attempts=3)


class Rig:
    def __init__(
        self,
        kind: type[RetryLayer | DeadLetterLayer],
        have: Capabilities = WORK,
        subscription: Subscription = SUBSCRIPTION,
    ) -> None:
        self.clock = ManualClock()
        self.core = FakeCore()
        self.relay = FakeRelay()
        setting = setting_of(subscription, have, self.clock)
        self.layer: HandingLayer = kind(self.core, setting, self.relay)
        self.inner: FakeReceiver = around(self.layer)

    def settle(
        self, kind: VerdictKind, message: Message, attempt: int | None = 1, delay_s: float = 0.0
    ) -> None:
        """Bring one message, take it and settle it."""
        self.inner.bring("x", message, attempts=[attempt])
        self.layer.settle([verdict(kind, taken(self.layer), 0, delay_s)])


def test_the_source_is_acknowledged_only_when_the_copy_is_accepted() -> None:
    rig = Rig(DeadLetterLayer)
    rig.settle(REJECT, Message(b"m"))
    assert rig.inner.done == []

    rig.relay.report(ACCEPTED)

    assert rig.inner.done == [(ACK, "x", 0, 1)]
    assert rig.core.settlements == [("x", 0, 1, SETTLED)]


@pytest.mark.parametrize("outcome", [MISSING, WHO_KNOWS])
def test_a_copy_that_is_not_accepted_is_tried_again_with_growing_waits(outcome: object) -> None:
    rig = Rig(DeadLetterLayer)
    rig.settle(REJECT, Message(b"m"))

    for copies, wait_s in ((1, 1), (2, 2), (3, 4)):
        rig.relay.report(outcome)  # type: ignore[arg-type]  # pytest passes what is listed above
        rig.clock.advance(wait_s - 0.5)
        assert len(rig.relay.copies) == copies
        rig.clock.advance(0.5)
        assert len(rig.relay.copies) == copies + 1

    assert rig.inner.done == []
    rig.relay.report(ACCEPTED)
    assert rig.inner.done == [(ACK, "x", 0, 1)]


def test_a_missing_queue_is_said_once_and_its_return_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unibus.emulation")
    rig = Rig(DeadLetterLayer)
    rig.settle(REJECT, Message(b"m"))
    rig.relay.report(MISSING)
    rig.clock.advance(1)
    rig.relay.report(MISSING)
    rig.clock.advance(2)
    rig.relay.report(ACCEPTED)

    assert [(each.levelname, "'d'" in each.getMessage()) for each in caplog.records] == [
        ("WARNING", True),
        ("INFO", True),
    ]


def test_a_dead_letter_tells_why_and_whence_and_keeps_the_rest() -> None:
    rig = Rig(DeadLetterLayer)
    message = Message(b"m", "k", "r.k", Headers([("h", 1), ("h", 2)]), "id-1", ttl_s=9)
    rig.inner.bring("x", message, attempts=[2])
    batch = taken(rig.layer)
    rig.layer.settle([Verdict(batch.ticket, 0, 1, REJECT, 0.0, "no such order", batch)])

    copy = rig.relay.copies[0]
    death = dead_letter(copy.headers)

    assert (copy.body, copy.key, copy.routing_key, copy.id) == (b"m", "k", "r.k", "id-1")
    assert (copy.ttl_s, copy.delay_s) == (None, None)
    assert isinstance(copy.headers, Headers)
    assert copy.headers.all("h") == (1, 2)
    assert death is not None
    assert (death.reason, death.detail, death.attempts) == ("rejected", "no such order", 2)
    assert (death.topic, death.subscription) == ("t", "s")
    assert death.first_at_s == rig.clock.wall()


def test_the_last_nack_is_a_dead_letter_and_those_before_are_not() -> None:
    rig = Rig(DeadLetterLayer)
    rig.settle(NACK, Message(b"m"), attempt=2)
    assert rig.inner.settled_places(NACK) == [("x", 0)]

    rig.settle(NACK, Message(b"m"), attempt=3)

    death = dead_letter(rig.relay.copies[0].headers)
    assert death is not None
    assert (death.reason, death.attempts) == ("max attempts", 3)


def test_attempts_of_earlier_copies_count() -> None:
    rig = Rig(DeadLetterLayer)

    rig.settle(NACK, Message(b"m", headers={names.ATTEMPTS: "2"}))

    assert len(rig.relay.copies) == 1


def test_what_comes_after_the_last_attempt_is_a_dead_letter_unseen() -> None:
    rig = Rig(DeadLetterLayer)
    rig.relay.answer = ACCEPTED
    rig.inner.bring("x", Message(b"poison"), Message(b"good"), attempts=[4, 1])

    assert taken(rig.layer).bodies() == [b"good"]
    assert rig.inner.done == [(ACK, "x", 0, 1)]
    death = dead_letter(rig.relay.copies[0].headers)
    assert death is not None
    assert (death.reason, death.attempts) == ("max attempts", 3)


def test_a_message_that_cannot_be_decoded_is_kept_with_its_body() -> None:
    rig = Rig(DeadLetterLayer)
    rig.inner.bring("x", ValueError("no header"))

    rig.layer.settle([verdict(REJECT, taken(rig.layer), 0)])

    copy = rig.relay.copies[0]
    death = dead_letter(copy.headers)
    assert copy.body == b"?"
    assert death is not None
    assert death.reason == "undecodable"


def test_a_lease_that_ends_ends_the_hand_over() -> None:
    rig = Rig(DeadLetterLayer)
    source = rig.inner.bring("x", Message(b"m"))
    rig.layer.settle([verdict(REJECT, taken(rig.layer), 0)])
    lease = source.lease(0)
    lease.lost = LeaseLostError("gone")

    rig.layer.lost([lease], lease.lost)
    rig.relay.report(ACCEPTED)

    assert [each[3].kind for each in rig.core.settlements] == [OutcomeKind.LEASE_LOST]
    assert rig.inner.done == []


def test_a_source_whose_lease_just_ended_is_not_acknowledged() -> None:
    rig = Rig(DeadLetterLayer)
    source = rig.inner.bring("x", Message(b"m"))
    rig.layer.settle([verdict(REJECT, taken(rig.layer), 0)])
    source.lease(0).lost = LeaseLostError("gone, and nobody was told yet")

    rig.relay.report(ACCEPTED)

    assert rig.inner.done == []
    assert [each[3].kind for each in rig.core.settlements] == [OutcomeKind.LEASE_LOST]


def test_the_lease_is_extended_while_a_copy_is_on_its_way() -> None:
    have = replace(WORK, lease=native(LeaseLimits(max_s=600, default_s=30, extendable=True)))
    rig = Rig(DeadLetterLayer, have)
    source = rig.inner.bring("x", Message(b"m"))
    source.cuts = [LeaseRange(0, 1, Lease("short", deadline=30.0))]
    rig.layer.settle([verdict(REJECT, taken(rig.layer), 0)])

    rig.clock.advance(10)
    assert rig.inner.done == [(EXTEND, "x", 0, 1)]
    rig.relay.report(ACCEPTED)
    rig.clock.advance(60)

    assert rig.inner.done == [(EXTEND, "x", 0, 1), (ACK, "x", 0, 1)]


def test_close_leaves_to_the_broker_what_cannot_be_handed_over() -> None:
    rig = Rig(DeadLetterLayer)
    rig.relay.answer = MISSING
    rig.settle(REJECT, Message(b"m"))

    rig.layer.close(1.0)

    assert len(rig.relay.copies) == 2
    assert rig.inner.done == []
    assert rig.inner.is_closed
    assert [each[3].kind for each in rig.core.settlements] == [OutcomeKind.UNKNOWN]


def test_a_barrier_follows_the_hand_overs_that_were_pending() -> None:
    rig = Rig(DeadLetterLayer)
    rig.settle(REJECT, Message(b"m"))

    rig.layer.barrier()
    assert rig.inner.barriers == 1
    rig.relay.report(ACCEPTED)

    assert rig.inner.barriers == 2


def test_a_revocation_tries_at_once_what_waits_to_be_tried_again() -> None:
    rig = Rig(DeadLetterLayer)
    source = rig.inner.bring("x", Message(b"m"))
    rig.layer.settle([verdict(REJECT, taken(rig.layer), 0)])
    rig.relay.report(MISSING)
    rig.relay.answer = ACCEPTED

    rig.layer.revoking([source.lease(0)], 1.0)

    assert rig.inner.done == [(ACK, "x", 0, 1)]


def test_a_nack_that_the_broker_can_do_is_left_to_it() -> None:
    rig = Rig(RetryLayer)

    rig.settle(NACK, Message(b"m"))

    assert rig.inner.settled_places(NACK) == [("x", 0)]
    assert rig.relay.copies == []


def test_a_delayed_nack_is_a_delayed_copy_that_counts_the_attempts_so_far() -> None:
    rig = Rig(RetryLayer)
    rig.settle(NACK, Message(b"m", headers={names.ATTEMPTS: "1"}), attempt=2, delay_s=5.0)

    copy = rig.relay.copies[0]
    headers = copy.headers or {}
    assert copy.delay_s == 5.0
    assert [headers[each] for each in (names.ATTEMPTS, names.SUBSCRIPTION)] == ["3", "s"]
    rig.relay.report(ACCEPTED)
    assert rig.inner.done == [(ACK, "x", 0, 1)]


def test_a_broker_without_nack_is_answered_by_a_copy_every_time() -> None:
    rig = Rig(RetryLayer, LOG)

    rig.settle(NACK, Message(b"m"), attempt=None)

    assert (rig.relay.copies[0].headers or {})[names.ATTEMPTS] == "1"


def test_a_delay_that_cannot_be_published_is_waited_for_here() -> None:
    rig = Rig(RetryLayer, LOG)
    rig.settle(NACK, Message(b"m"), attempt=None, delay_s=5.0)
    rig.clock.advance(4.9)
    assert rig.relay.copies == []

    rig.clock.advance(0.1)

    assert rig.relay.copies[0].delay_s is None


def test_a_counted_nack_waits_here_where_nothing_can_be_delayed() -> None:
    rig = Rig(RetryLayer, replace(WORK, delay=none(WORK.delay.value.__class__())))
    rig.settle(NACK, Message(b"m"), delay_s=5.0)
    assert rig.inner.done == []

    rig.clock.advance(5)

    assert rig.inner.settled_places(NACK) == [("x", 0)]
    assert rig.relay.copies == []


def test_a_lifetime_does_not_begin_anew_with_a_copy() -> None:
    rig = Rig(RetryLayer)
    message = Message(b"m", ttl_s=10, timestamp_s=rig.clock.wall() - 4)

    rig.settle(NACK, message, delay_s=1.0)

    assert rig.relay.copies[0].ttl_s == 6
