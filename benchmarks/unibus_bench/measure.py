"""Measures contestants in interleaved rounds and compares them inside each round.

CPU is the time of the whole client process, all threads, broker excluded. The order rotates from
round to round, so that nobody always runs on the warm machine. Nothing here judges: the figures go
into a report, and a reader judges.
"""

from __future__ import annotations

import gc
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import override

Role = Literal["raw quickest", "raw tutorial", "unibus", "peer"]
Progress = Callable[[str], None]


class BenchError(Exception):
    """A contestant did not do what it is timed for; its figure would mean nothing."""


class Contestant(ABC):
    """One way to do a scenario's work; ``name``, ``role`` and ``guarantee`` go into the report.

    Only ``run`` is timed. Contestants of one scenario give the same guarantee, or say otherwise.
    """

    name: str
    role: Role
    guarantee: str = "confirmed, durable"
    share: float = 1.0
    """Part of the scenario's messages it does: slow ones need fewer for the same accuracy."""

    def open(self) -> None:  # noqa: B027  # an optional hook
        """Connect and declare; once, before the first round."""

    def prepare(self, count: int) -> None:  # noqa: B027  # an optional hook
        """Bring about what *count* messages need, e.g. fill the queue."""

    @abstractmethod
    def run(self, count: int) -> None:
        """Do *count* messages."""

    def verify(self, count: int) -> None:  # noqa: B027  # an optional hook
        """Raise ``BenchError`` unless exactly *count* messages were done as promised."""

    def close(self) -> None:  # noqa: B027  # an optional hook
        """Give back what ``open`` took."""

    @override
    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio that is aimed at: *contestant* against *base* by client CPU, at least *floor*."""

    contestant: str
    base: str
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Work that several contestants do, each its own way.

    Attributes:
        name: One line for the report.
        contestants: Who does it.
        count: Messages a round.
        goals: Which ratios are aimed at.
    """

    name: str
    contestants: Sequence[Contestant]
    count: int
    goals: Sequence[Goal] = ()


@dataclass(slots=True, kw_only=True)
class Cell:
    """What one contestant took, a figure a round, in microseconds a message."""

    contestant: Contestant
    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How much less CPU *contestant* took than *base*: median of the rounds, least and most."""

    contestant: str
    base: str
    floor: float
    median: float
    least: float
    most: float

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the floor."""
        return self.median >= self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of one scenario."""

    scenario: Scenario
    cells: Sequence[Cell]
    ratios: Sequence[Ratio]


def measure(scenario: Scenario, *, rounds: int, progress: Progress) -> Result:
    """Run *scenario* *rounds* times and return its figures.

    Raises:
        BenchError: A contestant lost, invented or did not confirm a message.
    """
    cells = [Cell(contestant=each) for each in scenario.contestants]
    opened: list[Contestant] = []
    try:
        for cell in cells:
            cell.contestant.open()
            opened.append(cell.contestant)
        for number in range(rounds):
            turn = number % len(cells)
            for cell in [*cells[turn:], *cells[:turn]]:
                progress(f"{scenario.name}: {number + 1} of {rounds}, {cell.contestant.name}")
                _time(cell, max(1, int(scenario.count * cell.contestant.share)))
    finally:
        for contestant in reversed(opened):
            contestant.close()
    return Result(scenario=scenario, cells=cells, ratios=_ratios(scenario, cells))


def _time(cell: Cell, count: int) -> None:
    contestant = cell.contestant
    contestant.prepare(count)
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    contestant.run(count)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    contestant.verify(count)
    cell.cpu_us.append(cpu / count * 1e6)
    cell.wall_us.append(wall / count * 1e6)


def _ratios(scenario: Scenario, cells: Sequence[Cell]) -> list[Ratio]:
    by_name = {cell.contestant.name: cell for cell in cells}
    ratios = []
    for goal in scenario.goals:
        ours, base = by_name[goal.contestant].cpu_us, by_name[goal.base].cpu_us
        paired = [theirs / mine for theirs, mine in zip(base, ours, strict=True)]
        ratios.append(
            Ratio(
                contestant=goal.contestant,
                base=goal.base,
                floor=goal.floor,
                median=statistics.median(paired),
                least=min(paired),
                most=max(paired),
            )
        )
    return ratios


def handle(body: bytes | None) -> None:
    """Stand in for a program's handler: a call that does nothing."""
