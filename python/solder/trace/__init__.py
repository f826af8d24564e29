"""What a transaction did, in the formats of geth's tracers, each made when it is asked for.

    from solder.trace import trace_block, trace_transaction

    block, state = solder.load_block("examples/blocks/19933122")
    trace = trace_transaction(block, state, 3)
    print(trace)                # the calls as a tree
    trace.calls, trace.prestate, trace.diff, trace.four_byte
    for step in trace.struct_logs(memory=True): ...

``State.trace`` traces a call. See docs/traces.md.
"""

from solder.trace.naming import Naming, Signatures
from solder.trace.record import MAX_STEPS, Trace, trace_block, trace_call, trace_case, trace_transaction
from solder.trace.sources import Location, SourceMap, read_sources

__all__ = [
    "MAX_STEPS",
    "Location",
    "Naming",
    "Signatures",
    "SourceMap",
    "Trace",
    "read_sources",
    "trace_block",
    "trace_call",
    "trace_case",
    "trace_transaction",
]
