"""Gradients for discrete latents on statically binarized MNIST: training -ELBO against steps, seconds.

The linear model of REBAR and RELAX, one layer of 200 Bernoulli latents, with a learned prior, rows
centred by their mean and outputs that start at the log-odds of the data; batch 24, Adam. Published
(Grathwohl et al. 2018, table 1, best training -ELBO, two million steps): NVIL 112.5, REBAR 111.6, RELAX
111.20. Here every method takes the same number of steps, with a cosine schedule from each of three
rates; the best rate by training -ELBO is compared. VIMCO maximises the IWAE bound of four particles, so
that its ELBO is beside the point; both are given.

    TAUT_DATA=FOLDER python benchmarks/discrete_mnist.py [--steps N] [--runs FOLDER] [--only METHOD ...]

Each (method, rate) is a run of its own: one that is done is not repeated, one that was interrupted goes
on where it was. `--only` shares the work among processes; the last call, without it, writes the result.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
import optax
from record import RESULTS, save_result
from static_mnist import split

import taut
from taut.bounds import ELBO, IWAE, AbstractBound
from taut.core import Datum
from taut.data import load_data
from taut.gradients import ESTIMATORS
from taut.inference import joint
from taut.training import compiled_steps, schedule
from taut.training.feeds import feed_of

PUBLISHED = {"nvil": 112.5, "rebar": 111.6, "relax": 111.2}
BOUNDS: dict[str, AbstractBound] = {
    "nvil": ELBO(),
    "rloo": ELBO(num_draws=4),
    "disarm": ELBO(),
    "rebar": ELBO(),
    "relax": ELBO(),
    "vimco": IWAE(num_particles=4),
}
RATES = (3e-3, 1e-3, 3e-4)
BATCH = 24
WINDOW = 1000  # steps that a point of a curve averages
TIMED_STEPS, TIMED_ROUNDS = 200, 7
FIGURE = Path(__file__).parent.parent / "docs" / "discrete_mnist.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="+", choices=BOUNDS, default=None)
    options = parser.parse_args()
    data = load_data(split())
    found: dict[str, dict[str, Any]] = {}
    for rate in sorted(RATES, key=lambda r: abs(np.log(r / 1e-3))):  # the middle one first
        for method in options.only or BOUNDS:
            outcome = run(data, method, rate, options.steps, options.runs)
            found.setdefault(method, {})[f"{rate:g}"] = outcome
            print(
                f"{method} at {rate:g}: training -ELBO {outcome['training_nelbo']:.2f}", flush=True
            )
    if options.only:
        return
    milliseconds = time_steps(data)
    best = {
        m: min(by_rate.values(), key=lambda o: o["training_nelbo"]) for m, by_rate in found.items()
    }
    draw(best, milliseconds)
    path = save_result(
        "discrete_mnist",
        {
            "published_training_nelbo": PUBLISHED,
            "steps": options.steps,
            "batch": BATCH,
            "milliseconds_per_step": milliseconds,
            "best": {m: {k: v for k, v in o.items() if k != "curve"} for m, o in best.items()},
            "curves": {m: o["curve"] for m, o in best.items()},
            "runs": {
                m: {r: {k: v for k, v in o.items() if k != "curve"} for r, o in by_rate.items()}
                for m, by_rate in found.items()
            },
        },
    )
    for method, outcome in best.items():
        print(
            f"{method:8} {outcome['training_nelbo']:.2f} (published {PUBLISHED.get(method, '-')})"
        )
    print(path)


def run(data: Any, method: str, rate: float, steps: int, runs: Path) -> dict[str, Any]:
    """Fit one method at one rate, or read the fit that is there."""
    folder = runs / f"discrete-mnist-{method}-{rate:g}-{steps}"
    per_epoch = len(data.train) // BATCH
    if not (folder / "summary.json").exists():
        taut.fit(
            data,
            model=taut.Discrete(likelihood="bernoulli"),
            bound=BOUNDS[method],
            gradient=ESTIMATORS[method](),
            optimizer=optax.adam(schedule("cosine", rate, num_steps=steps)),
            epochs=max(1, round(steps / per_epoch)),
            batch_size=BATCH,
            patience=0,
            validate_every=max(1, steps // 10),
            num_particles=100,
            key=0,
            checkpoint_every=max(1000, steps // 20),
            out=folder,
            resume=(folder / "config.toml").exists(),
        )
    fitted = taut.load(folder)
    rows = data.train
    elbo = fitted.bound(rows, ELBO(), key=1, num_repeats=2)
    bound = np.asarray([record["bound"] for record in fitted.history])
    whole = len(bound) // WINDOW * WINDOW
    return {
        "rate": rate,
        "training_nelbo": -elbo.value,
        "mc_error": elbo.mc_error,
        "test_nelbo": -fitted.estimates["elbo"].value,
        "test_nll": -fitted.estimates["log_evidence"].value,
        "steps": len(bound),
        "curve": np.round(-np.nanmean(bound[:whole].reshape(-1, WINDOW), axis=1), 3).tolist(),
    }


def time_steps(data: Any) -> dict[str, float]:
    """Median milliseconds of a step, the methods asked in turn."""
    architecture = taut.Discrete(likelihood="bernoulli")
    rows = Datum(data.train.x)
    pair = architecture.start(architecture.init(data.schema, jax.random.key(0)), rows)
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    feed = feed_of(rows, batch_size=BATCH, seed=0, num_steps=TIMED_STEPS)
    supply = feed.supply(0, TIMED_STEPS)
    ready = {}
    for method, bound in BOUNDS.items():
        algorithm = joint(
            pair, bound, ESTIMATORS[method](), optax.adam(1e-3), example=example,
            key=jax.random.key(1),
        )  # fmt: skip
        ready[method] = [compiled_steps(algorithm), algorithm.init()]
    seconds: dict[str, list[float]] = {method: [] for method in ready}
    for _ in range(TIMED_ROUNDS):
        for method, entry in ready.items():
            advance, state = entry
            began = time.perf_counter()
            state, _ = advance(state, *supply)
            jax.block_until_ready(state)
            seconds[method].append(time.perf_counter() - began)
            entry[1] = state
    # The first round compiles.
    return {m: round(1e3 * float(np.median(s[1:])) / TIMED_STEPS, 3) for m, s in seconds.items()}


def draw(best: dict[str, dict[str, Any]], milliseconds: dict[str, float]) -> None:
    """Training bound against steps and against seconds at the measured milliseconds a step."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for method, outcome in best.items():
        curve = np.asarray(outcome["curve"])
        steps = WINDOW * (1 + np.arange(len(curve)))
        name = method + (" (IWAE-4)" if method == "vimco" else "")
        label = f"{name}, rate {outcome['rate']:g}"
        for axis, x in zip(axes, (steps, steps * milliseconds[method] / 1e3), strict=True):
            axis.plot(x, curve, label=label, linewidth=1.2)
    for published in sorted(set(PUBLISHED.values())):
        for axis in axes:
            axis.axhline(published, color="grey", linewidth=0.6, linestyle=(0, (4, 3)))
    lowest = min(min(o["curve"]) for o in best.values())
    axes[0].set(xlabel="steps", ylabel="training bound, negative [nats per row]")
    axes[1].set(xlabel="seconds, at the measured milliseconds a step")
    axes[0].set_ylim(min(lowest, 111) - 1, lowest + 25)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(FIGURE, dpi=150)


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    main()
