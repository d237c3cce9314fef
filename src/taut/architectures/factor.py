"""Linear factor models with exact posterior and evidence: `PPCA` and `FA`."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.architectures.closed_form import AbstractClosedForm, refuse_discrete
from taut.core import AbstractPair
from taut.data import Schema
from taut.guides import ExactPair
from taut.models.exact import AbstractFactorModel, FactorAnalysis, ProbabilisticPCA, varying

__all__ = ["FA", "PPCA"]


@dataclass(frozen=True)
class AbstractFactors(AbstractClosedForm):
    """Linear factors.

    Attributes:
        components: number of factors, each a dimension of z.
    """

    default_tolerance: ClassVar[float] = 1e-6  # iterations cost no pass over the data
    default_restarts: ClassVar[int] = 1  # every local maximum is global (Tipping and Bishop 1999)
    default_iterations: ClassVar[int] = 20_000

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        refuse_discrete(schema, where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        constants = schema.constants()
        shift, scale = (
            varying(jnp.broadcast_to(v, schema.size).astype(float), constants)
            for v in schema.shift_scale()
        )
        noise = jax.random.normal(key, (len(shift), self.components))
        loadings = scale[:, None] * noise / jnp.sqrt(self.components)
        return ExactPair(self.model(schema, shift, scale, loadings))

    @abstractmethod
    def model(
        self,
        schema: Schema,
        shift: Float[Array, " D"],
        scale: Float[Array, " D"],
        loadings: Float[Array, "D d"],
    ) -> AbstractFactorModel:
        """The model at the data's shift and scale with the given loadings, in the data's units."""


@dataclass(frozen=True)
class PPCA(AbstractFactors):
    """Probabilistic PCA, linear with one noise variance, and with exact evidence."""

    name: ClassVar[str] = "ppca"
    default_inference: ClassVar[str] = "em"

    def model(
        self,
        schema: Schema,
        shift: Float[Array, " D"],
        scale: Float[Array, " D"],
        loadings: Float[Array, "D d"],
    ) -> AbstractFactorModel:
        log_variance = jnp.log(jnp.mean(scale**2))
        return ProbabilisticPCA(
            center=shift,
            loadings=loadings,
            log_variance=log_variance,
            shape=schema.shape,
            constants=schema.constants(),
        )


@dataclass(frozen=True)
class FA(AbstractFactors):
    """Factor analysis, linear with a noise variance for each column, and with exact evidence."""

    name: ClassVar[str] = "fa"
    default_inference: ClassVar[str] = "em"

    def model(
        self,
        schema: Schema,
        shift: Float[Array, " D"],
        scale: Float[Array, " D"],
        loadings: Float[Array, "D d"],
    ) -> AbstractFactorModel:
        return FactorAnalysis(
            center=shift,
            loadings=loadings,
            log_variances=2 * jnp.log(scale),
            shape=schema.shape,
            constants=schema.constants(),
        )
