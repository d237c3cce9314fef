"""Steps by a generator and a classifier that NumPy runs and differentiates, and by the same in JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from taut.core.host_function import AbstractHostFunction, on_host
from taut.counterfactuals import Class, Plain, PullBack, Tangent
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.classifier import as_classifier
from taut.counterfactuals.generator import Functions

MATRIX = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
LOGITS = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
BACK = np.linalg.pinv(MATRIX)
ROWS = np.random.default_rng(2).normal(size=(9, 2)).astype(np.float32) @ MATRIX.T


class Tanh(AbstractHostFunction):
    """A x + tanh(A x) / 2."""

    def __init__(self, matrix):
        self.matrix = matrix

    def outputs(self, shape):
        return ((len(self.matrix),),)

    def check(self, shape, way):
        pass

    def value(self, x):
        h = x @ self.matrix.T
        return (h + np.tanh(h) / 2,)

    def push(self, x, v):
        return ((1.5 - np.tanh(x @ self.matrix.T) ** 2 / 2) * (v @ self.matrix.T),)

    def pull(self, x, *u):
        return (((1.5 - np.tanh(x @ self.matrix.T) ** 2 / 2) * u[0]) @ self.matrix,)


def written(matrix):
    def function(x):
        h = jnp.asarray(matrix) @ x
        return h + jnp.tanh(h) / 2

    return function


def hosted(matrix):
    function = Tanh(matrix)
    return lambda x: on_host(function, x)[0]


def test_every_step_is_that_of_the_same_networks_in_jax():
    """Scores, gradients and directions; those of tangent and pull-back need the generator forward."""

    def steps(made):
        generator = Functions(lambda x: jnp.asarray(BACK) @ x, made(MATRIX), (3,))
        judged, target = as_classifier(made(LOGITS), (3,)), Class(1, 0.8)

        def of_row(z, x):
            points = []
            for geometry in (Plain(), Tangent(), PullBack()):
                ascent = Ascent(generator, judged, target, geometry, proximity=0.1)
                at = ascent.point(z, x, jax.random.key(0))
                points += [at, geometry.direction(generator.decode, z, at.slope, ())[0]]
            return points

        return jax.jit(jax.vmap(of_row))(ROWS @ BACK.T, ROWS)

    by_host, by_jax = steps(hosted), steps(written)
    for a, b in zip(jax.tree.leaves(by_host), jax.tree.leaves(by_jax), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.abs(by_jax[0].slope).max() > 0.1
