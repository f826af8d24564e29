"""Softmax as a layer of its own (of a classifier; that of attention is inside the attention operator)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from solder.coprocessors.ai.importing.emit import fixed_point
from solder.coprocessors.ai.importing.forms import Form

if TYPE_CHECKING:
    from solder.coprocessors.ai.importing.lowering import Lowering

__all__ = ["emit_softmax"]

STEP = 1 / 256
"""Step of the table of exp, in units of the argument."""

TOP = 1 << 16
ONE_BITS = 14


def emit_softmax(lowering: Lowering, wanted: str, value: str, form: Form) -> tuple[str, Form]:
    """Softmax over the rows of ``value``, which is in ``form``; the result and its form, 1 as 2^14."""
    steps = int(np.ceil(np.log(2 * TOP) / STEP)) + 1
    table = np.floor(TOP * np.exp(-STEP * np.arange(steps)) + 0.5).astype(np.int32)
    factor = fixed_point(np.array([form.scale / STEP]))
    made = lowering.emitter.node(
        "softmax",
        wanted,
        [value, lowering.emitter.tensor("softmax.exponential", table)],
        multiplier=int(factor.multiplier[0]),
        shift=factor.shift,
        one=1 << ONE_BITS,
        bits=16,
    )
    return made, Form(16, 2.0**-ONE_BITS, 0, 0, 1 << ONE_BITS)
