"""`Permute`: the dimensions of a vector in another order.

    z_i = x_order[i],        log |det dz/dx| = 0

An order that is made of a few evenly spaced runs (a reversal, a riffle) becomes as many slices: their
gradient is padding, where that of a gather is a scatter, which is slow on a CPU.
"""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet

__all__ = ["Permute", "reversal", "reversed_riffle"]

_MOST_SLICES = 8  # beyond, a gather is no slower and compiles faster


class Permute(AbstractBijection):
    """A fixed order.

    Attributes:
        x_shape, z_shape: (D,).
        order: the dimension of x that each dimension of z is.
    """

    name: ClassVar[str] = "permute"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    order: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, order: Sequence[int]):
        self.order = tuple(int(i) for i in order)
        self.x_shape = self.z_shape = (len(self.order),)

    def __check_init__(self):
        if sorted(self.order) != list(range(len(self.order))):
            raise InputError(
                f"each of 0 to {len(self.order) - 1} once", f"{self.order}", "a permutation",
                where="order",
            )  # fmt: skip

    def encode_at_rest(self, x: Array) -> Array:
        return self.encode_and_log_det(x)[0]

    def decode_at_rest(self, z: Array) -> Array:
        return self.decode_and_log_det(z)[0]

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        return _ordered(x, self.order), jnp.zeros((), x.dtype)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        return _ordered(z, np.argsort(self.order).tolist()), jnp.zeros((), z.dtype)


def reversal(dim: int) -> tuple[int, ...]:
    """The last dimension first."""
    return tuple(range(dim))[::-1]


def reversed_riffle(dim: int) -> tuple[int, ...]:
    """The odd dimensions from the last down, then the even ones.

    Where halves are transformed in turn, a reversal exchanges the halves and this one makes new ones,
    so that 2 log2(dim) layers part every pair of dimensions (Müller et al., Neural importance
    sampling, 2019, section 4.2).
    """
    natural = tuple(range(dim))
    return natural[1::2][::-1] + natural[::2][::-1]


def _ordered(x: Array, order: Sequence[int]) -> Array:
    runs = _runs(order)
    if len(runs) > _MOST_SLICES:
        return x[np.asarray(order)]
    return jnp.concatenate([x[run] for run in runs])


def _runs(order: Sequence[int]) -> list[slice]:
    """Evenly spaced stretches, as slices."""
    runs, start = [], 0
    while start < len(order):
        end = start + 1
        step = order[end] - order[start] if end < len(order) else 1
        while end < len(order) and order[end] - order[end - 1] == step:
            end += 1
        stop = order[end - 1] + (1 if step > 0 else -1)
        runs.append(slice(order[start], None if stop < 0 else stop, step))
        start = end
    return runs
