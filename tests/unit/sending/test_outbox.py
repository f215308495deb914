from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from fakes_send import PROFILE, QuickSender, SlowSender, binding

from unibus.clock import ManualClock
from unibus.engine.outbox import Outbox
from unibus.engine.pending import Extras
from unibus.engine.receipts import Receipt
from unibus.engine.window import Limits
from unibus.errors import (
    AdapterError,
    ClosedError,
    DeadlineExceededError,
    ForkedError,
    NotFoundError,
    UnavailableError,
    UnibusError,
)
from unibus.outcome import ACCEPTED, OutcomeKind, rejected
from unibus.spi import Link, Ordering, Outgoing, Topic, native

REFUSED = rejected(UnibusError("no"))


def made(
    *,
    window: int = 100,
    window_bytes: int = 1 << 20,
    timeout_s: float = 10.0,
    sender: type[SlowSender] = SlowSender,
    topic: Topic | None = None,
) -> tuple[Outbox, SlowSender, ManualClock]:
    clock = ManualClock()
    limits = Limits(window=window, window_bytes=window_bytes, timeout_s=timeout_s)
    outbox = Outbox(binding(topic), clock, limits, lambda error: AdapterError(str(error)))
    hand = sender(outbox)
    outbox.attach(hand.offer, hand.push)
    return outbox, hand, clock


def put(outbox: Outbox, *bodies: bytes, key: str | None = None) -> list[Receipt]:
    receipts = [outbox.put(body, len(body), key) for body in bodies]
    taken = [receipt for receipt in receipts if receipt is not None]
    assert len(taken) == len(receipts)
    return taken


def test_the_sender_is_told_once_until_it_has_pulled() -> None:
    outbox, sender, _ = made()

    put(outbox, b"a", b"b")
    assert sender.offers == 1
    sender.pull()
    put(outbox, b"c")

    assert sender.offers == 2


def test_a_pull_takes_what_is_there_in_order_and_then_nothing() -> None:
    outbox, sender, _ = made()
    put(outbox, b"a", b"b")

    batch = sender.pull()

    assert batch is not None
    assert batch.bodies == [b"a", b"b"]
    assert sender.pull() is None


def test_a_pulled_batch_never_grows() -> None:
    outbox, sender, _ = made()
    put(outbox, b"a")
    batch = sender.pull()

    put(outbox, b"b")

    assert batch is not None
    assert batch.bodies == [b"a"]


def test_a_batch_keeps_the_bindings_limits_of_messages_and_bytes() -> None:
    outbox, sender, _ = made()
    put(outbox, *[b"x"] * 6, b"y" * 1500, b"y" * 1500)

    batches = [len(batch) for batch in iter(sender.pull, None)]

    assert batches == [5, 2, 1]


def test_columns_have_one_entry_a_message_whenever_they_begin() -> None:
    outbox, sender, _ = made()
    outbox.put(b"a", 1)
    outbox.put(b"b", 1, None, "r")
    outbox.put(b"c", 1, "k", None, Extras({"h": 1}, "id"))
    outbox.put(b"d", 1)

    batch = sender.pull()

    assert batch is not None
    assert batch.routing_keys == [None, "r", None, None]
    assert batch.keys == [None, None, "k", None]
    assert batch.headers == [None, None, {"h": 1}, None]
    assert batch.ids == [None, None, "id", None]


def test_a_column_that_nobody_uses_is_none() -> None:
    outbox, sender, _ = made()
    put(outbox, b"a")

    batch = sender.pull()

    assert batch is not None
    assert (batch.keys, batch.routing_keys, batch.headers) == (None, None, None)


def test_a_receipt_knows_its_outcome_once_its_range_is_reported() -> None:
    outbox, sender, _ = made()
    first, second, third = put(outbox, b"a", b"b", b"c")
    batch = sender.pull()
    assert batch is not None

    outbox.completed(batch, 0, 1, ACCEPTED)
    outbox.completed(batch, 1, 1, REFUSED)

    assert first.outcome is ACCEPTED
    assert second.outcome is REFUSED
    assert third.outcome is None


