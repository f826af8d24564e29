"""The official test formats and the state-transition tool: how the engine proves that it is exact.

``cases`` is what a run yields, ``suite`` runs fixtures, ``transition`` is the file side of ``solder t8n``.
The checking itself is native.
"""

from solder.spec.cases import CaseResult, Tally
from solder.spec.suite import Parallel, Suite, run_blocktests, run_statetests, run_vectortests

__all__ = ["CaseResult", "Parallel", "Suite", "Tally", "run_blocktests", "run_statetests", "run_vectortests"]
