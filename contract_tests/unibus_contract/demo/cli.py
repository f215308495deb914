"""``unibus demo``: the order program, then the promises of every memory profile, proven."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from unibus.errors import ConfigurationError
from unibus_contract import brokers, cli
from unibus_contract.demo import orders

app = typer.Typer(
    help="Show what unibus does: one program, and the proof of what brokers promise.",
    invoke_without_command=True,
)


@app.callback()
def demo(
    broker: Annotated[
        list[str] | None,
        typer.Option(help="Also run the program on this real broker; repeatable."),
    ] = None,
    *,
    clauses: Annotated[bool, typer.Option(help="Prove the promises too.")] = True,
) -> None:
    """Run the order program on the embedded broker, and on real ones if asked."""
    _title("One ordinary program, on the embedded broker")
    orders.main("memory://demo")
    for name in broker or ():
        _on_real(name)
    if clauses:
        _title("What every profile of the embedded broker promises, proven clause by clause")
        cli.run(["memory"], level=["L0", "L1"])


def _on_real(name: str) -> None:
    if name not in brokers.KINDS:
        raise ConfigurationError(
            f"there is no broker {name!r} to start; choose from {', '.join(brokers.KINDS)}"
        )
    with ExitStack() as stack:
        up = stack.enter_context(brokers.up(name))
        _title(f"The same program on {name} {up.version}; only the URL differs")
        orders.main(up.url)


def _title(text: str) -> None:
    typer.echo(f"\n== {text}\n")
