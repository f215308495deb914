"""Renders results: a table to read, JSON to keep; ratios first, absolute figures second."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from unibus_bench.growth import Figure
from unibus_bench.measure import Result
from unibus_bench.scale import Step


def as_json(
    results: Sequence[Result], figures: Sequence[Figure], *, versions: dict[str, str]
) -> dict[str, Any]:
    """Return *results* as plain values: figures of every round, not only the medians."""
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
        "unit": "microseconds a message",
        "scenarios": [_scenario(result) for result in results],
        "figures": [{**asdict(figure), "met": figure.is_met} for figure in figures],
    }


def _scenario(result: Result) -> dict[str, Any]:
    return {
        "name": result.scenario.name,
        "messages": result.scenario.count,
        "contestants": [
            {
                "name": cell.contestant.name,
                "role": cell.contestant.role,
                "guarantee": cell.contestant.guarantee,
                "cpu_us": cell.cpu_us,
                "wall_us": cell.wall_us,
            }
            for cell in result.cells
        ],
        "ratios": [
            {
                "contestant": ratio.contestant,
                "base": ratio.base,
                "by": "client CPU",
                "median": ratio.median,
                "least": ratio.least,
                "most": ratio.most,
                "floor": ratio.floor,
                "met": ratio.is_met,
            }
            for ratio in result.ratios
        ],
    }


def print_tables(results: Sequence[Result], console: Console) -> None:
    """Print the ratios, then what each contestant took."""
    ratios = Table("scenario", "unibus", "against", "median", "spread", "floor", title="Ratios")
    figures = Table(
        "scenario", "contestant", "role", "CPU us", "wall us", "messages/s", title="Medians"
    )
    for result in results:
        name = result.scenario.name
        for ratio in result.ratios:
            verdict = "" if ratio.is_met else " (short)"
            spread = f"{ratio.least:.2f}-{ratio.most:.2f}"
            row = (f"{ratio.median:.2f}x", spread, f"{ratio.floor:g}x{verdict}")
            ratios.add_row(name, ratio.contestant, ratio.base, *row)
        for cell in result.cells:
            cpu, wall = statistics.median(cell.cpu_us), statistics.median(cell.wall_us)
            row = (f"{cpu:.2f}", f"{wall:.2f}", f"{1e6 / wall:,.0f}")
            figures.add_row(name, cell.contestant.name, cell.contestant.role, *row)
    console.print(ratios)
    console.print(figures)


def print_figures(figures: Sequence[Figure], console: Console) -> None:
    """Print the single figures, if there are any."""
    if not figures:
        return
    table = Table("what", "value", "ceiling", title="Figures")
    for figure in figures:
        verdict = "" if figure.is_met else " (over)"
        table.add_row(
            figure.name, f"{figure.value:.1f} {figure.unit}", f"{figure.ceiling:g}{verdict}"
        )
    console.print(table)


def print_scale(
    steps: Sequence[Step], kept: int, published: int, order: dict[str, int], console: Console
) -> None:
    """Print what more workers bring, what was kept, and whether order held."""
    table = Table("profile", "ordering", "workers", "messages/s", "factor", "idle", title="Workers")
    for step in steps:
        figures = (f"{step.messages_s:,.0f}", f"{step.factor:.2f}x", str(step.idle))
        table.add_row(step.profile, step.ordering, str(step.workers), *figures)
    console.print(table)
    console.print(f"kept over a restart with nobody consuming: {kept:,} of {published:,}")
    console.print(
        f"order per key while {order['ended']} workers were killed or closed:"
        f" {order['lost']} lost, {order['disordered']} out of order, {order['repeated']} repeated"
    )
