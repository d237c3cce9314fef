"""Bridge sampling between draws of the guide and draws of the posterior.

    r = mean_i [w_i / (s_p w_i + s_q r)] / mean_j [1 / (s_p w_j + s_q r)],      z_i ~ q,  z_j ~ p(z | x)

w = p(x, z) / q(z), s_q and s_p the shares of the two kinds of draws; the fixed point r is the estimate
of p(x). Neither mean has a weight without bound in it, where q is too narrow or too wide; what it takes
is that the two overlap, and posterior draws that are right. Those are the end of tempered sequential
Monte Carlo, so that r is consistent but neither unbiased nor a bound.

    error^2 = Var f / (n_q (E f)^2) + Var g / (n_p (E g)^2),    f = w / (s_p w + s_q r),  g = 1 / (...)

n_p is the effective number of the draws' ancestors. With q = p(z | x) nothing varies, and r is p(x).
f has a bound, and with it hardly a tail, however few ancestors the posterior draws have: k-hat is the
larger one of f and of the weights by which those draws came about.

Sources: Meng and Wong, Simulating ratios of normalizing constants via a simple identity (1996), section
4; Fruehwirth-Schnatter, Estimating marginal likelihoods for mixture and Markov switching models using
bridge sampling techniques (2004), section 4, for the error.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from taut.core import AbstractModel, Datum
from taut.evidence.abstract import Claims
from taut.evidence.annealed import AbstractSwept, annealed_columns
from taut.evidence.importance import Evidence
from taut.evidence.smc import tempered_rows
from taut.evidence.weights import summarize

__all__ = ["Bridge", "Bridged", "bridge"]

_ITERATIONS = 200  # each at least halves the distance to the fixed point where the two overlap


@dataclass(frozen=True)
class Bridge(AbstractSwept):
    """Bridge sampling to the draws of `smc`; the options are those of the base."""

    name: ClassVar[str] = "bridge"
    claims: ClassVar[Claims] = Claims(side="none", unbiased=False, latents="continuous")

    def columns(
        self, model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
    ) -> dict[str, Any]:
        found, draws, acceptance = tempered_rows(model, guide, block, numbers, key, self)
        columns = annealed_columns(draws, acceptance)
        # The draws of the start are those that the chains began at, K of each kind.
        bridged = bridge(
            np.asarray(found.start_log_w), np.asarray(found.log_weights),
            np.asarray(found.log_w), effective=columns["ess"],
        )  # fmt: skip
        return {
            **columns,
            "log_evidence": bridged.log_evidence,
            "log_evidence_error": bridged.error,
            "ess": bridged.ess,
            "khat": np.maximum(bridged.khat, columns["khat"]),
            "halves": bridged.halves,
        }

    def read(self, columns: dict[str, np.ndarray], rows: Datum) -> Evidence:
        found = super().read(columns, rows)
        return replace(found, log_evidence=replace(found.log_evidence, side="none"))


class Bridged(NamedTuple):
    """Estimates of R rows.

    Attributes:
        log_evidence: log r, nats, (R,).
        error: its standard error, nats, (R,); the root of the relative mean squared error of r.
        ess: effective number of the guide's draws, by f, (R,).
        khat: of f, whose largest value is 1 / s_p, (R,).
        halves: between the estimates from two halves of the draws, nats, (R,).
    """

    log_evidence: Float[np.ndarray, " R"]
    error: Float[np.ndarray, " R"]
    ess: Float[np.ndarray, " R"]
    khat: Float[np.ndarray, " R"]
    halves: Float[np.ndarray, " R"]


def bridge(
    guide_log_w: Float[np.ndarray, "R K"],
    log_mass: Float[np.ndarray, "R J"],
    log_w: Float[np.ndarray, "R J"],
    *,
    effective: Float[np.ndarray, " R"],
) -> Bridged:
    """Bridge sampling, row by row.

    Arguments:
        guide_log_w: log w at draws of the guide, nats, (R, K).
        log_mass: log-weights of draws of the posterior, up to a constant, nats, (R, J).
        log_w: log w at those draws, nats, (R, J).
        effective: their effective number, (R,).
    """
    first, mass, second = (np.asarray(a, np.float64) for a in (guide_log_w, log_mass, log_w))
    mass = mass - logsumexp(mass, axis=1, keepdims=True)
    log_r = _fixed_point(first, mass, second)
    log_f, log_g = _terms(first, second, log_r)
    numerator = summarize(log_f)
    g = np.exp(log_g - logsumexp(mass + log_g, axis=1, keepdims=True))  # of mean 1
    spread = np.sum(np.exp(mass) * (g - 1) ** 2, axis=1) / effective
    even, odd = (
        _fixed_point(first[:, i::2], _normalized(mass[:, i::2]), second[:, i::2]) for i in (0, 1)
    )
    return Bridged(
        log_r,
        np.sqrt(numerator.error**2 + spread),
        numerator.ess,
        numerator.khat,
        np.abs(even - odd),
    )


def _terms(
    first: Float[np.ndarray, "R K"],
    second: Float[np.ndarray, "R J"],
    log_r: Float[np.ndarray, " R"],
) -> tuple[Float[np.ndarray, "R K"], Float[np.ndarray, "R J"]]:
    """log f at the guide's draws and log g at the posterior's, with shares by their numbers."""
    share = second.shape[1] / (first.shape[1] + second.shape[1])
    rest = (np.log1p(-share) + log_r)[:, None]
    log_f = first - np.logaddexp(np.log(share) + first, rest)
    return log_f, -np.logaddexp(np.log(share) + second, rest)


def _fixed_point(
    first: Float[np.ndarray, "R K"],
    mass: Float[np.ndarray, "R J"],
    second: Float[np.ndarray, "R J"],
) -> Float[np.ndarray, " R"]:
    """log r, (R,)."""
    log_r = np.median(second, axis=1)
    for _ in range(_ITERATIONS):
        log_f, log_g = _terms(first, second, log_r)
        numerator = logsumexp(log_f, axis=1) - np.log(first.shape[1])
        moved = numerator - logsumexp(mass + log_g, axis=1)
        if np.max(np.abs(moved - log_r)) < 1e-10:
            return moved
        log_r = moved
    return log_r


def _normalized(mass: Float[np.ndarray, "R J"]) -> Float[np.ndarray, "R J"]:
    return mass - logsumexp(mass, axis=1, keepdims=True)
