"""log p(x) - ELBO = approximation gap + amortization gap, each by itself against its closed form."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import EnumeratedGuide, LinearGaussian, LinearGuide, TableModel, gauss_hermite
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from taut.audit import audited_evidence, gaps
from taut.core import LOG_LIKELIHOOD, Datum, Estimate, Pair
from taut.evidence import importance_sampling
from taut.guides import AmortizedGuide, FlowFamily, LowRankGaussian
from taut.guides.ladder import BottomUp, LadderGuide
from taut.models.ladder import TopDown

RNG = np.random.default_rng(5)
LOADINGS = np.array([[1.0, 0.6, 0.0], [0.4, 1.0, -0.5], [0.0, 0.7, 0.9], [0.3, 0.0, 0.8]])
MODEL = LinearGaussian(LOADINGS, 0.7)
X = RNG.normal(size=(20, 4)) @ np.diag([1.5, 1.0, 0.8, 1.2])
FROZEN = LinearGuide(RNG.normal(size=(3, 4)) * 0.3, np.array([0.5, 0.9, 0.3]))


def audited(model, guide, x, num_particles=200, num_draws=256):
    pair, rows = Pair(model, guide), Datum(jnp.asarray(x))
    keys = jax.random.split(jax.random.key(2), 2)
    evidence, _ = audited_evidence(pair, rows, key=keys[0], num_particles=num_particles)
    return gaps(pair, rows, evidence, key=keys[1], num_draws=num_draws)


def divergences(means, covariance):
    """KL from a Gaussian with these means to the posterior of each row of X."""
    precision = MODEL.precision()
    away = means - MODEL.posterior_means(X)
    spread = np.trace(precision @ covariance) - 3 - np.linalg.slogdet(precision @ covariance)[1]
    return 0.5 * (spread + np.einsum("ni,ij,nj->n", away, precision, away))


def close(estimate, truth):
    assert abs(estimate.value - np.mean(truth)) < 5 * estimate.mc_error + 1e-6, (estimate, truth)


def test_a_diagonal_guide_under_a_full_precision(float64):
    """The best one has the posterior's mean and variances 1 / L_ii: it lacks half of
    sum log L_ii - log det L; what the frozen encoder lacks beside it is its divergence less that."""
    found = audited(MODEL, FROZEN, X)
    precision = MODEL.precision()
    family = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert family > 0.1
    whole = divergences(X @ FROZEN.weight.T, np.diag(FROZEN.scale**2))
    assert found.approximation is not None
    assert found.amortization is not None
    assert found.converged is not None
    assert found.converged.all()
    close(found.approximation, family)
    close(found.amortization, whole - family)
    close(found.total, whole)
    close(found.log_evidence, MODEL.log_evidence(X))
    # The evidence is a lower bound: what it leaves out is in neither gap.
    assert (found.amortization.side, found.approximation.side) == ("lower", "none")
    # By rows, not only in the mean.
    np.testing.assert_allclose(found.amortization.values, whole - family, atol=1.0)


def test_a_full_rank_guide_has_no_approximation_gap(float64):
    tril = np.array([[0.5, 0.0, 0.0], [0.2, 0.4, 0.0], [-0.1, 0.0, 0.6]])
    found = audited(MODEL, LinearGuide(FROZEN.weight, tril), X)
    assert found.approximation is not None
    assert found.amortization is not None
    close(found.approximation, 0.0)
    close(found.amortization, divergences(X @ FROZEN.weight.T, tril @ tril.T))


def constant(features):
    return lambda _: jnp.asarray(features)


def flow_at_rest():
    """z is e: Gaussians that are independent in each dimension, whatever the context."""
    family = FlowFamily(3, "planar:1", context=1, key=jax.random.key(0))
    return AmortizedGuide(constant([0.3, -0.2, 0.1, -0.7, -0.1, -1.2, 0.5]), family)


def ladder_of_layers_apart():
    """z_1 of two and z_2 of one dimension, which the path does not tie together."""
    heads = constant([0.3, -0.2, 1.0, 2.0]), constant([0.1, -1.0])
    encoder = BottomUp((constant(0.0), constant(0.0)), heads, "tanh")
    return LadderGuide(encoder, TopDown((constant(np.zeros(4)),), (2, 1)))


def low_rank():
    """Every covariance in three dimensions, less its smallest eigenvalue, has rank two."""
    features = np.concatenate([[0.3, -0.2, 0.1, -0.7, -0.1, -1.2], np.full(6, 0.1)])
    return AmortizedGuide(constant(features), LowRankGaussian(3, 2))


@pytest.mark.parametrize(
    ("guide", "lacks"), [(flow_at_rest, True), (ladder_of_layers_apart, True), (low_rank, False)]
)
def test_members_that_only_their_features_name(guide, lacks, float64):
    """Where members have a mean and a scale in each dimension, they lack what a diagonal Gaussian lacks;
    the encoder, one member for all rows, lacks the rest of its divergence."""
    pair, rows = Pair(MODEL, guide()), Datum(jnp.asarray(X))
    drawn = importance_sampling(pair, rows, key=jax.random.key(3), num_particles=16)
    known = Estimate.from_rows(MODEL.log_evidence(X), side="exact")
    found = gaps(pair, rows, replace(drawn, log_evidence=known), key=jax.random.key(2))
    precision = MODEL.precision()
    family = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert found.approximation is not None
    assert found.amortization is not None
    assert found.converged is not None
    assert found.converged.mean() > 0.8
    # Steps that fall to zero end near the best member, and not above it.
    above = found.approximation.value - lacks * family
    assert -5 * found.approximation.mc_error < above < 0.02
    assert (found.amortization.side, found.approximation.side) == ("lower", "upper")
    if guide is flow_at_rest:
        covariance = np.diag(np.exp([-1.4, -0.2, -2.4]))
        whole = divergences(np.tile([0.3, -0.2, 0.1], (20, 1)), covariance)
        close(found.amortization, whole - family)


def test_an_encoder_that_names_every_best_member_has_no_amortization_gap(float64):
    precision = MODEL.precision()
    weight = np.linalg.solve(precision, LOADINGS.T / 0.7**2)
    best = LinearGuide(weight, np.diagonal(precision) ** -0.5)
    found = audited(MODEL, best, X)
    assert found.amortization is not None
    np.testing.assert_allclose(found.amortization.values, 0.0, atol=1e-6)


def test_a_posterior_that_is_no_gaussian(float64):
    """The best Gaussian of each row by quadrature and a search over mean and scale."""

    class Bent(LinearGaussian):
        def terms(self, datum, z):
            bent = jnp.stack([z[0], z[0] ** 2 - 1.0])
            return {**super().terms(datum, z), LOG_LIKELIHOOD: -2 * jnp.sum((datum.x - bent) ** 2)}

    def log_joint(x, z):
        return (
            -2 * ((x[0] - z) ** 2 + (x[1] - z**2 + 1) ** 2) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        )

    x = np.array([[0.8, 0.3], [-1.0, 0.6], [0.3, -0.9], [1.2, 0.4]])
    guide = LinearGuide(np.array([[0.8, 0.0]]), np.array([0.4]))
    found = audited(Bent(np.eye(1), 1.0), guide, x, 20_000, 10_000)
    line, (nodes, masses) = np.linspace(-8, 8, 4001), gauss_hermite(60)
    truth = np.log(np.trapezoid(np.exp([log_joint(row, line) for row in x]), line))

    def elbo(at, row):
        values = log_joint(row, at[0] + np.exp(at[1]) * nodes)
        return masses @ values + at[1] + 0.5 * np.log(2 * np.pi * np.e)

    best = [
        max(
            -minimize(lambda at, r=row: -elbo(at, r), (start, -1.0)).fun
            for start in (0.8 * row[0], 1, -1)
        )
        for row in x
    ]
    encoder = [elbo((0.8 * row[0], np.log(0.4)), row) for row in x]
    assert found.amortization is not None
    assert found.approximation is not None
    close(found.log_evidence, truth)
    close(found.approximation, truth - best)
    close(found.amortization, np.subtract(best, encoder))
    assert found.approximation.value > 3 * found.approximation.mc_error
    assert found.amortization.value > 3 * found.amortization.mc_error


def test_where_all_latents_are_enumerated_the_gap_is_the_divergence(float64):
    model = TableModel(np.array([0.2, -0.5, 0.4]), np.sin(np.arange(6.0).reshape(3, 2) ** 2))
    logits = np.array([0.8, -0.1, 0.3])
    found = audited(model, EnumeratedGuide(logits), np.array([0, 1]))
    posterior = np.exp(log_softmax(model.log_joint_table(), axis=0))
    truth = [entropy(softmax(logits), posterior[:, x]) for x in (0, 1)]
    np.testing.assert_allclose(found.total.values, truth, rtol=1e-10)
    assert found.total.side == "exact"
    assert found.amortization is None
    assert "latents that are discrete" in found.undivided


@pytest.mark.parametrize("scale", [1e-3])
def test_units_of_the_latents_do_not_matter(scale, float64):
    """z in other units: the same family, the same gaps."""

    class Scaled(LinearGaussian):
        def prior(self):
            import numpyro.distributions as dist

            return dist.Normal(0.0, scale).expand([3]).to_event(1)

    guide = LinearGuide(scale * FROZEN.weight, scale * FROZEN.scale)
    found = audited(Scaled(LOADINGS / scale, 0.7), guide, X)
    precision = MODEL.precision()
    family = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert found.approximation is not None
    close(found.approximation, family)
