"""``solder simulate``: many independent calls on one state."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import click

from solder.cli.call_files import calls_of, opened
from solder.cli.progress import Progress
from solder.cli.status import CHECK_FAILED, OK
from solder.config import MAX_WORKERS
from solder.errors import InputError
from solder.simulate import Results

EPILOG = """\b
Examples:
  solder simulate alloc.json calls.json
  solder simulate examples/blocks/19933122 calls.toml --workers 2 --logs --json | jq .gas_used
  solder simulate state.solder calls.jsonl --diffs --json
  solder simulate --rpc http://localhost:8545 --block latest calls.json --json

\b
A file of calls is a JSON list, JSON lines, or TOML with [[calls]]; a call has to, data, sender, value, gas_limit,
gas_price, access_list:
  [{"to": "0x1111111111111111111111111111111111111111", "data": "0x18160ddd"}]
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="[STATE] CALLS")
@click.option("--rpc", metavar="URL", help="Instead of STATE: a node, read by JSON-RPC.")
@click.option("--block", "pinned", metavar="BLOCK", help="With --rpc: a number, a hash or a name. [latest]")
@click.option("--fork", metavar="NAME", help="With --rpc, for a chain whose id is not known: its fork.")
@click.option("--workers", type=click.IntRange(0, MAX_WORKERS), default=0, help="Threads (0: one on each CPU).")
@click.option("--logs", is_flag=True, help="With --json: the logs of each call.")
@click.option("--diffs", is_flag=True, help="With --json: what each call would have changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per call on standard output.")
def simulate(  # noqa: PLR0913 - one for each option
    *,
    files: tuple[Path, ...],
    rpc: str | None,
    pinned: str | None,
    fork: str | None,
    workers: int,
    logs: bool,
    diffs: bool,
    as_json: bool,
) -> int:
    """Run every call of a file on a state, each by itself, and print results in the order of the calls.

    STATE is what `solder call` takes. Exit status 1: a call failed.
    """
    *states, calls = files
    if len(states) > 1:
        raise InputError(f"{len(files)} files instead of STATE and CALLS", field="arguments")
    there, batch = opened(states[0] if states else None, rpc, pinned, fork), calls_of(calls)
    start = time.perf_counter()
    with Progress("simulate", "calls") as shown:
        results = there.simulate(
            batch,
            workers=workers,
            logs=logs,
            diffs=diffs,
            progress=lambda done, total: shown.update(done, total, ""),
        )
    seconds = time.perf_counter() - start
    if as_json:
        _print_objects(results)
    else:
        counts = Counter(results.status_names())
        gas = sum(results.gas_used.to_list())
        sys.stdout.write("".join(f"{name:<10} {count:>10,}\n" for name, count in counts.items()))
        sys.stdout.write(f"{'gas':<10} {gas:>10,}\n{'seconds':<10} {seconds:>10.3f}\n")
        for index, error in enumerate(results.errors.to_list()):
            if error is not None:
                click.echo(f"call {index}: {error}", err=True)
    return OK if results.ok else CHECK_FAILED


def _print_objects(results: Results) -> None:
    names = results.status_names()
    columns = (results.gas_used, results.gas_refunded, results.output, results.created, results.errors)
    logs = _by_call(results.logs, ("address", "topic0", "topic1", "topic2", "topic3", "data"))
    diffs = _by_call(results.diffs, ("address", "field", "slot", "before", "after"))
    for index, (gas, refunded, output, created, error) in enumerate(
        zip(*(column.to_list() for column in columns), strict=True)
    ):
        row: dict[str, object] = {
            "status": names[index],
            "gas_used": gas,
            "gas_refunded": refunded,
            "output": _shown(output),
            "created": _shown(created),
            "error": error,
        }
        if logs is not None:
            row["logs"] = logs.get(index, [])
        if diffs is not None:
            row["diffs"] = diffs.get(index, [])
        sys.stdout.write(json.dumps(row) + "\n")


def _shown(value: object) -> object:
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _by_call(table: object, names: tuple[str, ...]) -> dict[int, list[dict[str, object]]] | None:
    from solder.simulate import Table

    if not isinstance(table, Table):
        return None
    grouped: dict[int, list[dict[str, object]]] = {}
    columns = [table.column(name).to_list() for name in ("call", *names)]
    for call, *values in zip(*columns, strict=True):
        row = {name: _shown(value) for name, value in zip(names, values, strict=True) if value is not None}
        grouped.setdefault(call, []).append(row)
    return grouped
