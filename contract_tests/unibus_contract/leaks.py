"""What a run leaves behind in this process: threads, file descriptors, child processes."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FDS = Path("/proc/self/fd")
_CHILDREN = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process has at one moment; fields are empty where the system does not tell.

    Attributes:
        threads: Those that run, by identity.
        files: Open descriptors and what they are.
        children: Processes started and not waited for.
    """

    threads: frozenset[threading.Thread]
    files: frozenset[tuple[str, str]]
    children: frozenset[str]

    def grown_since(self, before: Footprint, *, with_children: bool = True) -> tuple[str, ...]:
        """Return what is here and was not *before*, one phrase each."""
        threads = sorted(each.name for each in self.threads - before.threads)
        # A descriptor's number is used again: only their count tells a leak.
        surplus = len(self.files) - len(before.files)
        files = sorted(what for _, what in self.files - before.files)
        children = sorted(self.children - before.children) if with_children else ()
        return (
            *(f"thread {name}" for name in threads),
            *((f"{surplus} descriptors: {', '.join(files)}",) if surplus > 0 else ()),
            *(f"process {pid}" for pid in children),
        )


def footprint() -> Footprint:
    """Return what this process has now."""
    return Footprint(frozenset(threading.enumerate()), frozenset(_files()), frozenset(_children()))


def _files() -> list[tuple[str, str]]:
    if not _FDS.is_dir():
        return []
    found = []
    for each in _FDS.iterdir():
        try:
            found.append((each.name, str(each.readlink())))
        except FileNotFoundError:  # the descriptor of this listing itself
            continue
    return found


def _children() -> list[str]:
    found: list[str] = []
    for each in _CHILDREN.glob("*/children") if _CHILDREN.is_dir() else ():
        with suppress(FileNotFoundError):  # the thread has ended since it was listed
            found += each.read_text("ascii").split()
    return found
