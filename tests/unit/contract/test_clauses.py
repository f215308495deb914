from __future__ import annotations

import pytest

from unibus_contract.clauses import CatalogueError, load, match, parse
from unibus_contract.registry import Proof, collect

GOOD = '[ACK-01]\nsentence = "It is so."\nlevel = "L1"\n'


def proof(_: object) -> None:
    """Stands for a test."""


def test_a_clause_is_read_with_its_family_and_defaults() -> None:
    clause = parse([("settlement", GOOD)])["ACK-01"]

    assert (clause.family, clause.level, clause.due.is_always) == ("settlement", "L1", True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("levle = 1", "unknown fields levle"),
        ('due = "replay"', "says how it is 'refused'"),
        ('due = "replai"\nrefused = {call = "seek"}', "replai"),
        ('refused = {call = "seek"}', "cannot be refused"),
        ('due = "replay"\nrefused = {ask = "seek"}', "refused by ask"),
        ('due = "replay"\nrefused = {call = "sek"}', "refused call 'sek'"),
        ('needs = ["hammer"]', "needs hammer"),
        ("budget_s = 20", "says why"),
    ],
)
def test_a_malformed_clause_is_refused_by_name(line: str, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=f"settlement.toml: ACK-01: .*{complaint}"):
        parse([("settlement", GOOD + line)])


def test_the_clause_that_holds_instead_has_to_be_there() -> None:
    catalogue = parse([("a", GOOD + 'due = "replay"\ninstead = "ACK-99"')])

    with pytest.raises(CatalogueError, match="ACK-01: no clause ACK-99"):
        match(catalogue, [Proof("ACK-01", proof)])


def test_an_id_is_used_once() -> None:
    with pytest.raises(CatalogueError, match=r"ACK-01 is in a\.toml already"):
        parse([("a", GOOD), ("b", GOOD)])


def test_a_clause_without_a_test_is_an_error() -> None:
    with pytest.raises(CatalogueError, match="no test proves ACK-01"):
        match(parse([("a", GOOD)]), [])


def test_a_test_without_a_clause_is_an_error() -> None:
    with pytest.raises(CatalogueError, match="which no catalogue has"):
        match(parse([("a", GOOD)]), [Proof("ACK-01", proof), Proof("ACK-02", proof)])


def test_two_tests_of_one_clause_are_an_error() -> None:
    with pytest.raises(CatalogueError, match="is proven by"):
        match(parse([("a", GOOD)]), [Proof("ACK-01", proof), Proof("ACK-01", lambda _: None)])


def test_the_catalogue_and_the_suite_belong_together() -> None:
    catalogue = load()

    assert set(match(catalogue, collect())) == set(catalogue)
