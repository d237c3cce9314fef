"""The gap of the ELBO, row by row, by its causes.

    log p(x) - ELBO(encoder) = [ELBO(best of the family) - ELBO(encoder)] + [log p(x) - ELBO(best)]
                                amortization gap                            approximation gap

The best member of the family is searched for each row by itself. What is found is at most the best, so
the amortization gap found is a lower bound; the approximation gap found is an upper bound where log p(x)
is exact or itself one, and bounds nothing where log p(x) is a lower bound. The ELBOs of encoder and
member are taken on common noise, of discrete guides of few outcomes without any.

Source: Cremer, Li and Duvenaud, Inference suboptimality in variational autoencoders (2018).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from taut.audit.drawn_latents import numbers_of
from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    InputError,
    Side,
    check_count,
    num_rows,
)
from taut.core.kept_rows import kept_rows
from taut.evidence import Evidence, Importance
from taut.evidence.draws import RowDraws, weighted_draws
from taut.evidence.measuring import importance_evidence
from taut.evidence.weights import mean_and_error
from taut.guides import ExactPosterior, PerDatumGuide, every_outcome
from taut.inference import Refined
from taut.inference.amortized.row_gaussians import RowGaussians, check_refinable
from taut.inference.amortized.row_members import row_members

__all__ = ["Gaps", "audited_evidence", "gaps"]

_EXACT_GUIDE = "the guide is the exact posterior"
_OWN_PARAMETERS = "every row has parameters of its own, which no network names"


@dataclass(frozen=True)
class Gaps:
    """The gap of some rows; all nats per row.

    Attributes:
        elbo: of the guide as it is.
        log_evidence: of the same rows.
        total: log-evidence less ELBO.
        amortization: what the best member found gains; None where `undivided` says why.
        approximation: what that member still lacks; None likewise.
        converged: whether each row's search met its tolerance, (N,); None where there was none.
        undivided: why the total was not divided; empty where it was.
    """

    elbo: Estimate
    log_evidence: Estimate
    total: Estimate
    amortization: Estimate | None
    approximation: Estimate | None
    converged: Bool[np.ndarray, " N"] | None = None
    undivided: str = ""


def gaps(
    pair: AbstractPair, rows: Datum, evidence: Evidence, *, key: PRNGKeyArray, num_draws: int = 256
) -> Gaps:
    """Divide the gap of rows.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        evidence: of these rows, by any method.
        key: random key.
        num_draws: of each row, for the ELBOs, at least two.

    Raises:
        InputError: fewer draws.
    """
    wish = "at least two draws a row, which an error needs"
    num_draws = check_count(num_draws, wish, "256", where="num_draws", least=2)
    model, guide = pair.bind()
    known = Datum(rows.x, rows.mask, None, numbers_of(rows), rows.weight)
    fit_key, draw_key = jax.random.split(key)
    whole_guide = every_outcome(guide, known) or guide
    before, mass = _elbos(model, whole_guide, known, draw_key, num_draws)
    index = numbers_of(rows)

    def estimate(values: Any, errors: Any, side: Side) -> Estimate:
        flags = evidence.log_evidence.flags & {"unreliable", "no bound"}
        return Estimate.from_rows(values, side=side, mc_errors=errors, index=index, flags=flags)

    elbo, elbo_error = mean_and_error(before, mass)
    own = Estimate.from_rows(elbo, side="lower", mc_errors=elbo_error, index=index)
    log_evidence, errors = _rows_of(evidence)
    # An ELBO is estimated without bias, so that the gap has the side of the evidence.
    noise, side = np.hypot(errors, elbo_error), evidence.log_evidence.side
    whole = estimate(
        log_evidence - elbo, noise, "unbiased" if side == "exact" and noise.any() else side
    )
    members, undivided = _members(model, guide, known, fit_key)
    if members is None:
        return Gaps(own, evidence.log_evidence, whole, None, None, undivided=undivided)
    best_guide = every_outcome(members.guide, known) or members.guide
    after, after_mass = _elbos(model, best_guide, known, draw_key, num_draws)
    best, best_error = mean_and_error(after, after_mass)
    gained, gained_error = (
        mean_and_error(after - before) if mass is None else (best - elbo, np.zeros_like(elbo))
    )
    above = side in ("exact", "upper")
    return Gaps(
        own,
        evidence.log_evidence,
        whole,
        Estimate.from_rows(gained, side="lower", mc_errors=gained_error, index=index),
        estimate(log_evidence - best, np.hypot(errors, best_error), "upper" if above else "none"),
        members.converged,
    )


def _members(
    model: AbstractModel, guide: Any, rows: Datum, key: PRNGKeyArray
) -> tuple[RowGaussians | None, str]:
    """The best members, or why there are none to look for."""
    if isinstance(guide, ExactPosterior):
        return None, _EXACT_GUIDE
    if isinstance(guide, PerDatumGuide):
        return None, _OWN_PARAMETERS
    try:
        return row_members(model, guide, rows, key=key), ""
    except InputError as error:
        expected, got, _ = error.parts
        return None, f"it takes {expected}; this one has {got}"


def audited_evidence(
    pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray, num_particles: int
) -> tuple[Evidence, str]:
    """Log-evidence of rows for an audit, and the name of its method.

    In closed form or by enumeration where the model allows it; else importance sampling from a Gaussian
    fitted to each row, or from the guide where latents are no vector of free numbers.
    """
    first = importance_evidence(pair, rows, key=key, num_particles=num_particles)
    if first.log_evidence.side == "exact":
        return first, Importance.name
    try:
        check_refinable(*pair.bind(), rows)
    except InputError:
        return first, Importance.name
    refined = Refined(num_particles)(pair, rows, key=jax.random.fold_in(key, 0))
    better = refined.share_unreliable <= first.share_unreliable
    return (refined, Refined.name) if better else (first, Importance.name)


def _rows_of(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Log-evidence of each row, and its error over draws."""
    found = evidence.log_evidence
    assert found.values is not None
    exact = found.side == "exact" or evidence.errors is None
    return found.values, np.zeros(found.count) if exact else np.asarray(evidence.errors)


def _elbos(
    model: AbstractModel, guide: Any, rows: Datum, key: PRNGKeyArray, num_draws: int
) -> tuple[Float[np.ndarray, "N S"], Float[np.ndarray, "N S"] | None]:
    """What is averaged for the ELBO of each row at each draw, and the masses of draws that exhaust q."""

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        for draws in weighted_draws(
            model, guide, rows, key=key, num_particles=num_draws, begin=begin
        ):
            mass = {} if draws.log_mass is None else {"log_mass": draws.log_mass}
            yield {"values": np.asarray(_of(draws), np.float64), **mass}

    columns = kept_rows(blocks, num_rows(rows))
    return columns["values"], columns.get("log_mass")


def _of(draws: RowDraws) -> np.ndarray:
    fit, kl = np.asarray(draws.fit), np.asarray(draws.kl)
    return fit - (kl if kl.ndim > 1 else kl[:, None])
