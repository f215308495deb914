from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fakes_send import PROFILE, FakeAdapter, QuickSender, SlowSender, binding
from typing_extensions import override

from unibus.capabilities import AcksLevel
from unibus.clock import SystemClock
from unibus.engine.window import Limits
from unibus.errors import (
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    MessageRejectedError,
    MessageTooLargeError,
    OverloadedError,
    PublishFailedError,
    UnroutableError,
    UnsupportedError,
)
from unibus.message import Message
from unibus.outcome import ACCEPTED, OutcomeKind, rejected
from unibus.producer import Producer

UNROUTABLE = rejected(UnroutableError("nobody listens"))


@pytest.fixture
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    yield clock
    clock.close()


def made(
    clock: SystemClock,
    sender: type[SlowSender] = QuickSender,
    *,
    window: int = 100,
    timeout_s: float = 5.0,
    acks: AcksLevel | None = None,
) -> tuple[Producer, SlowSender]:
    adapter = FakeAdapter(sender=sender)
    limits = Limits(window=window, timeout_s=timeout_s)
    producer = Producer(
        adapter, binding(), clock=clock, acks=acks, limits=limits, on_close=lambda _: None
    )
    return producer, adapter.senders[0]


def test_a_message_reaches_the_sender_as_it_is(clock: SystemClock) -> None:
    producer, sender = made(clock)

    receipt = producer.publish(
        b"body", key="k", routing_key="r.k", headers={"a": 1}, id="id", delay_s=1, priority=2
    )

    (batch,) = sender.sent
    message = batch.message(0)
    assert (message.body, message.key, message.routing_key) == (b"body", "k", "r.k")
    assert (message.headers, message.id, message.delay_s) == ({"a": 1}, "id", 1)
    assert message.priority == 2
    assert receipt.wait(1) is ACCEPTED
    assert receipt.id == "id"


def test_nothing_is_sent_of_a_message_that_is_refused(clock: SystemClock) -> None:
    producer, sender = made(clock)

    with pytest.raises(MessageTooLargeError):
        producer.publish(b"x" * 1001)
    with pytest.raises(MessageRejectedError):
        producer.publish("text")  # type: ignore[arg-type]  # the point
    with pytest.raises(MessageRejectedError):
        producer.publish(b"x", routing_key="x" * 256)

    assert sender.offers == 0


def test_many_are_all_checked_before_the_first_is_sent(clock: SystemClock) -> None:
    producer, sender = made(clock)

    with pytest.raises(MessageTooLargeError):
        producer.publish_many([b"fine", b"x" * 1001])
    with pytest.raises(MessageRejectedError):
        producer.publish_many([b"fine", Message(b"", headers={"unibus-x": "1"})])

    assert sender.offers == 0


def test_many_are_cut_into_batches_and_keep_their_fields(clock: SystemClock) -> None:
    producer, sender = made(clock)

    receipt = producer.publish_many([b"a", *(Message(b"b", key=str(n)) for n in range(7))])

    assert receipt.wait(1) == [ACCEPTED] * 8
    assert [len(batch) for batch in sender.sent] == [5, 3]
    keys = [key for batch in sender.sent for key in batch.keys or ()]
    assert keys == [None, *map(str, range(7))]


def test_many_keep_their_place_between_single_ones(clock: SystemClock) -> None:
    producer, sender = made(clock, SlowSender)
    producer.publish(b"1")
    producer.publish_many([b"2", b"3"])
    producer.publish(b"4")
    while sender.pull() is not None:
        pass

    assert [body for batch in sender.pulled for body in batch.bodies] == [b"1", b"2", b"3", b"4"]


def test_none_at_all_is_a_batch_too(clock: SystemClock) -> None:
    producer, _ = made(clock)

    assert producer.publish_many([]).wait() == []


def test_a_full_window_makes_publish_wait_and_then_refuse(clock: SystemClock) -> None:
    producer, sender = made(clock, SlowSender, window=2, timeout_s=0.05)
    producer.publish(b"a")
    producer.publish(b"b")
    sender.pull()

    with pytest.raises(OverloadedError, match="2 messages wait"):
        producer.publish(b"c")

    assert sender.pushes > 0


def test_a_waiting_publish_goes_on_when_there_is_room(clock: SystemClock) -> None:
    producer, sender = made(clock, SlowSender, window=1)
    producer.publish(b"a")
    sender.pull()
    answer = threading.Timer(0.02, sender.answer)
    answer.start()

    receipt = producer.publish(b"b")

    answer.join()
    assert receipt.outcome is None


def test_what_of_many_finds_no_room_is_rejected_in_the_receipt(clock: SystemClock) -> None:
    class Deaf(SlowSender):
        @override
        def offer(self) -> None:
            while self.pull() is not None:
                pass

    producer, _ = made(clock, Deaf, window=4, timeout_s=0.05)

    receipt = producer.publish_many([b"x"] * 6)

    outcomes = receipt.wait(1)
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds == [OutcomeKind.UNKNOWN] * 4 + [OutcomeKind.REJECTED] * 2
    assert isinstance(outcomes[-1].cause, OverloadedError)


def test_flush_raises_for_what_nobody_has_looked_at(clock: SystemClock) -> None:
    producer, sender = made(clock)
    assert isinstance(sender, QuickSender)
    sender.outcome = UNROUTABLE
    seen, unseen = producer.publish(b"a"), producer.publish(b"b")
    assert seen.outcome is UNROUTABLE

    with pytest.raises(PublishFailedError, match="nobody listens") as caught:
        producer.flush(1)

    assert caught.value.failures == (unseen,)
    producer.flush(1)
    producer.close()


def test_flush_gives_up_in_time(clock: SystemClock) -> None:
    producer, _ = made(clock, SlowSender)
    producer.publish(b"a")

    with pytest.raises(DeadlineExceededError, match="1 publishes were still undecided"):
        producer.flush(0.02)


def test_close_decides_everything_and_says_so(clock: SystemClock) -> None:
    producer, sender = made(clock, SlowSender)
    pulled = producer.publish(b"a")
    sender.pull()
    waiting = producer.publish(b"b")

    with pytest.raises(PublishFailedError, match="2 publishes failed"):
        producer.close(0.02)

    assert pulled.outcome is not None
    assert pulled.outcome.kind is OutcomeKind.UNKNOWN
    assert waiting.outcome is not None
    assert waiting.outcome.kind is OutcomeKind.REJECTED
    assert sender.is_closed


def test_a_closed_producer_refuses_and_closes_again_quietly(clock: SystemClock) -> None:
    producer, sender = made(clock)
    producer.close()
    producer.close()

    with pytest.raises(ClosedError):
        producer.publish(b"a")
    with pytest.raises(ClosedError):
        producer.publish_many([b"a"])
    assert sender.sent == []


def test_an_error_in_the_block_is_not_hidden_by_one_of_the_close(clock: SystemClock) -> None:
    producer, _ = made(clock, SlowSender, timeout_s=0.02)

    producer.publish(b"a")

    with pytest.raises(KeyError) as caught, producer:
        raise KeyError

    assert "PublishFailedError" in caught.value.__notes__[0]


def test_an_acks_level_that_is_not_offered_is_refused(clock: SystemClock) -> None:
    with pytest.raises(UnsupportedError, match=r"'leader'.*offers all"):
        made(clock, acks="leader")
    assert PROFILE.capabilities.acks.value == {"all"}


@pytest.mark.parametrize("settings", [{"window": 0}, {"timeout_s": -1}, {"window_bytes": 0}])
def test_limits_are_above_zero(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Limits(**settings)
