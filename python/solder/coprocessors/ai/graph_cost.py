"""What a run of a graph costs: multiply-accumulates and bytes by node, from the graph and the input's shape alone.

Source: docs/integer-graphs.md, sections 3 and 4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from solder.coprocessors.ai.graph import BATCH, SEQUENCE, Graph, Shape
from solder.coprocessors.ai.reference.site import Count, Site, Value
from solder.errors import InputError

__all__ = ["Cost", "NodeCost", "graph_cost"]


@dataclass(frozen=True, slots=True)
class NodeCost:
    """One node's share: multiply-accumulates, and bytes of operands and outputs."""

    name: str
    operator: str
    multiply_accumulates: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run costs, in all and by node."""

    multiply_accumulates: int
    bytes: int
    nodes: tuple[NodeCost, ...]


def graph_cost(
    graph: Graph, sites: Sequence[Site], values: Mapping[str, Value], batch: int, sequence: int | None
) -> Cost:
    """The exact cost at this batch and sequence (None: the limit); raises InputError beyond a limit."""
    bound = {BATCH: batch, SEQUENCE: graph.sequence_limit if sequence is None else sequence}
    for name, extent in bound.items():
        if not 1 <= extent <= graph.limit(name):
            raise InputError(f"{extent} is not in 1..{graph.limit(name)}", field=name)
    nodes = tuple(_node_cost(site, values, bound) for site in sites)
    return Cost(sum(node.multiply_accumulates for node in nodes), sum(node.bytes for node in nodes), nodes)


def _extents(shape: Shape, bound: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(bound[axis] if isinstance(axis, str) else axis for axis in shape)


def _node_cost(site: Site, values: Mapping[str, Value], bound: Mapping[str, int]) -> NodeCost:
    outs = [values[name] for name in site.node.outputs]
    operands = tuple(_extents(operand.shape, bound) for operand in site.operands)
    count = Count(operands, tuple(_extents(out.shape, bound) for out in outs), site)
    moved = sum(math.prod(extents) * out.bits // 8 for extents, out in zip(count.outputs, outs, strict=True))
    for position, (extents, operand) in enumerate(zip(operands, site.operands, strict=True)):
        if site.node.inputs[position] in site.node.inputs[:position]:
            continue  # an operand named twice is moved once
        width = operand.bits // 8 if isinstance(operand, Value) else operand.dtype.itemsize
        elements = count.out if site.operator.name == "embedding" and position == 1 else math.prod(extents)
        moved += elements * width
    return NodeCost(site.node.name, site.node.operator, site.operator.macs(count), moved)
