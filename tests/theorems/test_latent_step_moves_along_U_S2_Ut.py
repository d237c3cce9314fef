"""One plain step in latent space moves x by lambda U S^2 U^T grad s, and the rest is of order lambda^2.

    g(z + lambda J^T grad s) - g(z) = lambda U S^2 U^T grad s + O(lambda^2),        J = U S V^T

On a tube of thickness delta about a curve the normal part is delta^2 of the tangent part; by a sign
step, which divides each latent dimension by its own size, it is delta. With fewer latents than cells
the move leaves the image's tangent space at second order only.
"""

from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.counterfactuals import Class, Differentiable, Plain, PullBack, XSpace
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.generator import AbstractGenerator, Flowing, Functions, Identity
from taut.models import StandardNormal
from taut.transforms import AffineTransformer, Chain, Permute, vector_coupling

pytestmark = pytest.mark.usefixtures("float64")
LAMBDAS = 10.0 ** np.arange(-1.0, -4.1, -0.5)
DELTAS = np.array([0.2, 0.1, 0.05, 0.025])
WEIGHTS = np.array([[0.4, -1.1, 0.7], [-0.9, 0.2, 1.3]])


def classifier(x):
    """Logits that are not linear in x."""
    return jnp.tanh(jnp.asarray(WEIGHTS[:, : len(x)]) @ x + 0.3) * 2


def tube(delta):
    """(t, u, v) -> a helix and its normals, delta times; an analytic map with an analytic frame."""

    def decode(z):
        t, u, v = z
        a, b = 1.0, 0.4
        size = np.hypot(a, b)
        curve = jnp.array([a * jnp.cos(t), a * jnp.sin(t), b * t])
        normal = -jnp.array([jnp.cos(t), jnp.sin(t), 0 * t])
        binormal = jnp.array([b * jnp.sin(t), -b * jnp.cos(t), a + 0 * t]) / size
        return curve + delta * (u * normal + v * binormal)

    return Functions(encoder=lambda x: x, decoder=decode, x_shape=(3,))


@eqx.filter_jit
def flow():
    """Couplings of smooth networks, far from the identity."""
    keys = jax.random.split(jax.random.key(1), 4)
    layers = []
    for i, key in enumerate(keys):
        layers += [
            vector_coupling(3, AffineTransformer(), hidden=(8,), activation="tanh", key=key),
            Permute([1, 2, 0]),
        ]
        widened = jax.tree.map(
            lambda a, i=i: a + 0.3 * jax.random.normal(jax.random.key(7 + i), a.shape)
            if eqx.is_inexact_array(a) else a, layers[-2],
        )  # fmt: skip
        layers[-2] = widened
    return Flowing(chain=Chain(layers), base=StandardNormal(3))


def surface():
    """Two latents, three cells."""
    return Functions(
        encoder=lambda x: x[:2],
        decoder=lambda z: jnp.array([z[0], jnp.sin(z[1]), z[0] * z[1] + z[1] ** 2]),
        x_shape=(3,),
    )


CASES = ("tube", "flow", "surface")


@cache
def case(name):
    """A generator and a place in its latent space."""
    return {
        "tube": lambda: (tube(0.3), [0.4, 0.2, -0.5]),
        "flow": lambda: (flow(), [0.3, -0.6, 0.8]),
        "surface": lambda: (surface(), [0.5, -0.3]),
    }[name]()


def first_direction(generator: AbstractGenerator, geometry, x, z):
    """Of the library's ascent from a place."""

    def direction(x, z):
        ascent = Ascent(generator, Differentiable(classifier), Class(1), geometry)
        return ascent.begin(x, z, jax.random.key(0)).direction

    return jax.jit(direction)(x, z)


def moves(generator: AbstractGenerator, z, step=None, lambdas: Any = LAMBDAS):
    """What x moves by for each lambda; `step` is a planted direction, by default the library's."""
    z = jnp.asarray(z)
    decode = eqx.filter_jit(generator.decode)
    x = decode(z)
    direction = step(z) if step else first_direction(generator, Plain(), x, z)
    return np.array([decode(z + size * direction) - x for size in lambdas])


def gradient(x):
    """grad s, by the logits themselves: of two classes s is their difference."""
    return np.asarray(jax.jit(jax.grad(lambda x: classifier(x)[1] - classifier(x)[0]))(x))


