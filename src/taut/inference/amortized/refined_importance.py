"""Evidence by importance sampling from a Gaussian that is fitted to each row's posterior.

    log p(x) ~ log (1/K) sum_k p(x, z_k) / q_i(z_k),        z_k ~ q_i, fitted to row i beforehand

An encoder names all posteriors with one network and, as a rule, without their correlations; what it
misses decides the variance of the weights. The draws of the estimate are others than those of the fit,
so the mean of the weights is unbiased for p(x), and its logarithm a lower bound in expectation, whether
or not a fit has converged.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, InputError, num_rows
from taut.evidence import (
    LEAST_FOR_KHAT,
    AbstractMethod,
    Claims,
    Evidence,
    Simulated,
    weigh,
    weigh_known,
)
from taut.inference.amortized.row_gaussians import (
    check_refinable,
    fit_draws,
    numbered,
    row_gaussians,
)

__all__ = ["Refined"]

_USUAL_STEPS = 6  # evaluations of a fit's draws before it has converged
_GRADIENT = 3  # evaluations without a gradient that one with it takes


@dataclass(frozen=True)
class Refined(AbstractMethod):
    """Importance sampling from a Gaussian fitted to each row.

    Attributes:
        num_particles: draws per row, of the fitted Gaussian.
    """

    name: ClassVar[str] = "refined"
    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True, latents="continuous")

    num_particles: int = 1000

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        model, guide = pair.bind()
        known = numbered(rows)
        fit_key, draw_key = jax.random.split(key)
        found = row_gaussians(model, guide, known, key=fit_key)
        evidence = weigh(model, found.guide, known, key=draw_key, num_particles=self.num_particles)
        return replace(evidence, converged=found.converged)

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        model, guide = pair.bind()
        fit_key, draw_key = jax.random.split(key)
        found = row_gaussians(model, guide, made.rows, key=fit_key)
        evidence = weigh_known(
            model, found.guide, made, key=draw_key, num_particles=self.num_particles
        )
        return replace(evidence, converged=found.converged)

    def within(self, pair: AbstractPair, rows: Datum, *, gradients: int) -> bool:
        """Whether the rows take so many evaluations of log p(x, z) with its gradient, or fewer.

        A count, no time: the same fit always ends with the same numbers. Latents that cannot be refined
        never do, nor draws so few that no k-hat could tell whether refinement helped.
        """
        if self.num_particles < LEAST_FOR_KHAT:
            return False
        try:
            dim = check_refinable(*pair.bind(), rows)
        except InputError:
            return False
        each = _USUAL_STEPS * fit_draws(dim) + self.num_particles / _GRADIENT
        return num_rows(rows) * each <= gradients
