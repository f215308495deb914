"""The name that every message of a run carries in its body, so that nothing has to be guessed."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

_MARK: Final = b"ub"
_SENTINEL: Final = "sentinel"
_PARTS = 5


class Stamp(NamedTuple):
    """What a body says of itself.

    Attributes:
        run: The run that published it; other runs' messages are strays.
        producer: Who published it.
        key: Its order key, quoted; empty without one.
        n: Counter within producer and key.
    """

    run: str
    producer: str
    key: str
    n: int

    @property
    def message(self) -> str:
        """The logical id."""
        return f"{self.producer}/{self.key}/{self.n}"

    @property
    def is_sentinel(self) -> bool:
        """Whether it only marks the end of what was published before it."""
        return self.producer == _SENTINEL


def stamp(run: str, producer: str, key: str | None, n: int) -> Stamp:
    """Return the stamp of message *n* of *producer* and *key*."""
    return Stamp(run, producer, quote(key or "", safe=""), n)


def sentinel(run: str, n: int) -> Stamp:
    """Return the stamp of sentinel *n*."""
    return Stamp(run, _SENTINEL, "", n)


def write(of: Stamp, size: int = 0) -> bytes:
    """Return a body that carries *of*, printable, padded to *size* bytes if that is more."""
    body = b":".join((_MARK, of.run.encode(), of.producer.encode(), of.key.encode(), b"%d" % of.n))
    return (body + b":").ljust(size, b".")


def read(body: bytes | None) -> Stamp | None:
    """Return what *body* carries; ``None`` if it carries no stamp."""
    parts = (body or b"").split(b":", _PARTS)
    if len(parts) <= _PARTS or parts[0] != _MARK or not parts[4].isdigit():
        return None
    run, producer, key = (part.decode("ascii", "replace") for part in parts[1:4])
    return Stamp(run, producer, key, int(parts[4]))
