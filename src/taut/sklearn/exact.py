"""EM on all rows that an estimator is given, and what the fitted model says of rows; in float64.

An estimator trains on every row: who holds rows out is a splitter of scikit-learn. The facts of the
`Fit` count no rows as held out, and it reports no estimates.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.architectures import LCA
from taut.core import AbstractPair, Datum, InputError, as_key, as_proposal, host_seed
from taut.core.compiling import kept_jit
from taut.core.provenance import device, versions
from taut.data import Data, DataOptions
from taut.fitted import Fit
from taut.fitted.facts import EMFacts, FitFacts, HeldApart, RowCounts
from taut.guides import ExactPair
from taut.inference import EM
from taut.inference.amortized.check import check_rows
from taut.inference.exact.candidate import skeleton_of
from taut.inference.exact.em import Climb, EMResult
from taut.inference.exact.given_start import check_start
from taut.inference.exact.restarts import best_of_restarts
from taut.inference.exact.row_blocks import RowBlocks
from taut.inference.exact.selection import check_numbers
from taut.models import AbstractExactModel
from taut.recipe import Recipe
from taut.sklearn.parameters import check_count

__all__ = ["described", "drawn", "fitted_to_all", "profiles", "with_cells"]


def fitted_to_all(
    data: Data,
    architecture: Any,
    inference: EM,
    *,
    seed: int,
    start: AbstractExactModel | None = None,
    watch: Callable[[str, Callable[[], Fit]], bool] | None = None,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Fit:
    """A `Fit` of all rows.

    Arguments:
        data: the rows that count, all of which are training rows.
        architecture: a model whose posterior is exact.
        inference: how EM runs.
        seed: of everything random.
        start: model to start from instead of random ones.
        watch: called after every iteration with its name and what makes the `Fit` so far; True ends EM.
        weight: how often each row that was given counts, by its number; once when None.

    Raises:
        InputError: the rows, an option, or both together cannot be used.
        RunError: a covariance became singular.
    """
    began = time.perf_counter()
    weight = None if weight is None else weight[data.train.numbers(np.arange(len(data.train)))]
    if isinstance(architecture, LCA):
        x = [np.asarray(part.x) for part in data.train.parts()]
        architecture = architecture.with_codes(data.schema, x).resolved(data.schema)[0]
    inference.check(architecture, None, None)
    check_rows(architecture, data.train, where="X")
    regularized = bool(inference.floor or inference.reg_covar)
    rows = RowBlocks(data.train, "X", weight=weight)
    check_numbers(
        [architecture.components], architecture, data,
        regularized=regularized, num_rows=None if weight is None else len(rows.distinct()[1]),
    )  # fmt: skip
    skeleton = skeleton_of(architecture, data)
    if start is not None:
        _check_warm_start(start, skeleton)
    recipe = Recipe(data=DataOptions(), model=architecture, inference=inference, seed=seed)

    def watched(number: int, iteration: int, so_far: Callable[[], Climb]) -> bool:
        def made() -> Fit:
            climb = so_far()
            result = EMResult(climb.state.model, climb.log_evidence, climb.objective, False, ())
            return _fit(result, (), recipe, data, rows.total, began)

        return watch is not None and watch(f"start {number}, iteration {iteration}", made)

    result, ends = best_of_restarts(
        skeleton, rows, inference.floor_of(architecture), **inference.options(architecture),
        seed=host_seed(as_key(seed)), start=start, watch=watched if watch else None,
    )  # fmt: skip
    return _fit(result, ends, recipe, data, rows.total, began)


def _fit(
    result: EMResult,
    ends: tuple[float, ...],
    recipe: Recipe,
    data: Data,
    total: float | int,
    began: float,
) -> Fit:
    """What a run of EM left, as a `Fit` without estimates."""
    architecture: Any = recipe.model
    model, steps = result.model, len(result.log_evidence) - 1
    bic = -2 * total * result.log_evidence[-1] + model.num_parameters * np.log(total)
    facts = FitFacts(
        rows=RowCounts(len(data.train), 0, 0),
        steps=steps,
        best_step=steps,
        training_seconds=time.perf_counter() - began,
        evaluation_seconds=0.0,
        device=device(),
        versions=versions(),
        em=EMFacts(
            components=architecture.components,
            free_parameters=model.num_parameters,
            bic=float(bic),
            converged=bool(result.converged),
            starts=tuple(map(float, ends)) if len(ends) > 1 else (),
            held_apart=tuple(
                HeldApart(one.component, one.row, one.rows, one.directions) for one in result.held
            ),
        ),
        measure=model.measure,
        notes=data.notes,
    )
    history = (
        {"step": step, "bound": float(value), "objective": float(objective)}
        for step, (value, objective) in enumerate(
            zip(result.log_evidence, result.objective, strict=True)
        )
    )
    return Fit(
        ExactPair(model), architecture, data.schema, facts, recipe, tuple(history),
        precision="float64",
    )  # fmt: skip


def described(
    fit: Fit, x: Float[np.ndarray, "N D"]
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N d"]]:
    """log p(x) of every row, exact, nats, and the mean of p(z | x).

    Raises:
        InputError: values that the model has no probability for.
    """
    fit.architecture.check(fit.schema, x, where="X")
    values, means = [], []
    with jax.enable_x64(True):
        pair: Any = jax.tree.map(jnp.asarray, fit.pair)
        rows, model = RowBlocks(x, "X", holes=bool(np.isnan(x).any())), pair.bind()[0]
        for block in rows.in_order(model, width=16 * rows.size):
            counted = np.asarray(block.weight).ravel() > 0
            value, mean = map(np.asarray, _of_rows(pair, block.x, block.mask))
            values.append(value.ravel()[counted])
            means.append(mean.reshape(-1, mean.shape[-1])[counted])
    return np.concatenate(values), np.concatenate(means)


def drawn(
    fit: Fit, num_samples: int, *, seed: int
) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "N d"]]:
    """x and z of draws from p(x, z).

    Raises:
        InputError: no sample is asked for.
    """
    check_count(num_samples)
    with jax.enable_x64(True):
        pair = jax.tree.map(jnp.asarray, fit.pair)
        x, z = _draws(pair, as_key(seed), num_samples)
    return np.asarray(x), np.asarray(z)


def profiles(fit: Fit) -> dict[str, Float[np.ndarray, " K"]]:
    """Every parameter of the components of a mixture of columns, by its name."""
    model: Any = fit.model
    with jax.enable_x64(True):
        return model.described(fit.schema.columns, fit.schema.categories)


def _check_warm_start(start: AbstractExactModel, wanted: AbstractExactModel) -> None:
    """Refuse a model that was fitted with other choices, or to other columns."""
    try:
        check_start(start, wanted)
    except InputError as error:
        raise InputError(
            "a fitted model of the same form to start from", "one with other choices or columns",
            "warm_start=False", where="warm_start",
        ) from error  # fmt: skip


def with_cells(
    array: Float[np.ndarray, "*N V"], cells: Sequence[tuple[int, float]]
) -> Float[np.ndarray, "*N D"]:
    """An array of the varying cells with the others, (cell, value) by rising cell, in their places."""
    for cell, value in cells:
        array = np.insert(array, cell, value, axis=-1)
    return array


@kept_jit
def _of_rows(pair: Any, x: Array, mask: Array | None) -> tuple[Array, Array]:
    model, guide = pair.bind()

    def one(row: Datum) -> tuple[Array, Array]:
        return model.log_evidence(row), model.code(as_proposal(guide(row)).center())

    return jax.lax.map(jax.vmap(one), Datum(x, mask))


@kept_jit
def _draws(pair: AbstractPair, key: Array, num_samples: int) -> tuple[Array, Array]:
    model, _ = pair.bind()
    z_key, x_key = jax.random.split(key)
    z = as_proposal(model.prior()).draw(z_key, num_samples).z
    return jax.vmap(model.sample)(z, jax.random.split(x_key, num_samples)), z
