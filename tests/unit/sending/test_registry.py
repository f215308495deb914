from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from unibus import connect, registry
from unibus.errors import ConfigurationError
from unibus.registry import adapter_class, scheme_of
from unibus.spi import Adapter


def claim(name: str, value: str, distribution: str = "other", extra: str = "") -> EntryPoint:
    return Claim(name, value, registry.GROUP, distribution, extra)


class Claim(EntryPoint):
    def __init__(self, name: str, value: str, group: str, owner: str, extra: str) -> None:
        super().__init__(name, value, group)
        vars(self)["dist"] = Distribution(owner, extra)


class Distribution:
    def __init__(self, name: str, extra: str) -> None:
        self.name = name
        self.metadata = self
        self.extra = extra

    def get_all(self, _: str) -> list[str]:
        return [self.extra] if self.extra else []


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    claims: list[EntryPoint] = []
    monkeypatch.setattr(registry, "_entry_points", lambda: claims)
    return claims


def test_what_is_installed_is_found() -> None:
    assert issubclass(adapter_class("memory"), Adapter)


def test_a_scheme_is_named_in_lower_case() -> None:
    assert scheme_of("AMQP://host") == "amqp"


@pytest.mark.parametrize("url", ["localhost:5672", "://x", "user:hunter2@host"])
def test_a_url_without_scheme_says_what_there_is_and_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory://") as caught:
        connect(url)

    assert "hunter2" not in str(caught.value)


def test_an_unknown_scheme_says_what_is_installed(installed: list[EntryPoint]) -> None:
    installed.append(claim("amqp", "a:B"))

    with pytest.raises(ConfigurationError, match="for nats://; there is amqp://"):
        adapter_class("nats")


def test_a_missing_client_library_says_what_to_install(installed: list[EntryPoint]) -> None:
    installed.append(claim("kafka", "unibus_kafka:KafkaAdapter", "unibus", "kafka"))

    with pytest.raises(ConfigurationError, match=r"pip install 'unibus\[kafka\]'"):
        adapter_class("kafka")


def test_two_distributions_that_claim_a_scheme_are_both_named(installed: list[EntryPoint]) -> None:
    installed += [claim("amqp", "a:B", "unibus"), claim("amqp", "c:D", "rabbit-plus")]

    with pytest.raises(ConfigurationError, match="rabbit-plus and unibus"):
        adapter_class("amqp")


def test_what_is_no_adapter_is_refused(installed: list[EntryPoint]) -> None:
    installed.append(claim("path", f"{Path.__module__}:Path"))

    with pytest.raises(ConfigurationError, match=r"no unibus\.spi\.Adapter"):
        adapter_class("path")


def test_a_profile_that_the_broker_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nonsense"):
        connect("memory://?profile=nonsense")
