"""Geometries: in which direction a step goes, given the gradient by z. Each is named for what it is.

With J = U S V^T the Jacobian of g at z, and grad s the gradient by x, a step of length lambda moves x by

    plain, normalised     lambda U S^2 U^T grad s              to first order, whatever g is
    tangent               the same, of the largest S alone
    pull-back             lambda U U^T grad s                  the projection onto the tangent space
    x-space               lambda grad s                        which leaves the data
    momentum, adam        no such statement

Plain ascent suppresses a direction in which the data do not vary by the square of its singular value.
The pull-back metric takes the suppression away and keeps the projection, so that nothing is left of it
where J is square: U U^T is then the identity, and the step is that of x-space.

Source: Dombrowski, Gerken, Müller and Kessel, Diffeomorphic counterfactuals with generative models
(2022), section 4.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import Choice, InputError, counted

__all__ = [
    "GEOMETRIES",
    "AbstractGeometry",
    "Adam",
    "Momentum",
    "Normalised",
    "Plain",
    "PullBack",
    "Tangent",
    "XSpace",
]

Decode = Callable[[Array], Array]
_OUTSIDE = "the first-order statement does not hold of its steps, whose drift is reported"


@dataclass(frozen=True)
class AbstractGeometry(Choice, ABC):
    """A direction of ascent by z.

    Attributes:
        line_search: True where steps are taken back until the score rises.
        note: what a reader of the results must know; empty where the statement of the module holds.
    """

    line_search: ClassVar[bool] = True
    note: ClassVar[str] = ""

    def memory(self, z: Float[Array, " d"]) -> Any:
        """What is kept between steps, at the start."""
        return ()

    @abstractmethod
    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        """The direction of the next step, and what is kept.

        Arguments:
            decode: g.
            z: where.
            gradient: J^T grad s.
            memory: as the last step left it.
        """

    def check(self, x_size: int, z_size: int) -> None:
        """Refuse a generator between these sizes.

        Raises:
            InputError: the geometry has no meaning there.
        """


@dataclass(frozen=True)
class Plain(AbstractGeometry):
    """Plain gradient ascent in latent space with backtracking: to first order it stays on the data."""

    name: ClassVar[str] = "plain"

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        return gradient, memory


@dataclass(frozen=True)
class Normalised(AbstractGeometry):
    """The gradient divided by its length: the path of plain ascent, in steps of even length."""

    name: ClassVar[str] = "normalised"

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        return gradient / _length(gradient), memory


@dataclass(frozen=True)
class Momentum(AbstractGeometry):
    """Gradients of earlier steps are added, each with a lower weight.

    Attributes:
        decay: factor of what is kept at each step, from 0 to below 1.
    """

    name: ClassVar[str] = "momentum"
    line_search: ClassVar[bool] = False
    note: ClassVar[str] = f"momentum adds gradients of other points: {_OUTSIDE}"

    decay: float = 0.9

    def memory(self, z: Float[Array, " d"]) -> Any:
        return jnp.zeros_like(z)

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        kept = self.decay * memory + (1 - self.decay) * gradient / _length(gradient)
        return kept, kept


@dataclass(frozen=True)
class Adam(AbstractGeometry):
    """Adam, as most published codes take it: each latent dimension in a scale of its own."""

    name: ClassVar[str] = "adam"
    line_search: ClassVar[bool] = False
    note: ClassVar[str] = f"adam divides each dimension by its own scale: {_OUTSIDE}"

    def memory(self, z: Float[Array, " d"]) -> Any:
        return jnp.zeros_like(z), jnp.zeros_like(z), jnp.zeros((), z.dtype)

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        mean, square, count = memory
        mean, square, count = (
            0.9 * mean + 0.1 * gradient,
            0.999 * square + 0.001 * gradient**2,
            count + 1,
        )
        size = jnp.sqrt(square / (1 - 0.999**count)) + 1e-8
        return mean / (1 - 0.9**count) / size, (mean, square, count)


@dataclass(frozen=True)
class Tangent(AbstractGeometry):
    """Plain ascent within the directions of the largest singular values.

    Attributes:
        cutoff: share of the largest singular value below which a direction is normal to the data.
    """

    name: ClassVar[str] = "tangent"

    cutoff: float = 0.1

    def __post_init__(self):
        if not 0 <= self.cutoff <= 1:
            raise InputError("a share from 0 to 1", f"{self.cutoff}", "0.1", where="cutoff")

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        values, vectors = jnp.linalg.eigh(_metric(decode, z))
        kept = values >= self.cutoff**2 * values[-1]
        return vectors @ (kept * (vectors.T @ gradient)), memory


@dataclass(frozen=True)
class PullBack(AbstractGeometry):
    """The gradient in the metric of x, J^T J: x moves by the projection of its own gradient.

    Attributes:
        damping: added to the metric, as a share of its mean eigenvalue.
    """

    name: ClassVar[str] = "pull-back"

    damping: float = 1e-6

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        metric = _metric(decode, z)
        ridge = self.damping * jnp.trace(metric) / len(z)
        return jnp.linalg.solve(metric + ridge * jnp.eye(len(z), dtype=z.dtype), gradient), memory

    def check(self, x_size: int, z_size: int) -> None:
        if z_size >= x_size:
            raise InputError(
                "fewer latents than cells of a row, for the pull-back metric of a square map is ascent "
                "in x again", f"{counted(z_size, 'latent')} for {counted(x_size, 'cell')}",
                "geometry plain", where="geometry",
            )  # fmt: skip


@dataclass(frozen=True)
class XSpace(AbstractGeometry):
    """Ascent in the data's own space, the baseline: what it finds is an adversarial example."""

    name: ClassVar[str] = "x-space"
    note: ClassVar[str] = "ascent in the data's own space leaves the data"

    def direction(
        self, decode: Decode, z: Float[Array, " d"], gradient: Float[Array, " d"], memory: Any
    ) -> tuple[Float[Array, " d"], Any]:
        return gradient, memory


GEOMETRIES: dict[str, type[AbstractGeometry]] = {
    choice.name: choice for choice in (Plain, Normalised, Momentum, Adam, Tangent, PullBack, XSpace)
}


def _length(vector: Float[Array, " d"]) -> Float[Array, ""]:
    return jnp.maximum(jnp.linalg.norm(vector), jnp.finfo(vector.dtype).tiny ** 0.5)


def _metric(decode: Decode, z: Float[Array, " d"]) -> Float[Array, "d d"]:
    """J^T J."""
    jacobian = jax.jacfwd(lambda z: decode(z).ravel())(z)
    return jacobian.T @ jacobian
