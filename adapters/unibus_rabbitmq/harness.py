"""How the contract suite gets at a RabbitMQ, by which side door, and how it makes it suffer."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pika
from typing_extensions import override

from unibus.spi import Subscription, Topic
from unibus_contract.brokers import ladder
from unibus_contract.brokers.broker import Broker, redacted
from unibus_contract.brokers.rabbitmq import Management
from unibus_contract.brokers.rabbitmq.environment import MANAGEMENT_URL, GivenBroker
from unibus_contract.brokers.rabbitmq.handshake import server_properties
from unibus_contract.faults.ladder import LadderFaults, NetworkFaults
from unibus_contract.harness import BrokerUnderTest, Harness, Native, NativeMessage
from unibus_contract.timing import TimingProfile, eventually
from unibus_rabbitmq.fields import Encoded
from unibus_rabbitmq.profiles import CLASSIC, QUORUM, STREAM

_PORT = 5672
_MANAGEMENT_PORT = 15672
_RESIDUE_S = 3.0
_ANSWER_S = 10.0
# A quorum queue that is younger when its node is killed comes back empty, also with what was
# confirmed: seen with pika alone on 3.10.8 and 4.3.6.
_SETTLE_S = 1.0
_PASSWORD = secrets.token_hex(8)  # nobody's
# One header, "bad", of type T with seconds that no calendar has; the flags say: headers only.
_TABLE = b"\x03badT" + b"\xff" * 8
_MALFORMED = b"\x20\x00" + len(_TABLE).to_bytes(4, "big") + _TABLE


class GivenFaults(NetworkFaults):
    """What can be done to every RabbitMQ: cut the way to it, and ask it for what it refuses."""

    kinds = NetworkFaults.kinds | {
        "disconnect",
        "limit",
        "login",
        "lose_leases",
        "place",
        "rights",
    }
    management_url = ""
    vhost = ""

    @override
    def alert(self, url: str) -> str:
        parts = urlsplit(url)
        query = {**dict(parse_qsl(parts.query)), "heartbeat_s": "1"}
        return urlunsplit(parts._replace(query=urlencode(query)))

    @override
    def disconnect(self) -> None:
        with Management(self.management_url) as management:
            # Its list of connections is some seconds late.
            eventually(lambda: management.close_connections(self.vhost), within_s=_ANSWER_S)

    @override
    def lose_leases(self, subscription: Subscription) -> None:
        self.disconnect()  # a lease is as long as its connection, and there is no other way

    @override
    @contextmanager
    def data_rights(self, url: str) -> Iterator[str]:
        user = f"unibus-{secrets.token_hex(4)}"
        with Management(self.management_url) as management:
            management.create_user(user, _PASSWORD)
            management.permit(user, self.vhost, configure="")
            try:
                parts = urlsplit(url)
                address = parts.netloc.rpartition("@")[2]
                yield urlunsplit(parts._replace(netloc=f"{user}:{_PASSWORD}@{address}"))
            finally:
                management.delete_user(user)

    @override
    def wrong_login(self, url: str) -> str:
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")[2]
        user = parts.username or "guest"
        return urlunsplit(parts._replace(netloc=f"{user}:{_PASSWORD}@{address}"))

    @override
    def wrong_place(self, url: str) -> str:
        return urlunsplit(urlsplit(url)._replace(path="/nowhere"))

    @override
    def limit(self, messages: int) -> Mapping[str, object]:
        return {"x-max-length": messages, "x-overflow": "reject-publish"}


class RabbitMQFaults(LadderFaults, GivenFaults):
    """That, what the ladder can do, and a memory alarm."""

    kinds = LadderFaults.kinds | GivenFaults.kinds | {"alarm"}

    @override
    def alarm(self) -> AbstractContextManager[None]:
        return self._broker.memory_alarm()


class BarePika(Native):
    """pika as its own documentation shows it: one blocking connection for each call."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._read: Counter[str] = Counter()

    @override
    def publish(self, topic: Topic, message: NativeMessage) -> None:
        properties = pika.BasicProperties(
            headers=dict(message.headers) or None, message_id=message.id, delivery_mode=2
        )
        self._publish(topic, message.routing_key or "", message.body, properties)

    @override
    def publish_malformed(self, topic: Topic) -> None:
        self._publish(topic, "", b"malformed", Encoded(_MALFORMED))

    def _publish(
        self, topic: Topic, routing_key: str, body: bytes, properties: pika.BasicProperties
    ) -> None:
        exchange = "" if topic.point_to_point else topic.name
        address = topic.name if topic.point_to_point else routing_key
        with self._channel() as channel:
            channel.confirm_delivery()
            channel.basic_publish(exchange, address, body, properties)

    @override
    def get(self, subscription: Subscription, *, timeout_s: float) -> NativeMessage | None:
        is_stream = subscription.mode == "stream"
        queue = f"{subscription.topic.name}~stream" if is_stream else subscription.name
        offset = {"x-stream-offset": self._read[queue]} if is_stream else None
        with self._channel() as channel:
            channel.basic_qos(prefetch_count=1)
            deliveries = channel.consume(queue, arguments=offset, inactivity_timeout=timeout_s)
            method, properties, body = next(deliveries)
            if method is None:
                return None
            channel.basic_ack(method.delivery_tag)
        self._read[queue] += 1
        return NativeMessage(
            body=body,
            headers=properties.headers or {},
            routing_key=method.routing_key,
            id=properties.message_id,
        )

    @contextmanager
    def _channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        connection = pika.BlockingConnection(self._parameters)
        try:
            yield connection.channel()
        finally:
            connection.close()


