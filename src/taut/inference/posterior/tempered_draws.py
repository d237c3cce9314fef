"""Draws of a program's posterior by tempered sequential Monte Carlo, in independent runs.

    w_i = w(z_i)^(b_{t+1} - b_t);    z_i resampled by w_i;    z_i ~ K_{b_{t+1}}(. | z_i)
    p(x) ~ Z = prod_t mean_i w_i,    w = p(x, z) / q_0(z)

A pilot with chains of its own finds the temperatures, the covariances and the step sizes; then all of
it is fixed, and R runs of other draws follow it. Each Z is unbiased for p(x) (Del Moral 2004, theorem
7.4.2), and so is their mean; a run's draws count in proportion to its Z. What the runs differ by is
the error, of the evidence as of every moment, whatever its cause, widened for how few the runs are.

Sources: Del Moral, Doucet and Jasra, Sequential Monte Carlo samplers (2006); Zhou, Johansen and Aston,
Toward automatic model comparison (2016), for the conditional ESS; Buchholz, Chopin and Jacob, Adaptive
tuning of Hamiltonian Monte Carlo within sequential Monte Carlo (2021).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from taut.core import key_from
from taut.evidence import summarize
from taut.evidence.hmc import LONGEST
from taut.inference.posterior.overdispersed import Overdispersed
from taut.inference.posterior.tempered_chains import Chains, Kernel, TemperedChains

__all__ = ["RUNS", "SWEEPS", "Plan", "TemperedDraws", "find_plan", "tempered_draws"]

RUNS = 16
"""Independent runs: their differences have an error of a fifth."""

SWEEPS = 4
"""Places of each chain at b = 1, one after the other."""

_PILOT = 512  # chains, at least
_EVEN = 0.9  # conditional ESS that a step of temperature leaves
_MOST = 200  # temperatures
_TUNING, _TUNING_LAST = 3, 8  # transitions that a step size is found in, at a temperature
_WISHED, _GAIN = 0.8, 1.5  # acceptance, and the change of log step per unit of it
_LEAPFROG = 32  # steps at most
_STUCK = 0.1  # acceptance of a chain that hardly moves
_DRAWS_PER_DIM = 8  # of a covariance that is estimated


class Plan(NamedTuple):
    """What is fixed before the runs.

    Attributes:
        kernels: of the temperatures b_1, ..., b_T.
        reached: whether b_T is 1; not where the temperatures ran out.
    """

    kernels: tuple[Kernel, ...]
    reached: bool

    def evaluations(self, moves: int) -> int:
        """Gradients that one chain takes, at so many transitions a temperature."""
        steps = [kernel.leapfrog for kernel in self.kernels]
        return moves * (sum(steps) + SWEEPS * steps[-1])


class TemperedDraws(NamedTuple):
    """Draws of R runs.

    Attributes:
        z: of one run after the other, (K, d).
        weights: adding up to 1, equal within a run, (K,).
        log_evidence: log Z of each run, nats, (R,).
        ancestors: share of the chains of the start that the last chains come from, smallest run.
        acceptance: mean, at b = 1.
        stuck: share of the chains that hardly move at b = 1.
        khat: Pareto shape of the weights of a step of temperature, that of the heaviest tail.
        largest: the largest weight there, in units of the mean.
        drift: for each coordinate, and last for log p(x, z), how far its mean moves between the first
            places at b = 1 and the last, in standard errors of R runs, (d + 1,).
        temperatures: T.
    """

    z: Float[np.ndarray, "K d"]
    weights: Float[np.ndarray, " K"]
    log_evidence: Float[np.ndarray, " R"]
    ancestors: float
    acceptance: float
    stuck: float
    khat: float
    largest: float
    drift: Float[np.ndarray, " d1"]
    temperatures: int


def find_plan(
    chains: TemperedChains, start: Overdispersed, generator: np.random.Generator, *, count: int
) -> Plan:
    """Temperatures and kernels, from chains of its own.

    Arguments:
        chains: the transitions.
        start: q_0.
        generator: of the pilot's draws.
        count: chains in a run.
    """
    now = chains.at(start.sample(generator, max(count, _PILOT)))
    kernels: list[Kernel] = []
    guess = _factor(now.z, np.full(len(now.z), 1 / len(now.z)), start)
    kernel = Kernel(0.0, guess, LONGEST / 4, 4)
    while kernel.beta < 1 and len(kernels) < _MOST and np.isfinite(now.log_w).any():
        beta = _next(now.log_w, kernel.beta)
        w = _shares((beta - kernel.beta) * now.log_w)
        kernel = kernel._replace(beta=beta, factor=_factor(now.z, w, start))
        now = _picked(now, _systematic(w, generator))
        for _ in range(_TUNING if beta < 1 else _TUNING_LAST):
            now = chains.moved(now.z, kernel, key_from(generator), moves=1)
            kernel = _tuned(kernel, float(now.acceptance.mean()))
        kernels.append(kernel)
    return Plan(tuple(kernels), kernel.beta == 1)


def tempered_draws(
    chains: TemperedChains,
    start: Overdispersed,
    plan: Plan,
    generator: np.random.Generator,
    *,
    count: int,
    moves: int,
    kept: int = SWEEPS,
) -> TemperedDraws:
    """Draws of the posterior by a plan that has reached it.

    Arguments:
        chains: the transitions.
        start: q_0, with shares that are made whole numbers of `count` chains.
        plan: as `find_plan` found it.
        generator: of everything random.
        count: chains in a run.
        moves: transitions at a temperature, and between two places at b = 1.
        kept: of the places of each chain, the last ones.
    """
    start = start.whole(count)
    chains = chains.starting(start)
    now = chains.at(np.concatenate([start.sample(generator, count) for _ in range(RUNS)]))
    of_run = np.arange(RUNS)[:, None] * count
    ancestors, log_evidence = np.tile(np.arange(count), RUNS), np.zeros(RUNS)
    beta, heaviest = 0.0, (-math.inf, 1.0)
    for kernel in plan.kernels:
        gained = (kernel.beta - beta) * now.log_w
        heaviest = max(heaviest, _tail(gained))
        by_run = gained.reshape(RUNS, count)
        log_evidence += summarize(by_run).log_evidence
        picked = np.stack([_systematic(_shares(row), generator) for row in by_run])
        chosen = (picked + of_run).ravel()
        now, ancestors, beta = _picked(now, chosen), ancestors[chosen], kernel.beta
        now = chains.moved(now.z, kernel, key_from(generator), moves=moves)
    places: list[Chains] = []
    for _ in range(SWEEPS):
        now = chains.moved(now.z, plan.kernels[-1], key_from(generator), moves=moves)
        places.append(now)
    acceptance = np.mean([place.acceptance for place in places], axis=0)
    z = np.stack([place.z.reshape(RUNS, count, -1) for place in places[-kept:]], axis=1)
    z = z.reshape(RUNS * kept * count, -1)
    return TemperedDraws(
        z=z,
        weights=np.repeat(_shares(log_evidence), kept * count) / (kept * count),
        log_evidence=log_evidence,
        ancestors=min(len(set(own)) for own in ancestors.reshape(RUNS, count).tolist()) / count,
        acceptance=float(acceptance.mean()),
        stuck=float((acceptance < _STUCK).mean()),
        khat=heaviest[0],
        largest=heaviest[1],
        drift=_drift(places[0], places[-1]),
        temperatures=len(plan.kernels),
    )


def _tail(log_w: Float[np.ndarray, " K"]) -> tuple[float, float]:
    """Pareto shape of weights, and the largest in units of the mean."""
    summary = summarize(log_w[None])
    khat = float(np.nan_to_num(summary.khat[0], nan=math.inf))
    return khat, float(np.exp(log_w.max() - summary.log_evidence[0]))


def _drift(first: Chains, last: Chains) -> Float[np.ndarray, " d1"]:
    """Mean difference between places, over its standard error between runs."""
    moved = [
        (there - here).reshape(RUNS, len(here) // RUNS, -1).mean(axis=1)
        for here, there in ((first.z, last.z), (first.log_p, last.log_p))
    ]
    by_run = np.concatenate(moved, axis=1)
    error = by_run.std(axis=0, ddof=1) / math.sqrt(RUNS)
    return by_run.mean(axis=0) / np.where(error > 0, error, math.inf)


def _next(log_w: Float[np.ndarray, " K"], beta: float) -> float:
    """The temperature whose step leaves the conditional ESS that is wished, or 1."""

    def share(width: float) -> float:
        w = _shares(width * log_w)
        return 1 / (len(w) * float(np.sum(w**2)))

    usable = min(_EVEN, 0.9 * float(np.isfinite(log_w).mean()))
    low, high = 0.0, 1 - beta
    if share(high) >= usable:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) >= usable else (low, middle)
    return beta + high


def _shares(log_w: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Weights that add up to 1; equal ones where none is positive."""
    top = log_w.max()
    w = np.exp(log_w - top) if np.isfinite(top) else np.ones_like(log_w)
    return w / w.sum()


