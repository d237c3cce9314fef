"""Estimators with a mistake each, which the laws must catch."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from taut.core import NEG_LOG_Q, frozen, log_weighted_sum, particles, total, weighted_sum
from taut.gradients import AbstractEstimator, Claim, Surrogate


def held(made):
    """Particles with no gradient through log q at the draws."""
    terms = {n: jax.lax.stop_gradient(t) if n == NEG_LOG_Q else t for n, t in made.terms.items()}
    return eqx.tree_at(lambda p: p.terms, made, terms)


def still(model, guide, datum, key, bound):
    """Particles whose draws do not move."""
    return particles(model, frozen(guide), guide, datum, key, bound.minted)


class DropsLogQ(AbstractEstimator):
    """Planted: the density of the guide is left out of the log-weights."""

    name: ClassVar[str] = "drops_log_q"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, guide, datum, key, bound.minted)
        kept = {name: t for name, t in made.terms.items() if name != NEG_LOG_Q}
        without = eqx.tree_at(lambda p: p.terms, made, kept)
        return Surrogate(bound(made), bound.objective(without, step))


class WrongFactor(AbstractEstimator):
    """Planted: the surrogate is a thousandth too large."""

    name: ClassVar[str] = "wrong_factor"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, guide, datum, key, bound.minted)
        return Surrogate(bound(made), 1.001 * bound.objective(made, step))


class FrozenPath(AbstractEstimator):
    """Planted: only the integrand is differentiated."""

    name: ClassVar[str] = "frozen_path"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, frozen(guide), guide, datum, key, bound.minted)
        return Surrogate(bound(made), bound.objective(made, step))


class SticksToTheLanding(AbstractEstimator):
    """Planted for bounds of more than one particle: the score is dropped where it has a mean."""

    name: ClassVar[str] = "sticks_to_the_landing"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, frozen(guide), datum, key, bound.minted)
        return Surrogate(bound(made), bound.objective(made, step))


class SquaredWeights(AbstractEstimator):
    """Planted for Renyi bounds: the path's weights are those of IWAE, w~^2."""

    name: ClassVar[str] = "squared_weights"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(frozen(model), guide, frozen(guide), datum, key, bound.minted)
        weights = jax.nn.softmax(jax.lax.stop_gradient((1.0 - bound.alpha) * made.log_w))
        return Surrogate(bound(made), jnp.sum(weights**2 * made.log_w))


class SignalWithoutLogQ(AbstractEstimator):
    """Planted: the score is weighed by log p(x, z) alone."""

    name: ClassVar[str] = "signal_without_log_q"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        log_p = total({n: t for n, t in made.terms.items() if n != NEG_LOG_Q}, batch_ndim=1)
        score = weighted_sum(made.log_mass, jax.lax.stop_gradient(log_p) * made.log_q)
        return Surrogate(bound(made), bound.objective(made, step) + score)


class LiveSignal(AbstractEstimator):
    """Planted: the signal is differentiated together with the score."""

    name: ClassVar[str] = "live_signal"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        score = bound(made) * jnp.sum(made.log_q)
        return Surrogate(bound(made), bound.objective(made, step) + score)


class BaselineOfThisBatch(AbstractEstimator):
    """Planted: the moving average has been moved by the draws that it is subtracted from."""

    name: ClassVar[str] = "baseline_of_this_batch"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        signal = jax.lax.stop_gradient(bound(made))
        score = (signal - (0.9 * -1.0 + 0.1 * signal)) * jnp.sum(made.log_q)
        return Surrogate(bound(made), bound.objective(made, step) + score)


class MeanOfAllDraws(AbstractEstimator):
    """Planted: each draw's baseline is the mean of all draws, itself among them."""

    name: ClassVar[str] = "mean_of_all_draws"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        signal = jax.lax.stop_gradient(made.log_w)
        score = weighted_sum(made.log_mass, (signal - jnp.mean(signal)) * made.log_q)
        return Surrogate(bound(made), bound.objective(held(made), step) + score)


class ScoreOfTheLogarithmDropped(AbstractEstimator):
    """Planted for IWAE: -sum_k w~_k grad log q(z_k) is taken for a score of mean zero."""

    name: ClassVar[str] = "score_of_the_logarithm_dropped"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        score = jax.lax.stop_gradient(bound(made)) * jnp.sum(made.log_q)
        return Surrogate(bound(made), bound.objective(held(made), step) + score)


class GeometricMeanOfAll(AbstractEstimator):
    """Planted for IWAE: the weight that stands in for w_k has w_k in it."""

    name: ClassVar[str] = "geometric_mean_of_all"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = still(model, guide, datum, key, bound)
        log_w = jax.lax.stop_gradient(made.log_w)
        without = [
            log_weighted_sum(made.log_mass, log_w.at[k].set(jnp.mean(log_w)))
            for k in range(bound.minted)
        ]
        signals = jax.lax.stop_gradient(bound(made)) - jnp.stack(without)
        return Surrogate(bound(made), bound.objective(made, step) + signals @ made.log_q)
