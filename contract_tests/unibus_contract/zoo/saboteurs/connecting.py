"""Brokers whose connections fail in ways that help nobody."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from typing_extensions import override

from unibus.errors import AdapterError, ConfigurationError, UnavailableError, UnibusError
from unibus.spi import Adapter, Clock
from unibus_contract.harness import BrokerUnderTest
from unibus_contract.watch import OverWrapped
from unibus_contract.zoo.saboteur import saboteur


class _Opening(OverWrapped):
    """Opens adapters as the broker does; to be spoiled."""

    def __init__(self, inner: BrokerUnderTest) -> None:
        super().__init__(inner, lambda adapter: adapter)


@saboteur("A setting that there is not is left out.", "ERR-05")
def leaves_out_what_it_does_not_know(broker: BrokerUnderTest) -> BrokerUnderTest:
    """So that a misspelt time-out is none."""

    class Lenient(_Opening):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            try:
                return super().adapter(url, options, clock=clock, timeout_s=timeout_s)
            except ConfigurationError:
                bare = url.partition("?")[0]
                return super().adapter(bare, {}, clock=clock, timeout_s=timeout_s)

    return Lenient(broker)


@saboteur("A URL of an unknown scheme connects to what is at hand.", "ERR-11")
def guesses_the_scheme(broker: BrokerUnderTest) -> BrokerUnderTest:
    """As programs do that have a default."""

    class Guessing(_Opening):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            known = urlsplit(broker.url).scheme
            guessed = url if url.startswith(f"{known}://") else f"{known}://"
            return super().adapter(guessed, options, clock=clock, timeout_s=timeout_s)

    return Guessing(broker)


@saboteur("An error of connecting quotes the URL.", "ERR-12")
def quotes_the_url(broker: BrokerUnderTest) -> BrokerUnderTest:
    """Login and all."""

    class Quoting(_Opening):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            try:
                return super().adapter(url, options, clock=clock, timeout_s=timeout_s)
            except UnibusError as error:
                raise type(error)(f"{url}: {error}") from error

    return Quoting(broker)


@saboteur(
    "Whatever is wrong with a connection is one error.",
    *("ERR-13", "ERR-14", "ERR-15", "ERR-16"),
    harness="rabbitmq",
    profile="rabbitmq",
)
def knows_one_error(broker: BrokerUnderTest) -> BrokerUnderTest:
    """So that programs cannot tell what to do."""

    class Vague(_Opening):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            try:
                return super().adapter(url, options, clock=clock, timeout_s=timeout_s)
            except ConfigurationError:
                raise
            except UnibusError as error:
                raise AdapterError("the connection failed") from error

    return Vague(broker)


@saboteur(
    "Connecting is tried three times, each with all of the time.",
    "ERR-14",
    harness="rabbitmq",
    profile="rabbitmq",
)
def tries_three_times(broker: BrokerUnderTest) -> BrokerUnderTest:
    """So that time-outs are longer than they say."""

    class Stubborn(_Opening):
        @override
        def adapter(
            self, url: str, options: Mapping[str, object], *, clock: Clock, timeout_s: float
        ) -> Adapter:
            for _ in range(2):
                try:
                    return super().adapter(url, options, clock=clock, timeout_s=timeout_s)
                except UnavailableError:
                    continue
            return super().adapter(url, options, clock=clock, timeout_s=timeout_s)

    return Stubborn(broker)
