"""An object that passes everything on to another, so that a saboteur can change one method."""

from __future__ import annotations

from typing import Any


class Facade:
    """Override a method to spoil it; ``inner`` is the healthy object."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401  # a producer, a consumer or a delivery
        self.inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # what it passes on
        return getattr(self.inner, name)
