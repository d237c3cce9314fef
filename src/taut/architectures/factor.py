"""Linear factor models with exact posterior and evidence: `PPCA` and `FA`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.mixture import at_least_one, refuse_discrete
from taut.core import AbstractPair
from taut.data import Schema
from taut.guides import ExactPair
from taut.models.exact import FactorAnalysis, ProbabilisticPCA

__all__ = ["FA", "PPCA"]


@dataclass(frozen=True)
class PPCA(AbstractArchitecture):
    """Probabilistic PCA.

    Attributes:
        components: d, the number of factors.
    """

    name: ClassVar[str] = "ppca"
    default_floor: ClassVar[float] = 1e-6
    default_tolerance: ClassVar[float] = 1e-10  # iterations cost no pass over the data
    default_restarts: ClassVar[int] = 1  # every local maximum is global (Tipping and Bishop 1999)

    components: int = 4

    def __post_init__(self):
        at_least_one(self.components)

    def resolved(self, schema: Schema) -> tuple["PPCA", dict[str, str]]:
        return self, {}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        refuse_discrete(schema, where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        shift, scale, loadings = _start(schema, self.components, key)
        log_variance = jnp.log(jnp.mean(scale**2))
        model = ProbabilisticPCA(
            center=shift, loadings=loadings, log_variance=log_variance, shape=schema.shape
        )
        return ExactPair(model)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PPCA":
        """The inverse of `to_dict`."""
        return cls(**{k: v for k, v in content.items() if k != "name"})


@dataclass(frozen=True)
class FA(AbstractArchitecture):
    """Factor analysis.

    Attributes:
        components: d, the number of factors.
    """

    name: ClassVar[str] = "fa"
    default_floor: ClassVar[float] = 1e-6
    default_tolerance: ClassVar[float] = 1e-10
    default_restarts: ClassVar[int] = 1

    components: int = 4

    def __post_init__(self):
        at_least_one(self.components)

    def resolved(self, schema: Schema) -> tuple["FA", dict[str, str]]:
        return self, {}

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        refuse_discrete(schema, where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        shift, scale, loadings = _start(schema, self.components, key)
        model = FactorAnalysis(
            center=shift, loadings=loadings, log_variances=2 * jnp.log(scale), shape=schema.shape
        )
        return ExactPair(model)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FA":
        """The inverse of `to_dict`."""
        return cls(**{k: v for k, v in content.items() if k != "name"})


def _start(schema: Schema, rank: int, key: PRNGKeyArray) -> tuple[Any, Any, Any]:
    """Shift, scale and random loadings in the data's units."""
    shift, scale = (jnp.broadcast_to(v, schema.size).astype(float) for v in schema.shift_scale())
    noise = jax.random.normal(key, (schema.size, rank))
    return shift, scale, scale[:, None] * noise / jnp.sqrt(rank)
