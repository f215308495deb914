from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine
from functools import wraps

import pytest
from fakes_receive import UNCONFIRMED, make_aio

from unibus import spi
from unibus.aio.deliveries import Delivery
from unibus.errors import ClosedError, DeadlineExceededError, UnsupportedError
from unibus.outcome import OutcomeKind
from unibus.specs import Subscription, Topic

KEYED = Subscription("work", topic=Topic("events", ordering="key"))


def on_a_loop(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))

    return run


@on_a_loop
async def test_iterating_hands_out_in_order_and_acks_leave_as_ranges() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        adapter.receiver.bring(b"a", b"b", b"c")
        seen = []
        async for delivery in consumer:
            async with delivery:
                seen.append(delivery.body)
            if len(seen) == 3:
                break

        assert seen == [b"a", b"b", b"c"]
        assert adapter.receiver.settled() == [("ack", 0, 3)]


@on_a_loop
async def test_a_message_from_another_thread_wakes_the_loop() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        thread = threading.Timer(0.02, lambda: adapter.receiver.bring(b"late"))
        thread.start()

        assert list((await consumer.receive(1, timeout_s=10)).bodies) == [b"late"]
        thread.join()


@on_a_loop
async def test_a_burst_wakes_the_loop_once() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        loop = asyncio.get_running_loop()
        wakes = 0
        original = loop.call_soon_threadsafe

        def counted(*args: object, **kwargs: object) -> object:
            nonlocal wakes
            wakes += 1
            return original(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

        loop.call_soon_threadsafe = counted  # type: ignore[assignment,method-assign]  # counts
        for _ in range(100):
            adapter.receiver.bring(b"x")
        loop.call_soon_threadsafe = original  # type: ignore[method-assign]  # as it was

        assert wakes == 1


@on_a_loop
async def test_cancelling_a_receive_loses_no_message() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        for turns in range(6):
            task = asyncio.create_task(consumer.receive(1, timeout_s=10))
            adapter.receiver.bring(str(turns).encode())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            got = await asyncio.gather(task, return_exceptions=True)
            if isinstance(got[0], asyncio.CancelledError):
                again = await consumer.receive(1, timeout_s=10)
                assert list(again.bodies) == [str(turns).encode()]


@on_a_loop
async def test_an_empty_receive_returns_at_its_deadline() -> None:
    consumer, _ = make_aio()
    async with consumer:
        assert len(await consumer.receive(1, timeout_s=0.01)) == 0
        assert len(await consumer.receive(1, timeout_s=0)) == 0


@on_a_loop
async def test_a_second_task_cannot_receive_meanwhile() -> None:
    consumer, _ = make_aio()
    async with consumer:
        task = asyncio.create_task(consumer.receive(1, timeout_s=10))
        await asyncio.sleep(0)

        with pytest.raises(UnsupportedError, match="another task"):
            await consumer.receive(1)
        task.cancel()


@on_a_loop
async def test_a_cancelled_handler_releases_its_delivery() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        adapter.receiver.bring(b"a")
        started = asyncio.Event()

        async def handle() -> None:
            async for delivery in consumer:
                async with delivery:
                    started.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(handle())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert adapter.receiver.settled() == [("release", 0, 1)]


@on_a_loop
async def test_a_failed_body_is_nacked_and_the_loop_goes_on() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        adapter.receiver.bring(b"bad", b"good")
        async for delivery in consumer:
            async with delivery:
                if delivery.body == b"bad":
                    raise ValueError("broken")
            if delivery.body == b"good":
                break

        assert adapter.receiver.settled() == [("nack", 0, 1), ("ack", 1, 1)]


@on_a_loop
async def test_waiting_for_a_settlement_does_not_block_the_loop() -> None:
    consumer, adapter = make_aio(capabilities=UNCONFIRMED)
    async with consumer:
        receiver = adapter.receiver
        receiver.answer, receiver.answers_barriers = spi.SENT, False
        receiver.bring(b"a")
        (delivery,) = await consumer.receive(1)
        delivery.ack()

        with pytest.raises(DeadlineExceededError):
            await delivery.wait_settled(0.01)
        with pytest.raises(DeadlineExceededError):
            await consumer.flush(0.01)
        receiver.answers_barriers = True
        thread = threading.Timer(0.02, receiver.barrier)
        thread.start()

        assert (await delivery.wait_settled(10)).kind is OutcomeKind.SETTLED
        await consumer.flush(10)
        thread.join()


@on_a_loop
async def test_at_most_once_settles_before_it_hands_out() -> None:
    consumer, adapter = make_aio(delivery="at_most_once", capabilities=UNCONFIRMED)
    async with consumer:
        adapter.receiver.answer = spi.SENT
        adapter.receiver.bring(b"a", b"b", b"c")

        assert list((await consumer.receive(2)).bodies) == [b"a", b"b"]
        assert adapter.receiver.settled() == [("ack", 0, 2)]


@on_a_loop
async def test_close_ends_a_waiting_loop_and_waits_for_its_handler() -> None:
    consumer, adapter = make_aio()
    await consumer.open()
    adapter.receiver.bring(b"a", b"b")
    started, seen = asyncio.Event(), []

    async def handle() -> None:
        async for delivery in consumer:
            started.set()
            await asyncio.sleep(0.02)
            delivery.ack()
            seen.append(delivery.body)

    task = asyncio.create_task(handle())
    await started.wait()
    await consumer.close()
    await task
    await consumer.close()

    assert seen == [b"a"]
    assert adapter.receiver.settled() == [("ack", 0, 1)]
    assert adapter.receiver.calls == ["close"]
    with pytest.raises(ClosedError):
        await consumer.receive(1)


@on_a_loop
async def test_a_consumer_that_is_not_open_says_how_to_open_it() -> None:
    consumer, _ = make_aio()

    with pytest.raises(ClosedError, match="async with"):
        await consumer.receive(1)
    await consumer.close()


@on_a_loop
async def test_a_revocation_is_bounded_when_the_loop_is_blocked() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        incoming = adapter.receiver.bring(b"a")
        await consumer.receive(1)
        leases = [each.lease for each in incoming.cuts]
        thread = threading.Thread(target=adapter.receiver.events.revoking, args=(leases, 0.05))
        thread.start()
        thread.join(10)  # the loop stands still meanwhile

        assert not thread.is_alive()


@on_a_loop
async def test_workers_never_exceed_their_bound_and_keep_each_key_in_order() -> None:
    consumer, adapter = make_aio(spec=KEYED, max_unsettled=64)
    total, keys, workers = 120, 5, 3
    async with consumer:
        for first in range(0, total, 20):
            adapter.receiver.bring(
                *[spi.Message(str(i).encode(), f"k{i % keys}") for i in range(first, first + 20)]
            )
        seen: dict[str | None, list[int]] = defaultdict(list)
        stop = asyncio.Event()
        now, most = 0, 0

        async def handle(delivery: Delivery) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            number = int(delivery.body or b"")
            for _ in range(number % 4):
                await asyncio.sleep(0)
            seen[delivery.key].append(number)
            now -= 1
            if sum(map(len, seen.values())) == total:
                stop.set()

        await consumer.run(handle, workers=workers, stop=stop)
        await consumer.flush()

        assert most == workers
        assert dict(seen) == {f"k{k}": list(range(k, total, keys)) for k in range(keys)}
        assert sum(each.count for each in adapter.receiver.verdicts) == total


@on_a_loop
async def test_cancelling_the_work_cancels_its_handlers_and_releases() -> None:
    consumer, adapter = make_aio()
    async with consumer:
        adapter.receiver.bring(b"a", b"b", b"c")
        started = asyncio.Event()

        async def handle(_: Delivery) -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(consumer.run(handle, workers=2))
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert sorted(each.first for each in adapter.receiver.verdicts) == [0, 1, 2]
        assert {each.kind for each in adapter.receiver.verdicts} == {spi.VerdictKind.RELEASE}


@on_a_loop
async def test_closing_from_a_handler_does_not_wait_for_itself() -> None:
    consumer, adapter = make_aio()
    await consumer.open()
    adapter.receiver.bring(b"a")

    async def handle(_: Delivery) -> None:
        await consumer.close(timeout_s=60)

    await consumer.run(handle, workers=2)

    assert adapter.receiver.calls == ["close"]
