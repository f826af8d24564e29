"""The picture of a graph: valid SVG, every node in it, boxes that do not overlap, the work where it is."""

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from solder.coprocessors.ai.artefact import Artefact, quote, read_artefact, write_artefact
from solder.coprocessors.ai.graph import BATCH, Coding, Graph, Input, Node, Output
from solder.coprocessors.ai.picture import BOX_HEIGHT, BOX_WIDTH, LONGEST_LINE, picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

SVG = "{http://www.w3.org/2000/svg}"


def dense(name: str, before: str) -> list[Node]:
    """A product and its rescaling."""
    attributes = {"shift": 8, "zero_point": 0, "minimum": -127, "maximum": 127, "bits": 8}
    return [
        Node(f"{name}.product", "linear", (before, "weight"), (f"{name}.product",)),
        Node(name, "rescale", (f"{name}.product", "scale"), (name,), attributes),
    ]


def artefact(depth: int, title: str = "") -> Artefact:
    """Dense layers in a row; the last node adds the input again."""
    names = [f"layer{index}.dense" for index in range(depth)]
    nodes = [node for name, before in zip(names, ["x", *names], strict=False) for node in dense(name, before)]
    nodes.append(Node("sum", "add", (names[-1], "x"), ("sum",), {"minimum": -128, "maximum": 127, "bits": 8}))
    graph = Graph((Input("x", 8, (BATCH, 16), -127, 127),), tuple(nodes), (Output("sum", Coding()),), title=title)
    tensors: dict[str, NDArray[Any]] = {"weight": np.eye(16, dtype=np.int8), "scale": np.full(1, 256, np.int32)}
    return read_artefact(write_artefact(graph, tensors))


def drawn(model: Artefact, batch: int = 1) -> str:
    values = [{"name": name, "bits": value.bits, "shape": list(value.shape)} for name, value in model.values.items()]
    costs = [{"name": node.name, "macs": node.multiply_accumulates} for node in quote(model, batch).nodes]
    return picture(model.graph.as_json(), values, costs)  # type: ignore[arg-type]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own text


def boxes(text: str) -> list[Any]:
    found = [group.find(f"{SVG}rect") for group in parsed(text).findall(f"{SVG}g")]
    return [box.attrib for box in found if box is not None]


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_picture_has_every_node_once(depth: int) -> None:
    model = artefact(depth)
    names = [group.findall(f"{SVG}text") for group in parsed(drawn(model)).findall(f"{SVG}g")]
    assert sorted(texts[1].text or "" for texts in names) == sorted(["x", *(node.name for node in model.graph.nodes)])


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_picture_boxes_do_not_overlap_and_lie_inside(depth: int) -> None:
    text = drawn(artefact(depth))
    left, top, width, height = map(float, parsed(text).attrib["viewBox"].split())
    places = [(float(box["x"]), float(box["y"])) for box in boxes(text)]
    for index, (x, y) in enumerate(places):
        assert left <= x <= left + width - BOX_WIDTH
        assert top <= y <= top + height - BOX_HEIGHT
        for other_x, other_y in places[index + 1 :]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT


def test_picture_a_far_operand_is_named_instead_of_drawn() -> None:
    near, far = drawn(artefact(2)), drawn(artefact(LONGEST_LINE))
    assert "and x<" not in near
    assert "and x<" in far
    lines = [len(parsed(text).findall(f"{SVG}path")) for text in (near, far)]
    assert lines == [2 * 2 + 2, 2 * LONGEST_LINE + 1]


def test_picture_the_work_is_darker_and_summed_by_layer() -> None:
    text = drawn(artefact(2))
    fills = {box["fill"] for box in boxes(text)}
    assert len(fills) > 2
    assert "% of the work" in text
    assert "layer0" in text


def test_picture_a_title_is_escaped() -> None:
    text = drawn(artefact(1, title="<script>&"))
    assert "<script>" not in text
    assert "&lt;script&gt;&amp;" in text
    assert parsed(text).find(f"{SVG}script") is None
