"""What the ladder is doing, for the person who waits for it."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line of news, without a newline."""


def to_stderr(line: str) -> None:
    """Write *line* to standard error; standard output is for what scripts read."""
    sys.stderr.write(f"broker: {line}\n")
    sys.stderr.flush()


def silent(line: str) -> None:
    """Drop *line*."""
    del line
