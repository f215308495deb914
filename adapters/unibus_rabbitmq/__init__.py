"""The adapter for RabbitMQ 3.10 and later, by pika.

URL
    ``amqp://user:password@host:5672/vhost?profile=rabbitmq``, or ``amqps://`` on port 5671. Other
    settings: ``options.Options``.

Mapping
    A topic is an exchange of type topic, a subscription a queue bound to it by its filter, a queue
    a queue behind the default exchange. Ordered ones have a queue for each lane (``declare``,
    ``bindings``). A stream subscription reads the one stream of its topic. Names: ``names``;
    messages: ``wire``; delays: ``delay``.

Promises
    ``profiles``, by version: ``rabbitmq`` (quorum queues), ``rabbitmq-classic``,
    ``rabbitmq-stream``.

Limits
    Bodies of 16 MiB from 4.0 on, headers of about 100 KiB in all, datetimes in headers of whole
    seconds; no transactions, no deduplication. ``errors`` has what the broker says to the rest.

Native objects
    ``bus.native`` is pika's connection. ``managed=False`` with ``native={"kind": "exchange",
    "name": ..., "type": ...}`` or ``{"kind": "queue", "name": ...}`` binds to what is there.
    Beside each topic and subscription lies an exchange that says how it is bound (``declare``).
"""

from unibus import spi

try:
    from unibus_rabbitmq.adapter import RabbitMQAdapter as RabbitMQAdapter
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "pika":
        raise
    raise spi.ConfigurationError(
        "RabbitMQ needs pika, which is not installed; run: pip install 'unibus[rabbitmq]'"
    ) from error
