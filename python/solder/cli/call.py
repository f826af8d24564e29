"""``solder call``: one call on a state, and what it gives."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from solder.cli.call_arguments import asked_of
from solder.cli.call_files import call_of, opened, pinned_and_fields
from solder.cli.status import CHECK_FAILED, OK
from solder.errors import InputError
from solder.simulate import CallResult, Reverted

EPILOG = """\b
Examples:
  solder call examples/blocks/19933122 --after 3 --to 0x1111111111111111111111111111111111111111 --json
  solder call alloc.json --to 0x1111111111111111111111111111111111111111 --value 5
  solder call state.solder --data 0x6001601ff3 --keep after.solder
  solder call genesis.json --to 0x1111111111111111111111111111111111111111 --estimate --json
  solder call --rpc http://localhost:8545 --block 19000000 --to 0x1111111111111111111111111111111111111111
  solder call state.solder --to 0x1111111111111111111111111111111111111111 --signature 'total(uint8)(uint256)' 3
  solder call state.solder --to 0x1111111111111111111111111111111111111111 --abi out/Token.sol/Token.json \\
      --signature transfer 0x2222222222222222222222222222222222222222 5 --json
  solder call alloc.json --abi out/Token.sol/Token.json --keep deployed.solder 1000 "A token"

\b
Arguments are typed as 5, 0xab.., true, text, [1, 2], (1, "a"); before one that begins with - write --.
"""


@click.command(epilog=EPILOG)
@click.argument("state", metavar="STATE", required=False)
@click.argument("arguments", nargs=-1)
@click.option("--abi", "interface", type=click.Path(path_type=Path), metavar="FILE", help="A contract's artefact.")
@click.option("--signature", metavar="FUNCTION", help="What is called: a name in --abi, or 'f(uint256)(bool)'.")
@click.option("--rpc", metavar="URL", help="Instead of STATE: a node, read by JSON-RPC.")
@click.option("--fork", metavar="NAME", help="With --rpc, for a chain whose id is not known: its fork.")
@click.option("--to", metavar="ADDRESS", help="Whom to call; without it a contract is created from --data.")
@click.option("--data", metavar="HEX", help="Call data, or init code.")
@click.option("--sender", metavar="ADDRESS", help="Who calls; anybody may.")
@click.option("--value", metavar="WEI", help="What is sent along.")
@click.option("--gas-limit", metavar="GAS", help="Default: the block's.")
@click.option("--gas-price", metavar="WEI", help="Default: 0, nobody pays.")
@click.option(
    "--block",
    "block",
    multiple=True,
    metavar="FIELD=VALUE|BLOCK",
    help="Replace a field of the block; with --rpc, a number, a hash or a name is the block. [latest]",
)
@click.option("--after", type=click.IntRange(0), metavar="K", help="Of a block folder: after its transaction K.")
@click.option("--estimate", is_flag=True, help="Give the gas limit that the call needs.")
@click.option("--access-list", is_flag=True, help="Give the access list that the call uses.")
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the state after.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def call(  # noqa: PLR0913 - one for each option
    *,
    state: str | None,
    arguments: tuple[str, ...],
    interface: Path | None,
    signature: str | None,
    rpc: str | None,
    fork: str | None,
    block: tuple[str, ...],
    after: int | None,
    estimate: bool,
    access_list: bool,
    keep: Path | None,
    as_json: bool,
    **fields: str | None,
) -> int:
    """Call a contract on a state, and throw away what that does.

    STATE is a block folder (the state before its first transaction), a file that State.save wrote, a genesis file, or
    accounts in JSON or TOML. A block folder knows only what its block touches: everything else is zero there.
    ARGUMENTS are those of the function that --signature names or, without --to, of the constructor in --abi.
    Exit status 1: the call failed.
    """
    if estimate + access_list + (keep is not None) > 1:
        raise InputError("only one of --estimate, --access-list and --keep", field="options")
    called = interface is not None or signature is not None
    if rpc is not None and state is not None and called:
        # A node stands for STATE: what comes first is an argument.
        arguments = (state, *arguments)
        state = None
    pinned, replaced = pinned_and_fields(block)
    there = opened(None if state is None else Path(state), rpc, pinned, fork)
    if after is not None:
        if state is None:
            raise InputError("of a block folder, not of a node", field="--after")
        there = type(there).at(state, after=after)
    there = there.with_block(replaced)
    given = call_of({name: value for name, value in fields.items() if value is not None})
    asked = asked_of(interface, signature, arguments, given.get("data"), creates="to" not in given)
    given |= {"data": asked.data, "abi": asked.abi}
    if estimate:
        try:
            gas = there.estimate_gas(**given)
        except Reverted as failed:
            click.echo(f"solder: {failed}", err=True)
            return CHECK_FAILED
        sys.stdout.write(json.dumps({"gas": gas}) + "\n" if as_json else f"{gas}\n")
        return OK
    if access_list:
        listed, result = there.access_list(**given)
        shown = [{"address": _hex(owner), "storageKeys": [_hex(slot) for slot in slots]} for owner, slots in listed]
        found = {"accessList": shown, "gasUsed": result.gas_used}
        sys.stdout.write(json.dumps(found, indent=None if as_json else 2) + "\n")
        return OK if result.ok else CHECK_FAILED
    result = there.call(**given) if keep is None else there.transact(**given)
    if keep is not None:
        result.state.save(keep)
    told = result_object(result) | asked.shown(result)
    sys.stdout.write(json.dumps(told) + "\n" if as_json else _table(told))
    return OK if result.ok else CHECK_FAILED


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def result_object(result: CallResult) -> dict[str, Any]:
    """A result as JSON has it."""
    return {
        "status": result.status,
        "gas_used": result.gas_used,
        "gas_refunded": result.gas_refunded,
        "output": _hex(result.output),
        "created": None if result.created is None else _hex(result.created),
        "error": result.error,
        "logs": [
            {"address": _hex(log.address), "topics": [_hex(topic) for topic in log.topics], "data": _hex(log.data)}
            for log in result.logs
        ],
    }


def _table(shown: dict[str, Any]) -> str:
    lines = [f"{'status':<13} {shown['status']}" + (f": {shown['error']}" if shown["error"] else "")]
    lines += [f"{name.replace('_', ' '):<13} {shown[name]:,}" for name in ("gas_used", "gas_refunded")]
    lines += [f"{name:<13} {shown[name]}" for name in ("output", "created") if shown[name] not in (None, "0x")]
    lines += [f"{'value':<13} {value}" for value in shown.get("value", [])]
    lines += [f"{'event':<13} {event}" for event in shown.get("events", [])]
    for log in shown["logs"]:
        lines.append(f"{'log':<13} {log['address']} {' '.join(log['topics'])} {log['data']}")
    return "\n".join(lines) + "\n"
