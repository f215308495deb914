"""The reference broker for unibus, in this process.

URL
    ``memory://NAME``: buses of one name in one process share a broker. ``memory://`` is private.

Mapping
    Topics, subscriptions, keys and headers are what they are called; nothing is encoded.

Promises
    See ``unibus_memory.profiles``. Replay and the profiles of other brokers are not there
    yet and are refused.

Limits
    The memory of the process. Everything is gone when the last bus of that name is closed.

Native objects
    ``bus.native`` is the ``MemoryBroker``, ``delivery.native`` the message.
"""

from unibus_memory.adapter import MemoryAdapter as MemoryAdapter
from unibus_memory.broker import MemoryBroker as MemoryBroker
