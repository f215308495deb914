"""RabbitMQ on the ladder, and its management interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from unibus_contract.brokers.broker import Broker
from unibus_contract.brokers.rabbitmq.container import DockerRung
from unibus_contract.brokers.rabbitmq.environment import given
from unibus_contract.brokers.rabbitmq.management import Management as Management
from unibus_contract.brokers.rabbitmq.native import NativeRung
from unibus_contract.brokers.rung import Kind, Rung

DEFAULT_VERSION: Final = "4.3"


class RabbitMQ(Kind):
    """RabbitMQ 3.10, 4.0 and 4.3; others where Docker has them."""

    name = "rabbitmq"
    default_version = DEFAULT_VERSION
    rungs: Sequence[Rung] = (DockerRung(), NativeRung())

    @override
    def given(self, version: str | None) -> Broker | str:
        return given(version)
