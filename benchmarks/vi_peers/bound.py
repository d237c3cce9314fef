"""The ELBO of a Gaussian guide by NumPyro's own potential, on common draws for all methods.

    ELBO = E_q[log p(x, T(z)) + log |det dT/dz|] + log |det factor| + (d/2) log(2 pi e),
    z = loc + factor e

Draws e come in pairs e, -e of a fixed key; the standard error is that of the pairs' means.
"""

import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import initialize_model

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from reference_posteriors import Posterior

__all__ = ["Bound"]

_BATCH = 512  # draws at once
_ENDLESS = 1e100  # nats: a run that has left for infinity, whose squares overflow


class Bound:
    """The bound of one posterior's guides.

    Arguments:
        posterior: the program and its data.
        num_draws: of z, even.
    """

    def __init__(self, posterior: Posterior, num_draws: int = 8192):
        model = initialize_model(
            jax.random.key(0), posterior.program, model_kwargs=posterior.data, dynamic_args=False
        )
        example, unravel = ravel_pytree(model.param_info.z)
        self.dim, self.num_draws = example.size, num_draws
        half = np.random.default_rng(0).normal(size=(num_draws // 2, self.dim))
        self.noise = np.stack([half, -half], axis=1).reshape(num_draws, self.dim)
        self._log_p = jax.jit(jax.vmap(lambda z: -model.potential_fn(unravel(z))))

    def __call__(self, loc: np.ndarray, factor: np.ndarray, count: int | None = None):
        """Value and standard error in nats, on the first `count` draws."""
        noise = self.noise[: count or self.num_draws]
        z = loc + noise @ factor.T
        parts = [self._log_p(jnp.asarray(z[i : i + _BATCH])) for i in range(0, len(z), _BATCH)]
        pairs = np.concatenate([np.asarray(p) for p in parts]).reshape(-1, 2).mean(axis=1)
        if not np.isfinite(pairs).all() or np.abs(pairs).max() > _ENDLESS:
            return -math.inf, math.nan
        _, log_det = np.linalg.slogdet(factor)
        entropy = log_det + 0.5 * self.dim * (1 + math.log(2 * math.pi))
        return float(pairs.mean() + entropy), float(pairs.std(ddof=1) / math.sqrt(len(pairs)))
