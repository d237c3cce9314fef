"""Stochastic ascent that stops by what a stretch of steps gains on all rows.

One stretch is 500 steps at one step size; its guide is the mean of their iterates. Stretches are
compared on all rows and common draws, so that neither the choice of rows nor most of the draws
stands between them:

    gain_j = mean over replicates r of  f_r(q_j) - f_r(q_{j-1}),       f_r the whole bound on draws r

A stretch that gains less than the precision, with its standard error, or that loses, halves the
step size. The excess of iterates is of the order of the step size, so after a halving that gains g
the later ones promise g together: the ascent stops when two stretches in a row, with a halving
between, gain less than the precision. (Welandawe, Andersen, Vehtari and Huggins 2024 stop by the
same extrapolation, from the iterates' own stationarity.)
"""

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import stdtrit

from taut.bounds import ELBO
from taut.core import AbstractModel, Datum, Estimate, RunError, particles
from taut.data import batch_indices
from taut.guides import StructuredGuide
from taut.inference import Ascent, Round, minibatch
from taut.training import compiled_steps

__all__ = ["ascend_minibatches"]

_STRETCH = 500  # steps; Adam's longest memory is a hundred
_FIRST_SIZE = 0.1  # a step of a tenth in the logarithm of a scale
_LEAST_SIZE = 1e-6
_MOST_STRETCHES = 200
_REPLICATES, _DRAWS = 4, 8  # of the whole bound
_QUANTILE = 0.95
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
    """Climb until stretches gain less than the precision.

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
    began = time.perf_counter()
    run_key, whole_key, seed_key = jax.random.split(key, 3)
    data = jax.device_put(datum.x)
    algorithm = minibatch(model, guide, data, key=run_key, step_size=_FIRST_SIZE)
    run, state = compiled_steps(algorithm), algorithm.init()
    seed = int(jax.random.bits(seed_key, dtype=jnp.uint32))
    numbers = np.arange(num_rows, dtype=np.int32)
    rows = jax.device_put(Datum(x=numbers, index=numbers))
    whole = _Whole(whole_model, Datum(x=data), jax.random.split(whole_key, _REPLICATES))
    value = eqx.filter_jit(_whole_bound)

    size, quiet, before, rounds, best = _FIRST_SIZE, 0, None, [], guide
    t = float(stdtrit(_REPLICATES - 1, _QUANTILE))
    gain, gain_error = np.inf, np.inf
    while quiet < 2 and len(rounds) < _MOST_STRETCHES and size > _LEAST_SIZE:
        step = len(rounds) * _STRETCH
        order = batch_indices(seed, step, _STRETCH, num_rows, batch_size)
        state, _ = run(state.restarted(size), rows, order, _STRETCH)
        _, found = algorithm.pair(state).bind()
        after = np.asarray(value(found, whole), np.float64)
        _check(found, after, step + _STRETCH)
        if before is not None:
            gain, gain_error = _mean_and_error(after - before)
        if before is None or gain > 0:
            best, before = found, after
        rounds.append(
            Round(
                _DRAWS, step + _STRETCH, float(np.nan), *_mean_and_error(after), gain, gain_error,
                time.perf_counter() - began,
            )
        )  # fmt: skip
        settled = gain + t * gain_error < precision_nats
        quiet = quiet + 1 if settled else 0
        if settled or gain <= t * gain_error:
            size /= 2
    bound, error = _mean_and_error(before) if before is not None else (np.nan, np.nan)
    return Ascent(
        best,
        Estimate(bound, "lower", error, unit="nats"),
        Estimate(max(gain, 0.0), "none", gain_error, unit="nats"),
        tuple(rounds),
        quiet >= 2,
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


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
