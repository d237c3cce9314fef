"""Answers under a floor are the nearest that satisfy what is asked, by an independent optimizer."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from unchecked import types_unchecked

from taut.counterfactuals import diagnose, search

MATRIX = np.array([[1.0, 0.3], [0.1, 0.2]])
BACK = np.linalg.inv(MATRIX)
WEIGHTS = np.array([1.0, 2.0])
RNG = np.random.default_rng(0)
KNOWN = (RNG.normal(size=(60, 2)) @ MATRIX.T).astype(np.float32)
ROWS = (RNG.normal(size=(9, 2)) @ MATRIX.T - [1.0, 0.2]).astype(np.float32)
GIVEN = {"target": 1, "confidence": 0.7, "plausible": KNOWN, "quantile": 0.2}


def log_density(z):
    return -0.5 * jnp.sum(z**2)


MAP = (lambda x: jnp.asarray(BACK, x.dtype) @ x, lambda z: jnp.asarray(MATRIX, z.dtype) @ z)
DENSE = (*MAP, log_density)


def linear(x):
    return jnp.array([0.0, 1.0]) * (jnp.asarray(WEIGHTS, x.dtype) @ x)


def nearest(row, level, floor):
    """The nearest point above the level and the floor, a convex problem, by SciPy."""
    found = minimize(
        lambda x: ((x - row) ** 2).sum(), MATRIX @ [1.0, 1.0], method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda x: WEIGHTS @ x - level},
            {"type": "ineq", "fun": lambda x: -0.5 * ((BACK @ x) ** 2).sum() - floor},
        ],
    )  # fmt: skip
    assert found.success
    return found.x


def test_the_first_answer_is_the_nearest_one():
    found = search(DENSE, ROWS, classifier=linear, num_answers=2, **GIVEN)
    assert found.reached.all()
    assert found.log_density is not None
    assert (found.scores[2] >= found.level).all()
    assert (found.log_density[1] >= found.floor).all()
    known = np.stack([nearest(row, found.level, found.floor) for row in ROWS.astype(np.float64)])
    least = np.linalg.norm(known - ROWS, axis=1)
    np.testing.assert_allclose(np.linalg.norm(found.answers[:, 0] - ROWS, axis=1), least, atol=0.02)
    np.testing.assert_allclose(found.z[:, 0] @ MATRIX.T, found.answers[:, 0], atol=1e-4)
    for path in diagnose(found):
        np.testing.assert_array_equal(path.x[-1], found.answers[path.row, 0])
        np.testing.assert_allclose(path.x[0], ROWS[path.row], atol=1e-4)
    assert found.returned[:, 0].any()
    assert not found.returned[:, 0].all()
    assert (np.linalg.norm(found.answers[:, 1] - ROWS, axis=1) > least + 0.05).any()  # as found


def test_no_answer_becomes_farther_or_breaks_what_is_asked():
    """A level set with bends, gradients and none."""

    def bent(x):
        return jnp.array([0.0, 1.0]) * (WEIGHTS[0] * x[0] + jnp.sin(4 * x[1]))

    def black(x):
        return np.stack([np.zeros(len(x)), WEIGHTS[0] * x[:, 0] + np.sin(4 * x[:, 1])], axis=1)

    for classifier, black_box in ((bent, False), (black, True)):
        given = {"classifier": classifier, "black_box": black_box, **GIVEN}
        with types_unchecked():
            before, after = (search(DENSE, ROWS, nearest=n, **given) for n in (False, True))
        np.testing.assert_array_equal(before.reasons, after.reasons)
        assert after.log_density is not None
        assert (after.scores[2] >= after.level).all()
        assert (after.log_density[1] >= after.floor).all()
        gone = [((f.answers[:, 0] - ROWS) ** 2).sum(axis=1) for f in (before, after)]
        assert (gone[1] <= gone[0]).all()
        assert (gone[1] < 0.99 * gone[0]).any()
        assert (after.queries >= before.queries).all()
