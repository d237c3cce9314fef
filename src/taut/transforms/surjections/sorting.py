"""Sorting, in either direction.

    Sorting             z = sort(x),  x = z in a random order     exact: -log n! enters
    GenerativeSorting   x = sort(z),  z = x in a random order     log n! enters

Entries are the n numbers of a vector, or the n rows of a matrix sorted by their first column. The first
makes an exchangeable density of any over sorted entries; the second makes order statistics of any
density, exact where all n! orders are summed over.

Source: Nielsen et al., SurVAE Flows (2020), section 3.1, sort surjection.
"""

import itertools
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, Terms
from taut.transforms.abstract import Encoded, Fibre, Key
from taut.transforms.conditional import required
from taut.transforms.surjections.abstract import (
    AbstractGenerativeSurjection,
    AbstractInferenceSurjection,
)
from taut.transforms.surjections.fibres import refuse_cells, refuse_large_fibre

__all__ = ["GenerativeSorting", "Sorting"]


class Sorting(AbstractInferenceSurjection):
    """z = sort(x), with all orders of x equally probable."""

    name: ClassVar[str] = "sorting"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]):
        self.x_shape = self.z_shape = shape

    def latent_of(self, x: Any) -> Any:
        return x[jnp.argsort(_ranked(x))]

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return jax.random.permutation(required(key), z)

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: jnp.asarray(-math.lgamma(self.x_shape[0] + 1))}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return jnp.broadcast_to(jnp.mean(z, axis=0), z.shape)


class GenerativeSorting(AbstractGenerativeSurjection):
    """x = sort(z), with all orders of z equally probable under q.

    A row that is not sorted has log-weight -inf.
    """

    name: ClassVar[str] = "generative-sorting"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]):
        self.x_shape = self.z_shape = shape

    @property
    def fibre_size(self) -> int:
        return math.factorial(self.x_shape[0])

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        z = jax.random.permutation(required(key), x)
        return Encoded(z, self.inference_terms(x, z, condition))

    def data_of(self, z: Any) -> Any:
        return z[jnp.argsort(_ranked(z))]

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        rising = jnp.all(jnp.diff(_ranked(x)) >= 0)
        return {NEG_LOG_Q: jnp.where(rising, math.lgamma(self.x_shape[0] + 1), -jnp.inf)}

    def fibre(self, x: Any, condition: Array | None = None) -> Fibre:
        n = self.x_shape[0]
        refuse_large_fibre(self.name, f"{n}!", self.fibre_size)
        orders = jnp.asarray(list(itertools.permutations(range(n))))
        return Fibre(x[orders], jnp.full(self.fibre_size, -math.lgamma(n + 1)))

    def check(self, x: np.ndarray, *, where: str) -> None:
        ranks = x.reshape(*x.shape[:2], -1)[..., 0]
        falls = np.diff(ranks, axis=1, prepend=-np.inf) < 0
        refuse_cells(
            falls, ranks, where=where,
            expected=f"rising entries in every row, as {self.name} makes them",
            remedy="sorting, which takes any order",
        )  # fmt: skip


def _ranked(x: Float[Array, "n *rest"]) -> Float[Array, " n"]:
    """What entries are sorted by."""
    return x.reshape(x.shape[0], -1)[:, 0]
