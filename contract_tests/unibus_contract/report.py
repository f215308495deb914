"""What the runs found, as JSON, on a terminal and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from unibus_contract.clauses import Catalogue
from unibus_contract.results import Result, Status
from unibus_contract.runner import ProfileRun

SLOWEST = 20
_WORST_FIRST = (
    Status.FAIL,
    Status.FLAKY,
    Status.NOT_RUN,
    Status.UNVERIFIED,
    Status.DEVIATES,
    Status.REFUSED,
    Status.PASS,
)


@dataclass(frozen=True, slots=True)
class Report:
    """Every profile run of one command, and the catalogue that it ran.

    Attributes:
        catalogue: The clauses.
        runs: What was run of them.
        is_whole: Whether that is all that was asked for.
    """

    catalogue: Catalogue
    runs: Sequence[ProfileRun]
    is_whole: bool = True

    @property
    def is_good(self) -> bool:
        """Whether everything was run and nothing has to be done."""
        return self.is_whole and all(
            run.is_whole and all(each.is_good for each in run.results.values()) for run in self.runs
        )

    def as_json(self) -> Mapping[str, object]:
        """Return it as plain values; keys are stable."""
        return {
            "unibus": version("unibus"),
            "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "is_good": self.is_good,
            "is_whole": self.is_whole,
            "profiles": [self._run_json(run) for run in self.runs],
            "slowest": [
                {
                    "url": run.url,
                    "profile": run.profile,
                    "clause": each.clause,
                    "seconds": each.seconds,
                }
                for run, each in self.slowest()
            ],
        }

    def _run_json(self, run: ProfileRun) -> Mapping[str, object]:
        return {
            "adapter": run.identity.system,
            "broker": run.broker,
            "broker_version": run.identity.version,
            "client": run.identity.client,
            "url": run.url,
            "profile": run.profile,
            "evidence": str(run.evidence),
            "is_whole": run.is_whole,
            "counts": {str(status): n for status, n in counts(run.results.values()).items()},
            "clauses": {
                name: {
                    "status": str(each.status),
                    "reason": each.reason,
                    "seconds": round(each.seconds, 3),
                    "is_due": each.is_due,
                    "runs": each.runs,
                }
                for name, each in run.results.items()
            },
        }

    def slowest(self) -> Sequence[tuple[ProfileRun, Result]]:
        """Return the slowest clauses of all runs, slowest first."""
        every = [(run, each) for run in self.runs for each in run.results.values()]
        return sorted(every, key=lambda pair: -pair[1].seconds)[:SLOWEST]

    def bad(self) -> Sequence[tuple[ProfileRun, Result]]:
        """Return what something has to be done about, in the order in which it ran."""
        return [
            (run, each) for run in self.runs for each in run.results.values() if not each.is_good
        ]

    def by_family(self) -> Mapping[str, Sequence[str]]:
        """Return one cell per profile run for each family: the worst status, and the counts."""
        families = dict.fromkeys(each.family for each in self.catalogue.values())
        return {family: [self._cell(run, family) for run in self.runs] for family in families}

    def _cell(self, run: ProfileRun, family: str) -> str:
        found = [
            each for name, each in run.results.items() if self.catalogue[name].family == family
        ]
        if not found:
            return "-"
        counted = counts(each for each in found if each.is_due or each.status is not Status.NOT_RUN)
        told = [f"{counted[each]} {str(each).lower()}" for each in _WORST_FIRST if counted[each]]
        return ", ".join(told) or "-"

    def as_markdown(self) -> str:
        """Return the comparison of profiles by family, with what is bad below it."""
        heads = [_title(run) for run in self.runs]
        lines = [_row("family", *heads), _row(*("---" for _ in range(len(heads) + 1)))]
        lines += [_row(family, *cells) for family, cells in self.by_family().items()]
        if bad := self.bad():
            lines += ["", "What something has to be done about:", ""]
            lines += [
                f"* {_title(run)} {each.clause} **{each.status}** {each.reason.splitlines()[0]}"
                for run, each in bad
            ]
        return "\n".join(lines) + "\n"


def counts(results: Iterable[Result]) -> Counter[Status]:
    """Return how often each status occurs."""
    return Counter(each.status for each in results)


def _title(run: ProfileRun) -> str:
    return run.profile if run.broker in run.profile else f"{run.broker} {run.profile}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
