"""A fit whose parameters move batch by batch: the loop around an algorithm, the numbers at its end."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.api.preparing import Keys, Prepared, in_precision, num_epochs, prepared, some_rows
from taut.audit.code_use import code_use
from taut.callbacks.abstract import tell
from taut.core import AbstractPair, Datum, Estimate, as_key, host_seed
from taut.core.devices import on_one
from taut.core.hosts import from_first, num_hosts, told_by_all
from taut.core.provenance import device, versions
from taut.data import Data, empty_rows_note, has_label
from taut.evidence import expected_bound
from taut.evidence.bounded import measure_notes
from taut.evidence.measuring import measure
from taut.fitted import Fit
from taut.fitted.below_columns import below_columns_note
from taut.fitted.class_latent import with_classification
from taut.fitted.facts import ChosenGradient, FitFacts, RowCounts
from taut.fitted.predicting import with_predictor
from taut.fitted.predictor import save_predictor
from taut.fitted.row_totals import total_quantiles
from taut.guides import QuantizedPair
from taut.inference import Refined, departures
from taut.recipe import Recipe, completed
from taut.runs import RunFolder, save_checkpoint
from taut.training import Recorder, TrainingState, start, train
from taut.training.ending import Judges, ending, judges
from taut.training.hiding import hiding_notes
from taut.training.paying import filled_up, paying
from taut.training.resuming import as_begun, begin, fingerprint

__all__ = ["fit_amortized"]

_WORTH_KNOWING = 5.0  # seconds of training, above which devices are compared: compiles once more


class _Trained(NamedTuple):
    """A fit after its last step.

    Attributes:
        pair: parameters with the best validation value, on one device.
        state: of the loop.
        history: what was recorded of each step.
        jury: the validation rows that decided.
        began: seconds of the clock at the first step.
        ended: the same at the last.
        pays: what would have taken less time, in words.
        notes: what else a reader should know.
    """

    pair: AbstractPair
    state: TrainingState
    history: list[dict[str, Any]]
    jury: Judges
    began: float
    ended: float
    pays: tuple[str, ...]
    notes: tuple[str, ...]


def fit_amortized(
    recipe: Recipe,
    data: Data,
    *,
    key: int | PRNGKeyArray,
    out: Path | str | None,
    force: bool,
    resume: bool,
    progress: Callable[[Any], None] | None,
    callbacks: Sequence[Any] = (),
    measured: bool = True,
) -> Fit:
    """Run a recipe whose inference goes over batches; arguments and errors as of `taut.fit`.

    Arguments:
        measured: whether the test rows are looked at; without that the fit has no estimates.
    """
    choices, storage = completed(recipe), recipe.training.storage
    with jax.enable_x64(storage == "float64"):
        keys = Keys(*jax.random.split(as_key(key), len(Keys._fields)))
        ready = prepared(recipe, choices, data, keys)
        drawn = host_seed(as_key(key)) if recipe.seed is None else None
        run, history, state, resumed = begin(
            out, recipe.to_dict(), ready.algorithm, data, force=force, resume=resume, key=drawn
        )
        mark = ""
        if run is not None:
            mark = fingerprint(data, as_begun(recipe.to_dict(), run), key=drawn)
        recorder = _recorder(run, history, mark, progress, callbacks)
        trained = _train(ready, state, history, recorder, resumed)
        test_rows = in_precision(data.test.datum(labelled=False, sparse=True), storage)
        facts = _facts(ready, trained, test_rows)
    result = Fit(
        pair=trained.pair,
        architecture=ready.architecture,
        schema=ready.schema,
        recipe=recipe,
        history=tuple(history),
        facts=facts,
        precision=storage,
    )
    if run is not None:  # measuring takes long, and may be stopped
        result.save_model(run)
        run.write_summary({}, facts.to_dict())
    if not measured:
        return result
    result = with_predictor(_measured(result, ready, trained, test_rows), data)
    if run is not None:
        if result.predictor is not None:
            save_predictor(run.path, result.predictor)
        run.write_summary(result.estimates, result.facts.to_dict())
    return result


def _recorder(
    run: RunFolder | None,
    history: list[dict[str, Any]],
    mark: str,
    progress: Callable[[Any], None] | None,
    callbacks: Sequence[Any],
) -> Recorder:
    """Steps go to the history and the run folder, states to its checkpoints, under the fit's mark."""

    def record(first: int, metrics: dict[str, np.ndarray], validation: Estimate | None) -> None:
        for i in range(len(metrics["bound"])):
            history.append({"step": first + i, **{n: float(v[i]) for n, v in metrics.items()}})
        if validation is not None:
            history[-1]["validation"] = validation.to_dict()
        if run is not None:
            run.append_steps(first, metrics, validation)

    def keep(state: TrainingState) -> None:
        if run is not None:
            run.flush_steps()
            save_checkpoint(run.checkpoints, on_one(state), fingerprint=mark)

    return Recorder(record, progress, keep, partial(tell, callbacks))


