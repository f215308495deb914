"""What a program requires of a broker, and which of it a profile does not meet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from unibus.capabilities import (
    Attempts,
    Backlog,
    Capabilities,
    Confirm,
    Grade,
    Ordering,
    Profile,
    Replay,
    Transactions,
)
from unibus.errors import UnsupportedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a program needs; whatever is left ``None`` is not asked for.

    ``connect(url, require=...)`` needs one single profile that satisfies all of it.
    """

    ordering: Literal["none", "key", "topic"] | None = None
    on_nack: Literal["blocks", "overtakes"] | None = None
    replay: bool | Literal["earliest", "position", "time"] | None = None
    transactions: Literal["produce", "consume_produce"] | None = None
    confirm: Literal["accepted", "durable", "routed"] | None = None
    attempts: Literal["approximate", "exact"] | None = None
    backlog: Literal["approximate", "exact"] | None = None
    dead_letter: bool | None = None
    fan_out: bool | None = None
    filters: frozenset[Literal["exact", "pattern", "headers"]] | None = None
    priority_levels: int | None = None
    nack_delay_s: float | None = None
    delay_s: float | None = None
    ttl: bool | None = None
    browse: bool | None = None
    request_reply: bool | None = None
    competing: int | None = None
    max_body_bytes: int | None = None
    durable: bool | None = None

    def unmet(self, capabilities: Capabilities) -> tuple[str, ...]:
        """Return one clause per need that *capabilities* does not meet; empty if it meets all."""
        checks = (_unmet_levels, _unmet_switches, _unmet_limits)
        return tuple(line for check in checks for line in check(self, capabilities))

    def check(self, profile: Profile) -> None:
        """Refuse a profile that does not meet these needs.

        Raises:
            UnsupportedError: It does not; the message names every unmet need.
        """
        if unmet := self.unmet(profile.capabilities):
            raise UnsupportedError(f"profile {profile.name}: " + "; ".join(unmet))


def _unmet_levels(need: Requirements, have: Capabilities) -> list[str]:
    wanted: list[tuple[str, IntEnum | None, Grade[Any]]] = [
        ("ordering", Ordering[need.ordering.upper()] if need.ordering else None, have.ordering),
        ("replay", _replay(need.replay), have.replay),
        (
            "transactions",
            Transactions[need.transactions.upper()] if need.transactions else None,
            have.transactions,
        ),
        ("confirm", Confirm[need.confirm.upper()] if need.confirm else None, have.confirm),
        ("attempts", Attempts[need.attempts.upper()] if need.attempts else None, have.attempts),
        ("backlog", Backlog[need.backlog.upper()] if need.backlog else None, have.backlog),
    ]
    return [
        f"{name} is {grade.value.name.lower()}, the program requires {want.name.lower()}"
        for name, want, grade in wanted
        if want is not None and int(want) > 0 and (not grade or grade.value < want)
    ]


def _replay(wanted: bool | str | None) -> Replay | None:  # noqa: FBT001  # one of the field's types
    if wanted is None or wanted is False:
        return None
    return Replay.EARLIEST if wanted is True else Replay[str(wanted).upper()]


def _unmet_switches(need: Requirements, have: Capabilities) -> list[str]:
    wanted: list[tuple[str, bool | None, Grade[bool]]] = [
        (name, getattr(need, name), getattr(have, name))
        for name in ("dead_letter", "fan_out", "ttl", "browse", "request_reply", "durable")
    ]
    wanted += [
        (f"filter_{each}", True, getattr(have, f"filter_{each}")) for each in need.filters or ()
    ]
    lines = [
        f"there is no {name}, the program requires it" for name, want, g in wanted if want and not g
    ]
    if need.on_nack is not None and have.on_nack.value != need.on_nack:
        lines.append(f"a nack {have.on_nack.value}, the program requires that it {need.on_nack}")
    return lines


def _unmet_limits(need: Requirements, have: Capabilities) -> list[str]:
    competing = have.competing.value
    body = have.max_body_bytes.value
    lines = []
    if need.priority_levels is not None and have.priority.value < need.priority_levels:
        lines.append(
            f"{have.priority.value} priority levels, the program requires {need.priority_levels}"
        )
    if need.nack_delay_s is not None and have.nack_delay_s.value < need.nack_delay_s:
        lines.append(
            f"a nack can wait {have.nack_delay_s.value:g} s,"
            f" the program requires {need.nack_delay_s:g} s"
        )
    if need.delay_s is not None and have.delay.value.max_s < need.delay_s:
        lines.append(
            f"a publish can wait {have.delay.value.max_s:g} s,"
            f" the program requires {need.delay_s:g} s"
        )
    if need.competing is not None and competing is not None and competing < need.competing:
        lines.append(
            f"{competing} consumers can share the work, the program requires {need.competing}"
        )
    if need.max_body_bytes is not None and body is not None and body < need.max_body_bytes:
        lines.append(f"a body has at most {body} bytes, the program requires {need.max_body_bytes}")
    return lines
