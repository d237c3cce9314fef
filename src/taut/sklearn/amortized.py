"""Training on the rows that an estimator is given, and what the fitted model says of others.

A share of the rows stops the training and trains nothing. Every row is scored by the same random
numbers, so that its score does not depend on the rows beside it, and rows come in blocks of one size.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.api.amortized import fit_amortized
from taut.core import Datum, as_key, as_proposal, log_weighted_sum, over_rows, particles
from taut.core.compiling import kept_jit
from taut.data import Data, load_data, split_rows
from taut.fitted import Fit
from taut.fitted.facts import RowCounts
from taut.recipe import Recipe

__all__ = ["encoded", "fitted_by_batches", "log_densities"]

_BLOCK = 256  # rows
_HELD_DRAWS = 2**14  # of all rows that are looked at together
_PARTS = ("train", "validation", "test")


def fitted_by_batches(
    x: Float[np.ndarray, "N D"],
    recipe: Recipe,
    *,
    columns: tuple[str, ...] | None,
    support: str | None,
    validation: float,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> Fit:
    """A `Fit` of the rows, without estimates.

    Arguments:
        x: rows, NaN where a cell is missing.
        recipe: all choices.
        columns: names of the columns, where they have some.
        support: what the values are; inferred when None.
        validation: the share of the rows that decides when to stop.
        seed: of everything random.
        callbacks: told of steps and validations.

    Raises:
        InputError: the rows, an option, or both together cannot be used.
        RunError: the bound is not finite, for good.
    """
    data = _data(x, columns, support, validation, seed, recipe.training.storage)
    fit = fit_amortized(
        replace(recipe, data=data.options, seed=seed), data,
        key=seed, out=None, force=False, resume=False, progress=None, measured=False,
        callbacks=callbacks,
    )  # fmt: skip
    rows = RowCounts(len(data.train), len(data.validation), 0)
    return replace(fit, facts=replace(fit.facts, rows=rows, checksum=""))


def encoded(fit: Fit, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N d"]:
    """The mean of q(z | x) of every row."""
    return _by_block(fit, x, lambda block: _means(fit.pair, block))


def log_densities(fit: Fit, x: Float[np.ndarray, "N D"], *, draws: int) -> Float[np.ndarray, " N"]:
    """log p(x) of every row, nats: a lower bound in expectation over the draws, or exact."""
    key = as_key(0)
    return _by_block(fit, x, lambda block: _log_densities(fit.pair, block, key, draws))


def _data(
    x: Float[np.ndarray, "N D"],
    columns: tuple[str, ...] | None,
    support: str | None,
    validation: float,
    seed: int,
    precision: str,
) -> Data:
    """Training and validation rows; what has to stand in the third part is never looked at."""
    share = max(validation, 1 / len(x))
    train, held = split_rows(len(x), (1 - share, share), seed=seed)
    parts = (x[train], x[held], x[held[:1]])
    data: Any = load_data(parts, dtype=precision, support=support, name="X", stream="no")
    schema = replace(data.schema, columns=columns)
    named = {name: replace(getattr(data, name), schema=schema) for name in _PARTS}
    return replace(data, schema=schema, **named)


def _by_block(fit: Fit, x: Float[np.ndarray, "N D"], program: Callable[[Datum], Any]) -> Any:
    """What a program says of every row."""
    if fit.schema.support != "real":
        fit.architecture.check(fit.schema, x.astype(fit.precision), where="X")
    filled = np.concatenate([x, np.broadcast_to(x[:1], (-len(x) % _BLOCK, x.shape[1]))])
    mask = ~np.isnan(filled)
    rows = Datum(filled.astype(fit.precision), None if mask.all() else mask)
    with jax.enable_x64(fit.precision == "float64"):
        blocks = list(over_rows(lambda block, *_: program(block), rows, width=_BLOCK))
    return np.concatenate(blocks)[: len(x)]


@kept_jit
def _means(pair: Any, rows: Datum) -> Array:
    model, guide = pair.bind()
    return jax.vmap(lambda row: model.code(as_proposal(guide(row)).center()))(rows)


@kept_jit
def _log_densities(pair: Any, rows: Datum, key: PRNGKeyArray, draws: int) -> Array:
    model, guide = pair.bind()

    def one(row: Datum) -> Array:
        drawn = particles(model, guide, guide, row, key, draws)
        return log_weighted_sum(drawn.log_mass, drawn.log_w)

    return jax.lax.map(one, rows, batch_size=max(1, _HELD_DRAWS // draws))
