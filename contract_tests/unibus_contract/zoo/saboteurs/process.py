"""Cores that misbehave where a process forks, is interrupted, ends or is killed.

They are classes that can be imported, so that the processes of the suite open the same.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import cast

from typing_extensions import override

from unibus import Batch, Bus, Delivery
from unibus.engine.core import Core
from unibus.engine.process import PROCESS
from unibus_contract.zoo.facade import BusWithConsumers, Facade
from unibus_contract.zoo.saboteur import saboteur


@saboteur("A forked child may use the bus of its parent.", "LIF-54")
class ForgetsThatItWasForked(Bus):
    """And both talk on one connection."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        PROCESS.discard(core)


@saboteur("A program that ends without closing its bus writes to standard error.", "LIF-55")
class CriesWhenItIsLeft(Bus):
    """As objects do whose destructors run when nothing works any more."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        leave = core.on_leave

        def cry(timeout_s: float) -> None:
            sys.stderr.write("Exception ignored in: <function Bus.__del__>\n")
            leave(timeout_s)

        core.on_leave = cry


@saboteur(
    "What was published and not awaited is gone when the program ends without closing its bus.",
    "LIF-55",
    harness="rabbitmq",
    profile="rabbitmq",
)
class SavesNothingWhenItIsLeft(Bus):
    """Threads end with the program, whatever they have in hand."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        core.on_leave = _do_nothing


def _do_nothing(timeout_s: float) -> None:
    """For *timeout_s* seconds, and longer."""


@saboteur("Leaving the block of a bus swallows an interrupt.", "LIF-60", "LIF-61")
class SwallowsInterrupts(Bus):
    """As blocks do that take whatever happens for an ordinary end."""

    @override
    def __exit__(  # type: ignore[override]  # that is the defect
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        super().__exit__(kind, error, trace)
        return isinstance(error, KeyboardInterrupt)


@saboteur(
    "A consumer process acks what it receives before its program has handled it.",
    "RED-50",
    harness="rabbitmq",
    profile="rabbitmq",
)
class AcksAheadInAgents(BusWithConsumers):
    """And is killed in between."""

    class _Ahead(Facade):
        def receive(self, max_messages: int = 1, *, timeout_s: float) -> Batch[Delivery]:
            batch = cast("Batch[Delivery]", self.inner.receive(max_messages, timeout_s=timeout_s))
            spec = sys.modules["__main__"].__spec__
            if spec is not None and spec.name == "unibus_contract.agent":
                batch.ack()
            return batch

    facade = _Ahead
