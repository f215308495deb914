"""Both fronts offer the same: neither wraps the other, so nothing else keeps them alike."""

from __future__ import annotations

import inspect

import pytest

import unibus
import unibus.aio

KINDS = (
    "Bus",
    "Producer",
    "Consumer",
    "Delivery",
    "Receipt",
    "BatchReceipt",
    "Topology",
    "connect",
)
ONLY_THERE = {"Consumer": {"open"}}  # what a constructor cannot await


def surface(kind: object) -> dict[str, object]:
    """Return every public name of *kind*, with the parameters of what can be called."""
    names = (
        [name for name in dir(kind) if not name.startswith("_")] if isinstance(kind, type) else []
    )
    members = {name: inspect.getattr_static(kind, name) for name in names}
    found = {name: parameters(each) for name, each in members.items()}
    return found if isinstance(kind, type) else {"()": parameters(kind)}


def parameters(member: object) -> object:
    """Return names, kinds and defaults; types differ where one awaits."""
    if isinstance(member, classmethod | staticmethod):
        member = member.__func__
    if not callable(member):
        return "no call"
    told = inspect.signature(member).parameters.values()
    return [(each.name, each.kind, each.default) for each in told]


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_front_offers_the_other_offers_with_the_same_parameters(kind: str) -> None:
    plain, awaited = surface(getattr(unibus, kind)), surface(getattr(unibus.aio, kind))

    assert plain == {
        name: each for name, each in awaited.items() if name not in ONLY_THERE.get(kind, ())
    }
