"""`taut.em`: exact EM on data, with the number of components chosen where a range is given.

Reported numbers are exact: the evidence of every model here is in closed form.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures import FA, GMM, LCA, PPCA
from taut.core import Estimate, InputError
from taut.core.provenance import device
from taut.fitted.fit import Fit, as_key
from taut.guides import ExactPair
from taut.inference.exact import Floor, Rows, best_of_restarts, check_components, log_evidences
from taut.inference.exact.candidate import Candidate, fit_offline, fit_online, skeleton_of
from taut.inference.exact.em_data import EMData, in_memory, on_disk
from taut.models import AbstractExactModel, GaussianMixture
from taut.runs import RunFolder

__all__ = ["EMProgress", "em"]

_MOST_ITERATIONS = {"gmm": 1000, "lca": 1000, "ppca": 20_000, "fa": 20_000}


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
    select: Literal["evidence", "bic"] = "evidence",
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
    wanted = _numbers(components, architecture.components)
    if select not in ("evidence", "bic"):
        raise InputError("evidence or bic", repr(select), "evidence", where="select")
    _check_combination(architecture, wanted, floor, reg_covar, closed_form, start, online)
    _check_numbers(tolerance, max_iterations, passes, batch_size)
    if out is not None:
        RunFolder.check_free(out, force=force)
    began = time.perf_counter()
    source = on_disk(data) if online else None
    given = in_memory(data) if source is None else source
    architecture = _with_levels(architecture, given)
    for part, x in given.parts().items():
        architecture.check(given.schema, x, where=f"{given.schema.name}, {part} rows")

    seed = int(jax.random.bits(as_key(key), dtype=np.uint32))
    default = architecture.default_floor if reg_covar == 0 else 0.0
    chosen_floor = Floor(default if floor is None else floor, reg_covar)
    candidates = []
    for number in wanted:
        one = replace(architecture, components=number)
        factors = given.schema.size if isinstance(one, PPCA | FA) else None
        check_components(number, given.train.num_rows, factors)

        def report(restart: int, iteration: int, value: float, number: int = number) -> None:
            if progress:
                progress(EMProgress(number, restart, iteration, value))

        fit_one = fit_online if online else fit_offline
        options = {
            "restarts": one.default_restarts if restarts is None else restarts,
            "tolerance": one.default_tolerance if tolerance is None else tolerance,
            "max_iterations": max_iterations or _MOST_ITERATIONS[one.name],
            "closed_form": closed_form,
            "start": start,
            "passes": passes,
            "batch_size": batch_size,
        }
        candidates.append(fit_one(one, given, chosen_floor, seed, options, report))
    best = _chosen(candidates, select)
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


def _chosen(candidates: Sequence[Candidate], select: str) -> Candidate:
    if select == "bic":
        return min(candidates, key=lambda c: c.bic)
    return max(candidates, key=lambda c: c.validation.value)


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
    baseline = _independent(best, given)
    return {
        "log_evidence": Estimate.from_rows(
            log_evidences(best.model, given.test), side="exact", index=index
        ),
        "independent_columns": Estimate.from_rows(
            log_evidences(baseline, given.test), side="exact", index=index
        ),
    }


def _independent(best: Candidate, given: EMData) -> AbstractExactModel:
    """The model without a latent variable: one component with independent columns, on the same rows."""
    architecture = best.architecture
    one: Any = GMM(1, "diag")
    if isinstance(architecture, LCA):
        one = replace(architecture, components=1)
    rows = given.train if given.held_out is None else Rows(given.sample(0))
    result, _ = best_of_restarts(
        skeleton_of(one, given),
        rows,
        Floor(one.default_floor),
        restarts=1,
        seed=0,
        tolerance=1e-9,
        max_iterations=2,
    )
    return result.model


def _numbers(components: int | Sequence[int] | None, default: int) -> tuple[int, ...]:
    if components is None:
        return (default,)
    numbers = (components,) if isinstance(components, int) else tuple(components)
    if not all(isinstance(number, int | np.integer) for number in numbers):
        raise InputError("whole numbers", f"{components!r}", "range(1, 11)", where="components")
    if not numbers or len(set(numbers)) != len(numbers):
        raise InputError(
            "one or more different numbers", f"{list(numbers)}", "1-10", where="components"
        )
    return numbers


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


def _check_numbers(
    tolerance: float | int | None,
    max_iterations: int | None,
    passes: float | int,
    batch_size: int,
) -> None:
    least = {"max-iterations": max_iterations, "batch-size": batch_size}
    for where, value in least.items():
        if value is not None and value < 1:
            raise InputError("a whole number of at least 1", f"{value}", "1000", where=where)
    if tolerance is not None and not tolerance >= 0:
        raise InputError("a number of at least 0", f"{tolerance}", "1e-6", where="tolerance")
    if not 0 < passes < float("inf"):
        raise InputError("a positive number", f"{passes}", "1", where="passes")


def _check_combination(
    architecture: Any,
    wanted: Sequence[int],
    floor: float | None,
    reg_covar: float,
    closed_form: bool,
    start: AbstractExactModel | None,
    online: bool,
) -> None:
    if closed_form and (not isinstance(architecture, PPCA) or online):
        raise InputError(
            "--model ppca, which has a closed form", f"--model {architecture.name}",
            "leaving out --closed-form", where="closed-form",
        )  # fmt: skip
    if floor and reg_covar:
        raise InputError(
            "a floor or a constant on the diagonal", "both", "one of them", where="reg-covar"
        )
    if start is not None and len(wanted) > 1:
        raise InputError(
            "one number of components with a start", f"{len(wanted)} of them", "one of them",
            where="start",
        )  # fmt: skip
    if isinstance(start, GaussianMixture) and start.num_components != wanted[0]:
        raise InputError(
            f"a start with {wanted[0]} components", f"{start.num_components}",
            f"components={start.num_components}", where="start",
        )  # fmt: skip
