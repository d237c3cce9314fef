"""`search`: answers to what would have to change in rows for a classifier to say what is wanted."""

import contextlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from taut.core import InputError, as_key, check_count, option, padded_size
from taut.counterfactuals.ascent import Ascent
from taut.counterfactuals.brought_back import brought_back, codes_of
from taut.counterfactuals.causal import NUM_DRAWS
from taut.counterfactuals.classifier import as_classifier, num_outputs
from taut.counterfactuals.constraints import Box, Constraints, Grids
from taut.counterfactuals.estimators import classes_of, place_of
from taut.counterfactuals.generator import AbstractGenerator, Identity, as_generator
from taut.counterfactuals.geometry import GEOMETRIES, AbstractGeometry, XSpace
from taut.counterfactuals.judged import decoded, densities, encoded, mapped, outputs_of, scores_of
from taut.counterfactuals.known_rows import from_known_rows
from taut.counterfactuals.nearer import drawn_nearer
from taut.counterfactuals.pool import all_ended
from taut.counterfactuals.result import ALREADY, REACHED, Counterfactuals
from taut.counterfactuals.settled import Settled, settled, surer
from taut.counterfactuals.targets import AbstractTarget, Class
from taut.data import Dataset
from taut.errors import counted, nearest, refuse_unheard
from taut.fitted import Fit
from taut.fitted.given_rows import as_array

__all__ = ["search"]

_WIDTH = 128
_CONFIDENCE = 0.9


def search(
    generator: Any,
    rows: Any,
    *,
    classifier: Any,
    target: Any,
    confidence: float | None = None,
    geometry: AbstractGeometry | str = "plain",
    black_box: bool = False,
    refinements: int = 0,
    num_answers: int = 1,
    spread: float = 0.5,
    proximity: float = 0.0,
    sparsity: float = 0.0,
    plausible: Any = None,
    quantile: float = 0.05,
    nearest: bool = True,
    constraints: Constraints | None = None,
    most_tries: int = 500,
    most_unexplained: float = 0.5,
    key: Any = 0,
) -> Counterfactuals:
    """What would have to change in each row for the classifier to say what is wanted.

    Gradient ascent of the target's score in the latent space of a fitted model, batched, with bisection
    back to the level that was asked for. A row without an answer keeps its best attempt and the reason.

    Arguments:
        generator: a fit, or functions (encode, decode) or (encode, decode, log_density) of one row,
            which may be PyTorch modules.
        rows: in the data's own units, as of `taut.Fit`; one or many.
        classifier: a JAX function of one row; a PyTorch module, or `taut.from_torch` of one; an object
            of many rows such as any of scikit-learn.
        target: a class at `confidence`: one of an estimator's `classes_`, or the number of an output;
            or one of `taut.counterfactuals`, whose numbers are those of outputs.
        confidence: of a class that is named, between 0 and 1; None for 0.9.
        geometry: by name or with options of its own; see `taut.counterfactuals.geometry`.
        black_box: whether a function is asked on the host, of many rows, without gradients.
        refinements: steps that refine a code from the encoder's mean, of a model that has an encoder.
        num_answers: A for each row, each from a start of its own.
        spread: standard deviation of the starts beyond the first about the row's code.
        proximity, sparsity: weights of the squared and of the absolute distance from the row, in
            standard deviations of the columns where the fit has them.
        plausible: rows that an answer is to be as probable as, from which ways lead back to rows that
            ascent finds no answer to; None for no such floor.
        quantile: of their log-densities that is the floor.
        nearest: whether under a floor the first answer to each row is drawn as near to it as floor and
            target allow, along their edges; otherwise it stays where ascent ended.
        constraints: of a table, which every answer satisfies or is returned as failed; what a fit
            knows of the values of its columns is among them.
        most_tries: steps that are tried for an answer.
        most_unexplained: share of the rows' variation about the generator's centre that reconstructions
            may miss; above it answers would be about the reconstruction.
        key: whole number or random key.

    Returns:
        `Counterfactuals`.

    Raises:
        InputError: rows or a classifier that do not fit the generator; a target that does not exist or
            that all rows have reached; a geometry that has no meaning for the generator; reconstructions
            that miss too much of the rows.
    """
    begun = time.perf_counter()
    _check_numbers(num_answers, most_tries, quantile)
    if not most_unexplained >= 0:
        raise InputError(
            "a share of at least 0", f"{most_unexplained}", "0.5", where=option("most_unexplained")
        )
    chosen = _geometry(geometry)
    with _precision(generator):
        x, scale = _rows(generator, rows)
        made = as_generator(generator, x.shape[1:], refinements=refinements)
        judged = as_classifier(classifier, x.shape[1:], black_box=black_box)
        wanted = target
        if not isinstance(target, AbstractTarget):
            place = place_of(target, classes_of(classifier))
            wanted = Class(place, _CONFIDENCE if confidence is None else confidence)
        else:
            refuse_unheard({"confidence": confidence}, "a class that is named", f"{target}")
        wanted.check(num_outputs(judged, x.shape[1:]))
        known = None if plausible is None else _rows(generator, plausible)[0]
        floor = _floor(made, known, quantile)
        _check_reconstructions(made, x, scale, most_unexplained)
        moved = Identity(x.shape[1:], scale, made) if isinstance(chosen, XSpace) else made
        z = encoded(moved, x)
        chosen.check(int(np.prod(x.shape[1:])), z.shape[1])
        ascent = Ascent(
            moved, judged, wanted, chosen, jnp.asarray(scale, z.dtype), proximity, sparsity, floor,
            box=_box(generator, constraints, x, key), most_tries=most_tries,
            margin=jnp.zeros((), z.dtype),
        )  # fmt: skip
        random_key = as_key(key)
        starts = _starts(z, num_answers, spread, random_key)
        own = np.repeat(x, num_answers, axis=0)
        keys = jax.random.split(random_key, len(own))
        width = min(_WIDTH, padded_size(len(own)))
        ended = all_ended(ascent, own, starts, keys, width=width)
        codes = codes_of(ascent, z, ended, num_answers=num_answers)
        found = settled(ascent, own, brought_back(ascent, codes, keys, ended))
        found = surer(ascent, own, starts, codes, keys, found, width=width)
        by_ascent = found.answered
        if known is not None:
            near = nearest & (
                np.arange(len(own)) % num_answers == 0
            )  # the others are to be diverse
            found = from_known_rows(ascent, own, codes.z, known, found, near)
            found = drawn_nearer(ascent, own, keys, found, near)
        return _result(ascent, x, z, found, by_ascent, keys[::num_answers], begun)


