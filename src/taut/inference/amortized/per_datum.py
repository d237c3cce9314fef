"""Per-datum variational inference: every datum has variational parameters of its own, and no encoder.

    lambda_i <- lambda_i + optimizer_i(grad of the bound of q(z | lambda_i) at x_i)      i in the batch
    theta    <- theta + optimizer(grad of the batch mean of the bound at the new lambda)

The local step before the global one is that of stochastic variational inference (Hoffman, Blei, Wang and
Paisley 2013), with gradient steps in place of conjugate ones. Each datum has an optimizer
state of its own, so that its moments and bias corrections count its own visits; rows that are not in
the batch keep every bit of theirs.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, Datum, InputError, Pair, num_rows
from taut.gradients import AbstractEstimator, Surrogate
from taut.guides import AtFeatures, PerDatumGuide
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.amortized.batch_surrogate import BatchSurrogate, Prepare, batch_surrogate

__all__ = ["PerDatumState", "per_datum"]


class PerDatumState(NamedTuple):
    """State of per-datum inference.

    Attributes:
        model: floating-point arrays of the model; None elsewhere.
        model_optimizer: state of the model's optimizer; None where the model is fixed.
        table: features of each datum, (N, F).
        row_optimizers: state of each datum's optimizer, with leading axis N.
        aux: the estimator's own state.
        key: random key of the run.
        step: steps taken.
    """

    model: Any
    model_optimizer: Any
    table: Float[Array, "N F"]
    row_optimizers: Any
    aux: Any
    key: PRNGKeyArray
    step: Int[Array, ""]


class _Rows(NamedTuple):
    """The batch's entries of the table, (B, F), of the optimizers, and what the estimator carries."""

    features: Float[Array, "B F"]
    optimizers: Any
    aux: Any


