"""The names of ``unibus`` for asyncio: what waits there is awaited here.

    async with unibus.aio.connect("memory://") as bus:
        await bus.topology.apply(orders, email)
        async with bus.producer(orders) as producer:
            receipt = await producer.publish(b"...", key="42")
            await receipt.result()
        async with bus.consumer(email) as consumer:
            async for delivery in consumer:
                async with delivery:
                    await handle(delivery)

Specs, messages, outcomes and errors are those of ``unibus``. A bus belongs to the event loop on
which it was opened.
"""

from unibus.aio.bus import Bus
from unibus.aio.connecting import connect
from unibus.aio.consumer import Consumer
from unibus.aio.deliveries import Delivery
from unibus.aio.producer import Producer
from unibus.aio.receipts import BatchReceipt, Receipt
from unibus.aio.topology import Topology
from unibus.engine.batches import Batch

__all__ = [
    "Batch",
    "BatchReceipt",
    "Bus",
    "Consumer",
    "Delivery",
    "Producer",
    "Receipt",
    "Topology",
    "connect",
]
