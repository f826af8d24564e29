"""`solder t8n` in this process: the native function that the command calls, on values instead of files."""

from __future__ import annotations

import json
from typing import Any

from solder import _native

# What the command passes where no flag says otherwise, the fork apart.
OPTIONS: dict[str, Any] = {
    "chain_id": 1,
    "reward": None,
    "blob_params": None,
    "state_test": False,
    "trace_folder": None,
    "trace_memory": False,
    "trace_stack": True,
    "trace_return_data": False,
}


def transition(alloc: Any, env: Any, txs: Any, **options: Any) -> dict[str, Any]:
    """Run the tool on values or, where bytes are given, on those."""
    outputs = _native.t8n(_text(alloc), _text(env), _text(txs), OPTIONS | options)
    return {part: json.loads(text) for part, text in outputs.items()}


def _text(part: Any) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()
