from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_send import FakeAdapter, QuickSender, SlowSender

import unibus
from unibus.clock import ManualClock
from unibus.spi import AdapterError, Change

ORDERS = unibus.Topic("orders")
EMAIL = unibus.Subscription("email", topic=ORDERS)


@pytest.fixture
def adapter() -> FakeAdapter:
    return FakeAdapter()


@pytest.fixture
def bus(adapter: FakeAdapter) -> Iterator[unibus.Bus]:
    with unibus.Bus.over(adapter, clock=ManualClock()) as bus:
        yield bus


def test_what_the_broker_cannot_carry_is_refused_before_it_is_asked(
    bus: unibus.Bus, adapter: FakeAdapter
) -> None:
    with pytest.raises(unibus.UnsupportedError):
        bus.producer(unibus.Topic("orders", ordering="topic"))

    assert adapter.senders == []


def test_a_producer_publishes_to_topics_and_queues_only(bus: unibus.Bus) -> None:
    with pytest.raises(unibus.ConfigurationError, match="not to Subscription"):
        bus.producer(EMAIL)  # type: ignore[arg-type]  # the point


def test_a_consumer_receives_from_subscriptions_and_queues_only(bus: unibus.Bus) -> None:
    topic: Any = ORDERS

    with pytest.raises(unibus.ConfigurationError, match="not from the topic"):
        bus.consumer(topic)


def test_connecting_takes_some_time() -> None:
    with pytest.raises(unibus.ConfigurationError, match="timeout_s is 0"):
        unibus.connect("memory://", timeout_s=0)


def test_an_error_of_the_client_library_is_translated(
    bus: unibus.Bus, adapter: FakeAdapter
) -> None:
    adapter.failure = ValueError("native")

    with pytest.raises(AdapterError, match="fake: native") as caught:
        bus.producer(ORDERS)

    assert isinstance(caught.value.__cause__, ValueError)


def test_closing_flushes_producers_before_it_closes_the_connection(adapter: FakeAdapter) -> None:
    class Witness(QuickSender):
        def close(self, timeout_s: float) -> None:
            assert not adapter.is_closed
            super().close(timeout_s)

    adapter.sender = Witness
    bus = unibus.Bus.over(adapter)
    receipt = bus.producer(ORDERS).publish(b"a")

    bus.close()

    assert receipt.outcome is unibus.ACCEPTED
    assert adapter.senders[0].is_closed
    assert adapter.is_closed


def test_failed_publishes_are_told_when_everything_is_closed(adapter: FakeAdapter) -> None:
    adapter.sender = SlowSender
    bus = unibus.Bus.over(adapter)
    receipts = [bus.producer(topic).publish(b"a") for topic in (ORDERS, unibus.Topic("other"))]

    with pytest.raises(unibus.PublishFailedError) as caught:
        bus.close(0.05)

    assert caught.value.failures == tuple(receipts)
    assert adapter.is_closed


def test_a_closed_bus_refuses_and_closes_again_quietly(adapter: FakeAdapter) -> None:
    bus = unibus.Bus.over(adapter)
    producer = bus.producer(ORDERS)
    bus.close()
    bus.close()

    for use in (
        lambda: bus.producer(ORDERS),
        lambda: bus.topology.apply(ORDERS),
        lambda: bus.backlog(EMAIL),
        lambda: producer.publish(b"a"),
    ):
        with pytest.raises(unibus.ClosedError):
            use()


def test_a_forked_child_is_told_and_leaves_the_connection_alone(
    bus: unibus.Bus, adapter: FakeAdapter
) -> None:
    producer = bus.producer(ORDERS)
    child = os.fork()
    if child == 0:
        try:
            codes = [
                isinstance(_error(use), unibus.ForkedError)
                for use in (
                    lambda: producer.publish(b"a"),
                    lambda: bus.producer(ORDERS),
                )
            ]
            bus.close()
            os._exit(0 if all(codes) and not adapter.is_closed else 1)
        finally:
            os._exit(2)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert producer.publish(b"a").outcome is unibus.ACCEPTED


