"""The command ``unibus``; what it can do comes from the packages that are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, that of the process by default, and return its exit status.

    0 done, 1 an error, 2 wrong usage.
    """
    try:
        from unibus.cli.app import run  # noqa: PLC0415  # typer is optional: unibus[cli]
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(
            f"unibus: the command line needs {error.name}; run: pip install 'unibus[cli]'\n"
        )
        return 1
    return run(sys.argv[1:] if arguments is None else list(arguments))
