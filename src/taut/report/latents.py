"""What a picture of latents may show beside them."""

from typing import Any

from taut.models import StandardNormal

__all__ = ["has_normal_prior"]


def has_normal_prior(model: Any) -> bool:
    """Whether p(z) is N(0, I): the prior of a decoder, or the base of a chain of layers."""
    family = getattr(model, "prior_family", getattr(model, "base", None))
    return isinstance(family, StandardNormal)
