"""The seam between the core and an adapter's control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unibus.errors import UnibusError
from unibus.spi import Adapter


@contextmanager
def translated(adapter: Adapter) -> Iterator[None]:
    """Run a block that calls *adapter*; what escapes from it is a ``UnibusError``."""
    try:
        yield
    except UnibusError:
        raise
    except Exception as error:
        raise adapter.translate(error) from error
