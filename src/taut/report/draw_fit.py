"""The figures of a fit: learning curves, samples, reconstructions, an interpolation, the latents."""

from pathlib import Path
from typing import Any

import numpy as np

from taut.bounds import AbstractBound
from taut.core import Estimate
from taut.data import Data, Schema, label_names
from taut.fitted import Fit
from taut.recipe import completed
from taut.report import figures
from taut.report.latents import has_normal_prior

__all__ = ["draw_fit", "row_form"]

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
    schema, form = fit.schema, row_form(fit.schema)
    test = data.test.sample(_TEST_ROWS)
    # A model that was not trained itself, as one whose prior alone was fitted, has no curves.
    drawn = [_learning_curves(fit, folder / "learning-curves.png")] if fit.history else []
    drawn.append(
        figures.samples(
            folder / "samples.png",
            np.asarray(fit.sample(_IMAGES if schema.kind == "image" else _DRAWS)),
            data=data.train.sample(_DRAWS).x,
            **form,
        )
    )
    # Where nothing is drawn a reconstruction is the row itself, or what a surjection keeps of it.
    if fit.architecture.name != "flow" or "elbo" in fit.estimates:
        shown = test.sample(_RECONSTRUCTED).x
        mean = np.asarray(fit.reconstruct(shown))
        drawn.append(figures.reconstructions(folder / "reconstructions.png", shown, mean, **form))
    number = min(_LINES, len(test) // 2)
    pairs = list(zip(test[:number].x, test[len(test) - number :].x[::-1], strict=True))
    if pairs:
        paths = np.stack([np.asarray(fit.interpolate(a, b)) for a, b in pairs])
        ends = np.stack([np.stack(pair) for pair in pairs])
        drawn.append(figures.interpolation(folder / "interpolation.png", paths, ends=ends, **form))
    z = np.asarray(fit.encode(test))
    drawn.append(
        figures.latent_scatter(
            folder / "latents.png",
            z,
            label=label_names(test),
            normal_prior=has_normal_prior(fit.model),
        )
    )
    return tuple(drawn)


def row_form(schema: Schema) -> dict[str, Any]:
    """What a figure of rows must know of them."""
    form = {name: getattr(schema, name) for name in ("kind", "shape", "columns")}
    return form | {"categories": schema.categories if schema.kind == "table" else None}


def _learning_curves(fit: Fit, path: Path) -> Path:
    looked = [record for record in fit.history if "validation" in record]
    values = [Estimate.from_dict(record["validation"]) for record in looked]
    bound, judged = completed(fit.recipe).bound, fit.recipe.training.validation_bound
    other = {} if judged is None or judged == bound else {"validation_name": _words(judged)}
    # A step that was rejected has no bound: null in metrics.jsonl.
    return figures.learning_curves(
        path,
        steps=np.asarray([record["step"] for record in fit.history]),
        train_bound=np.asarray([record["bound"] for record in fit.history], np.float64),
        validation_steps=np.asarray([record["step"] for record in looked]),
        validation=np.asarray([estimate.value for estimate in values]),
        validation_error=np.asarray([estimate.data_error for estimate in values]),
        best_step=fit.facts.best_step,
        bound_name=bound.name,
        **other,
        **({"side": values[0].side_name} if values else {}),
    )


def _words(bound: AbstractBound) -> str:
    """A bound with the number of its draws."""
    return f"{bound.name.upper()} of {bound.minted} {'draw' if bound.minted == 1 else 'draws'}"
