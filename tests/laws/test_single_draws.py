"""One draw is worth what it is among several, and is not an axis of a matrix product of its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from known_models import ConjugateGaussian, FedGuide, NormalGuide, datum, location_scale

import taut
from taut.core import Datum, over_draws, particles
from taut.data import Schema


def test_a_draw_alone_has_the_terms_and_gradients_that_it_has_among_others(float64):
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    guide = NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.5))

    def first(both, noise):
        model, guide = both
        fed = FedGuide(guide, noise, location_scale)
        made = particles(model, fed, fed, datum(0.8), jax.random.key(0), len(noise))
        return made.log_w[0], (made.terms, made.z, made.kl)

    look = jax.value_and_grad(first, has_aux=True)
    (value, alone), gradient = look((model, guide), jnp.array([0.7]))
    (wanted, others), wanted_gradient = look((model, guide), jnp.array([0.7, -1.2]))
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(others), strict=True):
        assert a.shape == (1, *b.shape[1:])
        np.testing.assert_allclose(a[0], b[0], rtol=1e-14)
    for a, b in zip(*map(jax.tree.leaves, (gradient, wanted_gradient)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_what_is_not_there_stays_so():
    assert over_draws(lambda z: None, jnp.ones((1, 2))) is None


def test_products_of_a_single_draw_have_two_axes():
    """Rows and features; with two draws they have three."""
    schema = Schema(name="rows", kind="table", shape=(6,), support="binary")
    pair = eqx.filter_eval_shape(
        lambda: taut.VAE(latent_dim=2, hidden=(5,)).init(schema, jax.random.key(0))
    )

    def products(num_particles):
        def bound(pair, x):
            model, guide = pair.bind()
            draw = lambda x: particles(  # noqa: E731
                model, guide, guide, Datum(x), jax.random.key(0), num_particles
            )
            return jnp.sum(jax.vmap(draw)(x).log_w)

        rows = jax.ShapeDtypeStruct((7, 6), jnp.float32)
        jaxpr = jax.make_jaxpr(eqx.filter_grad(bound))(pair, rows)
        text = [line for line in str(jaxpr).splitlines() if " = dot_general" in line]
        assert text
        return max(line.split(" = ")[0].count(",") + 1 for line in text)

    assert products(1) == 2
    assert products(2) == 3
