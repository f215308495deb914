"""When a RabbitMQ that was started can be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from unibus.errors import UnavailableError, UnibusError
from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.rabbitmq.handshake import Properties, server_properties
from unibus_contract.brokers.rabbitmq.management import Management
from unibus_contract.brokers.waiting import wait_until

_ANSWER_TIMEOUT_S: Final = 5.0
_LOG_LINES: Final = 400
_SAID_LINES: Final = 12
_SAID_COLUMNS: Final = 200
_ERROR: Final = re.compile(r"\S+ \S+ \[error\] \S+ ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a node is to answer.

    Attributes:
        host: Of both interfaces.
        port: Of AMQP.
        management_url: Of the HTTP interface, credentials included.
        cluster_name: What it has to call itself, lest another program is taken for it; None for
            any name.
    """

    host: str
    port: int
    management_url: str
    cluster_name: str | None = None


def wait_until_ready(
    broker: Broker, endpoint: Endpoint, is_alive: Callable[[], bool], timeout_s: float
) -> Properties:
    """Return what *broker* says of itself once it answers AMQP and management requests.

    Raises:
        UnavailableError: It ended, or did not answer within *timeout_s*; what its log says about
            it is in the message.
    """
    answers: list[Properties] = []

    def is_decided() -> bool:
        if not is_alive():
            return True
        if not answers and (properties := _ask(endpoint)) is not None:
            answers.append(properties)
        return bool(answers) and _management_answers(endpoint.management_url)

    decided = wait_until(is_decided, timeout_s)
    if decided and is_alive():
        return answers[0]
    where = f"{endpoint.host}:{endpoint.port}"
    what = (
        "ended while it was starting"
        if decided
        else f"did not answer at {where} within {timeout_s:g} s"
    )
    said = failure_in(broker.log(_LOG_LINES))
    raise UnavailableError(f"{broker.name}: RabbitMQ {what}; its log says:\n{said}")


def failure_in(log: str) -> str:
    """Return the lines of *log* that tell best why a node failed.

    The first errors name the cause; then Erlang's supervisors report at length that they ended.
    """
    lines = log.splitlines()
    errors = [line for line in lines if _ERROR.match(line)]
    chosen = errors[:_SAID_LINES] or lines[-_SAID_LINES:]
    return "\n".join(_ERROR.sub("", line)[:_SAID_COLUMNS] for line in chosen)


def _ask(endpoint: Endpoint) -> Properties | None:
    try:
        properties = server_properties(endpoint.host, endpoint.port, timeout_s=_ANSWER_TIMEOUT_S)
    except (OSError, ValueError):
        return None  # not yet, or somebody else: the deadline and the process decide
    expected = endpoint.cluster_name
    return properties if expected in (None, properties.get("cluster_name")) else None


def _management_answers(url: str) -> bool:
    try:
        with Management(url, timeout_s=_ANSWER_TIMEOUT_S) as management:
            management.overview()
    except UnibusError:
        return False
    return True
