"""Registry x law: chains of a finite fibre that is summed and a layer that draws.

Each of the K draws of such a chain has one path for every outcome of the fibres, of mass q(outcome), and
log sum_c q(c) w_c as its log-weight:

    E exp log sum_c q(c) w_c = p(x)        in closed form for every chain here

They are compared with the bounds, which weigh each path by its own mass, and with the closed form.
"""

import itertools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import foldnorm, norm

from taut.bounds import ELBO, IWAE
from taut.core import Datum, particles
from taut.evidence import draws, expected_bound, importance_sampling
from taut.gradients import Reparameterized
from taut.guides import ChainPair
from taut.models import FixedPrior
from taut.transforms import (
    Augmentation,
    Chain,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    StochasticPermutation,
    VAELayer,
)

BASE = np.array(
    [0.7, -0.4, 0.3]
)  # means of a base of unit variances: no order or sign is like another
NOISE, SPREAD = 0.7, np.sqrt(1 + 0.7**2)


def normal(loc: Any, scale: float) -> dist.Distribution:
    return dist.Normal(loc, scale).to_event(1)


def vae(dim: int) -> VAELayer:
    """x = z + noise, with nearly the posterior under the base."""
    weight = 1 / SPREAD**2
    return VAELayer(
        lambda x: normal(BASE[:dim] + weight * (x - BASE[:dim]), 1.1 * NOISE * weight**0.5),
        lambda z: normal(z, NOISE), (dim,), (dim,),
    )  # fmt: skip


def augment(dim: int) -> Augmentation:
    return Augmentation((dim,), 1, lambda x: normal(BASE[dim : dim + 1] + 0.2 + 0 * x[:1], 1.2))


def augment_above_zero(dim: int) -> Augmentation:
    return Augmentation((dim,), 1, lambda x: dist.HalfNormal(1.2 + 0 * x[:1]).to_event(1))


def signs(dim: int) -> GenerativeAbsoluteValue:
    return GenerativeAbsoluteValue((dim,), jnp.linspace(1.5, -0.5, dim))


def shuffle(dim: int) -> StochasticPermutation:
    return StochasticPermutation((dim,))


def over_orders(x: np.ndarray, log_density: Any) -> np.ndarray:
    orders = itertools.permutations(range(x.shape[1]))
    return np.stack([log_density(x[:, list(order)]).sum(axis=1) for order in orders])


def shuffled(x: np.ndarray, log_density: Any) -> np.ndarray:
    each = over_orders(x, log_density)
    return logsumexp(each, axis=0) - np.log(len(each))


