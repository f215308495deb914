from __future__ import annotations

from dataclasses import replace

import pytest

from unibus.capabilities import (
    Capabilities,
    LeaseLimits,
    Ordering,
    Profile,
    Replay,
    emulated,
    native,
    none,
)
from unibus_contract.due import Due, View

HAVE = Capabilities(
    ordering=native(Ordering.KEY),
    replay=none(Replay.NONE),
    nack=emulated(value=True, how="held", cost="memory"),
    nack_delay_s=native(60.0),
    lease=native(LeaseLimits(extendable=True)),
    start=native(frozenset({"declared", "latest"})),
    max_body_bytes=native(None),
    on_nack=native("overtakes"),
)
VIEW = View(
    HAVE, replace(HAVE, on_nack=native("blocks")), Profile(name="p", capabilities=Capabilities())
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("ordering >= key", True),
        ("ordering >= topic", False),
        ("replay", False),
        ("not replay", True),
        ("nack", True),
        ("raw.nack", False),
        ("nack_delay_s > 0", True),
        ("nack_delay_s >= 61", False),
        ("lease.extendable", True),
        ("start has latest", True),
        ("start has time", False),
        ("max_body_bytes > 1000", True),
        ("on_nack == blocks", False),
        ("ordered.on_nack == blocks", True),
        ("profile.mode == queue", True),
        ("profile.mode == stream", False),
        ("nack and replay", False),
        ("replay or nack and ordering >= key", True),
    ],
)
def test_an_expression_holds_for_what_it_says(text: str, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    assert Due.parse(text).holds(VIEW) is expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("orderin >= key", "orderin"),
        ("ordering >= keys", "KEYS"),
        ("ordering ~ key", "is not 'name'"),
        ("not nack == 1", "before a name alone"),
        ("nack == 1", "write the name alone"),
    ],
)
def test_an_expression_about_nothing_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Due.parse(text)
