"""``solder model``: import, look at, run and check integer graphs. It parses and prints; others do the work."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from solder.cli.progress import Progress
from solder.cli.status import CHECK_FAILED, OK
from solder.errors import InputError

if TYPE_CHECKING:
    from solder._native import Artefact

KERNELS = ("reference", "scalar", "sse41", "avx2", "avxvnni", "avx512", "avx512vnni")
EVIDENCE = ("reexecution", "freivalds")
MAX_ROUNDS = 64
ARTEFACT = click.Path(path_type=Path, exists=True, dir_okay=False)
MAX_LISTED = 10_000
MAX_LIMIT = 65_536

EPILOG = """\b
Examples:
  solder model import classifier.onnx --calibrate rows.npz -o classifier.safetensors
  solder model inspect classifier.safetensors
  solder model run classifier.safetensors --input rows.npz --output answers.npz
  solder model verify classifier.safetensors --input rows.npz --claimed answers.npz
"""

IMPORT_EPILOG = """\b
Examples:
  solder model import digits.onnx --calibrate pixels.npz -o digits.safetensors
  solder model import minilm/ --calibrate tokens.npz --sequence-limit 128 -o minilm.safetensors --json
  solder model import booster.json -o booster.safetensors

\b
SOURCE is an ONNX file, a model of XGBoost (JSON) or LightGBM (text), or a folder of a BERT-like encoder
(model.safetensors, config.json). The .npz holds an array for each of the model's inputs, by name; an array
called "labels" gives the true classes and is used for the accuracy only.
"""

INSPECT_EPILOG = """\b
Examples:
  solder model inspect minilm.safetensors --sequence 64
  solder model inspect digits.safetensors --json
  solder model inspect digits.safetensors --svg digits.svg
"""

RUN_EPILOG = """\b
Examples:
  solder model run digits.safetensors --input pixels.npz --output answers.npz
  solder model run digits.safetensors --input pixels.npz --output answers.npz --kernel reference
  solder model run minilm.safetensors --input tokens.npz --output vectors.npz --threads 2 --reals

\b
Floats in the .npz are coded as the input's coding says; integers are taken as codes. Outputs are the graph's
integers, with --reals what they stand for. More rows than the batch limit are run in pieces.
"""

VERIFY_EPILOG = """\b
Examples:
  solder model verify digits.safetensors --input pixels.npz
  solder model verify digits.safetensors --input pixels.npz --claimed answers.npz
  solder model verify minilm.safetensors --input tokens.npz --kernel avx2 --json
  solder model verify minilm.safetensors --input tokens.npz --evidence freivalds --rounds 2

\b
reexecution: the plain reference runs again; nothing is left to chance. freivalds: the fastest kernel makes the sums
of all dense layers, a random vector checks each of them, and the reference computes only what lies between; a
wrong sum passes a round with probability at most 1 / (2^31 - 1).
"""

LIST_EPILOG = """\b
Examples:
  solder model list target/models
  solder model list . --json
