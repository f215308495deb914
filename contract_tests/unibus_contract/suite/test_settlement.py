"""Settling a delivery."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product

from unibus import Batch, Delivery
from unibus.errors import AlreadySettledError
from unibus_contract.checkers import concurrency, duplicate, exclusivity, fencing, loss
from unibus_contract.consuming import Held
from unibus_contract.history import Kind
from unibus_contract.judgement import require, require_equal, require_quiet, require_raises
from unibus_contract.registry import clause
from unibus_contract.timing import Deadline
from unibus_contract.workbench import Bench

Verb = Callable[[Held], None]

VERBS: Mapping[str, Verb] = {
    "ack": Held.ack,
    "nack": Held.nack,
    "release": Held.release,
    "reject": Held.reject,
}
_AGAIN: Mapping[str, Verb] = {
    "ack": lambda held: held.raw.ack(),
    "nack": lambda held: held.raw.nack(),
    "release": lambda held: held.raw.release(),
    "reject": lambda held: held.raw.reject(),
}
"""The same without a note, for what is to have no effect."""


def verbs(bench: Bench) -> Sequence[str]:
    """Return the ways to settle that the profile offers."""
    return [name for name in VERBS if name != "nack" or bench.capabilities.nack]


@clause("ACK-01")
def test_an_acknowledged_delivery_never_comes_again(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(20)
    first = bench.consumer(subscription)
    reached = bench.drain(first, quiet_s=bench.timing.quiet_s)
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    bench.drain(later, quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, duplicate, loss, fencing)
    assert reached


@clause("ACK-02")
def test_receiving_when_nothing_waits_returns_nothing_in_time(bench: Bench) -> None:
    subscription = bench.subscription()
    consumer = bench.consumer(subscription)
    patience = Deadline(bench.timing.quiet_s + bench.timing.patience_s)
    with require_quiet("receiving when nothing waits"):
        batch = consumer.raw.receive(10, timeout_s=bench.timing.quiet_s)

    require(len(batch) == 0, f"an empty subscription gave {len(batch)} deliveries")
    require(not patience.is_over, f"receive(timeout_s={bench.timing.quiet_s}) did not keep it")


@clause("ACK-03")
def test_the_same_settlement_twice_is_quiet(bench: Bench) -> None:
    names = verbs(bench)
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(len(names))
    consumer = bench.consumer(subscription)
    held = consumer.take(len(names))
    for name, each in zip(names, held, strict=True):
        VERBS[name](each)
        with require_quiet(f"{name} after {name}"):
            _AGAIN[name](each)
    consumer.settled()
    for name, each in zip(names, held, strict=True):
        with require_quiet(f"{name} after a {name} that was confirmed"):
            _AGAIN[name](each)
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("ACK-04")
def test_another_settlement_than_before_is_an_error(bench: Bench) -> None:
    pairs = [(one, other) for one, other in product(verbs(bench), repeat=2) if one != other]
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(len(pairs))
    consumer = bench.consumer(subscription)
    for (one, other), each in zip(pairs, consumer.take(len(pairs)), strict=True):
        VERBS[one](each)
        with require_raises(
            AlreadySettledError, sentence=f"{other} after {one}", saying=[one, other]
        ):
            _AGAIN[other](each)


@clause("ACK-07")
def test_an_ack_settles_no_other_delivery(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(10)
    first = bench.consumer(subscription)
    held = first.take(10)
    for each in reversed(held[1::2]):
        each.ack()
    first.close()
    later = bench.consumer(subscription, bus=bench.bus())
    reached = bench.drain(later)

    bench.judge(subscription, loss)
    assert len(held) == 10
    assert reached


@clause("ACK-08")
def test_a_full_window_leaves_the_rest_to_others(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(5)
    slow = bench.consumer(subscription, max_unsettled=1)
    (held,) = slow.take()
    is_full = slow.is_quiet()
    quick = bench.consumer(subscription, bus=bench.bus())
    rest = quick.take(4)

    require(is_full, "a window of one was exceeded", held.event)
    require_equal(4, len(rest), "what another consumer gets while one holds one of five")
    held.ack()
    for each in rest:
        each.ack()
    reached = bench.drain(slow, quick)
    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


@clause("ACK-10")
def test_a_block_acks_at_its_end_and_nacks_what_it_raises(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(4)
    consumer = bench.consumer(subscription)
    failed: set[str] = set()

    def handle(held: Held) -> None:
        if held.message in failed or len(failed) == 2:
            consumer.settle(held, Kind.ACK, lambda: _block(held, None))
        else:
            failed.add(held.message)
            consumer.settle(held, Kind.NACK, lambda: _block(held, ZeroDivisionError))

    reached = bench.drain(consumer, handler=handle)

    bench.judge(subscription, loss, duplicate, exclusivity, fencing)
    assert len(failed) == 2
    assert reached


@clause("ACK-11")
def test_an_interrupted_block_gives_its_delivery_back(bench: Bench) -> None:
    ends = (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError)
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(len(ends))
    consumer = bench.consumer(subscription)
    for held, end in zip(consumer.take(len(ends)), ends, strict=True):
        consumer.settle(held, Kind.RELEASE, partial(_block, held, end))
    reached = bench.drain(consumer)

    bench.judge(subscription, loss, duplicate, exclusivity)
    assert reached


def _block(held: Held, raised: type[BaseException] | None) -> None:
    """Go through a block with a delivery; an error ends in it, what is none goes on."""
    goes_on = raised is not None and not issubclass(raised, Exception)
    try:
        with held.raw:
            _end_with(raised)
    except BaseException as error:  # noqa: BLE001  # what a block lets out is the question
        require(goes_on and type(error) is raised, f"a block let out {error!r}", held.event)
    else:
        require(not goes_on, f"a block kept {raised} to itself", held.event)


def _end_with(raised: type[BaseException] | None) -> None:
    if raised is not None:
        raise raised


@clause("ACK-12")
def test_a_batch_acks_what_is_left_of_it(bench: Bench) -> None:
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(6)
    first = bench.consumer(subscription).raw
    patience = Deadline(bench.timing.patience_s)
    batches: list[Batch[Delivery]] = []
    held: list[Delivery] = []
    while len(held) < 6 and not patience.is_over:
        batches.append(first.receive(6, timeout_s=patience.left_s))
        held += batches[-1]
    held[1].reject()
    held[4].release()
    with require_quiet("acking a batch of which two were settled otherwise"):
        for batch in batches:
            batch.ack()
    again = first.receive(6, timeout_s=bench.timing.patience_s)
    again.ack()
    first.close()
    left = bench.main.consumer(subscription).receive(6, timeout_s=bench.timing.quiet_s)

    require_equal([held[4].body], list(again.bodies), "what comes again after a batch was acked")
    require_equal([], list(left.bodies), "what is left of a batch that was acked")


@clause("ACK-52")
def test_what_is_settled_in_time_is_never_refused(bench: Bench) -> None:
    names = verbs(bench)
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(30)
    consumer = bench.consumer(subscription)
    held = consumer.take(30)
    for index, each in enumerate(reversed(held)):
        VERBS[names[index % len(names)]](each)
    consumer.settled()
    reached = bench.drain(consumer)

    bench.judge(subscription, fencing, loss, duplicate)
    assert len(held) == 30
    assert reached


@clause("ACK-55")
def test_a_second_settlement_changes_nothing_at_the_broker(bench: Bench) -> None:
    pairs = list(product(verbs(bench), repeat=2))
    subscription = bench.subscription()
    bench.producer(subscription.topic).send(len(pairs))
    consumer = bench.consumer(subscription)
    held = consumer.take(len(pairs))
    for (one, other), each in zip(pairs, held, strict=True):
        VERBS[one](each)
        with suppress(AlreadySettledError):
            _AGAIN[other](each)
    consumer.settled()
    reached = bench.drain(consumer, quiet_s=bench.timing.quiet_s)

    bench.judge(subscription, loss, duplicate, exclusivity, fencing, concurrency(len(pairs)))
    assert reached
