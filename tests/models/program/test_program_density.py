"""terms of a program are a density over R^d: maps onto supports, Jacobians, and what integrals say."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from numpyro.infer.util import log_density
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, LOG_VOLUME
from taut.models.program import LOG_JOINT, SUPPORTS, LogJoint, NumPyroProgram, check_start

SHAPES = {
    "simplex": (3,),
    "ordered": (2, 3),
    "positive_ordered": (3,),
    "zero_sum": (3,),
    "corr_cholesky": (3, 3),
    "corr_matrix": (3, 3),
    "lower_cholesky": (2, 2),
    "positive_definite": (2, 2),
}


def cells(name: str, value: jax.Array) -> jax.Array:
    """The coordinates in which densities over a support are written."""
    if name == "simplex":
        return value[..., :-1].ravel()
    if name in ("corr_cholesky", "corr_matrix"):
        return value[..., *np.tril_indices(value.shape[-1], -1)].ravel()
    if name in ("lower_cholesky", "positive_definite"):
        return value[..., *np.tril_indices(value.shape[-1])].ravel()
    return value.ravel()


@pytest.mark.parametrize("name", SUPPORTS)
def test_log_volume_is_the_log_determinant_of_the_map(name, float64):
    shape = SHAPES.get(name, (2,))
    model, datum = LogJoint.of(lambda p: jnp.sum(p["a"]), {"a": (name, shape)})
    z = jax.random.normal(jax.random.key(0), (model.dim,))

    @jax.jit
    def mapped(z):
        value = model.constrain(z)["a"]
        jacobian = jax.jacfwd(lambda z: cells(name, model.constrain(z)["a"]))(z)
        return value, jacobian, model.terms(datum, z)[LOG_VOLUME], model.unconstrain({"a": value})

    value, jacobian, log_volume, back = mapped(z)
    if name == "zero_sum":  # an isometry onto a plane
        volume = 0.5 * np.linalg.slogdet(jacobian.T @ jacobian)[1]
    else:
        assert jacobian.shape == (model.dim, model.dim)
        volume = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(log_volume, volume, rtol=1e-9, atol=1e-12)
    assert model.sites[0].support(value).all()
    np.testing.assert_allclose(back, z, rtol=1e-9, atol=1e-9)


def test_the_density_of_z_integrates_to_the_evidence(float64):
    """Exponential scale, half of one observation: log of the integral over z is log p(x)."""

    def log_joint(rate, x):
        return dist.Exponential(2.0).log_prob(rate) + dist.Exponential(rate).log_prob(x)

    model, datum = LogJoint.of(log_joint, {"rate": "positive"}, {"x": 0.7})
    density = jax.jit(lambda z: jnp.exp(model.log_joint(datum, z)))
    mass, error = quad(
        lambda t: float(density(jnp.array([t]))), -20.0, 8.0, epsabs=1e-11, limit=200
    )
    assert abs(mass - 2.0 / (2.0 + 0.7) ** 2) < max(error, 1e-10)


def simplex_program(counts, n):
    p = numpyro.sample("p", dist.Dirichlet(jnp.array([2.0, 1.0, 3.0])))
    numpyro.sample("counts", dist.Multinomial(n, p), obs=counts)


def test_a_simplex_keeps_its_mass(float64):
    """Dirichlet-multinomial evidence by summation over a grid of z in R^2, in closed form by scipy."""
    from scipy.stats import dirichlet_multinomial

    model, datum = NumPyroProgram.of(simplex_program, {"counts": [2, 0, 1], "n": 3})
    assert model.dim == 2
    axis = jnp.linspace(-20.0, 20.0, 401)
    grid = jnp.stack(jnp.meshgrid(axis, axis), -1).reshape(-1, 2)
    log_p = jax.jit(jax.vmap(lambda z: model.log_joint(datum, z)))(grid)
    log_evidence = jax.nn.logsumexp(log_p) + 2.0 * jnp.log(axis[1] - axis[0])
    exact = dirichlet_multinomial.logpmf([2, 0, 1], [2.0, 1.0, 3.0], 3)
    np.testing.assert_allclose(log_evidence, exact, rtol=1e-8)


def many_sites(x, group, num_groups):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(1.0))
    chol = numpyro.sample("chol", dist.LKJCholesky(2, 1.0))
    share = numpyro.sample("share", dist.ImproperUniform(constraints.simplex, (), (3,)))
    with numpyro.plate("groups", num_groups):
        effect = numpyro.sample("effect", dist.Normal(mu, tau))
        pair = numpyro.sample("pair", dist.MultivariateNormal(jnp.zeros(2), scale_tril=chol))
    numpyro.deterministic("total", effect.sum() + share[0])
    upper = numpyro.sample("upper", dist.Uniform(0.0, 1.0 + tau))
    with numpyro.plate("rows", len(x)), numpyro.handlers.scale(scale=0.5):
        numpyro.sample("x", dist.Normal(effect[group] + pair[group, 0] * upper, 1.0), obs=x)


DATA = {"x": [0.1, -0.4, 1.3, 0.2], "group": [0, 1, 1, 0], "num_groups": 2}


def test_terms_are_what_the_program_says(float64):
    model, datum = NumPyroProgram.of(many_sites, DATA)
    z = jax.random.normal(jax.random.key(1), (model.dim,))
    data = {name: jnp.asarray(v) if name != "num_groups" else v for name, v in DATA.items()}

    @jax.jit
    def routes(z):
        theta = model.constrain(z)
        log_joint, sites = log_density(many_sites, (), data, theta)
        here = model.terms(datum, z), model.derived(datum, z), model.unconstrain(theta)
        return here, theta, log_joint, sites["x"]["fn"].mean

    (terms, derived, back), theta, log_joint, mean = routes(z)
    likelihood = 0.5 * norm.logpdf(data["x"], mean).sum()
    np.testing.assert_allclose(terms[LOG_LIKELIHOOD], likelihood, rtol=1e-12)
    np.testing.assert_allclose(terms[LOG_LIKELIHOOD] + terms[LOG_PRIOR], log_joint, rtol=1e-12)
    total = theta["effect"].sum() + theta["share"][0]
    np.testing.assert_allclose(derived["total"], total, rtol=1e-12)
    np.testing.assert_allclose(back, z, rtol=1e-9, atol=1e-12)


def test_bounds_that_move_with_latents_enter_the_jacobian(float64):
    """upper = (1 + tau) sigmoid(z): its factor depends on tau's coordinate, off the diagonal of J."""
    model, datum = NumPyroProgram.of(many_sites, DATA)
    z = jax.random.normal(jax.random.key(2), (model.dim,))

    def coordinates(z):
        theta = model.constrain(z)
        chol, share = theta.pop("chol"), theta.pop("share")
        rest = [jnp.ravel(v) for v in theta.values()]
        return jnp.concatenate([chol[1, :1], share[:2], *rest])

    jacobian = jax.jit(jax.jacfwd(coordinates))(z)
    volume = np.linalg.slogdet(jacobian)[1]
    terms = jax.jit(lambda z: model.terms(datum, z))(z)
    np.testing.assert_allclose(terms[LOG_VOLUME], volume, rtol=1e-10)


