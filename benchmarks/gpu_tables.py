"""Rows of the benchmark tables that were measured on a GPU, as `benchmark_tables.py` reads them."""

from collections.abc import Callable
from typing import Any

from prior_tables import of_best

__all__ = ["GPU"]

Rows = list[tuple[str, str]]
STEPS = {
    "mlp": "784-400-20 VAE",
    "conv": "residual convolutional VAE, 28 x 28",
    "flow": "eight couplings of 64 columns",
}


def of_gpu(found: dict[str, Any]) -> Rows:
    """One row for each part that ended; the device stands in the first."""
    commands = {
        name: of
        for name, of in found["commands"].items()
        if isinstance(of, dict) and "error" not in of
    }
    seconds = ", ".join(f"{name} {of['seconds']:.0f}" for name, of in commands.items())
    rows = [
        (f"whole commands on {found['device']['kind']}, nothing compiled before, seconds", seconds)
    ]
    for part, words in STEPS.items():
        batches = [name for name in found.get(part, {}) if name.startswith("batch")]
        if batches:
            times = [f"{found[part][b]['milliseconds_per_step']:.2f} ms" for b in batches]
            rows.append((f"training step, {words}, {', '.join(batches)}", ", ".join(times)))
    em = found.get("em", {})
    if "milliseconds_per_iteration" in em:
        what = f"{em['rows']:,} x {em['columns']} rows, {em['components']} full components"
        rows.append(
            (f"an iteration of EM, {what}, float64", f"{em['milliseconds_per_iteration']:.1f} ms")
        )
    evidence = found.get("evidence", {})
    if "draws_per_second" in evidence:
        rows.append(
            ("draws a second of importance sampling", f"{evidence['draws_per_second']:,.0f}")
        )
    record = found.get("record", {})
    if "test_nll" in record:
        what = "static MNIST, one-layer model: test NLL, seconds of training and validation"
        rows.append((what, f"{record['test_nll']:.2f}, {record['seconds']:.0f} s"))
    return rows


GPU: dict[str, Callable[[dict[str, Any]], Rows]] = {"gpu": of_gpu, "best_mnist_gpu": of_best}
