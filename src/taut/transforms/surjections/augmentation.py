"""Augmentation: x is the first part of z along the last axis.

    z = (x, e),        e ~ q(e | x)        -log q(e | x) enters; a lower bound

Room for a flow of more dimensions than the data have. The number is exact only where q(e | x) is the
posterior. The other direction, z a part of x, is `Slicing`.

Sources: Huang, Dinh and Courville, Augmented normalizing flows (2020), equation 3; Nielsen et al.,
SurVAE Flows (2020), section 3, tensor slicing.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import NEG_LOG_Q, InputError, Terms
from taut.transforms.abstract import Encoded, Key
from taut.transforms.conditional import drawn_once, is_reparameterized, log_density
from taut.transforms.surjections.abstract import AbstractGenerativeSurjection

__all__ = ["Augmentation"]


class Augmentation(AbstractGenerativeSurjection):
    """z = (x, e) along the last axis.

    Arguments:
        x_shape: (..., n).
        added: how many e there are along the last axis, at least 1.
        extra: q(e | x): callable from x to a distribution or proposal over (..., added).

    Raises:
        InputError: nothing added.
    """

    name: ClassVar[str] = "augmentation"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    extra: Any

    def __init__(self, x_shape: tuple[int, ...], added: int, extra: Any):
        if added < 1:
            raise InputError("at least 1 dimension to add", f"{added}", "1", where="added")
        self.x_shape = x_shape
        self.z_shape = (*x_shape[:-1], x_shape[-1] + added)
        self.extra = extra

    @property
    def reparameterized(self) -> bool:
        return is_reparameterized(self.extra, self.x_shape)

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        extra, log_q = drawn_once(self.extra(x), key, where=self.name)
        return Encoded(jnp.concatenate([x, extra], axis=-1), {NEG_LOG_Q: -log_q})

    def data_of(self, z: Any) -> Any:
        return z[..., : self.x_shape[-1]]

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {NEG_LOG_Q: -log_density(self.extra(x), z[..., self.x_shape[-1] :])}
