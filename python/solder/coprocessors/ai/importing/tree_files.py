"""XGBoost's JSON and LightGBM's text as integer graphs, without these packages: the files are read as data.

Sources: XGBoost's model schema (doc/tutorials/saving_model), LightGBM's text format (GBDT::SaveModelToString).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from solder.coprocessors.ai.coding import float32_order
from solder.coprocessors.ai.graph import BATCH, Coding, Graph, Input, Output
from solder.coprocessors.ai.importing.emit import Emitter
from solder.coprocessors.ai.importing.trees import (
    MAX_TREES,
    Ensemble,
    Tree,
    emit_ensemble,
    flatten,
    floor32,
    predecessor,
)
from solder.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from solder.coprocessors.ai.artefact import Artefact
    from solder.coprocessors.ai.importing.report import ImportReport

__all__ = ["import_tree_file", "read_tree_file"]

MAX_BYTES = 1 << 28
MAX_LINES = 4_000_000
MAX_FEATURES = 1 << 20
MAX_CLASSES = 1024
LARGEST_FLOAT = 0x7F800000
CATEGORICAL, DEFAULT_LEFT = 1, 2
MISSING_NONE, MISSING_NAN = 0, 2

Compare = Callable[["Artefact", "Mapping[str, NDArray[Any]] | None", "NDArray[Any] | None"], "ImportReport"]


def read_tree_file(path: Path) -> Ensemble:
    """The ensemble in an XGBoost JSON model or a LightGBM text model.

    Raises:
        InputError: the file is truncated, or has what no integer tree has (categories, linear leaves, dart).

    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES:,} bytes", str(path))
    raw = path.read_bytes()
    if raw.lstrip()[:1] == b"{":
        return _Xgboost(str(path), raw).ensemble()
    if raw[:5].strip() == b"tree":
        return _LightGbm(str(path), raw).ensemble()
    raise InputError("neither XGBoost's JSON nor LightGBM's text", str(path))


def import_tree_file(path: Path, title: str, batch_limit: int) -> tuple[Graph, dict[str, NDArray[Any]], Compare]:
    """(graph, tensors, a function that compares an artefact of them with the float64 sums of the file)."""
    ensemble = read_tree_file(path)
    emitter = Emitter()
    features = emitter.name("features")
    sums, chosen, scale = emit_ensemble(emitter, features, ensemble, "scores")
    shift = round(-math.log2(scale))
    coding = Coding("fixed", 1 if shift >= 0 else 1 << -shift, max(shift, 0))
    outputs = [Output(sums, coding), *([Output(chosen)] if chosen else [])]
    given = Input(features, 32, (BATCH, ensemble.features), -(1 << 31), LARGEST_FLOAT, Coding("float32_order"))
    graph = Graph((given,), tuple(emitter.nodes), tuple(outputs), title or path.stem, batch_limit)

    def compare(
        artefact: Artefact, data: Mapping[str, NDArray[Any]] | None, labels: NDArray[Any] | None
    ) -> ImportReport:
        return _compare(artefact, ensemble, (str(path), features, sums, chosen), data, labels)

    return graph, emitter.tensors, compare


def _compare(
    artefact: Artefact,
    ensemble: Ensemble,
    names: tuple[str, str, str, str],
    data: Mapping[str, NDArray[Any]] | None,
    labels: NDArray[Any] | None,
) -> ImportReport:
    from dataclasses import replace

    from solder.coprocessors.ai import reference
    from solder.coprocessors.ai.coding import decode
    from solder.coprocessors.ai.importing.metrics import task_metrics
    from solder.coprocessors.ai.importing.report import base_report

    path, features, sums, chosen = names
    report = base_report(artefact, path)
    if data is None:
        return report
    if set(data) != {features}:
        raise InputError(f"the calibration data hold {sorted(data)}, the model's input is {features!r}", path)
    rows = np.asarray(data[features])
    if rows.dtype.kind not in "fiub" or rows.ndim != 2 or rows.shape[1] != ensemble.features:  # noqa: PLR2004
        raise InputError(f"shape {list(rows.shape)}, the model takes [batch, {ensemble.features}]", path, features)
    step = artefact.graph.batch_limit
    pieces = [
        reference.run(artefact, {features: float32_order(rows[start : start + step])})
        for start in range(0, rows.shape[0], step)
    ]
    real = ensemble.sums(rows)
    coding = next(output.coding for output in artefact.graph.outputs if output.name == sums)
    found = decode(coding, np.concatenate([piece[sums] for piece in pieces]))
    metrics = [task_metrics(sums, real, found[:, -real.shape[1] :], None, (), is_class=False)]
    if chosen:
        classes = np.concatenate([piece[chosen] for piece in pieces])
        metrics.append(task_metrics(chosen, ensemble.classes(real), classes, labels, (), is_class=True))
    return replace(report, rows=rows.shape[0], metrics=tuple(metrics))