def _train(
    ready: Prepared,
    state: TrainingState | None,
    history: list[dict[str, Any]],
    recorder: Recorder,
    resumed: tuple[str, ...],
) -> _Trained:
    """Run the loop, from the state of an earlier run where there is one."""
    if num_hosts() > 1:  # the same on all of them, whatever their processors round
        state = from_first(start(ready.algorithm) if state is None else state)
    validate, jury = _validation(ready)
    began = time.perf_counter()
    with _products(ready.recipe.training.precision):
        state = train(
            ready.algorithm, ready.rows, ready.loop,
            validate=validate, state=state, recorder=recorder,
        )  # fmt: skip
    ended = time.perf_counter()
    pays = filled_up(ready.loop.batch_size)
    if told_by_all(ended - began)[0, 0] > _WORTH_KNOWING:
        pays += paying(ready.algorithm, ready.rows, ready.loop, state.inference)
    _, static = eqx.partition(ready.pair, eqx.is_array)
    pair = eqx.combine(on_one(state.best), static)
    return _Trained(pair, state, history, jury, began, ended, pays, (*resumed, *jury.notes))


def _validation(ready: Prepared) -> tuple[Callable[[Any], Estimate], Judges]:
    """What a pair is worth on the validation rows that decide, and which these are.

    With labels that the model is told, the objective of the labelled ones is part of it.
    """
    inference, bound, gradient, _ = ready.choices
    training, rows = ready.recipe.training, ready.data.validation
    held_out = in_precision(rows.datum(labelled=False, sparse=True), training.storage)
    codes = np.asarray(rows.label if ready.told else np.zeros(0, np.int32))
    at = np.flatnonzero(has_label(codes))
    labelled = jax.tree.map(lambda leaf: leaf[at], held_out), codes[at]

    def judged(moved: Any, rows: Datum) -> Estimate:
        seen = inference.fitted_to(moved, rows, bound, gradient, ready.keys.unseen)
        judge = training.validation_bound or bound
        found = expected_bound(seen, rows, judge, key=ready.keys.validation)
        if not ready.told:
            return found
        return with_classification(found, seen, labelled, ready.label_weight)

    jury = judges(judged(ready.pair, held_out))
    jurors = jax.tree.map(lambda leaf: leaf[jury.positions], held_out)
    return lambda moved: judged(moved, jurors), jury


def _facts(ready: Prepared, trained: _Trained, test_rows: Datum) -> FitFacts:
    """What is known of a fit before it is measured."""
    recipe, data, pair = ready.recipe, ready.data, trained.pair
    inference, bound, gradient, why = ready.choices
    steps, best_step = int(trained.state.step), int(trained.state.best_step)
    ended = ending(
        trained.history, start=trained.jury.start, num_steps=steps, planned=ready.loop.num_steps,
        best_step=best_step, epochs=num_epochs(recipe.training, len(data.train)),
    )  # fmt: skip
    differs = departures(inference, ready.architecture, bound, gradient, best_step)
    objective = (
        differs.get("objective differs from the bound"),
        _hidden_words(ready.hide),
        _told_words(ready.label_weight) if ready.told else "",
    )
    model = pair.bind()[0]
    return FitFacts(
        rows=RowCounts(len(data.train), len(data.validation), len(data.test)),
        steps=steps,
        best_step=best_step,
        training_seconds=trained.ended - trained.began,
        evaluation_seconds=0.0,
        device=device(),
        versions=versions(),
        reasons=ready.reasons,
        gradient=None if gradient is None or why is None else ChosenGradient(gradient.name, why),
        objective_departure="; ".join(filter(None, objective)),
        gradient_departure=differs.get("gradient differs from the bound's", ""),
        code_use=code_use(pair, test_rows).facts if isinstance(pair, QuantizedPair) else None,
        checksum=data.checksum,
        untargeted_checksum=data.untargeted_checksum,
        grey_checksum=data.grey_checksum,
        measure=model.measure,
        ended=ended.how,
        totals=total_quantiles(model, data.train),
        notes=(
            *data.notes,
            *(() if model.measure and model.measure.masked else empty_rows_note(data)),
            *measure_notes(model, data.schema),
            *hiding_notes(recipe.training.hide, ready.architecture, data.schema),
            *trained.notes,
            *ended.notes,
            *trained.pays,
        ),
    )


def _measured(result: Fit, ready: Prepared, trained: _Trained, test_rows: Datum) -> Fit:
    """The fit with estimates from the test rows."""
    inference, bound, gradient, _ = ready.choices
    particles = ready.recipe.evidence.evidence_particles
    with jax.enable_x64(result.precision == "float64"):
        known = some_rows(ready.rows, result.precision)
        seen = inference.fitted_to(trained.pair, test_rows, bound, gradient, ready.keys.unseen)
        refined = Refined(particles)
        climbed = int(trained.state.step) * ready.loop.batch_size * bound.minted
        affordable = refined.within(seen, test_rows, gradients=climbed)
        estimates, method, drawn = measure(
            seen, ready.data, known, test_rows, ready.keys.test, particles,
            refined=partial(refined, seen, key=ready.keys.refined) if affordable else None,
        )  # fmt: skip
    facts, ended = result.facts, result.facts.ended
    facts = replace(
        facts,
        evidence_method=method,
        evaluation_seconds=time.perf_counter() - trained.ended,
        particles=drawn,
        notes=(*facts.notes, *below_columns_note(estimates, ready.architecture, ended=ended)),
    )
    return replace(result, estimates=estimates, facts=facts)


def _products(precision: str) -> contextlib.AbstractContextManager[Any]:
    """Where the matrix products are made in the precision that was asked for."""
    if precision == "bfloat16":
        return jax.default_matmul_precision("bfloat16")
    return contextlib.nullcontext()


def _hidden_words(hide: float) -> str:
    return f"random cells of {hide:.0%} of the rows are hidden in training" if hide else ""


def _told_words(weight: float) -> str:
    return (
        f"{weight:g} N / N_labelled times log q(y | x) is added for labelled rows" if weight else ""
    )
