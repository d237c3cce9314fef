"""The prior as a guide, q(z | x) = p(z): its log-weights are the log-likelihoods of prior draws."""

from typing import Any

import equinox as eqx

from taut.core import AbstractModel, Datum

__all__ = ["PriorGuide"]


class PriorGuide(eqx.Module):
    """Proposes from the model's prior whatever the datum is."""

    model: AbstractModel

    def __call__(self, datum: Datum) -> Any:
        return self.model.prior()
