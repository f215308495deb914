"""What all memory profiles have in common, and how a profile is written down."""

from __future__ import annotations

from typing import Final, NamedTuple

from unibus.spi import (
    Capabilities,
    Confirm,
    DedupLimits,
    Profile,
    Transactions,
    native,
    none,
)
from unibus_memory.machine.nature import Nature

KIB: Final = 1024
MIB: Final = 1 << 20
NO_CALL: Final = "there is no call for it yet"


class Namesake(NamedTuple):
    """A profile, and what it means to the machine."""

    profile: Profile
    nature: Nature


COMMON: Final = Capabilities(
    ordered_pipeline=native(value=True),
    fan_out=native(value=True),
    confirm=native(Confirm.ROUTED),
    unroutable=native("error"),
    dedup=none(DedupLimits(), "the id travels, nobody looks at it"),
    transactions=none(Transactions.NONE, NO_CALL),
    browse=none(value=False, why=NO_CALL),
    request_reply=none(value=False, why=NO_CALL),
    empty_body=native(value=True),
    at_most_once=native(value=True),
    at_least_once=native(value=True),
    durable=native(value=True, note="restarts of the broker, not of the process"),
    unmanaged=native(value=True),
    topology=native(value=True),
    buffered_bytes=native(value=True, note="nothing is buffered"),
)
"""Each promise of it is kept by every namesake."""