def folded_normal(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    return foldnorm.logpdf(x, np.abs(BASE[: x.shape[1]]) / scale, scale=scale)


def noise_of_a_sign(x: np.ndarray) -> np.ndarray:
    """The density of x, or of -x as well, that is |z| and noise: by quadrature over z."""
    z = np.linspace(-9, 9, 4001)
    joint = norm.logpdf(z, BASE[0]) + norm.logpdf(x, np.abs(z), NOISE)
    return logsumexp(joint, axis=1) + np.log(z[1] - z[0])


class Case(NamedTuple):
    """A chain, how many outcomes its fibres have together, and log p(x) of rows above zero."""

    layers: list[Any]
    strata: int
    truth: Any

    @property
    def pair(self) -> ChainPair:
        chain = Chain(self.layers)
        return ChainPair(chain, FixedPrior(normal(jnp.asarray(BASE[: chain.z_shape[0]]), 1.0)))

    def rows(self, count: int) -> np.ndarray:
        """Rows that are sorted and not negative."""
        shape = (count, *self.layers[0].x_shape)
        return np.sort(np.random.default_rng(1).gamma(2.0, 0.5, size=shape), axis=1)


CASES = {
    "signs, then a draw": Case(
        [signs(2), vae(2)], 4, lambda x: folded_normal(x, SPREAD).sum(axis=1)
    ),
    "a draw, then signs": Case([vae(1), signs(1)], 2, noise_of_a_sign),
    "signs on both sides of a draw": Case(
        [signs(1), vae(1), signs(1)], 4,
        lambda x: np.logaddexp(noise_of_a_sign(x), noise_of_a_sign(-x)),
    ),
    "sorting, then a draw": Case(
        [GenerativeSorting((2,)), augment(2)], 2,
        lambda x: logsumexp(over_orders(x, lambda y: norm.logpdf(y, BASE[:2])), axis=0),
    ),
    "a shuffle, then draws twice": Case(
        [shuffle(2), vae(2), augment(2)], 2,
        lambda x: shuffled(x, lambda y: norm.logpdf(y, BASE[:2], SPREAD)),
    ),
    "a shuffle, a draw, then signs": Case(
        [shuffle(2), augment_above_zero(2), signs(3)], 16, lambda x: shuffled(x, folded_normal)
    ),
}  # fmt: skip
mint = eqx.filter_jit(particles)
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@every_case
@pytest.mark.parametrize(("count", "num_particles"), [(1, 100), (40, 4000)])
def test_the_evidence_is_that_of_the_closed_form_and_of_the_bounds(case, num_particles, count):
    x = case.rows(count)
    rows = Datum(jnp.asarray(x, jnp.float32))
    found = importance_sampling(case.pair, rows, key=jax.random.key(0), num_particles=num_particles)
    assert found.log_evidence.side == "lower"
    off = found.log_evidence.values - case.truth(x)
    assert np.all(np.abs(off) < 5 * found.errors)
    error = np.linalg.norm(found.errors) / count
    assert abs(off.mean()) < 5 * error

    for bound, estimate, own in (
        (IWAE(num_particles), found.log_evidence, error),
        (ELBO(num_particles), found.elbo, found.elbo.mc_error),
    ):
        other = expected_bound(case.pair, rows, bound, key=jax.random.key(1), num_repeats=4)
        both = np.hypot(own, other.mc_error)
        # A draw outside the support of the next layer makes the ELBO -inf.
        assert estimate.value == other.value or abs(estimate.value - other.value) < 5 * both


def test_every_chunk_holds_a_particle(monkeypatch):
    case = CASES["a shuffle, a draw, then signs"]
    chunks = []

    def counted(*args: Any) -> Any:
        chunks.append(args[-1])
        return eqx.filter_jit(draws._mint)(*args)

    monkeypatch.setattr(draws, "_CHUNK_DRAWS", case.strata // 2)
    monkeypatch.setattr(draws, "_mint_few", counted)
    rows = Datum(jnp.asarray(case.rows(2), jnp.float32))
    found = next(draws.weighted_draws(
        *case.pair.bind(), rows, key=jax.random.key(0), num_particles=3
    ))  # fmt: skip
    assert chunks == [1, 1, 1]
    assert found.log_w.shape == found.fit.shape == (2, 3)


@pytest.mark.parametrize("bound", [ELBO(2), IWAE(1), IWAE(3)], ids=str)
def test_all_bounds_are_climbed(bound):
    """Of a class that is a latent the masses cancel in a logarithm, and it would not be learned; of a
    fibre nothing reads them."""
    case = CASES["signs, then a draw"]
    model, guide = case.pair.bind()
    datum = Datum(jnp.asarray(case.rows(1)[0], jnp.float32))

    @eqx.filter_jit
    def values(key: Any) -> Any:
        climbed = Reparameterized()(bound, model, guide, datum, key).value
        return climbed, bound(particles(model, guide, guide, datum, key, bound.minted))

    climbed, reported = values(jax.random.key(0))
    assert climbed == reported


@every_case
@pytest.mark.parametrize("num_particles", [1, 3])
def test_each_replicate_holds_all_outcomes_side_by_side(case, num_particles):
    model, guide = case.pair.bind()
    datum = Datum(jnp.asarray(case.rows(1)[0], jnp.float32))
    made = mint(model, guide, guide, datum, jax.random.key(0), num_particles)
    assert (made.strata, made.exhaustive) == (case.strata, False)
    mass = np.exp(np.reshape(made.log_mass, (num_particles, case.strata)))
    np.testing.assert_allclose(mass.sum(axis=1), 1 / num_particles, rtol=1e-5)
    if case.layers[0].fibre_size is not None:  # its outcomes are the same in every replicate
        first = np.reshape(made.z[0], (num_particles, case.strata, -1))
        assert np.array_equal(first, np.broadcast_to(first[:1], first.shape))
        assert len(np.unique(first[0], axis=0)) == case.layers[0].fibre_size
    again = jax.jit(jax.vmap(guide(datum).terms))(made.z)
    for name, term in again.items():
        np.testing.assert_allclose(made.terms[name], term, rtol=1e-4, atol=1e-5)
