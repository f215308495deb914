"""What the documentation shows is what happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import examples
import pytest

from unibus_contract import brokers

PAGES = examples.pages()
ON_A_BROKER = [
    page for page in PAGES if any(each.needs_broker for each in examples.blocks(page.read_text()))
]


def name(page: Path) -> str:
    return str(page.relative_to(examples.ROOT))


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[str]:
    with brokers.up("rabbitmq") as broker:
        yield broker.url


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_blocks_of_a_page_do_what_it_says(page: Path) -> None:
    examples.run(page)


@pytest.mark.broker
@pytest.mark.timeout(300)  # the first page may have to fetch and start the broker
@pytest.mark.parametrize("page", ON_A_BROKER, ids=name)
def test_the_blocks_of_a_page_do_what_it_says_on_rabbitmq(page: Path, rabbitmq: str) -> None:
    examples.run(page, url=rabbitmq)


def test_a_block_is_found_with_its_line_its_mark_and_what_it_prints() -> None:
    text = (
        "# T\n\n```python\nprint(1)\n```\n\n```text\n# prints\n1\n```\n\n"
        "```text\nnot output\n```\n\n* x\n\n  ```python broker=rabbitmq\n  a = 1\n  ```\n"
    )

    first, second = examples.blocks(text)

    assert (first.line, first.code, first.needs_broker, first.prints) == (
        4,
        "print(1)\n",
        False,
        "1\n",
    )
    assert (second.line, second.code, second.needs_broker, second.prints) == (
        19,
        "a = 1\n",
        True,
        None,
    )


def test_a_block_that_prints_something_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(2)\n```\n\n```text\n# prints\n1\n```\n")

    with pytest.raises(AssertionError, match=r"page.md:2 prints"):
        examples.run(page)


def test_a_block_needs_a_broker_only_if_it_says_so(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```python broker=rabbitmq\nraise LookupError("amqp://guest:guest@localhost:5672/?x=1")\n```\n'
    )
    examples.run(page)

    with pytest.raises(LookupError, match=r"amqp://there:1/v\?x=1"):
        examples.run(page, url="amqp://there:1/v")
