"""KL(q to p) in closed form for pairs of univariate, categorical and Dirichlet families.

    KL(q to p) = E_q[log q - log p]        [nats];  +inf where q leaves p's support;  0 log 0 = 0

`RULES` maps a pair of families to its formula. Formulas return the broadcast batch shape and are pure
functions of arrays. `AUDITED` names the pairs for which NumPyro's own formula is used as it stands:
those that agree with quadrature at float64 precision in the tests. Left out of it are NumPyro's rules
for Kumaraswamy against Beta, a series cut after ten terms; for categorical probabilities, whose gradient
is NaN at 0 log 0; and for a Delta, which gives a density's height for a divergence.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import discrete
from numpyro.distributions.kl import kl_divergence

from taut.core import InputError
from taut.distributions.continuous_bernoulli import ContinuousBernoulli, log_normalizer

__all__ = ["AUDITED", "RULES", "Rule", "leaf_rule"]

Rule = Callable[[Any, Any], Array]

AUDITED: tuple[tuple[type, type], ...] = (
    (dist.Beta, dist.Beta),
    (dist.Dirichlet, dist.Dirichlet),
    (dist.Gamma, dist.Gamma),
    (dist.Normal, dist.Normal),
    (dist.Weibull, dist.Gamma),
)

RULES: dict[tuple[type, type], Rule] = dict.fromkeys(AUDITED, kl_divergence)


def leaf_rule(q: type, p: type) -> Rule | None:
    """The rule of the nearest pair of base classes; None where there is none."""
    for q_base in q.__mro__:
        for p_base in p.__mro__:
            if (q_base, p_base) in RULES:
                return RULES[q_base, p_base]
    return None


def _rule(qs: tuple[type, ...], ps: tuple[type, ...] | None = None) -> Callable[[Rule], Rule]:
    """Register a formula for every pair of a family in `qs` with one in `ps`."""

    def register(formula: Rule) -> Rule:
        RULES.update({(q, p): formula for q in qs for p in ps or qs})
        return formula

    return register


_BERNOULLI = (discrete.BernoulliProbs, discrete.BernoulliLogits)
_CATEGORICAL = (discrete.CategoricalProbs, discrete.CategoricalLogits)
_GEOMETRIC = (discrete.GeometricProbs, discrete.GeometricLogits)


@_rule(_BERNOULLI)
def _bernoulli(q: Any, p: Any) -> Array:
    return _over_outcomes(_binary_log_mass(q), _binary_log_mass(p))


@_rule(_CATEGORICAL)
def _categorical(q: Any, p: Any) -> Array:
    log_q, log_p = _categorical_log_mass(q), _categorical_log_mass(p)
    if log_q.shape[-1] != log_p.shape[-1]:
        raise InputError(
            "as many categories in q as in p",
            f"{log_q.shape[-1]} and {log_p.shape[-1]}",
            "probabilities of one length, zero where a category cannot occur",
            where="kl",
        )
    return _over_outcomes(log_q, log_p)


@_rule(_GEOMETRIC)
def _geometric(q: Any, p: Any) -> Array:
    """Each trial adds a Bernoulli's divergence, and there are 1 / probs of them on average."""
    log_q, log_p = _binary_log_mass(q), _binary_log_mass(p)
    one_trial = _over_outcomes(log_q, log_p)
    covered = one_trial < jnp.inf
    # Guarded, for the gradient of infinity times the number of trials is not finite.
    return jnp.where(covered, jnp.where(covered, one_trial, 0.0) * jnp.exp(-log_q[..., 1]), jnp.inf)


@_rule((dist.Poisson,))
def _poisson(q: Any, p: Any) -> Array:
    """lambda_q log(lambda_q / lambda_p) - lambda_q + lambda_p; a rate of 0 is a point mass at 0."""
    q_rate, p_rate = _float(q.rate), _float(p.rate)
    return _weighted_log_ratio(q_rate, _log(q_rate), _log(p_rate)) - q_rate + p_rate