def _geometry(given: AbstractGeometry | str) -> AbstractGeometry:
    if isinstance(given, AbstractGeometry):
        return given
    if given not in GEOMETRIES:
        raise InputError(
            f"one of {', '.join(GEOMETRIES)}", repr(given), nearest(given, GEOMETRIES),
            where="geometry",
        )  # fmt: skip
    return GEOMETRIES[given]()


def _check_numbers(num_answers: int, most_tries: int, quantile: float) -> None:
    for name, value in (("num_answers", num_answers), ("most_tries", most_tries)):
        check_count(value, "at least 1", "1", where=option(name))
    if not 0 <= quantile < 1:
        raise InputError("a quantile from 0 to below 1", f"{quantile}", "0.05", where="quantile")


def _precision(generator: Any) -> Any:
    double = isinstance(generator, Fit) and generator.precision == "float64"
    return jax.enable_x64(True) if double else contextlib.nullcontext()


def _rows(generator: Any, rows: Any) -> tuple[np.ndarray, Any]:
    """Rows with a leading axis, and the scale of their cells."""
    if isinstance(rows, Dataset) and rows.mask is not None and not rows.mask.all():
        raise _with_holes(int((~rows.mask).any(axis=1).sum()))
    if isinstance(generator, Fit):
        x, scale = as_array(rows, generator)[0], _scale(generator)
    else:
        given: Any = rows.x if isinstance(rows, Dataset) else rows
        if np.ma.is_masked(given):
            raise _with_holes(int(np.ma.getmaskarray(given).any(axis=-1).sum()))
        given = np.asarray(given)
        x = given.astype(jnp.result_type(float)) if given.dtype.kind in "iub" else given
        shaped = isinstance(generator, AbstractGenerator)
        x, scale = (x.reshape(-1, *generator.x_shape) if shaped else np.atleast_2d(x)), 1.0
    x = np.asarray(x)
    if not len(x):
        raise InputError("at least one row", "none", "rows to explain", where="rows")
    if not np.isfinite(x).all():
        raise InputError(
            "finite numbers", "some that are not", "leaving these rows out", where="rows"
        )
    return x, scale


def _with_holes(count: int) -> InputError:
    return InputError(
        "rows without missing cells", f"{counted(count, 'row')} with some",
        "leaving these rows out, or imputing them first", where="rows",
    )  # fmt: skip


def _scale(fit: Fit) -> Any:
    if fit.schema.kinds is not None:
        return np.array([column.spread for column in fit.schema.kinds])
    scale = fit.schema.shift_scale()[1]
    return scale if fit.schema.kind == "table" else float(scale[0])


def _floor(made: AbstractGenerator, known: np.ndarray | None, quantile: float) -> Any:
    if known is None:
        return None
    if made.density_of is None:
        raise InputError(
            "a generator with a log-density, for a floor", "functions (encode, decode) alone",
            "(encode, decode, log_density)", where="plausible",
        )  # fmt: skip
    return jnp.asarray(np.quantile(densities(made, known), quantile), known.dtype)


def _check_reconstructions(
    made: AbstractGenerator, x: np.ndarray, scale: Any, most_unexplained: float
) -> None:
    code = encoded(made, x)
    back, centre = decoded(made, code, x), decoded(made, np.zeros_like(code), x)
    missed = float(np.sum(((x - back) / scale) ** 2))
    share = missed / max(float(np.sum(((x - centre) / scale) ** 2)), 1e-30)
    if not share <= most_unexplained:
        raise InputError(
            f"reconstructions that miss at most {most_unexplained:.0%} of how the rows vary, for "
            "answers are about reconstructions", f"{share:.0%}",
            f"a model that reconstructs rows better, {option('refinements', 100)}, or a larger "
            f"{option('most_unexplained')}", where="generator",
        )  # fmt: skip


