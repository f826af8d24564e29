"""Blocks, their parts, the chains they belong to, and block folders on disk.

The classes are native values: bytes inside, hex only at the edge. Nothing here executes.
"""

from collections.abc import Iterator
from pathlib import Path

from solder._native import Block, BlockLoader, Chain, Header, Log, Receipt, Transaction
from solder.state import State

__all__ = ["Block", "Chain", "Header", "Log", "Receipt", "Transaction", "find_blocks", "load_block", "load_blocks"]


def load_block(path: str | Path) -> tuple[Block, State]:
    """Read a block and the state before it.

    ``path`` is a block folder (``block.json``, ``pre_state.json``; ``codes.bin`` and ``block_hashes.bincode`` in it
    or in its parent) or an id that ``find_blocks`` gave. Raises ``InputError`` with the file and the field.
    """
    block, state = BlockLoader().load(str(path))
    return block, State(state)


def load_blocks(*paths: str | Path) -> Iterator[tuple[Block, State]]:
    """Read many blocks one by one; what they share (codes, an archive) is read once. See ``find_blocks``."""
    loader = BlockLoader()
    for name in [name for path in paths for name in loader.find(str(path))]:
        block, state = loader.load(name)
        yield block, State(state)


def find_blocks(path: str | Path) -> list[str]:
    """The blocks under ``path`` by ascending number, as ids for ``load_block``.

    ``path`` is a block folder, a folder of such, or an archive (``.tar.xz``) of that; an id is ``ARCHIVE::FOLDER``
    for a block inside an archive. Raises ``InputError`` where there is none.
    """
    return BlockLoader().find(str(path))
