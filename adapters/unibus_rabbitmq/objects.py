"""What AMQP 0-9-1 can be asked to declare: exchanges, queues and what binds them; plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ALTERNATE: Final = "alternate-exchange"
"""Where an exchange sends what it has no queue for; the one argument that is always compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A durable exchange.

    Attributes:
        name: Its name.
        type: ``direct``, ``fanout``, ``headers`` or ``topic``.
        internal: It takes nothing from publishers.
        auto_delete: It goes when the last thing that it was bound to has gone.
        arguments: Those of the declaration.
    """

    name: str
    type: str
    internal: bool = False
    auto_delete: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What it is, for a person."""
        return f"exchange {self.name} ({self.type})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A durable queue; its arguments always name its type."""

    name: str
    arguments: Mapping[str, object]

    @property
    def text(self) -> str:
        """What it is, for a person."""
        kind = self.arguments["x-queue-type"]
        return f"stream {self.name}" if kind == "stream" else f"queue {self.name} ({kind})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Messages of exchange *source* go to *exchange*, or else to *queue*, if they match."""

    source: str
    exchange: str | None = None
    queue: str = ""
    key: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