def _systematic(
    w: Float[np.ndarray, " K"], generator: np.random.Generator
) -> Int[np.ndarray, " K"]:
    points = (np.arange(len(w)) + generator.random()) / len(w)
    return np.searchsorted(np.cumsum(w), points).clip(max=len(w) - 1)


def _picked(now: Chains, chosen: Int[np.ndarray, " K"]) -> Chains:
    return Chains(*(part[chosen] for part in now))


def _factor(
    z: Float[np.ndarray, "K d"], w: Float[np.ndarray, " K"], start: Overdispersed
) -> Float[np.ndarray, "d d"]:
    """F: of the covariance of weighted draws; of the guide's own, scaled, where they are few."""
    d = z.shape[1]
    inner = (z - w @ z) @ start.inverse[0].T  # in units of the guide, in which rounding is least
    scale = np.sqrt(w @ inner**2)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    if len(z) * float(1 / np.sum(w**2) / len(z)) < _DRAWS_PER_DIM * d:
        return start.tril[0] * scale
    inner = inner / scale
    covariance = (inner * w[:, None]).T @ inner
    try:
        return start.tril[0] @ (scale[:, None] * np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return start.tril[0] * scale


def _tuned(kernel: Kernel, acceptance: float) -> Kernel:
    """A step nearer to the acceptance that is wished, and leapfrog steps for a path of one length."""
    step = min(kernel.step * math.exp(_GAIN * (acceptance - _WISHED)), LONGEST / 2)
    return kernel._replace(step=step, leapfrog=min(math.ceil(LONGEST / step), _LEAPFROG))
