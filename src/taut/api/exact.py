"""A fit of a model whose posterior is exact: by EM, with the number of components chosen where asked.

The evidence of every model here is in closed form, and what is reported of it is exact; but where the
floor decides the density, which without it would have no bound, the number is said to have none.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import PRNGKeyArray

from taut.api.exact_notes import exact_notes
from taut.architectures import LCA
from taut.callbacks.abstract import tell
from taut.core import NOTHING, InputError, Measure, as_key, host_seed, option, refuse_unheard
from taut.core.provenance import device, versions
from taut.data import Data
from taut.data.checksum import checksum_of_arrays
from taut.fitted import Fit
from taut.fitted.below_columns import below_columns_note
from taut.fitted.facts import EMFacts, FitFacts, HeldApart, RowCounts, SelectionPoint
from taut.fitted.predicting import with_predictor
from taut.fitted.refused_targets import refuse_target
from taut.guides import ExactPair
from taut.inference import AbstractExact
from taut.inference.amortized.check import check_rows
from taut.inference.exact.candidate import Candidate, judged_rows
from taut.inference.exact.selection import (
    Selected,
    check_numbers,
    check_selection,
    component_numbers,
    select_components,
)
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel
from taut.recipe import Recipe
from taut.runs import KeptStages, RunFolder
from taut.training import TrainingOptions
from taut.training.interrupts import deferred_interrupt
from taut.training.resuming import RESUMED, as_begun, begun_run, discarded, fingerprint

__all__ = ["EMProgress", "fit_exact"]


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


def fit_exact(
    recipe: Recipe,
    data: Data,
    *,
    key: int | PRNGKeyArray,
    out: Path | str | None,
    force: bool,
    resume: bool,
    progress: Callable[[EMProgress], None] | None,
    callbacks: Sequence[Any] = (),
    start: AbstractExactModel | None = None,
) -> Fit:
    """Run a recipe whose inference is EM, in float64; arguments and errors as of `taut.fit`.

    Arguments:
        start: model to start from instead of random ones.
    """
    inference: Any = recipe.inference
    assert isinstance(inference, AbstractExact)  # as the caller has it
    model: Any = recipe.model
    inference.check(model, recipe.bound, recipe.gradient)
    _refuse_steps(recipe)
    wanted = component_numbers(inference.candidates, model.components)
    check_selection(wanted, inference.select, start)
    began = time.perf_counter()
    if data.schema.binarize == "dynamic":
        raise InputError(
            "rows that stay as they are", option("binarize", "dynamic"), option("binarize", "static"),
            where="binarize",
        )  # fmt: skip
    model = _with_codes(model, data)
    for part, rows in data.parts().items():
        check_rows(model, rows, where=f"{data.schema.name}, {part} rows")
    refuse_target(model, data, recipe)

    def report(number: int, restart: int, iteration: int, value: float) -> None:
        if progress:
            progress(EMProgress(number, restart, iteration, value))
        told = {"bound": value, "components": number, "start": restart}
        tell(callbacks, iteration, {name: np.asarray([v]) for name, v in told.items()}, None)

    regularized = bool(inference.floor or inference.reg_covar)
    check_numbers(wanted, model, data, regularized=regularized)
    seed = host_seed(as_key(key))
    run = begun_run(out, recipe.to_dict(), force=force, resume=resume)
    with discarded(None if resume else run):
        with _stages(run, recipe, data, seed, start) as stages:
            selected = select_components(
                inference, model, wanted, data,
                seed=seed, select=inference.select, start=start, report=report, stages=stages,
            )  # fmt: skip
        notes = (*stages.notes, RESUMED) if resume else ()
        result = with_predictor(_result(recipe, data, selected, began, notes), data)
        if run is not None:
            result.save_results(run)
            run.drop_checkpoints()
    return result


def _refuse_steps(recipe: Recipe) -> None:
    """Refuse options of training by steps, of which EM takes none, and a precision that is not its own.

    Raises:
        InputError: names the option.
    """
    usual, asked = vars(TrainingOptions()), vars(recipe.training)
    if asked["precision"] == "float64":
        asked = {**asked, "precision": usual["precision"]}
    changed = {n: v for n, v in asked.items() if n != "head" and v != usual[n]}
    refuse_unheard(changed, "a fit by gradient steps", option("inference", recipe.inference.name))


@contextlib.contextmanager
def _stages(
    run: RunFolder | None,
    recipe: Recipe,
    data: Data,
    seed: int,
    start: AbstractExactModel | None,
) -> Iterator[AbstractStages]:
    """The stages of a run, at whose steps Ctrl-C stops it; of none without a folder."""
    if run is None:
        yield UNKEPT
        return
    arrays = {} if start is None else {keystr(p): a for p, a in tree_flatten_with_path(start)[0]}
    settings = {
        **as_begun(recipe.to_dict(), run),
        "key": seed,
        "start": checksum_of_arrays(arrays, exact=True),
    }
    with deferred_interrupt() as interrupt:
        yield KeptStages(
            run.checkpoints,
            fingerprint=fingerprint(data, settings),
            stop=lambda: interrupt.made,
        )


def _result(
    recipe: Recipe, data: Data, selected: Selected, began: float, notes: tuple[str, ...]
) -> Fit:
    """The candidate that is kept, measured on the test rows."""
    best, candidates, _ = selected
    fitted = time.perf_counter()
    course, several = best.course, len(candidates) > 1
    log_evidence, columns = judged_rows(best.model, data, data.test, held=bool(course.held))
    estimates = {"log_evidence": log_evidence, "independent_columns": columns}
    inference: Any = recipe.inference
    facts = FitFacts(
        rows=RowCounts(len(data.train), len(data.validation), len(data.test)),
        steps=course.steps,
        best_step=course.steps,
        training_seconds=fitted - began,
        evaluation_seconds=time.perf_counter() - fitted,
        device=device(),
        versions=versions(),
        em=EMFacts(
            components=best.architecture.components,
            free_parameters=best.model.num_parameters,
            bic=best.bic,
            converged=course.converged,
            starts=course.ends,
            held_apart=tuple(
                HeldApart(one.component, one.row, one.rows, one.directions) for one in course.held
            ),
            start_rows=course.start_rows,
            chosen_by=inference.select if several else None,
            selection=tuple(map(_point, candidates)) if several else (),
        ),
        checksum=data.checksum,
        untargeted_checksum=data.untargeted_checksum,
        grey_checksum=data.grey_checksum,
        measure=_measure(best.model, data.schema.size),
        notes=(
            *data.notes,
            *notes,
            *exact_notes(selected, data),
            *below_columns_note(estimates, best.architecture),
        ),
    )
    return Fit(
        pair=ExactPair(best.model),
        architecture=best.architecture,
        schema=data.schema,
        recipe=recipe,
        history=best.history,
        estimates=estimates,
        facts=facts,
        precision="float64",
    )


def _measure(model: AbstractExactModel, size: int) -> Measure | None:
    """The model's own, without the cells that are constant over the training rows and left out."""
    constants, own = dict(getattr(model, "constants", ())), model.measure
    if own is None or not constants:
        return own
    (kind,) = own.kinds
    return Measure(tuple(NOTHING if cell in constants else kind for cell in range(size)))


def _point(candidate: Candidate) -> SelectionPoint:
    """One point of the selection curve."""
    return SelectionPoint(
        components=candidate.architecture.components,
        validation=candidate.validation.value,
        validation_error=candidate.validation.data_error,
        training=candidate.train,
        bic=candidate.bic,
        free_parameters=candidate.model.num_parameters,
    )


def _with_codes(architecture: Any, data: Data) -> Any:
    """A latent class model with the values that each column has, in any part of the data."""
    if not isinstance(architecture, LCA):
        return architecture
    columns = {column.kind for column in data.schema.kinds or ()}
    if data.schema.support in ("real", "unit") or columns & {"real", "positive"}:
        return replace(architecture, levels=2)  # `check` refuses the rows in words of their own
    rows = (part.x for source in data.parts().values() for part in source.parts())
    return architecture.with_codes(data.schema, map(np.asarray, rows)).resolved(data.schema)[0]
