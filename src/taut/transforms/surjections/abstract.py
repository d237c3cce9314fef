"""The two kinds of surjection, named by the direction that is a function (SurVAE Flows, table 1).

    AbstractInferenceSurjection    z = f(x), x drawn: the layer's number is exact
    AbstractGenerativeSurjection   x = g(z), z drawn: a lower bound, exact where a fibre is summed over

Source: Nielsen et al., SurVAE Flows (NeurIPS 2020), section 3.
"""

from abc import abstractmethod
from typing import Any, ClassVar

from jaxtyping import Array

from taut.core import Terms
from taut.transforms.abstract import AbstractLayer, Encoded, Key, Kind

__all__ = ["AbstractGenerativeSurjection", "AbstractInferenceSurjection"]


class AbstractInferenceSurjection(AbstractLayer):
    """z is a function of x; x is drawn given z."""

    kind: ClassVar[Kind] = "surjective"
    deterministic_encode: ClassVar[bool] = True
    deterministic_decode: ClassVar[bool] = False

    @abstractmethod
    def latent_of(self, x: Any) -> Any:
        """z = f(x), of shape `z_shape`."""

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        return Encoded(self.latent_of(x), {})

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {}


class AbstractGenerativeSurjection(AbstractLayer):
    """x is a function of z; z is drawn given x."""

    kind: ClassVar[Kind] = "surjective"
    deterministic_encode: ClassVar[bool] = False
    deterministic_decode: ClassVar[bool] = True

    @abstractmethod
    def data_of(self, z: Any) -> Any:
        """x = g(z), of shape `x_shape`."""

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return self.data_of(z)
