from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import inf
from typing import Any

import pytest

from unibus.spi import Capabilities, Profile
from unibus_memory.profiles import NATURES, PROFILES, family
from unibus_rabbitmq import profiles as rabbitmq

_SMALLER_IS_MORE = {"resolution_s"}
_WORDS = {  # from less to more
    "on_nack": ("overtakes", "blocks"),
    "settle": ("cumulative", "individual"),
    "release": ("counted", "uncounted"),
    "unroutable": ("dropped", "error"),
}


def _exceeds(name: str, mine: Any, theirs: Any) -> bool:  # noqa: ANN401  # of any grade
    """Return whether *mine* promises more than *theirs*."""
    if name in _WORDS:
        return _WORDS[name].index(mine) > _WORDS[name].index(theirs)
    if is_dataclass(theirs):
        pairs = ((f.name, getattr(mine, f.name), getattr(theirs, f.name)) for f in fields(theirs))
        return any(_exceeds(*pair) for pair in pairs)
    if isinstance(theirs, frozenset):
        return not mine <= theirs
    if isinstance(theirs, str):
        return bool(mine != theirs)
    low, high = (inf if value is None else value for value in (mine, theirs))
    return bool(low < high) if name in _SMALLER_IS_MORE else bool(low > high)


def _excess(mine: Capabilities, theirs: Capabilities) -> Mapping[str, tuple[object, object]]:
    others = theirs.grades()
    return {
        name: (grade.value, others[name].value)
        for name, grade in mine.grades().items()
        if (grade and not others[name]) or _exceeds(name, grade.value, others[name].value)
    }


@pytest.mark.parametrize("version", ["3.10.8", "4.3.6"])
@pytest.mark.parametrize("name", ["rabbitmq", "rabbitmq-classic", "rabbitmq-stream"])
def test_a_memory_profile_promises_no_more_than_its_namesake(name: str, version: str) -> None:
    theirs = {each.name: each for each in rabbitmq.profiles(version)}[name]

    assert _excess(PROFILES[name].capabilities, theirs.capabilities) == {}
    assert PROFILES[name].mode == theirs.mode


def test_the_check_finds_an_excess() -> None:
    weak, strong = PROFILES["sqs"].capabilities, PROFILES["memory"].capabilities
    found = _excess(strong, weak)

    assert found["ordering"] == (strong.ordering.value, weak.ordering.value)
    assert {"delay", "release", "headers", "max_body_bytes"} <= set(found)


def test_a_broker_has_the_profiles_of_its_family_with_the_named_one_first() -> None:
    def names(profile: str) -> list[str]:
        return [each.name for each in family(profile)]

    assert names("rabbitmq-stream") == ["rabbitmq-stream", "rabbitmq", "rabbitmq-classic"]
    assert names("kafka") == ["kafka", "kafka-share"]
    assert names("memory") == ["memory"]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_promises_and_nature_agree(profile: Profile) -> None:
    have, nature = profile.capabilities, NATURES[profile.name]

    assert bool(have.replay) == (profile.mode != "queue")
    assert bool(have.replay) <= (nature.log != "none")
    assert (have.priority.value > 1, bool(have.ttl)) == (nature.levels > 1, nature.expires)
    assert bool(have.dead_letter) == nature.buries
    if profile.name != "memory":
        assert bool(have.replay) == nature.reads
    assert (have.unroutable.value == "error") or nature.log != "none" or "sqs" in profile.name


def test_a_share_group_is_chosen_on_request_alone() -> None:
    assert [each.name for each in PROFILES.values() if each.on_request] == ["kafka-share"]
