"""What is declared, granted and refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unibus.errors import UnsupportedError
from unibus.requirements import Requirements
from unibus_contract.judgement import require_raises
from unibus_contract.registry import clause
from unibus_contract.workbench import Bench

_ASKED: Mapping[str, Mapping[str, Any]] = {
    "ordering": {"ordering": "key"},
    "replay": {"replay": "earliest"},
    "transactions": {"transactions": "produce"},
    "confirm": {"confirm": "accepted"},
    "attempts": {"attempts": "approximate"},
    "backlog": {"backlog": "approximate"},
    "dead_letter": {"dead_letter": True},
    "fan_out": {"fan_out": True},
    "ttl": {"ttl": True},
    "browse": {"browse": True},
    "request_reply": {"request_reply": True},
    "durable": {"durable": True},
    "filter_exact": {"filters": frozenset({"exact"})},
    "filter_pattern": {"filters": frozenset({"pattern"})},
    "filter_headers": {"filters": frozenset({"headers"})},
    "nack_delay_s": {"nack_delay_s": 0.001},
    "delay": {"delay_s": 0.001},
    "priority": {"priority_levels": 2},
}


@clause("CAP-50")
def test_requirements_are_granted_as_declared(bench: Bench) -> None:
    for name, grade in bench.capabilities.grades().items():
        if name not in _ASKED:
            continue
        need = Requirements(**_ASKED[name])
        if grade:
            bench.bus(require=need).close()
        else:
            with require_raises(UnsupportedError, sentence=f"{name} is not declared, and required"):
                bench.bus(require=need)
