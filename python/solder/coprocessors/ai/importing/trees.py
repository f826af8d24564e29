"""Tree ensembles: one flat form, made of ONNX attributes here and of XGBoost's and LightGBM's files in ``tree_files``.

Every comparison becomes ``feature <= threshold`` over float32 features; a strict one takes the next smaller float32,
a threshold in float64 the largest float32 that is not above it: for every float32 feature the answer stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.coding import float32_order
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from solder.coprocessors.ai.importing.emit import Emitter
    from solder.coprocessors.ai.importing.read import SourceNode

__all__ = ["Ensemble", "Tree", "emit_ensemble", "flatten", "floor32", "from_onnx", "predecessor"]

MAX_TREES = 65_536
MAX_TREE_NODES = 1 << 22
SUM_LIMIT = (1 << 31) - 1


@dataclass(slots=True)
class Tree:
    """Nodes of one tree as a file numbers them; ``leaf`` rows are for node numbers that are leaves."""

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    is_leaf: NDArray[np.bool_]
    leaf: NDArray[np.float64]
    root: int = 0


@dataclass(frozen=True, slots=True)
class Ensemble:
    """All trees in the flat form of the integer operator, thresholds and leaves still float.

    ``decision``: how a class follows from the sums: "argmax", "positive" (one sum above 0), "half" (above 0.5), ""
    (none). ``transform`` is what the source applies to the sums before it shows them.
    """

    features: int
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    roots: NDArray[np.int32]
    leaves: NDArray[np.float64] = field(hash=False)
    base: NDArray[np.float64] = field(hash=False)
    decision: str = ""
    transform: str = "NONE"

    def sums(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[rows, columns]: the float64 sums for float32 features."""
        x = np.asarray(rows, np.float32)
        result = np.tile(self.base, (x.shape[0], 1))
        for root in self.roots:
            at = np.full(x.shape[0], root, np.int64)
            while (inner := at >= 0).any():
                node = at[inner]
                value = x[inner, self.feature[node]]
                left = np.where(np.isnan(value), self.missing_left[node], value <= self.threshold[node])
                at[inner] = np.where(left, self.left[node], self.right[node])
            result += self.leaves[-1 - at]
        return result

    def classes(self, sums: NDArray[np.float64]) -> NDArray[np.int64]:
        """The class for each row of sums; -1 where there is none."""
        if self.decision == "argmax":
            return np.asarray(sums.argmax(axis=1), np.int64)
        if self.decision in {"positive", "half"}:
            return (sums[:, 0] > (0.5 if self.decision == "half" else 0.0)).astype(np.int64)
        return np.full(sums.shape[0], -1)


