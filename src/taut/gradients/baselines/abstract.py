"""`AbstractBaseline`: a prediction of the learning signal that never saw the draws it is taken from.

    E_q[b grad_phi log q(z | x)] = 0        for every b that does not depend on z

A baseline is a function of the datum and of batches past. The state is read as it was before the step
and moves after it: a baseline that the current draws have moved would bias the gradient.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Choice, Datum

__all__ = ["AbstractBaseline", "Centering"]


class Centering(NamedTuple):
    """What a baseline makes of the signal.

    Attributes:
        baseline: what is subtracted from the signal, nats, ().
        scale: what the guide's whole gradient is divided by, (); None for nothing.
    """

    baseline: Float[Array, ""]
    scale: Float[Array, ""] | None = None


class AbstractBaseline(Choice, eqx.Module):
    """Predicts the learning signal of a datum."""

    @abstractmethod
    def init(self, key: PRNGKeyArray, example: Datum) -> Any:
        """The state before the first step, from one row."""

    @abstractmethod
    def __call__(self, state: Any, datum: Datum) -> Centering:
        """The prediction for one datum from batches past."""

    @abstractmethod
    def loss(
        self, state: Any, datum: Datum, signal: Float[Array, " K"]
    ) -> Float[Array, ""] | float:
        """What is minimised in the state by gradients; 0 where it moves without."""

    @abstractmethod
    def statistics(self, state: Any, datum: Datum, signal: Float[Array, " K"]) -> Any:
        """Arrays that are averaged over the batch for `update`."""

    @abstractmethod
    def update(self, state: Any, gradients: Any, statistics: Any) -> Any:
        """The state after a step."""
