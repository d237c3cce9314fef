"""A fit whose parameters move batch by batch: the loop around an algorithm, the numbers at its end."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.audit.code_use import code_use
from taut.bounds import AbstractBound
from taut.callbacks.abstract import tell
from taut.core import Datum, Estimate, InputError, as_key, host_seed, option
from taut.core.devices import on_one
from taut.core.hosts import from_first, num_hosts, told_by_all
from taut.core.provenance import device, versions
from taut.data import (
    Data,
    Dataset,
    RowSource,
    Schema,
    StreamedRows,
    has_label,
    steps_per_epoch,
)
from taut.evidence import BASELINE_ROWS, expected_bound
from taut.evidence.bounded import measure_notes
from taut.evidence.measuring import measure
from taut.fitted import Fit
from taut.fitted.below_columns import below_columns_note
from taut.fitted.class_latent import with_classification
from taut.fitted.facts import ChosenGradient, FitFacts, RowCounts
from taut.fitted.predicting import refuse_target, with_predictor
from taut.fitted.predictor import save_predictor
from taut.guides import QuantizedPair
from taut.inference import Problem, Refined, departures
from taut.inference.amortized import averaged
from taut.inference.amortized.check import check_rows, check_step
from taut.recipe import Recipe, completed
from taut.runs import save_checkpoint
from taut.training import (
    Loop,
    Recorder,
    TrainingOptions,
    TrainingState,
    schedule,
    start,
    train,
)
from taut.training.ending import ending, judges
from taut.training.hiding import hidden_at_random, share_hidden
from taut.training.paying import filled_up, paying
from taut.training.resuming import begin, fingerprint

__all__ = ["fit_amortized"]

_DEFAULT_STEPS = 6000  # enough for the bundled data to stop by itself
_DEFAULT_BATCH = 128
_WORTH_KNOWING = 5.0  # seconds of training, above which devices are compared: compiles once more
_MANY_BYTES = 2**28  # of real numbers, above which whole numbers are sent as they are needed
_MANY_SPARSE_BYTES = 2**25  # the same of sparse rows, which are a small part of them
_FEWEST_ROWS = 256  # that stand for all
_SOME_CELLS = 2**21  # of sparse rows that stand for all of them, 8 MiB in float32
_VALIDATION_STEPS = 50  # at least, between two validations


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
    inference, bound, gradient, why = completed(recipe)
    training, storage = recipe.training, recipe.training.storage
    with jax.enable_x64(storage == "float64"):
        architecture, reasons = recipe.model.resolved(data.schema)
        redraw = data.schema.binarize == "dynamic"
        for part, rows in data.parts().items():
            if not (redraw and part == "training"):  # still grey; the model sees binary draws of it
                check_rows(architecture, rows, where=f"{data.schema.name}, {part} rows")
        told = _told(recipe, architecture, bound, data.schema)
        train_rows = _fed(data.train, storage, told=told)
        validation_rows = _datum(data.validation.datum(labelled=False, sparse=True), storage)
        codes = np.asarray(data.validation.label if told else np.zeros(0, np.int32))
        at = np.flatnonzero(has_label(codes))
        held = jax.tree.map(lambda leaf: leaf[at], validation_rows), codes[at]
        example = jax.tree.map(
            lambda leaf: leaf[0], _datum(data.train[:1].datum(labelled=told), storage)
        )
        keys = jax.random.split(as_key(key), 8)
        init_key, train_key, order_key, validation_key, test_key, pair_key, unseen_key = keys[:7]
        loop = _loop(training, len(data.train), host_seed(order_key))

        def rate(peak: float) -> Any:
            return schedule(
                training.learning_rate_schedule, peak, num_steps=loop.num_steps,
                warmup_steps=training.learning_rate_warmup,
            )  # fmt: skip

        refuse_target(architecture, data, recipe)
        hide = share_hidden(training.hide, architecture, data.schema)
        schema = replace(data.schema, holes=data.schema.holes or hide > 0)
        pair = architecture.init(schema, init_key)
        pair = architecture.start(
            pair,
            train_rows if isinstance(train_rows, Datum) else _some(train_rows, storage),
            schema=data.schema,
        )
        pair = inference.pair(pair, jax.device_put(_numbers(data.train)), pair_key)
        if gradient is not None:
            check_step(pair, bound, gradient, example)
        algorithm = inference.algorithm(
            Problem(
                architecture, pair, bound, gradient,
                training.transformation(rate(training.learning_rate)), example,
                train_key, _prepare(redraw=redraw, hide=hide),
                lambda number: _datum(data.train.sample(number).datum(labelled=told), storage),
                lambda peak: replace(training, optimizer="adam").transformation(rate(peak)),
            )
        )  # fmt: skip
        algorithm = averaged(algorithm, training.ema) if training.ema else algorithm
        drawn = host_seed(as_key(key)) if recipe.seed is None else None
        run, history, state, resumed = begin(
            out, recipe.to_dict(), algorithm, data, force=force, resume=resume, key=drawn
        )
        if num_hosts() > 1:  # the same on all of them, whatever their processors round
            state = from_first(start(algorithm) if state is None else state)

        mark = "" if run is None else fingerprint(data, recipe.to_dict(), key=drawn)

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

        def judged(moved: Any, rows: Datum) -> Estimate:
            seen = inference.fitted_to(moved, rows, bound, gradient, unseen_key)
            found = expected_bound(
                seen, rows, training.validation_bound or bound, key=validation_key
            )
            weight = getattr(architecture, "label_alpha", 0.0)
            return with_classification(found, seen, held, weight) if told else found

        jury = judges(judged(pair, validation_rows))
        jurors = jax.tree.map(lambda leaf: leaf[jury.positions], validation_rows)
        del validation_rows  # and the test rows are made when they are measured

        def validate(moved: Any) -> Estimate:
            return judged(moved, jurors)

        started = time.perf_counter()
        with _products(training.precision):
            state = train(
                algorithm, train_rows, loop,
                validate=validate, state=state,
                recorder=Recorder(record, progress, keep, partial(tell, callbacks)),
            )  # fmt: skip
        trained = time.perf_counter()
        pays = filled_up(loop.batch_size)
        if told_by_all(trained - started)[0, 0] > _WORTH_KNOWING:
            pays += paying(algorithm, train_rows, loop, state.inference)
        _, static = eqx.partition(pair, eqx.is_array)
        pair = eqx.combine(on_one(state.best), static)
        about_measure = measure_notes(pair.bind()[0], data.schema)
        test_rows = _datum(data.test.datum(labelled=False, sparse=True), storage)

    steps = int(state.step)
    ended = ending(
        history, start=jury.start, num_steps=steps, planned=loop.num_steps,
        best_step=int(state.best_step), epochs=_epochs(training, len(data.train)),
    )  # fmt: skip
    differs = departures(inference, architecture, bound, gradient, int(state.best_step))
    facts = FitFacts(
        rows=RowCounts(len(data.train), len(data.validation), len(data.test)),
        steps=steps,
        best_step=int(state.best_step),
        training_seconds=trained - started,
        evaluation_seconds=0.0,
        device=device(),
        versions=versions(),
        reasons=reasons,
        gradient=None if gradient is None or why is None else ChosenGradient(gradient.name, why),
        objective_departure="; ".join(
            filter(
                None,
                (
                    differs.get("objective differs from the bound"),
                    _hidden_words(hide),
                    _told_words(architecture) if told else "",
                ),
            )
        ),
        gradient_departure=differs.get("gradient differs from the bound's", ""),
        code_use=code_use(pair, test_rows).facts if isinstance(pair, QuantizedPair) else None,
        checksum=data.checksum,
        untargeted_checksum=data.untargeted_checksum,
        measure=pair.bind()[0].measure,
        ended=ended.how,
        notes=(
            *data.notes,
            *about_measure,
            *resumed,
            *jury.notes,
            *ended.notes,
            *pays,
        ),
    )
    result = Fit(
        pair=pair,
        architecture=architecture,
        schema=schema,
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
    particles = recipe.evidence.evidence_particles
    with jax.enable_x64(storage == "float64"):
        if not isinstance(train_rows, Datum):
            train_rows = _some(train_rows, storage)
        seen = inference.fitted_to(pair, test_rows, bound, gradient, unseen_key)
        refined = Refined(particles)
        climbed = steps * loop.batch_size * bound.minted
        affordable = refined.within(seen, test_rows, gradients=climbed)
        estimates, method = measure(
            seen, data, train_rows, test_rows, test_key, particles,
            refined=partial(refined, seen, key=keys[7]) if affordable else None,
        )  # fmt: skip
    facts = replace(
        facts,
        evidence_method=method,
        evaluation_seconds=time.perf_counter() - trained,
        particles=None if estimates["log_evidence"].side == "exact" else particles,
        notes=(*facts.notes, *below_columns_note(estimates, architecture, ended=ended.how)),
    )
    result = with_predictor(replace(result, estimates=estimates, facts=facts), data)
    if run is not None:
        if result.predictor is not None:
            save_predictor(run.path, result.predictor)
        run.write_summary(result.estimates, result.facts.to_dict())
    return result


def _loop(training: TrainingOptions, num_rows: int, seed: int) -> Loop:
    """Length and events of the loop, where they are left open by the number of training rows."""
    batch, per_epoch = _batches(training, num_rows)
    return Loop(
        num_steps=_epochs(training, num_rows) * per_epoch,
        batch_size=batch,
        seed=seed,
        validate_every=training.validate_every
        or per_epoch * math.ceil(_VALIDATION_STEPS / per_epoch),
        patience=training.patience,
        plateau=training.plateau,
        checkpoint_every=training.checkpoint_every,
    )


def _batches(training: TrainingOptions, num_rows: int) -> tuple[int, int]:
    """Rows of a batch, and batches of an epoch."""
    batch = min(_DEFAULT_BATCH, num_rows) if training.batch_size is None else training.batch_size
    return batch, steps_per_epoch(num_rows, batch)


def _epochs(training: TrainingOptions, num_rows: int) -> int:
    _, per_epoch = _batches(training, num_rows)
    return training.epochs or max(1, math.ceil(_DEFAULT_STEPS / per_epoch))


def _numbers(rows: RowSource) -> np.ndarray:
    """The rows' numbers in their source."""
    return rows.numbers(np.arange(len(rows)))


