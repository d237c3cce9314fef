"""Which results of a traced function depend on which of its arguments."""

from collections.abc import Sequence
from typing import Any

__all__ = ["reached"]


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
