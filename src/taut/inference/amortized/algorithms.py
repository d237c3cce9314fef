"""What moves the parameters of a fit: joint ascent, wake-sleep, or a codebook's averages beside it."""

from typing import Any, Literal

import optax

from taut.architectures import VQ, AbstractArchitecture
from taut.bounds import IWAE, AbstractBound
from taut.core import AbstractPair, InputError
from taut.gradients import AbstractEstimator
from taut.guides import QuantizedPair
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.codebook_averages import quantized
from taut.inference.amortized.joint import joint
from taut.inference.amortized.wake_sleep import wake_sleep

__all__ = ["WakeSleep", "algorithm", "check_gradient", "check_wake_sleep", "departures"]

WakeSleep = Literal["wake", "sleep", "both"]

_FITTED_TO = {
    "wake": "weighted draws at the data",
    "sleep": "dreams of the model",
    "both": "weighted draws at the data and dreams of the model",
}


def check_gradient(architecture: AbstractArchitecture, gradient: AbstractEstimator | None) -> None:
    """Refuse an estimator where the architecture leaves no choice."""
    if gradient is not None and isinstance(architecture, VQ):
        raise InputError(
            "no other gradient with vector quantization, which goes straight through the codes",
            gradient.name, "leaving out the gradient", where="gradient",
        )  # fmt: skip


def check_wake_sleep(
    architecture: AbstractArchitecture,
    bound: AbstractBound,
    gradient: AbstractEstimator | None,
    phi: WakeSleep,
) -> None:
    """Refuse what wake-sleep does not go together with.

    Raises:
        InputError: another bound than IWAE, an estimator, an architecture with steps of its own, or
            too few particles.
    """
    where = "wake-sleep"
    if isinstance(architecture, VQ):
        raise InputError(
            "a guide that draws z at random", "--model vq, whose codes are certain",
            "--model discrete", where=where,
        )  # fmt: skip
    if gradient is not None:
        raise InputError(
            "no estimator, for wake-sleep takes no gradient through draws",
            f"--gradient {gradient.name}", "leaving out one of them", where=where,
        )  # fmt: skip
    if not isinstance(bound, IWAE):
        raise InputError(
            "the bound iwae, which wake-sleep raises in the model", f"the bound '{bound.name}'",
            "--bound iwae", where=where,
        )  # fmt: skip
    if bound.num_particles < 2 and phi != "sleep":
        raise InputError(
            "at least two particles for the wake phase, which weighs them against each other",
            f"{bound.num_particles}", "--num-particles 5, or --wake-sleep sleep", where=where,
        )  # fmt: skip


def algorithm(
    architecture: AbstractArchitecture,
    pair: AbstractPair,
    bound: AbstractBound,
    gradient: AbstractEstimator | None,
    optimizer: optax.GradientTransformation,
    *,
    phi: WakeSleep | None = None,
    **options: Any,
) -> Algorithm:
    """The algorithm of a fit.

    Arguments:
        architecture: what the pair was made by.
        pair: initial parameters.
        bound: what is maximised.
        gradient: how it is differentiated; None with wake-sleep.
        optimizer: of all parameters; of each side with a state of its own in wake-sleep.
        phi: what wake-sleep fits the guide to; None for joint ascent.
        options: example, key and what the model sees of a stored datum.
    """
    if phi is not None:
        assert isinstance(bound, IWAE)  # checked before a run begins
        del options["example"]
        return wake_sleep(
            pair, optimizer, optimizer, num_particles=bound.num_particles, phi=phi, **options
        )
    if isinstance(architecture, VQ) and isinstance(pair, QuantizedPair):
        return quantized(
            pair,
            bound,
            optimizer,
            commitment=architecture.commitment,
            decay=architecture.decay,
            **options,
        )
    assert gradient is not None
    return joint(pair, bound, gradient, optimizer, **options)


def departures(
    architecture: AbstractArchitecture,
    bound: AbstractBound,
    gradient: AbstractEstimator | None,
    phi: WakeSleep | None,
    steps: int,
) -> dict[str, str]:
    """How what was climbed differs from the bound that is reported, in words; empty if it does not."""
    parts = [bound.departure(steps)]
    if isinstance(architecture, VQ):
        parts.append(
            f"the encoder also pays {architecture.commitment:g} times the squared distance to its code, "
            "and codes follow the averages of what they stand for, not the bound"
        )
    if phi is not None:
        parts.append(f"the guide is fitted to {_FITTED_TO[phi]}, not to the bound")
    whole = "; ".join(part for part in parts if part)
    differs = None if gradient is None else gradient.departure(bound)
    facts = {
        "objective differs from the bound": whole,
        "gradient differs from the bound's": differs,
    }
    return {name: text for name, text in facts.items() if text}
