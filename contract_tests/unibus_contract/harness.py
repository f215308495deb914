"""What an adapter author writes, so that the suite can be run against a broker.

A harness is found by the entry point group ``unibus.harnesses``; the name is what
``unibus contract run NAME`` takes. It needs about 40 lines: how to get a broker, its URL per
profile, and which faults it can be given. What it cannot do it leaves out: the clauses that need it
are reported as NOT RUN, with that reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import unibus
from unibus.errors import ConfigurationError, UnsupportedError
from unibus.message import HeaderValue
from unibus.registry import adapter_class, scheme_of
from unibus.spi import Adapter, Clock
from unibus_contract.timing import TimingProfile

if TYPE_CHECKING:
    from unibus import Bus
    from unibus.requirements import Requirements
    from unibus.specs import Subscription, Topic

GROUP = "unibus.harnesses"


class Evidence(StrEnum):
    """What an answer of this broker proves something about."""

    SERVICE = "real service"
    BROKER = "real broker"
    EMULATOR = "emulator"
    IN_PROCESS = "in process"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeMessage:
    """A message as the bare client sees it, with no help of unibus."""

    body: bytes
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    key: str | None = None
    routing_key: str | None = None
    id: str | None = None


class Native(ABC):
    """A side door: the bare client library, used as its own documentation shows it."""

    @abstractmethod
    def publish(self, topic: Topic, message: NativeMessage) -> None:
        """Publish as a program that knows nothing of unibus, and wait until the broker has it."""

    @abstractmethod
    def get(self, subscription: Subscription, *, timeout_s: float) -> NativeMessage | None:
        """Take one message away as a foreign program would; ``None`` if none comes."""

    def publish_malformed(self, topic: Topic) -> None:
        """Publish a message whose headers no client can decode.

        Raises:
            UnsupportedError: This broker lets nobody do so.
        """
        raise UnsupportedError(f"no way to publish malformed headers to {topic.name}")


class Faults:
    """What can be done to the broker; an adapter's harness overrides what it can do.

    ``kinds`` names what is overridden, in the words of a clause's ``needs``.
    """

    kinds: ClassVar[frozenset[str]] = frozenset()

    def restart(self) -> None:
        """Stop the broker in good order and start it again (``restart``); waits until it is up."""
        raise _cannot("restart")

    def kill(self) -> None:
        """End the broker as a power cut would and start it again (``kill``)."""
        raise _cannot("kill")

    def paused(self) -> AbstractContextManager[None]:
        """Let the broker hang while the block runs: it accepts bytes and says nothing."""
        raise _cannot("pause")

    def cut(self, url: str) -> AbstractContextManager[Cut]:
        """Provide a way to *url* that can lose what either side says (``cut``)."""
        raise _cannot(f"cut the way to a broker; {len(url)} characters of URL were given")

    def alert(self, url: str) -> str:
        """Return *url* so that who connects notices silence within seconds (with ``cut``)."""
        return url

    def disconnect(self) -> None:
        """Have the broker itself end every connection of programs (``disconnect``)."""
        raise _cannot("have the broker end connections")

    def lose_leases(self, subscription: Subscription) -> None:
        """End every lease of *subscription* at once, as if its consumers had died."""
        raise _cannot(f"lose the leases of {subscription.name}")

    def alarm(self) -> AbstractContextManager[None]:
        """Make the broker refuse publishes for lack of resources while the block runs."""
        raise _cannot("alarm")

    def wrong_login(self, url: str) -> str:
        """Return *url* with a password that the broker refuses (``login``)."""
        raise _cannot(f"spoil the password of {len(url)} characters of URL")

    def wrong_place(self, url: str) -> str:
        """Return *url* with a virtual host, account or the like that is not there (``place``)."""
        raise _cannot(f"spoil the place in {len(url)} characters of URL")

    def data_rights(self, url: str) -> AbstractContextManager[str]:
        """Provide *url* for somebody who may publish and receive, and declare nothing (``rights``).

        The rights reach everything that is declared there already or later.
        """
        raise _cannot(f"take rights away from {len(url)} characters of URL")

    def limit(self, messages: int) -> Mapping[str, object]:
        """Return native arguments for a subscription that refuses more (``limit``)."""
        raise _cannot(f"limit a subscription to {messages} messages")


class Cut(ABC):
    """A way to the broker that can be interrupted.

    Attributes:
        url: What connects through it.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def swallow_answers(self) -> None:
        """From now on, what the broker says is lost; what it is told still reaches it."""

    @abstractmethod
    def swallow_requests(self) -> None:
        """From now on, what the broker is told is lost."""

    @abstractmethod
    def silence(self) -> None:
        """From now on, lose everything on the connections there are; new ones work.

        As a firewall does that has forgotten them: neither side is told.
        """

    @abstractmethod
    def break_off(self) -> None:
        """Tear every connection, and let new ones through untouched."""

    @abstractmethod
    def refuse(self) -> None:
        """Tear every connection and refuse new ones until ``heal``."""

    @abstractmethod
    def heal(self) -> None:
        """Let everything through again; connections that lost something stay broken."""


