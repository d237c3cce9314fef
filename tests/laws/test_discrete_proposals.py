"""q over finite supports: probabilities, draws and the noise behind them, against sums and closed forms.

Marginal laws of `hard` and of conditional noise are exact statements about logistic and Gumbel noise;
they are shown by integrals over a noise variable at whose quantiles the library is asked, or by counts
of draws with a fixed key against five standard errors.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from known_models import datum

from taut.core import (
    NEG_LOG_Q,
    BernoulliProposal,
    CategoricalProposal,
    InputError,
    LayeredProposal,
    particles,
)
from taut.core.logistic_noise import logistic_of_bits
from taut.models import LatentVariableModel
from taut.models.likelihoods import make_likelihood
from taut.models.priors import AbstractPrior

BITS = np.array([0.7, -1.3, 0.2])
TABLE = np.array([[0.3, -0.8, 1.1], [-0.4, 0.9, 0.1]])


class Second(eqx.Module):
    """q(z_2 | z_1) as Bernoulli logits that are affine in z_1."""

    matrix: jax.Array
    offset: jax.Array

    def __call__(self, above):
        return BernoulliProposal(self.matrix @ above.reshape(-1) + self.offset)


def layered() -> LayeredProposal:
    matrix = jnp.array([[0.5, -1.0, 0.3], [1.2, 0.4, -0.6]])
    return LayeredProposal(
        BernoulliProposal(jnp.array(BITS)), Second(matrix, jnp.array([0.1, -0.7]))
    )


PROPOSALS = {
    "bernoulli": lambda: BernoulliProposal(jnp.array(BITS)),
    "categorical": lambda: CategoricalProposal(jnp.array(TABLE)),
    "layered": layered,
}
every_proposal = pytest.mark.parametrize("name", PROPOSALS)


def outcomes_by_hand(name: str) -> list[tuple[np.ndarray, float]]:
    """Every z, flattened, with its probability as a product of probabilities by SciPy."""
    if name == "categorical":
        p = scipy.special.softmax(TABLE, axis=1)
        eye = np.eye(3)
        return [
            (np.concatenate([eye[i], eye[j]]), p[0, i] * p[1, j])
            for i, j in itertools.product(range(3), repeat=2)
        ]
    found = []
    for bits in itertools.product([0.0, 1.0], repeat=3):
        z = np.array(bits)
        mass = np.prod(scipy.special.expit((2 * z - 1) * BITS))
        if name == "bernoulli":
            found.append((z, mass))
            continue
        below = layered().second(jnp.array(z)).logits
        for more in itertools.product([0.0, 1.0], repeat=2):
            z2 = np.array(more)
            given = np.prod(scipy.special.expit((2 * z2 - 1) * np.asarray(below)))
            found.append((np.concatenate([z, z2]), mass * given))
    return found


def enumerated(q):
    """All outcomes, by one program."""
    return eqx.filter_jit(lambda: q.enumerated())()


def flat(z) -> np.ndarray:
    """Draws as rows."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(z)]
    return np.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


@every_proposal
def test_every_outcome_comes_once_with_its_probability(name, float64):
    q = PROPOSALS[name]()
    made = enumerated(q)
    expected = outcomes_by_hand(name)
    assert q.num_outcomes == len(expected)
    got = {tuple(row): mass for row, mass in zip(flat(made.support), made.log_q, strict=True)}
    assert len(got) == len(expected)
    for z, mass in expected:
        np.testing.assert_allclose(np.exp(got[tuple(z)]), mass, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.vmap(q.log_prob))(made.support), made.log_q, rtol=1e-13)


@every_proposal
def test_mean_and_entropy_are_sums_over_outcomes(name, float64):
    q = PROPOSALS[name]()
    rows = outcomes_by_hand(name)
    mean = sum(mass * z for z, mass in rows)
    found, own = jax.jit(lambda: (q.mean(), q.entropy()))()
    np.testing.assert_allclose(flat(jax.tree.map(lambda m: m[None], found))[0], mean, atol=1e-14)
    entropy = -sum(mass * np.log(mass) for _, mass in rows)
    np.testing.assert_allclose(own, entropy, rtol=1e-13)


@every_proposal
def test_draws_come_as_often_as_the_probabilities_say(name):
    q = PROPOSALS[name]()
    count = 20_000
    draws = jax.jit(lambda key: q.draw(key, count))(jax.random.key(1))
    np.testing.assert_allclose(draws.log_mass, -np.log(count), rtol=1e-6)
    drawn, times = np.unique(flat(draws.z), axis=0, return_counts=True)
    seen = {tuple(row): n for row, n in zip(drawn, times, strict=True)}
    rows = outcomes_by_hand(name)
    deviations = [
        abs(seen.get(tuple(z), 0) / count - mass) / np.sqrt(mass * (1 - mass) / count)
        for z, mass in rows
    ]
    assert max(deviations) < 5