def floor32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each value."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    above = near.astype(np.float64) > values
    return np.where(above, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def predecessor(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The next smaller float32, so that "less than t" is "not above it"."""
    return np.asarray(np.nextafter(values + np.float32(0), np.float32(-np.inf)), np.float32)


def flatten(trees: list[Tree], columns: int, features: int, fail: Callable[[str], InputError]) -> dict[str, Any]:
    """Trees numbered so that children come after their parents, leaves apart: the arrays of an ``Ensemble``."""
    if not 0 < len(trees) <= MAX_TREES:
        raise fail(f"{len(trees):,} trees are not in 1..{MAX_TREES:,}")
    if sum(tree.is_leaf.size for tree in trees) > MAX_TREE_NODES:
        raise fail(f"more than {MAX_TREE_NODES:,} nodes")
    parts: dict[str, list[Any]] = {key: [] for key in ("feature", "threshold", "left", "right", "missing_left")}
    roots, leaves = [], []
    for number, tree in enumerate(trees):
        size = tree.is_leaf.size
        if not 0 <= tree.root < size:
            raise fail(f"tree {number} has no root")
        number_of: dict[int, int] = {}
        order: list[int] = []
        inner = len(parts["feature"])
        left = [tree.root]
        while left:
            node = left.pop()
            if node in number_of:
                raise fail(f"tree {number}: node {node} is reached twice (a cycle, or a shared child)")
            if tree.is_leaf[node]:
                leaves.append(tree.leaf[node])
                number_of[node] = -len(leaves)
                continue
            if not 0 <= tree.feature[node] < features:
                raise fail(f"tree {number}, node {node}: feature {tree.feature[node]} of {features}")
            number_of[node] = inner + len(order)
            order.append(node)
            children = (int(tree.right[node]), int(tree.left[node]))
            if any(not 0 <= child < size for child in children):
                raise fail(f"tree {number}, node {node}: a child that does not exist")
            left.extend(children)
        for node in order:
            parts["feature"].append(tree.feature[node])
            parts["threshold"].append(tree.threshold[node])
            parts["left"].append(number_of[int(tree.left[node])])
            parts["right"].append(number_of[int(tree.right[node])])
            parts["missing_left"].append(tree.missing_left[node])
        roots.append(number_of[tree.root])
    kinds = {"threshold": np.float32, "missing_left": np.bool_}
    flat: dict[str, Any] = {key: np.array(values, kinds.get(key, np.int32)) for key, values in parts.items()}
    table = np.array(leaves, np.float64).reshape(len(leaves), columns)
    if not (np.isfinite(table).all() and not np.isnan(flat["threshold"]).any()):
        raise fail("a threshold or a leaf is NaN or infinite")
    return {"features": features, "roots": np.array(roots, np.int32), "leaves": table, **flat}


def from_onnx(node: SourceNode, features: int, path: str) -> Ensemble:
    """The ensemble of a TreeEnsembleClassifier or TreeEnsembleRegressor.

    Raises:
        InputError: attributes that do not fit together, or modes that have no integer form, by the node's name.

    """

    def fail(detail: str) -> InputError:
        return InputError(detail, path, str(node))

    attributes = node.attributes
    is_classifier = node.operator == "TreeEnsembleClassifier"
    prefix = "class" if is_classifier else "target"

    def integers(key: str, size: int | None = None) -> NDArray[np.int64]:
        values = np.array(attributes.get(key, []), dtype=np.int64)
        if size is not None and values.size != size:
            raise fail(f"attribute {key!r} has {values.size} entries, not {size}")
        return values

    tree_of = integers("nodes_treeids")
    count = tree_of.size
    if not 0 < count <= MAX_TREE_NODES:
        raise fail(f"{count:,} tree nodes are not in 1..{MAX_TREE_NODES:,}")
    labels = len(attributes.get("classlabels_int64s", [])) or len(attributes.get("classlabels_strings", []))
    targets = labels if is_classifier else int(attributes.get("n_targets", 1))
    columns, leaf_values = _leaves(attributes, prefix, targets, integers, fail)
    arrays = {
        "node": integers("nodes_nodeids", count),
        "feature": integers("nodes_featureids", count),
        "true": integers("nodes_truenodeids", count),
        "false": integers("nodes_falsenodeids", count),
        "tree": tree_of,
    }
    thresholds = np.asarray(attributes.get("nodes_values", []), np.float32)
    modes = np.array(attributes.get("nodes_modes", []))
    if thresholds.size != count or modes.size != count:
        raise fail("thresholds or modes of another number than nodes")
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * count
    if len(tracks) != count:
        raise fail("directions of missing values of another number than nodes")
    trees = _onnx_trees(arrays, thresholds, modes, np.array(tracks, bool), (columns, leaf_values), fail)
    if not is_classifier and attributes.get("aggregate_function", "SUM") == "AVERAGE":
        for tree in trees:
            tree.leaf /= len(trees)
    elif attributes.get("aggregate_function", "SUM") != "SUM":
        raise fail(f"aggregate_function {attributes['aggregate_function']!r} is not supported")
    flat = flatten(trees, columns, features, fail)
    base = np.asarray(attributes.get("base_values", np.zeros(0)), np.float64)
    if base.size not in (0, columns):
        raise fail(f"{base.size} base values for {columns} columns")
    decision = ""
    if is_classifier:
        weights = np.asarray(attributes[f"{prefix}_weights"])
        decision = "argmax" if columns > 1 else "half" if (weights >= 0).all() else "positive"
    transform = attributes.get("post_transform", "NONE")
    return Ensemble(**flat, base=base if base.size else np.zeros(columns), decision=decision, transform=transform)


def _leaves(
    attributes: dict[str, Any],
    prefix: str,
    targets: int,
    integers: Callable[..., NDArray[np.int64]],
    fail: Callable[[str], InputError],
) -> tuple[int, dict[tuple[int, int], dict[int, float]]]:
    """(columns, (tree, node) -> column -> weight). Two classes with weights for one only are a single column."""
    weights = np.asarray(attributes.get(f"{prefix}_weights", []), np.float64)
    ids = integers(f"{prefix}_ids", weights.size)
    trees, nodes = integers(f"{prefix}_treeids", weights.size), integers(f"{prefix}_nodeids", weights.size)
    single = prefix == "class" and targets == 2 and np.unique(ids).size == 1  # noqa: PLR2004
    if targets < 1 or (ids.size and not (ids.min() >= 0 and ids.max() < targets)):
        raise fail("weights for a class or a target that does not exist")
    values: dict[tuple[int, int], dict[int, float]] = {}
    for tree, node, column, weight in zip(trees.tolist(), nodes.tolist(), ids.tolist(), weights.tolist(), strict=True):
        at = values.setdefault((tree, node), {})
        at[0 if single else column] = at.get(0 if single else column, 0.0) + weight
    return (1 if single else targets), values


def _onnx_trees(
    arrays: dict[str, NDArray[np.int64]],
    thresholds: NDArray[np.float32],
    modes: NDArray[np.str_],
    tracks: NDArray[np.bool_],
    leaves: tuple[int, dict[tuple[int, int], dict[int, float]]],
    fail: Callable[[str], InputError],
) -> list[Tree]:
    columns, weights = leaves
    known = {"LEAF", "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"}
    if unknown := sorted(set(modes.tolist()) - known):
        raise fail(f"nodes of mode {unknown[0]!r} are not supported")
    # x > t and x >= t are x <= t and x < t with the children changed over.
    swapped = np.isin(modes, ("BRANCH_GTE", "BRANCH_GT"))
    strict = np.isin(modes, ("BRANCH_LT", "BRANCH_GTE"))
    threshold = np.where(strict, predecessor(thresholds), thresholds)
    trees = []
    for number in np.unique(arrays["tree"]).tolist():
        rows = np.flatnonzero(arrays["tree"] == number)
        position = {node: index for index, node in enumerate(arrays["node"][rows].tolist())}
        if len(position) != rows.size:
            raise fail(f"tree {number}: two nodes with one number")
        is_leaf = modes[rows] == "LEAF"
        leaf = np.zeros((rows.size, columns))
        for node, index in position.items():
            for column, weight in weights.get((number, node), {}).items():
                leaf[index, column] = weight
        true = np.array([position.get(node, -1) for node in arrays["true"][rows].tolist()])
        false = np.array([position.get(node, -1) for node in arrays["false"][rows].tolist()])
        turn = swapped[rows]
        children = set(true[~is_leaf].tolist()) | set(false[~is_leaf].tolist())
        free = [index for index in range(rows.size) if index not in children]
        trees.append(
            Tree(
                feature=arrays["feature"][rows],
                threshold=threshold[rows].astype(np.float32),
                left=np.where(turn, false, true),
                right=np.where(turn, true, false),
                missing_left=np.where(turn, ~tracks[rows], tracks[rows]),
                is_leaf=is_leaf,
                leaf=leaf,
                root=free[0] if free else -1,
            )
        )
    return trees


def emit_ensemble(emitter: Emitter, features: str, ensemble: Ensemble, wanted: str) -> tuple[str, str, float]:
    """Emit the operator; (sums [batch, columns], class [batch] or "", scale of the sums)."""
    leaves, base = ensemble.leaves, ensemble.base
    if ensemble.decision in {"positive", "half"}:
        # One sum against a bound: as two columns, of which the lower index wins where they are equal.
        leaves = np.concatenate([np.zeros_like(leaves), leaves], axis=1)
        base = np.concatenate([[0.5 if ensemble.decision == "half" else 0.0], base])
    largest = np.abs(base) + _largest_by_tree(ensemble, leaves)
    bits = int(np.floor(np.log2((SUM_LIMIT - len(ensemble.roots) - 1) / max(float(largest.max()), 1e-30))))
    scale = 2.0 ** -min(bits, 62)
    operands = [
        features,
        emitter.tensor(f"{wanted}.feature", ensemble.feature if ensemble.feature.size else np.zeros(1, np.int32)),
        emitter.tensor(f"{wanted}.threshold", _codes(ensemble.threshold)),
        emitter.tensor(f"{wanted}.left", ensemble.left if ensemble.left.size else np.full(1, -1, np.int32)),
        emitter.tensor(f"{wanted}.right", ensemble.right if ensemble.right.size else np.full(1, -1, np.int32)),
        emitter.tensor(f"{wanted}.roots", ensemble.roots),
        emitter.tensor(f"{wanted}.leaves", np.round(leaves / scale).astype(np.int32)),
        emitter.tensor(f"{wanted}.base", np.round(base / scale).astype(np.int32)),
    ]
    if ensemble.missing_left.any():
        operands.append(emitter.tensor(f"{wanted}.missing", ensemble.missing_left.astype(np.int8)))
    elif ensemble.feature.size:
        # A missing number goes right; its code would go left.
        operands.append(emitter.tensor(f"{wanted}.missing", np.zeros(ensemble.feature.size, np.int8)))
    sums = emitter.node("tree_ensemble", wanted, operands)
    chosen = emitter.node("argmax", f"{wanted}.class", [sums]) if ensemble.decision else ""
    return sums, chosen, scale


def _codes(thresholds: NDArray[np.float32]) -> NDArray[np.int32]:
    return float32_order(thresholds) if thresholds.size else np.zeros(1, np.int32)


def _largest_by_tree(ensemble: Ensemble, leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    """By column, the sum over the trees of the largest magnitude of a leaf."""
    total = np.zeros(leaves.shape[1])
    owner = np.zeros(leaves.shape[0], np.int64)
    tree_of_node = np.zeros(ensemble.feature.size, np.int64)
    for number, root in enumerate(ensemble.roots.tolist()):
        if root < 0:
            owner[-1 - root] = number
        else:
            tree_of_node[root] = number
    for node in range(ensemble.feature.size):  # parents come before their children
        for child in (int(ensemble.left[node]), int(ensemble.right[node])):
            if child >= 0:
                tree_of_node[child] = tree_of_node[node]
            else:
                owner[-1 - child] = tree_of_node[node]
    largest = np.zeros((len(ensemble.roots), leaves.shape[1]))
    np.maximum.at(largest, owner, np.abs(leaves))
    total += largest.sum(axis=0)
    return total
