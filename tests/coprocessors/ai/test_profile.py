"""Where a model's time goes: parts add up to the run, products are told from glue, bad input is named."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solder.coprocessors.ai.profile import BETWEEN_NODES, ModelProfile, Part, _least, _parts, profile_model
from solder.coprocessors.ai.profile_page import page as render
from solder.errors import InputError

TRAINED = Path(__file__).resolve().parents[3] / "examples" / "models" / "trained"
MLP = TRAINED / "digits_mlp.onnx"


@pytest.fixture(scope="module")
def float_profile() -> ModelProfile:
    return profile_model(TRAINED / "digits_cnn.onnx", batch=32, repeats=3)


def test_profile_float_parts_add_up_to_the_run(float_profile: ModelProfile) -> None:
    assert sum(part.seconds for part in float_profile.parts) == pytest.approx(float_profile.seconds, rel=1e-9)
    assert float_profile.parts[-1].name == BETWEEN_NODES
    assert float_profile.parts[-1].seconds >= 0
    assert float_profile.seconds > 0


def test_profile_float_products_are_structured(float_profile: ModelProfile) -> None:
    structured = {part.operator for part in float_profile.parts if part.structured}
    glue = {part.operator for part in float_profile.parts if not part.structured}
    assert structured
    assert all("Conv" in operator or "Gemm" in operator for operator in structured)
    assert not any("Conv" in operator or "Gemm" in operator for operator in glue)
    assert 0.1 < float_profile.structured_share < 1


def test_profile_json_says_the_same(float_profile: ModelProfile) -> None:
    found = json.loads(json.dumps(float_profile.to_json()))
    assert found["structured_share"] == float_profile.structured_share
    for key in ("layers", "operators"):
        total = sum(row["structured_seconds"] + row["glue_seconds"] for row in found[key])
        assert total == pytest.approx(found["seconds"], rel=1e-9)
    assert found["batch"] == 32
    assert found["engine"].startswith("float32 by ONNX Runtime")


def test_profile_table_and_page_name_every_operator(float_profile: ModelProfile) -> None:
    table, page = float_profile.table(), render(float_profile)
    for part in float_profile.parts:
        assert part.operator in table
        assert part.operator in page


class _Outside(HTMLParser):
    """What a page would load from elsewhere, and what would run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href") or name.startswith("on")]
        if tag == "script":
            self.found.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_profile_page_needs_nothing_else(float_profile: ModelProfile) -> None:
    parser = _Outside()
    parser.feed(render(float_profile))
    assert parser.found == []
    assert parser.open == []


def test_profile_page_escapes_names() -> None:
    part = Part("<b>", "<b>", "<b>", structured=True, seconds=1.0)
    page = render(ModelProfile("<i>", "<u>", 1, None, 1, 1, 1.0, 1.0, (part,)))
    assert not any(tag in page for tag in ("<b>", "<i>", "<u>"))


def test_profile_takes_the_least_of_each_node() -> None:
    runs = [(10.0, [("a", "MatMul", 5.0), ("b", "Add", 1.0)]), (8.0, [("a", "MatMul", 2.0), ("b", "Add", 3.0)])]
    assert _least(runs) == (6.0, [("a", "MatMul", 2.0), ("b", "Add", 1.0)])


def test_profile_a_fused_node_belongs_to_the_layer_before_it() -> None:
    nodes = [("layer0.dense", "MatMul", 1.0), ("BiasGelu_token_0", "BiasGelu", 2.0), ("layer1.dense", "MatMul", 3.0)]
    parts = _parts(7.0, nodes, frozenset({"MatMul"}))
    assert [(part.layer, part.seconds) for part in parts] == [
        ("layer0", 1.0),
        ("layer0", 2.0),
        ("layer1", 3.0),
        (BETWEEN_NODES, 1.0),
    ]


def test_profile_takes_given_inputs() -> None:
    profile = profile_model(MLP, repeats=1, inputs={"pixels": np.zeros((5, 64), np.float32)})
    assert profile.batch == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch: 0 is not from 1"),
        ({"threads": 1000}, "threads: 1000 is not from 1"),
        ({"repeats": 0}, "repeats: 0 is not from 1"),
        ({"sequence": 0}, "sequence: 0 is not from 1"),
        ({"kernel": "avx2"}, "kernel: a kernel is a choice of the integer executor"),
        ({"inputs": {"other": np.zeros(1)}}, "other: the model has no such input"),
        ({"inputs": {}}, "pixels: missing"),
        ({"inputs": {"pixels": np.zeros((1, 3), np.float32)}}, "ONNX Runtime"),
    ],
)
def test_profile_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        profile_model(MLP, **{"repeats": 1, **arguments})


def test_profile_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        profile_model(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(MLP.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken\.onnx"):
        profile_model(broken)
