"""Exponentially weighted moments of what past batches held.

    s_t = decay s_{t-1} + (1 - decay) x_t,        mean = s_t / (1 - decay^t)

The divisor is itself such an average, of ones. Before the first batch the mean is 0.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import InputError

__all__ = ["RunningMoments", "check_decay"]


class RunningMoments(NamedTuple):
    """Sums whose ratios are moments; each is ().

    Attributes:
        ones: of 1.
        first: of the signal, nats.
        second: of its square.
    """

    ones: Float[Array, ""]
    first: Float[Array, ""]
    second: Float[Array, ""]

    @staticmethod
    def empty() -> "RunningMoments":
        return RunningMoments(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

    @property
    def mean(self) -> Float[Array, ""]:
        return self.first / self._divisor

    @property
    def variance(self) -> Float[Array, ""]:
        return jnp.maximum(self.second / self._divisor - self.mean**2, 0.0)

    @property
    def _divisor(self) -> Float[Array, ""]:
        return jnp.where(self.ones > 0, self.ones, 1.0)

    def after(
        self, decay: float, first: Float[Array, ""], second: Float[Array, ""]
    ) -> "RunningMoments":
        """With a batch's means of the signal and of its square added."""
        fresh = (jnp.ones_like(first), first, second)
        moved = [decay * old + (1.0 - decay) * new for old, new in zip(self, fresh, strict=True)]
        return RunningMoments(*moved)


def check_decay(decay: float) -> None:
    """Refuse a decay that forgets everything or nothing.

    Raises:
        InputError: names the option.
    """
    if not 0 <= decay < 1:
        raise InputError("a decay of at least 0 and below 1", f"{decay}", "0.9", where="decay")
