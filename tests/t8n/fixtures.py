"""Blockchain fixtures from the data folder: each file of an archive, or of a folder where it lies unpacked."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each JSON file under a folder or in a .tar.xz archive, or of the file itself."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield str(file.relative_to(path)), file.read_bytes()
    elif path.suffix == ".json":
        yield path.name, path.read_bytes()
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".json") else None
                if content is not None:
                    yield member.name, content.read()


def cases(content: bytes) -> dict[str, dict[str, Any]]:
    """The blockchain cases of a file (engine-format ones are left out)."""
    found = json.loads(content)
    return {name: case for name, case in found.items() if "genesisBlockHeader" in case}