def test_the_window_counts_until_completion_and_opens_again_at_a_quarter() -> None:
    outbox, sender, _ = made(window=8)
    put(outbox, *[b"x"] * 8)
    while sender.pull() is not None:
        pass
    assert outbox.put(b"y", 1) is None
    woken: list[str] = []
    assert outbox.when_room(lambda: woken.append("now"))

    batch = sender.pulled[0]
    outbox.completed(batch, 0, 5, ACCEPTED)
    assert woken == []
    outbox.completed(sender.pulled[1], 0, 1, ACCEPTED)

    assert woken == ["now"]
    assert outbox.put(b"y", 1) is not None


def test_the_window_counts_bytes_too() -> None:
    outbox, sender, _ = made(window_bytes=1500)
    put(outbox, b"x" * 1600)
    sender.pull()

    assert outbox.put(b"y", 1) is None

    sender.answer()
    assert outbox.put(b"y", 1) is not None


def test_a_batch_of_its_own_comes_after_what_was_put_before() -> None:
    outbox, sender, _ = made()
    put(outbox, b"a")

    outbox.put_batch(Outgoing([b"b", b"c"]), 2)
    put(outbox, b"d")

    assert [batch.bodies for batch in iter(sender.pull, None)] == [[b"a"], [b"b", b"c"], [b"d"]]


def test_only_one_batch_of_a_key_is_under_way() -> None:
    outbox, sender, _ = made(topic=Topic("orders", ordering="key"))
    put(outbox, *[b"x"] * 5, key="a")
    put(outbox, b"y", key="a")
    sender.pull()

    assert sender.pull() is None

    offers = sender.offers
    sender.answer()
    assert sender.offers == offers + 1
    assert sender.pull() is not None


def test_batches_of_other_keys_do_not_wait() -> None:
    outbox, sender, _ = made(topic=Topic("orders", ordering="key"))
    put(outbox, *[b"x"] * 5, key="a")
    put(outbox, b"y", key="b")
    sender.pull()

    assert sender.pull() is not None


def test_an_ordered_topic_has_one_batch_under_way() -> None:
    outbox, sender, _ = made(topic=Topic("orders", ordering="topic"))
    put(outbox, *[b"x"] * 6)
    sender.pull()

    assert sender.pull() is None


def test_an_adapter_that_keeps_order_by_itself_is_not_held_back() -> None:
    pipelined = replace(
        PROFILE.capabilities, ordering=native(Ordering.KEY), ordered_pipeline=native(value=True)
    )
    limits = Limits()
    topic = Topic("orders", ordering="key")
    outbox = Outbox(binding(topic, pipelined), ManualClock(), limits, lambda _: UnibusError())
    put(outbox, *[b"x"] * 6, key="a")
    outbox.pull()

    assert outbox.pull() is not None


def test_what_is_not_pulled_in_time_was_not_sent() -> None:
    outbox, sender, clock = made(timeout_s=10)
    (receipt,) = put(outbox, b"a")

    clock.advance(10)

    assert receipt.outcome.kind is OutcomeKind.REJECTED
    assert isinstance(receipt.outcome.cause, UnavailableError)
    assert receipt.outcome.retryable
    assert sender.pull() is None


def test_what_is_pulled_and_not_answered_in_time_is_unknown() -> None:
    outbox, sender, clock = made(timeout_s=10)
    (receipt,) = put(outbox, b"a")
    sender.pull()

    clock.advance(10)

    assert receipt.outcome.kind is OutcomeKind.UNKNOWN
    assert isinstance(receipt.outcome.cause, DeadlineExceededError)


def test_a_late_answer_frees_the_window_and_is_told_apart() -> None:
    outbox, sender, clock = made(timeout_s=10, window=1)
    (receipt,) = put(outbox, b"a")
    sender.pull()
    clock.advance(10)
    assert outbox.put(b"b", 1) is None

    sender.answer(ACCEPTED)

    assert receipt.outcome.kind is OutcomeKind.UNKNOWN
    assert receipt.late_outcome is ACCEPTED
    assert outbox.put(b"b", 1) is not None


