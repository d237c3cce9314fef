"""A defensive proposal: draws of a guide mixed with heavier-tailed ones around it.

    r(z) = (1 - a) q(z) + a t_5(z; m, L L^T),        m, L L^T those of q

Gaussian guides have lighter tails than posteriors, most of all along logarithms of scales; a few
draws beyond q's reach then carry weights without bound, though nothing is wrong with the bulk.
Under r no weight exceeds p / (a t_5). The components get fixed shares of the draws and all weights
use r (Hesterberg 1995; Owen and Zhou 2000, section 3), so that averages of weights stay unbiased
for the evidence.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

__all__ = ["DefensiveDraws", "defensive_draws", "defensive_log_prob"]

_SHARE = 0.2  # a: costs a fifth of the draws where q is right
_DEGREES = 5.0  # heavier than the exponential tails that logarithms of scales have


class DefensiveDraws(NamedTuple):
    """Draws of r, those of the guide first.

    Attributes:
        z: (K, d).
        log_q: the guide's log-density, nats, (K,).
        log_r: the proposal's, nats, (K,).
        num_guide: how many come from the guide.
    """

    z: Float[np.ndarray, "K d"]
    log_q: Float[np.ndarray, " K"]
    log_r: Float[np.ndarray, " K"]
    num_guide: int


def defensive_draws(
    sample: Callable[[int], Float[np.ndarray, "N d"]],
    log_q: Callable[[Float[np.ndarray, "K d"]], Float[np.ndarray, " K"]],
    mean: Float[np.ndarray, " d"],
    tril: Float[np.ndarray, "d d"],
    *,
    count: int,
    generator: np.random.Generator,
    independent: bool = False,
) -> DefensiveDraws:
    """Draws of r.

    Arguments:
        sample: from a number to so many independent draws of the guide.
        log_q: the guide's log-density, nats.
        mean: m, (d,).
        tril: L, (d, d).
        count: K.
        generator: of the t-draws.
        independent: whether each draw is of either component by chance, in place of fixed shares.
    """
    wide = int(generator.binomial(count, _SHARE)) if independent else round(_SHARE * count)
    d = len(mean)
    stretch = np.sqrt(_DEGREES / generator.chisquare(_DEGREES, size=(wide, 1)))
    heavy = mean + (stretch * generator.standard_normal((wide, d))) @ tril.T
    z = np.concatenate([sample(count - wide), heavy])
    density = log_q(z)
    share = _SHARE if independent else wide / count
    log_r = defensive_log_prob(z, density, mean, tril, share=share)
    return DefensiveDraws(z, density, log_r, count - wide)


def defensive_log_prob(
    z: Float[np.ndarray, "K d"],
    log_q: Float[np.ndarray, " K"],
    mean: Float[np.ndarray, " d"],
    tril: Float[np.ndarray, "d d"],
    *,
    share: float = _SHARE,
) -> Float[np.ndarray, " K"]:
    """log r(z), nats, (K,).

    Arguments:
        z: (K, d).
        log_q: the guide's log-density there, nats, (K,).
        mean: m, (d,).
        tril: L, (d, d).
        share: a.
    """
    return np.logaddexp(math.log1p(-share) + log_q, math.log(share) + _log_t(z, mean, tril))


def _log_t(
    z: Float[np.ndarray, "K d"], mean: Float[np.ndarray, " d"], tril: Float[np.ndarray, "d d"]
) -> Float[np.ndarray, " K"]:
    d, nu = len(mean), _DEGREES
    distance = np.sum(np.linalg.solve(tril, (z - mean).T) ** 2, axis=0)
    constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
    volume = np.log(np.diagonal(tril)).sum()
    return constant - volume - 0.5 * (nu + d) * np.log1p(distance / nu)
