"""How a saboteur is declared: its one defect, and the clauses that have to find it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import unibus_contract.zoo.saboteurs
from unibus import Bus
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.wrap import AdapterWrap

Spoil = Callable[[BrokerUnderTest], BrokerUnderTest]
"""Gives back the broker with the defect."""

_Target = TypeVar("_Target", bound=type[AdapterWrap] | type[Bus] | Spoil)

_ATTRIBUTE = "__unibus_saboteur__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    """A broker with exactly one defect.

    Attributes:
        name: In words, e.g. ``loses every tenth message``.
        defect: What it does wrong, as one sentence.
        breaks: Every clause that this has to break.
        may_break: Clauses that it may break as well, and why that is no defect of theirs.
        harness: Name of the harness whose broker it spoils.
        profile: On which profile.
        spoil: Does it.
    """

    name: str
    defect: str
    breaks: tuple[str, ...]
    may_break: Mapping[str, str] = field(default_factory=dict)
    harness: str = "memory"
    profile: str = "memory"
    spoil: Spoil


def saboteur(
    defect: str,
    *breaks: str,
    harness: str = "memory",
    profile: str = "memory",
    may_break: Mapping[str, str] | None = None,
) -> Callable[[_Target], _Target]:
    """Declare a saboteur: on a class that wraps an adapter, or is a bus, or a function.

    Its name is that of the class or function in words. A class is made anew for each connection;
    what several connections have to share belongs into a function, which takes a broker under test
    and returns the spoiled one.
    """

    def declare(target: _Target) -> _Target:
        declared = Saboteur(
            name=_in_words(target.__name__),
            defect=defect,
            breaks=breaks,
            may_break=may_break or {},
            harness=harness,
            profile=profile,
            spoil=_spoil_by(target) if isinstance(target, type) else target,
        )
        setattr(target, _ATTRIBUTE, declared)
        return target

    return declare


def _spoil_by(target: type[AdapterWrap | Bus]) -> Spoil:
    if issubclass(target, Bus):
        return lambda broker: OverWrapped(broker, lambda adapter: adapter, target)
    return lambda broker: OverWrapped(broker, target)


def _in_words(name: str) -> str:
    spaced = "".join(f" {each.lower()}" if each.isupper() else each for each in name)
    return spaced.replace("_", " ").strip()


def collect() -> tuple[Saboteur, ...]:
    """Return every saboteur, in the order of modules and lines.

    Raises:
        ValueError: Two have the same name.
    """
    found: dict[str, Saboteur] = {}
    path = unibus_contract.zoo.saboteurs.__path__
    for module in sorted(each.name for each in pkgutil.iter_modules(path)):
        loaded = importlib.import_module(f"unibus_contract.zoo.saboteurs.{module}")
        for each in vars(loaded).values():
            declared = vars(each).get(_ATTRIBUTE) if hasattr(each, "__dict__") else None
            if not isinstance(declared, Saboteur):
                continue
            if found.setdefault(declared.name, declared) is not declared:
                raise ValueError(f"two saboteurs are called {declared.name!r}")
    return tuple(found.values())
