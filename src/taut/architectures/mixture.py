"""Mixtures with exact posterior and evidence: `GMM` for numbers, `LCA` for binary and other codes."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.closed_form import AbstractClosedForm, refuse_discrete
from taut.core import AbstractPair, InputError, nearest, option
from taut.data import Schema
from taut.guides import ExactPair
from taut.models.exact import COVARIANCES, GaussianMixture, LatentClass

__all__ = ["GMM", "LCA"]


@dataclass(frozen=True)
class GMM(AbstractClosedForm):
    """A Gaussian mixture, with exact evidence.

    Attributes:
        components: number of Gaussians.
        covariance: `full`, `tied` (one for all components), `diag`, or `spherical`.
    """

    name: ClassVar[str] = "gmm"
    default_inference: ClassVar[str] = "em"

    covariance: str = "full"

    def __post_init__(self):
        super().__post_init__()
        if self.covariance not in COVARIANCES:
            raise InputError(
                f"one of {', '.join(COVARIANCES)}", repr(self.covariance),
                nearest(self.covariance, COVARIANCES), where="covariance",
            )  # fmt: skip

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        refuse_discrete(schema, where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        shift, scale = (jnp.broadcast_to(v, schema.size) for v in schema.shift_scale())
        noise = jax.random.normal(key, (self.components, schema.size))
        model = GaussianMixture(
            logits=jnp.zeros(self.components),
            means=(shift + scale * noise).astype(float),
            scale=COVARIANCES[self.covariance].isotropic(scale.astype(float), self.components),
            kind=self.covariance,
            shape=schema.shape,
        )
        return ExactPair(model)


@dataclass(frozen=True)
class LCA(AbstractClosedForm):
    """Latent class analysis, a mixture for binary or categorical data, with exact evidence.

    Attributes:
        components: number of classes.
        levels: number of values that a cell can take; None for what the data have.
    """

    name: ClassVar[str] = "lca"
    default_inference: ClassVar[str] = "em"
    default_floor: ClassVar[float] = 1.0  # Laplace's rule, as in the independent-columns baseline

    levels: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.levels is not None and self.levels < 2:
            raise InputError("at least two levels", f"{self.levels}", "2", where="levels")

    def resolved(self, schema: Schema) -> tuple["LCA", dict[str, str]]:
        if self.levels is not None:
            return self, {}
        levels = 2 if schema.support == "binary" else schema.levels
        if levels is None:
            raise InputError(
                "cells with a known number of values", f"support '{schema.support}'",
                f"{option('levels', 5)} for codes 0 to 4", where="levels",
            )  # fmt: skip
        return replace(self, levels=levels), {"levels": f"{schema.support} cells"}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        if schema.support in ("real", "unit"):
            raise InputError(
                "binary, grey, count or categorical cells", f"{schema.support} ones",
                option("model", "gmm"),
                where=where,
            )  # fmt: skip
        architecture, _ = self.resolved(schema)
        largest = float(x.max()) * architecture._top(schema)
        if round(largest) >= (architecture.levels or 0):
            raise InputError(
                f"values 0..{(architecture.levels or 0) - 1}", f"{largest:g}",
                option("levels", round(largest) + 1), where=where,
            )  # fmt: skip

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        architecture, _ = self.resolved(schema)
        shape = (self.components, math.prod(schema.shape), architecture.levels or 0)
        log_theta = jax.nn.log_softmax(jax.random.normal(key, shape), axis=2)
        logits = jnp.zeros(self.components)
        return ExactPair(LatentClass(logits, log_theta, schema.shape, architecture._top(schema)))

    def _top(self, schema: Schema) -> int:
        """Grey levels are held as multiples of 1 / (levels - 1), everything else as codes."""
        return (self.levels or 0) - 1 if schema.support == "grey" else 1
