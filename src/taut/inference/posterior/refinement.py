"""What goes on where a guide does not suffice: tempered SMC from around the guide to the posterior.

A first round of runs is as cheap as it can be. Where its draws do not suffice, the next has four times
the chains and twice the transitions, and the last sixteen times the chains; so it has where the k-hat of
squares, of an sd, would doubt it if it were larger by its error, and where wide draws find mass that no
chain does: a part of 3e-4 far away has next to none of them. What a start does not reach, no chain
finds: a mode far from every optimum that starts ended in, and narrow, may still be missed by all runs
alike.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from taut.core import Estimate
from taut.evidence import (
    PosteriorMoments,
    SquareTails,
    defensive_log_prob,
    evidence_of_runs,
    khat_threshold,
    square_tails,
    weighted_moments,
)
from taut.inference.posterior.candidate import Candidate
from taut.inference.posterior.overdispersed import Overdispersed
from taut.inference.posterior.tempered_chains import CYCLE, TemperedChains
from taut.inference.posterior.tempered_draws import (
    RUNS,
    SWEEPS,
    TemperedDraws,
    find_plan,
    tempered_draws,
)
from taut.inference.posterior.tempered_verdict import judge_tempered
from taut.inference.posterior.verdict import DOUBT, SEPARATE, Verdict, hanging
from taut.inference.posterior.weighted_draws import WeightedDraws
from taut.models.program import NamedValues

__all__ = ["Refinement", "TooDear", "overlooked", "refine"]

_LEAST = 32  # chains in a run: resampling of fewer loses most of what it starts with
_ROUNDS = (1, 4, 16)  # times the chains: errors of a quarter
_PROBES = 400  # wide draws, at least
_SELDOM = math.log(100.0)  # nats: of a weight, over the mean
_MISSED = 0.01  # of the mass: ten sds away, a tenth of an sd of the mean
_SPREAD = 0.15  # of the variance: 7 % of the sd
_WORK = 4e10  # cells x gradients that refining may cost unasked: about a minute
_OVERHEAD = 1000  # cells whose gradient takes as long as one without data


class Refinement(NamedTuple):
    """Draws that were moved to the posterior.

    Attributes:
        draws: of all runs.
        log_evidence: nats; lower.
        moments: of every reported scalar, with errors from the differences between runs.
        ess: independent draws whose mean would have as wide an interval as the one known least well.
        threshold: of k-hat.
        verdict: on these draws.
        chains: in a run.
    """

    draws: TemperedDraws
    log_evidence: Estimate
    moments: PosteriorMoments
    ess: float
    threshold: float
    verdict: Verdict
    chains: int


class TooDear(NamedTuple):
    """Refining would cost more than is spent unasked."""

    gradients: float


class Overlooked(NamedTuple):
    """What wide draws find beyond what others do where those of the guide seldom are.

    Attributes:
        mass: share of the posterior's mass.
        spread: what it adds to the variance of a coordinate, over that of the guide; the largest.
    """

    mass: float
    spread: float

    @property
    def noticed(self) -> bool:
        """Whether it would change a mean or an sd."""
        return self.mass >= _MISSED or self.spread >= _SPREAD


def overlooked(
    candidate: Candidate,
    draws: WeightedDraws,
    generator: np.random.Generator,
    *,
    chains: TemperedDraws | None = None,
) -> Overlooked:
    """Mass of the posterior where draws of the guide seldom are, that wide draws find and others do not.

        E_{q_0}[w 1_F (1, (z - m)^2 / s^2)] / p(x) - the same of the others - 3 errors,
        F = {z: p(x, z) / r(z) > 100 p(x)}

    with r of `draws` and m, s of the guide. A mass of 5 % in F has five of 10 000 draws of r at most,
    and often none; an unbiased estimate of next to nothing is seldom large (Markov): a single wide draw
    that makes one large tells. In many dimensions none is there. The errors are those that the first
    estimate would have if the others were right, none where they find nothing, and the others' own.

    Arguments:
        candidate: the guide.
        draws: its weighted draws.
        generator: of the wide draws.
        chains: the others, where they are not the guide's own.
    """
    family, guide = candidate.family, candidate.fitted.guide
    moments = family.moments(guide)
    # The guide's own evidence lacks what its draws do not see.
    log_evidence = draws.log_evidence.value if chains is None else _of_runs(chains)[0]

    def known(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log p(z | x) and whether z is in F."""
        log_p = family.log_density.values(z)
        log_p = np.where(np.isfinite(log_p), log_p, -np.inf) - log_evidence
        log_r = defensive_log_prob(z, family.log_q(guide, z), moments.mean, moments.tril)
        with np.errstate(invalid="ignore"):
            return log_p, log_p - log_r > _SELDOM

    def parts(z: np.ndarray, w: np.ndarray) -> np.ndarray:
        squares = ((z - moments.mean) / np.linalg.norm(moments.tril, axis=1)) ** 2
        return w[:, None] * np.column_stack([np.ones(len(z)), squares])

    count = max(len(draws.weights) // 2, _PROBES)
    start = Overdispersed.around(moments, _others(candidate)).whole(count)
    wide = start.sample(generator, count)
    log_p, seldom = known(wide)
    with np.errstate(over="ignore"):
        w = np.where(seldom, np.exp(log_p - start.log_prob(wide)), 0.0) / len(wide)
    if chains is None:
        z, own = draws.z, draws.weights
        own = own * (own * len(own) > math.exp(_SELDOM))
    else:
        z, own = chains.z, chains.weights * known(chains.z)[1]
    first, second = parts(wide, w), parts(z, own)
    value, other = first.sum(axis=0), second.sum(axis=0)
    share = np.divide(other, value, out=np.zeros_like(value), where=value > 0)
    error = np.sqrt((first**2).sum(axis=0) * share + (second**2).sum(axis=0))
    mass, *spreads = value - other - 3 * error
    return Overlooked(float(mass), float(max(spreads)))


def refine(
    candidate: Candidate,
    draws: WeightedDraws,
    values: NamedValues,
    generator: np.random.Generator,
    *,
    num_draws: int,
    asked: bool,
    remedy: str,
) -> Refinement | TooDear | None:
    """Draws of the posterior by tempered SMC; None where the chains do not get there.

    Arguments:
        candidate: the guide, and where its starts ended.
        draws: its weighted draws.
        values: from z to the parameters that are reported.
        generator: of everything random.
        num_draws: about how many are wanted.
        asked: whether the user asked for it, and then it may cost what it costs.
        remedy: what to try where these draws are not to be believed.
    """
    family = candidate.family
    start = Overdispersed.around(family.moments(candidate.fitted.guide), _others(candidate))
    chains = TemperedChains(family.log_density, start)
    data = sum(np.size(leaf) for leaf in jax.tree.leaves(values.datum))
    product = start.mean.shape[1] ** 2  # with the covariance's factor
    cells = _OVERHEAD + data + product
    count = max(num_draws // (RUNS * SWEEPS), _LEAST)
    plan = find_plan(chains, start, generator, count=count)
    if not plan.reached:
        return None

    def cost(count: int, moves: int) -> float:
        return float(cells * RUNS * count * plan.evaluations(moves))

    if cost(count, CYCLE) > _WORK:
        count = _LEAST
        if not asked and cost(count, CYCLE) > _WORK:
            return TooDear(cost(count, CYCLE) / cells)
    found = None
    for more in _ROUNDS:
        moves = CYCLE * min(more, 2)
        if found is not None and not asked and cost(more * count, moves) > _WORK:
            break
        drawn = tempered_draws(
            chains, start, plan, generator,
            count=more * count, moves=moves, kept=max(SWEEPS // more, 1),
        )  # fmt: skip
        if not np.isfinite(drawn.log_evidence).any():
            return None
        found, squares = _judged(drawn, values, more * count, remedy)
        larger = squares._replace(khat=squares.khat + _khat_error(squares.khat, more * count))
        if found.verdict.verdict == DOUBT or hanging(larger, values.coordinates):
            continue
        if not overlooked(candidate, draws, generator, chains=drawn).noticed:
            break
        reasons = ("wide draws find mass where no chain ends", *found.verdict.reasons)
        found = found._replace(verdict=Verdict(DOUBT, reasons, remedy))
    return found


def _judged(
    drawn: TemperedDraws, values: NamedValues, chains: int, remedy: str
) -> tuple[Refinement, SquareTails]:
    """What draws say, and what their sds hang on."""
    table = values.table(drawn.z)
    moments = weighted_moments(table, drawn.weights, runs=RUNS)
    first = moments.first(values.num_latents)
    moving = first.sd > 0
    error = first.mean_error[moving] / first.sd[moving]
    ess = min(1 / float(np.max(error, initial=1e-9)) ** 2, float(len(drawn.z)))
    threshold = khat_threshold(RUNS * chains)
    value, known = _of_runs(drawn)
    squares = square_tails(np.asarray(table)[:, : values.num_latents], drawn.weights)
    verdict = judge_tempered(
        drawn, moments=first, ess=ess, evidence_error=known, threshold=threshold, remedy=remedy,
        squares=squares, names=values.coordinates,
    )  # fmt: skip
    flags = frozenset(("unreliable",) if verdict.verdict == DOUBT else ())
    estimate = Estimate(
        value, "lower", known, unit="nats", flags=flags, values=np.array([value])
    )  # fmt: skip
    found = Refinement(drawn, estimate, moments, ess, threshold, verdict, chains)
    return found, squares


def _of_runs(drawn: TemperedDraws) -> tuple[float, float]:
    """log of the mean evidence of all runs, and its error, nats."""
    found = evidence_of_runs(drawn.log_evidence[None])
    return float(found.log_evidence[0]), float(found.error[0])


def _khat_error(khat: Float[np.ndarray, " C"], chains: int) -> Float[np.ndarray, " C"]:
    """What k-hats may be too small by, one time in twenty, of 3 sqrt(chains) in their tails."""
    positive = np.where(khat > 0, 1 + khat, 0.0)
    return 1.64 * positive / math.sqrt(3 * math.sqrt(RUNS * chains))


def _others(candidate: Candidate) -> tuple:
    """The guides of other optima."""
    if candidate.starts is None:
        return ()
    return tuple(s.guide for s in candidate.starts.starts if s.distance > SEPARATE)
