"""Exponential moving average of the parameters along a run.

    average <- d average + (1 - d) parameters,    d = min(decay, (1 + t) / (10 + t))

The steps are those of the algorithm that is wrapped; what is read, validated and kept is the average.
The smaller d at the start keeps the average from remembering the initial parameters. Averaging the
iterates of stochastic ascent: Polyak and Juditsky 1992.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from taut.core import AbstractPair, Datum, InputError
from taut.inference.algorithm import Algorithm, Metrics

__all__ = ["AveragedState", "averaged"]


class AveragedState(NamedTuple):
    """State of an averaged algorithm.

    Attributes:
        inner: state of the algorithm that is wrapped.
        average: of the floating-point arrays of the pair.
        step: steps taken.
    """

    inner: Any
    average: Any
    step: Int[Array, ""]


def averaged(algorithm: Algorithm, decay: float) -> Algorithm:
    """The same algorithm, read through the average of its parameters.

    Arguments:
        algorithm: what moves.
        decay: from 0 (no averaging) to below 1; the average remembers about 1 / (1 - decay) steps.

    Raises:
        InputError: a decay outside [0, 1).
    """
    if not 0 <= decay < 1:
        raise InputError("a number in [0, 1)", f"{decay}", "0.999", where="ema")

    def arrays(state: Any) -> Any:
        return eqx.filter(algorithm.pair(state), eqx.is_inexact_array)

    def init() -> AveragedState:
        inner = algorithm.init()
        return AveragedState(inner, arrays(inner), jnp.zeros((), jnp.int32))

    def step(state: AveragedState, batch: Datum) -> tuple[AveragedState, Metrics]:
        inner, metrics = algorithm.step(state.inner, batch)
        d = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(
            lambda old, new: old + (1 - d).astype(old.dtype) * (new - old),
            state.average,
            arrays(inner),
        )
        return AveragedState(inner, average, state.step + 1), metrics

    def pair(state: AveragedState) -> AbstractPair:
        now = algorithm.pair(state.inner)
        return eqx.combine(state.average, eqx.filter(now, eqx.is_inexact_array, inverse=True))

    return algorithm._replace(
        init=init,
        step=step,
        pair=pair,
        rescale=_inside(algorithm.rescale),
        inspect=None
        if algorithm.inspect is None
        else lambda state, batch: algorithm.inspect(state.inner, batch),  # pyright: ignore[reportOptionalCall]
        finish=_inside(algorithm.finish),
    )


def _inside(move: Any) -> Any:
    """A map of the inner state as a map of the whole one."""
    if move is None:
        return None
    return lambda state, *arguments: state._replace(inner=move(state.inner, *arguments))
