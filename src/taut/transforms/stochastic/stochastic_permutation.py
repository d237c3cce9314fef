"""Stochastic permutation: both directions shuffle the entries along some axes.

    x = P z,   z = P^-1 x,   P uniform:        log p(x | z) - log q(z | x) = 0

The model becomes exchangeable, p(x) = average over P of p_z(P x): exactly where all orders are summed
over, as a lower bound where one is drawn.

Source: Nielsen et al., SurVAE Flows (2020), section 3.1, stochastic permutation.
"""

import itertools
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, InputError, Terms
from taut.transforms.abstract import AbstractLayer, Encoded, Fibre, Key, Kind
from taut.transforms.conditional import required
from taut.transforms.surjections.fibres import refuse_large_fibre

__all__ = ["StochasticPermutation"]


class StochasticPermutation(AbstractLayer):
    """Every order along each of `axes` equally probable, one axis independently of the other.

    Arguments:
        shape: of x and z.
        axes: which are shuffled, each once.

    Raises:
        InputError: an axis that the shape lacks, or one named twice, or none.
    """

    name: ClassVar[str] = "stochastic-permutation"
    kind: ClassVar[Kind] = "stochastic"
    deterministic_encode: ClassVar[bool] = False
    deterministic_decode: ClassVar[bool] = False

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], axes: tuple[int, ...] = (0,)):
        known = set(range(len(shape)))
        if not axes or not known.issuperset(axes) or len(set(axes)) < len(axes):
            raise InputError(
                f"different axes of the shape {shape}, counted from 0", f"{axes}", "(0,)",
                where="axes",
            )  # fmt: skip
        self.x_shape = self.z_shape = shape
        self.axes = axes

    @property
    def fibre_size(self) -> int:
        return math.prod(math.factorial(self.x_shape[axis]) for axis in self.axes)

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        return Encoded(self._shuffled(x, key), {NEG_LOG_Q: self._log_size()})

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return self._shuffled(z, key)

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {NEG_LOG_Q: self._log_size()}

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: -self._log_size()}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return jnp.broadcast_to(jnp.mean(z, axis=self.axes, keepdims=True), z.shape)

    def fibre(self, x: Any, condition: Array | None = None) -> Fibre:
        count = " ".join(f"{self.x_shape[axis]}!" for axis in self.axes)
        refuse_large_fibre(self.name, count, self.fibre_size)
        z = jnp.asarray(x)[None]
        for axis in self.axes:
            orders = jnp.asarray(list(itertools.permutations(range(self.x_shape[axis]))))
            z = jnp.moveaxis(jnp.take(z, orders, axis=axis + 1), axis + 1, 1)
            z = z.reshape(-1, *self.z_shape)
        return Fibre(z, jnp.full(self.fibre_size, -self._log_size()))

    def _shuffled(self, value: Any, key: PRNGKeyArray | None) -> Array:
        for axis, own in zip(
            self.axes, jax.random.split(required(key), len(self.axes)), strict=True
        ):
            value = jax.random.permutation(own, value, axis=axis)
        return value

    def _log_size(self) -> Float[Array, ""]:
        """log of the number of orders."""
        return jnp.asarray(sum(math.lgamma(self.x_shape[axis] + 1) for axis in self.axes))
