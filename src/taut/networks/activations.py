"""Activations by name, so that files name them without holding code."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from taut.core import InputError, nearest

__all__ = ["ACTIVATIONS", "activation"]

ACTIVATIONS: dict[str, Callable[[Float[Array, "..."]], Float[Array, "..."]]] = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jax.numpy.tanh,
}


def activation(name: str) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """The elementwise function of that name.

    Raises:
        InputError: the name is not known.
    """
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(
            f"one of {known}", repr(name), nearest(name, ACTIVATIONS), where="activation"
        )
    return ACTIVATIONS[name]
