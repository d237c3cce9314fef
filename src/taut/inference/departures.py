"""How what a run climbed differs from the bound that it reports, in words."""

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.gradients import AbstractEstimator
from taut.inference.abstract import AbstractInference

__all__ = ["departures"]


def departures(
    inference: AbstractInference,
    architecture: AbstractArchitecture,
    bound: AbstractBound,
    gradient: AbstractEstimator | None,
    steps: int,
) -> dict[str, str]:
    """Differences by their kind; empty where there is none.

    Arguments:
        inference: how the parameters were found.
        architecture: what the pair was made by.
        bound: what was maximised.
        gradient: how it was differentiated; None where the inference takes none.
        steps: taken before the parameters were kept.
    """
    parts = [bound.departure(steps), inference.departure(architecture)]
    whole = "; ".join(part for part in parts if part)
    differs = None if gradient is None else gradient.departure(bound)
    facts = {
        "objective differs from the bound": whole,
        "gradient differs from the bound's": differs,
    }
    return {name: text for name, text in facts.items() if text}
