"""Per-datum variational inference: every datum has variational parameters of its own, and no encoder.

    lambda_i <- lambda_i + optimizer_i(grad of the bound of q(z | lambda_i) at x_i)      i in the batch
    theta    <- theta + optimizer(grad of the batch mean of the bound at the new lambda)

The local step before the global one is that of stochastic variational inference (Hoffman, Blei, Wang and
Paisley 2013), with gradient steps in place of conjugate ones. Each datum has an optimizer
state of its own, so that its moments and bias corrections count its own visits; rows that are not in
the batch keep every bit of theirs.

The state is a tuple of arrays; step t draws its keys from `fold_in(key, t)`. A step of which some pass
is not finite is rejected: only its number remains.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, Datum, InputError, Pair, num_rows, particles
from taut.gradients import AbstractEstimator, Surrogate
from taut.guides import AtFeatures, PerDatumGuide
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.ascent_steps import moved, rescaled, scored, taken
from taut.inference.amortized.batch_surrogate import (
    BatchSurrogate,
    Prepare,
    batch_surrogate,
    row_key,
)
from taut.inference.amortized.finite import all_finite
from taut.inference.amortized.movable import movable

__all__ = ["PerDatumState", "per_datum"]

_SETTLED = 2**30  # a step that no run takes


class PerDatumState(NamedTuple):
    """State of per-datum inference.

    Attributes:
        model: floating-point arrays of the model; None elsewhere.
        model_optimizer: state of the model's optimizer; None where the model is fixed.
        table: features of each datum, (N, F).
        row_optimizers: state of each datum's optimizer, with leading axis N.
        aux: the estimator's own state.
        scale: what the optimizers' updates are multiplied by.
        key: random key of the run.
        step: steps taken, rejected ones among them.
    """

    model: Any
    model_optimizer: Any
    table: Float[Array, "N F"]
    row_optimizers: Any
    aux: Any
    scale: Float[Array, ""]
    key: PRNGKeyArray
    step: Int[Array, ""]


class _Rows(NamedTuple):
    """What a step moves before it is stored.

    Attributes:
        features: the batch's entries of the table, (B, F).
        optimizers: the states of their optimizers.
        aux: the estimator's own state.
        model: floating-point arrays of the model.
        model_optimizer: state of the model's optimizer.
    """

    features: Float[Array, "B F"]
    optimizers: Any
    aux: Any
    model: Any
    model_optimizer: Any


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
    settled: bool = False,
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
        settled: whether bound and estimator are as after all their schedules (a KL that warms up, a
            temperature that falls), whatever the step.

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value at the last
        gradient taken. It is NaN, and nothing moves, when a row of the batch is not in the table.

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
            scale=jnp.ones(()),
            key=draw_key,
            step=jnp.zeros((), jnp.int32),
        )

    def one(live: tuple[Any, Any], aux: Any, step: Int[Array, ""]) -> Any:
        parameters, aux_live = live
        p = eqx.combine(parameters, model_static)
        carried = eqx.combine(aux_live, aux, aux_static)

        def surrogate(datum: Datum, row_key: PRNGKeyArray, row: Float[Array, " F"]) -> Surrogate:
            q = AtFeatures(row, guide.family)
            return estimator(bound, p, q, datum, row_key, step=step, aux=carried)

        return surrogate

    def scheduled(state: PerDatumState) -> Int[Array, ""]:
        return jnp.full_like(state.step, _SETTLED) if settled else state.step

    def pass_key(state: PerDatumState, i: Int[Array, ""] | int) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.fold_in(state.key, state.step), i)

    def aux_after(aux: Any, gradient: Any, out: BatchSurrogate, step: Int[Array, ""]) -> Any:
        carried = estimator.update(eqx.combine(aux, aux_static), gradient, out.statistics, step)
        return eqx.filter(carried, eqx.is_array)

    def read(state: PerDatumState, positions: Int[Array, " B"]) -> _Rows:
        return _Rows(
            state.table.at[positions].get(mode="fill", fill_value=jnp.nan),
            jax.tree.map(lambda leaf: leaf.at[positions].get(mode="clip"), state.row_optimizers),
            state.aux,
            state.model,
            state.model_optimizer,
        )

    def e_step(
        state: PerDatumState, batch: Datum, positions: Int[Array, " B"],
        i: Int[Array, ""] | int, rows: _Rows,
    ) -> tuple[_Rows, Float[Array, ""]]:  # fmt: skip
        def loss(live: tuple[Any, Any]) -> tuple[Array, BatchSurrogate]:
            features, aux_live = live
            surrogate = one((rows.model, aux_live), rows.aux, scheduled(state))
            keys = jax.random.split(pass_key(state, i), num_rows(batch))
            out = batch_surrogate(surrogate, batch, keys, features, prepare=prepare)
            return -out.surrogate, out

        live = (rows.features, eqx.filter(rows.aux, eqx.is_inexact_array))
        (gradient, aux_gradient), out = jax.grad(loss, has_aux=True)(live)
        # The loss is a mean over the batch; a datum climbs its own bound.
        gradient = _shared(gradient * num_rows(batch), positions)

        def accepted() -> _Rows:
            features, moments = jax.vmap(
                lambda g, m, f: moved(row_optimizer, g, m, f, f, scale=state.scale, step=state.step)
            )(gradient, rows.optimizers, rows.features)
            aux = aux_after(rows.aux, aux_gradient, out, scheduled(state))
            return rows._replace(features=features, optimizers=moments, aux=aux)

        return taken(rows, out.value, (gradient, aux_gradient), accepted)

    def m_step(
        optimizer: optax.GradientTransformation, state: PerDatumState, batch: Datum, rows: _Rows
    ) -> tuple[_Rows, Float[Array, ""]]:
        def loss(live: tuple[Any, Any]) -> tuple[Array, BatchSurrogate]:
            surrogate = one(live, rows.aux, scheduled(state))
            keys = jax.random.split(pass_key(state, inner_steps), num_rows(batch))
            out = batch_surrogate(surrogate, batch, keys, rows.features, prepare=prepare)
            return -out.surrogate, out

        live = (rows.model, eqx.filter(rows.aux, eqx.is_inexact_array))
        (gradient, aux_gradient), out = jax.grad(loss, has_aux=True)(live)
        free, _ = movable(lambda live: loss(live)[0], live)

        def accepted() -> _Rows:
            model, moments = moved(
                optimizer, gradient, rows.model_optimizer, rows.model, rows.model,
                scale=state.scale, step=state.step, free=free,
            )  # fmt: skip
            aux = aux_after(rows.aux, aux_gradient, out, scheduled(state))
            return rows._replace(model=model, model_optimizer=moments, aux=aux)

        return taken(rows, out.value, (gradient, aux_gradient), accepted)

    def step(state: PerDatumState, batch: Datum) -> tuple[PerDatumState, Metrics]:
        positions = jax.vmap(guide.position)(batch)
        begun = read(state, positions)

        def body(i: Int[Array, ""], carry: tuple[_Rows, Array]) -> tuple[_Rows, Array]:
            rows, finite = carry
            rows, value = e_step(state, batch, positions, i, rows)
            return rows, finite & jnp.isfinite(value)

        carry = (begun, jnp.asarray(True))
        rows, finite = jax.lax.fori_loop(0, inner_steps - 1, body, carry)
        rows, value = e_step(state, batch, positions, inner_steps - 1, rows)
        finite &= jnp.isfinite(value)
        if model_optimizer is not None:
            rows, value = m_step(model_optimizer, state, batch, rows)
        # One pass that is not finite takes back the whole step.
        rows, value = taken(begun, jnp.where(finite, value, jnp.nan), (), lambda: rows)

        def stored(old: Array, new: Array) -> Array:
            return old.at[positions].set(new, mode="drop")

        ahead = state._replace(
            model=rows.model,
            model_optimizer=rows.model_optimizer,
            table=stored(state.table, rows.features),
            row_optimizers=jax.tree.map(stored, state.row_optimizers, rows.optimizers),
            aux=rows.aux,
            step=state.step + 1,
        )
        return ahead, {"bound": value}

    def inspect(state: PerDatumState, batch: Datum) -> Inspection:
        """The first pass of the next step that is not finite; its last pass, where all are."""
        positions = jax.vmap(guide.position)(batch)

        def looked(i: Int[Array, ""] | int, rows: _Rows) -> Inspection:
            aux_live = eqx.filter(rows.aux, eqx.is_inexact_array)

            def row(entry: tuple[Datum, PRNGKeyArray, Float[Array, " F"]]) -> Inspection:
                datum, key = row_key(*entry[:2], prepare=prepare)
                q = AtFeatures(entry[2], guide.family)
                seen, at = eqx.combine(rows.model, model_static), scheduled(state)
                return scored(
                    particles(seen, q, q, datum, key, bound.minted).terms,
                    lambda live: one(live[:2], rows.aux, at)(datum, key, live[2]).surrogate,
                    (rows.model, aux_live, entry[2]),
                )  # fmt: skip

            keys = jax.random.split(pass_key(state, i), num_rows(batch))
            return jax.lax.map(row, (batch, keys, rows.features))

        def on(carry: tuple[Array, _Rows, Inspection]) -> Array:
            i, _, found = carry
            finite = all_finite(jnp.sum(found.gradient_norm), found.terms)
            return finite & (i < last)

        def ahead(carry: tuple[Array, _Rows, Inspection]) -> tuple[Array, _Rows, Inspection]:
            i, rows, _ = carry
            rows, _ = e_step(state, batch, positions, i, rows)
            return i + 1, rows, looked(i + 1, rows)

        last = inner_steps - 1 if model_optimizer is None else inner_steps
        begun = read(state, positions)
        first = (jnp.zeros((), jnp.int32), begun, looked(0, begun))
        return jax.lax.while_loop(on, ahead, first)[2]

    def pair(state: PerDatumState) -> Pair:
        fitted = eqx.tree_at(lambda g: g.table, guide, state.table)
        return Pair(eqx.combine(state.model, model_static), fitted)

    return Algorithm(init, step, pair, rescale=rescaled, inspect=inspect)


def _shared(gradient: Float[Array, "B F"], positions: Int[Array, " B"]) -> Float[Array, "B F"]:
    """The gradient of each row of the table, at every place of the batch that holds the row.

    A row that comes twice moves once, by the sum: both places then store the same bits.
    """
    first = jnp.argmax(positions[:, None] == positions[None, :], axis=1)
    return jax.ops.segment_sum(gradient, first, positions.size)[first]
