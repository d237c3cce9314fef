"""Flows on densities in the plane whose entropy is known, and planar flows on unnormalized ones.

densities     held-out log-likelihood below minus the entropy, which no density exceeds: the gap is
              KL(p to q), the mean over fresh rows of log p - log q, whose errors largely cancel. Spline
              couplings of standard widths; on corners and checkerboard also a chain that folds the plane
              by the absolute value, with half of the parameters at most. The sign has a probability, so
              that the number stays exact. Where the support is a square the logit of each coordinate
              comes first, so that no mass is lost outside. The time is the fit's, compilation included.
potentials    K = 2, 8, 32 planar layers over a Gaussian at exp(-U); KL(q to p) = log Z - ELBO, of the
              best of several starts. The target is annealed from exp(-U / 10), as in the paper. U2 to U4
              have no finite mass on the plane; their target is confined to |z_1| <= 4, which `LogJoint`
              maps to the line. log Z again from the draws' weights.

    python benchmarks/toy_densities.py [--only WORD] [--threads 2]

What is in the result file is not repeated. The figures, docs/toy_densities.png and docs/potentials.png,
are drawn from grids that the fits leave in --runs.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from alternate import use_threads
from numpyro.distributions import constraints
from record import RESULTS, conditions, write_whole
from toy_targets import BOX, POTENTIALS, TARGETS, Potential

import taut
from taut.core import Datum, total
from taut.evidence import importance_sampling
from taut.gradients import Reparameterized
from taut.guides import FlowPosterior
from taut.inference.compiled_steps import compiled_steps
from taut.inference.posterior import stochastic_vi
from taut.models.program import LogJoint
from taut.networks import MLP
from taut.transforms import (
    AbsoluteValue,
    AbstractLayer,
    Chain,
    Logit,
    Standardize,
    make_layers,
)

PATH = RESULTS / "toy_densities.json"
DOCS = Path(__file__).parent.parent / "docs"
ROWS = {"train": 200_000, "validation": 2_000, "test": 50_000}
GRID = 200  # cells a side of the figures
AIM = 0.03  # nats of gap
SECONDS = 120.0

PLANAR = (2, 8, 32)
STARTS = 2  # of each planar flow
START_SCALE = 2.0  # of the Gaussian that a flow starts from, which reaches all of a potential
BATCH_DRAWS, STRETCH = 128, 512  # draws a step, steps a stretch
DRAWS = 100_000  # that are weighed

# Heat and step size of each stretch.
HEATING = (
    *((heat, 0.01) for heat in np.linspace(0.1, 1.0, 8)),
    *((1.0, size) for size in np.geomspace(0.01, 3e-4, 8)),
)


class Recipe(NamedTuple):
    """A chain and how it is fitted.

    Attributes:
        front: layers before the couplings, given a key.
        line: of bijections, as `taut.transforms.make_layers` takes it.
        hidden, bins: of the couplings.
        steps, batch_size, rate: of Adam; the rate falls to 0 along a cosine.
    """

    front: Callable[[Any], Sequence[AbstractLayer]]
    line: str
    hidden: tuple[int, ...]
    bins: int
    steps: int = 10_000
    batch_size: int = 512
    rate: float = 3e-3

    def chain(self, key: Any) -> Chain:
        front_key, layers_key = jax.random.split(key)
        layers = make_layers(self.line, 2, key=layers_key, hidden=self.hidden, bins=self.bins)
        return Chain([*self.front(front_key), *layers])


def plane(key: Any) -> Sequence[AbstractLayer]:
    """Nothing, for a support without bounds."""
    return ()


def square(key: Any) -> Sequence[AbstractLayer]:
    """[-4, 4]^2 to the plane."""
    return (Logit((2,), -BOX, BOX, margin=MARGIN),)


def folded(key: Any) -> Sequence[AbstractLayer]:
    """[-4, 4]^2 by |x| to [0, 4]^2, each sign with even odds, and to the plane."""
    return (AbsoluteValue((2,)), Logit((2,), 0.0, BOX, margin=MARGIN))


def half_folded(key: Any) -> Sequence[AbstractLayer]:
    """[-4, 4]^2 by |x_2| to [0, 4]^2, the sign given by a network, and to the plane.

    The first coordinate is moved to where no sign is lost.
    """
    moved = Standardize(jnp.array([-BOX, 0.0]), jnp.array([2.0, 1.0]))
    signs = MLP(2, FOLD_HIDDEN, 2, activation="relu", key=key)
    return (moved, AbsoluteValue((2,), signs), Logit((2,), 0.0, BOX, margin=MARGIN))


MARGIN = 1e-6  # a float32 may be rounded onto the bound
FOLD_HIDDEN = (64, 64, 64)
RECIPES = {
    "checkerboard": Recipe(square, "actnorm,spline-coupling:4", (64, 64), 16),
    "checkerboard, folded": Recipe(half_folded, "actnorm,spline-coupling:2", (16,), 8),
    "corners": Recipe(square, "actnorm,spline-coupling:4", (64, 64), 16),
    "corners, folded": Recipe(folded, "actnorm,spline-coupling:2", (60, 60), 16),
    "eight-gaussians": Recipe(plane, "actnorm,spline-coupling:4", (64, 64), 16, steps=4000),
    "four-circles": Recipe(plane, "actnorm,spline-coupling:6", (64, 64), 16),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="fits whose names contain this word")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/toy_densities"))
    options = parser.parse_args()
    use_threads(options.threads)
    options.runs.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = json.loads(PATH.read_text()) if PATH.exists() else {}
    fits = {
        "densities": {n: lambda grid, n=n: density(n, grid) for n in RECIPES},
        "potentials": {
            f"{name}, planar:{k}": lambda grid, name=name, k=k: potential(name, k, grid)
            for name in POTENTIALS
            for k in PLANAR
        },
    }
    for part, methods in fits.items():
        outcomes = found.setdefault(part, {})
        for name, fitted in methods.items():
            if options.only and options.only not in name:
                continue
            grid = options.runs / f"{name.replace(', ', '-').replace(':', '-')}.npy"
            if name not in outcomes or not grid.exists():
                outcomes[name] = fitted(grid) | {"conditions": conditions()}
                save(found)
            print(f"{name:22}", summary(outcomes[name]), flush=True)
    if not options.only:
        draw_densities(options.runs)
        draw_potentials(options.runs)


def density(name: str, grid: Path) -> dict[str, Any]:
    """One fit, and its log-density on a grid."""
    recipe, target = RECIPES[name], TARGETS[name.partition(",")[0]]
    rng = np.random.default_rng(0)
    rows = tuple(target.sample(rng, count).astype(np.float32) for count in ROWS.values())
    began = time.perf_counter()
    fit = taut.fit(
        rows,
        model=taut.Flow(layers=recipe.chain(jax.random.key(0))),
        learning_rate=recipe.rate,
        learning_rate_schedule="cosine",
        warmup_steps=100,
        ema=0.999,
        epochs=max(1, round(recipe.steps * recipe.batch_size / len(rows[0]))),
        batch_size=recipe.batch_size,
        patience=0,
        key=0,
    )
    seconds = time.perf_counter() - began
    log_q = fit.estimates["log_evidence"]
    assert log_q.values is not None
    log_p = target.log_density(rows[2].astype(np.float64))
    # Rounding to float32 moves a few rows over an edge.
    gap = (log_p - log_q.values)[np.isfinite(log_p)]
    nodes = grid_nodes(-BOX, BOX)
    points = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2).astype(np.float32)
    values = importance_sampling(
        fit.pair, Datum(points), key=jax.random.key(0), num_particles=2
    ).log_evidence.values
    assert values is not None
    np.save(grid, values.reshape(GRID, GRID))
    arrays = jax.tree.leaves(eqx.filter(fit.pair, eqx.is_inexact_array))
    return {
        "gap": float(gap.mean()),
        "gap_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
        "log_likelihood": log_q.value,
        "log_likelihood_error": log_q.data_error,
        "ceiling": target.ceiling,
        "side": log_q.side,
        "parameters": sum(a.size for a in arrays),
        "seconds": seconds,
        "steps": fit.facts.steps,
    }


def potential(name: str, k: int, grid: Path) -> dict[str, Any]:
    """The best of several fits of k planar layers, and its log-density on a grid."""
    target = POTENTIALS[name]
    began = time.perf_counter()
    with jax.enable_x64(True):
        fits = [weighed(target, annealed(target, k, key), key) for key in range(STARTS)]
        best = min(fits, key=lambda fit: target.log_z - fit.log_w.mean())
        np.save(grid, on_grid(best.flow, target))
    log_w = best.log_w
    weights = np.exp(log_w - log_w.max())
    return {
        "kl": float(target.log_z - log_w.mean()),
        "kl_error": float(log_w.std(ddof=1) / np.sqrt(DRAWS)),
        "kl_of_starts": [float(target.log_z - fit.log_w.mean()) for fit in fits],
        "log_z": target.log_z,
        "log_z_weighed": float(log_w.max() + np.log(weights.mean())),
        "log_z_error": float(weights.std(ddof=1) / weights.mean() / np.sqrt(DRAWS)),
        "effective_draws": float(weights.sum() ** 2 / (weights**2).sum()),
        "draws": DRAWS,
        "seconds": time.perf_counter() - began,
    }


class WeightedDraws(NamedTuple):
    """A flow and the log-weights of its draws, nats, (DRAWS,)."""

    flow: FlowPosterior
    log_w: np.ndarray


def annealed(target: Potential, k: int, key: int) -> FlowPosterior:
    """GuideFit of the ELBO of exp(-heat U) as heat rises to 1, then with falling step sizes."""
    model, datum = program(target)
    flow_key, run_key = jax.random.split(jax.random.key(key))
    flow = FlowPosterior(2, f"planar:{k}", scale_tril=START_SCALE * jnp.eye(2), key=flow_key)
    algorithm = stochastic_vi(
        model, flow, datum.x, key=run_key, step_size=HEATING[0][1], num_draws=BATCH_DRAWS,
        estimator=Reparameterized(),
    )  # fmt: skip
    run, state = compiled_steps(algorithm), algorithm.init()
    rows, order = Datum(x=np.zeros(1)), np.zeros((STRETCH, 1), np.int32)
    for heat, size in HEATING:
        state = state._replace(data={"heat": jnp.asarray(heat)}).restarted(size)
        state, _ = run(state, rows, order, STRETCH)
    return algorithm.pair(state).bind()[1]


def weighed(target: Potential, flow: FlowPosterior, key: int) -> WeightedDraws:
    """Draws of a flow under the target itself."""
    model, datum = program(target)
    z, log_q = jax.jit(lambda f, k: f.sample_and_log_prob(k, DRAWS))(flow, jax.random.key(~key))
    log_joint = jax.jit(jax.vmap(lambda one: total(model.terms(datum, one))))(z)
    return WeightedDraws(flow, np.asarray(log_joint - log_q))


def program(target: Potential) -> tuple[LogJoint, Datum]:
    """exp(-heat U) over the plane, or over |z_1| <= 4 as the image of the plane."""
    first = constraints.interval(-BOX, BOX) if target.boxed else constraints.real
    return LogJoint.of(
        lambda z1, z2, heat: -heat * target.energy(jnp.stack([z1, z2])),
        {"z1": first, "z2": "real"},
        {"heat": np.ones(())},
    )


def on_grid(flow: FlowPosterior, target: Potential) -> np.ndarray:
    """log q(z) in the plane, nats; where the target has a box, by the map that the fit went through."""
    nodes = grid_nodes(-BOX, BOX)
    points = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    volume = np.zeros(len(points))
    if target.boxed:
        share = (points[:, 0] + BOX) / (2 * BOX)
        points = np.stack([np.log(share) - np.log1p(-share), points[:, 1]], axis=1)
        volume = -np.log(2 * BOX * share * (1 - share))
    log_q = jax.jit(jax.vmap(flow.log_prob))(jnp.asarray(points))
    return (np.asarray(log_q) + volume).reshape(GRID, GRID)


def grid_nodes(low: float, high: float) -> np.ndarray:
    """Centres of the cells."""
    return low + (high - low) * (np.arange(GRID) + 0.5) / GRID


def summary(outcome: dict[str, Any]) -> str:
    if "gap" in outcome:
        return (
            f"gap {outcome['gap']:.4f} ± {outcome['gap_error']:.4f} nats (aim {AIM}), "
            f"{outcome['parameters']} parameters, {outcome['seconds']:.0f} s (aim {SECONDS:.0f})"
        )
    log_z = f"{outcome['log_z_weighed']:.4f} ± {outcome['log_z_error']:.4f}"
    return (
        f"KL {outcome['kl']:.4f} ± {outcome['kl_error']:.4f} nats, "
        f"log Z {outcome['log_z']:.4f}, weighed {log_z}, {outcome['seconds']:.0f} s"
    )


def save(found: dict[str, Any]) -> None:
    write_whole(PATH, found)


def draw_densities(runs: Path) -> None:
    """Targets above, fits below, folded ones in a third row."""
    nodes = grid_nodes(-BOX, BOX)
    points = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    columns = []
    for name, target in TARGETS.items():
        column = {name: target.log_density(points).reshape(GRID, GRID)}
        for fit, title in ((name, "spline couplings"), (f"{name}, folded", "folded, half of them")):
            if fit in RECIPES:
                column[title] = np.load(runs / f"{fit.replace(', ', '-')}.npy")
        columns.append(column)
    panels(columns, DOCS / "toy_densities.png")


def draw_potentials(runs: Path) -> None:
    """Targets above, planar flows below."""
    nodes = grid_nodes(-BOX, BOX)
    points = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    columns = []
    for name, target in POTENTIALS.items():
        energy = np.asarray(jax.vmap(target.energy)(points))
        column = {name: (-energy - target.log_z).reshape(GRID, GRID)}
        for k in PLANAR:
            column[f"{k} planar layers"] = np.load(runs / f"{name}-planar-{k}.npy")
        columns.append(column)
    panels(columns, DOCS / "potentials.png")


def panels(columns: Sequence[dict[str, np.ndarray]], path: Path) -> None:
    """Log-densities as densities, one colour scale a column."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    depth = max(map(len, columns))
    figure, axes = plt.subplots(
        depth, len(columns), figsize=(2 * len(columns), 2.15 * depth), layout="constrained"
    )
    for j, column in enumerate(columns):
        top = np.exp(next(iter(column.values()))).max()
        for i in range(depth):
            axis = axes[i, j]
            axis.set_axis_off()
            if i < len(column):
                title, log_density = list(column.items())[i]
                axis.imshow(
                    np.exp(log_density), origin="lower", vmin=0, vmax=top, cmap="viridis",
                    extent=(-BOX, BOX, -BOX, BOX),
                )  # fmt: skip
                axis.set_title(title, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
