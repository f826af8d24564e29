"""Many calls at once, and what calls give: columns of calls, columns of results, reverts as exceptions.

``State.simulate`` takes ``Calls`` (or a list of dicts) and gives ``Results``.
"""

from solder._native import BundleResult, CallResult, Calls, Column, Table
from solder.simulate.results import Results
from solder.simulate.reverts import Reverted

__all__ = ["BundleResult", "CallResult", "Calls", "Column", "Results", "Reverted", "Table"]
