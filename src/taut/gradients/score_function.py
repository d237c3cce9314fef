"""The score-function gradient, REINFORCE.

    grad_phi E_q[F] = E_q[F sum_k grad_phi log q(z_k)] + E_q[grad_phi F at fixed draws]

F is the bound's objective over its K draws (Glynn 1990; Williams 1992). Where F is an average over the
draws, F = (1/L) sum_l f_l, each draw is weighed by its own f_l alone: the others are independent of it.
f keeps the whole log-weight, log q among it, and the second part the -1 of grad_phi log w. A baseline b
that has not seen the draws is subtracted from the signal; where F is an average it takes the place of
that -1, which is a constant as well. In a logarithm of weights the second part is not of mean zero, and
stays.

Unbiased for every bound in both parameter groups, for any guide with a density, continuous ones among
them; where the guide enumerates a class, for the ELBO without free bits. One evaluation of the model and
of the guide per particle.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import ELBO, AbstractBound
from taut.core import (
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    as_proposal,
    option,
    weighted_sum,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.baselines import AbstractBaseline, MovingAverage, baseline_of
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.scaled import scaled
from taut.gradients.still import each_alone, require_chance, still_log_q, still_particles
from taut.gradients.strata import over_strata, require_masses

__all__ = ["ScoreFunction", "score_surrogate"]


class ScoreFunction(AbstractEstimator):
    """REINFORCE with a baseline, for any latents.

    Attributes:
        baseline: what is subtracted from the learning signal, which makes the gradient less noisy;
            None for nothing.
    """

    name: ClassVar[str] = "score-function"
    claims: ClassVar[tuple[Claim, ...]] = tuple(
        Claim(bound, "unbiased", "unbiased", shown_by)
        for bound in ("elbo", "iwae", "renyi")
        for shown_by in ("enumeration", "quadrature")
    )

    readers: ClassVar[Mapping[str, Any]] = {"baseline": baseline_of}

    baseline: AbstractBaseline | None = MovingAverage()

    def __call__(
        self,
        bound: AbstractBound,
        model: AbstractModel,
        guide: Any,
        datum: Datum,
        key: PRNGKeyArray,
        *,
        step: Int[Array, ""] | int = 0,
        aux: Any = None,
    ) -> Surrogate:
        return score_surrogate(bound, model, guide, datum, key, step, self.baseline, aux)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> Any:
        return None if self.baseline is None else self.baseline.init(key, example)

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        return aux if self.baseline is None else self.baseline.update(aux, gradients, statistics)


def score_surrogate(
    bound: AbstractBound,
    model: AbstractModel,
    guide: Any,
    datum: Datum,
    key: PRNGKeyArray,
    step: Int[Array, ""] | int,
    baseline: AbstractBaseline | None,
    state: Any,
) -> Surrogate:
    """The score-function surrogate of one datum, with what moves the baseline.

    Raises:
        InputError: the guide draws nothing at random, or enumerates a class in an objective that is no
            average over its classes; a baseline without its state.
    """
    q = as_proposal(guide(datum))
    require_chance(q)
    _require_average(bound, q)
    if baseline is not None and state is None:
        raise InputError("the baseline's state", "None", "`estimator.init(key, row)`", where="aux")
    centering = None if baseline is None else jax.lax.stop_gradient(baseline(state, datum))
    if centering is not None and centering.scale is not None:
        q = scaled(q, 1.0 / centering.scale)
    minted = still_particles(model, q, datum, key, bound.minted)
    if bound.separable:
        signal = each_alone(bound, minted, step)
    else:
        signal = jax.lax.stop_gradient(bound.objective(minted, step))[None]
    centred = signal if centering is None else signal - centering.baseline
    if bound.separable:
        score = weighted_sum(minted.log_mass, centred * minted.log_q)
        kept = minted if baseline is None else still_log_q(minted)
    else:
        score = centred[0] * jnp.sum(minted.log_q)
        kept = minted
    objective = bound.objective(kept, step)
    surrogate = objective + score
    if baseline is None:
        return Surrogate(value=bound(minted), surrogate=surrogate, objective=objective)
    seen = over_strata(minted, signal)
    return Surrogate(
        value=bound(minted),
        surrogate=surrogate,
        objective=objective,
        aux_surrogate=baseline.loss(state, datum, seen),
        statistics=baseline.statistics(state, datum, seen),
    )


def _require_average(bound: AbstractBound, q: AbstractProposal) -> None:
    """Refuse an objective that joins the classes which the guide enumerates."""
    require_masses(bound, q)
    if q.strata > 1 and isinstance(bound, ELBO) and bound.free_bits > 0:
        raise InputError(
            "an objective that is an average over the classes that the guide enumerates",
            "free bits, which clip that average",
            f"{option('free_bits', 0)}, or {option('gradient', 'reparameterized')}",
            where="score function",
        )
