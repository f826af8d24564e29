"""ONNX Runtime as the yardstick: sessions with bound outputs, so that only the run is timed, and its int8 products."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SEED = 6
KINDS = {"u8s8": np.uint8, "s8s8": np.int8}
ELEMENT = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}


def session(model: Path | bytes, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """A session on the CPU with so many threads, everything optimised."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def bound(model: Path | bytes, feed: Mapping[str, NDArray[Any]], threads: int = 1) -> tuple[Callable[[], None], Any]:
    """A call that runs the model on ``feed``, its outputs kept by the runtime, and the binding to read them from."""
    made = session(model, threads)
    binding = made.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    for output in made.get_outputs():
        binding.bind_output(output.name, "cpu")
    return (lambda: made.run_with_iobinding(binding)), binding


def integer_product(
    rows: int, inner: int, columns: int, kind: str
) -> tuple[Callable[[], None], Any, NDArray[Any], NDArray[np.int8]]:
    """MatMulInteger of (rows, inner) by constant (inner, columns) int8: the call, its binding, both factors.

    ``kind`` is the left factor's type, u8s8 or s8s8: the runtime has different kernels for them. Weights stay within
    [-64, 63], where even the kernels that saturate in 16 bits are right, so that results can be compared.
    """
    generator = np.random.default_rng(SEED)
    right = generator.integers(-64, 64, (inner, columns), dtype=np.int8)
    left = generator.integers(0, 128, (rows, inner)).astype(KINDS[kind])
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", ELEMENT[KINDS[kind]], left.shape)],
        [helper.make_tensor_value_info("product", TensorProto.INT32, (rows, columns))],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    run, binding = bound(model.SerializeToString(), {"left": left})
    return run, binding, left, right
