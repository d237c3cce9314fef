"""A temperature that falls with the step.

    T_t = max(T_least, T_0 exp(-r t))

Source: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax (2017), with
T_0 = 1, T_least = 0.5 and r of 1e-5 to 1e-4.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.core import Choice, InputError, chosen

__all__ = ["Temperature", "temperature_of"]


class Temperature(Choice, eqx.Module):
    """T_t as a function of the step.

    Attributes:
        start: T_0, positive.
        least: below which it does not fall, positive and at most `start`.
        rate: r, per step; 0 holds it at `start`.
    """

    name: ClassVar[str] = "falling"

    start: float = eqx.field(static=True, default=1.0)
    least: float = eqx.field(static=True, default=0.5)
    rate: float = eqx.field(static=True, default=3e-5)

    def __check_init__(self):
        if not 0 < self.least <= self.start:
            raise InputError(
                "0 < least <= start",
                f"least = {self.least:g} and start = {self.start:g}",
                "start=1, least=0.5",
                where="temperature",
            )
        if not self.rate >= 0:
            raise InputError("a rate of at least 0", f"{self.rate:g}", "3e-5", where="temperature")

    def __call__(self, step: Int[Array, ""] | int) -> Float[Array, ""]:
        """T_t, ()."""
        return jnp.maximum(self.least, self.start * jnp.exp(-self.rate * jnp.asarray(step, float)))


def temperature_of(content: Any) -> Temperature:
    """A temperature from its plain value; one number holds it there.

    Raises:
        InputError: an option that it does not have, or a number that is not positive.
    """
    if isinstance(content, int | float):
        return Temperature(start=float(content), least=float(content), rate=0.0)
    return chosen({Temperature.name: Temperature}, content, "temperature")
