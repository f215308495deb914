"""What clauses may say of a subscription, a queue or a consumer; the rest has its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from unibus.requirements import Requirements
from unibus.specs import Filter, OrderingName


class SubscriptionFields(TypedDict, total=False):
    """Those of ``Subscription``, without its name, topic and profile."""

    mode: Literal["queue", "stream"]
    filter: Filter | None
    start: Literal["earliest", "latest"] | datetime | None
    lease_s: float | None
    max_attempts: int | None
    dead_letter: str | None
    require: Requirements | None
    emulate: Literal["allow", "refuse"] | None
    managed: bool
    native: Mapping[str, Any]


class QueueFields(TypedDict, total=False):
    """Those of ``Queue``, without its name and profile."""

    ordering: OrderingName
    lease_s: float | None
    max_attempts: int | None
    dead_letter: str | None
    emulate: Literal["allow", "refuse"] | None
    managed: bool
    native: Mapping[str, Any]


class ConsumerFields(TypedDict, total=False):
    """Those of ``Bus.consumer``."""

    delivery: Literal["at_least_once", "at_most_once"]
    max_unsettled: int
    max_batch: int
    renew_leases: bool


class ProducerFields(TypedDict, total=False):
    """Those of ``Bus.producer``."""

    acks: Literal["all", "leader", "none"]
    window: int
    timeout_s: float
