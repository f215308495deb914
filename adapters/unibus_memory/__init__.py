"""The reference broker for unibus, in this process.

URL
    ``memory://NAME``: buses of one name in one process share a broker. ``memory://`` is private.
    ``?profile=`` has it promise what another broker does, ``?adversary=SEED`` use every freedom.

Mapping
    Topics, subscriptions, keys and headers are what they are called; nothing is encoded. Topics
    are books of lanes (``machine.books``), which may be kept as logs; subscriptions are stores
    (``machine.subscriptions``) that suit the profile's nature (``machine.nature``).

Promises
    ``profiles`` and ``namesakes``.

Limits
    The memory of the process. Everything is gone when the last bus of that name is closed.

Native objects
    ``bus.native`` is the ``MemoryBroker``, ``delivery.native`` the message.
"""

from unibus_memory.adapter import MemoryAdapter as MemoryAdapter
from unibus_memory.broker import MemoryBroker as MemoryBroker
