"""Known defects of a broker, declared by its adapter: never open-ended, never silent."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from unibus_contract.results import Result, Status

_FIELDS = frozenset({"clause", "profiles", "versions", "reason", "link", "expires"})


class DeviationError(ValueError):
    """A ``deviations.toml`` is malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One clause that a broker is known to break.

    Attributes:
        clause: Its id.
        profiles: The profiles that break it.
        versions: Patterns of the broker versions that do, e.g. ``4.*``.
        reason: What the broker does instead.
        link: Upstream report, or the page with a reproduction by the bare client.
        expires: The day from which it counts as a failure again.
    """

    clause: str
    profiles: frozenset[str]
    versions: tuple[str, ...]
    reason: str
    link: str
    expires: date

    def covers(self, clause: str, profile: str, version: str) -> bool:
        """Return whether it is about this clause on this broker."""
        is_version = any(fnmatch(version, each) for each in self.versions)
        return clause == self.clause and profile in self.profiles and is_version


def load(path: Path | None) -> Sequence[Deviation]:
    """Return the deviations that *path* declares; none without a path.

    Raises:
        DeviationError: The file is malformed.
    """
    if path is None:
        return ()
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(_deviation(path, table) for table in tables.get("deviation", ()))


def _deviation(path: Path, table: dict[str, Any]) -> Deviation:
    if wrong := sorted(set(table) ^ _FIELDS):
        raise DeviationError(f"{path.name}: missing or unknown: {', '.join(wrong)}")
    if not isinstance(table["expires"], date):
        raise DeviationError(f"{path.name}: {table['clause']}: expires is a date, 2026-12-31")
    versions, profiles = tuple(table.pop("versions")), frozenset(table.pop("profiles"))
    return Deviation(versions=versions, profiles=profiles, **table)


def apply(deviations: Sequence[Deviation], result: Result, profile: str, version: str) -> Result:
    """Return *result* as it counts: a declared failure deviates, a declared pass fails."""
    found = [each for each in deviations if each.covers(result.clause, profile, version)]
    if not found:
        return result
    declared = found[0]
    if declared.expires <= datetime.now(tz=UTC).date():
        reason = f"the deviation expired on {declared.expires}; {result.reason}"
        return replace(result, status=Status.FAIL, reason=reason)
    if result.status is Status.FAIL and result.is_violation:
        reason = f"{declared.reason} ({declared.link}, until {declared.expires})"
        return replace(result, status=Status.DEVIATES, reason=reason)
    if result.status is Status.PASS:
        reason = f"declared as a deviation ({declared.link}) and keeps its promise: remove that"
        return replace(result, status=Status.FAIL, reason=reason)
    return result
