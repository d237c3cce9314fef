"""What chains on their way to a posterior start from: heavy tails around every optimum that was found.

    q_0(z) = sum_c s_c sum_a r_a t_5(z; m_c, a^2 L_c L_c^T),        a = 2, 8

Guides that maximise an ELBO are too narrow, and a start that is too narrow never learns of what it does
not reach; one that is too wide only costs temperatures. Half of the mass is around the guide, and the
rest around the other optima that starts ended in, whose masses the chains then find out.

Parts get fixed shares of the draws. A mean of weights p / q_0 over K of them is unbiased where each s_c
is a whole number of K draws, as `whole` makes it (Owen and Zhou 2000, section 3).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import gammaln
from scipy.special import logsumexp as scipy_logsumexp

from taut.inference.posterior.gaussian import Gaussian

__all__ = ["Overdispersed"]

_DEGREES = 5.0  # as of defensive draws
_SCALES, _SHARES = (2.0, 8.0), (0.7, 0.3)  # a and r_a: the second finds optima that no start found


class Overdispersed(NamedTuple):
    """A mixture of C t-distributions.

    Attributes:
        log_share: log s_c, (C,).
        mean: m_c, (C, d).
        tril: L_c, (C, d, d).
        inverse: their inverses, (C, d, d).
    """

    log_share: Float[np.ndarray, " C"]
    mean: Float[np.ndarray, "C d"]
    tril: Float[np.ndarray, "C d d"]
    inverse: Float[np.ndarray, "C d d"]

    @classmethod
    def around(cls, guide: Gaussian, others: tuple[Gaussian, ...] = ()) -> "Overdispersed":
        """Half around the guide, the rest in equal shares around other optima."""
        parts = (guide, *others)
        share = np.full(len(parts), 0.5 / max(len(others), 1))
        share[0] = 0.5 if others else 1.0
        tril = np.stack([part.tril for part in parts])
        return cls(np.log(share), np.stack([p.mean for p in parts]), tril, np.linalg.inv(tril))

    def whole(self, count: int) -> "Overdispersed":
        """The same with the shares that the parts have of so many draws; none without a draw."""
        draws = np.diff(self._ends(count), prepend=0)
        held = draws > 0
        log_share = np.log(draws[held] / count)
        return Overdispersed(log_share, self.mean[held], self.tril[held], self.inverse[held])

    def sample(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "K d"]:
        """Draws, of each part as many as its share says to the nearest, in random order."""
        d, ends = self.mean.shape[1], self._ends(count)
        part = np.searchsorted(ends, generator.permutation(count), side="right")
        stretch = np.sqrt(_DEGREES / generator.chisquare(_DEGREES, size=(count, 1)))
        stretch *= generator.choice(_SCALES, p=_SHARES, size=(count, 1))
        noise = stretch * generator.standard_normal((count, d))
        return self.mean[part] + np.einsum("kij,kj->ki", self.tril[part], noise)

    def log_prob(self, z: Array | np.ndarray) -> Any:
        """Log-density at z, (..., d), nats, (...); on the host where z and the parts are there."""
        xp: Any = np if isinstance(z, np.ndarray) else jnp
        d, nu = z.shape[-1], _DEGREES
        scaled = xp.einsum("cij,...cj->...ci", self.inverse, z[..., None, :] - self.mean)
        inner = xp.sum(scaled**2, axis=-1)[..., None]  # then a component and a scale
        log_volume = xp.sum(xp.log(xp.diagonal(self.inverse, axis1=1, axis2=2)), axis=1)
        log_part = (self.log_share + log_volume)[:, None] + xp.asarray(np.log(_SHARES), z.dtype)
        scales = xp.asarray(_SCALES, z.dtype)
        log_t = -0.5 * (nu + d) * xp.log1p(inner / scales**2 / nu) - d * xp.log(scales) + log_part
        constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
        logsumexp: Any = scipy_logsumexp if xp is np else jax.nn.logsumexp
        return logsumexp(log_t, axis=(-2, -1)) + float(constant)

    def _ends(self, count: int) -> Int[np.ndarray, " C"]:
        """Of each part, how many of so many draws are of it or of parts before."""
        return np.rint(np.cumsum(np.exp(self.log_share)) * count).astype(int)
