"""Which results of a traced function depend on which of its arguments; and some of them, computed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.core import eval_jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from taut.core.compiling import shared_jit

__all__ = ["computed", "depends_on_last", "reached"]


def reached(jaxpr: Any, sources: Sequence[bool]) -> tuple[bool, list[bool]]:
    """Which results of a traced function depend on some of its arguments.

    Arguments:
        jaxpr: of the function.
        sources: for each flat argument, whether it is one of them.

    Returns:
        Whether any operation reads them, and for each flat result whether it depends on them.
        Operations with inner functions count as reading and writing in full.
    """
    tainted = {id(v) for v, source in zip(jaxpr.invars, sources, strict=True) if source}
    used = False
    for equation in jaxpr.eqns:
        if any(id(v) in tainted for v in equation.invars):
            used = True
            tainted |= {id(v) for v in equation.outvars}
    return used, [id(v) in tainted for v in jaxpr.outvars]


def depends_on_last(function: Callable, *arguments: Any) -> Any:
    """For each result of a function, in its structure, whether it depends on the last argument."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    leaves = [len(jax.tree.leaves(argument)) for argument in arguments]
    _, found = reached(closed.jaxpr, [False] * sum(leaves[:-1]) + [True] * leaves[-1])
    return jax.tree.unflatten(jax.tree.structure(shape), found)


def computed(closed: Any, wanted: Sequence[bool], arguments: Sequence[Any]) -> list[np.ndarray]:
    """Some results of a traced function, by the operations that they need and no others.

    Arguments:
        closed: the closed jaxpr of the function.
        wanted: for each flat result, whether it is one of them.
        arguments: its flat arguments.
    """
    jaxpr, used = dce_jaxpr(closed.jaxpr, list(wanted))
    read = [value for value, is_used in zip(arguments, used, strict=True) if is_used]
    if not any(wanted):
        return []
    # One program compiles sooner than its operations do one at a time.
    return [np.asarray(one) for one in shared_jit(partial(eval_jaxpr, jaxpr, closed.consts))(*read)]
