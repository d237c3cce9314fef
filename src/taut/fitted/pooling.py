"""`taut.pool`: fitted mixtures as one, whose density is the mean of theirs.

    p(x) = (1/M) sum_m p_m(x)

A mixture of mixtures is a mixture: evidence, conditionals and draws stay exact. EM ends in another
maximum from each start; where rows are few, the mean predicts new rows and missing cells better than the
best of them, and is less sure of itself (Ormoneit and Tresp 1998, section III).

A target that is a column is predicted given the others, by the mean density. The temperature that
calibrates the conditional of one fit is not the pool's, which has no rows to learn its own from: its
probabilities are those of the mean density. What was learned of the latent features of one fit does not
hold for those of the pool, which predicts no target beside the columns.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from taut.core import NO_BOUND, Estimate, InputError, counted
from taut.fitted.conditional import Conditional
from taut.fitted.fit import Fit
from taut.fitted.prediction import SCORES
from taut.guides import ExactPair
from taut.models.exact import AbstractMixture
from taut.models.exact.mixture import pooled_mixture

__all__ = ["pool"]


def pool(fits: Sequence[Fit]) -> Fit:
    """One fit of several mixtures, each with an equal share.

    Arguments:
        fits: of one model to the same data with the same split, by `taut.em` from other keys, say, or
            with other numbers of components.

    Returns:
        a `Fit` whose held-out log-evidence is that of the mean density, exact.

    Raises:
        InputError: no fit; other models than mixtures, or ones of different forms; other data.
    """
    fits = list(fits)
    _check_mixtures(fits)
    evidence = _mean_evidence(fits)
    first = fits[0]
    models: list[Any] = [fit.model for fit in fits]
    model = pooled_mixture(models)
    architecture: Any = first.architecture
    architecture = replace(architecture, components=model.num_components)
    notes = [f"the mean of the densities of {counted(len(fits), 'fit')}"]
    predictor, estimates = first.predictor, dict(first.estimates)
    if predictor is not None and len(fits) > 1:
        estimates = {name: one for name, one in estimates.items() if name not in SCORES}
        target = f"the target '{first.schema.target}'"
        if not isinstance(predictor, Conditional):
            predictor = None
            notes.append(
                f"{target} is not predicted: each fit learned it from latent features of its own"
            )
        else:
            predictor = Conditional(np.asarray(1.0))
            if first.schema.classes is not None:
                notes.append(
                    f"{target} is predicted by the mean density: probabilities are not calibrated"
                )
    facts = replace(
        first.facts, em=None,
        training_seconds=sum(fit.facts.training_seconds for fit in fits),
        notes=(*first.facts.notes, *notes),
    )  # fmt: skip
    return replace(
        first, pair=ExactPair(model), architecture=architecture, facts=facts, history=(),
        recipe=replace(first.recipe, model=architecture), predictor=predictor,
        estimates={**estimates, "log_evidence": evidence},
    )  # fmt: skip


def _check_mixtures(fits: list[Fit]) -> None:
    if fits and all(isinstance(fit.model, AbstractMixture) for fit in fits):
        return
    raise InputError(
        "one or more fits of mixtures, such as gmm",
        ", ".join(sorted({fit.architecture.name for fit in fits})) or "none",
        "taut.em with several keys", where="pool",
    )  # fmt: skip


def _mean_evidence(fits: list[Fit]) -> Estimate:
    """Held-out log-evidence of the mean density, nats per row.

    Raises:
        InputError: fits to other data, or that were measured on other rows.
    """
    known = [fit.estimates.get("log_evidence") for fit in fits]
    values = [one.values for one in known if one is not None and one.values is not None]
    rows = {
        (fit.facts.checksum, *np.asarray(one.index).tolist())
        for fit, one in zip(fits, known, strict=True)
        if one is not None
    }
    if len(values) < len(fits) or len(rows) > 1 or any(f.schema != fits[0].schema for f in fits):
        raise InputError(
            "fits to the same rows, measured on the same test rows", "others",
            "one Data for all of them", where="pool",
        )  # fmt: skip
    mean = np.asarray(logsumexp(np.stack(values), axis=0)) - math.log(len(fits))
    evidence = Estimate.from_rows(mean, side="exact", index=known[0] and known[0].index)
    bounds = all(one is not None and NO_BOUND not in one.flags for one in known)
    return evidence if bounds else evidence.without_bound()
