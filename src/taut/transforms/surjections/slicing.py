"""Slicing: z is the first part of x along the last axis.

    x = (z, rest),        rest ~ p(rest | z)        exact: log p(rest | z) enters

The other direction, x a part of z, is `Augmentation`.

Source: Nielsen et al., SurVAE Flows (2020), section 3, tensor slicing.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from taut.core import LOG_LIKELIHOOD, InputError, Terms, as_proposal
from taut.transforms.abstract import Key
from taut.transforms.conditional import drawn_once, log_density
from taut.transforms.surjections.abstract import AbstractInferenceSurjection

__all__ = ["Slicing"]


class Slicing(AbstractInferenceSurjection):
    """z = x[..., :keep].

    Arguments:
        x_shape: (..., n).
        keep: how many of the n are kept, 1 to n - 1.
        rest: p(rest | z): callable from z to a distribution or proposal over (..., n - keep).

    Raises:
        InputError: nothing kept, or nothing left over.
    """

    name: ClassVar[str] = "slicing"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    rest: Any

    def __init__(self, x_shape: tuple[int, ...], keep: int, rest: Any):
        if not 1 <= keep < x_shape[-1]:
            raise InputError(
                f"to keep a part of the last axis of {x_shape}, 1 or more and not all",
                f"{keep}", "half of it, or a squeeze before it for images", where="keep",
            )  # fmt: skip
        self.x_shape = x_shape
        self.z_shape = (*x_shape[:-1], keep)
        self.rest = rest

    def latent_of(self, x: Any) -> Any:
        return x[..., : self.z_shape[-1]]

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        rest, _ = drawn_once(self.rest(z), key, where=self.name)
        return jnp.concatenate([z, rest], axis=-1)

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: log_density(self.rest(z), x[..., self.z_shape[-1] :])}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return jnp.concatenate([z, as_proposal(self.rest(z)).mean()], axis=-1)
