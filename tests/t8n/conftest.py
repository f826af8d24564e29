"""The reference as a fixture: absent where its package is not installed, except in CI, where that is an error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .reference import Reference


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    """The specification's tool, its forks loaded once."""
    if not os.environ.get("SOLDER_CI"):
        pytest.importorskip(
            "ethereum_spec_tools", reason="ethereum-execution is not installed (requirements/oracle.txt)"
        )
    from .reference import Reference

    tool = Reference()
    yield tool
    tool.close()
