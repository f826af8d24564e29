"""``solder trace``: what a transaction did, in the formats of geth's tracers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from solder.cli.status import CHECK_FAILED, OK
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solder.trace import SourceMap, Trace

EPILOG = """\b
Examples:
  solder trace examples/blocks/19933122 --transaction 7
  solder trace examples/blocks/19933122 --transaction 7 --tracer call --logs --json
  solder trace examples/blocks/19933122 --tracer diff --json | jq -r '.result.post | keys[]'
  solder trace examples/ens/contenthash.json --tracer struct --memory --json | head
  solder trace alloc.json --to 0x1111111111111111111111111111111111111111 --data 0xd0e30db0 --value 5

Tracers: tree (text), call (geth's callTracer), prestate and diff (prestateTracer, diff with diffMode), 4byte
(4byteTracer), struct (an entry of structLogs a line), eip3155 (a line a step).
"""

TRACERS = ("tree", "call", "prestate", "diff", "4byte", "struct", "eip3155")
STEPS = ("struct", "eip3155")
_GETH = {
    "call": ("callTracer", {}),
    "prestate": ("prestateTracer", {}),
    "diff": ("prestateTracer", {"diffMode": True}),
    "4byte": ("4byteTracer", {}),
}


@click.command(epilog=EPILOG)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--transaction", type=click.IntRange(min=0), metavar="N", help="Of a block: which one. [all]")
@click.option("--tracer", type=click.Choice(TRACERS), help="[tree; call with --json]")
@click.option("--to", metavar="ADDRESS", help="Of a state: whom to call.")
@click.option("--data", metavar="HEX", help="Of a state: call data, or init code without --to.")
@click.option("--sender", metavar="ADDRESS", help="Of a state: who calls; anybody may.")
@click.option("--value", metavar="WEI", help="Of a state: what is sent along.")
@click.option("--abi", "abis", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="Names (tree).")
@click.option(
    "--sources",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A compiler's JSON with source maps: failed frames say their line (tree).",
)
@click.option("--logs", is_flag=True, help="With logs (tree, call).")
@click.option("--only-top-call", is_flag=True, help="Without the calls inside (call).")
@click.option("--memory", is_flag=True, help="With the memory before each step (struct, eip3155).")
@click.option("--no-stack", is_flag=True, help="Without the stack (struct, eip3155).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on a line, for each transaction or step.")
def trace(  # noqa: PLR0913 - each is an option
    *,
    path: Path,
    transaction: int | None,
    tracer: str | None,
    abis: tuple[Path, ...],
    sources: tuple[Path, ...],
    logs: bool,
    only_top_call: bool,
    memory: bool,
    no_stack: bool,
    as_json: bool,
    **call: str | None,
) -> int:
    """Trace the transactions of a block, or a call on a state.

    PATH is a block folder, a state-and-transaction file (JSON with env, pre and tx), or what `solder call` takes, with
    --to or --data. Exit status 1: the one transaction or call that was traced failed.
    """
    tracer = tracer or ("call" if as_json else "tree")
    if tracer == "tree" and as_json:
        raise click.UsageError("a tree is text: leave out --json, or take --tracer call")
    settings: dict[str, bool] = {}
    if tracer == "call":
        settings = {"withLog": logs, "onlyTopCall": only_top_call}
    elif tracer in STEPS:
        settings = {"memory": memory, "stack": not no_stack}
    maps = _source_maps(sources)
    done, failed = 0, False
    for one in _traces(path, transaction, call):
        done += 1
        if tracer == "tree":
            head = "" if one.index is None else f"transaction {one.index}: "
            click.echo(head + one.tree(abis=abis, sources=maps, logs=logs), nl=False)
        else:
            for line in _lines(one, tracer, settings, alone=transaction is not None or one.index is None):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        failed = not one.result.ok
    return CHECK_FAILED if done == 1 and failed else OK


def _lines(one: Trace, tracer: str, settings: dict[str, bool], *, alone: bool) -> Iterator[str]:
    if tracer in STEPS:
        for line in one.step_lines(tracer, **settings):
            yield line if alone else f'{{"transaction":{one.index},"step":{line}}}'
        return
    name, preset = _GETH[tracer]
    text = one.json(name, preset | settings)
    yield text if alone else f'{{"transaction":{one.index},"result":{text}}}'


def _source_maps(paths: Sequence[Path]) -> list[SourceMap]:
    from solder.trace import read_sources

    return [found for path in paths for found in read_sources(path)]


def _traces(path: Path, transaction: int | None, call: dict[str, str | None]) -> Iterator[Trace]:
    from solder.trace import trace_block, trace_transaction

    fields = {name: value for name, value in call.items() if value is not None}
    if fields or path.is_file():
        if transaction is not None:
            raise InputError("only a block has several transactions", str(path), "--transaction")
        yield _of_state(path, fields)
        return
    from solder._native import BlockLoader

    loader = BlockLoader()
    found = loader.find(str(path))
    if len(found) != 1:
        raise InputError(f"{len(found)} blocks, and one is traced", path=str(path))
    block, state = loader.load(found[0])
    if transaction is None:
        yield from trace_block(block, state)
    else:
        yield trace_transaction(block, state, transaction)


def _of_state(path: Path, fields: dict[str, str]) -> Trace:
    from solder.cli.call_files import call_of, state_of
    from solder.state.files import read_json
    from solder.trace import trace_call, trace_case

    if fields:
        return trace_call(state_of(path), call_of(fields))
    if path.suffix != ".json" or "tx" not in read_json(path):
        raise InputError("a state needs --to or --data: whom to call, or what to create", str(path))
    return trace_case(path)