class RabbitMQUnderTest(BrokerUnderTest):
    """A virtual host of our own on one RabbitMQ."""

    def __init__(self, broker: Broker, vhost: str) -> None:
        parts = urlsplit(broker.url)
        url = urlunsplit(parts._replace(path=f"/{quote(vhost, safe='')}"))
        major, minor = broker.version.split(".")[:2]
        super().__init__(f"rabbitmq {major}.{minor}", url, shown_url=redacted(url))
        self.timing = TimingProfile(
            patience_s=5.0, lease_s=2.0, delay_s=1.0, recovery_s=30.0, settle_s=_SETTLE_S
        )
        port = parts.port or _PORT
        is_ours = not isinstance(broker, GivenBroker)
        faults = RabbitMQFaults(broker, port) if is_ours else GivenFaults(port)
        faults.management_url, faults.vhost = broker.management_url, vhost
        self.faults = faults
        self.native = BarePika(url)
        self.management_url = broker.management_url
        self._vhost = vhost

    @override
    def residue(self, prefix: str) -> Sequence[str]:
        with Management(self.management_url) as management:

            def left() -> list[str]:
                listed = management.queues(self._vhost) + management.exchanges(self._vhost)
                names = (str(each["name"]) for each in listed)
                return [name for name in names if name.startswith(prefix)]

            eventually(lambda: not left(), within_s=_RESIDUE_S)
            return left()


class RabbitMQHarness(Harness):
    """The broker of a URL, of the environment, or one that the ladder starts."""

    name = "rabbitmq"
    schemes = frozenset({"amqp", "amqps"})
    profiles = (QUORUM, CLASSIC, STREAM)
    variants: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {"own wire": {}, "public wire": {"wire": "public"}}
    )

    @override
    @contextmanager
    def broker(self, url: str | None, version: str | None = None) -> Iterator[BrokerUnderTest]:
        vhost = f"unibus-contract-{secrets.token_hex(4)}"
        with ExitStack() as stack:
            broker = at(url) if url else stack.enter_context(ladder.up(self.name, version))
            with Management(broker.management_url) as management:
                management.create_vhost(vhost)
                user = urlsplit(broker.url).username or "guest"
                management.permit(user, vhost)
            stack.callback(_delete, broker.management_url, vhost)
            under_test = RabbitMQUnderTest(broker, vhost)
            under_test.origin = url or broker.url
            yield under_test


def at(url: str) -> Broker:
    """Return the broker at *url*: one of the ladder's, else somebody else's.

    Its management interface is where the environment says, or at ``management_port`` of the URL.
    """
    if (ours := ladder.find(url)) is not None:
        return ours
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    port = int(query.pop("management_port", _MANAGEMENT_PORT))
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    management = os.environ.get(MANAGEMENT_URL) or f"http://{login}{parts.hostname}:{port}"
    found = server_properties(
        parts.hostname or "", parts.port or _PORT, timeout_s=_ANSWER_S, tls=parts.scheme == "amqps"
    )
    bare = urlunsplit(parts._replace(query=urlencode(query)))
    return GivenBroker(bare, management, str(found.get("version", "0.0")))


def _delete(management_url: str, vhost: str) -> None:
    with Management(management_url) as management:
        management.delete_vhost(vhost)
