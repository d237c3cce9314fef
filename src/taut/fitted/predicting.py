"""Prediction of a fit's target: what learns from the labelled rows, and what predicts other rows.

    training rows      parameters of a head on the latent features, where the target is a label
    validation rows    its penalty and its temperature; of a column, and of a class of the model, the
                       temperature alone
    test rows          accuracy, NLL and ECE; of numbers RMSE, NLL and coverage

each of them those with a target alone; the model has seen all training rows, and so has a head that
spreads classes along neighbours.
"""

import math
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import (
    Datum,
    Estimate,
    InputError,
    as_key,
    check_count,
    option,
    refuse_unheard,
)
from taut.data import BOOLEAN, Data, Dataset, Schema, target_of
from taut.data.targets import known_targets
from taut.fitted.cell_quantiles import cell_quantiles
from taut.fitted.class_head import class_head, spread_labels
from taut.fitted.class_latent import ClassLatent, class_logits
from taut.fitted.conditional import Conditional, hidden, joint_evidences
from taut.fitted.filling import filled
from taut.fitted.given_rows import as_array, as_dataset, as_drawn, mask_of, some
from taut.fitted.heads import (
    RidgeHead,
    best_temperature,
    log_softmax,
    ridge_head,
)
from taut.fitted.prediction import (
    INTERVAL,
    ClassPrediction,
    NumberPrediction,
    class_scores,
    number_scores,
)
from taut.fitted.predictor import Predictor
from taut.fitted.propagation import PropagatedHead
from taut.fitted.stacked import StackedHead, stack_gain, stacked_head
from taut.models import AbstractExactModel

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = [
    "NUM_PARTICLES",
    "measured_again",
    "predict",
    "prediction_scores",
    "with_predictor",
]

NUM_PARTICLES = 200
"""Draws of the latents for each row and class."""

_DRAWS = 400  # that the ends of an interval are quantiles of, where the model is not exact


def with_predictor(fit: "Fit", data: Data) -> "Fit":
    """The fit with what predicts its target, and how good that is on test rows; as it is without one.

    Arguments:
        fit: of data that `taut.fitted.refused_targets.refuse_target` has not refused.
        data: what it was fitted to.
    """
    name = fit.schema.target
    if name is None:
        return fit
    (at, label), (held_at, held_label) = known_targets(data.train), known_targets(data.validation)
    train, held = data.train[at], data.validation[held_at]
    fit = replace(fit, predictor=_learned(fit, data, train, label, held, held_label))
    notes = [_counted_rows(data)]
    absent = [c for code, c in enumerate(fit.schema.classes or ()) if code not in label]
    if absent:
        shown = ", ".join(f"'{c}'" for c in absent[:5])
        notes.append(f"no labelled training row is {shown}: nothing is known of the class")
    if isinstance(fit.predictor, PropagatedHead) and fit.recipe.training.head == "auto":
        notes.append(
            "classes are spread along neighbours among the latent features: held-out labels are more "
            "probable so than by regression"
        )
    if not len(held):
        notes.append("no validation row has a target: probabilities are not calibrated")
    if isinstance(fit.predictor, StackedHead):
        rows, precise = data.test.datum(), fit.precision == "float64"
        gain = stack_gain(fit.pair, fit.predictor, rows, precise=precise)
        error = f"± {gain.data_error:.2f} over rows"
        notes.append(f"the bound of the stack is the ELBO {gain.value:+.2f} nats per row ({error})")
    facts = replace(fit.facts, notes=(*fit.facts.notes, *notes))
    return replace(_tested(fit, data), facts=facts)


def measured_again(fit: "Fit", data: Data) -> "Fit":
    """A fit that kept its encoder and predictor as its model changed, with what that moves.

    The temperature of a conditional is learned again, from validation rows; a head's features are what
    they were. Estimates have how good predictions are, on test rows; as it is without a predictor.

    Arguments:
        fit: with a predictor, or without one.
        data: what it was fitted to.
    """
    if fit.predictor is None:
        return fit
    if isinstance(fit.predictor, Conditional):
        at, label = known_targets(data.validation)
        fit = replace(fit, predictor=_calibrated(fit, Conditional, data.validation[at], label))
    notes = dict.fromkeys((*fit.facts.notes, _counted_rows(data)))
    return replace(_tested(fit, data), facts=replace(fit.facts, notes=tuple(notes)))


def _tested(fit: "Fit", data: Data) -> "Fit":
    """With how good predictions of the test rows are, where some have a target."""
    tested = len(known_targets(data.test)[0])
    scores = prediction_scores(fit, data.test, predict(fit, data.test)) if tested else {}
    return replace(fit, estimates={**fit.estimates, **scores})


