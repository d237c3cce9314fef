"""When a noisy climb is ended: `averaged_sgd`'s rule and a published test, on traces that are known.

What is left after t steps, d(t) nats, is known in every trace:

    power law    A (1 + t/s)^-p, p from 0.5 to 2
    exponential  A exp(-t/tau), tau from 200 to 10,000 steps
    plateau      A nats until t0, then nothing for 0.1 to 0.5 t0 steps, then a rise above the noise
    growing      one of the first two, under noise that grows as (1 + t/1000)^c, c from 0.25 to 1
    converged    d = 0, at each of several levels of noise

The rule gets what a climb gives it: for each stage of 500 steps the bound of the averaged guide on
four common sets of eight draws. As in a climb, noise and excess are proportional to the step size that
the rule asks for; d(t) is not slowed by smaller steps, so that both rules see the same climb.

The published test is the slope test of the package statopt (its class SLOPE, at the defaults of its
code), which its authors keep beside Zhang, Lang, Liu and Xiao 2020 (arXiv 2002.10597): every 100 steps
the objective of the last eighth of the steps, once these are more than 1000, is regressed on the step;
unless it improves at the level 0.05, one-sided, the climb is stationary. There a smaller step follows;
here the climb ends. It gets the objective of every step, of one draw.

Reported are the share of climbs that are ended with more than 0.1 nat left, with exact binomial
intervals, and on converged traces the ratio of median steps, with bootstrap intervals. A climb that
still rises after 100,000 steps, the most that are taken, was not ended by a rule.

The rule was chosen with traces 0 to 999 in view; those reported are others, from 1,000,000 on.

    python benchmarks/stopping.py [--traces 1000] [--first 1000000]
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from record import save_result
from scipy import stats

from taut.inference.posterior import STAGE_STEPS, averaged_sgd

BUDGET, PRECISION, LEVEL = 100_000, 0.1, 0.95
FAMILIES = ("power law", "exponential", "plateau", "growing noise")
NOISES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # sd of the objective of one draw, nats
REPLICATES, DRAWS = 4, 8
EXCESS = 0.5  # of averaged iterates at the first step size, in units of that sd
TARGET_SHARE, TARGET_RATIO = 0.006, 1.5
_FRESH = 1_000_000


class Trace(NamedTuple):
    """A climb.

    Attributes:
        left: what remains after t steps, nats.
        noise: sd of the objective of one draw at step t, nats.
    """

    left: Callable[[np.ndarray], np.ndarray]
    noise: Callable[[np.ndarray], np.ndarray]


class End(NamedTuple):
    """How a climb ended: after how many steps, with how much left, and whether a rule said so."""

    steps: int
    left: float
    ended: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--first", type=int, default=_FRESH, help="number of the first trace")
    options = parser.parse_args()
    count, chosen = options.traces, range(options.first, options.first + options.traces)
    rising: dict[str, Any] = {}
    for number, family in enumerate(FAMILIES):
        ends = both([(number, i) for i in chosen], family)
        rising[family] = {rule: ended_early(found) for rule, found in ends.items()}
        print(family, rising[family], flush=True)
    converged: dict[str, Any] = {}
    for number, noise in enumerate(NOISES):
        ends = both([(len(FAMILIES) + number, i) for i in chosen], "converged", noise)
        converged[str(noise)] = compared(ends)
        print("converged", noise, converged[str(noise)], flush=True)
    met = all(r["taut"]["share"] <= TARGET_SHARE for r in rising.values()) and all(
        c["ratio"] <= TARGET_RATIO and c["taut"]["steps at most"] < BUDGET
        for c in converged.values()
    )
    content = {"traces": count, "first_trace": options.first}
    content |= {"precision_nats": PRECISION, "budget": BUDGET}
    print(save_result("stopping", content | {"rising": rising, "converged": converged, "met": met}))


def both(
    seeds: list[tuple[int, int]], family: str, noise: float | None = None
) -> dict[str, list[End]]:
    """How each rule ends each of the traces."""
    ends: dict[str, list[End]] = {"taut": [], "slope test": []}
    for seed in seeds:
        found = trace(family, np.random.default_rng(seed), noise)
        ends["taut"].append(by_taut(found, np.random.default_rng((*seed, 1))))
        ends["slope test"].append(by_slope(found, np.random.default_rng((*seed, 2))))
    return ends


def trace(family: str, rng: np.random.Generator, noise: float | None = None) -> Trace:
    """A random member of a family; its noise where that is not given."""

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    sd = between(0.02, 3) if noise is None else noise
    climb = between(5, 500)
    if family == "converged":
        return Trace(np.zeros_like, lambda t: np.full_like(t, sd))
    if family == "growing noise":
        slower = trace(str(rng.choice(FAMILIES[:2])), rng, sd)
        growth = rng.uniform(0.25, 1)
        return Trace(slower.left, lambda t: sd * (1 + t / 1000) ** growth)
    if family == "power law":
        power, offset = rng.uniform(0.5, 2), between(100, 2000)
        return Trace(lambda t: climb * (1 + t / offset) ** -power, lambda t: np.full_like(t, sd))
    if family == "exponential":
        scale = between(200, 10_000)
        return Trace(lambda t: climb * np.exp(-t / scale), lambda t: np.full_like(t, sd))
    start = between(1500, 30_000)
    end = start * (1 + rng.uniform(0.1, 0.5))
    rise, scale = between(1, 50) * max(1.0, sd), between(200, 2000)

    def left(t: np.ndarray) -> np.ndarray:
        first = climb * np.log10(1 + 9 * np.maximum(start - t, 0) / start)
        return first + rise * np.exp(-np.maximum(t - end, 0) / scale)

    return Trace(left, lambda t: np.full_like(t, sd))


def by_taut(found: Trace, rng: np.random.Generator) -> End:
    """taut's rule, on what its climbs are judged by."""
    stages: list[tuple[float, np.ndarray]] = []
    common = rng.normal(size=REPLICATES)

    def advance(number: int, size: float) -> int:
        steps = STAGE_STEPS * number + np.arange(0.5, STAGE_STEPS, 10)
        sd = size * float(found.noise(steps).mean())
        left = float(found.left(steps).mean()) + EXCESS * sd
        noise = sd / DRAWS**0.5 * rng.normal(size=REPLICATES)
        stages.append((left, -left + common + noise))
        return number

    fit = averaged_sgd(
        advance, lambda stage: stages[stage][1], step_size=1.0, precision_nats=PRECISION,
        num_draws=DRAWS,
    )  # fmt: skip
    steps = fit.rounds[-1].num_steps
    return End(steps, stages[fit.guide][0], fit.converged or steps < BUDGET)


