"""Stochastic ascent of a structured guide over minibatches of a plate, judged on all rows."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import ELBO
from taut.core import AbstractModel, Datum, RunError, particles
from taut.data import batch_indices
from taut.guides import StructuredGuide
from taut.inference import STRETCH, Ascent, climb_in_stretches, minibatch
from taut.training import compiled_steps

__all__ = ["ascend_minibatches"]

_FIRST_SIZE = 0.1  # a step of a tenth in the logarithm of a scale
_REPLICATES, _DRAWS = 4, 8  # of the whole bound
_RUNAWAY = 25.0  # logarithm of a standard deviation


class _Whole(NamedTuple):
    model: AbstractModel
    datum: Datum
    keys: PRNGKeyArray


def ascend_minibatches(
    model: Any,
    whole_model: Any,
    datum: Datum,
    guide: StructuredGuide,
    *,
    batch_size: int,
    num_rows: int,
    key: PRNGKeyArray,
    precision_nats: float,
) -> Ascent:
    """Climb until stretches gain less than the precision; see `climb_in_stretches`.

    Arguments:
        model: p(x, z) of a minibatch.
        whole_model: of all rows.
        datum: all data.
        guide: where to start.
        batch_size: B.
        num_rows: N.
        key: of everything random.
        precision_nats: of the gain.

    Raises:
        RunError: the bound is not finite, or a standard deviation grows without end.
    """
    run_key, whole_key, seed_key = jax.random.split(key, 3)
    data = jax.device_put(datum.x)
    algorithm = minibatch(model, guide, data, key=run_key, step_size=_FIRST_SIZE)
    run, state = compiled_steps(algorithm), algorithm.init()
    seed = int(jax.random.bits(seed_key, dtype=jnp.uint32))
    numbers = np.arange(num_rows, dtype=np.int32)
    rows = jax.device_put(Datum(x=numbers, index=numbers))
    whole = _Whole(whole_model, Datum(x=data), jax.random.split(whole_key, _REPLICATES))
    bound = eqx.filter_jit(_whole_bound)

    def advance(number: int, size: float) -> StructuredGuide:
        nonlocal state
        order = batch_indices(seed, number * STRETCH, STRETCH, num_rows, batch_size)
        state, _ = run(state.restarted(size), rows, order, STRETCH)
        return algorithm.pair(state).bind()[1]

    def value(found: StructuredGuide) -> Float[np.ndarray, " R"]:
        values = np.asarray(bound(found, whole), np.float64)
        _check(found, values, int(state.step))
        return values

    return climb_in_stretches(
        advance, value, step_size=_FIRST_SIZE, precision_nats=precision_nats, num_draws=_DRAWS
    )


def _whole_bound(guide: Any, whole: _Whole) -> Float[Array, " R"]:
    """The ELBO of all rows, one value for each key; draw by draw, so that memory holds one."""
    bound = ELBO(num_draws=1)

    def one(key: PRNGKeyArray) -> Float[Array, ""]:
        return bound(particles(whole.model, guide, guide, whole.datum, key, 1))

    keys = jax.vmap(lambda key: jax.random.split(key, _DRAWS))(whole.keys)
    return jax.lax.map(lambda row: jnp.mean(jax.lax.map(one, row)), keys)


def _check(guide: StructuredGuide, values: np.ndarray, step: int) -> None:
    if not np.isfinite(values).all():
        raise RunError(
            "a finite bound", f"{values[~np.isfinite(values)][0]} after {step} steps",
            "another key, or data and parameters in units near 1", where="minibatches",
        )  # fmt: skip
    widest = float(np.max(np.asarray(guide.log_diagonal), initial=-np.inf))
    if widest > _RUNAWAY:
        raise RunError(
            "a bound that stops rising: a posterior of finite mass",
            f"a standard deviation of {np.exp(widest):.1g} after {step} steps",
            "a proper prior for every parameter",
            where="improper posterior",
        )
