"""What mkdocs cannot know by itself: the clauses there are, and which pages a folder has."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from unibus_contract import clauses

_FOLDERS: Final = ("decisions", "reference/adapters")
"""Whose pages are listed by name, so that a new one needs no entry in ``mkdocs.yml``."""
_CONTRACT: Final = "reference/contract.md"


def on_config(config: Any) -> None:  # noqa: ANN401  # mkdocs has no types for what it hands over
    """List the pages of the folders that the navigation names."""
    config["nav"] = [_listed(Path(config["docs_dir"]), each) for each in config["nav"]]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401  # likewise
    """Return *markdown*, of the contract with the clauses of today."""
    return f"{markdown}\n{contract()}" if page.file.src_uri == _CONTRACT else markdown


def contract() -> str:
    """Return the clauses as tables, one for each family."""
    by_family: dict[str, list[clauses.Clause]] = {}
    for clause in clauses.load().values():
        by_family.setdefault(clause.family, []).append(clause)
    return "\n".join(_family(name, members) for name, members in by_family.items())


def _family(name: str, members: list[clauses.Clause]) -> str:
    lines = [f"## {name.replace('_', ' ').capitalize()}\n", _introduction(name)]
    lines += ["| id | level | promise | due |", "|---|---|---|---|"]
    for each in members:
        due = "" if each.due.is_always else f"`{each.due}`"
        lines.append(f"| {each.id} | {each.level} | {each.sentence} | {due} |")
    return "\n".join([*lines, ""])


def _introduction(family: str) -> str:
    """Return the comment that the file of *family* begins with."""
    text = files("unibus_contract").joinpath("catalogue", f"{family}.toml").read_text("utf-8")
    first = text.partition("\n")[0]
    return f"{first.removeprefix('#').strip()}\n" if first.startswith("#") else ""


def _listed(docs: Path, entry: Any) -> Any:  # noqa: ANN401  # a tree of text, lists and mappings
    if isinstance(entry, list):
        return [_listed(docs, each) for each in entry]
    if isinstance(entry, dict):
        return {title: _listed(docs, each) for title, each in entry.items()}
    if entry in _FOLDERS:
        return [str(each.relative_to(docs)) for each in sorted((docs / entry).glob("*.md"))]
    return entry
