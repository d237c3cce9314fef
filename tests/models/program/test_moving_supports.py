"""Log-joints of programs whose supports move with a latent, against SciPy's densities."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import transforms
from scipy import stats

from taut.models.program import NumPyroProgram

Y = np.array([1.2, 3.4, 2.2, 0.7])
NORMAL, POSITIVE = stats.norm(0, 3), stats.halfnorm(0, 3)


def prior(support):
    return dist.Normal(0.0, 3.0) if support is NORMAL else dist.HalfNormal(3.0)


def shifted(base, t, scale=1.0):
    return dist.TransformedDistribution(base, transforms.AffineTransform(t, scale))


def truncated(x, t):
    return stats.truncnorm.logpdf(x, (t - 1.0) / 2.0, np.inf, 1.0, 2.0)


def mixed(x, t):
    parts = [stats.uniform.pdf(x, 0, t), stats.expon.pdf(x, t + 1)]
    with np.errstate(divide="ignore"):
        return np.log(0.3 * parts[0] + 0.7 * parts[1])


def censored(x, t):
    return np.where([0, 1, 0, 1], stats.uniform.logsf(x, 0, t), stats.uniform.logpdf(x, 0, t))


# name: (prior of t, distribution of y given t, its log-density by SciPy)
PROGRAMS = {
    "pareto": (POSITIVE, lambda t: dist.Pareto(t, 3.0), lambda x, t: stats.pareto.logpdf(x, 3, 0, t)),
    "uniform": (POSITIVE, lambda t: dist.Uniform(0.0, t), lambda x, t: stats.uniform.logpdf(x, 0, t)),
    "uniform around": (
        NORMAL, lambda t: dist.Uniform(t - 2.0, t + 2.0), lambda x, t: stats.uniform.logpdf(x, t - 2, 4),
    ),
    "shifted exponential": (
        NORMAL, lambda t: shifted(dist.Exponential(1.0), t), lambda x, t: stats.expon.logpdf(x, t),
    ),
    "reflected exponential": (
        NORMAL, lambda t: shifted(dist.Exponential(1.0), t, -1.0),
        lambda x, t: stats.expon.logpdf(t - x),
    ),
    "shifted weibull": (
        NORMAL, lambda t: shifted(dist.Weibull(1.0, 2.0), t),
        lambda x, t: stats.weibull_min.logpdf(x, 2, t),
    ),
    "shifted log-normal": (
        NORMAL, lambda t: shifted(dist.LogNormal(0.0, 1.0), t),
        lambda x, t: stats.lognorm.logpdf(x, 1, t),
    ),
    "scaled beta": (
        POSITIVE, lambda t: shifted(dist.Beta(2.0, 3.0), 0.0, t),
        lambda x, t: stats.beta.logpdf(x, 2, 3, 0, t),
    ),
    "levy": (NORMAL, lambda t: dist.Levy(t, 1.0), lambda x, t: stats.levy.logpdf(x, t)),
    "truncated normal": (NORMAL, lambda t: dist.TruncatedNormal(1.0, 2.0, low=t), truncated),
    "log-uniform": (
        POSITIVE, lambda t: dist.LogUniform(0.1, t + 0.2),
        lambda x, t: stats.loguniform.logpdf(x, 0.1, t + 0.2),
    ),
    "independent": (
        POSITIVE, lambda t: dist.Uniform(0.0, jnp.full(4, t)).to_event(1),
        lambda x, t: stats.uniform.logpdf(x, 0, t),
    ),
    "mixture": (
        POSITIVE,
        lambda t: dist.MixtureGeneral(
            dist.Categorical(jnp.array([0.3, 0.7])),
            [dist.Uniform(0.0, t), shifted(dist.Exponential(1.0), t + 1.0)],
            support=dist.constraints.real,
        ),
        mixed,
    ),
    "right-censored": (
        POSITIVE,
        lambda t: dist.RightCensoredDistribution(dist.Uniform(0.0, t), jnp.array([0, 1, 0, 1])),
        censored,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_log_joint_is_minus_infinity_where_an_observed_value_cannot_be(name, float64):
    given, make, log_density = PROGRAMS[name]

    def program(y):
        t = numpyro.sample("t", prior(given))
        numpyro.sample("y", make(t), obs=y)

    model, datum = NumPyroProgram.of(program, {"y": Y})
    z = np.linspace(-3.01, 5.03, 41)
    t = z if given is NORMAL else np.exp(z)
    log_joint = jax.jit(jax.vmap(jax.value_and_grad(lambda z: model.log_joint(datum, z))))
    found, gradients = map(np.asarray, log_joint(z[:, None]))
    volume = 0.0 if given is NORMAL else z
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.array([given.logpdf(one) + np.sum(log_density(Y, one)) for one in t]) + volume
    assert 0 < np.isfinite(expected).sum() < len(z)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    assert np.isneginf(found[~np.isfinite(expected)]).all()
    np.testing.assert_allclose(
        found[np.isfinite(expected)], expected[np.isfinite(expected)], rtol=1e-9, atol=1e-9
    )
    assert np.isfinite(gradients).all()


def test_a_latent_lies_in_the_image_of_the_base_of_its_distribution(float64):
    def program(y):
        t = numpyro.sample("t", shifted(dist.Exponential(1.0), 2.0, -1.0))
        u = numpyro.sample("u", shifted(dist.Beta(2.0, 3.0), t, 4.0))
        numpyro.sample("y", dist.Normal(u, 1.0), obs=y)

    model, datum = NumPyroProgram.of(program, {"y": 1.0})
    z = np.array([[-1.0, 0.5], [0.3, -2.0], [2.0, 1.0]])
    for one in jnp.asarray(z):
        values = {name: float(value) for name, value in model.constrain(one).items()}
        t, u = values["t"], values["u"]
        assert t < 2
        assert t < u < t + 4
        back = model.unconstrain({name: jnp.asarray(value) for name, value in values.items()})
        np.testing.assert_allclose(back, one, rtol=1e-9)
        inside = (u - t) / 4
        expected = (
            stats.expon.logpdf(2 - t) + stats.beta.logpdf(u, 2, 3, t, 4) + stats.norm.logpdf(1 - u)
        )
        volume = np.log(2 - t) + np.log(4 * inside * (1 - inside))
        np.testing.assert_allclose(model.log_joint(datum, one), expected + volume, rtol=1e-9)


@pytest.mark.parametrize(
    "high", [lambda a: 1.0 - a, lambda a: 1 + 4 * (a - 0.5) ** 2, lambda a: jnp.maximum(a, 0.7)]
)
def test_a_bound_moves_with_whichever_latent_it_is_computed_from(high, float64):
    """Also where the bound is as at the origin over half of the line, or on both sides of it."""

    def program(y):
        numpyro.sample("w", dist.HalfNormal(1.0))
        a = numpyro.sample("a", dist.Uniform(0.0, 1.0))
        b = numpyro.sample("b", dist.Uniform(0.0, high(a)))
        numpyro.sample("y", dist.Normal(b, 1.0), obs=y)

    model, _ = NumPyroProgram.of(program, {"y": 1.0})
    values = model.constrain(jnp.array([0.3, 1.5, -0.4]))
    share = 1 / (1 + np.exp(0.4))
    np.testing.assert_allclose(values["b"], high(values["a"]) * share, rtol=1e-9)


def test_a_number_of_trials_that_is_summed_out_is_at_least_the_successes(float64):
    def program(y):
        p = numpyro.sample("p", dist.Beta(2.0, 3.0))
        n = numpyro.sample("n", dist.Categorical(jnp.full(8, 1 / 8)))
        numpyro.sample("y", dist.Binomial(n, p), obs=y)

    model, datum = NumPyroProgram.of(program, {"y": np.array([3.0, 5.0])})
    z = 0.4
    p = 1 / (1 + np.exp(-z))
    terms = [np.prod(stats.binom.pmf([3, 5], n, p)) / 8 for n in range(8)]
    expected = np.log(np.sum(terms)) + stats.beta.logpdf(p, 2, 3) + np.log(p * (1 - p))
    np.testing.assert_allclose(model.log_joint(datum, jnp.array([z])), expected, rtol=1e-9)
