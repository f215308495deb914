"""Which ordered lane a key belongs to: the same one as with Kafka's own clients; pure."""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_MAX_CACHED: Final = 4096


def murmur2(data: bytes) -> int:
    """Return the 32-bit hash of *data*, unsigned (Kafka, ``Utils.murmur2``)."""
    size = len(data)
    state = _SEED ^ size
    whole = size & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _WORD
        k = (k ^ k >> 24) * _M & _WORD
        state = (state * _M & _WORD) ^ k
    if whole < size:
        state = (state ^ int.from_bytes(data[whole:], "little")) * _M & _WORD
    state = (state ^ state >> 13) * _M & _WORD
    return state ^ state >> 15


class Lanes:
    """Chooses among *count* lanes by key; remembers what it has chosen."""

    __slots__ = ("_chosen", "_count")

    def __init__(self, count: int) -> None:
        self._count = count
        self._chosen: dict[str, str] = {}

    def of(self, key: str) -> str:
        """Return the number of the lane of *key*, as a header says it."""
        lane = self._chosen.get(key)
        if lane is None:
            if len(self._chosen) >= _MAX_CACHED:
                self._chosen.clear()
            # As Kafka's default partitioner: the sign bit is dropped, not the sign.
            lane = str((murmur2(key.encode()) & 0x7FFFFFFF) % self._count)
            self._chosen[key] = lane
        return lane
