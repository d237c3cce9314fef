"""E_n KL(q(z | x_n) to p) = I_q[x, z] + KL(q_agg to p), and what is known of the two by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import (
    ConjugateGaussian,
    EnumeratedGuide,
    LinearGaussian,
    LinearGuide,
    NormalGuide,
    TableModel,
)
from scipy.special import entr, logsumexp, softmax
from scipy.stats import norm

from taut.audit import surgery
from taut.core import Datum, Enumerated, InputError, Pair

MODEL = ConjugateGaussian(np.array(0.9), np.array(-0.2), np.array(-0.3))
GUIDE = NormalGuide(np.array(0.8), np.array(0.3), np.array(-0.4))
X = np.random.default_rng(0).normal(size=40)
LINE = np.linspace(-9, 9, 6001)


def split(pair, x, **options):
    return surgery(pair, Datum(jnp.asarray(x)), key=jax.random.key(1), **options)


def close(estimate, truth, errors=5):
    assert abs(estimate.value - truth) < errors * estimate.mc_error, (estimate, truth)


def by_quadrature(means, scale):
    """Mutual information and marginal KL of equal Gaussians, from densities on a line."""
    return parts_of(norm.pdf(LINE, means[:, None], scale).mean(axis=0), scale)


def parts_of(mixed, scale):
    """The same from the density of the mixture."""
    information = np.trapezoid(entr(mixed), LINE) - norm.entropy(scale=scale)
    divergence = -np.trapezoid(entr(mixed) + mixed * norm.logpdf(LINE), LINE)
    return information, divergence


def test_both_parts_equal_quadrature_and_their_sum_the_closed_kl(float64):
    found = split(Pair(MODEL, GUIDE), X, num_draws=400)
    means, scale = 0.8 * X + 0.3, np.exp(-0.4)
    information, divergence = by_quadrature(means, scale)
    close(found.mutual_information, information)
    close(found.marginal_kl, divergence)
    assert found.mutual_information.side == "unbiased"
    closed = 0.5 * np.mean(scale**2 + means**2 - 1 - 2 * np.log(scale))
    np.testing.assert_allclose(information + divergence, closed, atol=1e-8)
    # Planted: a component that leaves out the draw's own row.
    left_out = found.drawn.log_q - found.among.log_sum + np.log(39)
    assert abs(left_out.mean() - information) > 5 * found.mutual_information.mc_error


def test_the_reconstruction_is_the_rest_of_the_elbo(float64):
    """E_q log p(x | z) of a linear decoder in closed form."""
    found = split(Pair(MODEL, GUIDE), X, num_draws=400)
    away = X - (0.9 * (0.8 * X + 0.3) - 0.2)
    spread = away**2 + (0.9 * np.exp(-0.4)) ** 2
    truth = np.mean(norm.logpdf(0, scale=np.exp(-0.3)) - 0.5 * spread / np.exp(-0.6))
    close(found.reconstruction, truth)
    parts = found.reconstruction.value - found.mutual_information.value - found.marginal_kl.value
    np.testing.assert_allclose(found.elbo.value, parts)


def test_latents_that_can_be_enumerated_leave_nothing_to_chance(float64):
    logits = np.random.default_rng(2).normal(size=(3, 4))

    class Encoder(EnumeratedGuide):
        def __call__(self, datum):
            return Enumerated(jnp.arange(4), jax.nn.log_softmax(self.logits[datum.x]))

    model = TableModel(jnp.array([0.2, -0.5, 0.4, 1.0]), jnp.zeros((4, 3)))
    found = split(Pair(model, Encoder(jnp.asarray(logits))), np.arange(3), num_draws=2)
    q = softmax(logits, axis=1)
    mixed = q.mean(axis=0)
    information = entr(mixed).sum() - entr(q).sum(axis=1).mean()
    np.testing.assert_allclose(found.mutual_information.value, information, rtol=1e-12)
    assert found.mutual_information.side == "exact"
    log_p = np.array([0.2, -0.5, 0.4, 1.0])
    log_p -= logsumexp(log_p)
    np.testing.assert_allclose(found.marginal_kl.value, mixed @ (np.log(mixed) - log_p))


@pytest.mark.parametrize(("spread", "limit"), [(0.0, 0.0), (1e4, np.log(40))])
def test_information_lies_between_zero_and_log_n(spread, limit, float64):
    guide = NormalGuide(jnp.array(spread), jnp.array(0.0), jnp.array(-0.4))
    found = split(Pair(MODEL, guide), X)
    np.testing.assert_allclose(found.mutual_information.value, limit, atol=1e-10)
    assert found.ceiling == np.log(40)
    assert found.set_by_rows == (spread > 0)


def test_drawn_components_bracket_both_parts(float64):
    """In expectation over components; the two ends meet where all are taken."""
    pair = Pair(MODEL, GUIDE)
    ends = []
    for seed in range(60):
        found = surgery(
            pair, Datum(jnp.asarray(X)), key=jax.random.key(seed), num_components=3, num_draws=20
        )
        kinds = (found.mutual_information, found.mutual_information_upper,
                 found.marginal_kl_lower, found.marginal_kl)  # fmt: skip
        assert [k.side for k in kinds] == ["lower", "upper", "lower", "upper"]
        ends.append([k.value for k in kinds])
    mean, error = np.mean(ends, axis=0), np.std(ends, axis=0) / np.sqrt(60)
    information, divergence = by_quadrature(0.8 * X + 0.3, np.exp(-0.4))
    away = (mean - [information, information, divergence, divergence]) / error
    assert (away[[0, 2]] < -5).all()
    assert (away[[1, 3]] > 5).all()
    whole = split(pair, X)
    np.testing.assert_allclose(
        whole.mutual_information.value, whole.mutual_information_upper.value, rtol=1e-12
    )


def test_the_aggregated_posterior_as_prior_has_no_marginal_kl(float64):
    class Fitted(ConjugateGaussian):
        def kl(self, datum, q, z):
            return None

        def prior(self):
            means = jnp.asarray(0.8 * X + 0.3)
            return dist.MixtureSameFamily(
                dist.Categorical(jnp.full(40, 1 / 40)), dist.Normal(means, np.exp(-0.4))
            )

    found = split(Pair(Fitted(*jax.tree.leaves(MODEL)), GUIDE), X)
    np.testing.assert_allclose(found.marginal_kl.values, 0.0, atol=1e-12)


def test_total_correlation_and_dimensions_equal_quadrature(float64):
    x = np.random.default_rng(3).normal(size=(6, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
    tril = np.array([[0.5, 0.0], [0.3, 0.4]])
    model = LinearGaussian(jnp.eye(2), 0.5)
    pair = Pair(model, LinearGuide(jnp.eye(2), jnp.asarray(tril)))
    found = split(pair, x, num_draws=3000)
    assert found.total_correlation is not None
    assert found.dimension_kls is not None
    line = np.linspace(-6, 6, 401)
    first, second = np.meshgrid(line, line, indexing="ij")
    at = np.stack([first, second], axis=-1)[..., None, :] - x
    inverse, step = np.linalg.inv(tril @ tril.T), (line[1] - line[0]) ** 2
    q = np.exp(-0.5 * np.einsum("abni,ij,abnj->abn", at, inverse, at))
    q = (q / (2 * np.pi * 0.2)).mean(axis=2)
    margins = [q.sum(axis=1 - j) * np.sqrt(step) for j in range(2)]
    correlation = (sum(entr(m).sum() * np.sqrt(step) for m in margins)) - entr(q).sum() * step
    close(found.total_correlation, correlation)
    for j, kl in enumerate(found.dimension_kls):
        truth = -np.sum(entr(margins[j]) + margins[j] * norm.logpdf(line)) * np.sqrt(step)
        close(kl, truth)
    assert correlation > 0.1


def test_a_row_moves_the_averages_through_its_own_term_alone(float64):
    """To first order: the jackknife, which lets every row leave q_agg too, finds the same error."""
    x = np.random.default_rng(4).normal(size=300)
    guide = NormalGuide(jnp.array(0.5), jnp.array(0.3), jnp.array(0.0))
    found = split(Pair(MODEL, guide), x, num_draws=300)
    q = norm.pdf(LINE, 0.5 * x[:, None] + 0.3)
    left = np.array([parts_of((q.sum(axis=0) - one) / 299, 1.0) for one in q])
    jackknife = np.sqrt(299 / 300 * np.sum((left - left.mean(axis=0)) ** 2, axis=0))
    for estimate, error in zip(
        (found.mutual_information, found.marginal_kl), jackknife, strict=True
    ):
        np.testing.assert_allclose(estimate.data_error, error, rtol=0.1)


def test_what_cannot_be_split_says_so():
    with pytest.raises(InputError, match="expected at least two rows"):
        split(Pair(MODEL, GUIDE), X[:1])
    with pytest.raises(InputError, match="expected at least two draws a row"):
        split(Pair(MODEL, GUIDE), X, num_draws=1)
