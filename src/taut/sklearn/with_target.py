"""Fits that learn rows and classes together, of what a VAE as an estimator asks for.

m2        the class is an enumerated latent beside the Gaussian ones
m1+m2     the class is a latent of a second model, of the latents of the first
masked    the class is a column among the others, of which cells are hidden at random
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from taut.api.amortized import fit_amortized
from taut.data import load_data
from taut.data.sources import NamedColumns
from taut.fitted import Fit
from taut.fitted.predicting import predict, with_predictor
from taut.recipe import Recipe

__all__ = ["CHOICES", "class_probabilities", "fitted_with_classes"]

CHOICES: Mapping[str, Mapping[str, str]] = {
    "m2": {"model": "mixture-vae"}, "m1+m2": {"head": "mixture-vae"}, "masked": {},
}  # fmt: skip
"""What each of them asks of a fit of a VAE."""

_TARGET = "class"


def fitted_with_classes(
    x: Float[np.ndarray, "N D"],
    codes: Int[np.ndarray, " N"],
    held: Bool[np.ndarray, " N"],
    recipe: Recipe,
    *,
    method: str,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> Fit:
    """A `Fit` with what predicts the class, without estimates.

    Arguments:
        x: rows, NaN where a cell is missing.
        codes: their classes, -1 for none.
        held: which rows decide when to stop, and how warm probabilities are; one at least.
        recipe: all choices.
        method: a name among `CHOICES`.
        seed: of everything random.
        callbacks: told of steps and validations.

    Raises:
        InputError: the rows, an option, or both together cannot be used.
        RunError: the bound is not finite, for good.
    """
    table = _table(x, codes)
    parts = [table.select(np.flatnonzero(rows)) for rows in (~held, held)]
    data = load_data(
        (*parts, parts[1].select(np.arange(1))),  # the third part is never looked at
        target=_TARGET, target_as="column" if method == "masked" else "label",
        dtype=recipe.training.storage, name="X", stream="no",
    )  # fmt: skip
    fit = fit_amortized(
        replace(recipe, data=data.options, seed=seed), data,
        key=seed, out=None, force=False, resume=False, progress=None, measured=False,
        callbacks=callbacks,
    )  # fmt: skip
    return with_predictor(fit, data)


def class_probabilities(fit: Fit, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
    """p(class | row), (N, C), by rising code."""
    found: Any = predict(fit, _table(x))
    return np.asarray(found.probabilities, np.float64)


def _table(x: Float[np.ndarray, "N D"], codes: Int[np.ndarray, " N"] | None = None) -> NamedColumns:
    """Named columns, and classes by names whose order is that of the codes."""
    table = NamedColumns.of(x)
    if codes is None:
        return table
    names = np.array(["" if code < 0 else f"{code:06d}" for code in codes])
    return NamedColumns({**table.cells, _TARGET: names})
