"""Log-joints whose posterior and evidence are known."""

import contextlib
import math
from collections.abc import Iterator

import jax.numpy as jnp
import jaxtyping
import numpy as np
from scipy.special import gammaln

RATE_SHAPE, RATE_RATE = 3.0, 1.5


def normal_log_prob(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)


def gamma_poisson(rate, y):
    """y_n ~ Poisson(rate), rate ~ Gamma(3, 1.5)."""
    prior = RATE_SHAPE * math.log(RATE_RATE) - gammaln(RATE_SHAPE)
    prior += (RATE_SHAPE - 1) * jnp.log(rate) - RATE_RATE * rate
    return prior + jnp.sum(y * jnp.log(rate) - rate - jnp.log(1.0 * FACTORIALS)[y.astype(int)])


FACTORIALS = np.array([math.factorial(n) for n in range(19)], float)


def gamma_poisson_log_evidence(y):
    shape, rate = RATE_SHAPE + y.sum(), RATE_RATE + len(y)
    prior = RATE_SHAPE * math.log(RATE_RATE) - gammaln(RATE_SHAPE)
    return prior + gammaln(shape) - shape * math.log(rate) - gammaln(y + 1).sum()


def correlated(dim, correlation):
    """Precision of a Gaussian with equal correlations and scales over six decades."""
    scale = 10.0 ** np.linspace(-3, 3, dim)
    corr = np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim)
    return np.linalg.inv(corr * scale * scale[:, None])


@contextlib.contextmanager
def types_unchecked() -> Iterator[None]:
    """Let an argument of a wrong type through to the library's own message."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
