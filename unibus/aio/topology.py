"""Declaring topics and subscriptions, for programs on an event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from unibus import topology
from unibus.aio.feed import blocking
from unibus.engine.core import Core
from unibus.specs import Spec
from unibus.spi import Change

T = TypeVar("T")


class Topology:
    """What exists at the broker, and what has to; made by ``bus.topology``.

    Every call first refuses, without asking the broker, what it cannot carry. A subscription's dead
    letter queue goes with it. What has ``managed=False`` is looked for and never changed.
    """

    def __init__(self, core: Core, executor: Executor) -> None:
        self._core = core
        self._executor = executor
        self._topology = topology.Topology(core)

    async def plan(self, *specs: Spec, timeout_s: float = 30.0) -> tuple[Change, ...]:
        """Return what ``apply`` would do, in order; empty if everything is as it has to be.

        Raises:
            NotFoundError: One with ``managed=False`` does not exist.
            UnsupportedError: The broker cannot carry one of them.
            UnibusError: What the broker answered.
        """
        return await self._run(partial(self._topology.plan, *specs, timeout_s=timeout_s))

    async def apply(
        self, *specs: Spec, allow_danger: bool = False, timeout_s: float = 30.0
    ) -> tuple[Change, ...]:
        """Make *specs* exist, and return what was done; doing it twice is doing it once.

        Nothing is done if one of the changes cannot be.

        Args:
            *specs: Topics, subscriptions and queues, in any order.
            allow_danger: Also do what loses something, e.g. messages.
            timeout_s: For all of it, in seconds.

        Raises:
            TopologyConflictError: One exists with settings that cannot be changed, or only by
                losing something.
            NotFoundError: One with ``managed=False`` does not exist.
            UnsupportedError: The broker cannot carry one of them.
            UnibusError: What the broker answered.
        """
        apply = self._topology.apply
        return await self._run(
            partial(apply, *specs, allow_danger=allow_danger, timeout_s=timeout_s)
        )

    async def describe(self, *specs: Spec, timeout_s: float = 30.0) -> tuple[Spec, ...]:
        """Return those of *specs* that exist, with the settings that they have at the broker.

        Raises:
            UnibusError: What the broker answered.
        """
        return await self._run(partial(self._topology.describe, *specs, timeout_s=timeout_s))

    async def delete(self, *specs: Spec, timeout_s: float = 30.0) -> None:
        """Remove *specs* and what waits in them, subscriptions first; quiet about what is gone.

        Dead letter queues stay: what lies there belongs to nobody else.

        Raises:
            UnsupportedError: One has ``managed=False``, or the adapter deletes nothing.
            UnibusError: What the broker answered.
        """
        await self._run(partial(self._topology.delete, *specs, timeout_s=timeout_s))

    async def _run(self, work: Callable[[], T]) -> T:
        return await blocking(self._executor, self._core.adapter, work)
