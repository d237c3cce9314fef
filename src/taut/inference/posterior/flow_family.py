"""The family of flow posteriors: draws and densities, on the host."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from taut.core.compiling import quick_jit
from taut.guides import FlowPosterior
from taut.inference.posterior.family import AbstractFamily
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity

__all__ = ["FlowFamily"]

_MOMENTS = 4096  # draws that moments are averages over, at least
_PER_DIM = 8
_WIDTH = 1024  # draws at once: one compiled shape for any number


@dataclass(frozen=True)
class FlowFamily(AbstractFamily):
    """Flow posteriors.

    Attributes:
        log_density: log p(x, z).
    """

    log_density: LogDensity

    def sample(
        self, guide: FlowPosterior, generator: np.random.Generator, count: int
    ) -> Float[np.ndarray, "K d"]:
        return self.push(guide, generator.standard_normal((count, guide.dim)))[0]

    def push(
        self, guide: FlowPosterior, noise: Float[np.ndarray, "K d"]
    ) -> tuple[Float[np.ndarray, "K d"], Float[np.ndarray, " K"]]:
        """z, and log q(z) in nats, for standard normal noise: no inverse is taken."""
        return _in_parts(_push, guide, noise)

    def log_q(self, guide: FlowPosterior, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        return _in_parts(_log_prob, guide, z)[0]

    def moments(self, guide: FlowPosterior) -> Gaussian:
        count = max(_MOMENTS, _PER_DIM * guide.dim)
        z = self.sample(guide, np.random.default_rng(0), count)
        return Gaussian(z.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(z, rowvar=False))))

    def guide(self, guide: FlowPosterior) -> FlowPosterior:
        return guide


def _in_parts(function: Any, guide: FlowPosterior, rows: Float[np.ndarray, "K d"]) -> Any:
    """Results of a function of guide and rows, the last part filled up by repeating the last row."""
    padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % _WIDTH, axis=0)])
    parts = [
        function(guide, jnp.asarray(padded[i : i + _WIDTH])) for i in range(0, len(padded), _WIDTH)
    ]
    return tuple(
        np.concatenate([np.asarray(p) for p in each])[: len(rows)]
        for each in zip(*parts, strict=True)
    )


_push = quick_jit(lambda guide, e: jax.vmap(guide.push)(e))
_log_prob = quick_jit(lambda guide, z: (jax.vmap(guide.log_prob)(z),))
