"""Gradients for discrete latents on statically binarized MNIST: training -ELBO against steps, seconds.

The linear model of REBAR and RELAX, one layer of 200 Bernoulli latents, with a learned prior, rows
centred by their mean and outputs that start at the log-odds of the data; batch 24, Adam. Published
(Grathwohl et al. 2018, table 1, best training -ELBO, two million steps): NVIL 112.5, REBAR 111.6, RELAX
111.20. Here every method takes the same number of steps, with a cosine schedule from each of three
rates; the best rate by training -ELBO is compared. Runs of more steps stand apart, without a curve in
the figure. VIMCO maximises the IWAE bound of four particles, so that its ELBO is beside the point; both
are given.

    TAUT_DATA=FOLDER python benchmarks/discrete_mnist.py [--steps N] [--runs FOLDER]
                                                         [--only METHOD ...] [--rate R ...]
    TAUT_DATA=FOLDER python benchmarks/discrete_mnist.py --time

Each (method, rate) is a run of its own, written to the result and the figure as soon as it is done: one
that is there is not repeated, one that was interrupted goes on where it was. `--time` measures the
milliseconds of a step, which want a quiet machine.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
import optax
from record import RESULTS, commit, conditions, save_result
from static_mnist import split

import taut
from taut.bounds import ELBO, IWAE, AbstractBound
from taut.core import Datum
from taut.data import load_data
from taut.gradients import ESTIMATORS
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps
from taut.training import schedule
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
RATES = (6e-3, 2e-3, 1e-2)
STEPS = 100_000  # at least, of what is compared
BATCH = 24
WINDOW = 1000  # steps that a point of a curve averages
TIMED_STEPS, TIMED_ROUNDS = 200, 7
FIGURE = Path(__file__).parent.parent / "docs" / "discrete_mnist.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="at least; whole epochs")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="+", choices=BOUNDS, default=list(BOUNDS))
    parser.add_argument("--rate", nargs="+", type=float, choices=RATES, default=list(RATES))
    parser.add_argument("--time", action="store_true", help="measure milliseconds of a step")
    options = parser.parse_args()
    data = load_data(split())
    if options.time:
        write(time_steps(data))
        return
    epochs = math.ceil(options.steps / (len(data.train) // BATCH))
    part = "longer" if options.steps > STEPS else "runs"
    for rate in options.rate:
        for method in options.only:
            runs = read().get(part, {})
            done = runs.get(method, {}).get(f"{rate:g}", {"steps": 0})
            if done["steps"] >= options.steps:
                continue
            outcome = run(data, method, rate, epochs, options.runs)
            runs.setdefault(method, {})[f"{rate:g}"] = outcome
            write({part: runs})
            print(f"{method} at {rate:g}: -ELBO {outcome['training_nelbo']:.2f}", flush=True)


def read() -> dict[str, Any]:
    """What was found so far."""
    path = RESULTS / "discrete_mnist.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(new: dict[str, Any]) -> None:
    """Add to what was found, draw the best rate of each method and print the table."""
    content = read() | new
    best, longer = (best_rates(content.get(part, {})) for part in ("runs", "longer"))
    milliseconds = content.get("milliseconds_per_step", {})
    content |= {
        "published_training_nelbo": PUBLISHED,
        "batch": BATCH,
        "best": without_curves(best),
        "best_longer": without_curves(longer),
    }
    save_result("discrete_mnist", {k: v for k, v in content.items() if k not in conditions()})
    if best:
        draw(best, milliseconds)
    for method, outcome in [*best.items(), *longer.items()]:
        print(
            f"{method:8} rate {outcome['rate']:g} steps {outcome['steps']} "
            f"training -ELBO {outcome['training_nelbo']:.2f} "
            f"(published {PUBLISHED.get(method, '-')}), {milliseconds.get(method, '-')} ms a step"
        )


def best_rates(runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The outcome of each method's best rate."""
    return {m: min(r.values(), key=lambda o: o["training_nelbo"]) for m, r in runs.items()}


