"""The figures of a fit: learning curves, samples, reconstructions, an interpolation, the latents."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from taut.bounds import AbstractBound
from taut.core import Estimate, counted
from taut.data import Data, Dataset, Schema, label_names
from taut.fitted import Fit
from taut.recipe import completed
from taut.report import figures
from taut.report.latents import has_normal_prior

__all__ = ["FIGURES", "draw_fit", "lacking", "row_form"]

_TEST_ROWS = 512  # of the test rows, at random as files may be sorted, whose latents are shown
_IMAGES, _DRAWS = 64, 1000  # samples of images, and of tables
_RECONSTRUCTED = 16
_LINES = 6


def draw_fit(fit: Fit, data: Data, folder: Path) -> tuple[Path, ...]:
    """Draw what a fit has learned, on its own data.

    Arguments:
        fit: what `taut.fit` returned.
        data: what it was fitted to; encodings and reconstructions are those of some of the test rows.
        folder: where to write.

    Returns:
        the files.
    """
    there = (name for name in FIGURES if not lacking(name, fit, data))
    return tuple(FIGURES[name](fit, data, folder / f"{name}.png") for name in there)


def lacking(name: str, fit: Fit, data: Data | None) -> str:
    """Why there is nothing that a figure could show, in words; empty where there is."""
    if name == "learning-curves" and fit.facts.em is not None:
        return "a fit by EM, which has its evidence by iteration"
    if name == "learning-curves" and not fit.history:
        return "a model that was not trained itself"
    if (
        name == "reconstructions"
        and fit.architecture.name == "flow"
        and "elbo" not in fit.estimates
    ):
        # Where nothing is drawn it is the row itself, or what a surjection keeps of it.
        return "an exact flow, which gives each row back as it was"
    if name == "interpolation" and data is not None and len(data.test) < 2:
        return counted(len(data.test), "test row")
    return ""


def _samples(fit: Fit, data: Data, path: Path) -> Path:
    drawn = np.asarray(fit.sample(_IMAGES if fit.schema.kind == "image" else _DRAWS))
    return figures.samples(path, drawn, data=data.train.sample(_DRAWS).x, **row_form(fit.schema))


def _reconstructions(fit: Fit, data: Data, path: Path) -> Path:
    shown = _some_test_rows(data).sample(_RECONSTRUCTED).x
    mean = np.asarray(fit.reconstruct(shown))
    return figures.reconstructions(path, shown, mean, **row_form(fit.schema))


def _interpolation(fit: Fit, data: Data, path: Path) -> Path:
    test = _some_test_rows(data)
    number = min(_LINES, len(test) // 2)
    pairs = list(zip(test[:number].x, test[len(test) - number :].x[::-1], strict=True))
    paths = np.stack([np.asarray(fit.interpolate(a, b)) for a, b in pairs])
    ends = np.stack([np.stack(pair) for pair in pairs])
    return figures.interpolation(path, paths, ends=ends, **row_form(fit.schema))


def _latents(fit: Fit, data: Data, path: Path) -> Path:
    test = _some_test_rows(data)
    return figures.latent_scatter(
        path,
        np.asarray(fit.encode(test)),
        label=label_names(test),
        normal_prior=has_normal_prior(fit.model),
    )


def _some_test_rows(data: Data) -> Dataset:
    return data.test.sample(_TEST_ROWS)


def row_form(schema: Schema) -> dict[str, Any]:
    """What a figure of rows must know of them."""
    form = {name: getattr(schema, name) for name in ("kind", "shape", "columns")}
    return form | {"categories": schema.categories if schema.kind == "table" else None}


def _learning_curves(fit: Fit, data: Data | None, path: Path) -> Path:
    looked = [record for record in fit.history if "validation" in record]
    values = [Estimate.from_dict(record["validation"]) for record in looked]
    bound, judged = completed(fit.recipe).bound, fit.recipe.training.validation_bound
    other = {} if judged is None or judged == bound else {"validation_name": _words(judged)}
    # Records count steps from 0, figures from 1, as the step that is kept: the number of steps taken.
    # A step that was rejected has no bound: null in metrics.jsonl.
    return figures.learning_curves(
        path,
        steps=np.asarray([record["step"] + 1 for record in fit.history]),
        train_bound=np.asarray([record["bound"] for record in fit.history], np.float64),
        validation_steps=np.asarray([record["step"] + 1 for record in looked]),
        validation=np.asarray([estimate.value for estimate in values]),
        validation_error=np.asarray([estimate.data_error for estimate in values]),
        best_step=fit.facts.best_step,
        bound_name=bound.name,
        **other,
        **({"side": values[0].side_name} if values else {}),
    )


def _words(bound: AbstractBound) -> str:
    """A bound with the number of its draws."""
    return f"{bound.name.upper()} of {counted(bound.minted, 'draw')}"


FIGURES: dict[str, Callable[[Fit, Any, Path], Path]] = {
    "learning-curves": _learning_curves,
    "samples": _samples,
    "reconstructions": _reconstructions,
    "interpolation": _interpolation,
    "latents": _latents,  # last: by it a finished drawing is known
}
