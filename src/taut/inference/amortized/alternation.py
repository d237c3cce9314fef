"""Who moves at which step: schedules for alternating ascent.

    E-step    phi moves, theta rests: the gap KL(q to posterior) shrinks, the evidence stays
    M-step    theta moves, phi rests: the bound rises for the data as q sees them
    both      the two steps at once

A schedule is a pure function of its own state, which is made of arrays and travels in the algorithm's
state. Each step of the loop, with its own batch, is one E-step, one M-step or both.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.core import InputError, option

__all__ = ["BOTH", "E_STEP", "M_STEP", "AbstractAlternation", "Alternate", "at_least_one"]

E_STEP, M_STEP, BOTH = 0, 1, 2


class AbstractAlternation(eqx.Module):
    """Decides which side moves at the next step."""

    @abstractmethod
    def init(self) -> Any:
        """The state before the first step, a pytree of arrays."""

    @abstractmethod
    def phase(self, state: Any) -> Int[Array, ""]:
        """`E_STEP`, `M_STEP` or `BOTH`."""

    @abstractmethod
    def advance(self, state: Any, bound: Float[Array, ""], guide: Any) -> Any:
        """The state after a step.

        Arguments:
            state: before the step.
            bound: the step's batch mean of the bound, nats per row.
            guide: q(z | x) after the step.
        """


class Alternate(AbstractAlternation):
    """`e_steps` E-steps, then `m_steps` M-steps, and again.

    Attributes:
        e_steps: from 1.
        m_steps: from 1.
    """

    e_steps: int = eqx.field(static=True, default=1)
    m_steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        at_least_one(self.e_steps, "e_steps")
        at_least_one(self.m_steps, "m_steps")

    def init(self) -> Int[Array, ""]:
        return jnp.zeros((), jnp.int32)

    def phase(self, state: Any) -> Int[Array, ""]:
        return jnp.where(state < self.e_steps, E_STEP, M_STEP)

    def advance(self, state: Any, bound: Float[Array, ""], guide: Any) -> Any:
        return (state + 1) % (self.e_steps + self.m_steps)


def at_least_one(value: int, name: str) -> None:
    """Refuse a number of steps below 1.

    Raises:
        InputError: names the option.
    """
    if value < 1:
        raise InputError("a whole number of at least 1", f"{value}", "1", where=option(name))
