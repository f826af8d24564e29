"""Writes recorded.json: what go-ethereum's tracers make of the scenarios and of the sample blocks.

``python -m tests.trace.record PROGRAM`` where PROGRAM is what ``go build`` makes of tests/trace/geth. Of the sample
blocks, and of what is long, only digests are kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import solder

from .scenarios import MINER, SCENARIOS, Scenario

if TYPE_CHECKING:
    from solder.trace import Trace

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded.json"
BLOCKS = HERE.parent.parent / "examples" / "blocks"
TRACERS: dict[str, tuple[str, dict[str, bool]]] = {
    "call": ("callTracer", {"withLog": True}),
    "top": ("callTracer", {"onlyTopCall": True}),
    "prestate": ("prestateTracer", {}),
    "bare": ("prestateTracer", {"disableCode": True, "disableStorage": True, "includeEmpty": True}),
    "diff": ("prestateTracer", {"diffMode": True}),
    "diff_bare": ("prestateTracer", {"diffMode": True, "disableCode": True, "disableStorage": True}),
    "4byte": ("4byteTracer", {}),
    "struct": ("struct", {}),
    "struct_all": ("struct", {"enableMemory": True, "enableReturnData": True}),
    "struct_bare": ("struct", {"disableStack": True, "disableStorage": True}),
}
"""geth's tracers and their settings, by our key."""
LIGHT = tuple(key for key in TRACERS if not key.startswith("struct"))
FORKS = {"EIP150": "TangerineWhistle", "EIP158": "SpuriousDragon"}
MAX_KEPT = 20_000
"""The most characters of a result that is kept as it is."""
GAS_PRICE, BASE_FEE = 10, 7
LONDON_ON = ("London", "Shanghai", "Cancun", "Prague")
MERGED = LONDON_ON[1:]
BLOCK = {"Number": 1, "Time": 1000, "Miner": MINER, "GasLimit": 30_000_000}


def ours(trace: Trace, key: str) -> Any:
    """What we give where geth was asked by ``key``."""
    name, settings = TRACERS[key]
    return trace.geth(None if name == "struct" else name, settings)


def state_of(scenario: Scenario) -> solder.State:
    """The state of a scenario, in its block."""
    block = {"number": 1, "timestamp": 1000, "beneficiary": MINER, "gas_limit": 30_000_000}
    if scenario.fork in LONDON_ON:
        block["base_fee_per_gas"] = BASE_FEE
    return solder.State.from_alloc(scenario.alloc, fork=FORKS.get(scenario.fork, scenario.fork), block=block)


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _of_scenario(name: str, scenario: Scenario) -> dict[str, Any]:
    made = {
        "To": scenario.to,
        "Data": scenario.data,
        "Value": hex(scenario.value),
        "Gas": scenario.gas,
        "GasPrice": GAS_PRICE,
        "Delegate": [{"Address": to, "Nonce": nonce} for to, nonce in scenario.authorizations],
    }
    case: dict[str, Any] = {"Name": name, "Fork": scenario.fork, "Alloc": scenario.alloc, "Make": made, **BLOCK}
    if scenario.fork in LONDON_ON:
        case["BaseFee"] = BASE_FEE
    if scenario.fork in MERGED:
        case["Random"] = _hex(bytes(32))
    if scenario.fork in {"Cancun", "Prague"}:
        case["ExcessBlobGas"] = 0
    return case | {"Tracers": _requests(TRACERS)}


def _requests(keys: Any) -> list[dict[str, Any]]:
    return [{"Key": key, "Tracer": TRACERS[key][0], "Config": TRACERS[key][1]} for key in keys]


def _of_block(path: Path, hashes: dict[int, str]) -> dict[str, Any]:
    block, state = solder.load_block(path)
    header = block.header
    alloc = {}
    for owner in state.accounts():
        account = state.account(owner)
        assert account is not None
        alloc[_hex(owner)] = {
            "balance": hex(account.balance),
            "nonce": hex(account.nonce),
            "code": _hex(account.code or b""),
            "storage": {f"0x{slot:064x}": f"0x{word:064x}" for slot, word in state.slots(owner).items()},
        }
    case: dict[str, Any] = {
        "Name": path.name,
        "Fork": "mainnet",
        "Number": header.number,
        "Time": header.timestamp,
        "Miner": _hex(header.beneficiary),
        "GasLimit": header.gas_limit,
        "Difficulty": hex(header.difficulty),
        "ParentHash": _hex(header.parent_hash),
        "Hashes": {str(number): value for number, value in hashes.items() if number < header.number},
        "Alloc": alloc,
        "Txs": [_hex(tx.encode()) for tx in block.transactions],
        "Tracers": _requests(LIGHT),
    }
    if header.difficulty == 0:
        case["Random"] = _hex(header.mix_hash)
    if header.base_fee_per_gas is not None:
        case["BaseFee"] = header.base_fee_per_gas
    if header.excess_blob_gas is not None:
        case["ExcessBlobGas"] = header.excess_blob_gas
    if header.parent_beacon_block_root is not None:
        case["BeaconRoot"] = _hex(header.parent_beacon_block_root)
    return case


def block_hashes(path: Path) -> dict[int, str]:
    """The hashes of ancestors that come with the sample blocks: a length, then numbers and hashes."""
    raw, at = path.read_bytes(), 0

    def varint() -> int:
        nonlocal at
        first = raw[at]
        size = {251: 2, 252: 4, 253: 8}.get(first, 0)
        value = int.from_bytes(raw[at + 1 : at + 1 + size], "little") if size else first
        at += 1 + size
        return value

    found = {}
    for _ in range(varint()):
        number, size = varint(), varint()
        found[number] = _hex(raw[at : at + size])
        at += size
    return found


def digest(value: Any) -> str:
    """A short name for a JSON value."""
    import hashlib

    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_kept(key: str, value: Any) -> bool:
    """Whether a result stands in the file as it is; of others there is a digest."""
    return key in LIGHT and len(json.dumps(value)) <= MAX_KEPT


def main(program: str) -> None:
    """Ask geth, and write the file."""
    hashes = block_hashes(BLOCKS / "block_hashes.bincode")
    blocks = sorted((path for path in BLOCKS.iterdir() if path.is_dir()), key=lambda path: int(path.name))
    cases = [_of_scenario(*item) for item in SCENARIOS.items()] + [_of_block(path, hashes) for path in blocks]
    text = "\n".join(json.dumps(case) for case in cases)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    scenarios: dict[str, Any] = {}
    digests: dict[str, list[dict[str, str]]] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if "failed" in line:
            raise SystemExit(f"{line['name']}: {line['failed']}")
        if "raw" in line:
            kept = {key: value if is_kept(key, value) else digest(value) for key, value in line["results"].items()}
            scenarios[line["name"]] = {"raw": line["raw"], **kept}
        else:
            row = {key: digest(value) for key, value in line["results"].items()}
            digests.setdefault(line["name"], []).append(row)
    lines = [f'"{name}":{json.dumps(scenarios[name], separators=(",", ":"))}' for name in sorted(scenarios)]
    rows = [f'"{name}":{json.dumps(found, separators=(",", ":"))}' for name, found in digests.items()]
    RECORDED.write_text(
        '{"geth":"go-ethereum v1.17.10",\n"scenarios":{\n'
        + ",\n".join(lines)
        + '\n},\n"blocks":{\n'
        + ",\n".join(rows)
        + "\n}}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1])