class _Xgboost:
    """One parsed XGBoost model; every list is as long as the file, which has a limit."""

    def __init__(self, path: str, raw: bytes) -> None:
        self._path = path
        try:
            self._root = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise InputError(f"truncated, or no JSON: {str(error)[:200]}", path) from None

    def _fail(self, detail: str, where: str = "") -> InputError:
        return InputError(detail, self._path, where or None)

    def _at(self, *keys: str) -> Any:  # noqa: ANN401
        found = self._root
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise self._fail("absent: no XGBoost model of the JSON format", ".".join(keys))
            found = found[key]
        return found

    def _count(self, *keys: str, most: int) -> int:
        try:
            value = int(self._at(*keys))
        except (TypeError, ValueError):
            value = -1
        if not 0 <= value <= most:
            raise self._fail(f"not in 0..{most:,}", ".".join(keys))
        return value

    def ensemble(self) -> Ensemble:
        booster = ("learner", "gradient_booster")
        if self._at(*booster, "name") != "gbtree":
            raise self._fail("only gbtree is supported", "learner.gradient_booster.name")
        features = self._count("learner", "learner_model_param", "num_feature", most=MAX_FEATURES)
        classes = max(1, self._count("learner", "learner_model_param", "num_class", most=MAX_CLASSES))
        objective = str(self._at("learner", "objective", "name"))
        trees = self._at(*booster, "model", "trees")
        info = self._at(*booster, "model", "tree_info")
        if not isinstance(trees, list) or not isinstance(info, list) or len(trees) != len(info):
            raise self._fail("trees and tree_info do not fit together", "learner.gradient_booster.model")
        if len(trees) > MAX_TREES:
            raise self._fail(f"{len(trees):,} trees are more than {MAX_TREES:,}")
        built = [
            self._tree(tree, group, classes, index) for index, (tree, group) in enumerate(zip(trees, info, strict=True))
        ]
        flat = flatten(built, classes, features, self._fail)
        base = self._base(objective, classes)
        known = {"binary:logistic": "positive", "multi:softprob": "argmax", "multi:softmax": "argmax"}
        decision = known.get(objective, "")
        if not decision and not objective.startswith("reg:"):
            raise self._fail(f"objective {objective!r} is not supported", "learner.objective.name")
        if objective in {"reg:gamma", "reg:tweedie"}:
            raise self._fail(f"objective {objective!r} is not supported", "learner.objective.name")
        return Ensemble(**flat, base=base, decision=decision)

    def _base(self, objective: str, classes: int) -> NDArray[np.float64]:
        text = str(self._at("learner", "learner_model_param", "base_score")).strip("[]")
        try:
            values = np.array([np.float32(part) for part in text.split(",")[:MAX_CLASSES]], np.float64)
        except ValueError:
            raise self._fail(f"{text[:40]!r} is no number", "learner.learner_model_param.base_score") from None
        if values.size not in (1, classes):
            raise self._fail(f"{values.size} numbers", "learner.learner_model_param.base_score")
        if objective in {"binary:logistic", "reg:logistic"}:
            if not ((values > 0) & (values < 1)).all():
                raise self._fail("no probability", "learner.learner_model_param.base_score")
            values = np.log(values / (1 - values))
        return np.broadcast_to(values, (classes,)).copy()

    def _tree(self, tree: Any, group: Any, classes: int, index: int) -> Tree:  # noqa: ANN401
        where = f"tree {index}"
        if not isinstance(tree, dict) or not isinstance(group, int) or not 0 <= group < classes:
            raise self._fail("no tree, or a group that does not exist", where)
        if any(kind != 0 for kind in tree.get("split_type", [])):
            raise self._fail("splits by category are not supported", where)
        try:
            left, right, feature = (
                np.array(tree[key], np.int64) for key in ("left_children", "right_children", "split_indices")
            )
            value = np.array(tree["split_conditions"], np.float64).astype(np.float32)
            default = np.array(tree["default_left"], np.int64).astype(bool)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._fail("an array is absent or holds something else than numbers", where) from None
        if not (left.ndim == 1 and left.shape == right.shape == feature.shape == value.shape == default.shape):
            raise self._fail("arrays of different lengths", where)
        is_leaf = left == -1
        leaf = np.zeros((left.size, classes))
        leaf[:, group] = np.where(is_leaf, value, 0)
        return Tree(feature, predecessor(value), left, right, default, is_leaf, leaf)


