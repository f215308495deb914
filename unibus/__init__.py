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

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unibus.bus import Bus as Bus
    from unibus.bus import connect as connect
    from unibus.capabilities import Attempts as Attempts
    from unibus.capabilities import Backlog as Backlog
    from unibus.capabilities import Capabilities as Capabilities
    from unibus.capabilities import Confirm as Confirm
    from unibus.capabilities import Grade as Grade
    from unibus.capabilities import Ordering as Ordering
    from unibus.capabilities import Profile as Profile
    from unibus.capabilities import Replay as Replay
    from unibus.capabilities import Support as Support
    from unibus.capabilities import Transactions as Transactions
    from unibus.consumer import Consumer as Consumer
    from unibus.engine.batches import Batch as Batch
    from unibus.engine.deliveries import Delivery as Delivery
    from unibus.engine.receipts import BatchReceipt as BatchReceipt
    from unibus.engine.receipts import Receipt as Receipt
    from unibus.errors import AdapterError as AdapterError
    from unibus.errors import AlreadySettledError as AlreadySettledError
    from unibus.errors import ClosedError as ClosedError
    from unibus.errors import ConfigurationError as ConfigurationError
    from unibus.errors import ConnectionLostError as ConnectionLostError
    from unibus.errors import DeadlineExceededError as DeadlineExceededError
    from unibus.errors import ForkedError as ForkedError
    from unibus.errors import LeaseLostError as LeaseLostError
    from unibus.errors import MessageRejectedError as MessageRejectedError
    from unibus.errors import MessageTooLargeError as MessageTooLargeError
    from unibus.errors import NotFoundError as NotFoundError
    from unibus.errors import OverloadedError as OverloadedError
    from unibus.errors import PermissionDeniedError as PermissionDeniedError
    from unibus.errors import PublishFailedError as PublishFailedError
    from unibus.errors import TopologyConflictError as TopologyConflictError
    from unibus.errors import UnavailableError as UnavailableError
    from unibus.errors import UnibusError as UnibusError
    from unibus.errors import UnroutableError as UnroutableError
    from unibus.errors import UnsupportedError as UnsupportedError
    from unibus.message import DeadLetter as DeadLetter
    from unibus.message import Headers as Headers
    from unibus.message import HeaderValue as HeaderValue
    from unibus.message import Message as Message
    from unibus.outcome import ACCEPTED as ACCEPTED
    from unibus.outcome import SENT as SENT
    from unibus.outcome import SETTLED as SETTLED
    from unibus.outcome import Outcome as Outcome
    from unibus.outcome import OutcomeKind as OutcomeKind
    from unibus.producer import Producer as Producer
    from unibus.redrive import Redriven as Redriven
    from unibus.requirements import Requirements as Requirements
    from unibus.retry import Backoff as Backoff
    from unibus.specs import Exact as Exact
    from unibus.specs import Filter as Filter
    from unibus.specs import HeaderMatch as HeaderMatch
    from unibus.specs import Pattern as Pattern
    from unibus.specs import Queue as Queue
    from unibus.specs import Spec as Spec
    from unibus.specs import Subscription as Subscription
    from unibus.specs import Topic as Topic
    from unibus.spi import BrokerIdentity as BrokerIdentity
    from unibus.spi import Change as Change
    from unibus.topology import Topology as Topology

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

# What a name needs is loaded when it is first used: a program that only declares topology, or only
# asks for the version, does not pay for the engine. tests/architecture holds both lists together.
_HOMES = {
    "unibus.bus": ("Bus", "connect"),
    "unibus.capabilities": (
        "Attempts",
        "Backlog",
        "Capabilities",
        "Confirm",
        "Grade",
        "Ordering",
        "Profile",
        "Replay",
        "Support",
        "Transactions",
    ),
    "unibus.consumer": ("Consumer",),
    "unibus.engine.batches": ("Batch",),
    "unibus.engine.deliveries": ("Delivery",),
    "unibus.engine.receipts": ("BatchReceipt", "Receipt"),
    "unibus.errors": (
        "AdapterError",
        "AlreadySettledError",
        "ClosedError",
        "ConfigurationError",
        "ConnectionLostError",
        "DeadlineExceededError",
        "ForkedError",
        "LeaseLostError",
        "MessageRejectedError",
        "MessageTooLargeError",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PublishFailedError",
        "TopologyConflictError",
        "UnavailableError",
        "UnibusError",
        "UnroutableError",
        "UnsupportedError",
    ),
    "unibus.message": ("DeadLetter", "Headers", "HeaderValue", "Message"),
    "unibus.outcome": ("ACCEPTED", "SENT", "SETTLED", "Outcome", "OutcomeKind"),
    "unibus.producer": ("Producer",),
    "unibus.redrive": ("Redriven",),
    "unibus.requirements": ("Requirements",),
    "unibus.retry": ("Backoff",),
    "unibus.specs": (
        "Exact",
        "Filter",
        "HeaderMatch",
        "Pattern",
        "Queue",
        "Spec",
        "Subscription",
        "Topic",
    ),
    "unibus.spi": ("BrokerIdentity", "Change"),
    "unibus.topology": ("Topology",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever is asked for
    """Load *name* from its home."""
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'unibus' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(__all__)
