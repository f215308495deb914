"""Pass-through wrappers round an adapter, so that a test can look at, or spoil, one thing alone.

Each does nothing by itself. Override ``AdapterWrap.sender``, ``receiver``, ``source`` or ``events``
to put something of your own between the core and the adapter.
"""

from unibus_contract.wrap.adapter import AdapterWrap as AdapterWrap
from unibus_contract.wrap.publishing import SenderWrap as SenderWrap
from unibus_contract.wrap.publishing import SourceWrap as SourceWrap
from unibus_contract.wrap.publishing import pick as pick
from unibus_contract.wrap.receiving import EventsWrap as EventsWrap
from unibus_contract.wrap.receiving import IncomingWrap as IncomingWrap
from unibus_contract.wrap.receiving import ReceiverWrap as ReceiverWrap
