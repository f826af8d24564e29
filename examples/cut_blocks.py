"""Cuts the sample blocks out of the data folder: chosen blocks, with only the contract code that they touch.

    python examples/cut_blocks.py            (SOLDER_DATA names the data folder; needs pycryptodome)

It writes examples/blocks: ``<number>/block.json`` and ``<number>/pre_state.json`` as they are, ``codes.bin`` with the
codes that the accounts of those blocks name, in the order of their hashes, and ``block_hashes.bincode`` as it is.
"""

import json
import os
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from Crypto.Hash import keccak

BLOCKS = (46147, 1150000, 4370000, 15537393, 15537394, 19933122)
MAX_BYTES = 2 * 1024 * 1024
HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SOLDER_DATA", HERE.parent.parent / "shared" / "data"))


def files() -> dict[str, bytes]:
    """The files that are needed, by their path below the folder of blocks."""
    wanted = {"codes.bin", "block_hashes.bincode"}
    wanted |= {f"{number}/{name}" for number in BLOCKS for name in ("block.json", "pre_state.json")}
    found: dict[str, bytes] = {}
    with tarfile.open(DATA / "mainnet" / "blocks.tar.xz") as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            if name in wanted and (stream := archive.extractfile(member)):
                found[name] = stream.read()
    if missing := wanted - found.keys():
        raise SystemExit(f"{DATA}/mainnet/blocks.tar.xz lacks {', '.join(sorted(missing))}")
    return found


def codes(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Hash and bytes of each code: a 32-bit little-endian length stands before each."""
    offset = 0
    while offset < len(packed):
        (length,) = struct.unpack_from("<I", packed, offset)
        code = packed[offset + 4 : offset + 4 + length]
        yield "0x" + keccak.new(digest_bits=256, data=code).hexdigest(), code
        offset += 4 + length


def main() -> int:
    """Write the sample blocks and say how large they are."""
    found = files()
    states = [json.loads(found[f"{number}/pre_state.json"]) for number in BLOCKS]
    touched = {account["code_hash"] for state in states for account in state.values() if "code_hash" in account}
    kept = {name: code for name, code in codes(found["codes.bin"]) if name in touched}
    if touched - kept.keys():
        raise SystemExit(f"codes.bin lacks {len(touched - kept.keys())} codes")
    found["codes.bin"] = b"".join(struct.pack("<I", len(code)) + code for _, code in sorted(kept.items()))
    size = sum(map(len, found.values()))
    if size > MAX_BYTES:
        raise SystemExit(f"{size} bytes, more than {MAX_BYTES}")
    for name, content in found.items():
        path = HERE / "blocks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{len(BLOCKS)} blocks, {len(kept)} codes, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
