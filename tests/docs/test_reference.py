"""The reference says all there is, and what it says is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import capability_table
import click
import examples
import pytest
import typer

import unibus
from unibus import errors
from unibus.cli.app import create

DOCS = examples.ROOT / "docs"
ERRORS = [each for each in vars(errors).values() if isinstance(each, type)]


def name(page: Path) -> str:
    return str(page.relative_to(examples.ROOT))


def text(file: str) -> str:
    return (DOCS / "reference" / file).read_text("utf-8")


def options(command: click.Command, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each option of each command, with the command's path."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from ((path, name) for name in [*parameter.opts, *parameter.secondary_opts])
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from options(child, f"{path} {name}".strip())


def links(page: Path) -> Iterator[str]:
    """Yield what *page* points at within this tree."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in target and not target.startswith("#"):
            yield target.partition("#")[0]


def test_the_capabilities_page_says_what_the_profiles_declare() -> None:
    assert capability_table.PAGE.read_text("utf-8") == capability_table.page(), (
        "profiles or emulations have changed; run: python docs/capability_table.py, and commit"
        " docs/reference/capabilities.md"
    )


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_its_paragraph_and_its_flags(error: type[unibus.UnibusError]) -> None:
    page = text("errors.md")
    flags = ["yes" if each else "" for each in (error.retryable, error.outcome_unknown)]
    row = (
        rf"\| \[`{error.__name__}`\]\(#{error.__name__.lower()}\) \| ?{flags[0]} \| ?{flags[1]} \|"
    )

    assert f"\n## {error.__name__}\n" in page
    assert error is unibus.UnibusError or re.search(row, page)


def test_every_public_name_is_in_the_reference() -> None:
    pages = text("api.md") + text("errors.md")
    missing = [name for name in unibus.__all__ if not re.search(rf"\b{name}\b", pages)]

    assert missing == []


def test_every_option_of_the_command_line_is_in_the_reference() -> None:
    page = text("cli.md")
    app = typer.main.get_command(create())
    missing = [each for each in options(app) if f"`{each[1]}`" not in page.replace(" NAME`", "`")]

    assert missing == []


@pytest.mark.parametrize(
    "page", [examples.ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=str
)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [each for each in links(page) if not (page.parent / each).exists()]

    assert dead == []
