"""From a recipe and data to a problem and its loop: all that is settled before the first step."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError, host_seed, option
from taut.data import Data, Dataset, RowSource, Schema, StreamedRows, steps_per_epoch
from taut.evidence import BASELINE_ROWS
from taut.fitted.refused_targets import refuse_target
from taut.inference import Algorithm, Problem
from taut.inference.amortized import averaged
from taut.inference.amortized.check import check_rows, check_step
from taut.recipe import Recipe
from taut.recipe.completed import Completed
from taut.training import Loop, TrainingOptions, schedule
from taut.training.hiding import hidden_at_random, share_hidden

__all__ = ["Keys", "Prepared", "in_precision", "num_epochs", "prepared", "some_rows"]

_DEFAULT_STEPS = 6000  # enough for the bundled data to stop by itself
_DEFAULT_BATCH = 128
_VALIDATION_STEPS = 50  # at least, between two validations
_MANY_BYTES = 2**28  # of real numbers, above which whole numbers are sent as they are needed
_MANY_SPARSE_BYTES = 2**25  # the same of sparse rows, which are a small part of them
_FEWEST_ROWS = 256  # that stand for all
_SOME_CELLS = 2**21  # of sparse rows that stand for all of them, 8 MiB in float32


class Keys(NamedTuple):
    """Random keys of a fit, one for each use."""

    start: PRNGKeyArray
    train: PRNGKeyArray
    order: PRNGKeyArray
    validation: PRNGKeyArray
    test: PRNGKeyArray
    guide: PRNGKeyArray
    unseen: PRNGKeyArray
    refined: PRNGKeyArray


class Prepared(NamedTuple):
    """A fit before its first step.

    Attributes:
        recipe: what was asked for.
        choices: its inference, bound and gradient, with nothing left open.
        data: what is fitted.
        keys: random keys.
        architecture: with the choices that follow from the data.
        reasons: of these, by their names.
        schema: of the rows as the model sees them: with holes, where cells are hidden at random.
        rows: training rows, on the device or where they come from step by step.
        told: whether the model is told the classes of labelled rows.
        hide: share of the training rows of which cells are hidden.
        pair: initial parameters.
        algorithm: what moves them.
        loop: how long, and when to look.
    """

    recipe: Recipe
    choices: Completed
    data: Data
    keys: Keys
    architecture: AbstractArchitecture
    reasons: dict[str, str]
    schema: Schema
    rows: Datum | RowSource
    told: bool
    hide: float
    pair: AbstractPair
    algorithm: Algorithm
    loop: Loop

    @property
    def label_weight(self) -> float:
        """Of the classification term of labelled rows, times N / N_labelled."""
        return getattr(self.architecture, "label_alpha", 0.0)


def prepared(recipe: Recipe, choices: Completed, data: Data, keys: Keys) -> Prepared:
    """Make all that a fit needs before its first step.

    Raises:
        InputError: rows that the model has no density for, a target that nothing can be learned of, or
            choices that do not go together on these data.
    """
    inference, bound, gradient, _ = choices
    training, storage = recipe.training, recipe.training.storage
    architecture, reasons = recipe.model.resolved(data.schema)
    redraw = data.schema.binarize == "dynamic"
    for part, rows in data.parts().items():
        if not (redraw and part == "training"):  # still grey; the model sees binary draws of it
            check_rows(architecture, rows, where=f"{data.schema.name}, {part} rows")
    told = _told(recipe, architecture, bound, data.schema)
    train_rows = _fed(data.train, storage, told=told)

    def stored(rows: Dataset) -> Datum:
        return in_precision(rows.datum(labelled=told), storage)

    example = jax.tree.map(lambda leaf: leaf[0], stored(data.train[:1]))
    loop = _loop(training, len(data.train), host_seed(keys.order))
    refuse_target(architecture, data, recipe)
    hide = share_hidden(training.hide, architecture, data.schema)
    schema = replace(data.schema, holes=data.schema.holes or hide > 0)
    pair = architecture.start(
        architecture.init(schema, keys.start), some_rows(train_rows, storage), schema=data.schema
    )
    numbers = data.train.numbers(np.arange(len(data.train)))
    pair = inference.pair(pair, jax.device_put(numbers), keys.guide)
    if gradient is not None:
        check_step(pair, bound, gradient, example)

    def rate(peak: float) -> Any:
        return schedule(
            training.learning_rate_schedule, peak, num_steps=loop.num_steps,
            warmup_steps=training.learning_rate_warmup,
        )  # fmt: skip

    algorithm = inference.algorithm(
        Problem(
            architecture, pair, bound, gradient,
            training.transformation(rate(training.learning_rate)), example, keys.train,
            _seen(redraw=redraw, hide=hide),
            lambda number: stored(data.train.sample(number)),
            lambda peak: replace(training, optimizer="adam").transformation(rate(peak)),
        )
    )  # fmt: skip
    algorithm = averaged(algorithm, training.ema) if training.ema else algorithm
    return Prepared(
        recipe, choices, data, keys, architecture, reasons, schema, train_rows, told, hide, pair,
        algorithm, loop,
    )  # fmt: skip


def in_precision(rows: Datum, precision: str) -> Datum:
    """Observations in the precision of the run."""
    x = rows.x.astype(precision, copy=False)
    return Datum(x, rows.mask, rows.label, rows.index, rows.weight)


def some_rows(rows: Datum | RowSource, precision: str) -> Datum:
    """Rows that stand for all of them: all, where they are on the device."""
    if isinstance(rows, Datum):
        return rows
    number = BASELINE_ROWS
    if isinstance(rows, Dataset) and rows.sparse:
        number = min(number, max(_SOME_CELLS // rows.schema.size, _FEWEST_ROWS))
    return in_precision(rows.sample(number).datum(labelled=False), precision)


def num_epochs(training: TrainingOptions, num_rows: int) -> int:
    """Passes over the training rows that are planned."""
    _, per_epoch = _batches(training, num_rows)
    return training.epochs or max(1, math.ceil(_DEFAULT_STEPS / per_epoch))


def _loop(training: TrainingOptions, num_rows: int, seed: int) -> Loop:
    """Length and events of the loop, where they are left open by the number of training rows."""
    batch, per_epoch = _batches(training, num_rows)
    return Loop(
        num_steps=num_epochs(training, num_rows) * per_epoch,
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


def _fed(rows: RowSource, precision: str, *, told: bool) -> Datum | RowSource:
    """Training rows on the device, or where they come from step by step: disk, or many whole numbers."""
    if isinstance(rows, StreamedRows):
        return replace(rows, dtype=precision)
    assert isinstance(rows, Dataset)
    most = _MANY_SPARSE_BYTES if rows.sparse else _MANY_BYTES
    many = rows.coded and len(rows) * rows.row_bytes > most
    if many and not told and rows.schema.dtype == precision:
        return rows
    return in_precision(rows.datum(labelled=told), precision)


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


def _seen(*, redraw: bool, hide: float) -> Callable[[Datum, PRNGKeyArray], Datum] | None:
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
