from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from fakes_send import FakeAdapter, QuickSender, SlowSender

import unibus
import unibus.aio
from unibus.outcome import rejected

ORDERS = unibus.Topic("orders")
UNROUTABLE = rejected(unibus.UnroutableError("nobody listens"))
Test = Callable[[unibus.aio.Bus, FakeAdapter], Awaitable[None]]


def on_bus(test: Test, sender: type[SlowSender] = QuickSender) -> None:
    async def run() -> None:
        adapter = FakeAdapter(sender=sender)
        async with unibus.aio.Bus.over(adapter) as bus:
            await test(bus, adapter)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_turn_of_the_loop_is_offered_once() -> None:
    async def test(bus: unibus.aio.Bus, adapter: FakeAdapter) -> None:
        async with bus.producer(ORDERS) as producer:
            receipts = await asyncio.gather(*(producer.publish(b"x") for _ in range(4)))
            outcomes = await asyncio.gather(*(receipt.wait() for receipt in receipts))

        (sender,) = adapter.senders
        assert outcomes == [unibus.ACCEPTED] * 4
        assert sender.offers == 1

    on_bus(test)


def test_an_answer_from_another_thread_wakes_the_waiter() -> None:
    async def test(bus: unibus.aio.Bus, adapter: FakeAdapter) -> None:
        async with bus.producer(ORDERS) as producer:
            receipt = await producer.publish(b"x")
            (sender,) = adapter.senders
            sender.pull()
            answer = threading.Timer(0.02, sender.answer, [UNROUTABLE])
            answer.start()

            with pytest.raises(unibus.UnroutableError):
                await receipt.result(5)

            answer.join()

    on_bus(test, SlowSender)


def test_waiting_gives_up_in_time() -> None:
    async def test(bus: unibus.aio.Bus, _: FakeAdapter) -> None:
        producer = await bus.producer(ORDERS)
        receipt = await producer.publish(b"x")
        with pytest.raises(unibus.DeadlineExceededError):
            await receipt.wait(0.01)
        with pytest.raises(unibus.DeadlineExceededError):
            await producer.flush(0.01)
        with pytest.raises(unibus.PublishFailedError):
            await producer.close(0.01)

    on_bus(test, SlowSender)


def test_a_full_window_holds_up_the_task_and_not_the_loop() -> None:
    async def test(bus: unibus.aio.Bus, adapter: FakeAdapter) -> None:
        producer = await bus.producer(ORDERS, window=1)
        await producer.publish(b"a")
        waiting = asyncio.create_task(producer.publish(b"b"))
        await asyncio.sleep(0)
        assert not waiting.done()

        (sender,) = adapter.senders
        for _ in range(2):
            sender.pull()
            sender.answer()
            await waiting
        await producer.close()

    on_bus(test, SlowSender)


def test_many_have_an_outcome_each() -> None:
    async def test(bus: unibus.aio.Bus, _: FakeAdapter) -> None:
        async with bus.producer(ORDERS) as producer:
            receipt = await producer.publish_many([b"x"] * 12)

            assert await receipt.wait(5) == [unibus.ACCEPTED] * 12
            assert len(receipt) == 12
            assert receipt[-1].outcome is unibus.ACCEPTED

    on_bus(test)


def test_what_failed_unseen_is_told_by_the_close() -> None:
    async def test(bus: unibus.aio.Bus, adapter: FakeAdapter) -> None:
        producer = await bus.producer(ORDERS)
        (sender,) = adapter.senders
        assert isinstance(sender, QuickSender)
        sender.outcome = UNROUTABLE
        await producer.publish(b"x")
        with pytest.raises(unibus.PublishFailedError, match="nobody listens"):
            await producer.close()

    on_bus(test)


def test_closing_the_bus_ends_everything_it_opened() -> None:
    async def run() -> None:
        adapter = FakeAdapter()
        bus = unibus.aio.Bus.over(adapter)
        producer = await bus.producer(ORDERS)
        await bus.close()
        await bus.close()
        with pytest.raises(unibus.ClosedError):
            await producer.publish(b"x")
        with pytest.raises(unibus.ClosedError):
            bus.producer(ORDERS)
        assert adapter.senders[0].is_closed
        assert adapter.is_closed

    asyncio.run(run())
    left = [each for each in threading.enumerate() if each.name.startswith("unibus-aio")]
    for thread in left:
        thread.join(5.0)  # it has been told to end, and may be on its way
    assert not [each.name for each in left if each.is_alive()]


def test_the_same_program_runs_on_memory() -> None:
    async def run() -> list[bytes | None]:
        orders = unibus.Queue("orders")
        async with unibus.aio.connect("memory://") as bus:
            await bus.topology.apply(orders)
            async with bus.producer(orders) as producer:
                await producer.publish(b"a")
            async with bus.consumer(orders) as consumer:
                batch = await consumer.receive(5, timeout_s=5)
                batch.ack()
            assert await bus.backlog(orders) == 0
            return list(batch.bodies)

    assert asyncio.run(run()) == [b"a"]
