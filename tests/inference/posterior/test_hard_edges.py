"""Posteriors that end at an edge, where data leave no room: moments and evidence against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import transforms
from scipy import integrate, stats

import taut
from taut.core import FREE_CONSTANT, InputError, RunError
from taut.models.program import Bounded, LogJoint

X = np.array([2.2, 3.4, 2.7, 2.9, 4.1, 2.35, 3.8])
U = np.array([1.2, 3.4, 0.7, 2.9, 4.1, 2.2, 3.8])
Y = np.array([1.2, 3.4, 2.2, 4.0, 0.7])
FAR = np.array([31157.1, 31157.5, 31156.8, 31157.3])


def shifted(base, loc, scale=1.0):
    return dist.TransformedDistribution(base, transforms.AffineTransform(loc, scale))


def pareto(x):
    m = numpyro.sample("m", dist.HalfNormal(5.0))
    numpyro.sample("x", dist.Pareto(m, 3.0), obs=x)


def uniform(x):
    theta = numpyro.sample("theta", dist.Exponential(0.2))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("x", dist.Uniform(0.0, theta), obs=x)


def waiting(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    numpyro.sample("y", shifted(dist.Exponential(1.0), t), obs=y)


def scaled(y):
    t = numpyro.sample("t", dist.HalfNormal(5.0))
    numpyro.sample("y", shifted(dist.Beta(2.0, 3.0), 0.0, t), obs=y)


def truncated(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.TruncatedNormal(1.0, 2.0, low=t), obs=y)


def within_a_half(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1e5))
    numpyro.sample("y", dist.Uniform(t - 0.5, t + 0.5), obs=y)


def fenced(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    numpyro.factor("fence", jnp.where((t > 0.2) & (t < 0.7), 0.0, -jnp.inf))
    numpyro.sample("y", dist.Normal(t, 1.0), obs=y)


def uniform_log_joint(theta, x):
    log_p = jnp.log(0.2) - 0.2 * theta - len(x) * jnp.log(theta)
    return jnp.where(jnp.max(x) <= theta, log_p, -jnp.inf)


# name: (target, its data, density of latent and data, where the latent ends)
CASES = {
    "pareto": (
        pareto, {"x": X}, lambda m: stats.halfnorm.pdf(m, 0, 5) * stats.pareto.pdf(X, 3, 0, m).prod(),
        (0.0, X.min()),
    ),
    "uniform": (
        uniform, {"x": U}, lambda t: stats.expon.pdf(t, 0, 5) * stats.uniform.pdf(U, 0, t).prod(),
        (U.max(), 60.0),
    ),
    "shifted exponential": (
        waiting, {"y": Y}, lambda t: stats.norm.pdf(t) * stats.expon.pdf(Y, t).prod(), (-9.0, Y.min()),
    ),
    "scaled beta": (
        scaled, {"y": Y},
        lambda t: stats.halfnorm.pdf(t, 0, 5) * stats.beta.pdf(Y, 2, 3, 0, t).prod(), (Y.max(), 60.0),
    ),
    "truncated normal": (
        truncated, {"y": Y},
        lambda t: stats.norm.pdf(t) * stats.truncnorm.pdf(Y, (t - 1) / 2, np.inf, 1, 2).prod(),
        (-9.0, Y.min()),
    ),
    "both ends, far away": (
        within_a_half, {"y": FAR},
        lambda t: stats.norm.pdf(t, 0, 1e5), (FAR.max() - 0.5, FAR.min() + 0.5),
    ),
    "factor": (
        fenced, {"y": Y}, lambda t: stats.norm.pdf(t) * stats.norm.pdf(Y, t).prod(), (0.2, 0.7),
    ),
}  # fmt: skip


def quadrature(density, ends):
    moments = [
        integrate.quad(lambda t, n=n: t**n * density(t), *ends, epsabs=0, epsrel=1e-9, limit=200)[0]
        for n in range(3)
    ]
    mean = moments[1] / moments[0]
    return mean, np.sqrt(moments[2] / moments[0] - mean**2), np.log(moments[0])


def check(posterior, density, ends):
    mean, sd, log_evidence = quadrature(density, ends)
    assert posterior.verdict.verdict != "do not believe"
    assert abs(posterior.resampled.mean[0] - mean) < 0.05 * sd
    np.testing.assert_allclose(posterior.resampled.sd[0], sd, rtol=0.05)
    assert abs(posterior.raw.mean[0] - mean) < 0.2 * sd
    found = posterior.estimates["log_evidence"]
    assert abs(found.value - log_evidence) < 5 * found.mc_error
    (drawn,) = posterior.draws(1000, kind="raw").values()
    assert ends[0] - 1e-9 < drawn.min()
    assert drawn.max() < ends[1] + 1e-9


@pytest.mark.parametrize("name", CASES)
def test_a_posterior_ends_where_the_data_leave_no_room(name):
    target, data, density, ends = CASES[name]
    posterior = taut.infer(target, data=data, num_starts=2)
    check(posterior, density, ends)
    assert any("the guide's coordinates stay within the edge" in note for note in posterior.notes)


def test_a_log_joint_ends_where_it_says_minus_infinity():
    posterior = taut.infer(uniform_log_joint, data={"x": U}, support={"theta": "positive"})
    check(posterior, *CASES["uniform"][2:])


def spread(x):
    a = numpyro.sample("a", dist.Normal(0.0, 5.0))
    w = numpyro.sample("w", dist.HalfNormal(5.0))
    numpyro.sample("x", dist.Uniform(a, a + w), obs=x)


def around(x):
    m = numpyro.sample("m", dist.Normal(0.0, 5.0))
    h = numpyro.sample("h", dist.HalfNormal(5.0))
    numpyro.sample("x", dist.Uniform(m - h, m + h), obs=x)


def frontier(x, y):
    b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    numpyro.sample("y", shifted(dist.Exponential(1.0), a + b * x), obs=y)


def wide(x, low, width, prior):
    inside = (low <= x.min()) & (low + width >= x.max())
    return np.where(inside, prior * np.maximum(width, 1e-9) ** -len(x), 0.0)


def spread_density(a, w):
    return wide(U, a, w, stats.norm.pdf(a, 0, 5) * stats.halfnorm.pdf(w, 0, 5))


def around_density(m, h):
    return wide(U, m - h, 2 * h, stats.norm.pdf(m, 0, 5) * stats.halfnorm.pdf(h, 0, 5))


LINE = np.array([0.0, 0.5, 1.0, 1.5, 2.0])


def frontier_density(b, a):
    above = Y - b[..., None] * LINE  # less a, what is left of each row
    inside = a <= above.min(axis=-1)
    left = np.where(inside, above.sum(axis=-1) - len(Y) * a, np.inf)
    return stats.norm.pdf(a) * stats.norm.pdf(b) * np.exp(-left)


@pytest.mark.parametrize(
    ("target", "data", "density", "box"),
    [
        (spread, {"x": U}, spread_density, ((-25.0, 0.7), (3.4, 30.0))),
        (around, {"x": U}, around_density, ((-20.0, 25.0), (1.7, 25.0))),
        (frontier, {"x": LINE, "y": Y}, frontier_density, ((-6.0, 6.0), (-7.0, 7.0))),
    ],
    ids=["spread", "around", "frontier"],
)
def test_an_edge_that_moves_with_another_latent_is_followed(target, data, density, box):
    posterior = taut.infer(target, data=data, num_starts=2)
    axes = [np.linspace(*ends, 3001) for ends in box]
    first, second = np.meshgrid(*axes, indexing="ij", sparse=True)
    mass = density(first, second)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    means = np.array([(one * mass).sum() / mass.sum() for one in (first, second)])
    found = posterior.estimates["log_evidence"]
    # Half a cell of the grid at the edge, and five standard errors of even weights of 10 000 draws.
    assert abs(found.value - np.log(mass.sum() * cell)) < 0.05
    assert (np.abs(posterior.resampled.mean - means) < 0.1 * posterior.resampled.sd).all()
    assert any("in part where other latents decide" in note for note in posterior.notes)


def tilted(p):
    a, b = p["a"], p["b"]
    return jnp.where(a + b < 0.5, -0.5 * (a**2 + b**2), -jnp.inf)


def test_chains_stay_within_an_edge_that_no_coordinate_follows():
    """a + b is Normal(0, 2) below 0.5, and a - b is Normal(0, 2)."""
    found = taut.infer(tilted, support={"a": "real", "b": "real"}, num_starts=1, num_draws=4000)
    total = stats.truncnorm(-np.inf, 0.5 / np.sqrt(2), scale=np.sqrt(2))
    sd = np.sqrt(total.var() + 2) / 2
    moments = found.resampled
    assert found.verdict.verdict == "believe", found.verdict
    assert np.max(np.abs(moments.mean - total.mean() / 2)) < 0.1 * sd
    assert np.max(np.abs(moments.sd / sd - 1)) < 0.1
    evidence = np.log(2 * np.pi) + stats.norm.logcdf(0.5 / np.sqrt(2))
    assert abs(found.estimates["log_evidence"].value - evidence) < 0.1
    assert found.notes[-1] == "no Gaussian stays within it: the guide is a Laplace approximation"


def test_an_edge_that_cannot_be_followed_is_named():
    with pytest.raises(
        RunError, match=r"ends at an edge that moves with a and b, beyond which log p"
    ):
        taut.infer(tilted, support={"a": "real", "b": "real"}, refine="none")


def test_a_posterior_without_edges_that_is_improper_is_said_to_be():
    """One row, flat location and flat scale."""

    def program(y):
        m = numpyro.sample("m", dist.ImproperUniform(dist.constraints.real, (), ()))
        s = numpyro.sample("s", dist.ImproperUniform(dist.constraints.positive, (), ()))
        numpyro.sample("y", dist.Normal(m, s), obs=y)

    with pytest.raises(RunError, match=r"^improper posterior"):
        taut.infer(program, data={"y": np.array([1.3])}, num_draws=2000)


@pytest.mark.parametrize(
    ("target", "data", "name"), [(waiting, {"y": Y}, "t"), (around, {"x": U}, "h")]
)
def test_a_saved_posterior_keeps_its_edges(target, data, name, tmp_path):
    posterior = taut.infer(target, data=data, num_starts=1, num_draws=1000, refine="none")
    again = taut.load(posterior.save(tmp_path / "run"), like=target, data=data)
    np.testing.assert_array_equal(again.raw.mean, posterior.raw.mean)
    for kind in ("raw", "resampled"):
        draws = [one.draws(50, kind=kind)[name] for one in (posterior, again)]
        np.testing.assert_array_equal(*draws)


def within_one(x):
    theta = numpyro.sample("theta", dist.Uniform(0.0, 1.0))
    numpyro.sample("x", dist.Uniform(0.0, theta), obs=x)


def test_minibatches_do_not_tell_where_a_posterior_ends():
    with pytest.raises(
        InputError, match=r"support of 'x' moves with latents, got minibatches\. Try leaving out"
    ):
        taut.infer(uniform, data={"x": U}, subsample={"rows": 3})


def test_a_value_that_no_latent_allows_is_refused():
    wish = r"site 'x': expected latents for which every observed value is possible, got none among"
    with pytest.raises(InputError, match=wish + r" random ones; 1\.5 in row 2 is outside"):
        taut.infer(within_one, data={"x": [0.2, 1.5, 0.3]})


def test_coordinates_within_edges_are_those_of_the_parameters_and_back(float64):
    model, datum = LogJoint.of(lambda p: -jnp.sum(p["a"] ** 2), {"a": ("real", 4)})
    low, high = jnp.array([-1.0, 0.5, -jnp.inf, -jnp.inf]), jnp.array([2.0, jnp.inf, 0.3, jnp.inf])
    bounded = Bounded(model, low, high, jnp.array([1.0, 2.0, 0.5, 1.0]))

    @jax.jit
    def found(z):
        a = bounded.constrain(z)["a"]
        slopes = jnp.diagonal(jax.jacobian(lambda z: bounded.constrain(z)["a"])(z))
        return a, bounded.unconstrain({"a": a}), slopes, bounded.log_joint(datum, z)

    z = np.tile(np.linspace(-3.0, 3.0, 7)[:, None], 4)
    a, back, slopes, log_joint = map(np.asarray, jax.jit(jax.vmap(found))(z))
    assert (low < a).all()
    assert (a < high).all()
    np.testing.assert_allclose(back, z, atol=1e-9)
    wanted = -np.sum(a**2, axis=1) + np.log(np.abs(slopes)).sum(axis=1)
    np.testing.assert_allclose(log_joint, wanted, rtol=1e-9)


def test_a_log_joint_that_data_bound_has_a_free_constant():
    """Whatever coordinates end at the edge, nobody knows its constant."""
    y = np.random.default_rng(0).uniform(0, 3, 40)

    def log_joint(p, data):
        top = p["theta"]
        inside = top >= data["y"].max()
        return jnp.where(inside, -(len(data["y"]) + 2) * jnp.log(top), -jnp.inf)

    found = taut.infer(
        log_joint, data={"y": y}, support={"theta": "positive"}, refine="none", num_draws=500, key=0
    )
    assert isinstance(found.model, Bounded)
    assert FREE_CONSTANT in found.estimates["log_evidence"].flags
