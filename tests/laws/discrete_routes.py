"""Pairs over bits, categories and two layers, and rules that average over the noise of their draws.

    cells       one node for each cell on which a draw and its antithetic partner are constant, in the
                middle of its uniforms, with its mass: exact where the estimate is linear in each uniform
    piecewise   composite Gauss-Legendre rules between the same kinks, for what is smooth there

The expectation is a sum over outcomes, written with probabilities, whose gradient needs no estimator.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from known_models import datum, grid

from taut.bounds import ELBO
from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractDiscreteProposal,
    AbstractModel,
    BernoulliProposal,
    CategoricalProposal,
    LayeredProposal,
    Pair,
)
from taut.distributions import closed_kl, kl_per_dimension

X = 0.7
"""The datum."""


class AffineBits(eqx.Module):
    """Bernoulli logits that are affine in the layer above."""

    matrix: Any
    offset: Any

    def __call__(self, above):
        return BernoulliProposal(self.matrix @ above + self.offset)


class CurvedModel(AbstractModel):
    """x ~ N(m(z), 1), m smooth and not linear in z; one layer of units, or two as (z_1, z_2).

    Attributes:
        slope, bend: m(z) = sin(slope'v) + (bend'v)^2, v being all of z.
        prior_logits: of the first layer.
        second: p(z_2 | z_1); None for one layer.
    """

    slope: Any
    bend: Any
    prior_logits: Any
    second: Any = None

    def terms(self, datum, z):
        v = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(z)])
        mean = jnp.sin(self.slope @ v) + (self.bend @ v) ** 2
        log_likelihood = -0.5 * (datum.x - mean) ** 2 - 0.5 * jnp.log(2 * jnp.pi)
        first = z[0] if self.second is not None else z
        log_prior = self.first().log_prob(first)
        if self.second is not None:
            log_prior = log_prior + self.second(z[0]).log_prob(z[1])
        return {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: log_prior}

    def kl(self, datum, q: Any, z):
        q = getattr(q, "inner", q)
        if self.second is None:
            return kl_per_dimension(q.distribution, self.first().distribution)
        upper = closed_kl(q.first.distribution, self.first().distribution)
        lower = closed_kl(q.second(z[0]).distribution, self.second(z[0]).distribution)
        return jnp.stack([jnp.asarray(upper), jnp.asarray(lower)])

    def first(self):
        family = BernoulliProposal if self.prior_logits.ndim == 1 else CategoricalProposal
        return family(self.prior_logits)


class UnitsGuide(eqx.Module):
    """q(z | x) by logits, or two layers of which the second's are affine in the first."""

    logits: Any
    second: Any = None

    def __call__(self, datum):
        family = BernoulliProposal if self.logits.ndim == 1 else CategoricalProposal
        first = family(self.logits)
        return first if self.second is None else LayeredProposal(first, self.second)


class FedNoise(AbstractDiscreteProposal):
    """A proposal whose L draws are made of given noise."""

    inner: Any
    fed: Any

    @property
    def unit_shapes(self):
        return self.inner.unit_shapes

    def layer(self, above):
        return self.inner.layer(above)

    def layers_of(self, z):
        return self.inner.layers_of(z)

    def from_layers(self, layers):
        return self.inner.from_layers(layers)

    def noise(self, key, num):
        return self.fed

    def enumerated(self, *, most=2**16):
        return self.inner.enumerated(most=most)

    def terms(self, z):
        return self.inner.terms(z)


class FedNoiseGuide(eqx.Module):
    """`guide` with its noise given, of L draws."""

    guide: Any
    noise: Any

    def __call__(self, datum):
        return FedNoise(self.guide(datum), self.noise)


class DiscreteRoute(NamedTuple):
    """A pair and the kinks of its noise.

    Attributes:
        pair: model and guide.
        kinks: for each noise variable of one draw, where a draw or its partner jumps; None where the
            noise is that of one unit with three categories.
        assemble: from noise variables, (V,), to the noise of a draw.
    """

    pair: Any
    kinks: tuple[tuple[float, ...], ...] | None
    assemble: Callable[[Any], Any]