"""


@click.group(epilog=EPILOG)
def model() -> None:
    """Models as integer graphs, the same bits on every machine."""


@model.command("import", epilog=IMPORT_EPILOG)
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The artefact.")
@click.option("--calibrate", type=ARTEFACT, metavar="NPZ", help="Data that look like what the model will be given.")
@click.option(
    "--activations",
    type=click.Choice(["auto", "static", "rows"]),
    default="auto",
    show_default=True,
    help="One calibrated scale for each value, or one that the graph finds for each row.",
)
@click.option("--batch-limit", type=click.IntRange(1, MAX_LIMIT), default=64, show_default=True, metavar="N")
@click.option("--sequence-limit", type=click.IntRange(1, MAX_LIMIT), metavar="N", help="Longest sequence.")
@click.option("--title", default="", metavar="TEXT", help="What the artefact calls itself; the file's name without.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object on standard output.")
def import_command(  # noqa: PLR0913
    *,
    source: Path,
    output: Path,
    calibrate: Path | None,
    activations: str,
    batch_limit: int,
    sequence_limit: int | None,
    title: str,
    as_json: bool,
) -> int:
    """Turn a float model into an integer artefact, and report how close the two are, layer by layer."""
    from solder.cli.model_arrays import read_arrays, replace_file
    from solder.cli.model_report import report_lines
    from solder.coprocessors.ai.importing import Settings, import_model

    data = None if calibrate is None else read_arrays(calibrate)
    labels = None if data is None else data.pop("labels", None)
    settings = Settings(activations, batch_limit, sequence_limit, title)
    try:
        with Progress("import", "steps") as bar:

            def told(note: str, done: int, total: int) -> None:
                bar.update(done, total, note)

            imported = import_model(source, data, labels=labels, settings=settings, progress=told)
    except InputError as error:
        if error.path == "calibration data" and calibrate is not None:
            raise InputError(error.detail, str(calibrate), error.field) from None
        raise
    replace_file(output, imported.artefact)
    if as_json:
        sys.stdout.write(json.dumps(imported.report.as_json()) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in report_lines(imported.report))
    click.echo(f"{output}: {len(imported.artefact):,} bytes, {imported.identity}", err=True)
    return OK


@model.command(epilog=INSPECT_EPILOG)
@click.argument("artefact", type=ARTEFACT)
@click.option("--batch", type=click.IntRange(1, MAX_LIMIT), default=1, show_default=True, metavar="N")
@click.option("--sequence", type=click.IntRange(1, MAX_LIMIT), metavar="N", help="Of the cost; the longest without.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--svg", is_flag=False, flag_value="-", metavar="[PATH]", help="A picture; without PATH on standard output."
)
def inspect(*, artefact: Path, batch: int, sequence: int | None, as_json: bool, svg: str | None) -> int:
    """Say what an artefact is: identity, inputs and outputs, and what each layer costs."""
    from solder.cli.model_arrays import replace_file
    from solder.cli.model_report import inspect_lines, inspection

    if as_json and svg is not None:
        raise click.UsageError("--json and --svg exclude each other")
    loaded = _load(artefact, None)
    if svg is not None:
        from solder.coprocessors.ai.picture import draw

        text = draw(loaded, batch=batch, sequence=sequence)
        if svg == "-":
            sys.stdout.write(text)
        else:
            replace_file(Path(svg), text.encode())
            click.echo(f"{svg}: {len(text):,} bytes", err=True)
        return OK
    told = inspection(loaded, batch, sequence)
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in inspect_lines(told))
    return OK


@model.command("list", epilog=LIST_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each artefact, one a line.")
def list_command(*, folder: Path, as_json: bool) -> int:
    """List the artefacts below a folder (*.safetensors); weights of other programs are left out."""
    from solder.cli.model_report import list_lines

    found: list[dict[str, object]] = []
    for number, path in enumerate(sorted(folder.rglob("*.safetensors"))):
        if number >= MAX_LISTED:
            raise InputError(f"more than {MAX_LISTED:,} files", str(folder))
        try:
            loaded = _load(path, None)
        except InputError as error:
            if _is_foreign(path):
                continue
            found.append({"path": str(path), "error": error.detail})
            continue
        found.append(
            {
                "path": str(path),
                "hash": loaded.identity.hex(),
                "title": json.loads(loaded.graph)["title"],
                "parameters": loaded.parameters,
                "macs": loaded.cost()["macs"],
                "bytes": loaded.file_bytes,
            }
        )
    if as_json:
        sys.stdout.writelines(json.dumps(entry) + "\n" for entry in found)
    else:
        sys.stdout.writelines(line + "\n" for line in list_lines(found))
    return CHECK_FAILED if any("error" in entry for entry in found) else OK


def _is_foreign(path: Path) -> bool:
    """Whether a safetensors file has no graph of ours in its first bytes."""
    with path.open("rb") as file:
        return b'"solder"' not in file.read(1 << 16)


@model.command(epilog=RUN_EPILOG)
@click.argument("artefact", type=ARTEFACT)
@click.option("--input", "given", type=ARTEFACT, required=True, metavar="NPZ", help="An array for each input.")
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="NPZ", help="Gets the outputs.")
@click.option("--kernel", type=click.Choice(KERNELS), help="The fastest that the machine has, without it.")
@click.option("--threads", type=click.IntRange(1, 128), default=1, show_default=True, metavar="N")
@click.option("--identity", metavar="SHA256", help="Refuse an artefact with another hash.")
@click.option("--reals", is_flag=True, help="Outputs in fixed point as floats.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object about the run on standard output.")
def run(  # noqa: PLR0913
    *,
    artefact: Path,
    given: Path,
    output: Path,
    kernel: str | None,
    threads: int,
    identity: str | None,
    reals: bool,
    as_json: bool,
) -> int:
    """Run an artefact on the arrays of a file."""
    from solder.cli.model_arrays import read_arrays, real_outputs, run_arrays, write_arrays

    loaded = _load(artefact, identity)
    arrays = read_arrays(given)
    start = time.monotonic()
    with Progress("run", "rows") as bar:
        outputs = run_arrays(loaded, artefact, arrays, str(given), kernel, threads, bar.update)
    seconds = time.monotonic() - start
    write_arrays(output, real_outputs(loaded, outputs) if reals else outputs)
    rows = len(next(iter(outputs.values())))
    told = {
        "hash": loaded.identity.hex(),
        "rows": rows,
        "seconds": round(seconds, 6),
        "kernel": kernel or "fastest",
        "outputs": {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in outputs.items()},
    }
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        click.echo(f"{output}: {rows:,} rows in {seconds:.3f} s: {', '.join(outputs)}", err=True)
    return OK


@model.command(epilog=VERIFY_EPILOG)
@click.argument("artefact", type=ARTEFACT)
@click.option("--input", "given", type=ARTEFACT, required=True, metavar="NPZ", help="An array for each input.")
@click.option("--claimed", type=ARTEFACT, metavar="NPZ", help="Outputs that somebody claims; without it the kernel's.")
@click.option("--kernel", type=click.Choice(KERNELS), help="What makes the outputs where none are claimed.")
@click.option(
    "--evidence", type=click.Choice(EVIDENCE), default=EVIDENCE[0], show_default=True, help="How outputs are checked."
)
@click.option("--rounds", type=click.IntRange(1, MAX_ROUNDS), metavar="N", help="Of freivalds; 1 without it.")
@click.option("--identity", metavar="SHA256", help="Refuse an artefact with another hash.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def verify(  # noqa: PLR0913
    *,
    artefact: Path,
    given: Path,
    claimed: Path | None,
    kernel: str | None,
    evidence: str,
    rounds: int | None,
    identity: str | None,
    as_json: bool,
) -> int:
    """Check the outputs of a run. Exit status 1: they are wrong."""
    from solder.cli.model_arrays import read_arrays, run_arrays
    from solder.cli.model_verify import verdict_lines, verify_arrays

    if evidence != "freivalds" and rounds is not None:
        raise click.UsageError("--rounds is of --evidence freivalds")
    checked = (rounds or 1) if evidence == "freivalds" else None
    loaded = _load(artefact, identity)
    arrays = read_arrays(given)
    outputs = (
        read_arrays(claimed)
        if claimed is not None
        else run_arrays(loaded, artefact, arrays, str(given), kernel, 1, None)
    )
    with Progress("verify", "rows") as bar:
        told = verify_arrays(loaded, artefact, (arrays, str(given)), outputs, bar.update, checked)
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in verdict_lines(told))
    return OK if told["holds"] else CHECK_FAILED


def _load(path: Path, identity: str | None) -> Artefact:
    """The artefact by the native loader; with ``identity``, only that one."""
    from solder._native import Artefact

    expected = None
    if identity is not None:
        try:
            expected = bytes.fromhex(identity.removeprefix("0x"))
        except ValueError:
            raise InputError("no hexadecimal number", field="--identity") from None
    return Artefact.load(path, expected=expected)