def without_curves(outcomes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {m: {k: v for k, v in o.items() if k != "curve"} for m, o in outcomes.items()}


def run(data: Any, method: str, rate: float, epochs: int, runs: Path) -> dict[str, Any]:
    """Fit one method at one rate, or read the fit that is there."""
    steps = epochs * (len(data.train) // BATCH)
    folder = runs / f"discrete-mnist-{method}-{rate:g}-{steps}"
    if not (folder / "summary.json").exists():
        taut.fit(
            data,
            model=taut.Discrete(likelihood="bernoulli", hidden=()),
            bound=BOUNDS[method],
            gradient=ESTIMATORS[method](),
            optimizer=optax.adam(schedule("cosine", rate, num_steps=steps)),
            epochs=epochs,
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
    elbo = fitted.bound(data.train, ELBO(), key=1, num_repeats=2)
    bound = np.asarray([record["bound"] for record in fitted.history])
    whole = len(bound) // WINDOW * WINDOW
    return {
        "rate": rate,
        "steps": len(bound),
        "training_nelbo": -elbo.value,
        "mc_error": elbo.mc_error,
        "test_nelbo": -fitted.estimates["elbo"].value,
        "test_nll": -fitted.estimates["log_evidence"].value,
        "commit": commit(),
        "curve": np.round(-np.nanmean(bound[:whole].reshape(-1, WINDOW), axis=1), 3).tolist(),
    }


def time_steps(data: Any) -> dict[str, Any]:
    """Median milliseconds of a step, the methods asked in turn, and what their evaluations account for.

    One evaluation is what another draw adds to RLOO; the rest of its step, with the encoder and Adam, is
    the overhead of every method.
    """
    architecture = taut.Discrete(likelihood="bernoulli", hidden=())
    rows = Datum(data.train.x)
    pair = architecture.start(architecture.init(data.schema, jax.random.key(0)), rows)
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    q = pair.bind()[1](example)
    feed = feed_of(rows, batch_size=BATCH, seed=0, num_steps=TIMED_STEPS)
    supply = feed.supply(0, TIMED_STEPS)
    timed = {method: (ESTIMATORS[method](), bound) for method, bound in BOUNDS.items()}
    timed["rloo of eight"] = (ESTIMATORS["rloo"](), ELBO(num_draws=8))
    ready = {}
    for name, (estimator, bound) in timed.items():
        algorithm = joint(
            pair, bound, estimator, optax.adam(1e-3), example=example, key=jax.random.key(1)
        )
        ready[name] = [compiled_steps(algorithm), algorithm.init()]
    seconds: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(TIMED_ROUNDS):
        for name, entry in ready.items():
            advance, state = entry
            began = time.perf_counter()
            state, _ = advance(state, *supply)
            jax.block_until_ready(state)
            seconds[name].append(time.perf_counter() - began)
            entry[1] = state
    # The first round compiles.
    found = {n: 1e3 * float(np.median(s[1:])) / TIMED_STEPS for n, s in seconds.items()}
    one = (found.pop("rloo of eight") - found["rloo"]) / 4
    overhead = found["rloo"] - 4 * one
    counted = {m: overhead + one * timed[m][0].cost(b, q).model for m, b in BOUNDS.items()}
    return {
        "milliseconds_per_step": {m: round(t, 3) for m, t in found.items()},
        "milliseconds_of_one_evaluation": round(one, 3),
        "milliseconds_of_overhead": round(overhead, 3),
        "time_over_counted": {m: round(t / counted[m], 2) for m, t in found.items()},
        "timing": conditions(),
    }


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
        axes[0].plot(steps, curve, label=label, linewidth=1.2)
        if method in milliseconds:
            axes[1].plot(steps * milliseconds[method] / 1e3, curve, label=label, linewidth=1.2)
    for published in sorted(set(PUBLISHED.values())):
        for axis in axes:
            axis.axhline(published, color="grey", linewidth=0.6, linestyle=(0, (4, 3)))
    lowest = min(min(o["curve"]) for o in best.values())
    axes[0].set(xlabel="steps", ylabel="training bound, negative [nats per row]")
    axes[1].set(xlabel="seconds, at the measured milliseconds a step")
    axes[0].set_ylim(min(lowest, 111) - 1, lowest + 25)
    axes[1].legend(frameon=False, fontsize=8, loc="upper right")
    figure.savefig(FIGURE, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
