"""Where the ladder keeps what outlives one process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unibus_contract.brokers.progress import Progress


def home() -> Path:
    """Return unibus's cache folder: ``UNIBUS_HOME``, else the XDG one, else ``~/.cache/unibus``.

    The XDG Base Directory Specification says to ignore ``XDG_CACHE_HOME`` when it is relative.
    """
    if own := os.environ.get("UNIBUS_HOME"):
        return Path(own).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "unibus"


def brokers_folder() -> Path:
    """Return the folder that has one folder per broker that was started."""
    return home() / "brokers"


def trees_folder() -> Path:
    """Return the folder that has one Debian tree per suite, kept between runs."""
    return home() / "trees"


@contextmanager
def locked(path: Path, progress: Progress, waiting: str) -> Iterator[None]:
    """Hold the lock file *path*; say *waiting* when another process holds it.

    The kernel lets go of it when its holder dies, so a killed run blocks nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
