"""One Producer, Consumer and Topology interface over real message brokers.

    import unibus

    orders = unibus.Topic("orders", ordering="key")
    email = unibus.Subscription("email", topic=orders)

    with unibus.connect("memory://") as bus:
        bus.topology.apply(orders, email)
        with bus.producer(orders) as producer:
            producer.publish(b"...", key="42")

``unibus.aio`` has the same names for asyncio. Adapter authors import ``unibus.spi``.
"""

from unibus.bus import Bus, connect
from unibus.capabilities import (
    Attempts,
    Backlog,
    Capabilities,
    Confirm,
    Grade,
    Ordering,
    Profile,
    Replay,
    Support,
    Transactions,
)
from unibus.consumer import Consumer
from unibus.engine.batches import Batch
from unibus.engine.deliveries import Delivery
from unibus.engine.receipts import BatchReceipt, Receipt
from unibus.errors import (
    AdapterError,
    AlreadySettledError,
    ClosedError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineExceededError,
    ForkedError,
    LeaseLostError,
    MessageRejectedError,
    MessageTooLargeError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PublishFailedError,
    TopologyConflictError,
    UnavailableError,
    UnibusError,
    UnroutableError,
    UnsupportedError,
)
from unibus.message import DeadLetter, Headers, HeaderValue, Message
from unibus.outcome import ACCEPTED, SENT, SETTLED, Outcome, OutcomeKind
from unibus.producer import Producer
from unibus.redrive import Redriven
from unibus.requirements import Requirements
from unibus.retry import Backoff
from unibus.specs import Exact, Filter, HeaderMatch, Pattern, Queue, Spec, Subscription, Topic
from unibus.spi import BrokerIdentity, Change
from unibus.topology import Topology

__all__ = [
    "ACCEPTED",
    "SENT",
    "SETTLED",
    "AdapterError",
    "AlreadySettledError",
    "Attempts",
    "Backlog",
    "Backoff",
    "Batch",
    "BatchReceipt",
    "BrokerIdentity",
    "Bus",
    "Capabilities",
    "Change",
    "ClosedError",
    "ConfigurationError",
    "Confirm",
    "ConnectionLostError",
    "Consumer",
    "DeadLetter",
    "DeadlineExceededError",
    "Delivery",
    "Exact",
    "Filter",
    "ForkedError",
    "Grade",
    "HeaderMatch",
    "HeaderValue",
    "Headers",
    "LeaseLostError",
    "Message",
    "MessageRejectedError",
    "MessageTooLargeError",
    "NotFoundError",
    "Ordering",
    "Outcome",
    "OutcomeKind",
    "OverloadedError",
    "Pattern",
    "PermissionDeniedError",
    "Producer",
    "Profile",
    "PublishFailedError",
    "Queue",
    "Receipt",
    "Redriven",
    "Replay",
    "Requirements",
    "Spec",
    "Subscription",
    "Support",
    "Topic",
    "Topology",
    "TopologyConflictError",
    "Transactions",
    "UnavailableError",
    "UnibusError",
    "UnroutableError",
    "UnsupportedError",
    "connect",
]
