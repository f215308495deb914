"""How the contract suite gets at the memory broker and makes it suffer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from typing_extensions import override

import unibus
from unibus import Bus
from unibus_contract.harness import BrokerUnderTest, Evidence, Harness
from unibus_contract.timing import TimingProfile
from unibus_memory.profiles import PROFILES


class MemoryUnderTest(BrokerUnderTest):
    """One broker of this process for each profile, kept alive by a bus that does nothing."""

    evidence = Evidence.IN_PROCESS

    def __init__(self, url: str, keepers: ExitStack) -> None:
        super().__init__("memory", url)
        self.timing = TimingProfile(patience_s=1.0, recovery_s=2.0)
        self._keepers = keepers
        self._kept: dict[str, Bus] = {}

    @override
    def url_of(self, profile: str) -> str:
        url = f"{self.url}-{profile}?profile={profile}"
        if profile not in self._kept:
            self._kept[profile] = self._keepers.enter_context(unibus.connect(url))
        return url

    @override
    def residue(self, prefix: str) -> Sequence[str]:
        return ()


class MemoryHarness(Harness):
    """All profiles, each on a broker of its own."""

    name = "memory"
    schemes = frozenset({"memory"})
    profiles = tuple(PROFILES)

    @override
    @contextmanager
    def broker(self, url: str | None, version: str | None = None) -> Iterator[BrokerUnderTest]:
        with ExitStack() as keepers:
            yield MemoryUnderTest(url or f"memory://contract-{secrets.token_hex(3)}", keepers)
