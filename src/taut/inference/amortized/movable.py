"""Which parameters a loss can move, by the way it is written.

    d loss / d leaf = 0 whatever the numbers        units, a prior that is given, a centre: constants

A constant is an array like any other, behind `stop_gradient`, and its gradient of zero does not stop an
optimizer that moves parameters by their own size (decoupled weight decay: Loshchilov and Hutter 2019).
The derivative is traced and not computed: a leaf is free where its tangent has a part in the loss's.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.interpreters import partial_eval
from jaxtyping import Array, Float

__all__ = ["movable"]


def movable(loss: Callable[[Any], Float[Array, ""]], live: Any) -> Any:
    """True for each leaf of `live` that enters the gradient of `loss`."""
    leaves, tree = jax.tree.flatten(live)

    def slope(tangents: list[Any]) -> Float[Array, ""]:
        def of_leaves(leaves: list[Any]) -> Float[Array, ""]:
            return loss(jax.tree.unflatten(tree, leaves))

        return jax.jvp(of_leaves, (leaves,), (tangents,))[1]

    program = jax.make_jaxpr(slope)(leaves).jaxpr
    return jax.tree.unflatten(tree, partial_eval.dce_jaxpr(program, [True])[1])