def by_slope(found: Trace, rng: np.random.Generator) -> End:
    """The slope test, on the objective of every step."""
    t = np.arange(1.0, BUDGET + 1)
    objective = -found.left(t) + found.noise(t) * rng.normal(size=BUDGET)
    objective -= objective.mean()
    zeroth, first, second = (
        np.concatenate([[0.0], np.cumsum(sums)])
        for sums in (objective, t * objective, objective**2)
    )
    end = np.arange(100, BUDGET + 1, 100)
    kept = end // 8
    end, kept = end[kept > 1000], kept[kept > 1000]
    begin = end - kept
    mean = (zeroth[end] - zeroth[begin]) / kept
    middle = (begin + 1 + end) / 2
    along = first[end] - first[begin] - kept * middle * mean
    spread = kept * (kept**2 - 1.0) / 12
    residual = np.maximum(second[end] - second[begin] - kept * mean**2 - along**2 / spread, 1e-12)
    ratio = along / np.sqrt(spread * residual / (kept - 2))
    stationary = np.flatnonzero(stats.t.sf(ratio, kept - 2) >= 0.05)
    if not len(stationary):
        return End(BUDGET, float(found.left(t[-1:])[0]), ended=False)
    steps = int(end[stationary[0]])
    return End(steps, float(found.left(np.array([float(steps)]))[0]), ended=True)


def ended_early(ends: list[End]) -> dict[str, Any]:
    """The share that was ended with more than the precision left, with an exact interval."""
    early = sum(end.ended and end.left > PRECISION for end in ends)
    low, high = stats.binomtest(early, len(ends)).proportion_ci(LEVEL, method="exact")
    return {
        "early": early, "share": early / len(ends), "interval": [float(low), float(high)],
        "ended": sum(end.ended for end in ends),
        "most left": max((end.left for end in ends if end.ended), default=0.0),
        "median steps": float(np.median([end.steps for end in ends])),
    }  # fmt: skip


def compared(ends: dict[str, list[End]]) -> dict[str, Any]:
    """Steps of both rules on converged traces, with the ratio of the medians."""
    ours, theirs = (np.array([end.steps for end in found]) for found in ends.values())
    draws = np.random.default_rng(0).integers(len(ours), size=(2000, len(ours)))
    ratios = np.median(ours[draws], axis=1) / np.median(theirs[draws], axis=1)
    interval = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        rule: {"median steps": float(np.median(steps)), "steps at most": int(steps.max())}
        for rule, steps in zip(ends, (ours, theirs), strict=True)
    } | {
        "ratio": float(np.median(ours) / np.median(theirs)),
        "interval": [float(end) for end in interval],
    }


if __name__ == "__main__":
    main()