def _error(use: object) -> BaseException | None:
    try:
        use()  # type: ignore[operator]  # a lambda
    except unibus.UnibusError as error:
        return error
    return None


def test_a_program_that_forgets_to_close_ends_quietly() -> None:
    program = (
        "import unibus\n"
        "bus = unibus.connect('memory://')\n"
        "orders = unibus.Queue('orders')\n"
        "bus.topology.apply(orders)\n"
        "bus.producer(orders).publish(b'a')\n"
        "next(iter(bus.consumer(orders)))\n"
    )

    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_importing_loads_neither_asyncio_nor_pydantic_nor_a_client() -> None:
    program = (
        "import sys, unibus\n"
        "print({'asyncio', 'pydantic', 'pika', 'importlib.metadata'} & set(sys.modules))"
    )

    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout.strip() == "set()"


def test_every_public_name_is_there() -> None:
    assert [name for name in unibus.__all__ if not hasattr(unibus, name)] == []
    assert len(set(unibus.__all__)) == len(unibus.__all__)


def test_capabilities_are_those_of_the_profile(bus: unibus.Bus) -> None:
    assert list(bus.profiles) == ["plain"]
    assert bus.capabilities.ordering.value is unibus.Ordering.KEY
    assert bus.capabilities_of(ORDERS).ordering.value is unibus.Ordering.NONE


def test_a_requirement_that_no_profile_meets_is_refused(adapter: FakeAdapter) -> None:
    with pytest.raises(unibus.UnsupportedError, match="browse"):
        unibus.Bus.over(adapter, require=unibus.Requirements(browse=True))


def test_backlog_and_purge_are_roles_of_the_adapter(bus: unibus.Bus) -> None:
    assert bus.backlog(EMAIL) == 7
    bus.purge(EMAIL)


def test_a_redrive_needs_a_dead_letter_queue(bus: unibus.Bus) -> None:
    with pytest.raises(unibus.ConfigurationError, match="dead_letter"):
        bus.redrive(EMAIL)


def test_topics_are_planned_before_subscriptions_with_what_they_need(
    bus: unibus.Bus, adapter: FakeAdapter
) -> None:
    email = unibus.Subscription("email", topic=ORDERS, dead_letter="dead")

    bus.topology.plan(email, ORDERS)

    (asked,) = adapter.asked
    assert [(type(spec).__name__, spec.name) for spec in asked] == [
        ("Topic", "orders"),
        ("Queue", "dead"),
        ("Subscription", "email"),
    ]
    assert {spec.profile for spec in asked} == {"plain"}


def test_what_is_not_managed_is_looked_for_and_never_planned(
    bus: unibus.Bus, adapter: FakeAdapter
) -> None:
    theirs = unibus.Topic("theirs", managed=False)

    with pytest.raises(unibus.NotFoundError, match="Topic 'theirs'"):
        bus.topology.apply(theirs)
    adapter.existing.append(theirs)
    bus.topology.apply(theirs)

    assert adapter.asked == []


def test_nothing_is_applied_if_something_cannot_be(bus: unibus.Bus, adapter: FakeAdapter) -> None:
    adapter.changes = [
        Change(kind="create", spec=ORDERS, text="declare orders"),
        Change(kind="refuse", spec=EMAIL, text="email is classic"),
    ]

    with pytest.raises(unibus.TopologyConflictError, match="email is classic"):
        bus.topology.apply(ORDERS, EMAIL)

    assert adapter.applied == []


def test_what_loses_something_has_to_be_allowed(bus: unibus.Bus, adapter: FakeAdapter) -> None:
    adapter.changes = [Change(kind="danger", spec=EMAIL, text="drops 3 messages")]

    with pytest.raises(unibus.TopologyConflictError, match="allow_danger"):
        bus.topology.apply(EMAIL)
    bus.topology.apply(EMAIL, allow_danger=True)

    assert adapter.applied == adapter.changes


def test_deleting_is_a_role_of_the_adapter(bus: unibus.Bus) -> None:
    with pytest.raises(unibus.UnsupportedError, match="deletes nothing"):
        bus.topology.delete(ORDERS)