def jacobian(generator, z):
    return np.asarray(jax.jit(jax.jacfwd(generator.decode))(jnp.asarray(z)))


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def residual_slope(name, step=None):
    generator, z = case(name)
    u, s, _ = np.linalg.svd(jacobian(generator, z), full_matrices=False)
    predicted = u @ np.diag(s**2) @ u.T @ gradient(generator.decode(jnp.asarray(z)))
    residual = np.linalg.norm(moves(generator, z, step) - LAMBDAS[:, None] * predicted, axis=1)
    return slope(LAMBDAS, residual)


@pytest.mark.parametrize("name", CASES)
def test_the_residual_is_of_second_order(name):
    assert residual_slope(name) == pytest.approx(2.0, abs=0.1)


def planted(fault):
    generator, z = case("flow")
    x = generator.decode(jnp.asarray(z))
    j = jacobian(generator, z)
    u, _, vt = np.linalg.svd(j)
    wrong = {
        "the Jacobian for its transpose": j,
        "S for S^2": vt.T @ u.T,
        "the encoder's Jacobian": np.asarray(jax.jacfwd(generator.encode)(x)),
    }[fault]
    return lambda z: jnp.asarray(wrong @ gradient(x))


@pytest.mark.parametrize(
    "fault", ["the Jacobian for its transpose", "S for S^2", "the encoder's Jacobian"]
)
def test_planted_faults_leave_a_residual_of_first_order(fault):
    assert residual_slope("flow", planted(fault)) < 1.2


def test_a_linear_map_has_no_residual():
    matrix = np.array([[1.0, 0.5, 0.0], [0.2, -0.7, 0.1], [0.0, 0.3, 0.02]])
    generator = Functions(
        encoder=lambda x: x, decoder=lambda z: jnp.asarray(matrix) @ z, x_shape=(3,)
    )
    z = np.array([0.1, 0.4, -0.2])
    u, s, _ = np.linalg.svd(matrix)
    predicted = u @ np.diag(s**2) @ u.T @ gradient(jnp.asarray(matrix @ z))
    np.testing.assert_allclose(
        moves(generator, z), LAMBDAS[:, None] * predicted, rtol=0, atol=1e-14
    )


def test_the_identity_is_ascent_in_x():
    x = jnp.array([0.1, 0.4, -0.2])
    here = Functions(encoder=lambda x: x, decoder=lambda z: z, x_shape=(3,))
    for generator, geometry in ((here, Plain()), (Identity((3,)), XSpace())):
        found = first_direction(generator, geometry, x, x)
        np.testing.assert_allclose(found, gradient(x), rtol=1e-12)


def normal_to_tangent(step):
    """The ratio at the centre line, for tubes of every thickness."""
    ratios = []
    for delta in DELTAS:
        generator, z = tube(delta), np.array([0.4, 0.0, 0.0])
        tangent = jacobian(generator, z)[:, 0]
        tangent = tangent / np.linalg.norm(tangent)
        moved = moves(generator, z, step and step(generator), [1e-6])[
            0
        ]  # less than the curve bends
        along = moved @ tangent
        ratios.append(np.linalg.norm(moved - along * tangent) / abs(along))
    return np.array(ratios)


def sign_step(generator):
    slope = jax.jit(jax.grad(lambda z: classifier(generator.decode(z))[1]))
    return lambda z: jnp.sign(slope(z))


def test_the_normal_part_is_suppressed_by_the_square_of_the_thickness():
    assert slope(DELTAS, normal_to_tangent(None)) == pytest.approx(2.0, abs=0.1)
    assert slope(DELTAS, normal_to_tangent(sign_step)) == pytest.approx(1.0, abs=0.1)


def test_with_fewer_latents_the_normal_part_of_the_move_is_of_second_order():
    generator, z = case("surface")
    u = np.linalg.svd(jacobian(generator, z), full_matrices=False)[0]
    moved = moves(generator, z)
    tangent = moved @ u @ u.T
    assert slope(LAMBDAS, np.linalg.norm(moved - tangent, axis=1)) == pytest.approx(2.0, abs=0.1)
    assert slope(LAMBDAS, np.linalg.norm(tangent, axis=1)) == pytest.approx(1.0, abs=0.1)


def test_the_pull_back_metric_moves_x_by_the_projection_of_its_gradient():
    generator, z = case("surface")
    u = np.linalg.svd(jacobian(generator, z), full_matrices=False)[0]
    x = generator.decode(jnp.asarray(z))
    direction = first_direction(generator, PullBack(damping=0.0), x, jnp.asarray(z))
    np.testing.assert_allclose(
        jacobian(generator, z) @ direction, u @ u.T @ gradient(x), rtol=1e-10
    )
