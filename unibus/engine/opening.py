"""Opening what a consumer of either front stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Literal

from unibus.clock import Clock
from unibus.emulation import stack
from unibus.emulation.relay import Relays
from unibus.engine.desk import Rules
from unibus.engine.inbox import Inbox
from unibus.engine.leases import Renewal
from unibus.engine.settlements import Settlements
from unibus.engine.translation import translated
from unibus.errors import ConfigurationError, UnsupportedError
from unibus.retry import Backoff
from unibus.spi import Adapter, Binding, Flow, Subscription, Support

DeliveryMode = Literal["at_least_once", "at_most_once"]
_SHARES = 4  # a quarter of what may be unsettled is handed over at once, the rest keeps working


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How a consumer receives.

    Attributes:
        delivery: Whether a delivery is settled by the program, or before the program sees it.
        max_unsettled: Deliveries taken and not settled, at most.
        max_batch: Deliveries taken at once, at most.
        renew_leases: Whether leases are extended while something under them is unsettled.
        backoff: How long a failed delivery waits.
        timeout_s: For opening it, in seconds.
    """

    delivery: DeliveryMode
    max_unsettled: int
    max_batch: int
    renew_leases: bool
    backoff: Backoff
    timeout_s: float

    def check(self, binding: Binding) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigurationError: A setting is not one of those that exist, or it is a topic.
            UnsupportedError: The subscription is not delivered in this way.
        """
        if not isinstance(binding.spec, Subscription):
            raise ConfigurationError(
                "a consumer receives from a Subscription or a Queue, not from the topic"
                f" {binding.spec.name!r}; subscribe to it"
            )
        if self.delivery not in ("at_least_once", "at_most_once"):
            raise ConfigurationError(
                f"delivery is {self.delivery!r}; it can be 'at_least_once' or 'at_most_once'"
            )
        for name in ("max_unsettled", "max_batch", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)!r}; it has to be greater than 0"
                )
        offered = binding.capabilities
        if not (offered.at_most_once if self._settles_first else offered.at_least_once):
            raise UnsupportedError(
                f"subscription {binding.spec.name!r} is not delivered {self.delivery!r} by profile"
                f" {binding.profile.name}"
            )

    def open(
        self,
        adapter: Adapter,
        binding: Binding,
        *,
        clock: Clock,
        relays: Relays,
        wake: Callable[[], None],
    ) -> Inbox:
        """Return an inbox that receives from ``binding.spec``; may block for *timeout_s*.

        Raises:
            UnibusError: What opening the receiver came to.
        """
        self.check(binding)
        rules = Rules(
            subscription=binding.spec.name,
            capabilities=binding.capabilities,
            settles_first=self._settles_first,
            backoff=self.backoff,
            random=random,
            quarter=max(1, self.max_unsettled // _SHARES),
        )
        confirmed = binding.profile.capabilities.ack_confirmed.support is Support.NATIVE
        settlements = Settlements(rules, clock, needs_barrier=not confirmed)
        renewal = Renewal(clock, self._lease_s(binding), settlements)
        inbox = Inbox(settlements, clock, wake, renewal)
        flow = Flow(min(self.max_batch, self.max_unsettled), self.max_unsettled)
        with translated(adapter):
            settlements.receiver = stack.build(
                adapter,
                binding,
                flow,
                inbox,
                relays=relays,
                clock=clock,
                timeout_s=self.timeout_s,
            )
        return inbox

    @property
    def _settles_first(self) -> bool:
        return self.delivery == "at_most_once"

    def _lease_s(self, binding: Binding) -> float | None:
        limits = binding.capabilities.lease.value
        if not (self.renew_leases and limits.extendable and isinstance(binding.spec, Subscription)):
            return None
        return binding.spec.lease_s or limits.default_s
