"""A planar layer keeps its determinant and its gradient in float32 as it comes near to folding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.transforms import Planar

EPS = float(np.finfo(np.float32).eps)
DIM = 3


ENCODING, DECODING = "encode_and_log_det", "decode_and_log_det"


@pytest.mark.parametrize(
    ("along", "direction"),
    # Where slopes are below rounding, a row has no inverse that float32 tells from its neighbours.
    [
        *((along, ENCODING) for along in (0.0, -5.0, -30.0, -80.0)),
        (0.0, DECODING),
        (-5.0, DECODING),
    ],
)
def test_the_log_determinant_on_the_fold_is_that_of_the_smallest_factor(along, direction):
    """At zero, where w^T x + b = 0, it is log softplus(w^T v + log(e - 1)): about w^T v."""
    rng = np.random.default_rng(int(-along))
    for _ in range(10):
        w, v = rng.normal(size=(2, DIM))
        v += (along - w @ v) * w / (w @ w)
        layer = eqx.tree_at(
            lambda la: la.parameters.own, Planar(DIM, key=jax.random.key(0)),
            jnp.asarray([*w, *v, 0.0], jnp.float32),
        )  # fmt: skip

        def log_det(layer: Planar, at: jax.Array) -> jax.Array:
            return getattr(layer, direction)(at)[1]

        found, gradient = eqx.filter_value_and_grad(log_det)(layer, jnp.zeros(DIM))
        known = np.log(np.logaddexp(0, along + np.log(np.expm1(1))))
        known *= 1 if direction == ENCODING else -1
        # w^T v is rounded to a part of |w| |v|.
        scale = np.linalg.norm(w) * np.linalg.norm(v)
        assert abs(float(found) - known) < 10 * EPS * (1 + scale)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))
