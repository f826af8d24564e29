"""Tree ensembles: the class is exactly the library's own, for its own exports and its own files."""

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from solder.coprocessors.ai import reference
from solder.coprocessors.ai.artefact import read_artefact
from solder.coprocessors.ai.coding import float32_order
from solder.coprocessors.ai.importing import import_model
from solder.coprocessors.ai.importing.tree_features import Step, unscaled
from solder.coprocessors.ai.importing.tree_files import read_tree_file
from solder.coprocessors.ai.importing.trees import floor32, predecessor
from solder.errors import InputError

FILES = Path(__file__).parent / "imported"
ANSWERS = np.load(FILES / "answers.npz")
SEED, DAMAGES = 2026, 150
MANY = {"histogram", "xgboost_many", "lightgbm_many"}
SUFFIX = {"xgboost": "json", "lightgbm": "txt"}
MODELS = [
    "forest",
    "boosted",
    "scaled_forest",
    "scaled_boosted",
    "histogram",
    "xgboost_binary",
    "xgboost_many",
    "lightgbm_binary",
    "lightgbm_many",
]


def _file(name: str) -> Path:
    return FILES / f"{name}.{SUFFIX.get(name.split('_', maxsplit=1)[0], 'onnx')}"


def _rows(name: str) -> NDArray[np.float32]:
    from sklearn.datasets import load_breast_cancer, load_digits

    return np.asarray((load_digits() if name in MANY else load_breast_cancer()).data, np.float32)


def _classes(name: str, rows: NDArray[np.float32]) -> NDArray[Any]:
    """The class for each row by the imported graph."""
    artefact = read_artefact(import_model(_file(name)).artefact)
    (given,) = artefact.graph.inputs
    chosen = next(output.name for output in artefact.graph.outputs if output.coding.kind == "index")
    pieces = [
        reference.run(artefact, {given.name: float32_order(rows[at : at + 64])}) for at in range(0, len(rows), 64)
    ]
    return np.concatenate([piece[chosen] for piece in pieces]).reshape(-1)


@pytest.mark.parametrize("name", MODELS)
def test_import_trees_class_is_the_librarys(name: str) -> None:
    assert (_classes(name, _rows(name)) == ANSWERS[name]).all()


def test_import_trees_report_says_equal() -> None:
    rows = _rows("boosted")
    report = import_model(_file("boosted"), {"X": rows}, labels=ANSWERS["boosted"]).report
    label = next(metric for metric in report.metrics if metric.output == "label")
    assert label.figures["argmax_agreement"] == label.figures["accuracy_integer"] == 1.0
    assert label.figures["rows"] == len(rows)


def test_import_trees_file_report_compares_with_float_sums() -> None:
    report = import_model(_file("xgboost_many"), {"features": _rows("xgboost_many")}).report
    (scores, label) = report.metrics
    assert label.figures["argmax_agreement"] == 1.0
    assert scores.figures["largest_error"] is not None
    assert scores.figures["largest_error"] < 1e-6


def test_import_trees_missing_numbers_take_the_files_direction() -> None:
    rows = _rows("lightgbm_binary")[:64].copy()
    rng = np.random.default_rng(11)
    rows[rng.random(rows.shape) < 0.3] = np.nan
    for name in ("lightgbm_binary", "xgboost_binary"):
        ensemble = read_tree_file(_file(name))
        assert (_classes(name, rows) == ensemble.classes(ensemble.sums(rows))).all()


def test_import_trees_thresholds_keep_every_comparison() -> None:
    rng = np.random.default_rng(12)
    bounds = np.concatenate([rng.standard_normal(200) * 10.0 ** rng.integers(-40, 38, 200), [0.0, -0.0, 1e-46]])
    near = floor32(bounds)
    for values in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))):
        assert ((values.astype(np.float64) <= bounds) == (float32_order(values) <= float32_order(near))).all()
    single = bounds.astype(np.float32)
    for values in (single, np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))):
        assert ((values < single) == (float32_order(values) <= float32_order(predecessor(single)))).all()


@pytest.mark.parametrize("name", ["scaled_forest", "scaled_boosted"])
def test_import_trees_scaler_moves_into_the_thresholds(name: str) -> None:
    """Not only on the data: numbers right beside every threshold take the source's way."""
    import onnxruntime

    imported = import_model(_file(name))
    artefact = read_artefact(imported.artefact)
    feature, threshold = (
        next(tensor for key, tensor in artefact.tensors.items() if key.endswith(end))
        for end in ("feature", "threshold")
    )
    rows = np.repeat(_rows(name)[:1], 3 * len(feature), axis=0)
    raw = np.where(threshold >= 0, threshold, -(1 << 31) - threshold.astype(np.int64)).astype(np.int32).view(np.float32)
    for step, value in enumerate((np.nextafter(raw, np.float32(-np.inf)), raw, np.nextafter(raw, np.float32(np.inf)))):
        rows[np.arange(step, len(rows), 3), feature] = value
    session = onnxruntime.InferenceSession(_file(name).read_bytes())
    (label, _) = session.run(None, {"X": rows})
    assert (_classes(name, rows) == label).all()


