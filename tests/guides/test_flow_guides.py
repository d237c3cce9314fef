"""Flow posteriors: their density by quadrature, their gradient by another route, and its price."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import trapezoid

from taut.architectures import VAE
from taut.bounds import ELBO, IWAE
from taut.core import NEG_LOG_Q, AbstractModel, Datum, InputError, frozen, particles, total
from taut.data import Schema
from taut.gradients import DoublyReparameterized, Reparameterized, StickingTheLanding
from taut.guides import AtFeatures, FlowFamily, FlowPosterior

START = {"loc": np.array([0.5, -1.0]), "scale_tril": np.array([[0.8, 0.0], [0.5, 0.4]])}


def moved(tree, seed=1, size=0.3):
    """Parameters away from where they start, also those that start at zero."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: a + size * jnp.asarray(rng.normal(size=a.shape), a.dtype)
        if jnp.issubdtype(a.dtype, jnp.floating) else a,
        tree,
    )  # fmt: skip


def posterior(layers="planar,iaf"):
    return moved(FlowPosterior(2, layers, **START, hidden=(8,), key=jax.random.key(0)))


def amortized():
    family = moved(FlowFamily(2, "radial,sylvester", context=3, hidden=(8,), key=jax.random.key(0)))
    return family(jnp.array([0.3, -0.4, -0.2, -0.9, 0.5, -1.0, 0.7]))


@pytest.mark.parametrize("make", [posterior, amortized])
def test_the_density_is_right_by_quadrature(make, float64):
    """It has mass one, and its moments are those of draws, which bring the same density."""
    q = make()
    nodes, weights = trapezoid(-10, 10, 0.05)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    mass = np.outer(weights, weights).ravel()
    log_q = -np.asarray(jax.jit(jax.vmap(lambda z: total(q.terms(z))))(jnp.asarray(grid)))
    mass = mass * np.exp(log_q)
    assert abs(mass.sum() - 1) < 1e-6

    draws = jax.jit(lambda: q.draw(jax.random.key(2), 4000))()
    again = jax.jit(jax.vmap(q.terms))(draws.z)[NEG_LOG_Q]
    np.testing.assert_allclose(again, draws.terms[NEG_LOG_Q], atol=1e-9)
    z = np.asarray(draws.z)
    features = np.concatenate([z, z**2, z[:, :1] * z[:, 1:]], axis=1)
    wanted = mass @ np.concatenate([grid, grid**2, grid[:, :1] * grid[:, 1:]], axis=1)
    error = features.std(axis=0) / np.sqrt(len(z))
    assert np.all(np.abs(features.mean(axis=0) - wanted) < 5 * error)


class Target(AbstractModel):
    """A log-density of z as a model without data."""

    log_density: object

    def terms(self, datum, z):
        return {"log_likelihood": self.log_density(z)}


def banana(z):
    return -0.5 * z[0] ** 2 - 0.5 * (z[1] - z[0] ** 2) ** 2 / 0.3


def gradient(estimator, bound, model, guide):
    key, datum = jax.random.key(5), Datum(x=jnp.zeros(()))
    arrays, static = split(guide)

    def surrogate(arrays):
        return estimator(bound, model, join(arrays, static), datum, key).surrogate

    return jax.jit(jax.grad(surrogate))(arrays)


def split(guide):
    leaves, tree = jax.tree.flatten(guide)
    free = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    return (
        [leaf for leaf, f in zip(leaves, free, strict=True) if f],
        (tree, [None if f else leaf for leaf, f in zip(leaves, free, strict=True)]),
    )


def join(arrays, static):
    tree, rest = static
    left = iter(arrays)
    return jax.tree.unflatten(tree, [next(left) if leaf is None else leaf for leaf in rest])


def test_the_gradient_is_that_of_the_map_and_its_jacobian(float64):
    """log |det| of the Jacobian that autodiff finds, instead of the layers' own."""
    guide = posterior()
    found = gradient(Reparameterized(), ELBO(num_draws=3), Target(banana), guide)
    arrays, static = split(guide)

    def by_hand(arrays):
        q = join(arrays, static)
        noise = jax.random.normal(jax.random.key(5), (3, 2))

        def one(e):
            jacobian = jax.jacfwd(lambda e: q.push(e)[0])(e)
            return banana(q.push(e)[0]) + jnp.linalg.slogdet(jacobian)[1]

        return jnp.mean(jax.vmap(one)(noise))

    for got, wanted in zip(found, jax.jit(jax.grad(by_hand))(arrays), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-10)
        assert np.any(got != 0)


