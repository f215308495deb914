"""``unibus broker``: brokers to try out and to test on, which stay until they are taken down."""

from __future__ import annotations

from typing import Annotated

import typer

from unibus.errors import ConfigurationError, NotFoundError
from unibus_contract import brokers
from unibus_contract.brokers.broker import Broker

app = typer.Typer(
    help="Start real brokers on this machine, and end them again.", no_args_is_help=True
)

_COLUMNS = "{:<24} {:<10} {:<8} {:<12} {:<8} {:>8}  {}"


@app.command()
def up(
    kinds: Annotated[list[str], typer.Argument(metavar="KIND", help="Such as rabbitmq.")],
    version: Annotated[
        str | None, typer.Option(help="Such as 4.3, 4.0 or 3.10; without it the newest.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call it; without it by kind and version.")
    ] = None,
) -> None:
    """Start brokers and print the URL of each; one that runs already is left as it is."""
    if name is not None and len(kinds) > 1:
        raise ConfigurationError("--name names one broker; give one kind")
    for kind in kinds:
        typer.echo(brokers.start(kind, version, name=name).url)


@app.command()
def down(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Without names: all.")
    ] = None,
) -> None:
    """End brokers at once and delete their data."""
    if not names:
        typer.echo(f"{brokers.stop_all()} ended", err=True)
        return
    missing = [name for name in names if not brokers.stop(name)]
    if missing:
        raise NotFoundError(f"there is no broker called {', '.join(missing)}; {_known()}")


@app.command()
def status() -> None:
    """List the brokers that were started, and whether they still run."""
    typer.echo(_COLUMNS.format("NAME", "KIND", "VERSION", "RUNG", "STATE", "PID", "URL"))
    for broker in brokers.status():
        typer.echo(
            _COLUMNS.format(
                broker.name,
                broker.kind,
                broker.version,
                broker.rung,
                "running" if broker.is_running else "dead",
                broker.pid or "-",
                broker.shown_url,
            )
        )


@app.command()
def urls(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this one's.")] = None,
) -> None:
    """Print the name and the URL of each broker, or the URL of one alone, passwords included."""
    if name is not None:
        typer.echo(_broker(name).url)
        return
    for broker in brokers.status():
        typer.echo(f"{broker.name} {broker.url}")


@app.command()
def logs(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 40,
) -> None:
    """Print the end of a broker's log."""
    typer.echo(_broker(name).log(lines))


def _broker(name: str) -> Broker:
    for broker in brokers.status():
        if broker.name == name:
            return broker
    raise NotFoundError(f"there is no broker called {name}; {_known()}")


def _known() -> str:
    names = ", ".join(broker.name for broker in brokers.status())
    return f"there are: {names}" if names else "none was started"