@pytest.mark.parametrize("operators", [("Mul",), ("Sub", "Mul"), ("Mul", "Add"), ("Div",), ("Add", "Div", "Sub")])
def test_import_trees_unscaled_equals_scaling_first(operators: tuple[str, ...]) -> None:
    ensemble = read_tree_file(_file("xgboost_many"))
    random = np.random.default_rng(13)
    steps = tuple(
        Step(
            operator,
            random.standard_normal(ensemble.features).astype(np.float32),
            bool(random.integers(2)) and operator != "Div",
        )
        for operator in operators
    )
    moved = unscaled(ensemble, steps)
    rows = (random.standard_normal((500, ensemble.features)) * 10.0 ** random.integers(-6, 6, (500, 1))).astype(
        np.float32
    )
    rows[random.random(rows.shape) < 0.05] = np.nan
    scaled = rows
    for step in steps:
        scaled = step.apply(scaled, np.arange(ensemble.features, dtype=np.int32))
    assert np.array_equal(moved.sums(rows), ensemble.sums(scaled))


def _damaged_xgboost(change: Any) -> bytes:
    tree = json.loads(_file("xgboost_binary").read_text())
    change(tree["learner"])
    return json.dumps(tree).encode()


def _first_tree(learner: Any) -> Any:
    return learner["gradient_booster"]["model"]["trees"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: _first_tree(at)["left_children"].__setitem__(0, 0), "reached twice"),
        (lambda at: _first_tree(at)["right_children"].__setitem__(0, 10**6), "does not exist"),
        (lambda at: _first_tree(at)["split_indices"].__setitem__(0, 99), "feature 99 of 30"),
        (lambda at: _first_tree(at)["split_conditions"].pop(), "different lengths"),
        (lambda at: _first_tree(at)["split_conditions"].__setitem__(0, "x"), "something else than numbers"),
        (lambda at: _first_tree(at)["split_type"].__setitem__(0, 1), "by category"),
        (lambda at: at["gradient_booster"].__setitem__("name", "dart"), "only gbtree"),
        (lambda at: at["objective"].__setitem__("name", "survival:cox"), "survival:cox"),
        (lambda at: at["learner_model_param"].__setitem__("base_score", "moon"), "no number"),
        (lambda at: at["learner_model_param"].__setitem__("num_feature", "-3"), "not in 0"),
        (lambda at: at.pop("gradient_booster"), "absent"),
    ],
)
def test_import_trees_bad_xgboost_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(_damaged_xgboost(change))
    with pytest.raises(InputError, match=said):
        import_model(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither"),
        (b"{", "truncated"),
        (b'{"a":' * 100_000, "truncated, or no JSON"),
        (b"tree\nversion=v4\n", "truncated"),
        (b"tree\nmax_feature_idx=3\nnum_tree_per_iteration=1\nobjective=binary\nend of trees\n", "0 trees"),
        (b"tree\nmax_feature_idx=-3\nend of trees\n", "max_feature_idx"),
    ],
)
def test_import_trees_bad_file_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        import_model(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("left_child=", "left_child=9999 ", "entries"),
        ("decision_type=2", "decision_type=1", "by category"),
        ("num_leaves=6", "num_leaves=0", "no leaves"),
        ("objective=binary", "objective=poisson", "poisson"),
        ("end of trees", "", "truncated"),
        ("leaf_value=", "leaf_value=moon ", "something else than numbers"),
    ],
)
def test_import_trees_bad_lightgbm_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = _file("lightgbm_binary").read_text()
    assert old in text
    path = tmp_path / "bad.txt"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        import_model(path)


def test_import_trees_random_damage_is_an_input_error_or_a_model(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    path, taken = tmp_path / "damaged.json", 0
    words = (b"-1", b"1e999", b"NaN", b"null", b"99999999999999999999", b"[]", b'"x"', b"true", b"2147483648")
    for _ in range(DAMAGES):
        damaged = bytearray(_file(chance.choice(["xgboost_binary", "lightgbm_binary"])).read_bytes())
        for _ in range(chance.randint(1, 3)):
            at = chance.choice(list(re.finditer(rb"-?\d+(\.\d+)?(E-?\d+)?", bytes(damaged))))
            damaged[at.start() : at.end()] = chance.choice(words)
        path.write_bytes(damaged)
        try:
            import_model(path)
            taken += 1
        except InputError:
            continue
    assert 0 < taken < DAMAGES
