"""``solder profile``: where gas and time go, structured work against glue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from solder.cli.progress import Progress
from solder.cli.status import CHECK_FAILED, OK
from solder.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solder.profile.meter import Profile

EPILOG = """\b
Examples:
  solder profile examples/ens/contenthash.json
  solder profile examples/blocks/19933122 --json | jq .structured
  solder profile examples/blocks --html profile.html --speedscope profile.json
  solder profile examples/blocks/19933122 --transactions --json
  solder profile --model model.safetensors

--speedscope writes a file for https://www.speedscope.app, with a flame graph of gas and one of time.
"""

CASE_SUFFIX = ".json"


class _OfModel(TypedDict):
    """How a model is run, as ``profile_model`` takes it."""

    batch: int
    sequence: int | None
    threads: int
    kernel: str | None


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000_000),
    default=9,
    show_default=True,
    help="Rounds of calibrating and of profiling; of each transaction the fastest count.",
)
@click.option("--transactions", is_flag=True, help="A bill for each transaction of a block too.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write one page.")
@click.option("--speedscope", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Flame graphs.")
@click.option(
    "--abi",
    "abis",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A JSON ABI whose functions are named.",
)
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="M", help="Profile an AI model (.onnx, .safetensors)."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Rows (--model).")
@click.option("--sequence", type=click.IntRange(min=1), metavar="N", help="Positions of a sequence (--model).")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="(--model)")
@click.option("--kernel", metavar="NAME", help="The kernels to use, the best if not given (--model).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per transaction file or block.")
def profile(  # noqa: PLR0913 - each is an option
    *,
    paths: tuple[Path, ...],
    repeat: int,
    transactions: bool,
    html: Path | None,
    speedscope: Path | None,
    abis: tuple[Path, ...],
    model: Path | None,
    as_json: bool,
    **of_model: Unpack[_OfModel],
) -> int:
    """Say where gas and time go: structured work (storage, hashes, logs, ...) against glue.

    PATH is a state-and-transaction file (JSON with env, pre and tx) or what `solder replay` takes: a block folder, a
    folder of such, or an archive. Several are added up.
    """
    if model is not None:
        if paths:
            raise click.UsageError("--model stands alone: give no PATH beside it")
        return _profile_model(model, repeat, of_model, html=html, as_json=as_json)
    if not paths:
        raise click.UsageError("a PATH or --model is missing")
    for name, file in (("--html", html), ("--speedscope", speedscope)):
        if file is not None and not file.absolute().parent.is_dir():
            raise InputError("no such folder", path=str(file.absolute().parent), field=name)
    names = _names(abis)
    found: list[Profile] = []
    trees = html is not None or speedscope is not None
    for one in _profiled(paths, repeat, by_transaction=transactions, tree=trees):
        found.append(one)
        if as_json:
            sys.stdout.write(json.dumps(one.to_dict()) + "\n")
            sys.stdout.flush()
    if not as_json:
        _print(found, names, by_transaction=transactions)
    _write(found, names, html=html, speedscope=speedscope)
    wrong = [one for one in found if one.gas_used_ok is False]
    for one in wrong:
        click.echo(f"{one.name}: gas_used differs from the header", err=True)
    return CHECK_FAILED if wrong else OK


def _profiled(paths: tuple[Path, ...], repeat: int, *, by_transaction: bool, tree: bool) -> Iterator[Profile]:
    from solder._native import BlockLoader
    from solder.profile.meter import profile_block, profile_case

    loader = BlockLoader()
    names = [
        (path.suffix == CASE_SUFFIX and path.is_file(), name)
        for path in paths
        for name in ([str(path)] if path.suffix == CASE_SUFFIX and path.is_file() else loader.find(str(path)))
    ]
    with Progress("profile", "blocks") as progress:
        for done, (is_case, name) in enumerate(names):
            progress.update(done, len(names), name.rpartition("/")[2])
            if is_case:
                yield profile_case(name, repeat=repeat, tree=tree)
            else:
                block, state = loader.load(name)
                yield profile_block(block, state, repeat=repeat, by_transaction=by_transaction, tree=tree)


def _print(found: list[Profile], names: dict[str, str], *, by_transaction: bool) -> None:
    from solder.profile.bill import sum_of
    from solder.profile.table import shares_table, table

    if len(found) == 1:
        click.echo(table(found[0], names=names), nl=False)
        if by_transaction and found[0].block is not None:
            click.echo("\n" + shares_table(found[0].by_transaction), nl=False)
        return
    forks = list(dict.fromkeys(one.fork for one in found))
    eras = [sum_of((one for one in found if one.fork == fork), fork) for fork in forks]
    whole = sum_of(found, f"{len(found)} in all")
    click.echo(shares_table(found) + "\n" + shares_table([*eras, whole]) + "\n" + table(whole, names=names), nl=False)


def _write(found: list[Profile], names: dict[str, str], *, html: Path | None, speedscope: Path | None) -> None:
    if html is not None:
        from solder.profile.page import page

        _save(html, page(found, names))
    if speedscope is not None:
        from solder.profile.speedscope import speedscope as content

        _save(speedscope, json.dumps(content(found, names)))


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(error.strerror or str(error), path=str(path)) from None


def _names(abis: tuple[Path, ...]) -> dict[str, str]:
    from solder.profile.signatures import selector_names

    names: dict[str, str] = {}
    for path in abis:
        try:
            abi = json.loads(path.read_bytes())
        except OSError as error:
            raise InputError(error.strerror or str(error), path=str(path), field="--abi") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}", path=str(path), field="--abi") from None
        try:
            names |= selector_names(abi)
        except (KeyError, TypeError, AttributeError):
            raise InputError("not a JSON ABI", path=str(path), field="--abi") from None
    return names


def _profile_model(model: Path, repeat: int, of_model: _OfModel, *, html: Path | None, as_json: bool) -> int:
    from solder.coprocessors.ai.profile import profile_model
    from solder.coprocessors.ai.profile_page import page

    found = profile_model(model, repeats=repeat, **of_model)
    if as_json:
        sys.stdout.write(json.dumps(found.to_json()) + "\n")
    else:
        click.echo(found.table())
    if html is not None:
        _save(html, page(found))
    return OK
