"""Connecting to a broker, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from unibus.aio.bus import Bus, executor
from unibus.aio.opening import Opening
from unibus.engine.core import Core
from unibus.requirements import Requirements


def connect(
    url: str,
    *,
    options: Mapping[str, object] | None = None,
    require: Requirements | None = None,
    timeout_s: float = 10.0,
) -> Opening[Bus]:
    """Connect to the broker that *url* names: await it, or enter it with ``async with``.

    Args:
        url: ``amqp://user:password@host:5672/vhost``, ``memory://``...; ``?profile=`` chooses one
            of the broker's profiles for everything that names none.
        options: What the adapter takes beside the URL; see its page.
        require: Refuse a broker none of whose profiles promises all of this.
        timeout_s: How long it may take, in seconds.

    Raises:
        ConfigurationError: The URL or an option is wrong, or no adapter is installed for it.
        UnavailableError: Nothing answers there.
        PermissionDeniedError: The broker refuses the credentials.
        UnsupportedError: No profile promises what is required.
        DeadlineExceededError: The broker did not answer in time.
    """

    async def open_it() -> Bus:
        threads = executor()
        work = partial(Core.connect, url, options=options, require=require, timeout_s=timeout_s)
        try:
            core = await asyncio.get_running_loop().run_in_executor(threads, work)
        except BaseException:
            threads.shutdown(wait=False)
            raise
        return Bus(core, threads)

    return Opening(open_it)
