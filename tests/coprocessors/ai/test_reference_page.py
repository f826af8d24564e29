"""The specification's page and the operator table name the same operators, operands, attributes, outputs and limits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from solder.coprocessors.ai import artefact, graph, graph_admission, graph_canonical
from solder.coprocessors.ai.reference.site import MAX_TABLE, Listing
from solder.coprocessors.ai.reference.table import OPERATORS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "integer-graphs.md").read_text()
SECTION = PAGE[PAGE.index("## 3. Operators") : PAGE.index("## 4. Cost")]
PARTS = dict(re.findall(r"^\*\*(\w+)\*\* (\(.*?)(?=^\*\*|^###|\Z)", SECTION, re.MULTILINE | re.DOTALL))


def test_page_has_every_operator() -> None:
    assert PARTS.keys() == OPERATORS.keys()


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_page_names_operands_and_attributes(name: str) -> None:
    operator, part = OPERATORS[name], PARTS[name]
    head = part.split("\n- ")[0]
    for operand in dict.fromkeys(operator.operands) if name != "concatenate" else ():
        bare = operand.split(":")[0].rstrip("?")
        assert re.search(rf"\b{bare}\b", head), bare
        if operand.endswith("?"):
            assert re.search(rf"\[{bare} ", head), f"{bare} may be left out"
    listed = re.search(r"\n- attributes?: (.*?)(?=\n- )", part, re.DOTALL)
    text = listed[1] if listed else ""
    if "as max_pool" in text:
        text = "`window` `stride` `padding`"
    assert set(re.findall(r"`(\w+)(?: \[[\w, ]+\])?`", text)) == set(operator.attributes), text
    assert "MACs" in part or name in {"reshape", "transpose", "concatenate", "slice"}


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_page_has_the_limits_of_attributes(name: str) -> None:
    for attribute, rule in OPERATORS[name].attributes.items():
        least, largest = (rule.least, rule.largest) if isinstance(rule, Listing) else rule
        found = re.search(rf"`{attribute}(?: \[[\w, ]+\])?`\s\((-?[\d^]+)\.\.([\d^]+)(-1)?", PARTS[name])
        if found is None:
            continue  # in words: both flags, what divides, what is less than something, int32
        ends = [_number(found[1]), _number(found[2]) - (1 if found[3] else 0)]
        assert ends == [least, largest], attribute


def _number(text: str) -> int:
    base, _, power = text.partition("^")
    return int(base) ** int(power) if power else int(base)


def test_page_has_the_limits_of_files() -> None:
    for limit, text in (
        (artefact.MAX_FILE, "| file | 2^30 bytes |"),
        (artefact.MAX_HEADER, "| header | 2^22 bytes |"),
        (graph.MAX_NODES, "| nodes | 65,536 |"),
        (graph.MAX_ENDS, "inputs and outputs of a graph, each | 64 |"),
        (graph_canonical.MAX_DEPTH, "| JSON depth / JSON values | 8 /"),
        (graph_canonical.MAX_VALUES, "/ 2^20 |"),
        (graph.MAX_LIMIT, "`sequence_limit` | 65,536"),
        (graph.MAX_AXES, "| axes | 6 |"),
        (graph.MAX_EXTENT, "| extent of an axis | 2^24 |"),
        (graph_admission.MAX_ELEMENTS, "| elements of a value at the limits | 2^40 |"),
        (graph_admission.MAX_MENTIONED, "names one | 2^31 |"),
        (graph.MAX_TEXT, "| 256 bytes |"),
        (graph.MAX_LABELS, "| labels | 65,536 |"),
        (MAX_TABLE, "T <= 65,536"),
    ):
        assert text in PAGE
        digits = re.findall(r"\d[\d,^]*", text.replace("| names", ""))
        assert limit in {_number(number.replace(",", "")) for number in digits}, text


def test_page_example_prints_what_it_says() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
