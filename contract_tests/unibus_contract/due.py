"""When a clause is due: a small expression over what a broker's profile promises."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from typing_extensions import override

from unibus.capabilities import Capabilities, Grade, Profile

_TERM = re.compile(r"(not )?([a-z_.]+)(?: (==|!=|>=|<=|>|<|has) ([\w.-]+))?")
_SYMBOLS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "has": operator.contains,
}


@dataclass(frozen=True, slots=True)
class View:
    """What expressions are about.

    ``ordering`` is what a plain subscription gets; ``ordered.on_nack`` what one gets on a topic
    with ordering by key; ``profile.mode`` is a field of the profile itself, and
    ``raw.nack`` what the adapter gives before anything is emulated.
    """

    plain: Capabilities
    ordered: Capabilities
    profile: Profile

    def value(self, path: str) -> object:
        """Return the value that *path* names; a grade itself, if the path ends there.

        Raises:
            AttributeError: There is nothing of that name.
        """
        head, _, rest = path.partition(".")
        roots: dict[str, object] = {
            "profile": self.profile,
            "ordered": self.ordered,
            "raw": self.profile.capabilities,
        }
        found: object = roots.get(head, self.plain)
        for name in (rest if head in roots else path).split("."):
            found = getattr(found.value if isinstance(found, Grade) else found, name)
        return found


@dataclass(frozen=True, slots=True)
class _Term:
    text: str
    negated: bool
    path: str
    symbol: str | None
    wanted: str | None

    def holds(self, view: View) -> bool:
        return self._bare(view) is not self.negated

    def _bare(self, view: View) -> bool:
        found = view.value(self.path)
        if self.symbol is None or self.wanted is None:
            is_kept = bool(found)
            return is_kept and bool(found.value) if isinstance(found, Grade) else is_kept
        value = found.value if isinstance(found, Grade) else found
        if value is None:  # no limit
            return self.symbol in (">=", ">", "!=")
        return _SYMBOLS[self.symbol](value, _like(value, self.wanted, self.text))


def _like(value: object, wanted: str, text: str) -> object:
    if isinstance(value, IntEnum):
        return type(value)[wanted.upper()]
    if isinstance(value, Enum):
        return type(value)(wanted)
    if isinstance(value, bool):
        raise TypeError(f"{text!r} compares a yes or no; write the name alone")
    return float(wanted) if isinstance(value, int | float) else wanted


@dataclass(frozen=True, slots=True)
class Due:
    """A parsed expression: terms joined by ``and``, groups of them by ``or``.

    A term is ``name`` (somebody keeps it, and its value is neither false nor 0), ``not name``, or
    ``name OP value`` with ``== != >= <= > <`` or ``has``; values are those of ``Capabilities``,
    enumerations by their lower-case name. A limit of ``None`` is above everything.
    """

    text: str
    groups: tuple[tuple[_Term, ...], ...]

    @property
    def is_always(self) -> bool:
        """Whether every profile has to keep the clause."""
        return not self.groups

    @classmethod
    def parse(cls, text: str) -> Due:
        """Return what *text* means; empty is always.

        Raises:
            ValueError: It is malformed or names what capabilities do not have.
        """
        groups = text.split(" or ") if text else ()
        return cls(text, tuple(tuple(map(_term, each.split(" and "))) for each in groups))

    def holds(self, view: View) -> bool:
        """Return whether the clause is due for what *view* shows."""
        if self.is_always:
            return True
        return any(all(term.holds(view) for term in group) for group in self.groups)

    @override
    def __str__(self) -> str:
        return self.text or "always"


_BLANK = View(Capabilities(), Capabilities(), Profile(name="blank", capabilities=Capabilities()))


def _term(text: str) -> _Term:
    found = _TERM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not 'name', 'not name' or 'name OP value'")
    negated, path, symbol, wanted = found.groups()
    if negated and symbol:
        raise ValueError(f"{text!r}: 'not' stands before a name alone")
    term = _Term(text.strip(), negated is not None, path, symbol, wanted)
    try:
        term.holds(_BLANK)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{text!r}: {error}") from error
    return term
