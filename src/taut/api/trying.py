"""What the remedies of an audit gain where they are tried: new minus old on the same held-out rows.

    amortization, approximation, undivided    draws of a Gaussian fitted to each row
    prior                                     a prior of another kind, fitted to their posteriors

Other findings ask for another fit, which is not tried here.
"""

import time
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.api.refitting import refit_prior
from taut.audit import Finding, Trial, other_priors
from taut.core import Datum, Estimate, InputError, paired_difference
from taut.data import Data
from taut.evidence import Importance
from taut.fitted import Fit
from taut.inference import Refined

__all__ = ["rows_looked_at", "tried"]

_OF_GUIDES = ("amortization", "approximation", "undivided")


def tried(
    fit: Fit,
    found: tuple[Finding, ...],
    data: Any,
    held_out: Datum,
    *,
    key: PRNGKeyArray,
    num_particles: int = 1000,
) -> tuple[Trial, ...]:
    """Try what findings suggest, each remedy once, in the order of the findings.

    Arguments:
        fit: that was audited.
        found: what the audit found.
        data: a `Data` of the fit, which has rows that a prior is fitted to and judged by.
        held_out: rows that the audit looked at.
        key: random key.
        num_particles: draws of each row.
    """
    guide_key, prior_key = jax.random.split(key)
    trials: list[Trial] = []
    another = other_priors(getattr(fit.architecture, "prior", None))[0]
    for finding in found:
        began = time.perf_counter()
        if finding.name in _OF_GUIDES:
            what = "draws of a Gaussian fitted to each row in place of the guide's"
        elif finding.name == "prior":
            what = f"the prior {another} fitted to the posteriors of training rows"
        else:
            continue
        if what in [trial.what for trial in trials]:
            continue
        gains: dict[str, Estimate] = {}
        why = ""
        try:
            if finding.name == "prior":
                gains = _of_prior(fit, data, another, prior_key)
            else:
                gains = _of_row_guides(fit, held_out, guide_key, num_particles)
        except InputError as error:
            why = f"it takes {error.parts[0]}; this one has {error.parts[1]}"
        trials.append(Trial(finding.name, what, gains, why, time.perf_counter() - began))
    return tuple(trials)


def _of_row_guides(
    fit: Fit, rows: Datum, key: PRNGKeyArray, num_particles: int
) -> dict[str, Estimate]:
    pair, draw_key = fit.serving(rows, key)
    new = Refined(num_particles)(pair, rows, key=draw_key)
    old = Importance(num_particles)(pair, rows, key=jax.random.fold_in(draw_key, 0))
    return {"log_evidence": paired_difference(new.log_evidence, old.log_evidence)}


def _of_prior(fit: Fit, data: Any, prior: str, key: PRNGKeyArray) -> dict[str, Estimate]:
    if not isinstance(data, Data):
        raise InputError(
            "a Data with training, validation and test rows", "rows alone", "taut.load_data(...)",
            where="try",
        )  # fmt: skip
    return refit_prior(fit, data, prior=prior, key=key).gains


def rows_looked_at(held_out: Datum, index: np.ndarray) -> Datum:
    """The rows of these numbers, in their order."""
    own = np.arange(len(held_out.x)) if held_out.index is None else np.asarray(held_out.index)
    places = np.searchsorted(own, index, sorter=np.argsort(own))
    chosen = np.argsort(own)[places]
    known = Datum(held_out.x, held_out.mask, None, own, held_out.weight)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], known)
