"""Which profile carries a topic or subscription, with what around it; pure."""

from unibus.binding.promises import Policy as Policy
from unibus.binding.promises import reach as reach
from unibus.binding.resolver import choose as choose
from unibus.binding.resolver import resolve as resolve
