"""`taut.em`: exact EM on data, with the number of components chosen where a range is given.

Reported numbers are exact: the evidence of every model here is in closed form.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures import FA, GMM, LCA, PPCA
from taut.core import Estimate, InputError
from taut.core.provenance import device
from taut.fitted.fit import Fit, as_key
from taut.guides import ExactPair
from taut.inference import EM, OnlineEM
from taut.inference.exact import log_evidences
from taut.inference.exact.candidate import Candidate
from taut.inference.exact.em_data import EMData, in_memory, on_disk
from taut.inference.exact.independent import independent_columns
from taut.inference.exact.selection import (
    Select,
    check_selection,
    component_numbers,
    select_components,
)
from taut.models import AbstractExactModel
from taut.runs import RunFolder

__all__ = ["EMProgress", "em"]


class EMProgress(NamedTuple):
    """What a progress display is told.

    Attributes:
        components: of the model that is being fitted.
        restart: counted from 0.
        iteration: M-steps, or batches of online EM.
        log_evidence: mean over the training rows, or over the batch; nats per row.
    """

    components: int
    restart: int
    iteration: int
    log_evidence: float


def em(
    data: Any,
    *,
    model: GMM | LCA | PPCA | FA | None = None,
    components: int | Sequence[int] | None = None,
    select: Select = "evidence",
    restarts: int | None = None,
    floor: float | None = None,
    reg_covar: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    closed_form: bool = False,
    start: AbstractExactModel | None = None,
    online: bool = False,
    passes: float | int = 1,
    batch_size: int = 10_000,
    key: int | PRNGKeyArray = 0,
    out: Path | str | None = None,
    force: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[EMProgress], None] | None = None,
) -> Fit:
    """Fit a model with exact posterior by EM and measure it on the test rows, in float64.

    Arguments:
        data: a `Data`, or whatever `load_data` takes; with `online`, also a `.npy` file that is larger
            than memory.
        model: architecture; a Gaussian mixture when None.
        components: number of components or factors, or several to choose from; the architecture's own
            when None.
        select: what decides among several: mean log-evidence of the validation rows, or the Bayesian
            information criterion on the training rows, -2 log p(x) + parameters log N.
        restarts: random starts for each number of components.
        floor: strength of the penalty that keeps parameters off the boundary; see each model's
            `floor`. 0 for maximum likelihood.
        reg_covar: added to the diagonals of a Gaussian mixture's covariances instead, in data units
            squared, as scikit-learn does; the evidence may then fall now and then.
        tolerance: nats per row of gain in the objective below which EM stops.
        max_iterations: of each run.
        closed_form: probabilistic PCA by its closed form instead of EM.
        start: model to start from instead of random ones.
        online: one M-step per batch instead of one per pass.
        passes: of online EM over the data.
        batch_size: rows a batch of online EM.
        key: whole number or random key; everything random follows from it.
        out: run folder to write; None writes nothing.
        force: replace a run that is there.
        settings: what to write as config.toml instead of the arguments here.
        progress: called after every iteration.

    Returns:
        a `Fit`, whose `estimates` hold the log-evidence of the test rows and of independent columns,
        both exact, and whose `facts["selection"]` holds the curve where there is one.

    Raises:
        InputError: an option, the data, or a combination of parts cannot be used.
        RunError: the objective fell, or a covariance became singular.
    """
    architecture = GMM() if model is None else model
    wanted = component_numbers(components, architecture.components)
    options: dict[str, Any] = {
        "restarts": restarts, "tolerance": tolerance, "max_iterations": max_iterations,
        "floor": floor, "reg_covar": reg_covar,
    }  # fmt: skip
    if online and closed_form:
        raise InputError(
            "iterations with --online", "a closed form", "leaving out --closed-form",
            where="closed-form",
        )  # fmt: skip
    by_batch = OnlineEM(**options, passes=passes, em_batch_size=batch_size)
    inference = by_batch if online else EM(**options, closed_form=closed_form)
    inference.check(architecture, None, None)
    check_selection(wanted, select, start)
    if out is not None:
        RunFolder.check_free(out, force=force)
    began = time.perf_counter()
    source = on_disk(data) if online else None
    given = in_memory(data) if source is None else source
    architecture = _with_levels(architecture, given)
    for part, x in given.parts().items():
        architecture.check(given.schema, x, where=f"{given.schema.name}, {part} rows")

    seed = int(jax.random.bits(as_key(key), dtype=np.uint32))

    def report(number: int, restart: int, iteration: int, value: float) -> None:
        if progress:
            progress(EMProgress(number, restart, iteration, value))

    best, candidates = select_components(
        inference, architecture, wanted, given, seed=seed, select=select, start=start, report=report
    )
    fitted = time.perf_counter()

    estimates = _measured(best, given)
    facts: dict[str, Any] = {
        "rows": given.describe(),
        "components": best.architecture.components,
        **best.facts,
        "training seconds": round(fitted - began, 2),
        "evaluation seconds": round(time.perf_counter() - fitted, 2),
        "device": device(),
        "free parameters": best.model.num_parameters,
        f"BIC, {'from a sample' if online else 'training rows'}": round(best.bic, 3),
    }
    if len(candidates) > 1:
        facts["components chosen by"] = select
        facts["selection"] = [_point(c) for c in candidates]
    facts |= {f"note {i}": note for i, note in enumerate(given.notes, start=1)}
    named = best.architecture.to_dict()
    own = {
        "data": given.source, "model": named.pop("name"), **named, "select": select,
        "restarts": restarts, "floor": floor, "reg_covar": reg_covar or None,
        "tolerance": tolerance, "max_iterations": max_iterations, "closed_form": closed_form or None,
        "online": online or None, "precision": "float64", "seed": key if isinstance(key, int) else None,
    }  # fmt: skip
    result = Fit(
        pair=ExactPair(best.model),
        architecture=best.architecture,
        schema=given.schema,
        settings=dict(settings) if settings is not None else own,
        history=best.history,
        estimates=estimates,
        facts=facts,
        precision="float64",
    )
    if out is not None:
        result.save(out, force=force)
    return result


def _point(candidate: Candidate) -> dict[str, Any]:
    """One point of the selection curve, as JSON holds it."""
    return {
        "components": candidate.architecture.components,
        "validation log-evidence": candidate.validation.value,
        "validation error": candidate.validation.data_error,
        "training log-evidence": candidate.train,
        "bic": candidate.bic,
        "free parameters": candidate.model.num_parameters,
    }


def _measured(best: Candidate, given: EMData) -> dict[str, Estimate]:
    """Exact numbers on the test rows."""
    index = given.test_index
    baseline = independent_columns(best.architecture, given)
    return {
        "log_evidence": Estimate.from_rows(
            log_evidences(best.model, given.test), side="exact", index=index
        ),
        "independent_columns": Estimate.from_rows(
            log_evidences(baseline, given.test), side="exact", index=index
        ),
    }


def _with_levels(architecture: Any, given: EMData) -> Any:
    """A latent class model's number of values: the schema's, or the largest count plus one."""
    if not isinstance(architecture, LCA) or architecture.levels is not None:
        return architecture
    if given.schema.support == "count":
        largest = max(float(x.max()) for x in given.parts().values())
        return replace(architecture, levels=max(2, round(largest) + 1))
    if given.schema.support in ("real", "unit"):
        return replace(architecture, levels=2)  # `check` refuses the rows in words of their own
    return architecture.resolved(given.schema)[0]
