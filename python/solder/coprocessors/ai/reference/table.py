"""The operator table: every operator of format 1, by name."""

from solder.coprocessors.ai.reference.choice import OPERATORS as CHOICE
from solder.coprocessors.ai.reference.elementwise import OPERATORS as ELEMENTWISE
from solder.coprocessors.ai.reference.gathering import OPERATORS as GATHERING
from solder.coprocessors.ai.reference.layout import OPERATORS as LAYOUT
from solder.coprocessors.ai.reference.normalisation import OPERATORS as NORMALISATION
from solder.coprocessors.ai.reference.pooling import OPERATORS as POOLING
from solder.coprocessors.ai.reference.products import OPERATORS as PRODUCTS
from solder.coprocessors.ai.reference.rescaling import OPERATORS as RESCALING
from solder.coprocessors.ai.reference.site import Operator

__all__ = ["OPERATORS"]

FAMILIES = (PRODUCTS, RESCALING, ELEMENTWISE, NORMALISATION, POOLING, CHOICE, GATHERING, LAYOUT)
OPERATORS: dict[str, Operator] = {operator.name: operator for family in FAMILIES for operator in family}