@every_proposal
def test_terms_of_the_mint_are_the_log_probability_by_layer(name, float64):
    q = PROPOSALS[name]()
    z = jax.jit(lambda key: q.draw(key, 4).z)(jax.random.key(0))
    terms = jax.jit(jax.vmap(q.terms))(z)[NEG_LOG_Q]
    assert terms.shape == ((4, 2) if name == "layered" else (4,))
    masses = {tuple(row): mass for row, mass in outcomes_by_hand(name)}
    by_hand = [-np.log(masses[tuple(row)]) for row in flat(z)]
    np.testing.assert_allclose(terms.reshape(4, -1).sum(axis=1), by_hand, rtol=1e-13)


# Noise.


def test_logistic_noise_puts_the_right_mass_beyond_every_threshold():
    """u = sigmoid(eps) is uniform: its distribution function at 19 levels, within five errors."""
    eps = np.asarray(BernoulliProposal(jnp.zeros(1)).noise(jax.random.key(3), 200_000))[:, 0]
    levels = np.concatenate([np.linspace(0.1, 0.9, 9), 10.0 ** -np.arange(2.0, 5.0)])
    for level in np.concatenate([levels, 1 - levels[-3:]]):
        share = np.mean(eps < scipy.special.logit(level))
        assert abs(share - level) < 5 * np.sqrt(level * (1 - level) / eps.size)


def test_noise_is_finite_at_every_pattern_of_bits_and_reaches_22():
    bits = jnp.array([0, 1, 2**32 - 2, 2**32 - 1, 2**31], jnp.uint32)
    made = np.asarray(logistic_of_bits(bits))
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[:2], np.array([-1, 1]) * np.log(2.0**33 - 1), rtol=1e-6)
    np.testing.assert_allclose(made[4], -np.log(3.0), rtol=1e-6)


def test_conditional_noise_of_bits_has_the_truncated_logistic_law(float64):
    """At fresh noise of quantile p, the quantile of the law truncated at -l, by SciPy."""
    condition = eqx.filter_jit(BernoulliProposal(jnp.array(BITS)).condition)
    for p in (1e-9, 0.03, 0.5, 0.9, 1 - 1e-9):
        fresh = jnp.asarray(np.full(3, scipy.special.logit(p)))
        below = scipy.special.expit(-BITS)
        at_one = scipy.special.expit(condition(jnp.asarray(np.ones(3)), fresh))
        np.testing.assert_allclose(at_one, below + p * (1 - below), rtol=1e-12)
        at_zero = scipy.special.expit(condition(jnp.asarray(np.zeros(3)), fresh))
        np.testing.assert_allclose(at_zero, (1 - p) * below, rtol=1e-7 if p > 0.99 else 1e-12)


def test_conditional_noise_of_categories_has_the_law_of_truncated_gumbels(float64):
    """The winner is a Gumbel at logsumexp(l), the others are Gumbels truncated at it, by SciPy."""
    logits = np.array([[0.3, -0.8, 1.1]])
    condition = eqx.filter_jit(CategoricalProposal(jnp.array(logits)).condition)
    gumbel = scipy.stats.gumbel_r
    quantiles = np.array([0.2, 0.7, 0.45])
    fresh = jnp.array(gumbel.ppf(quantiles))[None]
    for winner in range(3):
        perturbed = (
            np.asarray(condition(jnp.asarray(np.eye(3)[winner][None]), fresh))[0] + logits[0]
        )
        top = perturbed[winner]
        total = scipy.special.logsumexp(logits)
        np.testing.assert_allclose(gumbel.cdf(top, loc=total), quantiles[winner], rtol=1e-13)
        for other in {0, 1, 2} - {winner}:
            truncated = gumbel.cdf(perturbed[other], loc=logits[0, other])
            truncated = truncated / gumbel.cdf(top, loc=logits[0, other])
            np.testing.assert_allclose(truncated, quantiles[other], rtol=1e-13)
        # The law of the winner times the laws given it is the law of all three perturbed logits.
        joint = np.log(scipy.special.softmax(logits[0])[winner]) + gumbel.logpdf(top, loc=total)
        for other in {0, 1, 2} - {winner}:
            at = logits[0, other]
            joint += gumbel.logpdf(perturbed[other], loc=at) - gumbel.logcdf(top, loc=at)
        whole = gumbel.logpdf(perturbed, loc=logits[0]).sum()
        np.testing.assert_allclose(joint, whole, rtol=1e-13)


@every_proposal
def test_conditional_noise_gives_the_outcome_back(name):
    q = PROPOSALS[name]()
    support = enumerated(q).support
    keys = jax.random.split(jax.random.key(5), 40)
    again = jax.jit(
        jax.vmap(lambda key: jax.vmap(lambda z: q.hard(q.conditional_noise(z, key)))(support))
    )(keys)
    jax.tree.map(
        lambda a, s: np.testing.assert_array_equal(a, np.broadcast_to(s, a.shape)), again, support
    )


