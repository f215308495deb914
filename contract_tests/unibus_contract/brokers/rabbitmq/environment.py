"""The best rung: a RabbitMQ that the environment names, used as it is."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import SplitResult, urlsplit

from typing_extensions import override

from unibus.errors import ConfigurationError, UnavailableError, UnsupportedError
from unibus_contract.brokers.broker import START_TIMEOUT_S, STOP_TIMEOUT_S, Broker, redacted
from unibus_contract.brokers.rabbitmq.handshake import server_properties
from unibus_contract.brokers.rabbitmq.versions import is_of

URL: Final = "UNIBUS_RABBITMQ_URL"
MANAGEMENT_URL: Final = "UNIBUS_RABBITMQ_MANAGEMENT_URL"
_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_MANAGEMENT: Final = {"amqp": ("http", 15672), "amqps": ("https", 15671)}
_TIMEOUT_S: Final = 10.0


def given(version: str | None) -> Broker | str:
    """Return the broker that the environment names, or why it is not to be used.

    Raises:
        ConfigurationError: The variable holds no URL of RabbitMQ.
        UnavailableError: It is named and does not answer.
    """
    url = os.environ.get(URL)
    if not url:
        return f"{URL} is not set"
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigurationError(f"{URL} is to look like amqp://user:password@host:5672/vhost")
    found = _version_at(parts)
    if version is not None and not is_of(found, version):
        return f"{URL} is RabbitMQ {found}, not {version}"
    return GivenBroker(url, os.environ.get(MANAGEMENT_URL) or _management_url(parts), found)


def _version_at(parts: SplitResult) -> str:
    try:
        properties = server_properties(
            parts.hostname or "",
            parts.port or _PORTS[parts.scheme],
            timeout_s=_TIMEOUT_S,
            tls=parts.scheme == "amqps",
        )
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"{URL} is {redacted(parts.geturl())}, and that does not answer:"
            f" {str(error) or type(error).__name__}; start it or unset the variable"
        ) from error
    return str(properties.get("version", "unknown"))


def _management_url(parts: SplitResult) -> str:
    scheme, port = _MANAGEMENT[parts.scheme]
    login = parts.netloc.rpartition("@")[0]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{scheme}://{login}{'@' if login else ''}{host}:{port}"


class GivenBroker(Broker):
    """Somebody else's broker: it can be used, not stopped, frozen or deleted."""

    rung = "environment"
    kind = "rabbitmq"
    name = "environment"
    is_running = True

    def __init__(self, url: str, management_url: str, version: str) -> None:
        self._url = url
        self._management_url = management_url
        self._version = version

    @property
    @override
    def url(self) -> str:
        return self._url

    @property
    @override
    def management_url(self) -> str:
        return self._management_url

    @property
    @override
    def version(self) -> str:
        return self._version

    @override
    def kill(self) -> None:
        raise self._refusal("killed")

    @override
    def pause(self) -> None:
        raise self._refusal("frozen")

    @override
    def resume(self) -> None:
        raise self._refusal("frozen")

    @override
    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        raise self._refusal("stopped")

    @override
    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        raise self._refusal("started")

    @override
    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        raise self._refusal("administered")

    @override
    def log(self, lines: int = 40) -> str:
        raise self._refusal("asked for its log")

    @override
    def destroy(self) -> None:
        """Do nothing: it is not ours."""

    def _refusal(self, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self.shown_url} comes from {URL} and is not {what} by unibus; unset the variable"
            " to test on a broker that is"
        )
