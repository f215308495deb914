from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unibus


def _typed_names() -> set[str]:
    """Return the names that type checkers see."""
    tree = ast.parse(Path(unibus.__file__).read_text())
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unibus")
        for alias in node.names
    }


def test_the_lists_of_public_names_agree() -> None:
    assert set(unibus.__all__) == set(unibus._HOME_OF) == _typed_names()


@pytest.mark.parametrize("name", unibus.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(unibus, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Exchange'"):
        _ = unibus.Exchange  # type: ignore[attr-defined]  # the point of the test


def test_importing_alone_loads_no_engine() -> None:
    program = "import sys, unibus; print('unibus.bus' in sys.modules, 'asyncio' in sys.modules)"
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  # our own text

    assert found.stdout.split() == [b"False", b"False"]