def one_bit() -> DiscreteRoute:
    model = CurvedModel(jnp.array([1.3]), jnp.array([0.8]), jnp.array([0.4]))
    return DiscreteRoute(Pair(model, UnitsGuide(jnp.array([-0.6]))), ((0.6, -0.6),), lambda v: v)


def two_bits() -> DiscreteRoute:
    model = CurvedModel(jnp.array([1.3, -0.7]), jnp.array([0.8, 0.5]), jnp.array([0.4, -0.2]))
    kinks = ((0.6, -0.6), (1.1, -1.1))
    return DiscreteRoute(Pair(model, UnitsGuide(jnp.array([-0.6, 1.1]))), kinks, lambda v: v)


def three_categories() -> DiscreteRoute:
    slope, bend = jnp.array([1.3, -0.7, 0.2]), jnp.array([0.8, 0.5, -0.9])
    model = CurvedModel(slope, bend, jnp.array([[0.4, -0.2, 0.1]]))
    guide = UnitsGuide(jnp.array([[0.3, -0.5, 0.6]]))
    # What an estimate is made of depends on differences of Gumbels alone.
    return DiscreteRoute(
        Pair(model, guide), None, lambda v: jnp.concatenate([jnp.zeros(1), v])[None]
    )


def two_layers() -> DiscreteRoute:
    """One bit above one bit, whose noise has a kink for each value of the upper one."""
    lower = AffineBits(jnp.array([[1.4]]), jnp.array([-0.5]))
    prior = AffineBits(jnp.array([[-0.8]]), jnp.array([0.3]))
    model = CurvedModel(jnp.array([1.3, -0.7]), jnp.array([0.8, 0.5]), jnp.array([0.4]), prior)
    guide = UnitsGuide(jnp.array([-0.6]), lower)
    kinks = ((0.6, -0.6), (0.5, -0.5, 0.9, -0.9))
    return DiscreteRoute(Pair(model, guide), kinks, lambda v: (v[:1], v[1:]))


Rule = tuple[np.ndarray, np.ndarray]


def cells(route: DiscreteRoute, num_draws: int) -> Rule:
    """Nodes, (N, L, V), and weights, (N,), of an average over the cells of all noise variables."""
    if route.kinks is None:
        # A category wins by a margin, with the probability that it has.
        wins = np.array([[-9.0, -9.0], [9.0, 0.0], [0.0, 9.0]])
        masses = scipy.special.softmax(np.asarray(route.pair.guide.logits)[0])
        return _draws([(np.arange(3.0), masses)], num_draws, lambda i: wins[i[..., 0].astype(int)])
    rules = []
    for kinks in route.kinks:
        edges = np.concatenate([[0.0], np.sort(scipy.special.expit(np.array(kinks))), [1.0]])
        middle = scipy.special.logit((edges[1:] + edges[:-1]) / 2)
        rules.append((middle, np.diff(edges)))
    return _draws(rules, num_draws, lambda v: v)


def piecewise(route: DiscreteRoute, num_draws: int, temperature: float = 0.7) -> Rule:
    """The same with smooth pieces: panels that are narrow near a kink, where relaxed draws turn."""
    if route.kinks is None:
        assert num_draws == 1
        return _three_gumbels(np.asarray(route.pair.guide.logits)[0])
    rules = []
    for kinks in route.kinks:
        offsets = temperature * np.array([-12, -5, -2, 2, 5, 12])
        edges = [*np.arange(-32.0, 33.0, 4.0), *kinks]
        edges += [kink + offset for kink in kinks for offset in offsets]
        nodes, weights = panels(np.unique(edges), order=8)
        density = scipy.special.expit(nodes) * scipy.special.expit(-nodes)
        rules.append((nodes, weights * density))
    return _draws(rules, num_draws, lambda v: v)


