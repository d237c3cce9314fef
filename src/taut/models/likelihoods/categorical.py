"""Categorical likelihood: a cell is one of `levels` codes.

log p(x | l) = l_x - log sum_c e^(l_c),        l = the outputs, one logit per category
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped
from numpyro.distributions import CategoricalLogits, Distribution

from taut.core import InputError, option
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_mean

__all__ = ["Categorical"]


class Categorical(AbstractLikelihood):
    """x in {0, ..., levels-1}, as integers or as whole floats, with `levels` logits per cell."""

    name: ClassVar[str] = "categorical"
    discrete: ClassVar[bool] = True
    levels: int = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(self, *, levels: int):
        if levels < 2:
            raise InputError("at least 2 levels", str(levels), "levels=2", where="levels")
        self.levels = self.num_outputs = levels

    def __call__(self, outputs: Float[Array, "levels *data"]) -> Distribution:
        return CategoricalLogits(jnp.moveaxis(outputs, 0, -1), validate_args=False)

    def mean(self, outputs: Float[Array, "levels *data"]) -> Float[Array, "*data"]:
        """E[code], cell by cell; a summary only where the codes are ordered, as grey levels are."""
        codes = jnp.arange(self.levels, dtype=outputs.dtype)
        return jnp.tensordot(codes, jax.nn.softmax(outputs, axis=0), axes=1)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_first(
            ~(np.isnan(x) | ((x >= 0) & (x < self.levels) & (x == np.floor(x)))),
            x,
            where=where,
            expected=f"a category code in 0..{self.levels - 1}",
            remedy=(
                f"{option('likelihood', 'gaussian')} for reals, "
                f"{option('likelihood', 'negative-binomial')} for counts"
            ),
        )

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        counted = len(x) if weight is None else jnp.sum(weight, axis=0)
        share = jnp.stack([column_mean(x == code, weight) for code in range(self.levels)])
        # Laplace's rule: one row of each code beside those counted.
        logits = jnp.log((counted * share + 1) / (counted + self.levels))
        return Start(self, logits, jnp.ones_like(logits))

    def options(self) -> dict[str, Any]:
        return {"levels": self.levels}

    def _values(self, x: Shaped[Array, "*data"]) -> Int[Array, "*data"]:
        return x.astype(int)
