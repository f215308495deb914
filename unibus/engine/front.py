"""What a bus of either front says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

from unibus.binding import reach
from unibus.capabilities import Capabilities, Profile
from unibus.engine.core import Core
from unibus.specs import Spec
from unibus.spi import BrokerIdentity


class Front:
    """The part of a bus that asks the broker nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @cached_property
    def capabilities(self) -> Capabilities:
        """What is promised of a topic and a subscription that ask for nothing special.

        It is the profile that the URL names, else the first that meets ``require``, with what
        unibus adds. ``capabilities_of`` says it of one topic or subscription.
        """
        return reach(self._core.profile)

    @cached_property
    def profiles(self) -> Mapping[str, Profile]:
        """The ways to use this broker, by name, as the adapter declares them."""
        profiles = self._core.adapter.profiles
        return MappingProxyType({profile.name: profile for profile in profiles})

    def capabilities_of(self, spec: Spec) -> Capabilities:
        """Return what is promised of *spec*, emulations included; asks the broker nothing.

        Raises:
            UnsupportedError: The broker cannot carry it.
        """
        return self._core.bind(spec).capabilities

    @property
    def identity(self) -> BrokerIdentity:
        """Who answers: system, version, client library, address."""
        return self._core.adapter.identity

    @property
    def native(self) -> object:
        """The client library's own object."""
        return self._core.adapter.native
