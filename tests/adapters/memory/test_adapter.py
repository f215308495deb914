from __future__ import annotations

import threading

import pytest

from unibus.spi import (
    ConfigurationError,
    ManualClock,
    NotFoundError,
    Queue,
    Subscription,
    SystemClock,
    Topic,
)
from unibus_memory import MemoryAdapter

ORDERS = Topic("orders")
EMAIL = Subscription("email", topic=ORDERS)


def _open(url: str = "memory://") -> MemoryAdapter:
    return MemoryAdapter.open(url, {}, clock=ManualClock(), timeout_s=1)


def _apply(adapter: MemoryAdapter, *specs: Topic | Subscription | Queue) -> list[str]:
    changes = adapter.plan(specs, timeout_s=1)
    for change in changes:
        adapter.apply(change, timeout_s=1)
    return [change.text for change in changes]


def test_applying_twice_changes_nothing() -> None:
    adapter = _open()

    assert _apply(adapter, EMAIL, ORDERS) == ["declare topic orders", "declare subscription email"]
    assert _apply(adapter, EMAIL, ORDERS) == []


def test_another_lease_is_named() -> None:
    adapter = _open()
    _apply(adapter, ORDERS, EMAIL)
    (change,) = adapter.plan([Subscription("email", topic=ORDERS, lease_s=9)], timeout_s=1)

    assert change.kind == "alter"
    assert "lease_s is None, asked for 9" in change.text


def test_what_is_not_managed_has_to_exist() -> None:
    with pytest.raises(NotFoundError, match="topic theirs is not managed here"):
        _open().plan([Topic("theirs", managed=False)], timeout_s=1)


def test_buses_of_one_name_share_a_broker_and_private_ones_do_not() -> None:
    one, two = _open("memory://shop"), _open("memory://shop")

    assert one.native is two.native
    assert _open().native is not _open().native


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown setting profil;"):
        _open("memory://?profil=memory")


def test_a_named_broker_outlives_the_clock_of_the_bus_that_made_it() -> None:
    clock = SystemClock()
    one = MemoryAdapter.open("memory://shared-clock", {}, clock=clock, timeout_s=1)
    clock.close()
    fired = threading.Event()
    one.native.clock.call_at(one.native.clock.now(), fired.set)

    assert fired.wait(5)


def test_names_are_those_that_exist() -> None:
    adapter = _open()
    _apply(adapter, ORDERS, EMAIL)
    adapter.delete(EMAIL, timeout_s=1)

    assert adapter.native.names() == {"orders"}
