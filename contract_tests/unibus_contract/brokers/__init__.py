"""The broker ladder: real brokers to test on and to try out, started in the best way open here.

    with brokers.up("rabbitmq", "4.3") as broker:
        bus = unibus.connect(broker.url)

``start``, ``stop`` and ``status`` do the same for brokers that stay; ``unibus broker`` is built on
them. Environment variables:

* ``UNIBUS_RABBITMQ_URL``: use this broker; ``UNIBUS_RABBITMQ_MANAGEMENT_URL``: its HTTP interface.
* ``UNIBUS_DOCKER=0``: do not use Docker; ``UNIBUS_RABBITMQ_IMAGE``: the image, ``{version}`` in it.
* ``UNIBUS_HOME``: where trees, data and logs are kept, instead of the user's cache folder.
"""

from unibus_contract.brokers.broker import Broker as Broker
from unibus_contract.brokers.broker import redacted as redacted
from unibus_contract.brokers.ladder import KINDS as KINDS
from unibus_contract.brokers.ladder import find as find
from unibus_contract.brokers.ladder import start as start
from unibus_contract.brokers.ladder import status as status
from unibus_contract.brokers.ladder import stop as stop
from unibus_contract.brokers.ladder import stop_all as stop_all
from unibus_contract.brokers.ladder import sweep as sweep
from unibus_contract.brokers.ladder import up as up