def _counted_rows(data: Data) -> str:
    """How many rows have a target, in words."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = ", ".join(f"{len(known_targets(rows)[0])} {part}" for part, rows in parts.items())
    return f"rows with a value of the target '{data.schema.target}': {counts}"


def predict(
    fit: "Fit",
    rows: Any,
    *,
    num_particles: int | None = None,
    key: Any = 0,
    unseen: str = "refuse",
) -> ClassPrediction | NumberPrediction:
    """The target of rows, from their latent features or given their other columns.

    Arguments:
        fit: one with a target.
        rows: as `Fit` takes them; what they have in the column of the target is not looked at.
        num_particles: draws of the latents for each row and class, where the target is a column of a
            model that is not exact; None for 200.
        key: whole number or random key of these draws.
        unseen: what to do about categories in a data frame that the fit has not seen: `refuse` them, or
            read them as `missing`.

    Raises:
        InputError: a fit without a target; rows of another form; an option without a use.
    """
    target, predictor = fit.schema.target, fit.predictor
    if target is None or predictor is None:
        raise InputError(
            "a fit with a target", "one without",
            f"fitting again with {option('target')}, the column to predict", where="predict",
        )  # fmt: skip
    if not isinstance(predictor, Conditional) or isinstance(fit.model, AbstractExactModel):
        refuse_unheard(
            {"num_particles": num_particles},
            "a target that is a column of a model whose latents are drawn",
            "one that is predicted without draws",
        )  # fmt: skip
    num_particles = NUM_PARTICLES if num_particles is None else num_particles
    where, remedy = option("num_particles"), option("num_particles", NUM_PARTICLES)
    num_particles = check_count(num_particles, "at least one particle", remedy, where=where)
    rows = _given(fit, rows, unseen)
    if isinstance(predictor, RidgeHead):
        mean = predictor.means(_features(fit, rows))
        deviation = np.full(len(mean), float(predictor.deviation))
        half = NormalDist().inv_cdf((1 + INTERVAL) / 2) * deviation
        return NumberPrediction(target, mean, deviation, mean - half, mean + half, rows.unseen)
    if fit.schema.class_names is not None:
        logits = _logits(fit, predictor, rows, num_particles, as_key(key))
        found = np.exp(log_softmax(logits / predictor.temperature))
        boolean = fit.schema.class_words == BOOLEAN
        return ClassPrediction(target, fit.schema.class_names, found, rows.unseen, boolean)
    place = fit.schema.place_of_target or 0
    parts = _numbers(fit, hidden(rows.datum(), place), place, num_particles, as_key(key))
    mean, deviation, low, high = (np.asarray(part, np.float64) for part in parts)
    return NumberPrediction(target, mean, deviation, low, high, rows.unseen)


def prediction_scores(
    fit: "Fit",
    rows: Dataset,
    found: ClassPrediction | NumberPrediction,
    *,
    num_particles: int | None = None,
    key: Any = 0,
) -> dict[str, Estimate]:
    """How good predictions are on the rows that have a target, by name; of none where none has.

    Arguments:
        fit: that predicted.
        rows: with and without a target.
        found: what was predicted of each of them.
        num_particles: as of `predict`; of the density of numbers.
        key: as of `predict`.
    """
    at, label = known_targets(rows)
    if not len(at):
        return {}
    known, found = rows[at], found.select(at)
    exact = isinstance(fit.model, AbstractExactModel)
    drawn = isinstance(fit.predictor, Conditional) and not exact
    if isinstance(found, ClassPrediction):
        return class_scores(found.probabilities, label, index=known.index, drawn=drawn)
    if isinstance(fit.predictor, Conditional):
        values = np.stack([label, np.full(len(label), np.nan)], axis=1)
        number = NUM_PARTICLES if num_particles is None else num_particles
        both, alone = _joint(fit, known, values, number, as_key(key)).T
        nll = alone - both
    else:
        u = (label - found.mean) / found.deviation
        nll = 0.5 * (u**2 + math.log(2 * math.pi)) + np.log(found.deviation)
    unit = dates.unit if (dates := fit.schema.dates_of_target) else ""
    return number_scores(found, label, nll, index=known.index, drawn=drawn, unit=unit)


def _learned(
    fit: "Fit", data: Data, train: Dataset, label: Any, held: Dataset, held_label: Any
) -> Predictor:
    """What predicts the target, learned from rows that have one."""
    classes = fit.schema.classes
    column = fit.schema.place_of_target is not None
    if column or (classes is not None and fit.architecture.learns_classes):
        return _calibrated(fit, Conditional if column else ClassLatent, held, held_label)
    known: Any = data.train, data.validation
    judged = _features(fit, held), held_label
    if classes is None:
        return ridge_head(_features(fit, train), label.astype(np.float64), judged)
    features, codes = _features(fit, known[0]), np.asarray(target_of(known[0]))
    if not len(held):
        judged = features[:0], held_label
    if fit.recipe.training.head != "mixture-vae":
        return class_head(features, codes, judged, len(classes), name=fit.recipe.training.head)
    rows: Any = [
        _in_precision(as_drawn(part, fit).datum(labelled=False), fit.precision) for part in known
    ]
    told = spread_labels(features, codes, judged, len(classes))
    head = stacked_head(
        fit.pair, (rows[0], rows[1]), (told, known[1].label), len(classes), fit.recipe.training,
        num_steps=max(1, fit.facts.steps), key=fit.recipe.seed or 0,
    )  # fmt: skip
    if not len(held):
        return head
    return head._replace(temperature=best_temperature(head.logits(judged[0]), held_label))


def _calibrated(
    fit: "Fit", kind: type[Conditional | ClassLatent], held: Dataset, held_label: Any
) -> Conditional | ClassLatent:
    """The model itself as what predicts, with the temperature of held-out rows; 1 of numbers."""
    one = np.asarray(1.0)
    if fit.schema.classes is None or not len(held):
        return kind(one)
    logits = _logits(fit, kind(one), held, NUM_PARTICLES, as_key(0))
    return kind(best_temperature(logits, held_label))


def _numbers(
    fit: "Fit", rows: Datum, place: int, num_particles: int, key: PRNGKeyArray
) -> tuple[np.ndarray, ...]:
    """Mean, deviation and the ends of the interval of a cell that no row has, (N,) each."""
    levels = ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2)
    with jax.enable_x64(fit.precision == "float64"):
        if isinstance(fit.model, AbstractExactModel):
            found = filled(fit, rows, draws=0, num_particles=None, key=key)
            ends = cell_quantiles(fit.model, rows, place, levels)
        else:
            found = filled(
                fit, rows, draws=_DRAWS, num_particles=max(num_particles, _DRAWS), key=key,
                left_out=jnp.arange(fit.schema.size) == place,
            )  # fmt: skip
            drawn = found.draws[..., place]
            ends = np.quantile(drawn, levels, axis=0, method="inverted_cdf")
    return found.mean[:, place], found.deviation[:, place], *ends


def _logits(
    fit: "Fit", predictor: Any, rows: Dataset, num_particles: int, key: PRNGKeyArray
) -> np.ndarray:
    """Log-probabilities of the classes but for a constant, (N, C)."""
    if isinstance(predictor, ClassLatent):
        with jax.enable_x64(fit.precision == "float64"):
            known = rows.datum(labelled=False)
            return class_logits(fit.serving(known, key)[0], known)
    if not isinstance(predictor, Conditional):
        return predictor.logits(_features(fit, rows))
    schema, place = fit.schema, fit.schema.place_of_target
    coded = schema.kinds is not None and place is not None and schema.kinds[place].names
    values = range(len(schema.classes or ())) if coded else map(float, schema.classes or ())
    return _joint(fit, rows, np.asarray(list(values), np.float64), num_particles, key)


def _joint(
    fit: "Fit", rows: Dataset, values: np.ndarray, num_particles: int, key: PRNGKeyArray
) -> np.ndarray:
    """log p(x_o, y = v), (N, V), in float64."""
    place = fit.schema.place_of_target
    assert place is not None  # the target is a column
    known = hidden(rows.datum(), place)
    with jax.enable_x64(fit.precision == "float64"):
        pair, draw_key = fit.serving(known, key)
        found = joint_evidences(
            pair, known, values, place, num_particles=num_particles, key=draw_key
        )  # fmt: skip
    return np.asarray(found, np.float64)


def _in_precision(rows: Datum, precision: str) -> Datum:
    return Datum(np.asarray(rows.x, precision), rows.mask, None, rows.index)


def _given(fit: "Fit", rows: Any, unseen: str) -> Dataset:
    """Rows of any form as a data set."""
    framed = hasattr(rows, "columns") and not isinstance(rows, Dataset)
    if not framed and unseen != "refuse":
        refuse_unheard({"unseen": unseen}, "a data frame", "rows of codes and numbers")
    if isinstance(rows, Dataset):
        return as_drawn(some(rows, len(rows)), fit)
    if framed:
        return as_dataset(_without_target(rows, fit.schema), fit, unseen=unseen)
    x, _ = as_array(_with_target(rows, fit.schema), fit)
    x = np.asarray(x)
    return Dataset(x, mask_of(x), None, np.arange(len(x), dtype=np.int32), fit.schema)


def _without_target(rows: Any, schema: Schema) -> Any:
    """The rows of a data frame without its column of the target, which predictions do not look at."""
    import narwhals as nw

    frame = nw.from_native(rows, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or schema.target not in frame.columns:
        return rows
    return frame.drop(schema.target).to_native()


def _with_target(rows: Any, schema: Schema) -> Any:
    """The rows of an array, with a column of the target, unknown, where they are one short of it."""
    place = schema.place_of_target
    if place is None or np.shape(rows)[-1:] != (schema.size - 1,):
        return rows
    return np.insert(np.asarray(rows, float), place, np.nan, axis=-1)


def _features(fit: "Fit", rows: Dataset) -> np.ndarray:
    """z(x), (N, d), in float64."""
    return np.asarray(fit.encode(rows), np.float64) if len(rows) else np.zeros((0, 1))
