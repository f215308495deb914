"""Pure functions over a history that give back a minimal counter-example, or ``None``."""

from unibus_contract.checkers.dead_letter import dead_letter as dead_letter
from unibus_contract.checkers.delivery import certainty as certainty
from unibus_contract.checkers.delivery import duplicate as duplicate
from unibus_contract.checkers.delivery import exclusivity as exclusivity
from unibus_contract.checkers.delivery import loss as loss
from unibus_contract.checkers.delivery import phantom as phantom
from unibus_contract.checkers.fidelity import fidelity as fidelity
from unibus_contract.checkers.fidelity import lifecycle as lifecycle
from unibus_contract.checkers.lease import Checker as Checker
from unibus_contract.checkers.lease import Counting as Counting
from unibus_contract.checkers.lease import attempts as attempts
from unibus_contract.checkers.lease import concurrency as concurrency
from unibus_contract.checkers.lease import fencing as fencing
from unibus_contract.checkers.order import order as order
from unibus_contract.checkers.order import order_across_redelivery as order_across_redelivery
from unibus_contract.checkers.order import order_of_effects as order_of_effects
