"""``unibus contract``: run the suite, list and explain clauses, let it loose on saboteurs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from unibus.errors import ConfigurationError
from unibus_contract import clauses, deviations, registry
from unibus_contract.harness import BrokerUnderTest, Harness, harness_for, harnesses
from unibus_contract.jobs import run_jobs
from unibus_contract.report import Report
from unibus_contract.runner import Plan, ProfileRun, select
from unibus_contract.screen import Screen, mute
from unibus_contract.zoo.runner import SPOT, ZooRunner, needed
from unibus_contract.zoo.saboteur import collect as collect_saboteurs

app = typer.Typer(help="Find out what a broker really promises.", no_args_is_help=True)

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the report there.")]


@app.command()
def run(  # noqa: PLR0913  # the options of the command line
    targets: Annotated[
        list[str], typer.Argument(help="Names of harnesses (memory, rabbitmq) or broker URLs.")
    ],
    *,
    profile: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Of the adapter, or 'all'; repeatable.")
    ] = None,
    level: Annotated[list[str] | None, typer.Option(help="L0 to L3; repeatable.")] = None,
    clause: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Run each clause so often.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    stretch: Annotated[float, typer.Option(help="Factor on every wait.")] = 1.0,
    version: Annotated[str | None, typer.Option(help="Of the broker to start.")] = None,
    histories: Annotated[Path | None, typer.Option(help="Keep histories of failures.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the comparison there.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Run the clauses on brokers and profiles; exits with 1 if something has to be done."""
    mute()
    catalogue = clauses.load()
    chosen = _chosen(catalogue, level or (), clause or ())
    proofs = clauses.match(catalogue, registry.collect(), only=clause)
    screen = Screen()
    runs: list[ProfileRun] = []
    plan = Plan(clauses=chosen, tests=proofs, repeat=repeat, stretch=stretch, histories=histories)
    is_whole = False
    try:
        with ExitStack() as stack:
            cells = _cells(stack, targets, version, variant or (), profile or ())
            for harness, broker, name in cells:
                screen.begin(f"{broker.label} {name}", len(chosen))
                each = replace(plan, deviations=deviations.load(harness.deviations))
                done = run_jobs(harness, broker, name, each, jobs=jobs, report=screen.result)
                runs.append(done)
                if not done.is_whole:
                    break
            else:
                is_whole = True
    except KeyboardInterrupt:
        screen.interrupted()
    report = Report(catalogue, runs, is_whole)
    screen.report(report)
    _write(json_file, report.as_json())
    if markdown is not None:
        markdown.write_text(report.as_markdown(), encoding="utf-8")
    raise typer.Exit(0 if report.is_good else 1)


def _cells(
    stack: ExitStack,
    targets: Sequence[str],
    version: str | None,
    variants: Sequence[str],
    profiles: Sequence[str],
) -> Iterator[tuple[Harness, BrokerUnderTest, str]]:
    """Yield what is to be run, opening each broker when its turn has come."""
    for target in targets:
        harness, url = harness_for(target)
        broker = stack.enter_context(harness.broker(url, version))
        label = broker.label
        wanted = _profiles(harness, profiles or _named_in(broker.url))
        for variant in _variants(harness, variants):
            broker.settings = harness.variants.get(variant, {})
            broker.label = f"{label} ({variant})" if broker.settings else label
            yield from ((harness, broker, name) for name in wanted)


def _variants(harness: Harness, wanted: Sequence[str]) -> Sequence[str]:
    offered = tuple(harness.variants) or ("",)
    if "all" in wanted:
        return offered
    return [each for each in offered if each in wanted] or offered[:1]


def _named_in(url: str) -> Sequence[str]:
    return dict(parse_qsl(urlsplit(url).query)).get("profile", "").split()


def _profiles(harness: Harness, wanted: Sequence[str]) -> Sequence[str]:
    if unknown := sorted(set(wanted) - set(harness.profiles)):
        offered = ", ".join(harness.profiles)
        raise ConfigurationError(
            f"{harness.name} has no profile {', '.join(unknown)}; choose from {offered}"
        )
    return [each for each in harness.profiles if not wanted or each in wanted]


def _chosen(
    catalogue: clauses.Catalogue, levels: Sequence[str], ids: Sequence[str]
) -> Sequence[clauses.Clause]:
    if unknown := sorted(set(ids) - set(catalogue)):
        raise ConfigurationError(f"there is no clause {', '.join(unknown)}")
    if unknown := sorted(set(levels) - set(clauses.LEVELS)):
        raise ConfigurationError(f"there is no level {', '.join(unknown)}")
    return select(catalogue, levels=levels, ids=ids)


@app.command("list")
def list_clauses(
    level: Annotated[list[str] | None, typer.Option(help="L0 to L3; repeatable.")] = None,
) -> None:
    """List the clauses."""
    Screen().clauses(_chosen(clauses.load(), level or (), ()))


@app.command()
def explain(clause: Annotated[str, typer.Argument(help="Its id, e.g. ACK-01.")]) -> None:
    """Say what one clause promises, when it is due, and where its proof stands."""
    catalogue = clauses.load()
    (chosen,) = _chosen(catalogue, (), (clause,))
    proofs = clauses.match(catalogue, registry.collect(), only=(clause,))
    Screen().clause(chosen, proofs[chosen.id].where)


@app.command()
def zoo(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this saboteur; repeatable.")] = None,
    thorough: Annotated[
        bool, typer.Option(help="Run every clause that is not named, not some of them.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Try every saboteur; exits with 1 if one survives or a clause is idle."""
    mute()
    catalogue = clauses.load()
    saboteurs = [each for each in collect_saboteurs() if not only or each.name in only]
    named = [name for each in saboteurs for name in each.breaks] if only else None
    proofs = clauses.match(catalogue, registry.collect(), only=named)
    screen = Screen()
    known = harnesses()
    with ExitStack() as stack:
        brokers: Mapping[str, BrokerUnderTest] = {
            name: stack.enter_context(known[name].broker(None)) for name in needed(saboteurs)
        }
        runner = ZooRunner(catalogue, proofs, spot=None if thorough else SPOT)
        found = runner.run(saboteurs, brokers, screen.trial)
    screen.zoo(found)
    _write(json_file, found.as_json())
    is_good = all(each.is_killed for each in found.trials) and not (found.idle_clauses or only)
    raise typer.Exit(0 if is_good else 1)


def _write(path: Path | None, values: Mapping[str, object]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
