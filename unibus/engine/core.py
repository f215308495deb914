"""What the buses of both fronts share: an open adapter, and what is opened on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Self

from typing_extensions import override

from unibus import observe
from unibus.binding import choose, resolve
from unibus.capabilities import Profile
from unibus.clock import Clock, SystemClock
from unibus.emulation.relay import Relay
from unibus.engine.closing import Budget, Closing
from unibus.engine.outlet import Outlet
from unibus.engine.process import PROCESS, Open
from unibus.engine.relay import OutletRelay
from unibus.engine.translation import translated
from unibus.engine.window import Limits
from unibus.errors import (
    AdapterError,
    ClosedError,
    ConfigurationError,
    ForkedError,
    UnibusError,
)
from unibus.registry import adapter_class, scheme_of
from unibus.requirements import Requirements
from unibus.specs import Queue, Spec, Subscription, Topic
from unibus.spi import Adapter, Binding

_log = observe.logger("bus")
_OPEN_S = 30.0  # for the senders of relays


class Core(Open):
    """One connection: resolves specs, opens the emulations' senders, ends in order. Thread-safe.

    Attributes:
        adapter: The open connection.
        clock: Tells time to everything on it; ends with it.
        profile: What the program stands on unless a spec says otherwise.
        on_leave: Closes the front; called when the interpreter ends.
        on_fork: Makes what the front has opened dead in a forked child.
    """

    def __init__(
        self,
        adapter: Adapter,
        clock: Clock,
        require: Requirements | None = None,
        profile: str | None = None,
    ) -> None:
        self.adapter = adapter
        self.clock = clock
        self.profile: Profile = choose(adapter.profiles, require=require, named=profile)
        self.on_leave: Callable[[float], None] = self.close
        self.on_fork: Callable[[], None] = _nothing
        # Who names a profile, or requires something, stands on that one alone.
        self._default = self.profile.name if require is not None or profile else None
        self._require = require
        self._refusal: UnibusError | None = None
        self._lock = threading.Lock()
        self._relays: dict[Queue | Subscription, Outlet] = {}
        PROCESS.add(self)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        options: Mapping[str, object] | None,
        require: Requirements | None,
        timeout_s: float,
    ) -> Self:
        """Open the adapter that *url* names.

        Raises:
            UnibusError: See ``unibus.connect``.
        """
        if timeout_s <= 0:
            raise ConfigurationError(f"timeout_s is {timeout_s!r}; it has to be greater than 0")
        scheme = scheme_of(url)
        named = _named_profile(url, options or {})
        kind = adapter_class(scheme)
        clock = SystemClock()
        budget = Budget(clock, timeout_s)
        try:
            adapter = _open(kind, scheme, url, options or {}, clock, timeout_s)
            try:
                core = cls(adapter, clock, require, named)
            except UnibusError:
                adapter.close(budget.left_s)
                raise
        except UnibusError:
            clock.close()
            raise
        core.report(observe.OPENED)
        return core

    # What a front asks.

    @property
    def is_foreign(self) -> bool:
        """Whether this process was forked off after the bus was opened."""
        return isinstance(self._refusal, ForkedError)

    def check(self) -> None:
        """Refuse to go on with a bus that is closed or foreign.

        Raises:
            ClosedError: It is.
        """
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)

    def bind(self, spec: Spec) -> Binding:
        """Return what *spec* is resolved to; a queue is resolved as its subscription.

        Raises:
            UnsupportedError: The broker cannot carry it.
            ConfigurationError: It names a profile that there is not.
            ClosedError: The bus is closed.
        """
        self.check()
        return resolve(
            spec, self.adapter.profiles, require=self._require, default_profile=self._default
        )

    def bind_target(self, spec: Topic | Queue) -> Binding:
        """Return what publishing to *spec* is resolved to; a queue's halves share a profile.

        Raises:
            UnsupportedError: The broker cannot carry it.
            ConfigurationError: It names a profile that there is not, or is a subscription.
            ClosedError: The bus is closed.
        """
        if isinstance(spec, Queue):
            return self.bind(replace(spec.topic, profile=self.bind(spec).profile.name))
        if not isinstance(spec, Topic):
            raise ConfigurationError(
                f"a producer publishes to a Topic or a Queue, not to {type(spec).__name__}"
            )
        return self.bind(spec)

    def relay(self, spec: Queue | Subscription) -> Relay:
        """Return what publishes to *spec* alone; opened when it is first asked for.

        Raises:
            UnibusError: What opening it came to.
        """
        with self._lock:
            outlet = self._relays.get(spec)
            if outlet is None:
                binding = self.bind_target(spec) if isinstance(spec, Queue) else self.bind(spec)
                outlet = self._relays[spec] = Outlet(
                    self.adapter,
                    binding,
                    None,
                    clock=self.clock,
                    limits=Limits(),
                    timeout_s=_OPEN_S,
                )
        return OutletRelay(outlet)

    # The end.

    def stop(self) -> bool:
        """Open nothing more; return whether that was new."""
        with self._lock:
            is_new = self._refusal is None
            self._refusal = self._refusal or ClosedError("the bus is closed; connect again")
        return is_new

    def finish(self, closing: Closing) -> None:
        """Close what is left when the front's consumers and producers are closed.

        Raises:
            UnibusError: What went wrong in the whole close.
        """
        closing.step(self._close_adapter)
        self.clock.close()
        PROCESS.discard(self)
        self.report(observe.CLOSED)
        closing.finish()

    def close_relays(self, closing: Closing) -> None:
        """Drain what the consumers left to be retried or dead-lettered."""
        for outlet in list(self._relays.values()):
            closing.step(outlet.close)

    def close(self, timeout_s: float) -> None:
        """Close a core that has no front."""
        closing = Closing(Budget(self.clock, timeout_s))
        if self.stop():
            self.close_relays(closing)
            self.finish(closing)

    @override
    def abandon(self) -> None:
        self._lock = threading.Lock()
        self._refusal = ForkedError(
            "the bus was opened before this process was forked off; open another one here"
        )
        for outlet in self._relays.values():
            outlet.abandon()
        self.on_fork()

    @override
    def leave(self, timeout_s: float) -> None:
        try:
            self.on_leave(timeout_s)
        except UnibusError as error:
            extra = observe.fields(observe.NOT_CLOSED, error=type(error).__name__)
            _log.warning("the program ended without closing its bus: %s", error, extra=extra)

    def report(self, event: str) -> None:
        """Log what happens to the connection."""
        broker = self.adapter.identity
        extra = observe.fields(
            event,
            system=broker.system,
            broker_version=broker.version,
            client=broker.client,
            server=broker.address,
        )
        text = "%s: %s %s at %s by %s"
        _log.info(
            text, event, broker.system, broker.version, broker.address, broker.client, extra=extra
        )

    def _close_adapter(self, timeout_s: float) -> None:
        with translated(self.adapter):
            self.adapter.close(timeout_s)


def _open(
    kind: type[Adapter],
    scheme: str,
    url: str,
    options: Mapping[str, object],
    clock: Clock,
    timeout_s: float,
) -> Adapter:
    try:
        return kind.open(url, options, clock=clock, timeout_s=timeout_s)
    except UnibusError:
        raise
    except Exception as error:
        # Its text is not repeated: nobody has looked it through for secrets.
        raise AdapterError(f"{scheme}: opening met {type(error).__name__}") from error


def _named_profile(url: str, options: Mapping[str, object]) -> str | None:
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415  # a tenth of `import unibus`

    try:
        in_url = parse_qs(urlsplit(url).query).get("profile")
    except ValueError as error:
        raise ConfigurationError(f"the URL is malformed: {error}") from None
    named = in_url[-1] if in_url else options.get("profile")
    return None if named is None else str(named)


def _nothing() -> None:
    """There is no front yet."""
