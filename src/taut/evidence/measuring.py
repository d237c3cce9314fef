"""The numbers at the end of a fit, and of a fit on other rows: each with the side that the model claims.

A model whose evidence is in closed form is asked for it, whatever fitted it; of any other the evidence
is estimated, by importance sampling from the guide, and where that is flagged by what is handed in.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, Estimate
from taut.data import Data
from taut.evidence.bounded import bounded_or_not
from taut.evidence.closed_form import closed_form
from taut.evidence.exact_columns import exact_columns
from taut.evidence.importance import Evidence, importance_sampling
from taut.evidence.independent_columns import independent_columns
from taut.models import AbstractExactModel, ChainModel, LatentVariableModel

__all__ = ["Measured", "importance_evidence", "measure"]


class Measured(NamedTuple):
    """The numbers at the end of a fit.

    Attributes:
        estimates: by name; all on the test rows.
        method: what estimated the log-evidence; empty where it is in closed form.
        num_particles: draws per row behind it; None where none is at random.
    """

    estimates: dict[str, Estimate]
    method: str
    num_particles: int | None


def importance_evidence(
    pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray, num_particles: int
) -> Evidence:
    """Importance sampling from the guide, with the model's own evidence where it has one.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        key: random key.
        num_particles: draws per row.
    """
    found = importance_sampling(pair, rows, key=key, num_particles=num_particles)
    model, _ = pair.bind()
    if isinstance(model, AbstractExactModel):
        exact = closed_form(model, rows)
        return replace(found, log_evidence=exact, num_particles=None, ess=None)
    return found


def measure(
    pair: AbstractPair,
    data: Data,
    train_rows: Datum,
    test_rows: Datum,
    key: PRNGKeyArray,
    num_particles: int,
    *,
    refined: Callable[[Datum], Evidence] | None = None,
) -> Measured:
    """The numbers at the end of a fit.

    An exact model has its evidence and nothing else to report: no bound, no draws. ELBO, reconstruction
    and KL are of the guide, whatever estimates the log-evidence.

    Arguments:
        pair: model and guide.
        data: that were fitted.
        train_rows: for the columns alone.
        test_rows: what is measured.
        key: random key.
        num_particles: draws per row.
        refined: another estimate of the rows' evidence, made where importance sampling from the guide is
            flagged, and taken if it has fewer rows above the k-hat threshold.
    """
    model, _ = pair.bind()
    if isinstance(model, AbstractExactModel):
        exact = {
            "log_evidence": closed_form(model, test_rows),
            "independent_columns": exact_columns(model, train_rows.x, test_rows),
        }
        return Measured(exact, "", None)
    evidence = importance_sampling(pair, test_rows, key=key, num_particles=num_particles)
    method = "" if evidence.log_evidence.side == "exact" else "importance"
    drawn = evidence.num_particles
    if refined is not None and "unreliable" in evidence.log_evidence.flags:
        again = refined(test_rows)
        if again.share_unreliable < evidence.share_unreliable:
            method, evidence = "refined", replace(evidence, log_evidence=again.log_evidence)
    evidence = bounded_or_not(evidence, model, data.schema)
    seen = test_rows.mask
    cells = data.schema.size if seen is None else np.sum(seen) / len(seen)  # observed ones of a row
    bits = evidence.log_evidence.scaled(-1 / (cells * math.log(2)), unit="bits per dimension")
    if isinstance(model, ChainModel):
        estimates = {} if evidence.log_evidence.side == "exact" else {"elbo": evidence.elbo}
        estimates["log_evidence"] = evidence.log_evidence
        if data.schema.kind == "image" and data.schema.support in ("binary", "grey"):
            estimates["bits_per_dimension"] = bits
        return Measured(estimates, method, drawn)
    estimates = {
        "elbo": evidence.elbo,
        "reconstruction": evidence.reconstruction,
        "kl": evidence.kl,
        "log_evidence": evidence.log_evidence,
    }
    if isinstance(model, LatentVariableModel):
        estimates["independent_columns"] = independent_columns(
            model, train_rows, test_rows, levels=_grid(data)
        )
        if data.schema.kind == "image" and model.likelihood.discrete:
            estimates["bits_per_dimension"] = bits
    return Measured(estimates, method, drawn)


def _grid(data: Data) -> int | None:
    return 2 if data.schema.support == "binary" else data.schema.levels