@every_proposal
def test_relaxed_draws_tend_to_hard_ones_and_stay_in_the_hull(name, float64):
    q = PROPOSALS[name]()

    @jax.jit
    def both(key):
        noise = q.noise(key, 50)
        relaxed = (jax.vmap(lambda n, t=t: q.relaxed(n, t))(noise) for t in (1e-6, 1.0))
        return jax.vmap(q.hard)(noise), *relaxed

    hard, near, soft = map(flat, both(jax.random.key(2)))
    np.testing.assert_allclose(near, hard, atol=1e-12)
    assert ((soft > 0) & (soft < 1)).all()
    if name == "categorical":
        np.testing.assert_allclose(soft.reshape(50, 2, 3).sum(axis=2), 1.0, rtol=1e-14)


def test_the_antithetic_partner_replaces_u_by_one_minus_u(float64):
    q = BernoulliProposal(jnp.array(BITS))
    noise = q.noise(jax.random.key(4), 30)
    u = scipy.special.expit(np.asarray(noise))
    partner = jax.jit(jax.vmap(lambda one: q.hard(q.antithetic(one))))(noise)
    np.testing.assert_array_equal(partner, 1.0 - u > scipy.special.expit(-BITS))
    two = layered()
    first, second = two.antithetic((noise[0], noise[1, :2]))
    np.testing.assert_array_equal(first, -noise[0])
    np.testing.assert_array_equal(second, -noise[1, :2])


@pytest.mark.parametrize("logit", [-50.0, 50.0, -1e4, 1e4])
def test_extreme_logits_give_finite_numbers_and_gradients_in_float32(logit):
    def everything(logits, make):
        q = make(logits)
        noise = jax.tree.map(lambda leaf: leaf[0], q.noise(jax.random.key(0), 1))
        parts = []
        for z in (q.hard(noise), 1.0 - q.hard(noise) if q.logits.ndim == 1 else q.hard(noise)):
            parts += [q.relaxed(q.condition(z, noise), 0.1), q.terms(z)[NEG_LOG_Q]]
        return sum(jnp.sum(p) for p in (*parts, q.entropy(), q.mean(), q.relaxed(noise, 0.1)))

    for make, logits in (
        (BernoulliProposal, jnp.array([logit, 0.3])),
        (CategoricalProposal, jnp.array([[logit, 0.3, -0.2]])),
    ):
        value, gradient = jax.jit(jax.value_and_grad(everything), static_argnums=1)(logits, make)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_log_probabilities_of_near_certain_bits_keep_their_digits():
    """-log(1 + e^-l) is about -e^-l, which l - log(1 + e^l) would round to 0 in float32."""
    q = BernoulliProposal(jnp.array([30.0]))
    np.testing.assert_allclose(q.log_prob(jnp.ones(1)), -np.exp(-30.0), rtol=1e-5)


# What the rest of the library makes of them.


class BitsPrior(AbstractPrior):
    logits: jax.Array

    def __call__(self):
        return BernoulliProposal(self.logits)


class CategoriesPrior(AbstractPrior):
    logits: jax.Array

    def __call__(self):
        return CategoricalProposal(self.logits)


class Affine(eqx.Module):
    matrix: jax.Array

    def __call__(self, z):
        return self.matrix @ z.reshape(-1)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_the_mint_takes_the_closed_divergence_to_the_prior(name, float64):
    q = PROPOSALS[name]()
    prior = (BitsPrior if name == "bernoulli" else CategoriesPrior)(
        0.5 * jnp.asarray(q.logits) + 0.1
    )
    decoder = Affine(jnp.ones((2, q.logits.size)))
    model = LatentVariableModel(prior, decoder, make_likelihood("bernoulli", shape=(2,)), (2,))

    def guide(datum):
        return q

    row = datum(jnp.array([0.0, 1.0]))
    made = jax.jit(lambda key: particles(model, guide, guide, row, key, 3))(jax.random.key(0))
    assert made.kl is not None
    assert made.kl.shape == (3, q.unit_shape[0])
    every = enumerated(q)
    log_p = np.asarray(jax.jit(jax.vmap(prior().log_prob))(every.support))
    log_q = np.asarray(every.log_q)
    by_sum = np.exp(log_q) @ (log_q - log_p)
    np.testing.assert_allclose(made.kl.sum(axis=1), by_sum, rtol=1e-12)


def test_both_layers_count():
    with pytest.raises(InputError, match="at most 31 outcomes to enumerate, got 32"):
        layered().enumerated(most=31)


def test_categories_have_no_antithetic_partner():
    q = PROPOSALS["categorical"]()
    with pytest.raises(InputError) as refusal:
        q.antithetic(q.noise(jax.random.key(0), 1)[0])
    assert str(refusal.value) == (
        "gradient: expected binary latents, which have an antithetic partner, got categorical ones "
        "with 3 outcomes. Try rloo, rebar or relax, which serve them, or Bernoulli latents."
    )