def test_sites_and_coordinates_are_named_as_the_field_does(float64):
    model, _ = NumPyroProgram.of(many_sites, DATA)
    sites = {site.name: site for site in model.sites}
    assert list(sites) == ["mu", "tau", "chol", "share", "effect", "pair", "upper"]
    assert sites["pair"].shape == (2, 2)
    assert sites["pair"].plates == ("groups",)
    assert model.coordinates[2:6] == ("chol[0,0]", "chol[0,1]", "chol[1,0]", "chol[1,1]")
    assert model.coordinates[:2] == ("mu", "tau")
    assert model.dim == model.num_globals == 1 + 1 + 1 + 2 + 2 + 4 + 1
    assert model.initial(jax.random.key(0), 0.5).shape == (model.dim,)
    assert not model.subsampled
    assert model.row_scale == 1.0


def copies_by_expand(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    x = numpyro.sample("x", dist.Normal(mu, 1.0).expand((6,)))
    numpyro.sample("y", dist.Normal(x, 0.5), obs=y)


def copies(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    x = numpyro.sample("x", dist.Normal(mu, 1.0), sample_shape=(6,))
    numpyro.sample("y", dist.Normal(x, 0.5), obs=y)


def copies_of_data(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    scale = jnp.sqrt(1.25)
    x = numpyro.sample("x", dist.Normal(jnp.zeros(2), 1.0).to_event(1), sample_shape=(3,))
    with numpyro.plate("rows", 6):
        numpyro.sample("y", dist.Normal(mu, scale), sample_shape=(1,), obs=y)
        numpyro.sample("x_again", dist.Normal(x.ravel(), 1.0), obs=jnp.zeros(6))


@pytest.mark.parametrize("program", [copies_by_expand, copies, copies_of_data])
def test_copies_of_a_latent_are_latents(program, float64):
    """log-evidence and sd of mu: Gaussian in z, so one maximum and its Hessian hold the integral."""
    y = np.array([1.2, 3.4, 0.7, 2.9, 4.1, 2.2])
    model, datum = NumPyroProgram.of(program, {"y": y})
    assert model.sites[1].shape == ((6,) if program is not copies_of_data else (3, 2))
    log_joint = jax.jit(lambda z: model.log_joint(datum, z))
    z = jnp.zeros(7)
    precision = -jax.jit(jax.hessian(log_joint))(z)
    at = jnp.linalg.solve(precision, jax.jit(jax.grad(log_joint))(z))
    evidence = log_joint(at) + 3.5 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    covariance = 25.0 * np.ones((6, 6)) + 1.25 * np.eye(6)
    expected = multivariate_normal.logpdf(y, cov=covariance)
    if program is copies_of_data:
        expected += 6.0 * norm.logpdf(0.0, scale=np.sqrt(2.0))
    np.testing.assert_allclose(evidence, expected, rtol=1e-10)
    sd = np.sqrt(np.linalg.inv(precision)[0, 0])
    np.testing.assert_allclose(sd, (1.0 / 25.0 + 6.0 / 1.25) ** -0.5, rtol=1e-10)


def fixed_and_weighed(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    twice = numpyro.sample("twice", dist.Delta(2.0 * mu, log_density=-mu))
    numpyro.sample("nothing", dist.Unit(-(mu**2)))
    numpyro.sample("empty", dist.Normal(0.0, 1.0).expand((0,)))
    shift = numpyro.handlers.substitute(of_shift, data={"shift": 0.5})()
    numpyro.sample("y", dist.Normal(twice + shift, 1.0), obs=y)


def of_shift():
    return numpyro.sample("shift", dist.Normal(0.0, 1.0))


def test_sites_without_freedom_are_no_coordinates(float64):
    """A point mass, a weight, a latent of no cells and one whose value is given."""
    model, datum = NumPyroProgram.of(fixed_and_weighed, {"y": 0.7})
    assert model.coordinates == ("mu",)
    check_start(model, datum, jnp.ones(1))
    expected = norm.logpdf([0.3, 0.5]).sum() - 0.3 - 0.09 + norm.logpdf(0.7, 1.1)
    np.testing.assert_allclose(model.log_joint(datum, jnp.array([0.3])), expected, rtol=1e-12)


def by_dictionary(parameters, data):
    scale = parameters["sigma"] * data["unit"]
    return dist.Normal(parameters["beta"].sum(), scale).log_prob(data["y"]).sum()


def by_name(sigma, beta, y, unit):
    return dist.Normal(beta.sum(), sigma * unit).log_prob(y).sum()


def test_both_ways_to_write_a_log_joint_agree(float64):
    support = {"sigma": "positive", "beta": (constraints.real, 2)}
    data = {"y": np.array([0.3, 1.0]), "unit": 2}
    made = [LogJoint.of(function, support, data) for function in (by_dictionary, by_name)]
    z = jnp.array([0.2, -0.3, 0.7])
    sigma, mean = np.exp(0.2), 0.4
    for model, datum in made:
        assert set(jax.tree.leaves(datum.x)[0].shape) == {2}  # the integer stays a setting
        terms = model.terms(datum, z)
        expected = norm.logpdf(data["y"], mean, 2.0 * sigma).sum()
        np.testing.assert_allclose(terms[LOG_JOINT], expected, rtol=1e-12)
        np.testing.assert_allclose(terms[LOG_VOLUME], 0.2, rtol=1e-12)


def test_data_are_arguments_of_the_compiled_program(float64):
    """One compilation serves other data of the same shape."""
    model, datum = NumPyroProgram.of(many_sites, DATA)
    traces = []

    @jax.jit
    def log_joint(datum, z):
        traces.append(1)
        return model.log_joint(datum, z)

    z = jnp.zeros(model.dim)
    here = log_joint(datum, z)
    _, other = NumPyroProgram.of(many_sites, {**DATA, "x": [9.0, 9.0, 9.0, 9.0]})
    assert log_joint(other, z) < here - 10.0
    assert len(traces) == 1
