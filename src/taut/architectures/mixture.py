"""Mixtures with exact posterior and evidence: `GMM` for numbers, `LCA` for binary and other codes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.core import AbstractPair, InputError, nearest
from taut.data import Schema
from taut.guides import ExactPair
from taut.models.exact import COVARIANCES, GaussianMixture, LatentClass

__all__ = ["GMM", "LCA"]


@dataclass(frozen=True)
class GMM(AbstractArchitecture):
    """A Gaussian mixture.

    Attributes:
        components: K.
        covariance: `full`, `tied`, `diag` or `spherical`.
    """

    name: ClassVar[str] = "gmm"
    default_floor: ClassVar[float] = 1e-6
    default_tolerance: ClassVar[float] = 1e-6
    default_restarts: ClassVar[int] = 4

    components: int = 4
    covariance: str = "full"

    def __post_init__(self):
        at_least_one(self.components)
        if self.covariance not in COVARIANCES:
            raise InputError(
                f"one of {', '.join(COVARIANCES)}", repr(self.covariance),
                nearest(self.covariance, COVARIANCES), where="covariance",
            )  # fmt: skip

    def resolved(self, schema: Schema) -> tuple["GMM", dict[str, str]]:
        return self, {}

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

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "GMM":
        """The inverse of `to_dict`."""
        return cls(**{k: v for k, v in content.items() if k != "name"})


@dataclass(frozen=True)
class LCA(AbstractArchitecture):
    """Latent class analysis: a mixture of independent Bernoullis or categoricals.

    Attributes:
        components: K, the number of classes.
        levels: V, the number of values of a cell; None takes it from the data.
    """

    name: ClassVar[str] = "lca"
    default_floor: ClassVar[float] = 1.0  # Laplace's rule, as in the independent-columns baseline
    default_tolerance: ClassVar[float] = 1e-6
    default_restarts: ClassVar[int] = 4

    components: int = 4
    levels: int | None = None

    def __post_init__(self):
        at_least_one(self.components)
        if self.levels is not None and self.levels < 2:
            raise InputError("at least two levels", f"{self.levels}", "2", where="levels")

    def resolved(self, schema: Schema) -> tuple["LCA", dict[str, str]]:
        if self.levels is not None:
            return self, {}
        levels = 2 if schema.support == "binary" else schema.levels
        if levels is None:
            raise InputError(
                "cells with a known number of values", f"support '{schema.support}'",
                "LCA(levels=V) for codes 0..V-1", where="levels",
            )  # fmt: skip
        return replace(self, levels=levels), {"levels": f"{schema.support} cells"}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        if schema.support in ("real", "unit"):
            raise InputError(
                "binary, grey, count or categorical cells", f"{schema.support} ones", "--model gmm",
                where=where,
            )  # fmt: skip
        architecture, _ = self.resolved(schema)
        largest = float(x.max()) * architecture._top(schema)
        if round(largest) >= (architecture.levels or 0):
            raise InputError(
                f"values 0..{(architecture.levels or 0) - 1}", f"{largest:g}",
                f"levels={round(largest) + 1}", where=where,
            )  # fmt: skip

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        architecture, _ = self.resolved(schema)
        shape = (self.components, math.prod(schema.shape), architecture.levels or 0)
        log_theta = jax.nn.log_softmax(jax.random.normal(key, shape), axis=2)
        logits = jnp.zeros(self.components)
        return ExactPair(LatentClass(logits, log_theta, schema.shape, architecture._top(schema)))

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LCA":
        """The inverse of `to_dict`."""
        return cls(**{k: v for k, v in content.items() if k != "name"})

    def _top(self, schema: Schema) -> int:
        """Grey levels are held as multiples of 1 / (levels - 1), everything else as codes."""
        return (self.levels or 0) - 1 if schema.support == "grey" else 1


def at_least_one(components: int) -> None:
    """Refuse a number of components below one."""
    if components < 1:
        raise InputError("at least one component", f"{components}", "1 or more", where="components")


def refuse_discrete(schema: Schema, where: str) -> None:
    """Refuse cells that a Gaussian density makes no sense of."""
    if schema.support in ("binary", "categorical"):
        raise InputError(
            "numbers, which a Gaussian is a density of", f"{schema.support} cells", "--model lca",
            where=where,
        )  # fmt: skip
