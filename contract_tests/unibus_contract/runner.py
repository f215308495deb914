"""Runs clauses on one broker and profile, each by itself and within its own time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from unibus.spi import BrokerIdentity
from unibus_contract.bounded import OverdueError, bounded
from unibus_contract.clauses import Clause
from unibus_contract.deviations import Deviation
from unibus_contract.deviations import apply as apply_deviations
from unibus_contract.due import View
from unibus_contract.harness import BrokerUnderTest, Evidence
from unibus_contract.judgement import ViolationError
from unibus_contract.leaks import Footprint, footprint
from unibus_contract.refusals import prove_refused
from unibus_contract.registry import Proof
from unibus_contract.results import Result, Status, merge
from unibus_contract.timing import eventually
from unibus_contract.watch import watched
from unibus_contract.workbench import Bench

_CLOSE_S = 20.0
_LEAK_S = 2.0
_PATIENCES = 3
"""So often a clause may wait in vain, beyond its budget."""
_REBORN = frozenset({"kill", "restart"})
"""Needs after which the broker is another process than before, perhaps a child of ours."""

Report = Callable[[Result], None]
"""Told each clause's result as soon as it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, and how.

    Attributes:
        clauses: Which, in order.
        tests: The test of each.
        repeat: How often each.
        stretch: Factor on every budget and wait, for a slow machine.
        deviations: What the adapter declares as known.
        histories: Where the history of a failed run is kept; nowhere if ``None``.
    """

    clauses: Sequence[Clause]
    tests: Mapping[str, Proof]
    repeat: int = 1
    stretch: float = 1.0
    deviations: Sequence[Deviation] = ()
    histories: Path | None = None


@dataclass(slots=True, kw_only=True)
class ProfileRun:
    """The results of one profile; partial until ``is_whole``.

    Attributes:
        broker: Label of the broker.
        url: Where it was, without credentials.
        profile: The profile.
        identity: Who answered.
        evidence: What the answers prove something about.
        results: By clause, in the order in which they ran.
        is_whole: Whether nothing was left out.
    """

    broker: str
    url: str
    profile: str
    identity: BrokerIdentity
    evidence: Evidence
    results: dict[str, Result] = field(default_factory=dict)
    is_whole: bool = False


class Runner:
    """Runs a plan on one profile of one broker."""

    def __init__(self, broker: BrokerUnderTest, profile: str, plan: Plan) -> None:
        self._broker = broker
        self._profile = profile
        self._plan = plan

    def run(self, report: Report) -> ProfileRun:
        """Run every clause; an interrupt ends it early and leaves what there is.

        Raises:
            UnibusError: The broker cannot be reached with this profile at all.
        """
        view, run = self.view, self.blank()
        try:
            for clause in self._plan.clauses:
                run.results[clause.id] = result = self.judged(clause, view)
                report(result)
        except KeyboardInterrupt:
            return run
        run.is_whole = True
        return run

    def blank(self) -> ProfileRun:
        """Return a run that says who answers, without results."""
        return ProfileRun(
            broker=self._broker.label,
            url=self._broker.shown_url,
            profile=self._profile,
            identity=self.identity,
            evidence=self._broker.evidence,
        )

    def judged(self, clause: Clause, view: View) -> Result:
        """Run *clause* as often as the plan says; return one result, deviations considered."""
        result = merge([self.run_once(clause, view) for _ in range(self._plan.repeat)])
        version = self.identity.version
        return apply_deviations(self._plan.deviations, result, self._profile, version)

    @property
    def view(self) -> View:
        """What the profile promises, as the broker answered when first asked."""
        return self._probe[0]

    @property
    def identity(self) -> BrokerIdentity:
        """Who answered."""
        return self._probe[1]

    @cached_property
    def _probe(self) -> tuple[View, BrokerIdentity]:
        bench = self._bench("PROBE-00")
        try:
            return bench.view, bench.main.identity
        finally:
            bench.close()

    def run_once(self, clause: Clause, view: View) -> Result:
        """Run *clause* once, or its refusal where it is not due."""
        is_due = clause.due.holds(view)
        blank = Result(clause=clause.id, status=Status.NOT_RUN, is_due=is_due)
        if not is_due and clause.instead is not None:
            return replace(blank, reason=f"not due ({clause.due}); {clause.instead} holds instead")
        if missing := sorted(clause.needs - self._abilities()):
            can_never = self._broker.evidence is Evidence.IN_PROCESS
            reason = f"this harness has no {', '.join(missing)}"
            return replace(blank, reason=reason, is_due=is_due and not can_never)
        began = time.monotonic()
        result = self._try(clause, blank)
        return replace(result, seconds=time.monotonic() - began)

    def _abilities(self) -> frozenset[str]:
        native = {"native"} if self._broker.native is not None else frozenset()
        kinds = self._broker.faults.kinds
        tear = {"tear"} if kinds & {"cut", "lose_leases"} else frozenset()
        return kinds | native | tear | {"process"}

    def _try(self, clause: Clause, blank: Result) -> Result:
        before = footprint()
        bench, work = self._work(clause, is_due=blank.is_due)
        # A broken promise costs patience: it is to be told from what hangs.
        budget_s = clause.budget_s * self._plan.stretch + _PATIENCES * bench.timing.patience_s
        try:
            failure = bounded(work, within_s=budget_s, name=clause.id)
        except KeyboardInterrupt:
            self._clean_up(clause, bench, before)
            raise
        left = self._clean_up(clause, bench, before)
        kept = Status.PASS if blank.is_due else Status.REFUSED
        if failure is not None:
            self._keep_history(clause, bench)
            return replace(
                blank,
                status=Status.FAIL,
                reason=_reason(failure),
                is_violation=isinstance(failure, ViolationError),
            )
        if left:
            return replace(blank, status=Status.FAIL, reason=f"left behind: {'; '.join(left)}")
        if clause.needs_real and self._broker.evidence is Evidence.EMULATOR and blank.is_due:
            reason = "an emulator's answer proves nothing here"
            return replace(blank, status=Status.UNVERIFIED, reason=reason)
        return replace(blank, status=kept)

    def _work(self, clause: Clause, *, is_due: bool) -> tuple[Bench, Callable[[], None]]:
        if is_due:
            bench = self._bench(clause.id)
            proof = self._plan.tests[clause.id].function
            return bench, lambda: proof(bench)
        broker, watch = watched(self._broker)
        bench = self._bench(clause.id, broker)
        return bench, lambda: prove_refused(bench, watch, clause)

    def _bench(self, clause_id: str, broker: BrokerUnderTest | None = None) -> Bench:
        bench = Bench(broker or self._broker, self._profile, secrets.token_hex(3), clause_id)
        bench.timing = bench.timing.stretched(self._plan.stretch)
        return bench

    def _clean_up(self, clause: Clause, bench: Bench, before: Footprint) -> Sequence[str]:
        left: list[str] = []
        failure = bounded(
            lambda: left.extend(bench.close()), within_s=_CLOSE_S, name=f"close {bench.prefix}"
        )
        if failure is not None:
            return [f"closing: {_reason(failure)}"]
        eventually(lambda: not footprint().grown_since(before), within_s=_LEAK_S)
        grown = footprint().grown_since(before, with_children=not clause.needs & _REBORN)
        return [*left, *grown, *self._broker.residue(bench.prefix)]

    def _keep_history(self, clause: Clause, bench: Bench) -> None:
        folder = self._plan.histories
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._broker.label}-{self._profile}-{clause.id}.jsonl".replace(" ", "-")
        bench.recorder.history.write(folder / name)


def _reason(failure: Exception) -> str:
    match failure:
        case ViolationError() | OverdueError():
            return str(failure)
        case _:
            return f"{type(failure).__name__}: {failure} ({_where(failure)})"


def _where(failure: Exception) -> str:
    trace, places = failure.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places[-4:])


def select(
    catalogue: Mapping[str, Clause], *, levels: Iterable[str] = (), ids: Iterable[str] = ()
) -> Sequence[Clause]:
    """Return the clauses of *levels* and of *ids*, or all where neither is named.

    Raises:
        KeyError: There is no such clause.
    """
    wanted, chosen = frozenset(levels), [catalogue[each].id for each in ids]
    return [
        each
        for each in catalogue.values()
        if (not wanted or each.level in wanted) and (not chosen or each.id in chosen)
    ]
