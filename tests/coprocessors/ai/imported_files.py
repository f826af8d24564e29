"""Makes the files of ``imported`` again: small models of scikit-learn, XGBoost and LightGBM, and their answers.

Needs requirements/train.txt: `python -m tests.coprocessors.ai.imported_files`; the tests read the files only.
"""

from pathlib import Path

import lightgbm
import numpy as np
import xgboost
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from .float_models import small_transformer

FOLDER = Path(__file__).parent / "imported"
SEED = 6


def main() -> None:
    """Train, export, and keep each library's own answers."""
    tumours, malignant = load_breast_cancer(return_X_y=True)
    tumours = tumours.astype(np.float32)
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)
    trees = {"n_estimators": 8, "max_depth": 4, "random_state": SEED}
    onnx_models = {
        "scaled_perceptron": (make_pipeline(StandardScaler(), MLPClassifier((24,), max_iter=60, random_state=SEED)), 1),
        "binary_perceptron": (make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=80, random_state=SEED)), 0),
        "logistic": (make_pipeline(MinMaxScaler(), LogisticRegression()), 0),
        "forest": (RandomForestClassifier(**trees), 0),
        "boosted": (GradientBoostingClassifier(**trees), 0),
        "scaled_forest": (make_pipeline(StandardScaler(), RandomForestClassifier(**trees)), 0),
        "scaled_boosted": (make_pipeline(MinMaxScaler(), GradientBoostingClassifier(**trees)), 0),
        "histogram": (HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=6, random_state=SEED), 1),
    }
    answers = {}
    for name, (model, many) in onnx_models.items():
        rows, classes = (pixels, digits) if many else (tumours, malignant)
        model.fit(rows, classes)
        (FOLDER / f"{name}.onnx").write_bytes(to_onnx(model, rows[:1]).SerializeToString())
        answers[name] = np.asarray(model.predict(rows), np.int16)
    for name, rows, classes in (("binary", tumours, malignant), ("many", pixels, digits)):
        booster = xgboost.XGBClassifier(n_estimators=4, max_depth=3, random_state=SEED).fit(rows, classes)
        booster.get_booster().save_model(FOLDER / f"xgboost_{name}.json")
        answers[f"xgboost_{name}"] = np.asarray(booster.predict(rows), np.int16)
        gbm = lightgbm.LGBMClassifier(n_estimators=4, num_leaves=6, random_state=SEED, verbose=-1).fit(rows, classes)
        gbm.booster_.save_model(FOLDER / f"lightgbm_{name}.txt")
        answers[f"lightgbm_{name}"] = np.asarray(gbm.predict(rows), np.int16)
    (FOLDER / "transformer.onnx").write_bytes(small_transformer(masked="add").bytes())
    np.savez_compressed(FOLDER / "answers.npz", allow_pickle=False, **answers)


if __name__ == "__main__":
    main()