def _starts(z: np.ndarray, num_answers: int, spread: float, key: Any) -> np.ndarray:
    """Where each answer begins, (N A, d): the first of a row at its code."""
    noise = np.array(
        jax.random.normal(jax.random.fold_in(key, len(z)), (len(z), num_answers, z.shape[1]))
    )
    noise[:, 0] = 0
    return (z[:, None] + spread * noise).reshape(-1, z.shape[1]).astype(z.dtype)


def _result(
    ascent: Ascent,
    x: np.ndarray,
    z: np.ndarray,
    found: Settled,
    by_ascent: np.ndarray,
    keys: Any,
    begun: float,
) -> Counterfactuals:
    generator, target, ended = ascent.generator, ascent.target, found.ended
    num_answers = len(ended.tries) // len(x)

    def by_row(values: Any) -> np.ndarray:
        return np.asarray(values).reshape(len(x), num_answers, *np.shape(values)[1:])

    answers, reasons = by_row(ended.at.x), by_row(found.reasons)
    back = decoded(generator, z, x)
    outputs = [mapped(lambda v: outputs_of(ascent.classifier, v), v) for v in (x, back)]
    scores = [np.asarray(scores_of(target, jnp.asarray(o))) for o in outputs]
    if (reasons == ALREADY).all():
        raise InputError(
            "a target that some row has not reached", "rows that all have",
            "another target, or a higher confidence", where="target",
        )  # fmt: skip
    density = None
    if generator.density_of is not None:
        density = densities(generator, x), by_row(ended.at.log_density)
    notes = [ascent.geometry.note] if ascent.geometry.note else []
    if target.level <= scores[0].min() and not (scores[1] >= target.level).all():
        notes.append(
            "the classifier says what is wanted of the rows, and not of their reconstructions"
        )
    if ascent.floor is not None:
        notes += _notes_of_floor(found, by_ascent)
    elif density is not None:
        notes += _notes_of_density(*density, reached=reasons == REACHED)
    per_try = ascent.classifier.queries(z.shape[1])
    return Counterfactuals(
        x=x, reconstruction=back, answers=answers, z=by_row(ended.at.z), z0=z, reasons=reasons,
        outputs=(outputs[0], outputs[1], by_row(found.outputs)),
        scores=(scores[0], scores[1], by_row(found.scores)),
        level=target.level, log_density=density,
        floor=None if ascent.floor is None else float(ascent.floor),
        density_of=generator.density_of,
        queries=by_row((ended.tries + 1) * per_try + found.asked), tries=by_row(ended.tries),
        drift=by_row(ended.drift), margin=by_row(found.margin), returned=by_row(found.returned),
        seconds=time.perf_counter() - begun,
        geometry=ascent.geometry.name, ascent=ascent, keys=keys, notes=tuple(notes),
    )  # fmt: skip


def _notes_of_density(
    of_rows: np.ndarray, of_answers: np.ndarray, *, reached: np.ndarray
) -> list[str]:
    """That answers are less probable than rows, where no floor was asked for."""
    unlikely = int(np.sum(reached & (of_answers < of_rows.min())))
    if not unlikely:
        return []
    return [
        f"of the answers {unlikely} are less probable than each of the rows that were asked "
        "about: a floor, `plausible`, rules such answers out"
    ]


def _notes_of_floor(found: Settled, by_ascent: np.ndarray) -> list[str]:
    """What a floor has cost: answers that ascent alone did not find, and ways that lead below it."""
    notes = []
    if back_from := int(np.sum(found.returned & ~by_ascent)):
        notes.append(
            f"ascent found none of {back_from} of the answers, which lie on the way back from rows "
            "that are known to be probable"
        )
    reached = found.reasons == REACHED
    if left := int(np.sum(reached & by_ascent & np.isneginf(found.ended.bound))):
        notes.append(
            f"to {left} of the answers the way leads over rows that are less probable than the floor"
        )
    return notes


def _box(given: Any, constraints: Constraints | None, x: np.ndarray, key: Any) -> Box | None:
    grids = None
    if isinstance(given, Fit) and given.schema.kind == "table":
        grids = Grids.of(given.schema)
        constraints = constraints or (Constraints() if grids.bind else None)
    if constraints is None:
        return None
    if x.ndim != 2:
        raise InputError(
            "constraints on the columns of a table", f"rows of shape {x.shape[1:]}",
            "leaving them out", where="constraints",
        )  # fmt: skip
    columns = given.schema.columns if isinstance(given, Fit) else None
    draws = None
    if constraints.causal and isinstance(given, Fit):
        draws = np.asarray(given.sample(NUM_DRAWS, key=key))
    return constraints.box(x.shape[1], columns, x, grids, draws)
