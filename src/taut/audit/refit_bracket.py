"""An end above the log-evidence of a program, calibrated on data that the program makes.

    theta_n, x_n ~ p(theta, x);      q_n the fit to x_n
    lower_n   as for the user's data: of weighted draws, or of those that were moved to the posterior
    upper_n   log (1/K) [w(z_n) + sum_{k<K} w(z_k)],    z_k ~ r_n,    z_n = theta_n, a draw of p(z | x_n)

with r_n the guide mixed with heavier tails (`taut.evidence.defensive`), so that in expectation
lower_n <= log p(x_n) <= upper_n (`taut.evidence.known_latents`). The end above the user's number is

    upper = lower + 1.96 errors + the m-th smallest of N gaps upper_n - lower_n,   m = ceil(0.95 (N + 1))

If the user's data were another data set of the program, its gap would be one of N + 1 alike, and not
above that one 19 times in 20; how far N other gaps would move the m-th is not known. For data that are
not it is no bound: the end is withheld where the weights of the guide have a heavier tail than on all
simulated ones, or where the number is doubted.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from taut.audit.refits import check_refits, price_refits, remade
from taut.core import CALIBRATED, Datum, Estimate, InputError, RunError
from taut.core.json_numbers import finite_or_none
from taut.core.kept_rows import kept_rows
from taut.evidence import defensive_draws, defensive_log_prob, summarize
from taut.inference.posterior import PosteriorOptions, fit_posterior
from taut.inference.posterior.posterior_fit import PosteriorFit
from taut.inference.posterior.verdict import DOUBT
from taut.models.program import AbstractProgram, with_observed

__all__ = ["FEWEST_REFITS", "RefitBracket", "bracket_by_refits", "known_end"]

FEWEST_REFITS = 19
"""Gaps of which the largest is not passed by another one 19 times in 20."""

_LEVEL = 0.95
_NORMAL = 1.96


@dataclass(frozen=True)
class RefitBracket:
    """The log-evidence of a program's data between two ends; nats.

    Attributes:
        lower: of the posterior; a lower bound in expectation.
        upper: the calibrated end; None where `without_upper` says why.
        known_lower: the same of each simulated data set, (N,); NaN where a fit is left out.
        known_upper: their upper ends, bounds in expectation, (N,); NaN likewise.
        without_upper: why there is no upper end; empty where there is one.
        notes: what a reader should know, a sentence each.
    """

    lower: Estimate
    upper: Estimate | None
    known_lower: Float[np.ndarray, " N"]
    known_upper: Float[np.ndarray, " N"]
    without_upper: str = ""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """From 1.96 errors below the lower end to the upper one, nats; infinite without one."""
        if self.upper is None:
            return math.inf
        return self.upper.value - self.lower.value + _NORMAL * self.lower.mc_error

    def __str__(self) -> str:
        above = f"no upper end: {self.without_upper}" if self.upper is None else str(self.upper)
        return f"log-evidence {self.lower}\nabove it      {above}"

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {
            "lower": self.lower.to_dict(),
            "upper": self.upper and self.upper.to_dict(),
            "without_upper": self.without_upper,
            "simulated": {
                name: [finite_or_none(float(end)) for end in ends]
                for name, ends in (("lower", self.known_lower), ("upper", self.known_upper))
            },
            "notes": list(self.notes),
        }


def bracket_by_refits(
    model: AbstractProgram,
    datum: Datum,
    options: PosteriorOptions,
    *,
    lower: Estimate,
    doubted: bool,
    guide_khat: float,
    key: PRNGKeyArray,
    refits: int,
    seconds: float,
    tell: Callable[[str], None],
) -> RefitBracket:
    """Fit a program to data sets of its own making, and see how far apart both ends are.

    Arguments:
        model: the program.
        datum: its data, of whose shapes the simulated ones are.
        options: of every fit, those of the posterior.
        lower: log-evidence of the posterior, nats.
        doubted: whether its verdict is not to believe it.
        guide_khat: Pareto shape of the weights of its guide's own draws.
        key: everything random follows from it.
        refits: N.
        seconds: what all fits together may take, as far as the second tells.
        tell: gets one sentence, what they will take, before the third starts.

    Raises:
        InputError: a log-joint, minibatches, an improper prior, a factor or scale; too few refits, or
            more of them than there is time for.
    """
    program = check_refits(model, datum, options, refits, fewest=FEWEST_REFITS, where="bracket")
    latents, observed, given = remade(program, datum, key, refits)
    count = options.num_draws or 1000

    def refit(number: int) -> dict[str, Any]:
        one = with_observed(datum, jax.tree.map(lambda leaf: leaf[number], observed))
        truth = {site.name: latents[site.name][number] for site in program.sites}
        own = jax.random.fold_in(key, number)
        try:
            found = fit_posterior(given, one, options, key=own)
            generator = np.random.default_rng(np.asarray(jax.random.key_data(own), np.uint32))
            upper = known_end(found, truth, generator, count=count)
        except (InputError, RunError):
            ends, khat, usable = (math.nan, math.nan), math.nan, False
        else:
            ends, khat = (found.draws.log_evidence.value, upper), found.draws.guide_khat
            usable = found.verdict.verdict != DOUBT
        return {"ends": np.array([ends]), "khat": np.array([khat]), "usable": [usable]}

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        return price_refits(refit, begin, refits, seconds, tell, fewest=refits, where="bracket")

    columns = kept_rows(blocks, refits)
    usable = columns["usable"] & np.isfinite(columns["ends"]).all(axis=1)
    low, high = np.where(usable, columns["ends"].T, np.nan)
    notes = ["the gaps are those of data that the program makes, over its whole prior"]
    if not usable.all():
        left = refits - int(usable.sum())
        notes.append(
            f"{left} of {refits} fits are not to be believed, or have no upper end: left out"
        )
    upper, why = _upper(lower, (high - low)[usable], doubted, guide_khat, columns["khat"][usable])
    return RefitBracket(lower, upper, low, high, why, tuple(notes))


def known_end(
    found: PosteriorFit,
    truth: dict[str, Any],
    generator: np.random.Generator,
    *,
    count: int,
) -> float:
    """An upper end for the log-evidence of data whose latents are known; a bound in expectation, nats.

    Arguments:
        found: the fit to them.
        truth: what made them, in natural units, by site.
        generator: of the draws.
        count: K.
    """
    family, guide = found.candidate.family, found.candidate.fitted.guide
    moments = family.moments(guide)
    exact = np.asarray(found.values.model.unconstrain(truth))[None]
    drawn = defensive_draws(
        lambda n: family.sample(guide, generator, n), lambda z: family.log_q(guide, z),
        moments.mean, moments.tril, count=count - 1, generator=generator, independent=True,
    )  # fmt: skip
    z = np.concatenate([drawn.z, exact])
    exact_log_r = defensive_log_prob(exact, family.log_q(guide, exact), moments.mean, moments.tril)
    log_w = family.log_density.values(z) - np.concatenate([drawn.log_r, exact_log_r])
    return float(summarize(np.where(np.isnan(log_w), -np.inf, log_w)[None]).log_evidence[0])


def _upper(
    lower: Estimate,
    gaps: Float[np.ndarray, " N"],
    doubted: bool,
    guide_khat: float,
    khats: Float[np.ndarray, " N"],
) -> tuple[Estimate | None, str]:
    """The calibrated end, or why there is none."""
    if doubted or not math.isfinite(lower.mc_error):
        return None, "the lower end has no error that is known"
    if len(gaps) < FEWEST_REFITS:
        return None, (
            f"{len(gaps)} fits to simulated data are to be believed, and it takes {FEWEST_REFITS}"
        )
    if np.nan_to_num(guide_khat, nan=-math.inf) > np.nan_to_num(khats, nan=-math.inf).max():
        return None, "the data are harder than simulated ones, by the k-hat of the guide's weights"
    gap = np.sort(gaps)[math.ceil(_LEVEL * (len(gaps) + 1)) - 1]
    value = lower.value + _NORMAL * lower.mc_error + max(float(gap), 0.0)
    flags = (lower.flags - {"unreliable"}) | {CALIBRATED}
    end = replace(
        lower, value=value, side="none", mc_error=math.nan, flags=flags, values=np.array([value])
    )
    return end, ""