def _cannot(what: str) -> UnsupportedError:
    return UnsupportedError(f"this harness cannot {what}")


class BrokerUnderTest:
    """One broker that runs, and how it is reached. Subclass it where the defaults do not do.

    Attributes:
        label: How it is called in reports, e.g. ``rabbitmq 4.3``.
        url: Where programs connect, without a profile; may hold credentials, never shown.
        shown_url: The same without them.
        origin: What another process gives to the harness to get at the same broker.
        evidence: What an answer of it proves something about.
        timing: How long things take with it.
        faults: What can be done to it.
        native: The side door; ``None`` if there is none.
        settings: What the variant under test adds to the URL.
    """

    evidence: Evidence = Evidence.BROKER

    def __init__(self, label: str, url: str, *, shown_url: str | None = None) -> None:
        self.label = label
        self.url = url
        self.shown_url = url if shown_url is None else shown_url
        self.origin = url
        self.timing = TimingProfile()
        self.faults = Faults()
        self.native: Native | None = None
        self.settings: Mapping[str, str] = {}

    def url_of(self, profile: str) -> str:
        """Return the URL that connects with *profile* and the settings of the variant."""
        parts = urlsplit(self.url)
        query = {**dict(parse_qsl(parts.query)), **self.settings, "profile": profile}
        return urlunsplit(parts._replace(query=urlencode(query)))

    def connect(
        self,
        url: str,
        *,
        require: Requirements | None = None,
        options: Mapping[str, object] | None = None,
        timeout_s: float = 10.0,
    ) -> Bus:
        """Open a bus on *url*. A saboteur overrides this to open a broken one."""
        return unibus.connect(url, require=require, options=options, timeout_s=timeout_s)

    def adapter(
        self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
    ) -> Adapter:
        """Open an adapter alone, for a bus over one that is watched or spoiled."""
        chosen = adapter_class(scheme_of(url))
        return chosen.open(url, options, clock=clock, timeout_s=timeout_s)

    def residue(self, prefix: str) -> Sequence[str]:
        """Return what is left at the broker whose name begins with *prefix*."""
        del prefix
        return ()


class Harness(ABC):
    """How to get one kind of broker."""

    name: ClassVar[str]
    """What ``unibus contract run`` calls it."""

    schemes: ClassVar[frozenset[str]]
    """URL schemes whose brokers it knows, for ``unibus contract run URL``."""

    profiles: ClassVar[tuple[str, ...]]
    """The profiles to run, in the order of reports."""

    variants: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
    """Ways to run the adapter, with what each adds to the URL; the first by default."""

    deviations: ClassVar[Path | None] = None
    """A ``deviations.toml``; see ``unibus_contract.deviations``."""

    @abstractmethod
    def broker(
        self, url: str | None, version: str | None = None
    ) -> AbstractContextManager[BrokerUnderTest]:
        """Provide a broker for the block: that at *url*, else one of our own of *version*."""


def harnesses() -> Mapping[str, Harness]:
    """Return every installed harness by name."""
    found = entry_points(group=GROUP)
    return {name: found[name].load()() for name in sorted(found.names)}


def harness_for(target: str) -> tuple[Harness, str | None]:
    """Return the harness of *target*, a name or a URL, and the URL if it is one.

    Raises:
        ConfigurationError: No installed harness knows it.
    """
    known = harnesses()
    scheme, is_url, _ = target.partition("://")
    if not is_url and target in known:
        return known[target], None
    for each in known.values():
        if is_url and scheme in each.schemes:
            return each, target
    names = ", ".join(known) or "none"
    raise ConfigurationError(f"no harness for {scheme!r}; installed are {names}")
