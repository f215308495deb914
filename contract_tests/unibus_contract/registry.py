"""The decorator that says which clause a function proves, and what was registered by it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import unibus_contract.suite

if TYPE_CHECKING:
    from unibus_contract.workbench import Bench

ProofFunction = Callable[["Bench"], None]
_ATTRIBUTE = "__unibus_clause__"


@dataclass(frozen=True, slots=True)
class Proof:
    """A function of the suite and the clause it proves."""

    clause: str
    function: ProofFunction

    @property
    def where(self) -> str:
        """Module and name, to find it by."""
        return f"{self.function.__module__}.{self.function.__name__}"


def clause(clause_id: str) -> Callable[[ProofFunction], ProofFunction]:
    """Register a function as the proof of *clause_id*; it is called with a fresh bench."""

    def register(proof: ProofFunction) -> ProofFunction:
        setattr(proof, _ATTRIBUTE, clause_id)
        return proof

    return register


def clause_of(proof: object) -> str | None:
    """Return the clause that *proof* was registered for; ``None`` for any other object."""
    found = getattr(proof, _ATTRIBUTE, None)
    return found if isinstance(found, str) else None


def collect() -> tuple[Proof, ...]:
    """Return every test of the suite, in the order of modules and lines."""
    modules = sorted(each.name for each in pkgutil.iter_modules(unibus_contract.suite.__path__))
    return tuple(
        Proof(found, proof)
        for name in modules
        for proof in vars(importlib.import_module(f"unibus_contract.suite.{name}")).values()
        if (found := clause_of(proof)) is not None
    )
