"""A process that runs some clauses of a plan: ``python -m unibus_contract.worker``.

It reads one JSON object from standard input and writes one JSON line for each result. Every worker
has a footprint of its own, so that what a clause leaves behind can be told.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unibus_contract import clauses, deviations, registry
from unibus_contract.harness import BrokerUnderTest, Harness, harnesses
from unibus_contract.results import Result, Status
from unibus_contract.runner import Plan, Runner
from unibus_contract.screen import mute


def job(
    harness: Harness, broker: BrokerUnderTest, profile: str, plan: Plan
) -> Mapping[str, object]:
    """Return what a worker has to be told to run *plan* on *broker*."""
    return {
        "harness": harness.name,
        "url": broker.url,
        "label": broker.label,
        "settings": dict(broker.settings),
        "profile": profile,
        "clauses": [each.id for each in plan.clauses],
        "repeat": plan.repeat,
        "stretch": plan.stretch,
        "histories": None if plan.histories is None else str(plan.histories),
    }


def to_json(result: Result) -> str:
    """Return the line that ``from_json`` reads."""
    return json.dumps(asdict(result))


def from_json(line: str) -> Result:
    """Return the result that a worker wrote."""
    values: dict[str, Any] = json.loads(line)
    return Result(**{**values, "status": Status(values["status"])})


def main() -> None:
    """Run what standard input says."""
    mute()
    told = json.load(sys.stdin)
    harness = harnesses()[told["harness"]]
    catalogue = clauses.load()
    plan = Plan(
        clauses=[catalogue[each] for each in told["clauses"]],
        tests=clauses.match(catalogue, registry.collect(), only=told["clauses"]),
        repeat=told["repeat"],
        stretch=told["stretch"],
        deviations=deviations.load(harness.deviations),
        histories=None if told["histories"] is None else Path(told["histories"]),
    )
    with harness.broker(told["url"]) as broker:
        broker.label, broker.settings = told["label"], told["settings"]
        Runner(broker, told["profile"], plan).run(_say)


def _say(result: Result) -> None:
    sys.stdout.write(f"{to_json(result)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
