from __future__ import annotations

from doubles import LOG, FakeCore, FakeRelay, around, setting_of, taken

from unibus import header_names as names
from unibus.clock import ManualClock
from unibus.emulation.dead_letter import DeadLetterLayer
from unibus.emulation.expiry import ExpiryLayer
from unibus.emulation.provenance import dead_letter
from unibus.message import Message
from unibus.specs import Subscription, Topic
from unibus.spi import VerdictKind

PLAIN = Subscription("s", topic=Topic("t"))


def _expiring(clock: ManualClock, ttl_s: float) -> Message:
    return Message(b"old", headers={names.EXPIRES_AT: str(round((clock.wall() + ttl_s) * 1000))})


def test_what_is_too_old_is_acknowledged_unseen() -> None:
    clock = ManualClock()
    layer = ExpiryLayer(FakeCore(), setting_of(PLAIN, LOG, clock))
    inner = around(layer)
    inner.bring("x", _expiring(clock, 5), Message(b"new"))
    clock.advance(5)

    assert taken(layer).bodies() == [b"new"]
    assert inner.done == [(VerdictKind.ACK, "x", 0, 1)]


def test_until_its_end_and_with_a_header_that_is_no_number_a_message_is_delivered() -> None:
    clock = ManualClock()
    layer = ExpiryLayer(FakeCore(), setting_of(PLAIN, LOG, clock))
    odd = Message(b"odd", headers={names.EXPIRES_AT: "soon" + "9" * 5000})
    around(layer).bring("x", _expiring(clock, 5), odd)
    clock.advance(4.9)

    assert taken(layer).bodies() == [b"old", b"odd"]


def test_with_a_dead_letter_queue_what_is_too_old_is_kept_there() -> None:
    clock, relay = ManualClock(), FakeRelay()
    subscription = Subscription("s", topic=Topic("t"), dead_letter="d")
    setting = setting_of(subscription, LOG, clock)
    layer = DeadLetterLayer(FakeCore(), setting, relay, expires=True)
    around(layer).bring("x", _expiring(clock, 0))

    assert layer.take() is None
    headers = relay.copies[0].headers or {}
    death = dead_letter(headers)
    assert death is not None
    assert (death.reason, death.attempts) == ("expired", 0)
    assert names.EXPIRES_AT not in headers
