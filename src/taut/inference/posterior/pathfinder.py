"""Pathfinder: a Gaussian start from the path of a quasi-Newton ascent to a mode.

    N(z_i + B_i grad log p(z_i), B_i)       B_i the inverse curvature that L-BFGS has at its i-th point

Of all points on the path the one with the highest estimated ELBO is taken; it lies in the bulk of the
posterior rather than at its mode. The path, B_i and the choice are BlackJAX's. The mean is taken here:
`bfgs_sample` of BlackJAX 1.7 adds B_i times the gradient of -log p, and so steps downhill.

Source: Zhang, Carpenter, Gelman and Vehtari 2022, "Pathfinder: parallel quasi-Newton variational
inference", algorithms 1 and 3.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.compiling import quick_jit
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity

__all__ = ["pathfinder"]

_DRAWS = 50  # of the ELBO at each point of the path
_POINTS = 100  # of the path at most


def pathfinder(
    log_density: LogDensity, start: Float[np.ndarray, " d"], *, key: PRNGKeyArray
) -> Gaussian | None:
    """A Gaussian near the bulk of p(z | x); None where the path finds none that is finite.

    Arguments:
        log_density: log p(x, z).
        start: z where the path begins, (d,).
        key: of the draws that choose among the path's points.
    """
    mean, covariance = _found(*log_density.program(len(start)), jnp.asarray(start), key)
    covariance = np.asarray(covariance)
    try:
        tril = np.linalg.cholesky((covariance + covariance.T) / 2)
    except np.linalg.LinAlgError:
        return None
    found = Gaussian(np.asarray(mean), tril)
    return found if np.isfinite(found.mean).all() and np.isfinite(tril).all() else None


def _path(log_joint: Any, arrays: Any, start: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    # Half a second of import that other starts do without.
    from blackjax.optimizers.lbfgs import lbfgs_inverse_hessian_formula_1
    from blackjax.vi.pathfinder import approximate

    log_p = partial(_at, log_joint, arrays)
    state, _ = approximate(key, log_p, start, _DRAWS, maxiter=_POINTS)
    inverse = lbfgs_inverse_hessian_formula_1(state.alpha, state.beta, state.gamma)
    return state.position + inverse @ jax.grad(log_p)(state.position), inverse


def _at(log_joint: Any, arrays: Any, z: Array) -> Array:
    return log_joint(z, arrays)


_found = quick_jit(_path, static=1)
