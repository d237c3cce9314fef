"""`CodebookAverages`: ascent for the networks, moving averages for the codes of a codebook."""

from dataclasses import dataclass
from typing import ClassVar

from taut.architectures import VQ, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, option
from taut.gradients import AbstractEstimator
from taut.guides import QuantizedPair
from taut.inference.abstract import Claims
from taut.inference.algorithm import Algorithm
from taut.inference.amortized.abstract import AbstractAmortized, Problem
from taut.inference.amortized.check import refuse_kl_weights
from taut.inference.amortized.codebook_averages import quantized

__all__ = ["CodebookAverages"]


@dataclass(frozen=True)
class CodebookAverages(AbstractAmortized):
    """Training of a VQ-VAE, whose codes follow averages of the encoder's outputs.

    The weight of the commitment and the decay of the averages are choices of the architecture.
    """

    name: ClassVar[str] = "codebook-averages"
    claims: ClassVar[Claims] = Claims(raises="none", guides="nearest-codes")
    takes_gradient: ClassVar[bool] = False

    def check(
        self,
        architecture: AbstractArchitecture,
        bound: AbstractBound | None,
        gradient: AbstractEstimator | None,
    ) -> None:
        """Refuse a model without a codebook, an estimator, draws that would be the same, and a weight of
        the KL.

        Raises:
            InputError: names what would do.
        """
        if not isinstance(architecture, VQ):
            raise InputError(
                f"{option('model', 'vq')}, whose codes are averages", option("model", architecture.name),
                option("inference", architecture.default_inference), where="inference",
            )  # fmt: skip
        if gradient is not None:
            raise InputError(
                "no other gradient with vector quantization, which goes straight through the codes",
                gradient.name, "leaving out the gradient", where="gradient",
            )  # fmt: skip
        if bound is not None and bound.minted > 1:
            raise InputError(
                "one draw of each row's codes, which are certain", f"{bound.minted}",
                f"{option('bound', 'elbo')} with {option('num_draws', 1)}", where="bound",
            )  # fmt: skip

        if bound is not None:
            refuse_kl_weights(bound, "codes that are all as probable, whose KL is one number")

    def algorithm(self, problem: Problem) -> Algorithm:
        assert isinstance(problem.architecture, VQ)  # as `check` has it
        assert isinstance(problem.pair, QuantizedPair)
        return quantized(
            problem.pair,
            problem.bound,
            problem.optimizer,
            commitment=problem.architecture.commitment,
            decay=problem.architecture.decay,
            example=problem.example,
            key=problem.key,
            prepare=problem.prepare,
        )

    def departure(self, architecture: AbstractArchitecture) -> str | None:
        assert isinstance(architecture, VQ)
        return (
            f"the encoder also pays {architecture.commitment:g} times the squared distance to its code, "
            "and codes follow the averages of what they stand for, not the bound"
        )