def per_datum(
    model: AbstractModel,
    guide: PerDatumGuide,
    bound: AbstractBound,
    estimator: AbstractEstimator,
    row_optimizer: optax.GradientTransformation,
    *,
    example: Datum,
    key: PRNGKeyArray,
    model_optimizer: optax.GradientTransformation | None = None,
    inner_steps: int = 1,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Maximise the bound in a table of variational parameters, and in the model if asked to.

    Arguments:
        model: p(x, z).
        guide: the table to start from, made for the training rows.
        bound: what is maximised, nats per row.
        estimator: how it is differentiated.
        row_optimizer: moves one datum's features along the gradient of its own bound, times its weight.
        example: one row, from which an estimator makes its own state.
        key: random key of the run.
        model_optimizer: moves the model's parameters; None holds them fixed.
        inner_steps: steps in a batch's features before one in the model.
        prepare: from a stored datum to what the model sees this time (dynamic binarization).

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value at the last
        gradient taken. It is NaN when a row of the batch is not in the table.

    Raises:
        InputError: no inner step; in `step`, a batch without an index.
    """
    if inner_steps < 1:
        raise InputError("at least one inner step", f"{inner_steps}", "1", where="inner_steps")
    model_arrays, model_static = eqx.partition(model, eqx.is_inexact_array)
    # Keys: stream 0 starts the estimator's state, stream 1 feeds the steps.
    aux_key, draw_key = jax.random.split(key)
    aux = estimator.init(aux_key, example, AtFeatures(guide.table[0], guide.family))
    aux_start, aux_static = eqx.partition(aux, eqx.is_array)

    def init() -> PerDatumState:
        return PerDatumState(
            model=model_arrays,
            model_optimizer=None if model_optimizer is None else model_optimizer.init(model_arrays),
            table=guide.table,
            row_optimizers=jax.vmap(row_optimizer.init)(guide.table),
            aux=aux_start,
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def loss(
        live: tuple[Any, Any, Any],
        aux: Any,
        batch: Datum,
        pass_key: PRNGKeyArray,
        step: Int[Array, ""],
    ) -> tuple[Array, BatchSurrogate]:
        parameters, features, aux_live = live
        p = eqx.combine(parameters, model_static)
        carried = eqx.combine(aux_live, aux, aux_static)

        def one(datum: Datum, row_key: PRNGKeyArray, row: Float[Array, " F"]) -> Surrogate:
            q = AtFeatures(row, guide.family)
            return estimator(bound, p, q, datum, row_key, step=step, aux=carried)

        out = batch_surrogate(one, batch, pass_key, features, prepare=prepare)
        return -out.surrogate, out

    def aux_after(aux: Any, gradient: Any, out: BatchSurrogate, step: Int[Array, ""]) -> Any:
        moved = estimator.update(eqx.combine(aux, aux_static), gradient, out.statistics, step)
        return eqx.filter(moved, eqx.is_array)

    def step(state: PerDatumState, batch: Datum) -> tuple[PerDatumState, Metrics]:
        positions = jax.vmap(guide.position)(batch)
        step_key = jax.random.fold_in(state.key, state.step)

        def e_step(i: Int[Array, ""] | int, rows: _Rows) -> tuple[_Rows, Float[Array, ""]]:
            def of_rows(live: tuple[Any, Any]) -> tuple[Array, BatchSurrogate]:
                features, aux_live = live
                pass_key = jax.random.fold_in(step_key, i)
                return loss(
                    (state.model, features, aux_live), rows.aux, batch, pass_key, state.step
                )

            live = (rows.features, eqx.filter(rows.aux, eqx.is_inexact_array))
            (gradient, aux_gradient), out = jax.grad(of_rows, has_aux=True)(live)
            # The loss is a mean over the batch; a datum climbs its own bound.
            gradient = _shared(gradient * num_rows(batch), positions)
            updates, moments = jax.vmap(row_optimizer.update)(
                gradient, rows.optimizers, rows.features
            )
            features: Any = optax.apply_updates(rows.features, updates)
            moved = _Rows(
                features,
                moments,
                aux_after(rows.aux, aux_gradient, out, state.step),
            )
            return moved, out.value

        rows = _Rows(
            state.table.at[positions].get(mode="fill", fill_value=jnp.nan),
            jax.tree.map(lambda leaf: leaf.at[positions].get(mode="clip"), state.row_optimizers),
            state.aux,
        )
        rows = jax.lax.fori_loop(0, inner_steps - 1, lambda i, r: e_step(i, r)[0], rows)
        rows, value = e_step(inner_steps - 1, rows)
        parameters, model_moments, aux = state.model, state.model_optimizer, rows.aux

        if model_optimizer is not None:

            def of_model(live: tuple[Any, Any]) -> tuple[Array, BatchSurrogate]:
                parameters, aux_live = live
                pass_key = jax.random.fold_in(step_key, inner_steps)
                whole = (parameters, rows.features, aux_live)
                return loss(whole, rows.aux, batch, pass_key, state.step)

            live = (state.model, eqx.filter(rows.aux, eqx.is_inexact_array))
            (gradient, aux_gradient), out = jax.grad(of_model, has_aux=True)(live)
            updates, model_moments = model_optimizer.update(gradient, model_moments, parameters)
            parameters = eqx.apply_updates(parameters, updates)
            aux, value = aux_after(rows.aux, aux_gradient, out, state.step), out.value

        def stored(old: Array, new: Array) -> Array:
            return old.at[positions].set(new, mode="drop")

        moved = PerDatumState(
            model=parameters,
            model_optimizer=model_moments,
            table=stored(state.table, rows.features),
            row_optimizers=jax.tree.map(stored, state.row_optimizers, rows.optimizers),
            aux=aux,
            key=state.key,
            step=state.step + 1,
        )
        return moved, {"bound": value}

    def pair(state: PerDatumState) -> Pair:
        fitted = eqx.tree_at(lambda g: g.table, guide, state.table)
        return Pair(eqx.combine(state.model, model_static), fitted)

    return Algorithm(init, step, pair)


def _shared(gradient: Float[Array, "B F"], positions: Int[Array, " B"]) -> Float[Array, "B F"]:
    """The gradient of each row of the table, at every place of the batch that holds the row.

    A row that comes twice moves once, by the sum: both places then store the same bits.
    """
    first = jnp.argmax(positions[:, None] == positions[None, :], axis=1)
    return jax.ops.segment_sum(gradient, first, positions.size)[first]
