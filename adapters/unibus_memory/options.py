"""Settings of the memory broker: the URL's name, and nothing but known parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from unibus.spi import ConfigurationError
from unibus_memory.profiles import PROFILES

_KNOWN = frozenset({"profile", "adversary"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """What ``memory://NAME?profile=PROFILE`` says.

    Attributes:
        name: Buses of one name in one process share a broker; empty is private to the bus.
        profile: What the broker promises.
        adversary: Seed of the chooser that uses every freedom the promises leave; ``None`` is none.
    """

    name: str = ""
    profile: str = "memory"
    adversary: int | None = None

    @classmethod
    def parse(cls, url: str, options: Mapping[str, object]) -> MemoryOptions:
        """Read *url*; *options* override its parameters.

        Raises:
            ConfigurationError: A parameter is unknown, no profile has that name, the seed is no
                number, or there is a login.
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
        seed = settings.get("adversary")
        if seed is not None and not str(seed).isdecimal():
            raise ConfigurationError(
                f"{parts.scheme}: adversary is {seed!r}; it has to be a whole number, the seed"
            )
        adversary = None if seed is None else int(str(seed))
        return cls(name=parts.netloc, profile=profile, adversary=adversary)
