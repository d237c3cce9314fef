"""A fitted guide under importance weights: evidence, k-hat, and whose draws weigh more evenly.

    log w_k = log p(x, z_k) - log r(z_k)

r is the guide mixed with heavier tails around it (`taut.evidence.defensive`); the bound is that of the
guide's own draws under its own density.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from taut.core import Estimate
from taut.evidence import defensive_draws, khat_threshold, smoothed_weights, summarize
from taut.inference.posterior.family import AbstractFamily
from taut.inference.posterior.verdict import reliable

__all__ = ["WeightedDraws", "more_even", "weighted_draws"]

_NOTICED = 1.02  # ratio of effective draws that other draws of the same guides do not reverse


class WeightedDraws(NamedTuple):
    """Weighted draws of a guide.

    Attributes:
        z: those of the guide first, (K, d).
        num_guide: how many are the guide's own.
        weights: smoothed, adding up to 1, (K,).
        elbo: of the guide's own draws, nats; lower.
        log_evidence: nats; lower.
        khat: Pareto shape of the weights.
        guide_khat: the same of the guide's own draws under its own density.
        threshold: of k-hat, above which the draws are of no use.
        largest: the largest weight before smoothing, in units of the mean.
        ess: effective sample size.
        outside: share of the guide's own draws at which log p is -inf.
    """

    z: Float[np.ndarray, "K d"]
    num_guide: int
    weights: Float[np.ndarray, " K"]
    elbo: Estimate
    log_evidence: Estimate
    khat: float
    guide_khat: float
    threshold: float
    largest: float
    ess: float
    outside: float


def weighted_draws(
    family: AbstractFamily, guide: Any, *, count: int, generator: np.random.Generator
) -> WeightedDraws:
    """Draw from a guide and weigh what is drawn.

    Arguments:
        family: of the guide.
        guide: the guide.
        count: K.
        generator: of the draws.
    """
    moments = family.moments(guide)
    drawn = defensive_draws(
        lambda n: family.sample(guide, generator, n),
        lambda z: _known(family.log_q(guide, z)),
        moments.mean,
        moments.tril,
        count=count,
        generator=generator,
    )
    values = family.log_density.values(drawn.z)
    log_w_guide = _known(values - drawn.log_q)[: drawn.num_guide]
    log_w = _known(values - drawn.log_r)[None]
    summary, threshold = summarize(log_w), khat_threshold(count)
    khat, log_evidence = float(summary.khat[0]), float(summary.log_evidence[0])
    largest = float(np.exp(log_w.max() - log_evidence))
    flags = frozenset(() if reliable(khat, threshold, largest) else ("unreliable",))
    outside = float(np.isneginf(log_w_guide).mean())
    error = math.nan if outside else float(log_w_guide.std(ddof=1) / math.sqrt(drawn.num_guide))
    elbo = float(log_w_guide.mean())
    # A posterior explains one datum, whose value pairs it with other programs' on the same data.
    return WeightedDraws(
        z=drawn.z,
        num_guide=drawn.num_guide,
        weights=smoothed_weights(log_w)[0],
        elbo=Estimate(elbo, "lower", error, unit="nats", values=np.array([elbo])),
        log_evidence=Estimate(
            log_evidence, "lower", float(summary.error[0]), unit="nats", flags=flags,
            values=np.array([log_evidence]),
        ),
        khat=khat,
        guide_khat=float(summarize(log_w_guide[None]).khat[0]),
        threshold=threshold,
        largest=largest,
        ess=float(summary.ess[0]),
        outside=outside,
    )  # fmt: skip


def _known(log_weights: np.ndarray) -> np.ndarray:
    """Log-weights with -inf, a weight of zero, for those that are NaN."""
    return np.where(np.isnan(log_weights), -np.inf, log_weights)


def more_even(first: WeightedDraws, second: WeightedDraws) -> bool:
    """Whether the first guide's draws weigh more evenly than the second's, by more than chance.

    Effective draws decide, among guides whose weights are reliable where there is one.
    """
    usable = [reliable(w.khat, w.threshold, w.largest) for w in (first, second)]
    return usable[0] if usable[0] != usable[1] else first.ess > _NOTICED * second.ess
