"""`taut.infer` as it comes against NumPyro's NUTS on the eleven posteriors: seconds, and who is right.

For each posterior one process in which both take turns. The first calls compile (cold: with key 0,
nothing cached); then each key is run once by each, compiled (warm). NUTS is the faster of one chain and
of four vectorized chains, 1,000 draws after 1,000 of warm-up each, in float64 as `taut.infer`, and its
warm runs reuse one `MCMC`. Moments are compared with the reference draws of posteriordb: the largest
over parameters of

    |mean - reference mean| / reference sd        and        |sd / reference sd - 1|

The targets: every fit believed with means within 0.1 sd and sds within 10 %, medians over posteriors of
taut's seconds over NUTS's at most 1 cold and at most 1/2 warm.

    python benchmarks/nuts.py [--only WORD] [--keys 3] [--runs runs/nuts]

What one posterior took stays in --runs, so that a benchmark that was cut off goes on where it was. Needs
$TAUT_DATA/posteriordb.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import reference_posteriors
from record import save_result, write_whole

MEAN, SD, COLD, WARM = 0.1, 0.1, 1.0, 0.5
DRAWS = 1000  # of a chain, as many for its warm-up
CHAINS = (1, 4)
DOUBT = "do not believe"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="posteriors whose names contain this word")
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/nuts"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(alternated(options.one, options.keys)))
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in reference_posteriors.names(options.only):
        kept = options.runs / f"{name}-{options.keys}.json"
        if not kept.exists():
            write_whole(kept, in_a_process(name, options.keys))
        rows.append(json.loads(kept.read_text()))
        print_row(rows[-1])
    summary = summarized(rows)
    print("\n".join(f"{what}: {value}" for what, value in summary.items()))
    if options.only is None:
        print(save_result("nuts", {"keys": options.keys, "summary": summary, "rows": rows}))


def in_a_process(name: str, keys: int) -> dict[str, Any]:
    """One posterior, in a process that has compiled nothing."""
    command = [sys.executable, __file__, "--one", name, "--keys", str(keys)]
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def alternated(name: str, keys: int) -> dict[str, Any]:
    """All runs of one posterior."""
    import jax
    import jax.numpy as jnp

    import taut

    taut.cache(False)  # a cold call compiles, of either side
    jax.config.update("jax_enable_x64", True)
    target = reference_posteriors.read(name)
    jax.jit(lambda x: x + 1)(jnp.zeros(3)).block_until_ready()  # the client starts before the clock
    methods: dict[str, Callable[[int], dict[str, Any]]] = {"taut": lambda key: by_taut(target, key)}
    for chains in CHAINS:
        methods[f"nuts {chains}"] = by_nuts(target, chains)
    order = list(methods)
    if reference_posteriors.names().index(name) % 2:
        order.reverse()
    cold = {method: methods[method](0) for method in order}
    warm = [{method: methods[method](key) for method in order} for key in range(keys)]
    return {"posterior": name, "cold": cold, "warm": warm}


def by_taut(target: reference_posteriors.Posterior, key: int) -> dict[str, Any]:
    """One call, with what it said."""
    from posteriordb import discrepancy, scalars

    import taut

    began = time.perf_counter()
    fitted = taut.infer(target.program, data=target.data, key=key)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "stages": fitted.seconds,
        "refined": fitted.refined is not None,
        "verdict": fitted.verdict.verdict,
        "said": str(fitted.verdict),
        "log_evidence": fitted.estimates["log_evidence"].to_dict(),
        **discrepancy(scalars(fitted, target.reference), fitted.weights, target.reference),
    }


def by_nuts(target: reference_posteriors.Posterior, chains: int) -> Callable[[int], dict[str, Any]]:
    """A run by its key; the first compiles."""
    import jax
    import numpy as np
    from numpyro.diagnostics import effective_sample_size
    from numpyro.infer import MCMC, NUTS
    from posteriordb import discrepancy

    sampler = MCMC(
        NUTS(target.program), num_warmup=DRAWS, num_samples=DRAWS, num_chains=chains,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip

    def run(key: int) -> dict[str, Any]:
        began = time.perf_counter()
        sampler.run(jax.random.key(key), **target.data)
        by_chain = jax.block_until_ready(sampler.get_samples(group_by_chain=True))
        seconds = time.perf_counter() - began
        values = target.reference.of(by_chain)
        flat = values.reshape(-1, values.shape[-1])
        return {
            "seconds": seconds,
            "least_ess": float(np.min(effective_sample_size(values))),
            **discrepancy(flat, np.full(len(flat), 1 / len(flat)), target.reference),
        }

    return run


def ratio(run: dict[str, Any]) -> float:
    """taut's seconds over those of the faster NUTS."""
    return run["taut"]["seconds"] / min(run[f"nuts {chains}"]["seconds"] for chains in CHAINS)


def summarized(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures that the targets are about."""
    fits = [(row["posterior"], run["taut"]) for row in rows for run in row["warm"]]
    doubted = [name for name, fit in fits if fit["verdict"] == DOUBT]
    far = [n for n, fit in fits if fit["largest_mean"] > MEAN or fit["largest_sd"] > SD]
    silent = [
        n
        for n, fit in fits
        if fit["verdict"] != DOUBT and (fit["largest_mean"] > MEAN or fit["largest_sd"] > SD)
    ]
    cold = {row["posterior"]: ratio(row["cold"]) for row in rows}
    warm = {row["posterior"]: statistics.median(map(ratio, row["warm"])) for row in rows}
    medians = statistics.median(cold.values()), statistics.median(warm.values())
    return {
        "fits": len(fits),
        "not believed": doubted,
        "beyond 0.1 sd or 10 %": far,
        "of these believed": silent,
        "cold, taut over NUTS": cold,
        "warm, taut over NUTS": warm,
        "median cold": medians[0],
        "median warm": medians[1],
        "met": not doubted and not far and medians[0] <= COLD and medians[1] <= WARM,
    }


def print_row(row: dict[str, Any]) -> None:
    print(f"{row['posterior']}")
    for what, run in [("cold", row["cold"]), *(("warm", run) for run in row["warm"])]:
        fit = run["taut"]
        times = ", ".join(f"{name} {one['seconds']:.2f} s" for name, one in run.items())
        print(
            f"  {what}  {times}: {ratio(run):.2f}  mean {fit['largest_mean']:.3f} "
            f"sd {fit['largest_sd']:.3f}  {fit['verdict']}{', refined' if fit['refined'] else ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
