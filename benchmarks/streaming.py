"""Training from disk: peak memory, and speed beside the same training from memory.

    streamed     784-400-20 VAE on a .npy file of float32 rows that stay on disk
    in memory    the same fit on as many of its rows as the comparison is given

Every fit is a process of its own, alternated; its peak is what the operating system counted for it. The
rate is that of the training loop alone, over the steps after the first `WARM` ones, which compile. The
pass over the file that comes before training, a Parquet file's decoding included, is timed apart.

    python benchmarks/streaming.py [--gigabytes 10] [--parquet-gigabytes 2] [--steps 4000] [--rounds 3]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from record import save_result

CELLS, HIDDEN, LATENT, BATCH = 784, 400, 20, 128
IN_MEMORY_BYTES = 2**29  # of rows that the comparison keeps in memory
WARM = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--parquet-gigabytes", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(fit(*options.worker, options.steps)))
        return

    wanted = [int(g * 1e9) // (4 * CELLS) for g in (options.gigabytes, options.parquet_gigabytes)]
    needed = 4 * CELLS * (wanted[0] + 3 * wanted[1])
    with tempfile.TemporaryDirectory() as folder:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise SystemExit(f"{needed / 1e9:.0f} GB are needed in {folder}, {free / 1e9:.0f} free")
        large, table = Path(folder) / "rows.npy", Path(folder) / "rows.parquet"
        small = Path(folder) / "few.npy"
        write_npy(large, wanted[0])
        write_npy(small, min(wanted[0], IN_MEMORY_BYTES // (4 * CELLS)))
        rounds = [
            {"streamed": run(large, "yes", options.steps), "in memory": run(small, "no", options.steps)}
            for _ in range(options.rounds)
        ]  # fmt: skip
        # A process is counted with the peak of the one that starts it, which has to stay small.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            apart.submit(write_parquet, table, wanted[1]).result()
        parquet = run(table, "yes", options.steps)
        sizes = {p.name: p.stat().st_size / 2**30 for p in (large, small, table)}

    ratios = [
        r["streamed"]["steps_per_second"] / r["in memory"]["steps_per_second"] for r in rounds
    ]
    ratio = statistics.median(ratios)
    peak = max(r["streamed"]["peak_mib"] for r in rounds)
    first = rounds[0]["streamed"]
    print(f"{sizes['rows.npy']:.2f} GiB .npy: {first['load_seconds']:.1f} s before training,")
    print(f"  peak resident memory {peak:.0f} MiB")
    print(f"{sizes['rows.parquet']:.2f} GiB Parquet: {parquet['load_seconds']:.1f} s,")
    print(f"  peak resident memory {parquet['peak_mib']:.0f} MiB")
    print(f"streamed / in memory, median of ratios of steps a second: {ratio:.3f}")
    content = {
        "gib": sizes,
        "steps": options.steps,
        "streamed_over_in_memory": ratio,
        "ratios": ratios,
        "peak_mib": peak,
        "rounds": rounds,
        "parquet": parquet,
    }
    print(save_result("streaming", content))


def write_npy(path: Path, num_rows: int) -> None:
    """Rows on a 20-dimensional plane and noise, block by block."""
    with path.open("wb") as file:
        form = {"descr": "<f4", "fortran_order": False, "shape": (num_rows, CELLS)}
        np.lib.format.write_array_header_1_0(file, form)
        for block in blocks(num_rows):
            file.write(block.data)


def write_parquet(path: Path, num_rows: int) -> None:
    """The same rows as a table, in row groups of the size that Polars chooses."""
    import polars as pl

    names = [f"c{i}" for i in range(CELLS)]
    rows = np.concatenate(list(blocks(num_rows)))
    pl.DataFrame(rows, schema=names).write_parquet(path)


def blocks(num_rows: int) -> Any:
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(LATENT, CELLS)).astype(np.float32)
    for first in range(0, num_rows, 2**14):
        z = generator.standard_normal((min(2**14, num_rows - first), LATENT), np.float32)
        noise = generator.standard_normal((len(z), CELLS), np.float32)
        yield np.ascontiguousarray(z @ plane + noise)


def run(path: Path, stream: str, steps: int) -> dict[str, float]:
    """One fit in a process of its own."""
    command = [sys.executable, __file__, "--steps", str(steps), "--worker", str(path), stream]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return {**json.loads(output.splitlines()[-1]), "peak_mib": usage.ru_maxrss / 1024}


def fit(path: str, stream: str, steps: int) -> dict[str, float]:
    """Load, train as `taut.fit` does, and time both."""
    import jax
    import optax

    import taut
    from taut.core import Datum
    from taut.data import StreamedRows, load_data
    from taut.gradients import Reparameterized
    from taut.inference.amortized import joint
    from taut.training import Loop, Recorder, train

    tick = time.perf_counter()
    data = load_data(path, stream=stream)
    loaded = time.perf_counter()
    architecture = taut.VAE(latent_dim=LATENT, hidden=(HIDDEN,), activation="relu")
    algorithm = joint(
        architecture.init(data.schema, jax.random.key(0)),
        taut.ELBO(),
        Reparameterized(),
        optax.adam(1e-3),
        example=Datum(data.test.x[0], index=data.test.index[0]),
        key=jax.random.key(1),
    )
    rows = data.train
    if not isinstance(rows, StreamedRows):
        rows = Datum(rows.x, index=rows.index)
    moments: list[tuple[int, float]] = []

    def note(first: int, metrics: dict[str, np.ndarray], _: Any) -> None:
        moments.append((first + len(metrics["bound"]), time.perf_counter()))

    loop = Loop(num_steps=steps, batch_size=BATCH, seed=0, validate_every=steps)
    train(algorithm, rows, loop, recorder=Recorder(steps=note))
    (start, begun), (end, ended) = next(m for m in moments if m[0] >= WARM), moments[-1]
    return {
        "rows": len(data.train),
        "load_seconds": loaded - tick,
        "steps_per_second": (end - start) / (ended - begun),
    }


if __name__ == "__main__":
    main()
