"""Lets the suite loose on every saboteur, and says who survived."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from unibus_contract.clauses import Catalogue, Clause
from unibus_contract.due import View
from unibus_contract.harness import BrokerUnderTest, harnesses
from unibus_contract.registry import Proof
from unibus_contract.results import Result, Status
from unibus_contract.runner import Plan, Runner
from unibus_contract.zoo.saboteur import Saboteur

SPOT = 6
"""How many clauses that a saboteur does not name are run on it, unless all are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the suite said of one saboteur.

    Attributes:
        saboteur: Who was tried.
        named: Results of the clauses that have to find it.
        others: Results of clauses that must not.
    """

    saboteur: Saboteur
    named: Mapping[str, Result]
    others: Mapping[str, Result]

    @property
    def missed(self) -> Mapping[str, str]:
        """Clauses that should have found it and did not, and what they said instead."""
        return {
            name: f"{result.status} {result.reason}".strip()
            for name, result in self.named.items()
            if not (result.status is Status.FAIL and result.is_violation)
        }

    @property
    def accused(self) -> Mapping[str, str]:
        """Clauses that fail on it although its defect is none of theirs."""
        return {
            name: f"{result.status} {result.reason}".strip()
            for name, result in self.others.items()
            if not result.is_good and name not in self.saboteur.may_break
        }

    @property
    def is_killed(self) -> bool:
        """Whether every named clause found it, and no other claims to have."""
        return bool(self.named) and not self.missed and not self.accused


@dataclass(slots=True)
class ZooReport:
    """All trials, and the clauses that nobody put to the test."""

    trials: list[Trial] = field(default_factory=list)
    idle_clauses: list[str] = field(default_factory=list)

    def as_json(self) -> Mapping[str, object]:
        """Return it as plain values."""
        return {
            "saboteurs": [_told(each) for each in self.trials],
            "killed": [each.saboteur.name for each in self.trials if each.is_killed],
            "survivors": [each.saboteur.name for each in self.trials if not each.is_killed],
            "idle_clauses": self.idle_clauses,
        }


def _told(trial: Trial) -> Mapping[str, object]:
    saboteur = trial.saboteur
    return {
        "name": saboteur.name,
        "defect": saboteur.defect,
        "harness": saboteur.harness,
        "profile": saboteur.profile,
        "breaks": list(saboteur.breaks),
        "found_by": {name: result.reason for name, result in trial.named.items()},
        "missed_by": dict(trial.missed),
        "accused_by": dict(trial.accused),
    }


class ZooRunner:
    """Tries saboteurs on one healthy broker each, which they spoil."""

    def __init__(
        self, catalogue: Catalogue, proofs: Mapping[str, Proof], *, spot: int | None = SPOT
    ) -> None:
        self._catalogue = catalogue
        self._proofs = proofs
        self._spot = spot

    def run(
        self,
        saboteurs: Sequence[Saboteur],
        brokers: Mapping[str, BrokerUnderTest],
        report: Callable[[Trial], None],
    ) -> ZooReport:
        """Try each of *saboteurs* on the broker of its harness."""
        zoo = ZooReport()
        for each in saboteurs:
            trial = self._try(each, brokers[each.harness])
            zoo.trials.append(trial)
            report(trial)
        busy = {name for trial in zoo.trials if trial.is_killed for name in trial.named}
        zoo.idle_clauses = [name for name in self._catalogue if name not in busy]
        return zoo

    def _try(self, saboteur: Saboteur, broker: BrokerUnderTest) -> Trial:
        plan = Plan(clauses=(), tests=self._proofs)
        view = Runner(broker, saboteur.profile, plan).view
        spoiled = Runner(saboteur.spoil(broker), saboteur.profile, plan)
        named = {name: spoiled.run_once(self._catalogue[name], view) for name in saboteur.breaks}
        others = {
            each.id: spoiled.run_once(each, view) for each in self._bystanders(saboteur, view)
        }
        return Trial(saboteur=saboteur, named=named, others=others)

    def _bystanders(self, saboteur: Saboteur, view: View) -> Sequence[Clause]:
        candidates = [
            each
            for each in self._catalogue.values()
            if each.id in self._proofs
            and each.id not in saboteur.breaks
            and each.due.holds(view)
            and not each.needs
        ]
        if self._spot is None or self._spot >= len(candidates):
            return candidates
        # The same ones each time, others for each saboteur.
        return random.Random(saboteur.name).sample(candidates, self._spot)  # noqa: S311  # no secret


def needed(saboteurs: Sequence[Saboteur]) -> Sequence[str]:
    """Return the harnesses that *saboteurs* spoil, those installed here.

    Raises:
        LookupError: One is not installed.
    """
    names = sorted({each.harness for each in saboteurs})
    known = harnesses()
    if missing := [each for each in names if each not in known]:
        raise LookupError(f"no harness {', '.join(missing)} is installed")
    return names
