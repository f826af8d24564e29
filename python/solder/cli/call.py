"""``solder call``: one call on a state, and what it gives."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from solder.cli.call_files import block_of, call_of, state_of
from solder.cli.status import CHECK_FAILED, OK
from solder.errors import InputError
from solder.simulate import CallResult, Reverted

EPILOG = """\b
Examples:
  solder call examples/blocks/19933122 --after 3 --to 0x1111111111111111111111111111111111111111 --json
  solder call alloc.json --to 0x1111111111111111111111111111111111111111 --value 5
  solder call state.solder --data 0x6001601ff3 --keep after.solder
  solder call genesis.json --to 0x1111111111111111111111111111111111111111 --estimate --json
"""


@click.command(epilog=EPILOG)
@click.argument("state", type=click.Path(path_type=Path))
@click.option("--to", metavar="ADDRESS", help="Whom to call; without it a contract is created from --data.")
@click.option("--data", metavar="HEX", help="Call data, or init code.")
@click.option("--sender", metavar="ADDRESS", help="Who calls; anybody may.")
@click.option("--value", metavar="WEI", help="What is sent along.")
@click.option("--gas-limit", metavar="GAS", help="Default: the block's.")
@click.option("--gas-price", metavar="WEI", help="Default: 0, nobody pays.")
@click.option("--block", "block", multiple=True, metavar="FIELD=VALUE", help="Replace a field of the block.")
@click.option("--after", type=click.IntRange(0), metavar="K", help="Of a block folder: after its transaction K.")
@click.option("--estimate", is_flag=True, help="Give the gas limit that the call needs.")
@click.option("--access-list", is_flag=True, help="Give the access list that the call uses.")
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the state after.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def call(
    *,
    state: Path,
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
    Exit status 1: the call failed.
    """
    if estimate + access_list + (keep is not None) > 1:
        raise InputError("only one of --estimate, --access-list and --keep", field="options")
    there = state_of(state) if after is None else type(state_of(state)).at(state, after=after)
    there = there.with_block(block_of(dict(_pair(text) for text in block)))
    arguments = call_of({name: value for name, value in fields.items() if value is not None})
    if estimate:
        try:
            gas = there.estimate_gas(**arguments)
        except Reverted as failed:
            click.echo(f"solder: {failed}", err=True)
            return CHECK_FAILED
        sys.stdout.write(json.dumps({"gas": gas}) + "\n" if as_json else f"{gas}\n")
        return OK
    if access_list:
        listed, result = there.access_list(**arguments)
        shown = [{"address": _hex(owner), "storageKeys": [_hex(slot) for slot in slots]} for owner, slots in listed]
        found = {"accessList": shown, "gasUsed": result.gas_used}
        sys.stdout.write(json.dumps(found, indent=None if as_json else 2) + "\n")
        return OK if result.ok else CHECK_FAILED
    result = there.call(**arguments) if keep is None else there.transact(**arguments)
    if keep is not None:
        result.state.save(keep)
    sys.stdout.write(json.dumps(result_object(result)) + "\n" if as_json else _table(result))
    return OK if result.ok else CHECK_FAILED


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise InputError(f"{text!r} is not FIELD=VALUE", field="--block")
    return name, value


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


def _table(result: CallResult) -> str:
    shown = result_object(result)
    lines = [f"{'status':<13} {shown['status']}" + (f": {shown['error']}" if shown["error"] else "")]
    lines += [f"{name.replace('_', ' '):<13} {shown[name]:,}" for name in ("gas_used", "gas_refunded")]
    lines += [f"{name:<13} {shown[name]}" for name in ("output", "created") if shown[name] not in (None, "0x")]
    for log in shown["logs"]:
        lines.append(f"{'log':<13} {log['address']} {' '.join(log['topics'])} {log['data']}")
    return "\n".join(lines) + "\n"
