"""Whether a model that is given can be the start of EM."""

import jax

from taut.core import InputError
from taut.models import AbstractExactModel

__all__ = ["check_start"]


def check_start(start: AbstractExactModel, wanted: AbstractExactModel) -> None:
    """Refuse a start whose arrays have other shapes than a model of the wanted kind.

    Raises:
        InputError: names the first array that does not fit.
    """
    other = InputError(
        f"a start that is a {type(wanted).__name__} with the same choices",
        "one with others" if type(start) is type(wanted) else f"a {type(start).__name__}",
        "a model that the same architecture made", where="start",
    )  # fmt: skip
    if type(start) is not type(wanted):
        raise other
    have, want = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (start, wanted))
    for (path, array), (_, model) in zip(have, want, strict=True):
        if array.shape != model.shape:
            name = jax.tree_util.keystr(path).lstrip(".")
            raise InputError(
                f"shape {model.shape}", f"{array.shape}", "one entry per component and column",
                where=f"start, {name}",
            )  # fmt: skip
    if jax.tree.structure(start) != jax.tree.structure(wanted):
        raise other
