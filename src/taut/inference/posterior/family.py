"""`AbstractFamily`: what is needed of a variational family once a member of it has been fitted."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.log_density import LogDensity

__all__ = ["AbstractFamily"]


class AbstractFamily(ABC):
    """A family of guides q(z): draws and densities of its members, on the host.

    Attributes:
        log_density: log p(x, z).
    """

    log_density: LogDensity

    @abstractmethod
    def sample(
        self, guide: Any, generator: np.random.Generator, count: int
    ) -> Float[np.ndarray, "K d"]:
        """Independent draws of z."""

    @abstractmethod
    def log_q(self, guide: Any, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        """The guide's log-density, nats."""

    @abstractmethod
    def moments(self, guide: Any) -> Gaussian:
        """A Gaussian with the guide's mean and about its covariance."""

    @abstractmethod
    def guide(self, guide: Any) -> Any:
        """The guide as a callable pytree, from a datum to a proposal."""
