"""The choices of a recipe with those that it leaves open."""

from typing import NamedTuple

from taut.bounds import AbstractBound
from taut.gradients import AbstractEstimator
from taut.inference import AbstractAmortized
from taut.recipe.recipe import Recipe

__all__ = ["Completed", "completed"]


class Completed(NamedTuple):
    """What a fit is made by, with nothing left open.

    Attributes:
        inference: how the parameters are found.
        bound: what is maximised.
        gradient: how it is differentiated; None where the inference takes none.
        why: the reason for the gradient; None where it was asked for or there was no choice.
    """

    inference: AbstractAmortized
    bound: AbstractBound
    gradient: AbstractEstimator | None
    why: str | None


def completed(recipe: Recipe) -> Completed:
    """The choices of a recipe whose inference goes over batches.

    Raises:
        InputError: choices that do not go together.
    """
    inference, model = recipe.inference, recipe.model
    assert isinstance(inference, AbstractAmortized)  # as the caller has it
    inference.check(model, recipe.bound, recipe.gradient)
    bound = recipe.bound or inference.default_bound(model)
    gradient, why = recipe.gradient, None
    if gradient is None and inference.takes_gradient:
        gradient, why = model.gradient(bound)
    return Completed(inference, bound, gradient, why)
