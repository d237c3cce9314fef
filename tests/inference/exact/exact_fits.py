"""Exact models with given parameters, and their evidence by SciPy."""

import contextlib
from collections.abc import Iterator

import jax.numpy as jnp
import jaxtyping
import numpy as np
import scipy.special
import scipy.stats

from taut.inference.exact import EMResult, Floor, RowBlocks, run_em
from taut.models import GaussianMixture
from taut.models.exact import COVARIANCES

KINDS = tuple(COVARIANCES)


def mixture(
    x: np.ndarray, kind: str, *, deviation: float = 1.5, number: int = 2
) -> GaussianMixture:
    """A start of one or two components at the first and last rows, with round covariances."""
    deviations = jnp.full(x.shape[1], deviation)
    scale = COVARIANCES[kind].isotropic(deviations, number)
    return GaussianMixture(jnp.zeros(number), jnp.asarray(x[[0, -1][:number]]), scale, kind)


def fitted(x: np.ndarray, kind: str, *, iterations: int = 5, floor: float = 0.0) -> EMResult:
    """A few iterations from there."""
    rows, start = RowBlocks(x), mixture(x, kind)
    return run_em(
        start, rows, Floor(floor).of(start, rows), tolerance=0.0, max_iterations=iterations
    )


def scipy_log_components(model: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """log p_k(x_n), (N, K), by SciPy's multivariate normal."""
    return np.stack(
        [
            scipy.stats.multivariate_normal.logpdf(x, np.asarray(m), np.asarray(c))
            for m, c in zip(model.means, model.covariances, strict=True)
        ],
        axis=1,
    )


def scipy_log_evidence(model: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """log p(x_n), (N,)."""
    log_pi = scipy.special.log_softmax(np.asarray(model.logits))
    return scipy.special.logsumexp(log_pi + scipy_log_components(model, x), axis=1)


@contextlib.contextmanager
def types_unchecked() -> Iterator[None]:
    """A stretch in which no type is checked at run time, as for a user."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
