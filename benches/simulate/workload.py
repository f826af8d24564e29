"""The calls that are measured: transfers of ether and of an ERC-20 token, the same for every engine."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import solder

COUNT = 5000
ETHER = 10**18
TOKEN = b"\x70" * 20
GAS_LIMIT = 60_000
_TRANSFER = bytes.fromhex("a9059cbb")
_BALANCES_SLOT = 1
_ERC20 = "cuevm_erc20_transfer.hex"


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls as lists, one entry each, and the state that they run on."""

    name: str
    accounts: dict[bytes, dict[str, object]]
    state: solder.State
    senders: list[bytes]
    to: list[bytes]
    data: list[bytes]
    values: list[int]

    def calls(self) -> solder.Calls:
        """The calls as columns; a column that is one value is given as one."""
        one = len(set(self.senders)) == 1
        return solder.Calls(
            self.to[0] if len(set(self.to)) == 1 else self.to,
            self.data if any(self.data) else b"",
            sender=self.senders[0] if one else self.senders,
            value=self.values if any(self.values) else 0,
            gas_limit=GAS_LIMIT,
        )


def holder(number: int) -> bytes:
    """An address for each number."""
    return b"\x01" * 12 + number.to_bytes(8, "big")


def keccak(raw: bytes) -> bytes:
    """keccak256, as the hash of code: no other package is needed for it."""
    account = solder.State({TOKEN: {"code": raw}}).account(TOKEN)
    if account is None:
        raise RuntimeError("an account that was put in is not there")
    return account.code_hash


def all_of(data: Path) -> list[Workload]:
    """Every workload for which the data is there."""
    holders = [holder(number) for number in range(2 * COUNT)]
    ether: dict[bytes, dict[str, object]] = {owner: {"balance": ETHER} for owner in holders}
    state = solder.State(ether, fork="Cancun")
    found = [
        Workload("native", ether, state, holders[:COUNT], holders[COUNT:], [b""] * COUNT, [1] * COUNT),
    ]
    archive = data / "bytecodes" / "bytecodes.tar.xz"
    if not archive.exists():
        return found
    slots = {
        int.from_bytes(keccak(owner.rjust(32, b"\0") + _BALANCES_SLOT.to_bytes(32, "big")), "big"): 10**12
        for owner in holders
    }
    accounts = ether | {TOKEN: {"code": _code(archive), "nonce": 1, "storage": slots}}
    state = solder.State(accounts, fork="Cancun")
    data_of = [
        _TRANSFER + to.rjust(32, b"\0") + (1 + number % 1000).to_bytes(32, "big")
        for number, to in enumerate(holders[COUNT:])
    ]
    token, nothing = [TOKEN] * COUNT, [0] * COUNT
    found.append(Workload("erc20", accounts, state, holders[:1] * COUNT, token, data_of, nothing))
    found.append(Workload("erc20_scattered", accounts, state, holders[:COUNT], token, data_of, nothing))
    return found


def _code(archive: Path) -> bytes:
    with tarfile.open(archive) as files:
        member = next(member for member in files.getmembers() if member.name.endswith(_ERC20))
        content = files.extractfile(member)
        if content is None:
            raise RuntimeError(f"{member.name} is no file")
        return bytes.fromhex(content.read().decode().strip())
