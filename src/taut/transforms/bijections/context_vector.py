"""`ContextVector`: the parameters of a layer as an affine function of what is known of the datum.

    parameters = own + c W

W starts at zero, so that the layer starts at `own` whatever the condition.

Source: amortized flow parameters, Rezende and Mohamed, Variational inference with normalizing flows
(ICML 2015), section 4.2; van den Berg et al., Sylvester normalizing flows (UAI 2018), section 4.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import InputError

__all__ = ["ContextVector", "check_condition"]


class ContextVector(eqx.Module):
    """P numbers, the same for all data or different with the condition.

    Attributes:
        own: what they are at a condition of zero, (P,).
        weight: (h, P); None where there is no condition.
    """

    own: Float[Array, " P"]
    weight: Float[Array, "h P"] | None

    def __init__(self, own: Float[Array, " P"], condition_dim: int | None = None):
        self.own = own
        self.weight = None if condition_dim is None else jnp.zeros((condition_dim, own.size))

    @property
    def condition_shape(self) -> tuple[int, ...] | None:
        return None if self.weight is None else (self.weight.shape[0],)

    def __call__(self, condition: Array | None = None) -> Float[Array, " P"]:
        """The parameters, (P,).

        Raises:
            InputError: the condition is missing or has another shape.
        """
        if self.weight is None:
            return self.own
        return self.own + check_condition(condition, self.condition_shape) @ self.weight


def check_condition(condition: Array | None, shape: tuple[int, ...] | None) -> Array:
    """The condition, where a layer reads one of this shape.

    Raises:
        InputError: it is missing or has another shape.
    """
    if condition is None or condition.shape != shape:
        got = "none" if condition is None else f"one of shape {condition.shape}"
        raise InputError(
            f"a condition of shape {shape}", got, "a layer made with condition_dim of its size",
            where="condition",
        )  # fmt: skip
    return condition
