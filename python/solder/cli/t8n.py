"""``solder t8n``: the state-transition tool, with the interface of geth's ``evm t8n``.

The transition itself is native; here flags are parsed and files are read and written. No click, no dataclasses,
no json on the usual way: a test author's run is mostly start-up.
"""

import os
import sys

from solder import _native
from solder.errors import InputError

OK = 0
MAX_INPUT_BYTES = 1 << 30
"""A larger input file is refused before it is read."""

FORKS_OWN = -2
"""The default of `--state.reward`: what the fork pays."""

# name: (default, what it is). A default of False is a switch; an int takes an integer.
FLAGS: dict[str, tuple[str | int | bool, str]] = {
    "input.alloc": ("alloc.json", "the accounts before: a file or `stdin`"),
    "input.env": ("env.json", "the block's environment: a file or `stdin`"),
    "input.txs": ("txs.json", "the transactions: a file or `stdin`; JSON, or hex of an RLP list"),
    "input.blobParams": ("", "blob parameters {target, max, baseFeeUpdateFraction}: a file or `stdin`"),
    "output.basedir": ("", "where output files are placed; created if absent"),
    "output.alloc": ("alloc.json", "the accounts after: a file, `stdout` or `stderr`"),
    "output.result": ("result.json", "roots, receipts, rejected transactions: a file, `stdout` or `stderr`"),
    "output.body": ("", "the RLP of the included transactions: a file, `stdout` or `stderr`"),
    "state.fork": ("GrayGlacier", "the fork whose rules hold; an unknown name is an error"),
    "state.chainid": (1, "the chain id"),
    "state.reward": (FORKS_OWN, "the block reward in wei [the fork's own]; -1 pays none and touches nobody"),
    "trace": (False, "write an EIP-3155 trace of each transaction to trace-<index>-<hash>.jsonl"),
    "trace.memory": (False, "with the memory in each line"),
    "trace.nomemory": (False, "without the memory (the default; deprecated)"),
    "trace.nostack": (False, "without the stack"),
    "trace.returndata": (False, "with the return data in each line"),
    "trace.noreturndata": (False, "without the return data (the default; deprecated)"),
    "state-test": (False, "the block is a state test's: no reward, no system calls"),
    "verbosity": (3, "accepted for geth's sake; nothing is logged"),
}
PARTS = ("alloc", "result", "body")
TRUE, FALSE = ("1", "t", "true"), ("0", "f", "false")

EXAMPLES = """Examples:
  solder t8n --state.fork Cancun --input.alloc alloc.json --input.env env.json --input.txs txs.json
  solder t8n --state.fork Osaka --input.alloc stdin --input.env stdin --input.txs stdin \\
             --output.alloc stdout --output.result stdout --output.body stdout < all.json
"""


def run_t8n(arguments: list[str]) -> int:
    """Run one transition and return the exit status. Nothing but traces is written before all is computed."""
    if any(word in ("-h", "--help", "-help") for word in arguments):
        sys.stdout.write(help_text())
        return OK
    flags = parse_flags(arguments)
    inputs = _read_inputs(flags)
    options = {**_options(flags), "blob_params": inputs.get("blobParams")}
    if flags["output.basedir"]:
        os.makedirs(str(flags["output.basedir"]), exist_ok=True)  # noqa: PTH103 - see _read_file
    try:
        outputs = _native.t8n(inputs["alloc"], inputs["env"], inputs["txs"], options)
    except InputError as error:
        if error.path in inputs:
            # The engine knows its inputs by role; a person knows them by file.
            raise type(error)(error.detail, str(flags[f"input.{error.path}"]), error.field) from None
        raise
    _write_outputs(flags, outputs)
    return OK


def help_text() -> str:
    """What ``solder t8n --help`` prints."""
    lines = ["Usage: solder t8n [FLAGS]\n\nApply transactions to a state, as geth's `evm t8n` does.\n\nFlags:\n"]
    for name, (default, about) in FLAGS.items():
        shown = f" [{default}]" if default and default != FORKS_OWN else ""
        value = "" if default is False else " N" if isinstance(default, int) else " VALUE"
        lines.append(f"  --{name + value:<24} {about}{shown}\n")
    return "".join(lines) + "\n" + EXAMPLES


