"""pyrevm, used as well as it can be: one machine with the state in it, ``message_call`` in a loop."""

from importlib.metadata import version

import pyrevm
import workload

VERSION = f"pyrevm {version('pyrevm')}"


Prepared = tuple[pyrevm.EVM, list[tuple[str, str, bytes, int]]]
"""A machine, and the arguments of each call."""


def prepare(work: workload.Workload) -> Prepared:
    """A machine with the state of a workload, and the calls as pyrevm takes them."""
    evm = pyrevm.EVM(spec_id="CANCUN", gas_limit=30_000_000)
    for owner, fields in work.accounts.items():
        name = "0x" + owner.hex()
        evm.insert_account_info(
            name,
            pyrevm.AccountInfo(balance=fields.get("balance", 0), nonce=fields.get("nonce", 0), code=fields.get("code")),
        )
        for slot, value in fields.get("storage", {}).items():
            evm.insert_account_storage(name, slot, value)
    names = {owner: "0x" + owner.hex() for owner in {*work.senders, *work.to}}
    calls = zip(work.senders, work.to, work.data, work.values, strict=True)
    return evm, [(names[sender], names[to], data, value) for sender, to, data, value in calls]


def run(prepared: Prepared) -> bytes:
    """Run every call; what the last one returned.

    Its gas is no measure: what one message_call has accessed is warm in the next.
    """
    evm, calls = prepared
    call = evm.message_call
    output = b""
    for arguments in calls:
        output = call(*arguments)
    return output