@_rule((dist.Exponential,))
def _exponential(q: Any, p: Any) -> Array:
    ratio = _float(p.rate) / q.rate
    return ratio - 1.0 - jnp.log(ratio)


@_rule((dist.Exponential,), (dist.Gamma,))
def _exponential_to_gamma(q: Any, p: Any) -> Array:
    return kl_divergence(_as_gamma(q), p)


@_rule((dist.Gamma,), (dist.Exponential,))
def _gamma_to_exponential(q: Any, p: Any) -> Array:
    return kl_divergence(q, _as_gamma(p))


@_rule((dist.Laplace,))
def _laplace(q: Any, p: Any) -> Array:
    """log(b_p / b_q) + (|d| + b_q e^(-|d| / b_q)) / b_p - 1, with d the distance of the centres."""
    distance = jnp.abs(_float(q.loc) - p.loc)
    ratio = _float(q.scale) / p.scale
    return distance / p.scale + ratio * jnp.exp(-distance / q.scale) - 1.0 - jnp.log(ratio)


@_rule((dist.LogNormal,))
def _log_normal(q: Any, p: Any) -> Array:
    """A bijection of both leaves the divergence as it is."""
    return kl_divergence(_underlying(q), _underlying(p))


@_rule((dist.Uniform,))
def _uniform(q: Any, p: Any) -> Array:
    inside = (_float(q.low) >= p.low) & (_float(q.high) <= p.high)
    ratio = (_float(p.high) - p.low) / (_float(q.high) - q.low)
    return jnp.where(inside, jnp.log(ratio), jnp.inf)


@_rule((ContinuousBernoulli,))
def _continuous_bernoulli(q: Any, p: Any) -> Array:
    """(l_q - l_p) E_q[x] - A(l_q) + A(l_p): a Bregman divergence of the log-normalizer."""
    return (q.logits - p.logits) * q.mean - log_normalizer(q.logits) + log_normalizer(p.logits)


def _over_outcomes(log_q: Array, log_p: Array) -> Array:
    """sum over the last axis of q (log q - log p)."""
    return jnp.sum(_weighted_log_ratio(jnp.exp(log_q), log_q, log_p), axis=-1)


def _weighted_log_ratio(weight: Array, log_q: Array, log_p: Array) -> Array:
    """weight (log q - log p), where no weight counts nothing and a zero of p counts +inf.

    Both branches of either `where` are finite, so that gradients are: at weight 0, where the
    derivative of q log q is -inf, the gradient is that of leaving the outcome out.
    """
    massive = weight > 0
    covered = log_p > -jnp.inf
    log_ratio = jnp.where(massive, log_q, 0.0) - jnp.where(covered, log_p, 0.0)
    return jnp.where(massive, jnp.where(covered, weight * log_ratio, jnp.inf), 0.0)


def _binary_log_mass(d: Any) -> Array:
    """log of the masses of 0 and 1, on a new last axis."""
    if isinstance(d, (discrete.BernoulliLogits, discrete.GeometricLogits)):
        logits = _float(d.logits)
        return jnp.stack([-jax.nn.softplus(logits), -jax.nn.softplus(-logits)], axis=-1)
    probs = _float(d.probs)
    return jnp.stack([_log(1.0 - probs), _log(probs)], axis=-1)


def _categorical_log_mass(d: Any) -> Array:
    if isinstance(d, discrete.CategoricalLogits):
        return jax.nn.log_softmax(_float(d.logits), axis=-1)
    return _log(_float(d.probs))


def _as_gamma(d: Any) -> dist.Gamma:
    return dist.Gamma(jnp.ones_like(_float(d.rate)), d.rate, validate_args=False)


def _underlying(d: Any) -> dist.Normal:
    return dist.Normal(d.loc, d.scale, validate_args=False)


def _log(x: Array) -> Array:
    """log x with log 0 = -inf and no NaN in its gradient."""
    positive = x > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, x, 1.0)), -jnp.inf)


def _float(x: Any) -> Array:
    return jnp.asarray(x, dtype=jnp.result_type(x, float))
