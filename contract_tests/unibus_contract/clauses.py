"""The catalogue: what the suite demands, as data, checked strictly when it is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from unibus.errors import ConfigurationError
from unibus_contract.due import Due
from unibus_contract.registry import Proof

NEEDS = frozenset(
    {
        "alarm",
        "cut",
        "disconnect",
        "kill",
        "limit",
        "login",
        "lose_leases",
        "native",
        "pause",
        "place",
        "process",
        "restart",
        "rights",
        "tear",
    }
)
"""What a clause may need of a harness; each is explained in ``unibus_contract.harness``.

``tear`` is met by ``cut`` or ``lose_leases``; ``unibus_contract.tether`` uses either.
"""

REFUSALS = frozenset(
    {"call", "consumer", "message", "producer", "queue", "require", "subscription", "topic"}
)
"""How a refusal can be provoked; each is explained in ``unibus_contract.refusals``."""

CALLS = frozenset(
    {"backlog", "extend", "nack", "nack later", "purge", "redrive", "release", "seek"}
)
"""What ``refused = {call = ...}`` can name."""

LEVELS = ("L0", "L1", "L2", "L3")
DEFAULT_BUDGET_S = 5.0
_ID = re.compile(r"[A-Z]{2,4}-[0-9]{2}")
_FIELDS = frozenset(
    {"sentence", "level", "due", "refused", "instead", "needs", "needs_real", "budget_s", "why"}
)


class CatalogueError(ConfigurationError):
    """The catalogue contradicts itself or the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One promise.

    Attributes:
        id: Its name for ever, e.g. ``ACK-01``; never used again for something else.
        sentence: What is promised, as one sentence that can be false.
        level: ``L0`` surface, ``L1`` basics, ``L2`` semantics, ``L3`` faults.
        family: The file of the catalogue it stands in.
        due: Which profiles have to keep it.
        refused: How its refusal is provoked where it is not due.
        instead: The clause that holds where this one is not due, when nothing is refused.
        needs: What the harness has to be able to do.
        needs_real: An emulator's answer is no evidence.
        budget_s: Longest it may take on a local broker.
        why: Why the budget is larger than usual.
    """

    id: str
    sentence: str
    level: str
    family: str
    due: Due
    refused: Mapping[str, Any] | None = None
    instead: str | None = None
    needs: frozenset[str] = field(default_factory=frozenset)
    needs_real: bool = False
    budget_s: float = DEFAULT_BUDGET_S
    why: str = ""


Catalogue = Mapping[str, Clause]


def load() -> Catalogue:
    """Return every clause by id, in the order of families and lines.

    Raises:
        CatalogueError: A file is malformed; the message names file and clause.
    """
    folder = files("unibus_contract").joinpath("catalogue")
    sources = sorted(
        (each for each in folder.iterdir() if each.name.endswith(".toml")),
        key=lambda each: each.name,
    )
    return parse((each.name.removesuffix(".toml"), each.read_text("utf-8")) for each in sources)


def parse(sources: Iterable[tuple[str, str]]) -> Catalogue:
    """Return the clauses of *sources*: pairs of a family and its TOML text.

    Raises:
        CatalogueError: A text is malformed or two clauses share an id.
    """
    found: dict[str, Clause] = {}
    for family, text in sources:
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"{family}.toml: {error}") from error
        for clause_id, table in tables.items():
            if clause_id in found:
                raise CatalogueError(
                    f"{family}.toml: {clause_id} is in {found[clause_id].family}.toml already"
                )
            found[clause_id] = _clause(family, clause_id, table)
    return found


def _clause(family: str, clause_id: str, table: Any) -> Clause:  # noqa: ANN401  # what TOML gives
    where = f"{family}.toml: {clause_id}"
    if not _ID.fullmatch(clause_id) or not isinstance(table, dict):
        raise CatalogueError(f"{where}: a clause is a table with a name such as ACK-01")
    if surplus := sorted(set(table) - _FIELDS):
        raise CatalogueError(f"{where}: unknown fields {', '.join(surplus)}")
    if missing := sorted({"sentence", "level"} - set(table)):
        raise CatalogueError(f"{where}: {', '.join(missing)} missing")
    if table["level"] not in LEVELS:
        raise CatalogueError(f"{where}: level is one of {', '.join(LEVELS)}")
    try:
        due = Due.parse(table.pop("due", ""))
    except ValueError as error:
        raise CatalogueError(f"{where}: due: {error}") from error
    needs = frozenset(table.pop("needs", ()))
    clause = Clause(id=clause_id, family=family, due=due, needs=needs, **table)
    for complaint in _complaints(clause):
        raise CatalogueError(f"{where}: {complaint}")
    return clause


def _complaints(clause: Clause) -> Iterable[str]:
    if unknown := sorted(clause.needs - NEEDS):
        yield f"needs {', '.join(unknown)}: there is only {', '.join(sorted(NEEDS))}"
    if clause.refused is not None and (unknown := sorted(set(clause.refused) - REFUSALS)):
        yield f"refused by {', '.join(unknown)}: there is only {', '.join(sorted(REFUSALS))}"
    if (call := (clause.refused or {}).get("call", "seek")) not in CALLS:
        yield f"refused call {call!r}: there is only {', '.join(sorted(CALLS))}"
    answers = (clause.refused is not None) + (clause.instead is not None)
    if clause.due.is_always and answers:
        yield "always due, so it cannot be refused and has nothing instead"
    if not clause.due.is_always and answers != 1:
        yield "not always due, so it says how it is 'refused' or which clause holds 'instead'"
    if clause.budget_s > DEFAULT_BUDGET_S and not clause.why:
        yield f"a budget over {DEFAULT_BUDGET_S:g} s says why"


def match(
    catalogue: Catalogue, proofs: Sequence[Proof], only: Iterable[str] | None = None
) -> Mapping[str, Proof]:
    """Return the proof of each clause, or of *only* some, for whoever is writing others.

    Raises:
        CatalogueError: A clause has no proof or two, or a proof is of a clause that is not there.
    """
    wanted = set(catalogue if only is None else only)
    for each in (catalogue[name] for name in wanted if name in catalogue):
        if each.instead is not None and each.instead not in catalogue:
            raise CatalogueError(f"{each.family}.toml: {each.id}: no clause {each.instead}")
    found: dict[str, Proof] = {}
    for proof in proofs:
        if only is None and proof.clause not in catalogue:
            raise CatalogueError(f"{proof.where} proves {proof.clause}, which no catalogue has")
        if (other := found.setdefault(proof.clause, proof)) is not proof:
            raise CatalogueError(f"{proof.clause} is proven by {other.where} and {proof.where}")
    if untested := [each for each in catalogue if each in wanted and each not in found]:
        raise CatalogueError(f"no test proves {', '.join(untested)}")
    return {each: found[each] for each in catalogue if each in found}
