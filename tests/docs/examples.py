"""The Python blocks of the documentation, and how they are run."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
SHOWN_URL: Final = "amqp://guest:guest@localhost:5672/"
"""What the pages call a RabbitMQ; replaced by the URL of the one that is there."""

_PARTS: Final = (ROOT / "docs/how-to/write-a-clause.md",)
"""Pages that show parts of files of the contract suite: run here, they would register clauses."""
_BROKER: Final = "broker=rabbitmq"
_PRINTS: Final = "# prints"
_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: +(?P<info>[^\n]*))?\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of Python on a page.

    Attributes:
        line: Where its code begins.
        needs_broker: Whether it is marked with ``broker=rabbitmq``.
        prints: The text block that follows it and says what it prints; ``None`` if none does.
    """

    line: int
    code: str
    needs_broker: bool
    prints: str | None


def pages() -> Sequence[Path]:
    """Return every page that has Python blocks to run."""
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in texts if page not in _PARTS and blocks(page.read_text("utf-8"))]


def blocks(text: str) -> Sequence[Block]:
    """Return the Python blocks of the page *text*, in order."""
    fences = list(_FENCE.finditer(text))
    found = []
    for fence, following in zip_longest(fences, fences[1:]):
        if fence["language"] != "python":
            continue
        block = Block(
            line=text.count("\n", 0, fence.start("body")) + 1,
            code=_dedented(fence),
            needs_broker=_BROKER in (fence["info"] or "").split(),
            prints=_prints(text, fence, following),
        )
        found.append(block)
    return found


def run(page: Path, *, url: str | None = None) -> None:
    """Run the blocks of *page* in order, in one namespace; those that need a broker with *url*.

    Raises:
        AssertionError: One prints something else than the page says.
        Exception: What one raised, with the page's own line in its traceback.
    """
    # As a module of its own: what looks its globals up by name, such as a dataclass, finds them.
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page.read_text("utf-8")):
        if block.needs_broker and url is None:
            continue
        printed = _run(page, block, namespace, url)
        if block.prints is not None:
            where = f"{page.relative_to(ROOT)}:{block.line}"
            assert printed == block.prints, f"{where} prints\n{printed}not\n{block.prints}"


def _run(page: Path, block: Block, namespace: dict[str, Any], url: str | None) -> str:
    code = block.code if url is None else block.code.replace(SHOWN_URL, url)
    compiled = compile("\n" * (block.line - 1) + code, str(page), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compiled, namespace)  # noqa: S102  # that is what examples are for
    return printed.getvalue()


def _prints(text: str, fence: re.Match[str], following: re.Match[str] | None) -> str | None:
    if following is None or following["language"] != "text":
        return None
    if text[fence.end() : following.start()].strip():
        return None
    first, _, rest = _dedented(following).partition("\n")
    return rest if first == _PRINTS else None


def _dedented(fence: re.Match[str]) -> str:
    return "\n".join(_lines(fence["body"], len(fence["indent"])))


def _lines(body: str, indent: int) -> Iterator[str]:
    for line in body.split("\n"):
        yield line[indent:]
