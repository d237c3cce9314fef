"""`AbstractEstimator`: how the average behind a bound is differentiated.

An estimator mints particles with some slots frozen and returns two things: the value that is reported
and a surrogate of which only the gradient has a meaning. In expectation over the draws the gradient of
the surrogate is that of the bound's objective, as far as the estimator's `Claim`s say.

An estimator may carry a state of its own (a baseline network and its optimizer, a moving average, a
temperature). It travels as `aux`: the estimator reads it frozen in its surrogate, live in its
`aux_surrogate`, and moves it in `update`.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Choice, Datum
from taut.gradients.evaluations import Evaluations, num_draws

__all__ = ["AbstractEstimator", "Claim", "Surrogate"]


class Claim(NamedTuple):
    """What an estimator claims of its gradient for one bound.

    Attributes:
        bound: name of the bound.
        model: whether the gradient in the model's parameters is `unbiased` or `biased`.
        guide: the same for the guide's.
        shown_by: how exactness is shown: `enumeration`, `quadrature` or `piecewise`.
    """

    bound: str
    model: Literal["unbiased", "biased"]
    guide: Literal["unbiased", "biased"]
    shown_by: Literal["enumeration", "quadrature", "piecewise"]


class Surrogate(NamedTuple):
    """Two outputs for one datum.

    Attributes:
        value: the bound's value, reported; nats.
        surrogate: differentiated and maximised; its own value has no meaning.
        aux_surrogate: minimised in `aux` alone: its gradient reaches `update`.
        statistics: a pytree of arrays that is averaged over the batch, for `update`.
        objective: the objective at the same draws, for what weighs several surrogates by it; nats.
            None where none is given.
    """

    value: Float[Array, ""]
    surrogate: Float[Array, ""]
    aux_surrogate: Float[Array, ""] | float = 0.0
    statistics: Any = None
    objective: Float[Array, ""] | None = None


class AbstractEstimator(Choice, eqx.Module):
    """A way to differentiate a bound."""

    name: ClassVar[str]
    claims: ClassVar[tuple[Claim, ...]]

    @abstractmethod
    def __call__(
        self,
        bound: AbstractBound,
        model: AbstractModel,
        guide: Any,
        datum: Datum,
        key: PRNGKeyArray,
        *,
        step: Int[Array, ""] | int = 0,
        aux: Any = None,
    ) -> Surrogate:
        """Value and surrogate for one datum.

        Raises:
            InputError: the guide or the bound is not served, naming what would do.
        """

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        """What one datum costs in one step; once per particle of model and guide by default.

        Arguments:
            bound: what is differentiated.
            q: the proposal of one datum, which may fix the number of its draws or bring their
                density along; None prices independent draws that do neither.
        """
        draws = num_draws(bound, q)
        return Evaluations(model=draws, guide=draws)

    def departure(self, bound: AbstractBound) -> str | None:
        """In words, how the mean gradient differs from that of the bound's objective; None if equal."""
        return None

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> Any:
        """The estimator's own state before the first step; None when it has none.

        Arguments:
            key: random key.
            example: one row.
            guide: the guide that it will differentiate, from which a network reads the shape of z.
        """
        return None

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        """The estimator's state after a step; unchanged by default.

        Arguments:
            aux: its state.
            gradients: gradient of the batch mean of `aux_surrogate`, in the shape of `aux`; None
                for what is not a floating-point array.
            statistics: batch mean of `statistics`.
            step: number of the step.
        """
        return aux
