"""Which parameters of a pair reach which side.

A parameter belongs to a step of one side when some array of that side depends on it after `bind`,
wherever it is stored: what both sides share (a VampPrior's encoder, a ladder's top-down path) belongs to
both. Dependence is read off the traced program of `bind`; nothing is computed.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax.extend.core import Var

from taut.core import AbstractPair

__all__ = ["Reach", "reach"]


class Reach(NamedTuple):
    """Pytrees of booleans over the floating-point arrays of a pair; None elsewhere.

    Attributes:
        model: True where the model depends on the array.
        guide: True where the guide does.
    """

    model: Any
    guide: Any


def reach(pair: AbstractPair) -> Reach:
    """Which floating-point arrays of a pair reach the model, and which the guide."""
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(arrays)

    def needed(side: int) -> Any:
        def outputs(*leaves: Any) -> list[Any]:
            bound = eqx.combine(jax.tree.unflatten(tree, leaves), static).bind()
            return jax.tree.leaves(eqx.filter(bound[side], eqx.is_inexact_array))

        program = jax.make_jaxpr(outputs)(*leaves).jaxpr
        live = {v for v in program.outvars if isinstance(v, Var)}
        for equation in reversed(program.eqns):
            if not live.isdisjoint(equation.outvars):
                live.update(v for v in equation.invars if isinstance(v, Var))
        return jax.tree.unflatten(tree, [v in live for v in program.invars])

    return Reach(model=needed(0), guide=needed(1))
