"""What a person sees while clauses run, and when they have."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unibus_contract.clauses import Clause
from unibus_contract.report import Report
from unibus_contract.results import Result, Status
from unibus_contract.zoo.runner import Trial, ZooReport

_STYLES = {
    Status.PASS: "green",
    Status.REFUSED: "green",
    Status.DEVIATES: "yellow",
    Status.UNVERIFIED: "yellow",
    Status.NOT_RUN: "dim",
    Status.FLAKY: "bold red",
    Status.FAIL: "bold red",
}


def mute() -> None:
    """Keep what unibus logs off the screen: faults are what is being tested."""
    logging.getLogger("unibus").addHandler(logging.NullHandler())


class Screen:
    """Writes to a terminal, one line that changes while clauses run; plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._done = 0
        self._total = 0
        self._began = time.monotonic()
        self._where = ""

    def begin(self, where: str, total: int) -> None:
        """Start counting to *total* clauses on the broker and profile *where*."""
        self._where, self._done, self._total, self._began = where, 0, total, time.monotonic()

    def interrupted(self) -> None:
        """Say that this is not all."""
        self._console.print("[yellow]interrupted; this is what was found until then[/]")

    def result(self, result: Result) -> None:
        """Show one result; good ones only move the counter."""
        self._done += 1
        if not result.is_good:
            style = _STYLES[result.status]
            line = f"[{style}]{result.status}[/] {result.clause} on {self._where}"
            self._console.print(line, highlight=False)
            self._console.print(f"  {escape(result.reason)}", highlight=False)
        if self._console.is_terminal:
            line = f"{self._done}/{self._total} {self._where} {result.clause}, {self._left()}"
            self._console.print(line, end="\r", highlight=False)

    def _left(self) -> str:
        spent = time.monotonic() - self._began
        left_s = spent / max(1, self._done) * (self._total - self._done)
        return f"about {left_s:.0f} s left"

    def report(self, report: Report) -> None:
        """Show the comparison of profiles, the slowest clauses and the verdict."""
        table = Table(title="Promises kept, by family", title_justify="left")
        table.add_column("family")
        for run in report.runs:
            table.add_column(f"{run.profile}\n{run.broker}\n{run.evidence}")
        for family, cells in report.by_family().items():
            table.add_row(family, *cells)
        self._console.print(table)
        slow = Table(title="Slowest", title_justify="left")
        for name in ("seconds", "clause", "profile", "broker"):
            slow.add_column(name)
        for run, each in report.slowest():
            slow.add_row(f"{each.seconds:.2f}", each.clause, run.profile, run.broker)
        self._console.print(slow)
        for run in report.runs:
            seen = f"{run.broker} {run.identity.version}, client {run.identity.client}"
            whole = "" if run.is_whole else ", interrupted"
            self._console.print(f"{run.profile}: {seen}, {run.evidence}{whole}", highlight=False)
        bad = report.bad()
        verdict = f"[bold red]{len(bad)} to look at[/]" if bad else "[green]nothing to look at[/]"
        self._console.print(verdict)

    def clauses(self, clauses: Sequence[Clause]) -> None:
        """Show the catalogue."""
        table = Table()
        for name in ("id", "level", "family", "due", "sentence"):
            table.add_column(name)
        for each in clauses:
            table.add_row(each.id, each.level, each.family, str(each.due), escape(each.sentence))
        self._console.print(table)

    def clause(self, clause: Clause, where: str) -> None:
        """Show all of one clause."""
        told = {
            "promises": clause.sentence,
            "level": f"{clause.level}, family {clause.family}",
            "due": str(clause.due),
            "else refused": clause.refused and str(dict(clause.refused)),
            "else holds": clause.instead,
            "needs": ", ".join(sorted(clause.needs)),
            "budget": f"{clause.budget_s:g} s {clause.why}".strip(),
            "proven by": where,
        }
        for name, value in told.items():
            if value:
                self._console.print(f"[bold]{name}[/] {escape(value)}", highlight=False)

    def trial(self, trial: Trial) -> None:
        """Show whether one saboteur was found."""
        name = trial.saboteur.name
        if trial.is_killed:
            self._console.print(f"[green]killed[/] {name} by {', '.join(trial.named)}")
            return
        self._console.print(f"[bold red]survived[/] {name}")
        for clause, said in trial.missed.items():
            self._console.print(f"  {clause} should have found it: {escape(said)}")
        for clause, said in trial.accused.items():
            self._console.print(f"  {clause} is not about it: {escape(said)}")

    def zoo(self, zoo: ZooReport) -> None:
        """Show the score."""
        killed = sum(each.is_killed for each in zoo.trials)
        self._console.print(f"{killed} of {len(zoo.trials)} saboteurs killed")
        if zoo.idle_clauses:
            self._console.print(f"[red]idle clauses:[/] {', '.join(zoo.idle_clauses)}")
