"""The mean learning signal of past batches, exponentially weighted (Williams 1992)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.gradients.baselines.abstract import AbstractBaseline, Centering
from taut.gradients.baselines.running_moments import RunningMoments, check_decay

__all__ = ["MovingAverage"]


class MovingAverage(AbstractBaseline):
    """One number for all data.

    Attributes:
        decay: weight of the past against the next batch.
    """

    name: ClassVar[str] = "moving-average"

    decay: float = eqx.field(static=True, default=0.9)

    def __check_init__(self):
        check_decay(self.decay)

    def init(self, key: PRNGKeyArray, example: Datum) -> RunningMoments:
        return RunningMoments.empty()

    def __call__(self, state: RunningMoments, datum: Datum) -> Centering:
        return Centering(state.mean)

    def loss(self, state: RunningMoments, datum: Datum, signal: Float[Array, " K"]) -> float:
        return 0.0

    def statistics(
        self, state: RunningMoments, datum: Datum, signal: Float[Array, " K"]
    ) -> tuple[Array, Array]:
        return jnp.mean(signal), jnp.mean(signal**2)

    def update(
        self, state: RunningMoments, gradients: object, statistics: tuple[Array, Array]
    ) -> RunningMoments:
        return state.after(self.decay, *statistics)
