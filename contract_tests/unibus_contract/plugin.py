"""``pytest --pyargs unibus_contract --unibus NAME_OR_URL``: the clauses as pytest items.

Loaded into every pytest run where unibus is installed, so it imports pytest alone until the option
is used.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unibus_contract.pytest_items import Session

Collected = pytest.Item | pytest.Collector | list[pytest.Item | pytest.Collector] | None

_SESSION: pytest.StashKey[Session] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("unibus", "contract of a message broker")
    group.addoption(
        "--unibus", action="append", metavar="NAME_OR_URL", help="broker to run the contract on"
    )
    group.addoption("--unibus-profile", action="append", help="only this profile; repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Open the brokers that are asked for."""
    targets = config.getoption("--unibus")
    if targets:
        from unibus_contract.pytest_items import Session  # noqa: PLC0415  # see above

        profiles = config.getoption("--unibus-profile") or ()
        config.stash[_SESSION] = Session(targets, profiles)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the brokers."""
    if (session := config.stash.get(_SESSION, None)) is not None:
        session.close()


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> Generator[None, Collected, Collected]:
    """Collect a clause once for each broker and profile, instead of as a plain function."""
    collected = yield
    clause = getattr(obj, "__unibus_clause__", None)
    if clause is None:
        return collected
    session = collector.config.stash.get(_SESSION, None)
    if session is None:
        raise pytest.UsageError("say which broker the contract is to be run on: --unibus memory")
    return [*session.items(collector, name, clause)]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check that an unrestricted run has collected every clause for every profile."""
    found = session.config.stash.get(_SESSION, None)
    if found is not None:
        found.check(session.items, is_restricted=_is_restricted(session.config))


def _is_restricted(config: pytest.Config) -> bool:
    options = ("keyword", "markexpr", "deselect", "lf", "stepwise")
    chosen = any(config.getoption(name, None) for name in options)
    return chosen or "unibus_contract" not in config.args
