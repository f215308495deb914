from __future__ import annotations

import threading

import pytest
from fakes_send import SlowSender, binding

from unibus.clock import ManualClock
from unibus.engine.outbox import Outbox
from unibus.engine.receipts import BatchReceipt, Receipt
from unibus.engine.window import Limits
from unibus.errors import DeadlineExceededError, PublishFailedError, UnroutableError
from unibus.outcome import ACCEPTED, rejected
from unibus.spi import Outgoing

UNROUTABLE = rejected(UnroutableError("nobody listens"))


def sent(*sizes: int) -> tuple[Outbox, SlowSender, BatchReceipt]:
    outbox = Outbox(binding(), ManualClock(), Limits(), lambda error: UnroutableError(str(error)))
    sender = SlowSender(outbox)
    batches = [outbox.put_batch(Outgoing([b"x"] * size), size) for size in sizes]
    while sender.pull() is not None:
        pass
    return outbox, sender, BatchReceipt([batch for batch in batches if batch is not None])


def test_waiting_returns_when_another_thread_reports() -> None:
    _, sender, batch = sent(1)
    reporter = threading.Timer(0.02, sender.answer)
    reporter.start()

    outcome = batch[0].wait(5)

    reporter.join()
    assert outcome is ACCEPTED


def test_waiting_gives_up_in_time_and_says_so() -> None:
    _, _, batch = sent(1)

    with pytest.raises(DeadlineExceededError, match=r"0\.01 s"):
        batch[0].wait(0.01)


def test_a_waiter_is_woken_by_its_own_message_not_by_the_whole_batch() -> None:
    outbox, sender, batch = sent(2)
    woken: list[int] = []
    for index in (0, 1):
        pending, at = batch[index]
        outbox.when_decided(pending, at, lambda index=index: woken.append(index))

    outbox.completed(sender.pulled[0], 0, 1, ACCEPTED)

    assert woken == [0]


def test_result_raises_the_cause_and_can_do_so_again() -> None:
    _, sender, batch = sent(1)
    sender.answer(UNROUTABLE)

    for _ in range(2):
        with pytest.raises(UnroutableError, match="nobody listens"):
            batch[0].result()


def test_a_receipt_shows_its_outcome_and_not_its_batch() -> None:
    _, sender, batch = sent(1)

    assert repr(batch[0]) == "<Receipt undecided>"
    sender.answer()
    assert repr(batch[0]) == "<Receipt <accepted>>"


def test_a_batch_receipt_spans_batches_and_keeps_the_order() -> None:
    _, sender, batch = sent(2, 1)
    sender.answer(UNROUTABLE)
    sender.answer()

    assert len(batch) == 3
    assert batch.wait(1) == [UNROUTABLE, UNROUTABLE, ACCEPTED]
    assert [receipt.outcome for receipt in batch] == batch.outcomes
    assert batch[-1].outcome is ACCEPTED
    assert batch.failures == tuple(batch[:2])
    with pytest.raises(IndexError):
        _ = batch[3]


def test_the_failures_of_a_batch_receipt_are_looked_at_once_read() -> None:
    outbox, sender, batch = sent(2)
    sender.answer(UNROUTABLE)

    assert len(batch.failures) == 2
    assert outbox.take_failures() is None


def test_the_result_of_a_batch_carries_what_failed() -> None:
    _, sender, batch = sent(2)
    sender.answer(UNROUTABLE)

    with pytest.raises(PublishFailedError, match="2 publishes failed") as caught:
        batch.result(1)

    assert caught.value.failures == tuple(batch)


def test_an_empty_batch_receipt_is_decided() -> None:
    empty = BatchReceipt([])

    assert (len(empty), empty.wait(), empty.failures) == (0, [], ())


def test_a_receipt_is_only_a_tuple() -> None:
    _, _, batch = sent(1)

    assert Receipt.__slots__ == ()
    assert isinstance(batch[0], tuple)
