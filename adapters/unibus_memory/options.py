"""Settings of the memory broker: the URL's name, and nothing but known parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from unibus.spi import ConfigurationError
from unibus_memory.profiles import PROFILES

_KNOWN = frozenset({"profile"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """What ``memory://NAME?profile=PROFILE`` says.

    Attributes:
        name: Buses of one name in one process share a broker; empty is private to the bus.
        profile: What the broker promises.
    """

    name: str = ""
    profile: str = "memory"

    @classmethod
    def parse(cls, url: str, options: Mapping[str, object]) -> MemoryOptions:
        """Read *url*; *options* override its parameters.

        Raises:
            ConfigurationError: A parameter is unknown, no profile has that name, or there is a
                login.
        """
        parts = urlsplit(url)
        if "@" in parts.netloc:  # it would be part of the name, which is shown
            raise ConfigurationError(
                f"{parts.scheme}: there is nobody to log in to; leave out what stands before the @"
            )
        settings: dict[str, object] = {**dict(parse_qsl(parts.query)), **options}
        if unknown := sorted(settings.keys() - _KNOWN):
            raise ConfigurationError(
                f"{parts.scheme}: unknown setting {', '.join(unknown)};"
                f" there is {', '.join(sorted(_KNOWN))}"
            )
        profile = str(settings.get("profile", "memory"))
        if profile not in PROFILES:
            raise ConfigurationError(
                f"{parts.scheme}: no profile {profile!r}; there is {', '.join(sorted(PROFILES))}"
            )
        return cls(name=parts.netloc, profile=profile)
