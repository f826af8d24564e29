"""Short real texts: the one-line descriptions of a distribution's packages, and pairs of them drawn by a seed.

Half of the pairs are random, half are lexically near: a text and the one that shares most of its rare words. A machine
without the index uses the first sentences of the standard library's docstrings. Models are calibrated on other texts:
256 sentences of this project's own documentation (``calibration.txt``), the same on every machine.
"""

import ast
import hashlib
import re
import shutil
import subprocess
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHORTEST, LONGEST = 16, 240
NEAR_CANDIDATES = 400
CALIBRATION = Path(__file__).resolve().parent / "calibration.txt"
WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Texts, and pairs of positions in them: random ones and near ones. ``sha256`` is of all that could be drawn."""

    source: str
    sha256: str
    seed: int
    texts: tuple[str, ...]
    random_pairs: tuple[tuple[int, int], ...]
    near_pairs: tuple[tuple[int, int], ...]


def package_descriptions() -> list[str] | None:
    """The distinct one-line descriptions of the packages in the distribution's index; None without one."""
    command = shutil.which("apt-cache")
    if command is None:
        return None
    index = subprocess.run([command, "dumpavail"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = {line.partition(": ")[2].strip() for line in index.splitlines() if line.startswith("Description: ")}
    return _fitting(found) or None


def docstring_sentences() -> list[str]:
    """The distinct first lines of the docstrings in Python's standard library."""
    found = set()
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib"} & set(path.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # a template, or a file for another version
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                found.add(" ".join(text.partition("\n\n")[0].split()))
    return _fitting(found)


def _fitting(found: set[str]) -> list[str]:
    return sorted(text for text in found if SHORTEST <= len(text) <= LONGEST)


def calibration() -> list[str]:
    """The texts that models are calibrated on."""
    return CALIBRATION.read_text().splitlines()


def draw(source: str, texts: Sequence[str], *, seed: int, pairs: int) -> Drawn:
    """Draw pairs of ``texts``, half of them near; texts of the calibration are left out. ``texts`` are distinct."""
    generator = np.random.default_rng(seed)
    left_out = set(calibration())
    kept = [text for text in texts if text not in left_out]
    near_count = pairs // 2
    chosen: dict[int, int] = {}  # position in `kept`: position among the texts measured
    random_pairs, near_pairs = [], []
    for _ in range(pairs - near_count):
        left, right = map(int, generator.choice(len(kept), 2, replace=False))
        random_pairs.append((chosen.setdefault(left, len(chosen)), chosen.setdefault(right, len(chosen))))
    nearest = _Nearest(kept)
    for left in map(int, generator.permutation(len(kept))):
        if len(near_pairs) == near_count:
            break
        near = nearest.find(left)
        if near is not None:
            near_pairs.append((chosen.setdefault(left, len(chosen)), chosen.setdefault(near, len(chosen))))
    return Drawn(
        source=source,
        sha256=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
        seed=seed,
        texts=tuple(kept[position] for position in chosen),
        random_pairs=tuple(random_pairs),
        near_pairs=tuple(near_pairs),
    )


class _Nearest:
    """Which other text shares most of a text's words, rare words counting more."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.words = [frozenset(WORD.findall(text.lower())) for text in texts]
        self.having: dict[str, list[int]] = defaultdict(list)
        for position, words in enumerate(self.words):
            for word in words:
                self.having[word].append(position)

    def find(self, position: int) -> int | None:
        """The nearest text that is not made of the same words; None if no word is shared."""
        weight: Counter[int] = Counter()
        for word in self.words[position]:
            others = self.having[word]
            if len(others) <= NEAR_CANDIDATES:
                for other in others:
                    weight[other] += 1000 // len(others) + 1
        near = [
            (count, -other)
            for other, count in weight.items()
            if other != position and self.words[other] != self.words[position]
        ]
        return -max(near)[1] if near else None
