"""`AbstractBound`: a function of `Particles`, with the side that it is on.

Two outputs with two names: the value that is reported, always in honest units, and the objective that
is maximised, which may differ from it (beta, warm-up, free bits).
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, Int

from taut.core import Choice, Particles, Side

__all__ = ["AbstractBound"]


class AbstractBound(Choice, eqx.Module):
    """A function of weighted draws for one datum, in nats per row."""

    name: ClassVar[str]
    linear: ClassVar[bool]
    """True when the value is linear in the log-weights, so that minibatches over plates are unbiased."""

    @property
    @abstractmethod
    def minted(self) -> int:
        """How many draws one value takes from the mint."""

    @property
    def separable(self) -> bool:
        """True when the objective is the mass-weighted sum over draws of what it is at each alone."""
        return self.minted == 1

    @property
    def kl_weights(self) -> tuple[str, ...]:
        """The options by which the objective weighs KL(q to p(z)) otherwise than the value does."""
        return ()

    @property
    @abstractmethod
    def side(self) -> Side:
        """On which side of log p(x) the value lies in expectation over the draws."""

    @abstractmethod
    def __call__(self, particles: Particles) -> Float[Array, ""]:
        """The value that is reported, nats."""

    @abstractmethod
    def objective(self, particles: Particles, step: Int[Array, ""] | int) -> Float[Array, ""]:
        """What is maximised at this optimisation step, nats; the value itself for most bounds."""

    def departure(self, num_steps: int) -> str | None:
        """In words, how the objective after `num_steps` still differs from the value; None if equal."""
        return None