def _fed(rows: RowSource, precision: str, *, told: bool) -> Datum | RowSource:
    """Training rows on the device, or where they come from step by step: disk, or many whole numbers."""
    if isinstance(rows, StreamedRows):
        return replace(rows, dtype=precision)
    assert isinstance(rows, Dataset)
    most = _MANY_SPARSE_BYTES if rows.sparse else _MANY_BYTES
    many = rows.coded and len(rows) * rows.row_bytes > most
    if many and not told and rows.schema.dtype == precision:
        return rows
    return _datum(rows.datum(labelled=told), precision)


def _datum(rows: Datum, precision: str) -> Datum:
    """Observations in the precision of the run."""
    x = rows.x.astype(precision, copy=False)
    return Datum(x, rows.mask, rows.label, rows.index, rows.weight)


def _some(rows: RowSource, precision: str) -> Datum:
    """Rows that stand for all of them."""
    number = BASELINE_ROWS
    if isinstance(rows, Dataset) and rows.sparse:
        number = min(number, max(_SOME_CELLS // rows.schema.size, _FEWEST_ROWS))
    return _datum(rows.sample(number).datum(labelled=False), precision)


def _products(precision: str) -> contextlib.AbstractContextManager[Any]:
    """Where the matrix products are made in the precision that was asked for."""
    if precision == "bfloat16":
        return jax.default_matmul_precision("bfloat16")
    return contextlib.nullcontext()


def _told(
    recipe: Recipe, model: AbstractArchitecture, bound: AbstractBound, schema: Schema
) -> bool:
    """Whether the model is told the classes of labelled rows.

    Raises:
        InputError: a bound or an inference that takes none.
    """
    beside = schema.target is not None and schema.place_of_target is None
    if not (model.learns_classes and beside and schema.classes is not None):
        return False
    for name, value, only in (
        ("bound", bound.name, "elbo"), ("inference", recipe.inference.name, "joint"),
    ):  # fmt: skip
        if value != only:
            raise InputError(
                f"{option(name, only)}, where the target is the class of {option('model', model.name)}",
                option(name, value), option("model", "vae"), where=option("target"),
            )  # fmt: skip
    return True


def _hidden_words(hide: float) -> str:
    return f"random cells of {hide:.0%} of the rows are hidden in training" if hide else ""


def _told_words(model: Any) -> str:
    weighed = f"{model.label_alpha:g} N / N_labelled times log q(y | x) is added for labelled rows"
    return weighed if model.label_alpha else ""


def _prepare(*, redraw: bool, hide: float) -> Callable[[Datum, PRNGKeyArray], Datum] | None:
    """From a stored row to what the model sees of it this time; None for the row itself."""
    if not hide:
        return _redrawn if redraw else None

    def seen(datum: Datum, key: PRNGKeyArray) -> Datum:
        draw_key, hide_key = jax.random.split(key)
        row = _redrawn(datum, draw_key) if redraw else datum
        return hidden_at_random(row, hide_key, share=hide)

    return seen


def _redrawn(datum: Datum, key: PRNGKeyArray) -> Datum:
    """Dynamic binarization: grey values as probabilities of a new binary image."""
    x = jax.random.bernoulli(key, datum.x).astype(datum.x.dtype)
    return Datum(x, datum.mask, datum.label, datum.index, datum.weight)
