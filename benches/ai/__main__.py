"""The integer models measured: kernels, graphs, MiniLM against float32, accuracy. One table and one JSON object.

    python benches/ai [--repeats N] [--models FOLDER] [--json-only]

Everything that is compared runs in this process, in turns; the minimum counts; one thread unless a name says two.
Results are checked while they are timed. ``make models`` makes the models first.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples" / "models"))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> int:
    """The command."""
    import accuracy
    import graphs
    import numpy as np
    import onnxruntime
    import products

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=40, help="rounds of each comparison (40)")
    parser.add_argument("--models", type=Path, default=ROOT / "target" / "models", help="what `make models` filled")
    parser.add_argument("--kernels", type=Path, help="JSON lines of the kernels' own bench: every path, and the peak")
    parser.add_argument("--no-accuracy", action="store_true", help="leave the accuracies out")
    options = parser.parse_args()
    paths = [json.loads(line) for line in options.kernels.read_text().splitlines()] if options.kernels else []
    peak = next((one["peak"] for one in paths if one["kernel"] == graphs.best_kernel()), None)
    minilm = graphs.Minilm(options.models / "minilm")
    measured = graphs.measure(minilm, options.repeats)
    compared = products.against_runtime(minilm.shapes(), options.repeats)
    ratios = {"kernel_vs_onnxruntime": products.ratio(compared), **measured.ratios}
    report: dict[str, Any] = {
        "benchmark": "ai",
        "baseline": f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}",
        "repeats": options.repeats,
        "statistic": "minimum",
        "kernel": graphs.best_kernel(),
        "peak_gmacs": peak,
        "paths": paths,
        "products": [one.as_json(peak) for one in compared],
        "seconds": measured.seconds,
        "cpu_ratios": measured.cpu_ratios,
        "ratios": ratios,
    }
    if not options.no_accuracy:
        report["accuracy"] = accuracy.measure(options.models)
    _print_table(report)
    print(json.dumps(report))
    return 0


def _print_table(report: Mapping[str, Any]) -> None:
    """The same for people, on the other stream."""
    print(f"kernel {report['kernel']}, against {report['baseline']}", file=sys.stderr)
    for one in report["paths"]:
        share = f", {one['share']:.0%} of its peak" if one["share"] is not None else ""
        print(f"{one['kernel']:>12}: {one['gmacs']:>6.1f} GMAC/s{share}", file=sys.stderr)
    for one in report["products"]:
        rows, inner, columns = one["shape"]
        share = f", {one['share_of_peak']:.0%} of the core's peak" if "share_of_peak" in one else ""
        print(
            f"{rows:>6} x {inner:>4} x {columns:>4}: {one['gmacs']:>6.1f} GMAC/s{share}; "
            f"onnxruntime {one['onnxruntime_kind']} {one['onnxruntime_gmacs']:>6.1f}",
            file=sys.stderr,
        )
    for name, seconds in report["seconds"].items():
        print(f"{name:<36} {seconds * 1e3:>10.3f} ms", file=sys.stderr)
    for name, value in report["ratios"].items():
        cpu = report["cpu_ratios"].get(name)
        print(f"{name:<36} {value:>10.3f}" + (f" (cpu {cpu:.3f})" if cpu else ""), file=sys.stderr)
    for name, found in report.get("accuracy", {}).items():
        print(
            f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items() if key != "text"), file=sys.stderr
        )


if __name__ == "__main__":
    sys.exit(main())