def panels(edges: np.ndarray, order: int) -> Rule:
    """Gauss-Legendre nodes and weights on each panel between sorted edges."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    centre = ((edges[1:] + edges[:-1]) / 2)[:, None]
    return (centre + half * nodes).ravel(), (half * weights).ravel()


def _three_gumbels(logits: np.ndarray) -> Rule:
    """Differences d of three Gumbels, with density 2 e^-(d_1 + d_2) / (1 + e^-d_1 + e^-d_2)^3.

    Each of the three may win by margins s and t over the others: y = l + d in a cone for each.
    """
    margins, weights = grid(*panels(np.array([0.0, 0.7, 2, 4, 7, 11, 16, 22, 30]), order=10), 2)
    s, t = margins.T
    y = np.concatenate([np.stack(p, axis=1) for p in ((-s, -t), (s, s - t), (s - t, s))])
    d = y - (logits[1:] - logits[0])
    log_density = np.log(2.0) - d.sum(axis=1)
    log_density -= 3 * scipy.special.logsumexp(np.pad(-d, ((0, 0), (1, 0))), axis=1)
    return d[:, None, :], np.tile(weights, 3) * np.exp(log_density)


def _draws(rules: list[Rule], num_draws: int, assemble: Callable[[Any], Any]) -> Rule:
    every = rules * num_draws
    mesh = np.meshgrid(*[nodes for nodes, _ in every], indexing="ij")
    nodes = np.stack([m.ravel() for m in mesh], axis=1).reshape(-1, num_draws, len(rules))
    masses = np.meshgrid(*[weights for _, weights in every], indexing="ij")
    return assemble(nodes), np.prod(np.stack([m.ravel() for m in masses]), axis=0)


def exact(bound: ELBO, route: DiscreteRoute, step: int = 1) -> tuple[float, Pair]:
    """The ELBO, and the gradient of the expected objective, as sums over outcomes."""
    factor = bound.beta * min(1.0, (step + 1) / max(bound.warmup_steps, 1))

    def sums(pair: Any) -> tuple[Any, Any]:
        q = pair.guide(datum(X))
        every = q.enumerated()
        mass = jnp.exp(every.log_q)
        terms = jax.vmap(lambda z: pair.model.terms(datum(X), z))(every.support)
        likelihood = mass @ terms[LOG_LIKELIHOOD]
        kl = mass @ (every.log_q - terms[LOG_PRIOR])
        counted = kl
        if bound.free_bits > 0:
            one = jax.tree.map(lambda leaf: leaf[0], every.support)
            counted = jnp.sum(jnp.maximum(pair.model.kl(datum(X), q, one), bound.free_bits))
        return likelihood - factor * counted, likelihood - kl

    (_, value), gradient = jax.jit(jax.value_and_grad(sums, has_aux=True))(route.pair)
    return float(value), gradient


def mean_of(
    estimator: Any, bound: ELBO, route: DiscreteRoute, rule: Rule, *, aux: Any = None, step: int = 1
) -> tuple[float, Pair]:
    """Mean over the noise of the reported value, and of the surrogate's gradient."""
    nodes, weights = map(jnp.asarray, rule)

    def surrogate(pair: Any, noise: Any) -> Any:
        guide = FedNoiseGuide(pair.guide, jax.vmap(route.assemble)(noise))
        key = jax.random.key(0)
        out = estimator(bound, pair.model, guide, datum(X), key, step=step, aux=aux)
        return out.surrogate, out.value

    def average(pair: Any) -> tuple[Any, Any]:
        surrogates, values = jax.vmap(surrogate, in_axes=(None, 0))(pair, nodes)
        return weights @ surrogates, weights @ values

    (_, value), gradient = jax.jit(jax.value_and_grad(average, has_aux=True))(route.pair)
    return float(value), gradient
