"""A regression of a million rows in minibatches, against its exact posterior.

    y_n ~ N(x_n . beta, sigma^2),    beta given sigma^2 ~ N(0, sigma^2 I),    sigma^2 ~ InvGamma(3, 3)

is conjugate: beta has a multivariate t posterior of known moments, and the evidence is in closed form.
`taut.infer` sees 1000 rows a step. Reported: seconds by stage, the peak of resident memory above what
the process held with its data, and errors of moments and evidence in their own units. A run of 10,000
rows tells what of the memory is the program's and the compiler's, and what is the data's.

    python benchmarks/plate.py [--rows 1000000] [--columns 10] [--batch 1000] [--seed 0]
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from record import save_result
from scipy.special import gammaln

SHAPE, RATE = 3.0, 3.0
SMALL = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help="one run, printed as JSON")
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.rows, options.columns, options.batch, options.seed)))
        return
    runs = {}
    for rows in (SMALL, options.rows):
        settings = {"rows": rows, "columns": options.columns, "batch": options.batch}
        command = [f"--{k}={v}" for k, v in {**settings, "seed": options.seed}.items()]
        done = subprocess.run(
            [sys.executable, __file__, "--worker", *command],
            check=True,
            capture_output=True,
            text=True,
        )
        runs[str(rows)] = settings | json.loads(done.stdout.splitlines()[-1])
        print_run(runs[str(rows)])
    large, small = runs[str(options.rows)], runs[str(SMALL)]
    grown = large["peak_mib_above_data"] - small["peak_mib_above_data"]
    summary = {
        "data_mib": large["data_mib"],
        "memory_that_grows_with_rows_in_copies_of_the_data": grown / large["data_mib"],
    }
    print("\n".join(f"{what}: {value:.3g}" for what, value in summary.items()))
    print(save_result("plate", {"seed": options.seed, "summary": summary, "runs": runs}))


def regression(x: Any, y: Any) -> None:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    variance = numpyro.sample("variance", dist.InverseGamma(SHAPE, RATE))
    scale = jnp.sqrt(variance)
    beta = numpyro.sample("beta", dist.Normal(0.0, scale).expand((x.shape[1],)).to_event(1))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(x @ beta, scale), obs=y)


def drawn(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated columns of several scales, the first of ones."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, columns)) @ generator.standard_normal((columns, columns))
    x *= 10.0 ** np.linspace(-1, 1, columns)
    x[:, 0] = 1.0
    beta = generator.standard_normal(columns)
    return x, x @ beta + generator.standard_normal(rows)


def exact(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Moments of beta and of the variance, and the log-evidence in nats."""
    rows, columns = x.shape
    precision = np.eye(columns) + x.T @ x
    mean = np.linalg.solve(precision, x.T @ y)
    shape = SHAPE + rows / 2
    rate = RATE + 0.5 * (y @ y - mean @ precision @ mean)
    covariance = rate / (shape - 1) * np.linalg.inv(precision)
    log_evidence = (
        -0.5 * rows * math.log(2 * math.pi)
        - 0.5 * np.linalg.slogdet(precision)[1]
        + SHAPE * math.log(RATE)
        - shape * math.log(rate)
        + gammaln(shape)
        - gammaln(SHAPE)
    )
    of_variance = rate / (shape - 1)
    return {
        "mean": np.concatenate([[of_variance], mean]),
        "sd": np.concatenate([[of_variance / math.sqrt(shape - 2)], np.sqrt(np.diagonal(covariance))]),
        "log_evidence": float(log_evidence),
    }  # fmt: skip


def measure(rows: int, columns: int, batch: int, seed: int) -> dict[str, Any]:
    """One run in this process."""
    import jax

    import taut

    x, y = drawn(rows, columns, seed)
    wanted = exact(x, y)
    with jax.enable_x64(True):
        data = jax.block_until_ready({"x": jax.numpy.asarray(x), "y": jax.numpy.asarray(y)})
    size = x.nbytes + y.nbytes
    del x, y
    held = resident_mib()
    began = time.perf_counter()
    found = taut.infer(regression, data=data, subsample={"rows": batch}, key=seed)
    seconds = time.perf_counter() - began
    resampled, raw = found.resampled, found.raw
    evidence, elbo = found.estimates["log_evidence"], found.estimates["elbo"]
    return {
        "seconds": seconds,
        "seconds_by_stage": found.seconds,
        "data_mib": size / 2**20,
        "peak_mib_above_data": peak_mib() - held,
        "steps": found.trace[-1].num_steps,
        "verdict": str(found.verdict),
        "khat": found.khat,
        "ess": found.ess,
        "draws": len(found.weights),
        "largest_error_of_means_in_sd": distance(resampled.mean, wanted),
        "largest_error_of_guide_means_in_sd": distance(raw.mean, wanted),
        "largest_relative_error_of_sds": spread(resampled.sd, wanted),
        "largest_relative_error_of_guide_sds": spread(raw.sd, wanted),
        "elbo_below_evidence_nats": wanted["log_evidence"] - elbo.value,
        "log_evidence_error_nats": evidence.value - wanted["log_evidence"],
        "log_evidence_claimed_error_nats": evidence.mc_error,
    }


def distance(mean: np.ndarray, wanted: dict[str, Any]) -> float:
    return float(np.max(np.abs(mean - wanted["mean"]) / wanted["sd"]))


def spread(sd: np.ndarray, wanted: dict[str, Any]) -> float:
    return float(np.max(np.abs(sd / wanted["sd"] - 1)))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def print_run(run: dict[str, Any]) -> None:
    print(
        f"{run['rows']} rows: {run['seconds']:.1f} s, {run['steps']} steps, "
        f"{run['peak_mib_above_data']:.0f} MiB above the {run['data_mib']:.0f} MiB of data; "
        f"means within {run['largest_error_of_means_in_sd']:.3f} sd (guide "
        f"{run['largest_error_of_guide_means_in_sd']:.3f}), sds within "
        f"{100 * run['largest_relative_error_of_sds']:.1f} % (guide "
        f"{100 * run['largest_relative_error_of_guide_sds']:.1f} %); evidence off by "
        f"{run['log_evidence_error_nats']:.3f} of {run['log_evidence_claimed_error_nats']:.3f} nats; "
        f"{run['verdict']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
