"""Stochastic VI over minibatches of a plate, its progress measured on all rows.

Where rows have latents of their own, a structured guide starts from independent coordinates. Where all
latents are shared, few steps suffice: a pilot fit to P of the N rows, which count N/P times each, finds
scales and correlations by natural gradients, steps are taken in those coordinates (`Whitened`), and a
control variate at the last stage's mean reduces their noise (`SVRG`).

Devices and hosts share the rows of a minibatch. All else each host does by itself, and where a number
decides what follows it takes that of host 0: all take the same steps, whatever their processors round.

In the end the curvature along every direction is computed once: a guide that would widen severalfold
along one of them has not converged, however little its last steps gained.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core import Datum, RunError, key_from
from taut.core.devices import on_all, on_one
from taut.core.hosts import from_first
from taut.data import batch_indices
from taut.gradients import StickingTheLanding
from taut.guides import StructuredGuide
from taut.inference.compiled_steps import compiled_steps
from taut.inference.posterior.averaged_sgd import STAGE_STEPS, averaged_sgd
from taut.inference.posterior.gaussian import Gaussian, improper
from taut.inference.posterior.gaussian_family import GaussianFamily
from taut.inference.posterior.guide_fit import GuideFit
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.stochastic_vi import stochastic_vi
from taut.inference.posterior.svrg import SVRG
from taut.inference.posterior.whitened import Whitened
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models.program import NumPyroProgram

__all__ = ["minibatch_vi", "pilot_density"]

_FIRST_SIZE = 0.1  # a step of a tenth in the logarithm of a scale
_REPLICATES, _DRAWS = 4, 8  # of the whole ELBO, in pairs e and -e
_UNBOUNDED = 25.0  # logarithm of a standard deviation
_FLAT = 0.1  # curvature in units of the guide's: it would widen threefold there
_LOOKED = 32  # draws at least that the curvature is averaged over
_PILOT = 20_000  # rows: enough for scales, few enough that a hundred gradients take a second


class _Plan(NamedTuple):
    """How one kind of guide is optimized.

    Attributes:
        model: p(x, z) of a minibatch in the coordinates of the steps.
        guide: where the steps start.
        dense: from a guide to the Gaussian over z of all rows that it is.
        next_model: p(x, z) of the next stage, given the Gaussian after the last.
        start: what the first stage is compared with; None for nothing.
    """

    model: Any
    guide: StructuredGuide
    dense: Callable[[StructuredGuide], Gaussian]
    next_model: Callable[[Gaussian], Any]
    start: StructuredGuide | None


def minibatch_vi(
    batch_model: NumPyroProgram,
    density: LogDensity,
    datum: Datum,
    pilot: Gaussian | None,
    generator: np.random.Generator,
    *,
    precision_nats: float,
    stages: AbstractStages = UNKEPT,
) -> GuideFit:
    """Optimize until less than the precision remains to be gained; see `averaged_sgd`.

    Arguments:
        batch_model: p(x, z) of a minibatch of a plate.
        density: log p(x, z) of all rows.
        datum: all data.
        pilot: the Gaussian of some rows, where all latents are shared; None for rows with their own.
        generator: of everything random.
        precision_nats: nats that may remain to be gained.
        stages: of which every stage of steps is one.

    Returns:
        a fit whose guide is one Gaussian over all rows' latents.

    Raises:
        RunError: the bound is not finite, or a standard deviation grows without end.
    """
    plate = batch_model.reading.plate
    assert plate is not None
    plan = (
        _from_independent(batch_model, generator)
        if pilot is None
        else _whitened(batch_model, density, from_first(pilot))
    )
    data = on_all(jax.device_put(datum.x))
    key = key_from(generator)
    algorithm = stochastic_vi(
        plan.model, plan.guide, data, key=key, step_size=_FIRST_SIZE,
        estimator=StickingTheLanding(),
    )  # fmt: skip
    run, state = compiled_steps(algorithm), algorithm.init()
    seed, numbers = int(generator.integers(2**31)), np.arange(plate.size, dtype=np.int32)
    batches = on_all(jax.device_put(Datum(x=numbers, index=numbers)))
    half = generator.standard_normal((_REPLICATES, _DRAWS // 2, len(plan.dense(plan.guide).mean)))
    noise = np.concatenate([half, -half], axis=1)

    def advance(number: int, size: float) -> StructuredGuide:
        nonlocal state
        if number:
            last = plan.dense(algorithm.pair(state).bind()[1])
            state = state.with_model(plan.next_model(last))
        order = batch_indices(seed, number * STAGE_STEPS, STAGE_STEPS, plate.size, plate.batch_size)
        begun = state.restarted(size)
        state = begun.moved(
            stages.once(
                begun.moving, lambda: on_one(run(begun, batches, order, STAGE_STEPS)[0].moving)
            )
        )
        return algorithm.pair(state).bind()[1]

    def value(found: StructuredGuide) -> Float[np.ndarray, " R"]:
        q = plan.dense(found)
        z = q.mean + noise.reshape(-1, len(q.mean)) @ q.tril.T
        each = density.values(z) - q.log_prob(z)
        values = from_first(each.reshape(_REPLICATES, _DRAWS).mean(axis=1))
        _check(q, found, values, int(state.step), batch_model.all_rows().layout.named)
        return values

    fitted = averaged_sgd(
        advance, value, start=plan.start, step_size=_FIRST_SIZE, precision_nats=precision_nats,
        num_draws=_DRAWS,
    )  # fmt: skip
    found = plan.dense(fitted.guide)
    curved = _least_curvature(density, found, generator) > _FLAT
    return fitted._replace(guide=found, converged=fitted.converged and curved)


def pilot_density(
    batch_model: NumPyroProgram, datum: Datum, generator: np.random.Generator
) -> LogDensity:
    """log p(x, z) of some rows that count N/P times each, all latents being shared.

    Arguments:
        batch_model: p(x, z) of a minibatch.
        datum: all data.
        generator: of the choice of rows.
    """
    plate = batch_model.reading.plate
    assert plate is not None
    size = min(plate.size, max(_PILOT, plate.batch_size))
    chosen = jnp.asarray(np.sort(generator.choice(plate.size, size, replace=False)))
    cells = sum(np.size(leaf) for leaf in jax.tree.leaves(datum.x)) * size // plate.size
    return LogDensity(batch_model.with_batch(size), Datum(x=datum.x, index=chosen), cells=cells)


def _from_independent(batch_model: NumPyroProgram, generator: np.random.Generator) -> _Plan:
    """A structured guide in the coordinates of the program."""
    assert batch_model.reading.plate is not None
    loc = jnp.asarray(generator.uniform(-0.5, 0.5, batch_model.num_globals))
    guide = StructuredGuide.start(loc, batch_model.reading.plate.size, batch_model.num_locals)
    return _Plan(batch_model, guide, lambda q: _gaussian(q), lambda _: batch_model, None)


def _whitened(batch_model: NumPyroProgram, density: LogDensity, pilot: Gaussian) -> _Plan:
    """Shared latents alone, in the coordinates of a Gaussian near their posterior."""
    assert batch_model.reading.plate is not None

    def anchored_at(q: Gaussian) -> Whitened:
        gradient = from_first(density(q.mean[None])[1][0])
        model = SVRG(batch_model, jnp.asarray(q.mean), jnp.asarray(gradient))
        return Whitened(model, jnp.asarray(pilot.mean), jnp.asarray(pilot.tril))

    def dense(guide: StructuredGuide) -> Gaussian:
        inner = _gaussian(guide)
        return Gaussian(pilot.mean + pilot.tril @ inner.mean, pilot.tril @ inner.tril)

    guide = StructuredGuide.start(
        jnp.zeros(batch_model.dim), batch_model.reading.plate.size, 0, scale=1.0
    )
    return _Plan(anchored_at(pilot), guide, dense, anchored_at, guide)


def _gaussian(guide: StructuredGuide) -> Gaussian:
    mean, tril = guide(Datum(x=None)).dense()
    return Gaussian(np.asarray(mean), np.asarray(tril))


def _least_curvature(density: LogDensity, q: Gaussian, generator: np.random.Generator) -> float:
    family = GaussianFamily(density, len(q.mean))
    return float(
        family.curvature(q, family.draws(generator, -(-_LOOKED // (2 * len(q.mean))))).min()
    )


def _check(
    q: Gaussian, guide: StructuredGuide, values: np.ndarray, step: int, named: Callable[[int], str]
) -> None:
    if not np.isfinite(values).all():
        raise RunError(
            "a finite ELBO", f"{values[~np.isfinite(values)][0]} after {step} steps",
            "another key, or data and parameters in units near 1", where="minibatches",
        )  # fmt: skip
    widest = float(np.max(np.asarray(guide.log_diagonal), initial=-np.inf))
    if widest > _UNBOUNDED:
        raise improper(q, float(values.mean()), named=named)
