"""Rules for mass functions: counts of any size, and classes far from where their mass lies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.nn import log_sigmoid
from jaxtyping import Array

from taut.distributions.count_densities import (
    log_beta_binomial,
    log_binomial,
    log_binomial_of_logit,
    log_dirichlet_multinomial,
    log_multinomial,
    log_negative_binomial,
    log_negative_binomial_of_logit,
    log_poisson,
)

__all__ = ["COUNTS"]


def _poisson(d: Any, x: Any) -> Array:
    return log_poisson(x, d.rate)


def _gamma_poisson(d: Any, x: Any) -> Array:
    return log_negative_binomial(x, jnp.asarray(d.concentration) / d.rate, d.concentration)


def _negative_binomial_probs(d: Any, x: Any) -> Array:
    p = jnp.asarray(d.probs)
    return log_negative_binomial(x, d.total_count * p / (1.0 - p), d.total_count)


def _negative_binomial_logits(d: Any, x: Any) -> Array:
    return log_negative_binomial_of_logit(x, d.total_count, d.logits)


def _binomial_probs(d: Any, x: Any) -> Array:
    return log_binomial(x, d.total_count, d.probs, 1.0 - jnp.asarray(d.probs))


def _binomial_logits(d: Any, x: Any) -> Array:
    return log_binomial_of_logit(x, d.total_count, d.logits)


def _beta_binomial(d: Any, x: Any) -> Array:
    x = jnp.asarray(x)
    return log_beta_binomial(x, d.total_count - x, d.concentration1, d.concentration0)


def _beta_negative_binomial(d: Any, x: Any) -> Array:
    """The beta-binomial of x in n + x, whose last trial is one of the n failures."""
    x, n = jnp.asarray(x), jnp.asarray(d.n)
    return log_beta_binomial(x, n, d.concentration1, d.concentration0) - jnp.log1p(x / n)


def _multinomial_probs(d: Any, x: Any) -> Array:
    p = jnp.asarray(d.probs)
    return log_multinomial(x, jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1.0)), -jnp.inf))


def _multinomial_logits(d: Any, x: Any) -> Array:
    return log_multinomial(x, d.logits)


def _dirichlet_multinomial(d: Any, x: Any) -> Array:
    return log_dirichlet_multinomial(x, d.concentration)


def _zero_inflated_probs(d: Any, x: Any) -> Array:
    gate = jnp.asarray(d.gate)
    log_gate = jnp.where(gate > 0, jnp.log(jnp.where(gate > 0, gate, 1.0)), -jnp.inf)
    return _inflated(d, x, log_gate, jnp.log1p(-gate))


def _zero_inflated_logits(d: Any, x: Any) -> Array:
    logit = jnp.asarray(d.gate_logits)
    return _inflated(d, x, log_sigmoid(logit), log_sigmoid(-logit))


def _inflated(d: Any, x: Any, log_gate: Array, log_rest: Array) -> Array:
    counted = log_rest + d.base_dist.log_prob(x)
    return jnp.where(jnp.asarray(x) == 0, jnp.logaddexp(log_gate, counted), counted)


def _ordered_logistic(d: Any, x: Any) -> Array:
    """log(sigmoid(c_k - f) - sigmoid(c_{k-1} - f)), by tails on the side where they are small."""
    cut = jnp.asarray(d.cutpoints) - jnp.asarray(d.predictor)[..., None]
    levels = cut.shape[-1]
    code = jnp.asarray(x)
    shape = jnp.broadcast_shapes(code.shape, cut.shape[:-1])
    code, cut = jnp.broadcast_to(code, shape), jnp.broadcast_to(cut, (*shape, levels))

    def cut_at(k: Array) -> Array:
        index = jnp.clip(k, 0, levels - 1).astype(int)[..., None]
        return jnp.take_along_axis(cut, index, axis=-1)[..., 0]

    upper, lower = cut_at(code), cut_at(code - 1)
    inside = (code > 0) & (code < levels)
    width = jnp.where(inside, upper - lower, 1.0)
    mass = jnp.where(code == levels, 0.0, log_sigmoid(upper))
    mass += jnp.where(code == 0, 0.0, log_sigmoid(-lower))
    mass += jnp.where(inside, jax.nn.log1mexp(width), 0.0)
    return jnp.where((code >= 0) & (code <= levels), mass, -jnp.inf)


COUNTS = {
    dist.Poisson: _poisson,
    dist.GammaPoisson: _gamma_poisson,
    dist.NegativeBinomialProbs: _negative_binomial_probs,
    dist.NegativeBinomialLogits: _negative_binomial_logits,
    dist.BinomialProbs: _binomial_probs,
    dist.BinomialLogits: _binomial_logits,
    dist.BetaBinomial: _beta_binomial,
    dist.BetaNegativeBinomial: _beta_negative_binomial,
    dist.MultinomialProbs: _multinomial_probs,
    dist.MultinomialLogits: _multinomial_logits,
    dist.DirichletMultinomial: _dirichlet_multinomial,
    dist.ZeroInflatedProbs: _zero_inflated_probs,
    dist.ZeroInflatedLogits: _zero_inflated_logits,
    dist.OrderedLogistic: _ordered_logistic,
}
