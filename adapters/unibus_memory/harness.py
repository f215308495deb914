"""How the contract suite gets at the memory broker and makes it suffer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override

import unibus
from unibus.spi import Subscription
from unibus_contract.harness import BrokerUnderTest, Evidence, Faults, Harness
from unibus_contract.timing import TimingProfile
from unibus_memory.broker import MemoryBroker
from unibus_memory.profiles import PROFILES


class MemoryFaults(Faults):
    """What can happen to a broker within its process."""

    kinds = frozenset({"lose_leases", "restart"})

    def __init__(self) -> None:
        self.brokers: dict[str, MemoryBroker] = {}

    @override
    def restart(self) -> None:
        for broker in self.brokers.values():
            broker.restart()

    @override
    def lose_leases(self, subscription: Subscription) -> None:
        for broker in self.brokers.values():
            if subscription.name in broker.names():
                broker.expire_leases(subscription.name)


class MemoryUnderTest(BrokerUnderTest):
    """One broker of this process for each profile, kept alive by a bus that does nothing."""

    evidence = Evidence.IN_PROCESS

    def __init__(self, url: str, keepers: ExitStack) -> None:
        super().__init__("memory", url)
        self.timing = TimingProfile(patience_s=1.0, recovery_s=2.0)
        self.faults = self._faults = MemoryFaults()
        self._keepers = keepers

    @override
    def url_of(self, profile: str) -> str:
        parts = urlsplit(super().url_of(profile))
        url = urlunsplit(parts._replace(netloc=f"{parts.netloc}-{profile}"))
        if profile not in self._faults.brokers:
            keeper = self._keepers.enter_context(unibus.connect(url))
            broker = keeper.native
            if not isinstance(broker, MemoryBroker):
                raise TypeError(f"the memory adapter lends its broker, not {broker!r}")
            # Its clock's thread begins with the first timer: not within a clause, as if it leaked.
            broker.clock.call_at(broker.clock.now(), lambda: None)
            self._faults.brokers[profile] = broker
        return url

    @override
    def residue(self, prefix: str) -> Sequence[str]:
        names = (name for each in self._faults.brokers.values() for name in each.names())
        return sorted(name for name in names if name.startswith(prefix))


class MemoryHarness(Harness):
    """All profiles, each on a broker of its own."""

    name = "memory"
    schemes = frozenset({"memory"})
    profiles = tuple(PROFILES)

    @override
    @contextmanager
    def broker(self, url: str | None, version: str | None = None) -> Iterator[BrokerUnderTest]:
        parts = urlsplit(url or "memory://")
        name = parts.netloc or f"contract-{secrets.token_hex(3)}"
        with ExitStack() as keepers:
            yield MemoryUnderTest(urlunsplit(parts._replace(netloc=name)), keepers)
