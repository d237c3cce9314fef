"""Stochastic ascent over minibatches of a plate, judged on all rows.

Where rows have latents of their own, a structured guide climbs from independent coordinates. Where all
latents are shared, a few steps suffice: Newton's method on some rows, which count N/P times each, finds
scales and correlations, steps are taken in those coordinates (`Whitened`), and their noise is that of
differences to the last stretch's mean (`Anchored`).

In the end the curvature along every direction is looked at once: a guide that would widen severalfold
along one of them has not converged, however little its last steps gained.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import Datum, RunError, key_from
from taut.data import batch_indices
from taut.gradients import StickingTheLanding
from taut.guides import StructuredGuide
from taut.inference.compiled_steps import compiled_steps
from taut.inference.posterior.averaged_sgd import STRETCH, climb_in_stretches
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.gaussian_ascent import GaussianAscent
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.sample_average import Ascent
from taut.inference.posterior.stochastic_vi import minibatch
from taut.inference.posterior.svrg import Anchored
from taut.inference.posterior.whitened import Whitened
from taut.models.program import NumPyroProgram

__all__ = ["ascend_minibatches", "pilot_density"]

_FIRST_SIZE = 0.1  # a step of a tenth in the logarithm of a scale
_REPLICATES, _DRAWS = 4, 8  # of the whole bound, in pairs e and -e
_RUNAWAY = 25.0  # logarithm of a standard deviation
_FLAT = 0.1  # curvature in units of the guide's: it would widen threefold there
_LOOKED = 32  # draws at least that the curvature is averaged over
_PILOT = 20_000  # rows: enough for scales, few enough that a hundred gradients take a second


class _Route(NamedTuple):
    """How one kind of guide is climbed.

    Attributes:
        model: p(x, z) of a minibatch in the coordinates of the steps.
        guide: where the steps start.
        dense: from a guide to the Gaussian over z of all rows that it is.
        anchored: the model for the next stretch, given the last Gaussian.
        start: what the first stretch is compared with; None for nothing.
    """

    model: Any
    guide: StructuredGuide
    dense: Callable[[StructuredGuide], Gaussian]
    anchored: Callable[[Gaussian], Any]
    start: StructuredGuide | None


def ascend_minibatches(
    part: NumPyroProgram,
    density: LogDensity,
    datum: Datum,
    pilot: Gaussian | None,
    generator: np.random.Generator,
    *,
    precision_nats: float,
) -> Ascent:
    """Climb until stretches gain less than the precision; see `climb_in_stretches`.

    Arguments:
        part: p(x, z) of a minibatch of a plate.
        density: log p(x, z) of all rows.
        datum: all data.
        pilot: the Gaussian of some rows, where all latents are shared; None for rows with their own.
        generator: of everything random.
        precision_nats: of the gain.

    Returns:
        an ascent whose guide is one Gaussian over all rows' latents.

    Raises:
        RunError: the bound is not finite, or a standard deviation grows without end.
    """
    rows = part.reading.rows
    assert rows is not None
    route = _from_independent(part, generator) if pilot is None else _whitened(part, density, pilot)
    data = jax.device_put(datum.x)
    key = key_from(generator)
    algorithm = minibatch(
        route.model, route.guide, data, key=key, step_size=_FIRST_SIZE,
        estimator=StickingTheLanding(),
    )  # fmt: skip
    run, state = compiled_steps(algorithm), algorithm.init()
    seed, numbers = int(generator.integers(2**31)), np.arange(rows.size, dtype=np.int32)
    batches = jax.device_put(Datum(x=numbers, index=numbers))
    half = generator.standard_normal((_REPLICATES, _DRAWS // 2, len(route.dense(route.guide).mean)))
    noise = np.concatenate([half, -half], axis=1)

    def advance(number: int, size: float) -> StructuredGuide:
        nonlocal state
        if number:
            last = route.dense(algorithm.pair(state).bind()[1])
            state = state.with_model(route.anchored(last))
        order = batch_indices(seed, number * STRETCH, STRETCH, rows.size, rows.batch)
        state, _ = run(state.restarted(size), batches, order, STRETCH)
        return algorithm.pair(state).bind()[1]

    def value(found: StructuredGuide) -> Float[np.ndarray, " R"]:
        q = route.dense(found)
        z = q.mean + noise.reshape(-1, len(q.mean)) @ q.tril.T
        each = density.values(z) - q.log_prob(z)
        values = each.reshape(_REPLICATES, _DRAWS).mean(axis=1)
        _check(q, found, values, int(state.step))
        return values

    climbed = climb_in_stretches(
        advance, value, start=route.start, step_size=_FIRST_SIZE, precision_nats=precision_nats,
        num_draws=_DRAWS,
    )  # fmt: skip
    found = route.dense(climbed.guide)
    steep = _least_curvature(density, found, generator) > _FLAT
    return climbed._replace(guide=found, converged=climbed.converged and steep)


def pilot_density(part: NumPyroProgram, datum: Datum, generator: np.random.Generator) -> LogDensity:
    """log p(x, z) of some rows that count N/P times each, all latents being shared.

    Arguments:
        part: p(x, z) of a minibatch.
        datum: all data.
        generator: of the choice of rows.
    """
    rows = part.reading.rows
    assert rows is not None
    size = min(rows.size, max(_PILOT, rows.batch))
    chosen = jnp.asarray(np.sort(generator.choice(rows.size, size, replace=False)))
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum.x)) * size // rows.size
    return LogDensity(part.with_batch(size), Datum(x=datum.x, index=chosen), cells=cells)


def _from_independent(part: NumPyroProgram, generator: np.random.Generator) -> _Route:
    """A structured guide in the coordinates of the program."""
    assert part.reading.rows is not None
    loc = jnp.asarray(generator.uniform(-0.5, 0.5, part.num_globals))
    guide = StructuredGuide.start(loc, part.reading.rows.size, part.num_locals)
    return _Route(part, guide, lambda q: _gaussian(q), lambda _: part, None)


def _whitened(part: NumPyroProgram, density: LogDensity, pilot: Gaussian) -> _Route:
    """Shared latents alone, in the coordinates of a Gaussian near their posterior."""
    assert part.reading.rows is not None

    def anchored(q: Gaussian) -> Whitened:
        _, gradient = density(q.mean[None])
        at = Anchored(part, jnp.asarray(q.mean), jnp.asarray(gradient[0]))
        return Whitened(at, jnp.asarray(pilot.mean), jnp.asarray(pilot.tril))

    def dense(guide: StructuredGuide) -> Gaussian:
        inner = _gaussian(guide)
        return Gaussian(pilot.mean + pilot.tril @ inner.mean, pilot.tril @ inner.tril)

    guide = StructuredGuide.start(jnp.zeros(part.dim), part.reading.rows.size, 0, scale=1.0)
    return _Route(anchored(pilot), guide, dense, anchored, guide)


def _gaussian(guide: StructuredGuide) -> Gaussian:
    mean, tril = guide(Datum(x=None)).dense()
    return Gaussian(np.asarray(mean), np.asarray(tril))


def _least_curvature(density: LogDensity, q: Gaussian, generator: np.random.Generator) -> float:
    ascent = GaussianAscent(density, len(q.mean))
    return float(
        ascent.curvature(q, ascent.draws(generator, -(-_LOOKED // (2 * len(q.mean))))).min()
    )


def _check(q: Gaussian, guide: StructuredGuide, values: np.ndarray, step: int) -> None:
    if not np.isfinite(values).all():
        raise RunError(
            "a finite bound", f"{values[~np.isfinite(values)][0]} after {step} steps",
            "another key, or data and parameters in units near 1", where="minibatches",
        )  # fmt: skip
    widest = float(np.max(np.asarray(guide.log_diagonal), initial=-np.inf))
    if widest > _RUNAWAY:
        raise RunError(
            "a bound that stops rising: a posterior of finite mass",
            f"a standard deviation of {q.scale.max():.1g} after {step} steps",
            "a proper prior for every parameter",
            where="improper posterior",
        )