class _LightGbm:
    """One LightGBM text model: a header of key=value, then a block for each tree."""

    def __init__(self, path: str, raw: bytes) -> None:
        self._path = path
        lines = raw.decode("utf-8", "replace").splitlines()
        if len(lines) > MAX_LINES:
            raise InputError(f"more than {MAX_LINES:,} lines", path)
        self._header: dict[str, str] = {}
        self._trees: list[dict[str, str]] = []
        self._whole = False
        block = self._header
        for line in lines:
            if line == "end of trees":
                self._whole = True
                break
            key, equals, value = line.partition("=")
            if key == "Tree" and equals:
                block = {}
                self._trees.append(block)
            elif equals:
                block[key] = value
            elif line == "average_output":
                self._header["average_output"] = "1"

    def _fail(self, detail: str, where: str = "") -> InputError:
        return InputError(detail, self._path, where or None)

    def ensemble(self) -> Ensemble:
        if not self._whole:
            raise self._fail("truncated: no line 'end of trees'")
        features = self._number(self._header, "max_feature_idx", "header", MAX_FEATURES - 1) + 1
        columns = self._number(self._header, "num_tree_per_iteration", "header", MAX_CLASSES)
        objective = self._header.get("objective", "").split(" ")[0]
        decisions = {"binary": "positive", "multiclass": "argmax", "multiclassova": "argmax"}
        plain = {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg"}
        if objective not in decisions and objective not in plain:
            raise self._fail(f"objective {objective!r} is not supported", "objective")
        built = [self._tree(tree, index, max(columns, 1)) for index, tree in enumerate(self._trees)]
        if "average_output" in self._header:
            for tree in built:
                tree.leaf /= max(1, len(built) // max(columns, 1))
        flat = flatten(built, max(columns, 1), features, self._fail)
        return Ensemble(**flat, base=np.zeros(max(columns, 1)), decision=decisions.get(objective, ""))

    def _number(self, block: dict[str, str], key: str, where: str, most: int) -> int:
        try:
            value = int(block[key])
        except (KeyError, ValueError):
            value = -1
        if not 0 <= value <= most:
            raise self._fail(f"{key} is not in 0..{most:,}", where)
        return value

    def _array(self, block: dict[str, str], key: str, size: int, where: str) -> NDArray[np.float64]:
        try:
            values = np.array(block.get(key, "").split(), np.float64)
        except ValueError:
            raise self._fail(f"{key} holds something else than numbers", where) from None
        if values.size != size:
            raise self._fail(f"{key} has {values.size} entries, not {size}", where)
        return values

    def _integers(self, block: dict[str, str], key: str, size: int, where: str) -> NDArray[np.int64]:
        values = self._array(block, key, size, where)
        if not (np.abs(values) < 1 << 31).all():  # NaN is not less either
            raise self._fail(f"{key} holds something else than 32-bit integers", where)
        return values.astype(np.int64)

    def _tree(self, block: dict[str, str], index: int, columns: int) -> Tree:
        where = f"tree {index}"
        leaves = self._number(block, "num_leaves", where, 1 << 22)
        if leaves < 1 or block.get("is_linear", "0") != "0":
            raise self._fail("no leaves, or linear leaves", where)
        inner = leaves - 1
        leaf = np.zeros((inner + leaves, columns))
        leaf[inner:, index % columns] = self._array(block, "leaf_value", leaves, where)
        kinds, feature, left, right = (
            self._integers(block, key, inner, where)
            for key in ("decision_type", "split_feature", "left_child", "right_child")
        )
        threshold = self._array(block, "threshold", inner, where)
        if (kinds & CATEGORICAL).any():
            raise self._fail("splits by category are not supported", where)
        missing = (kinds >> 2) & 3
        if not np.isin(missing, (MISSING_NONE, MISSING_NAN)).all():
            raise self._fail("zero as missing value is not supported", where)
        # Without missing values in training, a NaN counts as 0.
        missing_left = np.where(missing == MISSING_NONE, threshold >= 0, (kinds & DEFAULT_LEFT) != 0)
        # A child c < 0 is leaf -1 - c: numbered behind the inner nodes.
        turn = [np.where(child < 0, inner - 1 - child, child) for child in (left, right)]
        pad = np.zeros(leaves, np.int64)
        return Tree(
            feature=np.concatenate([feature, pad]),
            threshold=np.concatenate([floor32(threshold), pad.astype(np.float32)]),
            left=np.concatenate([turn[0], pad]),
            right=np.concatenate([turn[1], pad]),
            missing_left=np.concatenate([missing_left, pad.astype(bool)]),
            is_leaf=np.arange(inner + leaves) >= inner,
            leaf=leaf,
        )
