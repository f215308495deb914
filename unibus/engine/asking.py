"""Questions to a broker that not every broker answers."""

from __future__ import annotations

from unibus.engine.core import Core
from unibus.engine.translation import translated
from unibus.errors import ConfigurationError, UnsupportedError
from unibus.specs import Queue, Subscription
from unibus.spi import Binding, SupportsBacklog, SupportsPurge


def backlog(core: Core, spec: Subscription | Queue, timeout_s: float) -> int:
    """Return how many messages wait for *spec*.

    Raises:
        UnsupportedError: The broker does not count them.
        UnibusError: What the broker answered.
    """
    binding = core.bind(spec)
    adapter = core.adapter
    if not binding.capabilities.backlog or not isinstance(adapter, SupportsBacklog):
        raise _unsupported(binding, "backlog", "counts no waiting messages")
    with translated(adapter):
        return adapter.backlog(binding, timeout_s=timeout_s)


def purge(core: Core, spec: Subscription | Queue, timeout_s: float) -> None:
    """Remove what waits for *spec*.

    Raises:
        UnsupportedError: The adapter cannot, or it is a stream, which others read as well.
        UnibusError: What the broker answered.
    """
    binding = core.bind(spec)
    adapter = core.adapter
    if not isinstance(adapter, SupportsPurge):
        raise _unsupported(binding, "purge", "empties no subscription")
    if isinstance(binding.spec, Subscription) and binding.spec.mode == "stream":
        raise _unsupported(binding, "purge", "keeps a stream for all its readers; seek to 'latest'")
    with translated(adapter):
        adapter.purge(binding, timeout_s=timeout_s)


def dead_letters_of(core: Core, spec: Subscription | Queue) -> Queue:
    """Return the queue that holds the dead letters of *spec*.

    Raises:
        ConfigurationError: It has none.
        UnsupportedError: They cannot be sent back.
    """
    binding = core.bind(spec)
    queues = [each for each in binding.extra_specs if isinstance(each, Queue)]
    if not queues:
        raise ConfigurationError(
            f"{spec.name!r} has no dead letter queue to redrive; name one as dead_letter"
        )
    if not binding.capabilities.redrive:
        raise _unsupported(binding, "redrive", "sends nothing back")
    return queues[0]


def _unsupported(binding: Binding, asked: str, found: str) -> UnsupportedError:
    return UnsupportedError(
        f"{asked} of {binding.spec.name!r} was asked for, profile {binding.profile.name} {found}"
    )
