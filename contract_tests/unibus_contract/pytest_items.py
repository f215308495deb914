"""The clauses as pytest items; loaded only when a broker is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from typing_extensions import override

from unibus_contract import clauses, deviations, registry
from unibus_contract.due import View
from unibus_contract.harness import harness_for
from unibus_contract.results import Result
from unibus_contract.runner import Plan, Runner


class ClauseFailedError(Exception):
    """A clause that is not good; the message is the reason."""


class Session:
    """The brokers of one pytest run, and what is to be collected on them."""

    def __init__(self, targets: Sequence[str], profiles: Sequence[str]) -> None:
        self.catalogue = clauses.load()
        proofs = clauses.match(self.catalogue, registry.collect())
        self._stack = ExitStack()
        self._runners: dict[str, tuple[Runner, View]] = {}
        for target in targets:
            harness, url = harness_for(target)
            broker = self._stack.enter_context(harness.broker(url))
            plan = Plan(clauses=(), tests=proofs, deviations=deviations.load(harness.deviations))
            for profile in harness.profiles:
                if not profiles or profile in profiles:
                    runner = Runner(broker, profile, plan)
                    self._runners[f"{broker.label}-{profile}"] = (runner, runner.view)

    def close(self) -> None:
        """Close the brokers."""
        self._stack.close()

    def items(
        self, parent: pytest.Module | pytest.Class, name: str, clause: str
    ) -> list[ClauseItem]:
        """Return the item of *clause* for each broker and profile."""
        return [
            ClauseItem.from_parent(
                parent, name=f"{name}[{where}]", clause=self.catalogue[clause], ran=ran
            )
            for where, ran in self._runners.items()
        ]

    def check(self, items: Sequence[pytest.Item], *, is_restricted: bool) -> None:
        """Fail if an unrestricted run has not collected exactly what is applicable.

        Raises:
            UsageError: Something is missing or surplus.
        """
        found = sum(isinstance(each, ClauseItem) for each in items)
        wanted = len(self.catalogue) * len(self._runners)
        if not is_restricted and found != wanted:
            raise pytest.UsageError(f"{found} clauses were collected, {wanted} are applicable")


class ClauseItem(pytest.Item):
    """One clause on one broker and profile."""

    def __init__(
        self,
        *,
        clause: clauses.Clause,
        ran: tuple[Runner, View],
        name: str,
        parent: pytest.Module | pytest.Class,
    ) -> None:
        super().__init__(name, parent)
        self.clause = clause
        self._runner, self._view = ran

    @override
    def runtest(self) -> None:
        result = self._runner.judged(self.clause, self._view)
        self.add_report_section("call", "contract", _told(result))
        self.user_properties.append(("unibus_status", str(result.status)))
        if not result.is_good:
            raise ClauseFailedError(_told(result))

    @override
    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: str | None = None,
    ) -> str:
        if isinstance(excinfo.value, ClauseFailedError):
            return f"{self.clause.id}: {self.clause.sentence}\n{excinfo.value}"
        return str(super().repr_failure(excinfo))

    @override
    def reportinfo(self) -> tuple[str, int | None, str]:
        return str(self.path), None, f"{self.clause.id} {self.name}"


def _told(result: Result) -> str:
    return f"{result.status} {result.reason}".strip()
