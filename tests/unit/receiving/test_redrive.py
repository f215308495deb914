from __future__ import annotations

from collections.abc import Callable

from fakes_receive import make
from typing_extensions import override

from unibus import spi
from unibus.emulation.relay import Relay
from unibus.redrive import Redrive, Redriven
from unibus.specs import Queue

ORDERS = Queue("orders").subscription
DEAD = {
    "tenant": "acme",
    "unibus-subscription": "orders",
    "unibus-death-reason": "max attempts",
    "unibus-attempts": "4",
}


class FakeRelay(Relay):
    def __init__(self, outcome: spi.Outcome = spi.ACCEPTED) -> None:
        self.outcome = outcome
        self.published: list[spi.Message] = []

    @override
    def hand_over(self, message: spi.Message, done: Callable[[spi.Outcome], None]) -> None:
        self.published.append(message)
        done(self.outcome)


def dead(name: str, **changes: str) -> spi.Message:
    return spi.Message(b"body", "key", "r.k", DEAD | changes, name)


def test_a_letter_is_sent_back_with_its_id_and_provenance_and_new_attempts() -> None:
    consumer, receiver = make()
    relay = FakeRelay()
    receiver.bring(dead("m1"))

    result = Redrive(consumer, relay, ORDERS, quiet_s=0.01).run()

    (copy,) = relay.published
    assert result == Redriven(redriven=1, kept=0, foreign=0)
    assert (copy.id, copy.key, copy.routing_key, copy.body) == ("m1", "key", "r.k", b"body")
    assert dict(copy.headers or {}) == {
        "tenant": "acme",
        "unibus-subscription": "orders",
        "unibus-death-reason": "max attempts",
        "unibus-redrives": "1",
    }
    assert receiver.settled() == [("ack", 0, 1)]


def test_a_letter_whose_copy_is_not_accepted_stays() -> None:
    consumer, receiver = make()
    receiver.bring(dead("m1"))
    relay = FakeRelay(spi.unknown(spi.ConnectionLostError("cut")))

    result = Redrive(consumer, relay, ORDERS, quiet_s=0.01).run()

    assert (result, receiver.settled()) == (Redriven(redriven=0, kept=1, foreign=0), [])


def test_letters_of_another_subscription_stay() -> None:
    consumer, receiver = make()
    relay = FakeRelay()
    receiver.bring(dead("m1", **{"unibus-subscription": "other"}), dead("m2"))

    result = Redrive(consumer, relay, ORDERS, quiet_s=0.01).run()

    assert result == Redriven(redriven=1, kept=0, foreign=1)
    assert receiver.settled() == [("ack", 1, 1)]


def test_what_cannot_be_decoded_stays() -> None:
    consumer, receiver = make()
    receiver.bring(ValueError("timestamp"))

    result = Redrive(consumer, FakeRelay(), ORDERS, quiet_s=0.01).run()

    assert (result, receiver.settled()) == (Redriven(redriven=0, kept=1, foreign=0), [])


def test_a_message_that_fails_again_does_not_go_round_for_ever() -> None:
    consumer, receiver = make()
    relay = FakeRelay()
    receiver.bring(dead("m1"))
    receiver.bring(dead("m1"))
    receiver.bring(dead("m2"))

    result = Redrive(consumer, relay, ORDERS, quiet_s=0.01).run(max_messages=1)
    again = Redrive(consumer, relay, ORDERS, quiet_s=0.01).run()

    assert (result.redriven, again.redriven) == (1, 2)
    receiver.bring(dead("m3"), dead("m3"))
    assert Redrive(consumer, relay, ORDERS, quiet_s=0.01).run().redriven == 1
    assert receiver.settled()[-1] == ("release", 1, 1)
