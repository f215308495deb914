"""The outer frame of the command line: version, help, errors as sentences."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer

from unibus.cli.commands import add_commands
from unibus.errors import UnibusError

TRACEBACK: Final = "--traceback"


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments*, without the program's name, and return its exit status."""
    # Taken out here, so that it may stand anywhere on the line.
    wanted = [argument for argument in arguments if argument != TRACEBACK]
    try:
        create(wanted)(args=wanted, prog_name="unibus")
    except UnibusError as error:
        if TRACEBACK in arguments:
            traceback.print_exception(error)
        else:
            sys.stderr.write(f"unibus: {error}\n")
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def create(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the application, with the commands that *arguments* need."""
    app = typer.Typer(
        help="One interface over real message brokers, and the proof of what each promises.",
        no_args_is_help=True,
        add_completion=False,
        # An error that is not a UnibusError is a bug: its report needs Python's own traceback.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    add_commands(app, arguments)
    return app


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it with the flag's value
    if wanted:
        typer.echo(f"unibus {version('unibus')}")
        raise typer.Exit


def _root(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Print Python's traceback with an error.")
    ] = False,
) -> None:
    del show_version, show_traceback  # their work is done before this is called
