"""``unibus bench``: ratios to the raw client and to peers, from one run."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import unibus
from unibus.specs import OrderingName
from unibus_bench import growth, scale, scenarios
from unibus_bench.measure import Scenario, measure
from unibus_bench.report import as_json, print_figures, print_scale, print_tables
from unibus_contract import brokers

app = typer.Typer(help="Measure unibus beside the raw client.", invoke_without_command=True)
_QUEUE = "unibus-bench"
_BUFFERED = 100_000
_ORDERED = 6_000
_LIBRARIES = ("unibus", "pika", "aio-pika", "kombu")


@app.callback()
def bench(  # one parameter per option of the command
    context: typer.Context,
    broker: Annotated[
        list[str], typer.Option("--broker", help="memory, rabbitmq; repeat for several.")
    ] = ["memory", "rabbitmq"],  # noqa: B006  # typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    count: Annotated[int, typer.Option(min=1000, help="Messages a round.")] = 20_000,
    rabbitmq_version: Annotated[str, typer.Option(help="Which RabbitMQ to start.")] = "4.3",
    json_file: Annotated[Path | None, typer.Option("--json", help="Keep every figure.")] = None,
) -> None:
    """Compare the cost of a message, and say which of the aims are met."""
    if context.invoked_subcommand is not None:
        return
    with ExitStack() as stack:
        versions = {name: version(name) for name in _LIBRARIES}
        chosen = _scenarios(stack, broker, count, rabbitmq_version, versions)
        results = [measure(each, rounds=rounds, progress=_progress) for each in chosen]
    figures = growth.figures(count=1_000_000, rounds=3) if "memory" in broker else []
    console = Console()
    print_tables(results, console)
    print_figures(figures, console)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(as_json(results, figures, versions=versions), indent=1))


@app.command("scale")
def scale_command(
    rabbitmq_version: Annotated[str, typer.Option(help="Which RabbitMQ to start.")] = "4.3",
    json_file: Annotated[Path | None, typer.Option("--json", help="Keep every figure.")] = None,
) -> None:
    """Add workers, publish with nobody consuming, and kill workers while order has to hold."""
    with unibus.connect("memory://") as bus:
        steps = _all_steps(bus)
    with brokers.up("rabbitmq", rabbitmq_version) as broker:
        with unibus.connect(broker.url) as bus:
            steps += _all_steps(bus)
        connect = partial(unibus.connect, broker.url)
        kept = scale.buffer(connect, broker.restart, "rabbitmq", _BUFFERED)
        order = scale.order_while_dying(broker.url, "rabbitmq", _ORDERED)
    print_scale(steps, kept, _BUFFERED, order, Console())
    if json_file is not None:
        found = {"steps": [asdict(step) for step in steps], "kept": kept, "order": order}
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(found, indent=1))


def _all_steps(bus: unibus.Bus) -> list[scale.Step]:
    orderings: tuple[OrderingName, ...] = ("none", "key")
    steps: list[scale.Step] = []
    for profile in bus.profiles.values():
        for ordering in orderings:
            if profile.mode != "stream" and not profile.on_request:
                _progress(f"scale: {profile.name}, ordering {ordering}")
                steps += scale.throughput(bus, profile.name, ordering)
    return steps


def _scenarios(
    stack: ExitStack,
    names: list[str],
    count: int,
    rabbitmq_version: str,
    versions: dict[str, str],
) -> list[Scenario]:
    chosen: list[Scenario] = []
    for name in names:
        if name == "memory":
            chosen += scenarios.memory_scenarios(count * 5)
        elif name == "rabbitmq":
            url = stack.enter_context(brokers.up("rabbitmq", rabbitmq_version)).url
            with unibus.connect(url) as bus:
                versions["rabbitmq"] = bus.identity.version
                bus.topology.apply(unibus.Queue(_QUEUE))
            chosen += scenarios.rabbitmq_scenarios(url, _QUEUE, count)
        else:
            raise unibus.ConfigurationError(f"bench knows memory and rabbitmq, not {name!r}")
    return chosen


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
