"""Boosted trees on a table of 30 numbers a row and two classes (the breast-cancer set that scikit-learn ships).

A bank's scoring model has this form. The same rows train scikit-learn's gradient boosting, XGBoost and LightGBM; each
is written by its own ONNX converter (scikit-learn's histogram boosting is not here: skl2onnx 1.20 cannot write that of
scikit-learn 1.9). The converters take float32 features, so the rows are float32 from the start:
trees compare exactly, and a threshold between two float64 would be another model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 6
TREES = 60
DEPTH = 4
CALIBRATION_ROWS = 256
INPUT = {"trees_gradient": "X"}  # elsewhere the input is called "features"
OPSETS = {"": 17, "ai.onnx.ml": 3}


@dataclass(frozen=True, slots=True)
class Rows:
    """Features float32 (n, 30) and classes int64 (n,), split once by ``SEED``."""

    train: NDArray[np.float32]
    train_class: NDArray[np.int64]
    test: NDArray[np.float32]
    test_class: NDArray[np.int64]


def load() -> Rows:
    """scikit-learn's set, 60 % to train on and 40 % to test on, each class in proportion."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    features, classes = load_breast_cancer(return_X_y=True)
    rows = features.astype(np.float32)
    parts = train_test_split(rows, classes.astype(np.int64), test_size=0.4, random_state=SEED, stratify=classes)
    return Rows(train=parts[0], test=parts[1], train_class=parts[2], test_class=parts[3])


def near_the_thresholds(count: int) -> NDArray[np.float32]:
    """Rows (count, 30) between real ones, a third of them rounded to few digits so that values meet thresholds."""
    generator = np.random.default_rng(SEED)
    real = np.concatenate([load().train, load().test])
    left, right = (real[generator.integers(0, len(real), count)] for _ in range(2))
    from_left = generator.integers(0, 2, (count, real.shape[1]), dtype=np.int8) == 0
    mixed = np.where(from_left, left, (left + right) / 2).astype(np.float32)
    mixed[: count // 3] = np.round(mixed[: count // 3], 2)
    return mixed


def _scikit_learn(classifier: Any) -> bytes:  # noqa: ANN401 - scikit-learn has no types
    from skl2onnx import to_onnx

    options = {id(classifier): {"zipmap": False}}
    return bytes(to_onnx(classifier, load().train[:1], options=options, target_opset=OPSETS).SerializeToString())


def train_gradient(path: Path) -> None:
    """scikit-learn's gradient boosting."""
    from sklearn.ensemble import GradientBoostingClassifier

    classifier = GradientBoostingClassifier(n_estimators=TREES, max_depth=DEPTH - 1, random_state=SEED)
    path.write_bytes(_scikit_learn(classifier.fit(load().train, load().train_class)))


def train_xgboost(path: Path) -> None:
    """XGBoost, on one thread."""
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBClassifier

    classifier = XGBClassifier(n_estimators=TREES, max_depth=DEPTH, random_state=SEED, n_jobs=1)
    classifier.fit(load().train, load().train_class)
    inputs = [("features", FloatTensorType([None, 30]))]
    path.write_bytes(convert_xgboost(classifier, initial_types=inputs, target_opset=15).SerializeToString())


def train_lightgbm(path: Path) -> None:
    """LightGBM, on one thread, deterministic."""
    from lightgbm import LGBMClassifier
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    classifier = LGBMClassifier(
        n_estimators=TREES, max_depth=DEPTH, random_state=SEED, n_jobs=1, deterministic=True, verbose=-1
    )
    classifier.fit(load().train, load().train_class)
    inputs = [("features", FloatTensorType([None, 30]))]
    made = convert_lightgbm(classifier, initial_types=inputs, zipmap=False, target_opset=15)
    path.write_bytes(made.SerializeToString())


TRAIN: dict[str, Callable[[Path], None]] = {
    "trees_gradient": train_gradient,
    "trees_xgboost": train_xgboost,
    "trees_lightgbm": train_lightgbm,
}
