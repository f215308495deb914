"""Which RabbitMQ is which, and where Debian has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SUITES: Final[Mapping[str, str]] = {"3.10": "bookworm", "4.0": "trixie", "4.3": "forky"}
"""The Debian release that has each version. The last one is not released and moves on."""

PACKAGE: Final = "rabbitmq-server"
_LIBRARY: Final = "usr/lib/rabbitmq/lib"
_PREFIX: Final = "rabbitmq_server-"


def is_of(version: str, wanted: str) -> bool:
    """Return whether the full *version* belongs to *wanted*: ``3.10.8`` does to ``3.10``."""
    return version == wanted or version.startswith(f"{wanted}.")


def installed_version(root: Path) -> str | None:
    """Return the version that the Debian package under *root* has installed, if it has."""
    names = sorted(path.name for path in (root / _LIBRARY).glob(f"{_PREFIX}*"))
    return names[-1].removeprefix(_PREFIX) if names else None