def parse_flags(arguments: list[str]) -> dict[str, str | int | bool]:
    """Flags by name, with defaults. ``--flag value``, ``--flag=value`` and a single dash are one."""
    flags: dict[str, str | int | bool] = {name: default for name, (default, _) in FLAGS.items()}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in FLAGS:
            raise _usage(word, "unknown flag")
        default = FLAGS[name][0]
        if default is False:
            if equals and value.lower() not in TRUE + FALSE:
                raise _usage(name, f"{value!r} is neither true nor false")
            flags[name] = not equals or value.lower() in TRUE
            continue
        if not equals:
            following = next(words, None)
            if following is None:
                raise _usage(name, "needs a value")
            value = following
        flags[name] = _integer(name, value) if isinstance(default, int) else value
    return flags


def _integer(name: str, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise _usage(name, f"{value!r} is no integer") from None


def _usage(flag: str, detail: str) -> InputError:
    return InputError(detail, None, "--" + flag.lstrip("-"))


def _options(flags: dict[str, str | int | bool]) -> dict[str, object]:
    return {
        "fork": flags["state.fork"],
        "chain_id": flags["state.chainid"],
        "reward": None if flags["state.reward"] == FORKS_OWN else flags["state.reward"],
        "state_test": flags["state-test"],
        "trace_folder": str(flags["output.basedir"]) or "." if flags["trace"] else None,
        "trace_memory": bool(flags["trace.memory"]) and not flags["trace.nomemory"],
        "trace_stack": not flags["trace.nostack"],
        "trace_return_data": bool(flags["trace.returndata"]) and not flags["trace.noreturndata"],
    }


def _read_inputs(flags: dict[str, str | int | bool]) -> dict[str, bytes]:
    sources = {name: str(flags[f"input.{name}"]) for name in ("alloc", "env", "txs", "blobParams")}
    given: dict[str, bytes] = {}
    if "stdin" in sources.values():
        given = _read_stdin(sources)
    if "txsRlp" in given:
        given.setdefault("txs", given["txsRlp"])
    read: dict[str, bytes] = {}
    for name, source in sources.items():
        if source == "stdin":
            if name not in given:
                raise InputError("missing from standard input", "stdin", name)
            read[name] = given[name]
        elif source:
            read[name] = _read_file(source, f"input.{name}")
    return read


def _read_stdin(sources: dict[str, str]) -> dict[str, bytes]:
    import json

    text = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(text) > MAX_INPUT_BYTES:
        raise InputError(f"larger than {MAX_INPUT_BYTES} bytes", "stdin", None)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", "stdin", None) from None
    if not isinstance(value, dict):
        raise InputError("not a JSON object", "stdin", None)
    wanted = {name for name, source in sources.items() if source == "stdin"}
    if "txs" in wanted:
        wanted.add("txsRlp")
    return {name: json.dumps(value[name]).encode() for name in wanted if value.get(name) is not None}


def _read_file(path: str, flag: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs as much as the transition
            if os.fstat(file.fileno()).st_size > MAX_INPUT_BYTES:
                raise InputError(f"larger than {MAX_INPUT_BYTES} bytes", path, f"--{flag}")
            return file.read()
    except OSError as error:
        raise InputError(error.strerror or str(error), path, f"--{flag}") from None


def _write_outputs(flags: dict[str, str | int | bool], outputs: dict[str, bytes]) -> None:
    basedir = str(flags["output.basedir"])
    streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for part in PARTS:
        target = str(flags[f"output.{part}"])
        if target in streams:
            streams[target].append(b'"' + part.encode() + b'": ' + outputs[part])
        elif target:
            _write_file(basedir, target, outputs[part])
    for stream, parts in ((sys.stdout, streams["stdout"]), (sys.stderr, streams["stderr"])):
        if parts:
            stream.buffer.write(b"{" + b",\n".join(parts) + b"}\n")
            stream.flush()


def _write_file(basedir: str, name: str, text: bytes) -> None:
    with open(os.path.join(basedir, name), "wb") as file:  # noqa: PTH118, PTH123 - see _read_file
        file.write(text)
