"""Admission: every value's bits, shape and range are derived and proven to hold, or the graph is refused.

Source: docs/integer-graphs.md, sections 2 and 3.
"""

import math
from collections.abc import Mapping
from typing import Final

from solder.coprocessors.ai.graph import BATCH, MAX_AXES, MAX_EXTENT, Attribute, Graph, Node
from solder.coprocessors.ai.reference.site import Listing, Operator, Site, Tensor, Value
from solder.coprocessors.ai.reference.table import OPERATORS
from solder.errors import InputError

__all__ = ["admit", "check_shape", "node_site"]

MAX_ELEMENTS: Final = 1 << 40
MAX_MENTIONED: Final = 1 << 31


def admit(graph: Graph, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Value], list[Site]]:
    """The values of a graph by name and its nodes with their operands; raises InputError naming node and field."""
    values: dict[str, Value] = {}
    for index, item in enumerate(graph.inputs):
        where = f"graph.inputs[{index}].name"
        _new_name(item.name, values, tensors, where)
        value = Value(item.bits, item.shape, item.minimum, item.maximum)
        check_shape(value, graph, f"graph.inputs[{index}].shape")
        values[item.name] = value
    sites: list[Site] = []
    used: set[str] = set()
    node_names: set[str] = set()
    mentioned = 0
    for index, node in enumerate(graph.nodes):
        where = f"graph.nodes[{index}]"
        if node.name in node_names:
            raise InputError(f"a second node of the name {node.name}", field=f"{where}.name")
        node_names.add(node.name)
        site = node_site(graph, node, where, values, tensors)
        used |= set(node.inputs) & tensors.keys()
        mentioned += sum(operand.size for operand in site.operands if not isinstance(operand, Value))
        site.require(mentioned <= MAX_MENTIONED, f"nodes name tensors of more than {MAX_MENTIONED} elements")
        for position, (name, value) in enumerate(zip(node.outputs, site.operator.admit(site), strict=True)):
            _new_name(name, values, tensors, f"{where}.outputs[{position}]")
            check_shape(value, graph, f"{where} {node.name} ({node.operator}).outputs[{position}]")
            values[name] = value
        sites.append(site)
    _check_outputs(graph, values)
    if unused := sorted(tensors.keys() - used):
        raise InputError("no node uses this tensor", field=f"tensors.{unused[0]}")
    return values, sites


def _new_name(name: str, values: Mapping[str, Value], tensors: Mapping[str, Tensor], where: str) -> None:
    if name in values or name in tensors:
        raise InputError(f"the name {name} is taken", field=where)


def check_shape(value: Value, graph: Graph, where: str) -> None:
    """Axes and extents that a value may have."""
    if not 1 <= len(value.shape) <= MAX_AXES:
        raise InputError(f"{len(value.shape)} axes, not 1 to {MAX_AXES}", field=where)
    if BATCH in value.shape[1:]:
        raise InputError(f"shape {list(value.shape)}: the batch is not axis 0", field=where)
    extents = [graph.limit(axis) for axis in value.shape]
    if max(extents) > MAX_EXTENT or math.prod(extents) > MAX_ELEMENTS:
        raise InputError(f"shape {list(value.shape)} can be too large", field=where)


def node_site(graph: Graph, node: Node, where: str, values: Mapping[str, Value], tensors: Mapping[str, Tensor]) -> Site:
    """A node with its operands found; their number and kinds and the attributes are checked."""
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise InputError(f"no operator {node.operator!r} in format 1", field=f"{where} {node.name}.operator")
    operands: list[Value | Tensor] = []
    for position, name in enumerate(node.inputs):
        found = values.get(name)
        operand = found if found is not None else tensors.get(name)
        if operand is None:
            raise InputError(f"{name} is not known here", field=f"{where} {node.name}.inputs[{position}]")
        operands.append(operand)
    site = Site(node, where, graph, operator, tuple(operands))
    needed = sum(not name.endswith("?") for name in operator.operands)
    site.require(
        needed <= len(operands) <= len(operator.operands),
        f"{len(operands)} operands, not {needed} to {len(operator.operands)}",
        "inputs",
    )
    site.require(len(node.outputs) == operator.outputs, f"{len(node.outputs)}, not {operator.outputs}", "outputs")
    _check_kinds(site)
    _check_attributes(site, operator)
    return site


def _check_kinds(site: Site) -> None:
    for position, (name, operand) in enumerate(zip(site.operator.operands, site.operands, strict=False)):
        is_value = isinstance(operand, Value)
        if ":any" not in name:
            site.require(is_value != (":tensor" in name), "a value and a tensor are exchanged", position)


def _check_attributes(site: Site, operator: Operator) -> None:
    found = site.node.attributes
    if missing := sorted(operator.attributes.keys() - found.keys()):
        raise site.refuse("is missing", missing[0])
    if unknown := sorted(found.keys() - operator.attributes.keys()):
        raise site.refuse("the operator has no such attribute", unknown[0])
    for name, rule in operator.attributes.items():
        if isinstance(rule, Listing):
            _check_list(site, name, found[name], rule)
            continue
        value, (least, largest) = found[name], rule
        if isinstance(value, tuple):
            raise site.refuse("a list where an integer must stand", name)
        site.require(least <= value <= largest, f"{value} is not in {least}..{largest}", name)


def _check_list(site: Site, name: str, value: Attribute, rule: Listing) -> None:
    if isinstance(value, int):
        raise site.refuse("an integer where a list must stand", name)
    if rule.length is None:
        site.require(len(value) <= MAX_AXES, f"{len(value)} items, more than {MAX_AXES}", name)
    else:
        site.require(len(value) == rule.length, f"{len(value)} items, not {rule.length}", name)
    for item in value:
        if isinstance(item, str):
            site.require(rule.symbols, f"{item!r} is not an integer", name)
        else:
            site.require(rule.least <= item <= rule.largest, f"{item} is not in {rule.least}..{rule.largest}", name)


def _check_outputs(graph: Graph, values: Mapping[str, Value]) -> None:
    seen: set[str] = set()
    for index, output in enumerate(graph.outputs):
        where = f"graph.outputs[{index}].name"
        if output.name not in values:
            raise InputError(f"{output.name} is not a value", field=where)
        if values[output.name].shape[0] != BATCH:
            raise InputError(f"{output.name} has no batch axis", field=where)
        if output.name in seen:
            raise InputError(f"{output.name} is named twice", field=where)
        seen.add(output.name)