def test_messages_published_later_have_a_later_deadline() -> None:
    outbox, _, clock = made(timeout_s=10)
    (early,) = put(outbox, b"a")
    clock.advance(5)
    (late,) = put(outbox, b"b")

    clock.advance(5)

    assert early.outcome is not None
    assert late.outcome is None
    clock.advance(5)
    assert late.outcome is not None


def test_no_timer_is_left_when_nothing_is_under_way() -> None:
    outbox, _, clock = made(sender=QuickSender)
    put(outbox, b"a")

    clock.advance(1)

    assert clock.next_call_at() is None


def test_a_sender_that_gave_up_rejects_what_it_did_not_pull_and_refuses_more() -> None:
    outbox, sender, _ = made()
    (pulled,) = put(outbox, b"a")
    sender.pull()
    (waiting,) = put(outbox, b"b")

    outbox.state(Link.FATAL, NotFoundError("orders is gone"))

    assert waiting.outcome.kind is OutcomeKind.REJECTED
    assert pulled.outcome is None
    with pytest.raises(NotFoundError, match="gone"):
        outbox.put(b"c", 1)


def test_a_native_cause_is_translated() -> None:
    outbox, _, _ = made()

    outbox.state(Link.FATAL, ValueError("native"))

    with pytest.raises(AdapterError, match="native"):
        outbox.put(b"c", 1)


def test_an_outage_keeps_what_waits_and_its_cause() -> None:
    outbox, _, clock = made()
    (receipt,) = put(outbox, b"b")

    outbox.state(Link.DOWN, UnavailableError("host db1 refused"))
    assert receipt.outcome is None
    clock.advance(10)

    assert "host db1 refused" in str(receipt.outcome.cause)


def test_closing_wakes_who_waits_for_room() -> None:
    outbox, _, _ = made(window=1)
    put(outbox, b"a")
    woken: list[str] = []
    outbox.when_room(lambda: woken.append("now"))

    outbox.stop(ClosedError("closed"))

    assert woken == ["now"]
    with pytest.raises(ClosedError):
        outbox.put(b"b", 1)


def test_what_a_closed_sender_never_answered_is_unknown() -> None:
    outbox, sender, _ = made()
    (receipt,) = put(outbox, b"a")
    batch = sender.pull()
    assert batch is not None

    outbox.give_up(DeadlineExceededError("closed"))
    outbox.completed(batch, 0, 1, ACCEPTED)

    assert receipt.outcome.kind is OutcomeKind.UNKNOWN


def test_a_forked_child_neither_publishes_nor_waits() -> None:
    outbox, _, _ = made()
    (receipt,) = put(outbox, b"a")
    outbox._lock.acquire()  # as another thread held it at the moment of the fork

    outbox.abandon()

    with pytest.raises(ForkedError):
        outbox.put(b"b", 1)
    with pytest.raises(ForkedError):
        receipt.wait()


def test_a_failure_is_reported_once_and_only_if_nobody_has_looked() -> None:
    outbox, sender, _ = made()
    seen, unseen, fine = put(outbox, b"a", b"b", b"c")
    batch = sender.pull()
    assert batch is not None
    outbox.completed(batch, 0, 2, REFUSED)
    outbox.completed(batch, 2, 1, ACCEPTED)
    assert fine.outcome is ACCEPTED
    assert seen.outcome is REFUSED

    error = outbox.take_failures()

    assert error is not None
    assert error.failures == (unseen,)
    assert outbox.take_failures() is None


def test_two_threads_lose_no_message_and_keep_their_own_order() -> None:
    outbox, sender, _ = made(window=100_000)

    def publish(name: bytes) -> None:
        for number in range(500):
            outbox.put(name + b"%d" % number, 4)

    threads = [threading.Thread(target=publish, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sender.pull()
    while sender.pull() is not None:
        pass

    bodies = [body for batch in sender.pulled for body in batch.bodies]
    assert len(bodies) == 1000
    for name in (b"a", b"b"):
        numbers = [int(body[1:]) for body in bodies if body[:1] == name]
        assert numbers == sorted(numbers)