@pytest.mark.parametrize(
    ("estimator", "bound"),
    [
        (StickingTheLanding(), ELBO(num_draws=2, kl="sampled")),
        (DoublyReparameterized(), IWAE(num_particles=2)),
    ],
)  # fmt: skip
def test_the_path_gradient_is_zero_at_the_target(estimator, bound, float64):
    """Density at stopped parameters, draw by draw; the plain gradient is not zero."""
    guide = posterior("iaf")
    target = Target(frozen(guide).log_prob)
    for leaf in gradient(estimator, bound, target, guide):
        np.testing.assert_allclose(leaf, 0, atol=1e-9)
    plain = gradient(Reparameterized(), bound, target, guide)
    assert max(np.max(np.abs(leaf)) for leaf in plain) > 0.1


def test_a_draw_takes_no_inverse_and_a_density_apart_is_priced():
    family = FlowFamily(5, "iaf:2", hidden=(8,), key=jax.random.key(0))
    assert family.cost == (11, 3)  # a permutation between the layers
    q = family(jnp.zeros(family.num_features))
    text = str(jax.make_jaxpr(lambda: q.draw(jax.random.key(0), 3))())
    assert "scan" not in text
    assert "scan" in str(jax.make_jaxpr(lambda z: q.terms(z))(jnp.zeros(5)))
    bound = ELBO(kl="sampled")
    assert Reparameterized().cost(bound, q).guide == 1
    assert StickingTheLanding().cost(bound, q).guide == 2


def test_the_start_is_near_the_gaussian_that_is_given(float64):
    q = FlowPosterior(2, "spline-coupling", **START, key=jax.random.key(0))
    z, log_q = jax.jit(lambda: q.sample_and_log_prob(jax.random.key(1), 2000))()
    e = np.linalg.solve(START["scale_tril"], (np.asarray(z) - START["loc"]).T).T
    gaussian = -0.5 * (e**2).sum(1) - np.log(2 * np.pi) - np.log(0.8 * 0.4)
    assert np.std(np.asarray(log_q) - gaussian) < 0.1
    diagonal = FlowPosterior(2, "planar", diagonal=True, key=jax.random.key(0))
    assert diagonal.lower.size == 0
    made = particles(
        Target(banana), diagonal, diagonal, Datum(x=jnp.zeros(())), jax.random.key(0), 4
    )
    np.testing.assert_allclose(made.log_q, [diagonal.log_prob(z) for z in made.z], rtol=1e-9)


def test_the_context_moves_the_posterior(float64):
    family = moved(FlowFamily(2, "planar", context=1, key=jax.random.key(0)))
    guides = [AtFeatures(jnp.array([0.0, 0, 0, 0, c]), family) for c in (-1.0, 1.0)]
    centres = [guide(Datum(x=jnp.zeros(()))).center() for guide in guides]
    assert np.max(np.abs(centres[0] - centres[1])) > 0.01


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: FlowFamily(2, "planer", key=jax.random.key(0)), "guide: .* got 'planer'. Try 'planar'"),
        (lambda: FlowFamily(2, "planar", context=0, key=jax.random.key(0)), "context of at least 1"),
        (
            lambda: FlowPosterior(2, "planar", loc=np.zeros(3), key=jax.random.key(0)),
            r"centre of shape \(2,\) .* got \(3,\) and \(2, 2\)",
        ),
    ],
)  # fmt: skip
def test_messages(act, message):
    with pytest.raises(InputError, match=message):
        act()


def test_the_activation_of_the_networks_is_not_that_of_the_layers():
    """Stored runs hold weights of layers with relu, whatever the networks beside them have."""

    schema = Schema(name="rows", kind="table", shape=(3,), support="real")

    def layers(activation):
        model = VAE(latent_dim=2, hidden=(4,), guide="iaf", activation=activation)
        return model.init(schema, jax.random.key(0)).bind()[1].family.chain

    assert layers("tanh").layers[0].network.network.activation == "relu"
    assert eqx.tree_equal(layers("tanh"), layers("gelu"))
