"""For authors whose client blocks: threads between its calls and the SPI's data plane."""

from unibus.spi.threaded.receiver import ThreadedReceiver as ThreadedReceiver
from unibus.spi.threaded.sender import ThreadedSender as ThreadedSender
from unibus.spi.threaded.sender import Translate as Translate
