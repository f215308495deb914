"""The bus under test in another process: the same URL, and the same class if it is a saboteur."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import unibus
from unibus import Bus
from unibus.engine.core import Core
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped

_OPEN_S = 10.0


def way_to(broker: BrokerUnderTest, url: str) -> Mapping[str, str]:
    """Return what ``open_bus`` in another process makes a bus to *broker* of.

    A saboteur goes along if it is a class that can be imported.
    """
    kind = broker.bus_class if isinstance(broker, OverWrapped) else Bus
    is_plain = kind is Bus or "<locals>" in kind.__qualname__
    return (
        {"url": url} if is_plain else {"url": url, "bus": f"{kind.__module__}:{kind.__qualname__}"}
    )


def open_bus(order: Mapping[str, Any]) -> Bus:
    """Return an open bus, as *order* from ``way_to`` says.

    Raises:
        UnibusError: As ``unibus.connect``.
    """
    if (name := order.get("bus")) is None:
        return unibus.connect(order["url"], timeout_s=_OPEN_S)
    module, _, path = str(name).partition(":")
    kind = getattr(import_module(module), path)
    core = Core.connect(order["url"], options=None, require=None, timeout_s=_OPEN_S)
    opened: Bus = kind(core)
    return opened
