"""The choices of a recipe with those that it leaves open, and without those that nothing comes of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from taut.bounds import AbstractBound
from taut.gradients import AbstractEstimator
from taut.inference import INFERENCES, AbstractAmortized, AbstractExact
from taut.recipe.recipe import Recipe

__all__ = ["Completed", "choices_of_use", "completed"]


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


def choices_of_use(content: Mapping[str, Any]) -> dict[str, Any]:
    """What config.toml holds, without choices that its inference makes no use of.

    EM takes no steps: what is left of its training is the precision, which is always float64, and the
    head of a target. Its evidence is exact, without particles.
    """
    inference = content.get("inference")
    name = inference.get("name") if isinstance(inference, Mapping) else inference
    if not issubclass(INFERENCES.get(str(name), AbstractAmortized), AbstractExact):
        return dict(content)
    told = {part: value for part, value in content.items() if part != "evidence"}
    training, target = content.get("training", {}), content.get("data", {}).get("target")
    head = {"head": training["head"]} if target is not None and "head" in training else {}
    return {**told, "training": {"precision": "float64", **head}}
