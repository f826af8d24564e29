"""`solder t8n` against the specification's tool, on a seeded sample of the official blockchain fixtures.

The whole comparison takes hours, since the reference does: `python -m tests.t8n.sweep` runs as much of it as wanted.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from .fixtures import cases, files
from .inputs import FixtureChain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .reference import Reference

SEED = 20
# Archive -> how many of its files, and how many cases of each, are drawn.
SAMPLES = {
    "eest_v5.4.0_blockchain_pytests": (40, 2),
    "eest_v5.4.0_blockchain_static": (30, 1),
    "ethtests_2024-10_bc": (100, 1),
}
BLOCKS_PER_CASE = 6


def drawn(archive: Path, file_count: int, case_count: int) -> Iterator[FixtureChain]:
    """A sample of an archive: the same files and cases for the same seed."""
    from .sweep import is_withdrawn

    rng = random.Random(SEED)
    contents = dict(files(archive))
    for name in rng.sample(sorted(contents), file_count):
        found = {case: fixture for case, fixture in cases(contents[name]).items() if not is_withdrawn(case)}
        for case in rng.sample(sorted(found), min(case_count, len(found))):
            found[case]["blocks"] = found[case]["blocks"][:BLOCKS_PER_CASE]
            yield FixtureChain(case, found[case], SEED)


@pytest.mark.parametrize("archive", SAMPLES)
def test_reference_agrees_on_sample(data_file: Callable[[str], Path], reference: Reference, archive: str) -> None:
    from .sweep import Sweep

    sweep = Sweep(reference)
    for chain in drawn(data_file(f"fixtures/blockchain/{archive}.tar.xz"), *SAMPLES[archive]):
        sweep.chain(chain)
    assert sweep.found == []
    # The comparison happened: on as many blocks as this, and hardly any was beyond the reference.
    assert sweep.counts["equal"] >= SAMPLES[archive][0]
    assert sweep.counts["header equal"] >= SAMPLES[archive][0] // 2
    assert sweep.counts["reference unavailable"] <= sweep.counts["equal"] // 10
