"""Finds the adapter for a URL among the entry points of what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from unibus.errors import ConfigurationError
from unibus.spi import Adapter

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "unibus.adapters"


def scheme_of(url: str) -> str:
    """Return the scheme of *url*, e.g. ``amqp`` of ``amqp://localhost``.

    Raises:
        ConfigurationError: It has none; the message does not repeat the URL, which may hold a
            password.
    """
    scheme, found, _ = url.partition("://")
    if not found or not scheme:
        raise ConfigurationError(
            f"the URL has no scheme; it begins with one of {_offer(_entry_points())}"
        )
    return scheme.lower()


def adapter_class(scheme: str) -> type[Adapter]:
    """Return the adapter that speaks *scheme*.

    Raises:
        ConfigurationError: There is none, or two distributions claim it, or the client library
            that it needs is not installed; the message says what to do.
    """
    offered = _entry_points()
    claims = [each for each in offered if each.name == scheme]
    if not claims:
        raise ConfigurationError(
            f"no adapter is installed for {scheme}://; there is {_offer(offered)}"
        )
    if len(claims) > 1:
        owners = " and ".join(sorted(_distribution(each) for each in claims))
        raise ConfigurationError(f"{scheme}:// is claimed by {owners}; uninstall one of them")
    return _load(claims[0])


def _entry_points() -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # a third of what unibus may cost

    return tuple(entry_points(group=GROUP))


def _load(claim: EntryPoint) -> type[Adapter]:
    try:
        found = claim.load()
    except ImportError as error:
        raise ConfigurationError(
            f"the adapter for {claim.name}:// cannot be loaded: {error}; {_remedy(claim)}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        raise ConfigurationError(
            f"{claim.value} of {_distribution(claim)} is no unibus.spi.Adapter; report that to it"
        )
    return found


def _remedy(claim: EntryPoint) -> str:
    """Return how to install what is missing: the extra that is named like the module."""
    distribution = _distribution(claim)
    extras = claim.dist.metadata.get_all("Provides-Extra") or [] if claim.dist else []
    module = claim.module.partition(".")[0]
    for extra in extras:
        if module.endswith(f"_{extra}"):
            return f"pip install '{distribution}[{extra}]'"
    return f"reinstall {distribution}"


def _distribution(claim: EntryPoint) -> str:
    return claim.dist.name if claim.dist else claim.module


def _offer(claims: Sequence[EntryPoint]) -> str:
    return ", ".join(f"{name}://" for name in sorted({each.name for each in claims})) or "none"
