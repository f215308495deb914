"""The commands that installed packages bring, found by entry point and loaded when needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NoReturn

import typer

from unibus.errors import ConfigurationError

GROUP: Final = "unibus.commands"
"""Entry points of this group are ``typer.Typer`` objects; their name is the command's."""

_ANY_ARGUMENTS: Final = {"ignore_unknown_options": True, "allow_extra_args": True}


def add_commands(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Add to *app* the command that *arguments* name, or all when they name none that exists.

    The others are not imported: one command is not to wait for the libraries of another.
    """
    commands = registered()
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name in [named] if named in commands else commands:
        add_command(app, commands[name])


def registered() -> Mapping[str, EntryPoint]:
    """Return the entry points of all commands, by name, in alphabetical order."""
    found = entry_points(group=GROUP)
    return {name: found[name] for name in sorted(found.names)}


def add_command(app: typer.Typer, entry_point: EntryPoint) -> None:
    """Add one command to *app*; one that cannot be loaded stays in sight and says why."""
    try:
        loaded = entry_point.load()
    except (ImportError, AttributeError) as error:
        _add_broken(app, entry_point, f"cannot be loaded: {error}")
        return
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=entry_point.name)
    else:
        _add_broken(app, entry_point, "is not a typer.Typer")


def _add_broken(app: typer.Typer, entry_point: EntryPoint, reason: str) -> None:
    sentence = f"{entry_point.value} {reason}"

    def broken() -> NoReturn:
        raise ConfigurationError(
            f"the command {entry_point.name} is registered, but {sentence};"
            " installing unibus[all] brings what unibus's own commands need"
        )

    app.command(
        entry_point.name, help=f"Not available: {sentence}", context_settings=_ANY_ARGUMENTS
    )(broken)
